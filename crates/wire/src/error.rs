//! Why bytes are not a frame, or a batch cannot become one.
//!
//! Not here: errors of packed side data (`pack`).

use std::io;

use arrow_schema::ArrowError;
use plimsoll_model::{BatchError, ErrorClass};

/// Why bytes are not a frame, or a batch cannot become one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// There are fewer bytes than the frame says, or than any frame has.
    #[error("frame ends after {found} bytes, expected {expected}")]
    Short {
        /// Bytes the frame should have.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// There are bytes after the frame.
    #[error("{bytes} bytes stand after the frame")]
    Trailing {
        /// How many.
        bytes: u64,
    },
    /// The first bytes are not those of a frame.
    #[error("not a frame: it starts with {found:02x?}")]
    Magic {
        /// The first four bytes.
        found: [u8; 4],
    },
    /// Written by a version this program cannot read.
    #[error("frame has format {found}, this program reads format {expected}")]
    Format {
        /// The frame's format.
        found: u16,
        /// The format this program reads.
        expected: u16,
    },
    /// The bytes are not the bytes that were written.
    #[error("frame is corrupt: checksum {found:#010x}, wrote {wrote:#010x}")]
    Checksum {
        /// Checksum of the bytes that came.
        found: u32,
        /// Checksum the sender wrote.
        wrote: u32,
    },
    /// A header field has a value no encoder writes.
    #[error("frame header is wrong: {what}")]
    Header {
        /// Which rule is broken.
        what: &'static str,
    },
    /// A limit of [`FrameLimits`](crate::FrameLimits) was reached.
    #[error("frame has {found} {what}, at most {max} are allowed")]
    Limit {
        /// What is counted.
        what: &'static str,
        /// How many there are.
        found: u64,
        /// The limit.
        max: u64,
    },
    /// The compressed body cannot be decompressed to the size it declares.
    #[error("frame body cannot be decompressed")]
    Decompress {
        /// What the decompressor said.
        source: io::Error,
    },
    /// The checksum holds, but the body is not rows as [`encode`](crate::encode) writes them.
    #[error("frame body is not rows of a table: {what}")]
    Body {
        /// Which rule is broken.
        what: &'static str,
    },
    /// A column has another type than the registry says.
    #[error("frame column {table}.{column} has a wrong type")]
    ColumnType {
        /// The table.
        table: &'static str,
        /// The column.
        column: String,
    },
    /// The rows do not fit their table; names the table or column.
    #[error("frame does not fit the tables")]
    Rows(#[from] BatchError),
    /// Arrow refused to build or to write an array.
    #[error("rows cannot be turned into arrow bytes or back")]
    Arrow(#[from] ArrowError),
    /// The body cannot be compressed.
    #[error("frame body cannot be compressed")]
    Compress {
        /// What the compressor said.
        source: io::Error,
    },
}

impl FrameError {
    /// What a caller can do: resend damaged bytes, correct the sender, or send less at once.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Short { .. }
            | Self::Trailing { .. }
            | Self::Magic { .. }
            | Self::Checksum { .. } => ErrorClass::Corrupt,
            Self::Limit { .. } => ErrorClass::Limited,
            Self::Compress { .. } => ErrorClass::Bug,
            Self::Format { .. }
            | Self::Header { .. }
            | Self::Decompress { .. }
            | Self::Body { .. }
            | Self::ColumnType { .. }
            | Self::Rows(_)
            | Self::Arrow(_) => ErrorClass::Invalid,
        }
    }
}
