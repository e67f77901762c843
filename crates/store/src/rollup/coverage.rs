//! Which buckets rollups answer for exactly, given the raw rows there are now.
//!
//! A bucket is stale as soon as a raw row in it is not known to the rollup: in a head, or in a
//! segment that came later. Holds ROLL: stale buckets are never used.

use std::collections::BTreeSet;
use std::sync::Arc;

use plimsoll_model::{Table, TimeRange, chain};

use super::length_ms;
use super::plan::{ceil, floor, normal, subtract};
use crate::head::HeadSnapshot;
use crate::manifest::Lineage;
use crate::retention::Hidden;
use crate::scan::View;
use crate::segment::{Resolution, Segment};

/// A live raw segment.
#[derive(Debug, Clone)]
pub struct RawPart {
    /// Its number.
    pub id: u64,
    /// It.
    pub segment: Arc<Segment>,
}

/// A live rollup segment.
#[derive(Debug, Clone)]
pub struct RollupPart {
    /// Its resolution.
    pub resolution: Resolution,
    /// It.
    pub segment: Arc<Segment>,
    /// What it knows.
    pub lineage: Lineage,
}

/// Everything live of one table at one moment.
#[derive(Debug, Clone)]
pub struct TableView {
    /// The table.
    pub table: &'static Table,
    /// Raw segments and heads, as scans read them.
    pub raw: View,
    /// The raw segments with their numbers.
    pub raw_parts: Vec<RawPart>,
    /// Rollups, earliest arrival first.
    pub rollups: Vec<RollupPart>,
    /// What is hidden.
    pub hidden: Arc<Hidden>,
}

impl TableView {
    /// Fresh buckets of a resolution that touch `within`: rising, disjoint, whole buckets.
    pub(super) fn fresh(&self, resolution: Resolution, within: TimeRange) -> Vec<TimeRange> {
        let mut fresh = Vec::new();
        for rollup in self.rollups.iter().filter(|rollup| rollup.resolution == resolution) {
            let covered = TimeRange::new(rollup.lineage.from_ms, rollup.lineage.until_ms);
            if covered.overlaps(&within) {
                let holes = normal(self.stale(rollup, covered));
                fresh.extend(subtract(&[covered], &holes));
            }
        }
        normal(fresh)
    }

    fn stale(&self, rollup: &RollupPart, covered: TimeRange) -> Vec<TimeRange> {
        let length_ms = length_ms(rollup.resolution);
        let whole = |range: TimeRange| {
            TimeRange::new(floor(range.start_ms, length_ms), ceil(range.end_ms, length_ms))
        };
        let mut stale = Vec::new();
        for raw in &self.raw_parts {
            let range = raw.segment.meta().time_range();
            if rollup.lineage.made_from.contains(&raw.id) || !range.overlaps(&covered) {
                continue;
            }
            match raw.segment.spans() {
                Ok(spans) => stale.extend(spans.iter().map(|span| {
                    whole(TimeRange::new(span.first_ms, span.last_ms.saturating_add(1)))
                })),
                Err(error) => {
                    tracing::warn!(error = %chain(&error), "index of a raw segment not read");
                    stale.push(whole(range));
                }
            }
        }
        for head in &self.raw.heads {
            stale.extend(head_buckets(head, covered, length_ms));
        }
        let clean = &rollup.lineage.clean_of;
        stale.extend(self.hidden.deleted_unless(self.table, clean).map(whole));
        stale
    }
}

/// Buckets in which a head has rows.
fn head_buckets(head: &HeadSnapshot, within: TimeRange, length_ms: i64) -> Vec<TimeRange> {
    if !head.time_range().is_some_and(|range| range.overlaps(&within)) {
        return Vec::new();
    }
    let mut starts = BTreeSet::new();
    let mut latest = None;
    for block in head.blocks().iter().filter(|block| block.overlaps(within)) {
        for time in block.times_ms.iter().filter(|time| within.contains(**time)) {
            let start = floor(*time, length_ms);
            if latest != Some(start) {
                starts.insert(start);
                latest = Some(start);
            }
        }
    }
    starts.into_iter().map(|start| TimeRange::new(start, start.saturating_add(length_ms))).collect()
}
