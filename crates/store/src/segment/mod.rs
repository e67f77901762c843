//! One immutable Parquet file of one table, resolution and UTC day.
//!
//! [`write`] makes the file, [`Segment`] reads it. The byte layout is `docs/formats/segment.md`.
//!
//! Holds SORT, and CORRUPT: every byte that is decoded was checked against a CRC32C first: page
//! indexes, footer and series index against [`SegmentMeta`], each column chunk against the footer.
//! Holds SEG together with `manifest`: a file is never changed after it was written.
//! Not here: syncing and renaming files (`engine`), which files are live (`manifest`).

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

mod chunks;
mod error;
mod index;
mod meta;
mod plan;
mod read;
mod stream;
mod write;

pub use error::SegmentError;
pub use index::IndexedSpan;
pub use meta::{Resolution, SegmentMeta, UnknownResolution};
pub use plan::{Encoding, EncodingPlan};
pub use read::Segment;
pub(crate) use read::{SegmentIndex, SegmentReader};
pub(crate) use stream::{SegmentWriter, encoded_bytes};
pub use write::{write, write_with};

/// Value of the metadata key `plimsoll.format` that this program writes and reads.
pub const FORMAT: &str = "1";

/// Names of the Parquet key-value metadata.
pub mod keys {
    /// Version of this layout.
    pub const FORMAT: &str = "plimsoll.format";
    /// Table name.
    pub const TABLE: &str = "plimsoll.table";
    /// `raw`, `5m` or `1h`.
    pub const RESOLUTION: &str = "plimsoll.resolution";
    /// First millisecond, Unix UTC.
    pub const START_MS: &str = "plimsoll.start_ms";
    /// Millisecond after the last row, Unix UTC.
    pub const END_MS: &str = "plimsoll.end_ms";
    /// The series index: base64 of packed bytes.
    pub const SERIES: &str = "plimsoll.series";
    /// Metric columns without any value, separated by commas; absent: not known.
    pub const EMPTY: &str = "plimsoll.empty";
    /// CRC32C of each column chunk: base64 of little-endian `u32`, row group by row group.
    pub const CHECKSUMS: &str = "plimsoll.crc32c";
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "numbers in tests are small")]
mod tests;
