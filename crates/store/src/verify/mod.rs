//! Checks every byte of a data directory without changing any.
//!
//! Works while a store uses the directory: what that store took away meanwhile is no problem.
//!
//! Keeps true: nothing is written, moved or locked.
//! Not here: setting damaged files aside (`engine`), checking backups (`backup`).

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

use std::io;
use std::path::{Path, PathBuf};

use plimsoll_model::{ErrorClass, Registry};
use plimsoll_wire::FrameError;
use serde::Serialize;

use crate::disk::{Disk, DiskError};
use crate::manifest::{self, Manifest, ManifestError, SegmentEntry};
use crate::segment::{Segment, SegmentError};
use crate::wal::{self, Reader, WalError};

/// What is wrong with one file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// A manifest cannot be read.
    #[error("manifest {path} is unusable", path = path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: ManifestError,
    },
    /// A segment that the manifest lists is not what was written.
    #[error("segment {id:016x} of table {table} with {rows} rows is damaged")]
    Segment {
        /// Its number.
        id: u64,
        /// Its table.
        table: String,
        /// Rows it has by the manifest.
        rows: u64,
        /// What is wrong.
        source: SegmentError,
    },
    /// A log file has bytes that hold no record.
    #[error("log {path} has {corrupt_bytes} damaged bytes", path = path.display())]
    Wal {
        /// The file.
        path: PathBuf,
        /// Damaged bytes.
        corrupt_bytes: u64,
    },
    /// A log file cannot be read.
    #[error("log {path} cannot be read", path = path.display())]
    WalRead {
        /// The file.
        path: PathBuf,
        /// Why.
        source: WalError,
    },
    /// A record holds a frame that this program cannot read.
    #[error("log {path} has an unusable frame at byte {offset}", path = path.display())]
    Frame {
        /// The file.
        path: PathBuf,
        /// First byte of the record.
        offset: u64,
        /// Why.
        source: FrameError,
    },
    /// The manifest lists a table this program does not know.
    #[error("segment {id:016x} belongs to the unknown table {table}")]
    Table {
        /// The segment.
        id: u64,
        /// The name.
        table: String,
    },
}

impl Problem {
    /// Damage, except where a file could not be read or is of another version.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Manifest { source, .. } => source.class(),
            Self::Segment { source, .. } => source.class(),
            Self::Wal { .. } => ErrorClass::Corrupt,
            Self::WalRead { source, .. } => source.class(),
            Self::Frame { source, .. } => source.class(),
            Self::Table { .. } => ErrorClass::Invalid,
        }
    }
}

/// Why a directory cannot be checked at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The directory cannot be listed.
    #[error("the data directory cannot be listed")]
    Disk(#[from] DiskError),
    /// It is no data directory.
    #[error("{path} is no data directory: it has no folder `manifest` or `wal`",
        path = path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
    },
}

impl VerifyError {
    /// As the disk says; another folder is the caller's mistake.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Disk(error) => error.class(),
            Self::Foreign { .. } => ErrorClass::Missing,
        }
    }
}

/// What was checked and what was found.
#[derive(Debug, Default, Serialize)]
pub struct VerifyReport {
    /// Generation of the manifest that was checked; 0 when there is none.
    pub generation: u64,
    /// Segments listed.
    pub segments: u64,
    /// Bytes of segments and logs that were read.
    pub bytes: u64,
    /// Rows in segments, by the manifest.
    pub rows: u64,
    /// Log files.
    pub wal_files: u64,
    /// Records in them that hold.
    pub wal_records: u64,
    /// Bytes of records that were cut at a log's end: never acknowledged.
    pub torn_bytes: u64,
    /// Segments lost to earlier damage, as the manifest remembers them.
    pub lost: u64,
    /// Names of files in `quarantine`.
    pub quarantined: Vec<String>,
    /// What is wrong.
    #[serde(skip)]
    pub problems: Vec<Problem>,
}

impl VerifyReport {
    /// Whether every byte is as it was written and nothing was lost before.
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty() && self.lost == 0 && self.quarantined.is_empty()
    }
}

/// How far a check or a copy is.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// The file that is done.
    pub path: &'a Path,
    /// Bytes done so far.
    pub bytes_done: u64,
    /// Bytes there are in all, as far as known.
    pub bytes_total: u64,
}

