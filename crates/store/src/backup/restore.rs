//! Checks a backup and puts it back.
//!
//! Files are copied into a folder beside the target and proved on the way; only when all are there
//! and durable does the folder get the target's name.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::copy::{Proof, copy, prove};
use super::list::{NAME, place};
use super::{BackupError, BackupList, LIST_BYTES_MAX};
use crate::disk::Disk;
use crate::verify::Progress;

/// Says that a folder is a restore in the making.
const MARKER: &str = "RESTORE.unfinished";

/// What was put back.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RestoreReport {
    /// Generation of the manifest.
    pub generation: u64,
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

fn read_list(backup: &Path) -> Result<BackupList, BackupError> {
    let path = backup.join(NAME);
    let bytes = Disk::new()
        .read(&path, LIST_BYTES_MAX)
        .map_err(|_| BackupError::List { path: path.clone() })?;
    BackupList::parse(&bytes, &path)
}

// A folder in a backup that is a link could lead anywhere.
fn check_folders(backup: &Path, path: &str) -> Result<(), BackupError> {
    let mut folder = backup.to_owned();
    let parts: Vec<&str> = path.split('/').collect();
    for part in parts.iter().take(parts.len().saturating_sub(1)) {
        folder = folder.join(part);
        let found = std::fs::symlink_metadata(&folder)
            .map_err(|source| BackupError::Read { path: folder.clone(), source })?;
        if !found.is_dir() {
            return Err(BackupError::Damaged { path: folder });
        }
    }
    Ok(())
}

/// Checks every byte of the backup in `backup`. Blocks.
///
/// # Errors
///
/// [`BackupError::List`] when it was not finished, [`BackupError::Damaged`] at the first file
/// that is not what was written.
pub fn check(
    backup: &Path,
    mut progress: impl FnMut(Progress<'_>),
) -> Result<RestoreReport, BackupError> {
    let list = read_list(backup)?;
    let mut report = RestoreReport { generation: list.generation, ..RestoreReport::default() };
    let bytes_total = list.files.iter().map(|file| file.bytes).sum();
    for file in &list.files {
        check_folders(backup, &file.path)?;
        let path = place(backup, &file.path);
        let wanted = Proof { bytes: file.bytes, crc32c: file.crc32c };
        if prove(&path, file.bytes.saturating_add(1))? != wanted {
            return Err(BackupError::Damaged { path });
        }
        report.files = report.files.saturating_add(1);
        report.bytes = report.bytes.saturating_add(file.bytes);
        progress(Progress { path: &path, bytes_done: report.bytes, bytes_total });
    }
    Ok(report)
}

/// Puts the backup in `backup` back as the data directory `target`. Blocks.
///
/// `target`: absent or empty. `progress` is called after each file.
///
/// # Errors
///
/// [`BackupError`]; then `target` is as it was.
pub fn restore(
    backup: &Path,
    target: &Path,
    mut progress: impl FnMut(Progress<'_>),
) -> Result<RestoreReport, BackupError> {
    let disk = Disk::new();
    let list = read_list(backup)?;
    if !disk.list(target)?.is_empty() {
        return Err(BackupError::Occupied { path: target.to_owned() });
    }
    let aside = beside(target)?;
    let bytes_total = list.files.iter().map(|file| file.bytes).sum();
    let mut report = RestoreReport { generation: list.generation, ..RestoreReport::default() };
    for name in ["wal", "manifest", "segments"] {
        disk.create_folder(&aside.join(name))?;
    }
    for file in &list.files {
        check_folders(backup, &file.path)?;
        let wanted = Proof { bytes: file.bytes, crc32c: file.crc32c };
        let (from, to) = (place(backup, &file.path), place(&aside, &file.path));
        let limit = file.bytes.saturating_add(1);
        copy(&disk, &from, &to, limit, |proof| proof == wanted)?;
        report.files = report.files.saturating_add(1);
        report.bytes = report.bytes.saturating_add(file.bytes);
        progress(Progress { path: &to, bytes_done: report.bytes, bytes_total });
    }
    disk.remove(&aside.join(MARKER))?;
    disk.sync_folder(&aside)?;
    disk.rename(&aside, target)?;
    Ok(report)
}

// Makes an empty folder beside the target; what an earlier restore left of it goes first.
fn beside(target: &Path) -> Result<PathBuf, BackupError> {
    let disk = Disk::new();
    let name = target.file_name().map_or_else(Default::default, |name| name.to_string_lossy());
    let aside = target.with_file_name(format!("{name}.restoring"));
    let left = disk.list(&aside)?;
    if left.iter().any(|file| file.name() == MARKER) {
        std::fs::remove_dir_all(&aside)
            .map_err(|source| BackupError::Read { path: aside.clone(), source })?;
    } else if !left.is_empty() {
        return Err(BackupError::Occupied { path: aside });
    }
    disk.create_folder(&aside)?;
    disk.create(&aside.join(MARKER))?.sync()?;
    disk.sync_folder(&aside)?;
    Ok(aside)
}
