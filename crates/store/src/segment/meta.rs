//! What the manifest must know of a segment to use it and to prove its bytes.

use std::fmt;
use std::str::FromStr;

use plimsoll_model::{ErrorClass, TimeRange};
use serde::{Deserialize, Serialize};

/// How far apart the rows of a series are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Resolution {
    /// As collected.
    #[serde(rename = "raw")]
    Raw,
    /// Windows of five minutes.
    #[serde(rename = "5m")]
    FiveMinutes,
    /// Windows of one hour.
    #[serde(rename = "1h")]
    Hour,
}

impl Resolution {
    /// All, finest first.
    pub const ALL: [Self; 3] = [Self::Raw, Self::FiveMinutes, Self::Hour];

    /// The name in paths and metadata.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::FiveMinutes => "5m",
            Self::Hour => "1h",
        }
    }
}

impl fmt::Display for Resolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no resolution.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no resolution {found:?}, there are raw, 5m and 1h")]
pub struct UnknownResolution {
    /// The text.
    pub found: String,
}

impl UnknownResolution {
    /// Always the asker's mistake.
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Invalid
    }
}

impl FromStr for Resolution {
    type Err = UnknownResolution;

    fn from_str(text: &str) -> Result<Self, UnknownResolution> {
        Self::ALL
            .into_iter()
            .find(|resolution| resolution.name() == text)
            .ok_or_else(|| UnknownResolution { found: text.to_owned() })
    }
}

/// Facts of one segment file, kept in the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentMeta {
    /// Length of the file in bytes.
    pub bytes: u64,
    /// Rows.
    pub rows: u64,
    /// Samples: metric values that are not null.
    pub samples: u64,
    /// Series: distinct subjects with keys.
    pub series: u64,
    /// Time of the first row, Unix milliseconds UTC.
    pub start_ms: i64,
    /// Millisecond after the last row.
    pub end_ms: i64,
    /// CRC32C of the whole file.
    pub crc32c: u32,
    /// Where the column chunks end and page indexes and footer begin.
    pub index_offset: u64,
    /// CRC32C of everything from `index_offset` to the end of the file.
    pub index_crc32c: u32,
}

impl SegmentMeta {
    /// From the first row to just after the last.
    pub fn time_range(&self) -> TimeRange {
        TimeRange::new(self.start_ms, self.end_ms)
    }
}
