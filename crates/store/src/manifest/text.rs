//! The text form of a manifest: a line with the format, one JSON object, a line with the checksum.
//!
//! Keeps true: any cut or changed byte is an error.

use super::Manifest;
use crate::disk::DiskError;
use crate::sabotage::{Bug, is_planted};

/// First line.
const HEAD: &str = "plimsoll-manifest ";
/// The format this program writes and reads.
const FORMAT: &str = "1";
/// Start of the last line.
const CRC: &str = "crc32c ";

/// Why bytes are not a manifest, or a manifest cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The disk refused.
    #[error("the manifest cannot be read or written")]
    Disk(#[from] DiskError),
    /// The text lacks its first or last line.
    #[error("a manifest of {bytes} bytes is cut")]
    Cut {
        /// Bytes there are.
        bytes: usize,
    },
    /// Written by a version this program cannot read.
    #[error("manifest has format {found:?}, this program reads format {FORMAT}")]
    Format {
        /// The file's format.
        found: String,
    },
    /// The bytes are not the bytes that were written.
    #[error("manifest is corrupt: checksum {found:08x}, wrote {wrote:08x}")]
    Checksum {
        /// Checksum of the bytes there are.
        found: u32,
        /// Checksum that was written.
        wrote: u32,
    },
    /// The file has another generation inside than in its name.
    #[error("manifest has generation {found} inside, its name says {expected}")]
    Generation {
        /// Generation inside.
        found: u64,
        /// Generation in the name.
        expected: u64,
    },
    /// A segment's names would lead out of the data directory.
    #[error("manifest lists segment {id} under a name that is none")]
    Segment {
        /// The segment.
        id: u64,
    },
    /// The object does not parse.
    #[error("manifest does not parse")]
    Json(#[from] serde_json::Error),
}

pub(super) fn print(manifest: &Manifest) -> Result<Vec<u8>, ManifestError> {
    let mut bytes = format!("{HEAD}{FORMAT}\n").into_bytes();
    serde_json::to_writer(&mut bytes, manifest)?;
    bytes.push(b'\n');
    let crc = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(format!("{CRC}{crc:08x}\n").as_bytes());
    Ok(bytes)
}

pub(super) fn parse(bytes: &[u8]) -> Result<Manifest, ManifestError> {
    let cut = || ManifestError::Cut { bytes: bytes.len() };
    let last_line_bytes = CRC.len().saturating_add(9);
    let at = bytes.len().checked_sub(last_line_bytes).ok_or_else(cut)?;
    let (covered, last) = bytes.split_at_checked(at).ok_or_else(cut)?;
    let digits = last
        .strip_prefix(CRC.as_bytes())
        .and_then(|rest| rest.strip_suffix(b"\n"))
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .ok_or_else(cut)?;
    let wrote = u32::from_str_radix(digits, 16).map_err(|_| cut())?;
    let found = crc32c::crc32c(covered);
    let is_right = wrote == found || is_planted(Bug::SkipCrc);
    if !is_right || digits != format!("{wrote:08x}") {
        return Err(ManifestError::Checksum { found, wrote });
    }
    let text = std::str::from_utf8(covered).map_err(|_| cut())?;
    let (head, object) = text.split_once('\n').ok_or_else(cut)?;
    let format = head.strip_prefix(HEAD).ok_or_else(cut)?;
    if format != FORMAT {
        return Err(ManifestError::Format { found: format.to_owned() });
    }
    let manifest: Manifest = serde_json::from_str(object)?;
    match manifest.segments.iter().find(|segment| !segment.is_sane()) {
        Some(segment) => Err(ManifestError::Segment { id: segment.id }),
        None => Ok(manifest),
    }
}
