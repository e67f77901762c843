//! Rollup rows that are being made, until there are enough for a row group.

use std::sync::Arc;

use arrow_array::ArrayRef;
use plimsoll_model::Table;

use super::cells::{Cell, CellColumn};
use crate::head::SeriesSpan;
use crate::scan::SeriesKey;
use crate::segment::{SegmentError, SegmentWriter};

/// Rows of one rollup table, column by column; a column without values costs nothing.
pub(super) struct Out {
    table: &'static Table,
    spans: Vec<SeriesSpan>,
    times_ms: Vec<i64>,
    columns: Vec<Option<CellColumn>>,
    /// Rows whose columns were already pushed.
    settled: usize,
}

impl Out {
    pub(super) fn new(table: &'static Table) -> Self {
        let columns = table.metrics().iter().map(|_| None).collect();
        Self { table, spans: Vec::new(), times_ms: Vec::new(), columns, settled: 0 }
    }

    pub(super) fn rows(&self) -> usize {
        self.times_ms.len()
    }

    /// Adds the rows of one series, whose cells follow.
    pub(super) fn add_rows(&mut self, key: &Arc<SeriesKey>, times_ms: impl Iterator<Item = i64>) {
        let start = self.times_ms.len();
        self.times_ms.extend(times_ms);
        let rows = self.times_ms.len().saturating_sub(start);
        if rows > 0 {
            self.spans.push(SeriesSpan { key: key.clone(), start, rows });
        }
    }

    /// Sets one metric of the row that is `row` after those settled. Rows come in order.
    pub(super) fn set(&mut self, metric: usize, row: usize, cell: &Cell) {
        if *cell == Cell::Null {
            return;
        }
        let at = self.settled.saturating_add(row);
        let Some(column_type) = self.table.metrics().get(metric).map(|m| m.column_type) else {
            return;
        };
        let Some(place) = self.columns.get_mut(metric) else { return };
        let column = place.get_or_insert_with(|| CellColumn::new(column_type, at));
        column.pad(at);
        column.push(cell);
    }

    /// All cells of the rows so far are set.
    pub(super) fn settle(&mut self) {
        self.settled = self.times_ms.len();
    }

    /// Writes everything as one row group and starts again.
    pub(super) fn flush(&mut self, writer: &mut SegmentWriter) -> Result<(), SegmentError> {
        let rows = self.times_ms.len();
        let times_ms = std::mem::take(&mut self.times_ms).into();
        let spans = std::mem::take(&mut self.spans);
        self.settled = 0;
        writer.group(&spans, &times_ms, |metric| -> Result<Option<ArrayRef>, SegmentError> {
            let column = self.columns.get_mut(metric).and_then(Option::take);
            Ok(column.map(|mut column| {
                column.pad(rows);
                column.finish()
            }))
        })
    }
}
