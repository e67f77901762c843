//! What would go, by age, rule and byte budget: pure plans over the list of segments.
//!
//! The budget sheds whole days, the oldest first: raw, then 5m, then 1h together with the tables
//! that are not rolled up. The latest day of anything is never shed.

use std::collections::{BTreeMap, BTreeSet};

use plimsoll_model::registry::RollupRules;
use plimsoll_model::{Registry, Table};
use serde::Serialize;

use super::Hidden;
use crate::head::DAY_MS;
use crate::manifest::SegmentEntry;
use crate::segment::Resolution;

/// The hard limit of bytes in segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Bytes all live segments may have; `None`: no limit.
    pub bytes_max: Option<u64>,
}

/// Why a segment goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// All its rows are past their age.
    Age,
    /// The byte budget.
    Budget,
    /// A rule or deletion takes some of its rows.
    Partly,
}

/// One segment that would go or shrink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DryRunLine {
    /// Its table.
    pub table: String,
    /// Its resolution.
    pub resolution: Resolution,
    /// Its day.
    pub date: String,
    /// Its number.
    pub segment: u64,
    /// Why.
    pub reason: Reason,
    /// Rows that go; of `partly` the most there can be.
    pub rows: u64,
    /// Bytes that go; of `partly` the most there can be.
    pub bytes: u64,
}

/// What would go now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DryRun {
    /// One line per segment.
    pub segments: Vec<DryRunLine>,
    /// Rows of all segments that go whole.
    pub rows: u64,
    /// Bytes of all segments that go whole.
    pub bytes: u64,
    /// Bytes of all live segments now.
    pub bytes_live: u64,
    /// For each resolution: where the budget would move the oldest row returned.
    pub shed_until_ms: BTreeMap<Resolution, i64>,
}

/// What retention would do with these segments now.
pub fn dry_run(entries: &[SegmentEntry], hidden: &Hidden, budget: Budget) -> DryRun {
    let mut run = DryRun {
        bytes_live: entries.iter().map(|entry| entry.meta.bytes).sum(),
        ..DryRun::default()
    };
    let mut left: Vec<&SegmentEntry> = Vec::new();
    for entry in entries {
        let Some(table) = Registry::embedded().table(&entry.table) else { continue };
        if is_over(table, entry, hidden) {
            run.add(entry, Reason::Age);
        } else {
            left.push(entry);
        }
    }
    run.shed_until_ms = shed(&left, budget);
    for entry in left {
        let until = run.shed_until_ms.get(&shed_class(entry)).copied();
        let Some(table) = Registry::embedded().table(&entry.table) else { continue };
        if until.is_some_and(|until| entry.meta.end_ms <= until) {
            run.add(entry, Reason::Budget);
        } else if !hidden.pending(table, entry).is_empty() {
            run.add(entry, Reason::Partly);
        }
    }
    run
}

/// Whether every row of a segment is past its age or was shed.
pub(crate) fn is_over(table: &Table, entry: &SegmentEntry, hidden: &Hidden) -> bool {
    entry.meta.end_ms <= hidden.table_floor_ms(table, entry.resolution)
}

impl DryRun {
    fn add(&mut self, entry: &SegmentEntry, reason: Reason) {
        if reason != Reason::Partly {
            self.rows = self.rows.saturating_add(entry.meta.rows);
            self.bytes = self.bytes.saturating_add(entry.meta.bytes);
        }
        self.segments.push(DryRunLine {
            table: entry.table.clone(),
            resolution: entry.resolution,
            date: entry.date.clone(),
            segment: entry.id,
            reason,
            rows: entry.meta.rows,
            bytes: entry.meta.bytes,
        });
    }
}

/// Raw rows of tables that are not rolled up go as late as 1h.
fn shed_class(entry: &SegmentEntry) -> Resolution {
    let rolled_up = Registry::embedded()
        .table(&entry.table)
        .is_some_and(|table| RollupRules::embedded().rolls_up(table));
    if rolled_up { entry.resolution } else { Resolution::Hour }
}

/// For each resolution the time before which everything must go to fit the budget; resolutions
/// that stay whole are not named.
pub fn shed(entries: &[&SegmentEntry], budget: Budget) -> BTreeMap<Resolution, i64> {
    let mut until = BTreeMap::new();
    let Some(bytes_max) = budget.bytes_max else { return until };
    let mut bytes: u64 = entries.iter().map(|entry| entry.meta.bytes).sum();
    for class in Resolution::ALL {
        let of_class = entries.iter().filter(|entry| shed_class(entry) == class);
        let of_class: Vec<_> = of_class.map(|entry| (day(entry), entry.meta.bytes)).collect();
        let days: BTreeSet<i64> = of_class.iter().map(|(day, _)| *day).collect();
        let latest = days.last().copied();
        for day in days {
            if bytes <= bytes_max {
                return until;
            }
            if Some(day) == latest {
                break;
            }
            let gone = of_class.iter().filter(|(of, _)| *of == day);
            bytes = bytes.saturating_sub(gone.map(|(_, bytes)| *bytes).sum());
            until.insert(class, day.saturating_add(1).saturating_mul(DAY_MS));
        }
    }
    until
}

/// Days since 1970 of a segment's rows.
pub(crate) fn day(entry: &SegmentEntry) -> i64 {
    entry.meta.start_ms.div_euclid(DAY_MS)
}
