//! An unchanging view of a head.
//!
//! Not here: sorting its rows (`head::arrange`), answering scans (`scan::heads`).

use std::collections::BTreeSet;
use std::sync::Arc;

use plimsoll_model::{Filter, Table, TimeRange};

use super::DAY_MS;
use super::block::Block;
use super::names::{Names, wide};
use crate::scan::SeriesKey;

/// What a head held at one moment.
#[derive(Debug)]
pub struct HeadSnapshot {
    table: &'static Table,
    keys: Arc<Vec<Arc<SeriesKey>>>,
    /// Series numbers in key order.
    order: Arc<Vec<u32>>,
    texts: Arc<Vec<Arc<str>>>,
    blocks: Vec<Arc<Block>>,
    rows: usize,
    range: Option<TimeRange>,
}

impl HeadSnapshot {
    pub(super) fn new(names: &Names, blocks: Vec<Arc<Block>>, range: Option<TimeRange>) -> Self {
        let rows = blocks.iter().map(|block| block.rows()).sum();
        let (keys, order, texts) = (names.keys().clone(), names.order(), names.texts().clone());
        Self { table: names.table(), keys, order, texts, blocks, rows, range }
    }

    /// The table these are rows of.
    pub fn table(&self) -> &'static Table {
        self.table
    }

    /// Rows, repeated ones included.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Series that were ever pushed.
    pub fn series(&self) -> usize {
        self.keys.len()
    }

    /// From the earliest row to just after the latest; `None` when empty.
    pub fn time_range(&self) -> Option<TimeRange> {
        self.range
    }

    pub(crate) fn blocks(&self) -> &[Arc<Block>] {
        &self.blocks
    }

    pub(crate) fn texts(&self) -> &[Arc<str>] {
        &self.texts
    }

    pub(crate) fn key(&self, series: u32) -> Option<&Arc<SeriesKey>> {
        self.keys.get(wide(series))
    }

    /// Numbers of the series a filter accepts, in key order.
    pub(crate) fn accepted(&self, filter: &Filter) -> Vec<u32> {
        let accepts =
            |series: &u32| self.key(*series).is_some_and(|key| key.accepted_by(self.table, filter));
        self.order.iter().copied().filter(accepts).collect()
    }

    /// Whether each of `series` has a row in the range, in the same order.
    pub(crate) fn present(&self, series: &[u32], range: TimeRange) -> Vec<bool> {
        let mut seen = vec![false; self.keys.len()];
        for block in self.blocks.iter().filter(|block| block.overlaps(range)) {
            for (series, time) in block.series.iter().zip(&block.times_ms) {
                if range.contains(*time)
                    && let Some(place) = seen.get_mut(wide(*series))
                {
                    *place = true;
                }
            }
        }
        series.iter().map(|series| seen.get(wide(*series)).copied().unwrap_or(false)).collect()
    }

    /// UTC days that have rows, as days since 1970.
    pub(crate) fn day_numbers(&self) -> BTreeSet<i64> {
        let mut days = BTreeSet::new();
        let mut latest = None;
        for time in self.blocks.iter().flat_map(|block| &block.times_ms) {
            let day = time.div_euclid(DAY_MS);
            if latest != Some(day) {
                days.insert(day);
                latest = Some(day);
            }
        }
        days
    }
}
