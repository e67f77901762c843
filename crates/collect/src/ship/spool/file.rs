//! The files of a spool: journals that grow, and sealed files that never change.
//!
//! The name of a sealed file says what is in it, so that a start reads names only:
//! `<number>-<frames>-<rows>-<from_ms>-<to_ms>.spool`. A journal is `<number>.journal`, and `lost`
//! says what was thrown away and is not told yet. Any other name is left alone, but for `*.new`,
//! which was never finished and goes.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::{Lost, record};
use crate::ship::queue::Waiting;

/// Name of the file that says what was thrown away: frames, rows, first and last time.
const LOST: &str = "lost";

/// A file that never changes.
#[derive(Debug)]
pub(super) struct SealedFile {
    pub(super) number: u64,
    pub(super) name: String,
    pub(super) bytes: u64,
    pub(super) frames: u64,
    pub(super) rows: u64,
    pub(super) from_ms: i64,
    pub(super) to_ms: i64,
}

impl SealedFile {
    /// Writes frames aside, makes them safe, and lets them appear under their name.
    pub(super) fn write(folder: &Path, number: u64, frames: &[Waiting]) -> io::Result<Self> {
        let mut bytes = Vec::new();
        for frame in frames {
            record::write(&mut bytes, frame);
        }
        let rows: u64 = frames.iter().map(|frame| frame.rows).sum();
        let from_ms = frames.iter().map(|frame| frame.from_ms).min().unwrap_or_default();
        let to_ms = frames.iter().map(|frame| frame.to_ms).max().unwrap_or_default();
        let count = frames.len();
        let name = format!("{number:012}-{count}-{rows}-{from_ms}-{to_ms}.spool");
        let aside = folder.join(format!("{number:012}.new"));
        let mut file = create(&aside)?;
        let written = file.write_all(&bytes).and_then(|()| file.sync_all());
        if let Err(error) = written {
            // Space may be what is missing.
            let _ = fs::remove_file(&aside);
            return Err(error);
        }
        fs::rename(&aside, folder.join(&name))?;
        File::open(folder)?.sync_all()?;
        Ok(Self {
            number,
            name,
            bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            frames: u64::try_from(count).unwrap_or(u64::MAX),
            rows,
            from_ms,
            to_ms,
        })
    }

    fn parse(name: &str, bytes: u64) -> Option<Self> {
        let stem = name.strip_suffix(".spool")?;
        let (number, rest) = stem.split_once('-')?;
        let (frames, rest) = rest.split_once('-')?;
        let (rows, times) = rest.split_once('-')?;
        // A time may be negative and then brings a hyphen of its own.
        let middle = times.char_indices().skip(1).find(|(_, c)| *c == '-')?.0;
        let (from_ms, to_ms) = times.split_at(middle);
        Some(Self {
            number: number.parse().ok()?,
            name: name.to_owned(),
            bytes,
            frames: frames.parse().ok()?,
            rows: rows.parse().ok()?,
            from_ms: from_ms.parse().ok()?,
            to_ms: to_ms.get(1..)?.parse().ok()?,
        })
    }

    pub(super) fn remove(&self, folder: &Path) {
        if let Err(error) = fs::remove_file(folder.join(&self.name)) {
            tracing::warn!(file = %self.name, %error, "spool file was not removed");
        }
    }
}

/// The file that grows.
#[derive(Debug)]
pub(super) struct Journal {
    pub(super) number: u64,
    file: File,
    safe_bytes: u64,
    pub(super) bytes: u64,
    pub(super) frames: u64,
    pub(super) rows: u64,
    /// Written, but not known to be on the disk.
    pub(super) unsafe_frames: Vec<Waiting>,
}

impl Journal {
    pub(super) fn create(folder: &Path, number: u64) -> io::Result<Self> {
        let file = create(&journal_path(folder, number))?;
        File::open(folder)?.sync_all()?;
        let unsafe_frames = Vec::new();
        Ok(Self { number, file, safe_bytes: 0, bytes: 0, frames: 0, rows: 0, unsafe_frames })
    }

    pub(super) fn append(&mut self, frame: &Waiting) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(frame.frame.len() + 64);
        record::write(&mut bytes, frame);
        self.file.write_all(&bytes)?;
        self.bytes += record::bytes_of(frame);
        self.frames += 1;
        self.rows += frame.rows;
        self.unsafe_frames.push(frame.clone());
        Ok(())
    }

    pub(super) fn sync(&mut self) -> io::Result<()> {
        if !self.unsafe_frames.is_empty() {
            self.file.sync_data()?;
            self.safe_bytes = self.bytes;
            self.unsafe_frames.clear();
        }
        Ok(())
    }

    /// Cuts off what is not safe and returns it.
    pub(super) fn abandon(&mut self) -> Vec<Waiting> {
        if let Err(error) = self.file.set_len(self.safe_bytes) {
            tracing::warn!(%error, "end of a spool journal was not cut off");
        }
        std::mem::take(&mut self.unsafe_frames)
    }
}

pub(super) fn journal_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:012}.journal"))
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// The sealed files, oldest first, and the numbers of the journals that no sealed file replaces.
pub(super) fn list(folder: &Path) -> io::Result<(VecDeque<SealedFile>, Vec<u64>)> {
    let (mut sealed, mut journals) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if name.strip_suffix(".new").is_some() {
            fs::remove_file(entry.path())?;
        } else if let Some(file) = SealedFile::parse(name, entry.metadata()?.len()) {
            sealed.push(file);
        } else if let Some(number) = name.strip_suffix(".journal").and_then(|n| n.parse().ok()) {
            journals.push(number);
        } else if name != LOST {
            tracing::warn!(file = name, "file in the spool is none of its own");
        }
    }
    sealed.sort_by_key(|file| file.number);
    journals.sort_unstable();
    let mut left = Vec::new();
    for number in journals {
        if sealed.iter().any(|file| file.number == number) {
            fs::remove_file(journal_path(folder, number))?;
        } else {
            left.push(number);
        }
    }
    Ok((sealed.into(), left))
}

/// What was thrown away and not told before the last process ended; nothing where that cannot be
/// read.
pub(super) fn read_lost(folder: &Path) -> Lost {
    let text = fs::read_to_string(folder.join(LOST)).unwrap_or_default();
    let numbers: Vec<i64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [frames, rows, from_ms, to_ms] = numbers[..] else { return Lost::default() };
    let count = |number: i64| u64::try_from(number).unwrap_or_default();
    Lost { frames: count(frames), rows: count(rows), from_ms, to_ms }
}

pub(super) fn write_lost(folder: &Path, lost: Lost) -> io::Result<()> {
    let aside = folder.join("lost.new");
    let text = format!("{} {} {} {}\n", lost.frames, lost.rows, lost.from_ms, lost.to_ms);
    let mut file = create(&aside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(aside, folder.join(LOST))
}

pub(super) fn remove_lost(folder: &Path) {
    // It may not be there; if it stays, the same gap is told twice.
    let _ = fs::remove_file(folder.join(LOST));
}
