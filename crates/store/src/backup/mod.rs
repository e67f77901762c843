//! Copies a data directory at one manifest generation while a store uses it, and puts it back.
//!
//! A log file goes only after a manifest that makes it superfluous. So: the segments of a manifest
//! and all logs, copied while that manifest stayed the newest, are one consistent state that holds
//! everything acknowledged before the copy began. When the manifest changes meanwhile, what was
//! copied is kept and the rest is copied again.
//!
//! Keeps true: a folder without a whole list is no backup; a restore appears whole or not at all,
//! and writes nothing outside its target.
//! Not here: what the files mean (`manifest`, `segment`, `wal`).

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

mod copy;
mod list;
mod restore;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use plimsoll_model::{ErrorClass, chain};

use crate::disk::{Disk, DiskError};
use crate::manifest::{self, Manifest, ManifestError, SegmentEntry};
use crate::verify::{Progress, logs};
use copy::{Proof, copy, prove};
pub use list::{BackupFile, BackupList};
use list::{NAME, place};
pub use restore::{RestoreReport, check, restore};

/// How often a copy starts again because the store moved on.
const ATTEMPTS_MAX: u32 = 50;
/// Largest list that is read, in bytes.
const LIST_BYTES_MAX: u64 = 1 << 30;
/// Says that a folder is a backup in the making.
const MARKER: &str = "BACKUP.unfinished";

/// Why a backup cannot be made, checked or put back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The disk refused.
    #[error("the backup cannot be written")]
    Disk(#[from] DiskError),
    /// A file cannot be read.
    #[error("cannot read {path}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The manifest cannot be written.
    #[error("the manifest of the backup cannot be written")]
    Manifest(#[from] ManifestError),
    /// The directory has no manifest and no log.
    #[error("{path} is no data directory", path = path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
    },
    /// The target holds something that is no backup.
    #[error("{path} is not empty and no backup", path = path.display())]
    Occupied {
        /// The target.
        path: PathBuf,
    },
    /// The store changed its manifest faster than it can be copied.
    #[error("the store changed during each of {attempts} copies")]
    Moving {
        /// Copies begun.
        attempts: u32,
    },
    /// There is no list, or it is damaged: the backup was not finished.
    #[error("{path} is no finished backup: its list is missing or damaged", path = path.display())]
    List {
        /// The list.
        path: PathBuf,
    },
    /// Written by a version this program cannot read.
    #[error("the backup has format {found:?}, this program reads `plimsoll-backup 1`")]
    Format {
        /// The first line.
        found: String,
    },
    /// The list does not parse or print.
    #[error("the list of the backup does not parse")]
    Json {
        /// What is wrong.
        source: serde_json::Error,
    },
    /// The list has a name that no data directory has.
    #[error("the backup lists {name:?}, which is no name of a file in a data directory")]
    Name {
        /// The name.
        name: String,
    },
    /// A file is not what the list or the manifest says.
    #[error("{path} is damaged", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
}

impl BackupError {
    /// What the caller can do.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Disk(error) => error.class(),
            Self::Manifest(error) => error.class(),
            Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                ErrorClass::Missing
            }
            Self::Read { .. } => ErrorClass::Bug,
            Self::Foreign { .. } => ErrorClass::Missing,
            Self::Occupied { .. } | Self::Format { .. } | Self::Name { .. } => ErrorClass::Invalid,
            Self::Moving { .. } => ErrorClass::Busy,
            Self::List { .. } | Self::Json { .. } | Self::Damaged { .. } => ErrorClass::Corrupt,
        }
    }
}

/// What a backup holds and how it was made.
#[derive(Debug, Default, serde::Serialize)]
pub struct BackupReport {
    /// Generation of its manifest.
    pub generation: u64,
    /// Segments in it.
    pub segments: u64,
    /// Log files in it.
    pub wal_files: u64,
    /// All its bytes.
    pub bytes: u64,
    /// Bytes that an earlier backup in the same folder had already.
    pub bytes_kept: u64,
    /// Copies begun; more than one when the store moved on meanwhile.
    pub attempts: u32,
    /// Segments that are damaged in the data directory: not in the backup.
    pub damaged: Vec<PathBuf>,
}

/// Copies the data directory `dir` into the folder `target`. Blocks.
///
/// `target`: absent, empty, or an earlier backup, of which unchanged segments are kept.
/// `progress` is called after each file.
///
/// # Errors
///
/// [`BackupError`]; then `target` is no backup, and the next try goes on from what is there.
pub fn backup(
    dir: &Path,
    target: &Path,
    mut progress: impl FnMut(Progress<'_>),
) -> Result<BackupReport, BackupError> {
    let disk = Disk::new();
    if !dir.join("manifest").is_dir() && !dir.join("wal").is_dir() {
        return Err(BackupError::Foreign { path: dir.to_owned() });
    }
    claim(&disk, target)?;
    for attempt in 1..=ATTEMPTS_MAX {
        let mut job = Job::new(&disk, dir, target, &mut progress);
        if job.run()? {
            job.report.attempts = attempt;
            return job.finish();
        }
    }
    Err(BackupError::Moving { attempts: ATTEMPTS_MAX })
}

// Takes a folder for a backup: from here on it is none until its list is written.
fn claim(disk: &Disk, target: &Path) -> Result<(), BackupError> {
    let there = disk.list(target)?;
    let is_ours = there.iter().any(|file| file.name() == NAME || file.name() == MARKER);
    if !there.is_empty() && !is_ours {
        return Err(BackupError::Occupied { path: target.to_owned() });
    }
    disk.create_folder(target)?;
    disk.swap(&target.join("BACKUP.part"), &target.join(MARKER), b"")?;
    disk.remove(&target.join(NAME))?;
    Ok(disk.sync_folder(target)?)
}

/// One try at a copy.
struct Job<'a> {
    disk: &'a Disk,
    dir: &'a Path,
    target: &'a Path,
    progress: &'a mut dyn FnMut(Progress<'_>),
    manifest: Manifest,
    list: BackupList,
    report: BackupReport,
    bytes_total: u64,
}

