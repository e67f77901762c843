//! Deletions of a time range of some series, and what the byte budget took: kept in the manifest.
//!
//! A deletion is effective at once because scans apply it. It stays listed until its range is too
//! old for rows to be admitted there, so that rows which arrive after it stay away, too; by then
//! merges have taken the bytes.

use std::collections::BTreeMap;

use plimsoll_model::{Filter, Table, TimeRange};
use serde::{Deserialize, Serialize};

use super::{SelectorError, parse_selector};
use crate::scan::SeriesKey;
use crate::segment::Resolution;

/// Deletions that may be listed at one time.
pub const DELETIONS_MAX: usize = 1_024;

/// One deletion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// Number; never used twice in a data directory.
    pub id: u64,
    /// Only this table; `None`: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// Which series.
    pub selector: String,
    /// First millisecond, Unix UTC.
    pub start_ms: i64,
    /// Millisecond after the last.
    pub end_ms: i64,
    /// Who asked for it.
    pub who: String,
    /// When.
    pub at_ms: i64,
}

impl Deletion {
    /// Deleted times.
    pub fn range(&self) -> TimeRange {
        TimeRange::new(self.start_ms, self.end_ms)
    }

    /// How a segment's lineage says that it is clean of this.
    pub fn mark(&self) -> String {
        format!("deletion:{}", self.id)
    }

    /// Ready to be asked about series.
    ///
    /// # Errors
    ///
    /// [`SelectorError`] when the selector does not parse.
    pub fn compiled(&self) -> Result<CompiledDeletion, SelectorError> {
        Ok(CompiledDeletion { filter: parse_selector(&self.selector)?, deletion: self.clone() })
    }
}

/// A deletion with its selector parsed.
#[derive(Debug, Clone)]
pub struct CompiledDeletion {
    /// As listed.
    pub deletion: Deletion,
    filter: Filter,
}

impl CompiledDeletion {
    /// Whether it is about a table.
    pub fn is_about(&self, table: &Table) -> bool {
        self.deletion.table.as_deref().is_none_or(|name| name == table.name())
    }

    /// Whether it is about a series of a table.
    pub fn accepts(&self, table: &Table, key: &SeriesKey) -> bool {
        self.is_about(table) && key.accepted_by(table, &self.filter)
    }
}

/// What was taken before its age.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Removed {
    /// Number the next deletion gets.
    pub next_deletion: u64,
    /// In force, earliest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deletions: Vec<Deletion>,
    /// For each resolution: everything before this time was shed for the byte budget.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub shed_until_ms: BTreeMap<Resolution, i64>,
}

impl Removed {
    /// Everything of a resolution before this time was shed.
    pub fn shed_until_ms(&self, resolution: Resolution) -> i64 {
        self.shed_until_ms.get(&resolution).copied().unwrap_or(i64::MIN)
    }

    /// Lists a deletion and gives it its number.
    pub fn add(&mut self, mut deletion: Deletion) -> u64 {
        deletion.id = self.next_deletion;
        self.next_deletion = self.next_deletion.saturating_add(1);
        let id = deletion.id;
        self.deletions.push(deletion);
        id
    }

    /// Takes deletions off the list whose range ends before `admitted_from_ms` and whose rows no
    /// segment can still have: `is_clean` tells by deletion.
    pub fn forget(&mut self, admitted_from_ms: i64, is_clean: impl Fn(&Deletion) -> bool) {
        self.deletions.retain(|deletion| deletion.end_ms > admitted_from_ms || !is_clean(deletion));
    }
}