/// Checks the data directory `dir`: every manifest, segment and log record. Blocks.
///
/// `progress` is called after each file.
///
/// # Errors
///
/// [`VerifyError`] when there is nothing to check. Damage is no error but in the report.
pub fn verify(
    dir: &Path,
    mut progress: impl FnMut(Progress<'_>),
) -> Result<VerifyReport, VerifyError> {
    let disk = Disk::new();
    let folder = dir.join("manifest");
    if !folder.is_dir() && !dir.join("wal").is_dir() {
        return Err(VerifyError::Foreign { path: dir.to_owned() });
    }
    let found = manifest::read(&disk, &folder)?;
    let manifest = found.manifest;
    let logs = logs(&disk, dir)?;
    let quarantined = disk.list(&dir.join("quarantine"))?;
    let mut report = VerifyReport {
        generation: manifest.generation,
        segments: u64::try_from(manifest.segments.len()).unwrap_or(u64::MAX),
        lost: u64::try_from(manifest.lost.len()).unwrap_or(u64::MAX),
        quarantined: quarantined.iter().map(|file| file.name().to_owned()).collect(),
        ..VerifyReport::default()
    };
    let damaged = found.damaged.into_iter().filter(|(path, _)| path.exists());
    report.problems.extend(damaged.map(|(path, source)| Problem::Manifest { path, source }));
    let mut bytes_total: u64 = manifest.segments.iter().map(|entry| entry.meta.bytes).sum();
    bytes_total = bytes_total.saturating_add(logs.iter().map(|(_, _, bytes)| *bytes).sum());
    for entry in &manifest.segments {
        let path = dir.join("segments").join(entry.path());
        if let Some(problem) = check_segment(&path, entry)
            && is_listed(&disk, dir, &manifest, entry.id)
        {
            report.problems.push(problem);
        }
        report.rows = report.rows.saturating_add(entry.meta.rows);
        report.bytes = report.bytes.saturating_add(entry.meta.bytes);
        progress(Progress { path: &path, bytes_done: report.bytes, bytes_total });
    }
    for (id, path, bytes) in &logs {
        check_log(path, *id, &mut report);
        report.bytes = report.bytes.saturating_add(*bytes);
        progress(Progress { path, bytes_done: report.bytes, bytes_total });
    }
    Ok(report)
}

/// The log files of a data directory: number, path and length, in order.
pub(crate) fn logs(disk: &Disk, dir: &Path) -> Result<Vec<(u64, PathBuf, u64)>, DiskError> {
    let listed = disk.list(&dir.join("wal"))?;
    let files = listed.into_iter().filter(|file| !file.is_folder);
    let mut logs: Vec<_> = files
        .filter_map(|file| Some((wal::file_id(file.name())?, file.path, file.bytes)))
        .collect();
    logs.sort();
    Ok(logs)
}

fn check_segment(path: &Path, entry: &SegmentEntry) -> Option<Problem> {
    if Registry::embedded().table(&entry.table).is_none() {
        return Some(Problem::Table { id: entry.id, table: entry.table.clone() });
    }
    let checked = Segment::open(path, entry.meta.clone()).and_then(|segment| {
        segment.verify()?;
        segment.spans().map(drop)
    });
    checked.err().map(|source| Problem::Segment {
        id: entry.id,
        table: entry.table.clone(),
        rows: entry.meta.rows,
        source,
    })
}

// A store at work may have replaced the segment since the manifest was read.
fn is_listed(disk: &Disk, dir: &Path, before: &Manifest, id: u64) -> bool {
    let Ok(now) = manifest::read(disk, &dir.join("manifest")) else { return true };
    now.manifest.generation <= before.generation
        || now.manifest.segments.iter().any(|entry| entry.id == id)
}

fn check_log(path: &Path, id: u64, report: &mut VerifyReport) {
    let mut reader = match Reader::open(path, id) {
        Ok(reader) => reader,
        // Taken away by a store at work: its rows are in segments.
        Err(WalError::Disk(error)) if error.source.kind() == io::ErrorKind::NotFound => return,
        Err(source) => {
            report.problems.push(Problem::WalRead { path: path.to_owned(), source });
            return;
        }
    };
    report.wal_files = report.wal_files.saturating_add(1);
    loop {
        match reader.next_record() {
            Ok(Some(record)) => {
                report.wal_records = report.wal_records.saturating_add(1);
                if let Err(source) = plimsoll_wire::decode(&record.payload) {
                    let (path, offset) = (path.to_owned(), record.start.offset);
                    report.problems.push(Problem::Frame { path, offset, source });
                }
            }
            Ok(None) => break,
            Err(source) => {
                report.problems.push(Problem::WalRead { path: path.to_owned(), source });
                break;
            }
        }
    }
    let damage = reader.damage();
    report.torn_bytes = report.torn_bytes.saturating_add(damage.torn_bytes);
    if damage.corrupt_bytes > 0 {
        let corrupt_bytes = damage.corrupt_bytes;
        report.problems.push(Problem::Wal { path: path.to_owned(), corrupt_bytes });
    }
}
