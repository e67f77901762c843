//! What can go wrong with a segment file.

use std::io;
use std::path::{Path, PathBuf};

use parquet::errors::ParquetError;
use plimsoll_model::ErrorClass;

/// Why a segment cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SegmentError {
    /// The operating system refused to read.
    #[error("cannot read segment {path}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The operating system refused to write.
    #[error("cannot write segment {path}", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file has another length than was written.
    #[error("segment {path} has {found} bytes, {wrote} were written", path = path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// Its length now.
        found: u64,
        /// Its length in the manifest.
        wrote: u64,
    },
    /// The bytes are not the bytes that were written.
    #[error(
        "segment {path} is corrupt in {part}, {bytes} bytes from byte {offset}: \
         checksum {found:#010x}, wrote {wrote:#010x}",
        path = path.display()
    )]
    Checksum {
        /// The file.
        path: PathBuf,
        /// The column, `footer` or `file`.
        part: String,
        /// First byte of the damaged part.
        offset: u64,
        /// Length of the damaged part.
        bytes: u64,
        /// CRC32C now.
        found: u32,
        /// CRC32C as written.
        wrote: u32,
    },
    /// The bytes are as written, but are not a segment this program understands.
    #[error("segment {path} has an unusable {what}", path = path.display())]
    Layout {
        /// The file.
        path: PathBuf,
        /// The part that is missing or contradicts itself.
        what: &'static str,
    },
    /// The Parquet library cannot make a file of these rows.
    #[error("cannot encode segment {path}", path = path.display())]
    Encode {
        /// The file.
        path: PathBuf,
        /// What the library said.
        source: Box<ParquetError>,
    },
    /// The Parquet library cannot read the file.
    #[error("cannot decode segment {path}", path = path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// What the library said.
        source: Box<ParquetError>,
    },
    /// The series index cannot be packed or unpacked.
    #[error("segment {path} has a series index that cannot be packed or unpacked",
        path = path.display())]
    Pack {
        /// The file.
        path: PathBuf,
        /// What the packer said.
        source: plimsoll_wire::PackError,
    },
}

impl SegmentError {
    /// Damage is `Corrupt`, a missing file `Missing`, everything else `Bug`.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                ErrorClass::Missing
            }
            Self::Read { source, .. } if source.kind() == io::ErrorKind::UnexpectedEof => {
                ErrorClass::Corrupt
            }
            Self::Read { .. } | Self::Write { .. } | Self::Encode { .. } => ErrorClass::Bug,
            Self::Length { .. }
            | Self::Checksum { .. }
            | Self::Layout { .. }
            | Self::Decode { .. }
            | Self::Pack { .. } => ErrorClass::Corrupt,
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        match self {
            Self::Read { path, .. }
            | Self::Write { path, .. }
            | Self::Length { path, .. }
            | Self::Checksum { path, .. }
            | Self::Layout { path, .. }
            | Self::Encode { path, .. }
            | Self::Decode { path, .. }
            | Self::Pack { path, .. } => path,
        }
    }

    pub(super) fn read(path: &Path, source: io::Error) -> Self {
        Self::Read { path: path.to_owned(), source }
    }

    pub(super) fn write(path: &Path, source: io::Error) -> Self {
        Self::Write { path: path.to_owned(), source }
    }

    pub(super) fn encode(path: &Path, source: ParquetError) -> Self {
        Self::Encode { path: path.to_owned(), source: Box::new(source) }
    }

    pub(super) fn decode(path: &Path, source: ParquetError) -> Self {
        Self::Decode { path: path.to_owned(), source: Box::new(source) }
    }

    pub(super) fn layout(path: &Path, what: &'static str) -> Self {
        Self::Layout { path: path.to_owned(), what }
    }
}
