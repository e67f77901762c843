//! Rows of one table and one UTC day in segment order, read column by column.
//!
//! A column is put together when it is asked for and belongs to the caller, so that writing a
//! segment needs memory for one column, not for all.
//!
//! Holds SORT: spans are in key order, times rise inside a span and repeat nowhere in it.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_buffer::ScalarBuffer;
use plimsoll_model::{Filter, Table, TimeRange};

use super::{Arrangement, DAY_MS, HeadSnapshot};
use crate::scan::SeriesKey;

/// Consecutive rows of one series.
#[derive(Debug, Clone)]
pub struct SeriesSpan {
    /// Who the rows are about.
    pub key: Arc<SeriesKey>,
    /// Index of the first row.
    pub start: usize,
    /// Number of rows, at least one.
    pub rows: usize,
}

#[derive(Debug)]
enum Columns {
    /// Still in a head.
    Head(Arrangement),
    /// One array per metric; `None` is all null.
    Arrays(Vec<Option<ArrayRef>>),
}

/// Rows of one table and one UTC day, sorted, each subject and time once.
#[derive(Debug)]
pub struct SortedRows {
    table: &'static Table,
    day: i64,
    spans: Vec<SeriesSpan>,
    times_ms: ScalarBuffer<i64>,
    columns: Columns,
}

impl SortedRows {
    /// Rows that already stand in columns: `metrics` has one array per metric of the table
    /// (`None`: all null), all as long as `times_ms`; `spans` cover the rows in order.
    ///
    /// `day`: days since 1970 in UTC.
    pub fn from_arrays(
        table: &'static Table,
        day: i64,
        spans: Vec<SeriesSpan>,
        times_ms: ScalarBuffer<i64>,
        metrics: Vec<Option<ArrayRef>>,
    ) -> Self {
        Self { table, day, spans, times_ms, columns: Columns::Arrays(metrics) }
    }

    /// The table.
    pub fn table(&self) -> &'static Table {
        self.table
    }

    /// Days since 1970 in UTC.
    pub fn day(&self) -> i64 {
        self.day
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.times_ms.len()
    }

    /// The series, in key order.
    pub fn spans(&self) -> &[SeriesSpan] {
        &self.spans
    }

    /// Unix milliseconds UTC of every row.
    pub fn times_ms(&self) -> &ScalarBuffer<i64> {
        &self.times_ms
    }

    /// From the earliest row to just after the latest; empty at 0 when there is no row.
    pub fn time_range(&self) -> TimeRange {
        let first = self.times_ms.iter().min().copied().unwrap_or(0);
        let last = self.times_ms.iter().max().map_or(0, |last| last.saturating_add(1));
        TimeRange::new(first, last)
    }

    /// One metric of all rows, by index into [`Table::metrics`]; `None` when every row is null.
    pub fn metric(&self, metric: usize) -> Option<ArrayRef> {
        match &self.columns {
            Columns::Head(arrangement) => arrangement.metric(metric),
            Columns::Arrays(arrays) => arrays.get(metric).cloned().flatten(),
        }
    }
}

/// The days of a sealed head, earliest first.
#[derive(Debug)]
pub struct Days {
    snapshot: Arc<HeadSnapshot>,
    series: Vec<u32>,
    left: std::collections::btree_set::IntoIter<i64>,
}

impl Days {
    pub(super) fn new(snapshot: Arc<HeadSnapshot>) -> Self {
        let series = snapshot.accepted(&Filter::default());
        let left = snapshot.day_numbers().into_iter();
        Self { snapshot, series, left }
    }
}

impl Iterator for Days {
    type Item = SortedRows;

    fn next(&mut self) -> Option<SortedRows> {
        let day = self.left.next()?;
        let start_ms = day.saturating_mul(DAY_MS);
        let range = TimeRange::new(start_ms, start_ms.saturating_add(DAY_MS));
        let arrangement = Arrangement::new(self.snapshot.clone(), &self.series, range);
        let spans = arrangement
            .spans
            .iter()
            .filter_map(|span| {
                let key = self.snapshot.key(span.series)?.clone();
                Some(SeriesSpan { key, start: span.start, rows: span.rows })
            })
            .collect();
        Some(SortedRows {
            table: self.snapshot.table(),
            day,
            spans,
            times_ms: arrangement.times_ms.clone(),
            columns: Columns::Head(arrangement),
        })
    }
}
