//! Compresses small side data, such as the series index of a segment.
//!
//! Layout: four bytes with the unpacked length (little endian), then one zstd frame.
//! Keeps LIMIT: the unpacked length is checked before memory is taken.

use std::io;

use plimsoll_model::ErrorClass;

/// zstd level of packed data: written once, read often.
const ZSTD_LEVEL: i32 = 3;

/// Why bytes cannot be packed or unpacked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// The bytes are too short to be packed data.
    #[error("packed data of {bytes} bytes is cut")]
    Short {
        /// Bytes there are.
        bytes: usize,
    },
    /// The data would be larger than allowed.
    #[error("packed data has {found} bytes, at most {max} are allowed")]
    Limit {
        /// Unpacked bytes.
        found: usize,
        /// The limit.
        max: usize,
    },
    /// The compressor or decompressor refused.
    #[error("data cannot be packed or unpacked")]
    Zstd {
        /// What it said.
        source: io::Error,
    },
}

impl PackError {
    /// Damaged bytes, except where a limit was reached.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Short { .. } | Self::Zstd { .. } => ErrorClass::Corrupt,
            Self::Limit { .. } => ErrorClass::Limited,
        }
    }
}

/// Compresses `bytes`.
///
/// # Errors
///
/// [`PackError::Limit`] above 4 GiB, [`PackError::Zstd`] when memory is short.
pub fn pack(bytes: &[u8]) -> Result<Vec<u8>, PackError> {
    let max = usize::try_from(u32::MAX).unwrap_or(usize::MAX);
    let length =
        u32::try_from(bytes.len()).map_err(|_| PackError::Limit { found: bytes.len(), max })?;
    let packed =
        zstd::bulk::compress(bytes, ZSTD_LEVEL).map_err(|source| PackError::Zstd { source })?;
    let mut out = Vec::with_capacity(packed.len().saturating_add(4));
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&packed);
    Ok(out)
}

/// Decompresses what [`pack`] made, if that is at most `bytes_max` bytes.
///
/// # Errors
///
/// [`PackError`] for anything that is not exactly packed data of its declared length.
pub fn unpack(bytes: &[u8], bytes_max: usize) -> Result<Vec<u8>, PackError> {
    let short = PackError::Short { bytes: bytes.len() };
    let (length, packed) = bytes.split_first_chunk::<4>().ok_or(short)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    if length > bytes_max {
        return Err(PackError::Limit { found: length, max: bytes_max });
    }
    let unpacked =
        zstd::bulk::decompress(packed, length).map_err(|source| PackError::Zstd { source })?;
    if unpacked.len() != length {
        return Err(PackError::Short { bytes: unpacked.len() });
    }
    Ok(unpacked)
}
