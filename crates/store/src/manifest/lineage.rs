//! Where the rows of a segment come from: what replaces what, and what a rollup was made of.

use serde::{Deserialize, Serialize};

/// Where the rows of a segment come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lineage {
    /// Of rows with one series and time, the one in the segment with the highest order counts.
    /// 0: the segment's id, as flushes have it; a merge takes the highest of its inputs.
    #[serde(skip_serializing_if = "is_zero")]
    pub order: u64,
    /// Of a rollup: ids of the raw segments it knows, earliest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub made_from: Vec<u64>,
    /// Of a rollup: start of the first bucket it answers for, Unix milliseconds.
    #[serde(skip_serializing_if = "is_never")]
    pub from_ms: i64,
    /// Of a rollup: end of the last bucket it answers for.
    #[serde(skip_serializing_if = "is_never")]
    pub until_ms: i64,
    /// When a merge or rollup made it; 0 for a flush.
    #[serde(skip_serializing_if = "is_never")]
    pub made_ms: i64,
    /// Deletions and retention rules whose rows are no longer in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub clean_of: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_never(value: &i64) -> bool {
    *value == 0
}
