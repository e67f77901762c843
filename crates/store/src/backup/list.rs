//! The file `BACKUP`: which files a backup has, and what proves their bytes.
//!
//! A line with the format, one JSON object, a line with the checksum of both. It is written last:
//! a folder without it is no backup.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::BackupError;

/// Name of the file.
pub(super) const NAME: &str = "BACKUP";
const HEAD: &str = "plimsoll-backup 1";
const CRC: &str = "crc32c ";

/// One file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupFile {
    /// Path below the backup, of the same form as below a data directory.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// CRC32C of all its bytes.
    pub crc32c: u32,
}

/// What a backup holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupList {
    /// Generation of the manifest it holds.
    pub generation: u64,
    /// All its files.
    pub files: Vec<BackupFile>,
}

impl BackupList {
    pub(super) fn print(&self) -> Result<Vec<u8>, BackupError> {
        let object = serde_json::to_string(self).map_err(|source| BackupError::Json { source })?;
        let mut text = format!("{HEAD}\n{object}\n");
        let crc = crc32c::crc32c(text.as_bytes());
        text.push_str(CRC);
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(format!("{crc:08x}\n").as_bytes());
        Ok(bytes)
    }

    /// Reads a list; every path in it stays below the backup.
    pub(super) fn parse(bytes: &[u8], path: &Path) -> Result<Self, BackupError> {
        let damaged = || BackupError::List { path: path.to_owned() };
        let text = std::str::from_utf8(bytes).map_err(|_| damaged())?;
        let (covered, crc) = text.rsplit_once(CRC).ok_or_else(damaged)?;
        let wrote = u32::from_str_radix(crc.trim_end(), 16).map_err(|_| damaged())?;
        if crc32c::crc32c(covered.as_bytes()) != wrote {
            return Err(damaged());
        }
        let (head, object) = covered.split_once('\n').ok_or_else(damaged)?;
        if head != HEAD {
            return Err(BackupError::Format { found: head.to_owned() });
        }
        let list: Self =
            serde_json::from_str(object).map_err(|source| BackupError::Json { source })?;
        match list.files.iter().find(|file| !is_sane(&file.path)) {
            Some(file) => Err(BackupError::Name { name: file.path.clone() }),
            None => Ok(list),
        }
    }
}

/// Whether a path is one that this program gives to a file of a data directory.
pub(super) fn is_sane(path: &str) -> bool {
    let plain = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    };
    let number = |text: &str| {
        text.len() == 16 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let parts: Vec<&str> = path.split('/').collect();
    match parts[..] {
        ["wal", name] => name.strip_suffix(".wal").is_some_and(number),
        ["manifest", name] => number(name),
        ["segments", table, resolution, date, name] => {
            table.strip_prefix("table=").is_some_and(plain)
                && resolution.strip_prefix("resolution=").is_some_and(plain)
                && date.strip_prefix("date=").is_some_and(plain)
                && name.strip_suffix(".parquet").is_some_and(number)
        }
        _ => false,
    }
}

/// The place of a listed file below a folder.
pub(super) fn place(folder: &Path, path: &str) -> PathBuf {
    path.split('/').fold(folder.to_owned(), |folder, part| folder.join(part))
}