impl<'a> Job<'a> {
    fn new(
        disk: &'a Disk,
        dir: &'a Path,
        target: &'a Path,
        progress: &'a mut dyn FnMut(Progress<'_>),
    ) -> Self {
        let (manifest, list) = (Manifest::default(), BackupList::default());
        let report = BackupReport::default();
        Self { disk, dir, target, progress, manifest, list, report, bytes_total: 0 }
    }

    /// Copies segments and logs; false when the store moved on meanwhile.
    fn run(&mut self) -> Result<bool, BackupError> {
        self.manifest = self.newest()?;
        self.bytes_total = self.manifest.segments.iter().map(|entry| entry.meta.bytes).sum();
        for entry in self.manifest.segments.clone() {
            if !self.segment(&entry)? {
                return Ok(false);
            }
        }
        for (_, path, _) in logs(self.disk, self.dir)? {
            if !self.log(&path)? {
                return Ok(false);
            }
        }
        Ok(self.newest()?.generation == self.manifest.generation)
    }

    fn newest(&self) -> Result<Manifest, BackupError> {
        Ok(manifest::read(self.disk, &self.dir.join("manifest"))?.manifest)
    }

    fn segment(&mut self, entry: &SegmentEntry) -> Result<bool, BackupError> {
        let below = Path::new("segments").join(entry.path());
        let (from, to) = (self.dir.join(&below), self.target.join(&below));
        let wanted = Proof { bytes: entry.meta.bytes, crc32c: entry.meta.crc32c };
        let is_there = prove(&to, wanted.bytes.saturating_add(1)).is_ok_and(|had| had == wanted);
        if is_there {
            self.report.bytes_kept = self.report.bytes_kept.saturating_add(wanted.bytes);
        } else {
            let limit = wanted.bytes.saturating_add(1);
            match copy(self.disk, &from, &to, limit, |proof| proof == wanted) {
                Ok(_) => {}
                Err(BackupError::Read { source, .. })
                    if source.kind() == io::ErrorKind::NotFound
                        && self.newest()?.generation != self.manifest.generation =>
                {
                    return Ok(false);
                }
                Err(error @ (BackupError::Damaged { .. } | BackupError::Read { .. })) => {
                    tracing::error!(error = %chain(&error), "damaged segment left out of backup");
                    self.report.damaged.push(from);
                    return Ok(true);
                }
                Err(error) => return Err(error),
            }
        }
        self.report.segments = self.report.segments.saturating_add(1);
        self.add(&below, wanted);
        Ok(true)
    }

    fn log(&mut self, from: &Path) -> Result<bool, BackupError> {
        let below = Path::new("wal").join(from.file_name().unwrap_or_default());
        match copy(self.disk, from, &self.target.join(&below), u64::MAX, |_| true) {
            Ok(proof) => {
                self.report.wal_files = self.report.wal_files.saturating_add(1);
                self.add(&below, proof);
                Ok(true)
            }
            // Taken away after a newer manifest.
            Err(BackupError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn add(&mut self, below: &Path, proof: Proof) {
        let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
        let (bytes, crc32c) = (proof.bytes, proof.crc32c);
        self.list.files.push(BackupFile { path: parts.join("/"), bytes, crc32c });
        self.report.bytes = self.report.bytes.saturating_add(bytes);
        let (bytes_done, bytes_total) = (self.report.bytes, self.bytes_total);
        (self.progress)(Progress { path: below, bytes_done, bytes_total });
    }

    fn finish(mut self) -> Result<BackupReport, BackupError> {
        if self.manifest.generation > 0 {
            let name = format!("{:016x}", self.manifest.generation);
            let (folder, aside) = (self.target.join("manifest"), self.target.join("tmp"));
            self.disk.create_folder(&folder)?;
            self.disk.create_folder(&aside)?;
            manifest::write(self.disk, &folder, &aside, &self.manifest)?;
            let proof = prove(&folder.join(&name), u64::MAX)?;
            self.add(&Path::new("manifest").join(name), proof);
        }
        self.report.generation = self.manifest.generation;
        self.list.generation = self.manifest.generation;
        self.sweep()?;
        let bytes = self.list.print()?;
        self.disk.swap(&self.target.join("BACKUP.part"), &self.target.join(NAME), &bytes)?;
        self.disk.remove(&self.target.join(MARKER))?;
        Ok(self.report)
    }

    // Takes away files of an earlier backup that are not part of this one.
    fn sweep(&self) -> Result<(), BackupError> {
        let listed: BTreeSet<PathBuf> =
            self.list.files.iter().map(|file| place(self.target, &file.path)).collect();
        let mut folders: Vec<PathBuf> =
            ["segments", "wal", "manifest", "tmp"].map(|name| self.target.join(name)).into();
        while let Some(folder) = folders.pop() {
            for file in self.disk.list(&folder)? {
                if file.is_folder {
                    folders.push(file.path);
                } else if !listed.contains(&file.path) {
                    self.disk.remove(&file.path)?;
                }
            }
        }
        Ok(())
    }
}
