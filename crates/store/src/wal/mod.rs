//! The write-ahead log: frames as they were received, durable before they are acknowledged.
//!
//! Files `wal/<16 hex digits>.wal` are written one after another and never opened for writing
//! again. A file in which a write or a sync failed is left at once: what was not acknowledged is
//! written to a new file.
//!
//! Holds ACK. A damaged record costs only itself; a cut tail costs only what was not acknowledged.
//! Not here: what frames mean, which are admitted (`engine`), when a file may go (`engine::flush`).

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

mod record;
mod replay;
mod writer;

use std::path::{Path, PathBuf};

use plimsoll_model::ErrorClass;
use serde::{Deserialize, Serialize};

use crate::disk::DiskError;

pub use replay::{Damage, Reader, Replayed};
pub use writer::{Entry, Group, Placed, Writer};

/// A place in the WAL. Later records have greater positions.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Position {
    /// Number of the file.
    pub file: u64,
    /// Byte offset in the file.
    pub offset: u64,
}

/// Why the WAL cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WalError {
    /// The disk refused.
    #[error("the write-ahead log cannot be used")]
    Disk(#[from] DiskError),
    /// A frame is too long for a record.
    #[error("a frame of {bytes} bytes does not fit a record of {max} bytes")]
    Record {
        /// Length of the frame.
        bytes: usize,
        /// Longest payload.
        max: usize,
    },
}

impl WalError {
    /// As the disk says; a long frame is over a limit.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Disk(error) => error.class(),
            Self::Record { .. } => ErrorClass::Limited,
        }
    }
}

/// Longest payload of a record, in bytes.
pub const PAYLOAD_BYTES_MAX: usize = 16 << 20;

/// Where file `id` stands.
pub(crate) fn file_path(folder: &Path, id: u64) -> PathBuf {
    folder.join(format!("{id:016x}.wal"))
}

/// The id in a file's name; `None` for names this program does not give.
pub(crate) fn file_id(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".wal").filter(|digits| digits.len() == 16)?;
    let plain = digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    plain.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
}

#[cfg(test)]
#[expect(
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "tests count bytes of files they wrote"
)]
mod tests;
