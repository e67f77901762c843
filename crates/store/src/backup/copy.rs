//! Copies one file, proving its bytes on the way.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::BackupError;
use crate::disk::Disk;

/// Bytes copied at once.
const PIECE_BYTES: usize = 1 << 20;

/// Length and CRC32C of what was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Proof {
    pub(super) bytes: u64,
    pub(super) crc32c: u32,
}

/// Reads a regular file to its end and hands it on piece by piece.
///
/// `bytes_max`: more is not read.
fn read(
    path: &Path,
    bytes_max: u64,
    mut each: impl FnMut(&[u8]) -> Result<(), BackupError>,
) -> Result<Proof, BackupError> {
    let failed = |source| BackupError::Read { path: path.to_owned(), source };
    let is_regular = std::fs::symlink_metadata(path).map_err(failed)?.file_type().is_file();
    if !is_regular {
        return Err(failed(io::Error::from(io::ErrorKind::InvalidInput)));
    }
    let mut file = File::open(path).map_err(failed)?.take(bytes_max);
    let mut piece = vec![0; PIECE_BYTES];
    let mut proof = Proof { bytes: 0, crc32c: 0 };
    loop {
        let count = file.read(&mut piece).map_err(failed)?;
        let read = piece.get(..count).unwrap_or_default();
        if read.is_empty() {
            return Ok(proof);
        }
        proof.crc32c = crc32c::crc32c_append(proof.crc32c, read);
        proof.bytes = proof.bytes.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        each(read)?;
    }
}

/// What a file holds.
pub(super) fn prove(path: &Path, bytes_max: u64) -> Result<Proof, BackupError> {
    read(path, bytes_max, |_| Ok(()))
}

/// Copies a file aside, makes it durable, and swaps it in when `is_right` says so of its bytes.
///
/// The folder of `to` is made if needed.
pub(super) fn copy(
    disk: &Disk,
    from: &Path,
    to: &Path,
    bytes_max: u64,
    is_right: impl FnOnce(Proof) -> bool,
) -> Result<Proof, BackupError> {
    if let Some(folder) = to.parent() {
        disk.create_folder(folder)?;
    }
    let aside = to.with_extension("part");
    disk.remove(&aside)?;
    let mut file = disk.create(&aside)?;
    let proof = read(from, bytes_max, |piece| Ok(file.write(piece)?))?;
    if !is_right(proof) {
        disk.remove(&aside)?;
        return Err(BackupError::Damaged { path: from.to_owned() });
    }
    file.sync()?;
    disk.rename(&aside, to)?;
    Ok(proof)
}
