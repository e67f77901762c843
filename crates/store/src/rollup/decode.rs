//! Rollup rows as windows, with their buckets.

use arrow_array::ArrayRef;
use plimsoll_model::{Metric, Table};
use plimsoll_window::PartsError;

use super::epochs::{EpochColumns, RowEpochs, read_epochs};
use super::kinds::{Fields, Kept, WindowKind, fields_of};
use crate::scan::Chunk;

/// Which columns of a rollup table to scan for one metric, and where each stands in a chunk.
#[derive(Debug)]
pub(super) struct RollupColumns {
    column: String,
    /// Metrics of the rollup table.
    pub(super) scanned: Vec<usize>,
    /// For each field its place in `scanned`.
    fields: Vec<Option<usize>>,
    /// Places of first, last and other epochs.
    epochs: Option<[usize; 3]>,
}

impl RollupColumns {
    pub(super) fn new(table: &Table, rollup: &Table, metric: &Metric, kind: WindowKind) -> Self {
        let mut scanned = Vec::new();
        let mut place = |metric: usize| {
            scanned.push(metric);
            scanned.len().saturating_sub(1)
        };
        let fields = fields_of(rollup, metric, kind);
        let fields = fields.into_iter().map(|field| field.map(&mut place)).collect();
        let epochs = (kind == WindowKind::Counter).then(|| EpochColumns::of(table, rollup));
        let epochs = epochs.flatten();
        let epochs = epochs.map(|at| [place(at.first), place(at.last), place(at.other)]);
        Self { column: metric.column.clone(), scanned, fields, epochs }
    }

    /// The windows of a chunk's rows, with the start of their buckets.
    pub(super) fn read<W: Kept>(&self, chunk: &Chunk) -> Result<Vec<(i64, W)>, PartsError> {
        let at = |place: usize| chunk.columns.get(place);
        let epochs: Vec<RowEpochs> = match self.epochs {
            Some([first, last, other]) => match (at(first), at(last), at(other)) {
                (Some(first), Some(last), Some(other)) => {
                    read_epochs(chunk.rows(), first, last, other, &self.column)
                }
                _ => Vec::new(),
            },
            None => Vec::new(),
        };
        let arrays: Vec<Option<&ArrayRef>> =
            self.fields.iter().map(|place| place.and_then(at)).collect();
        let fields = Fields { arrays, epochs: &epochs };
        let mut windows = Vec::with_capacity(chunk.rows());
        for (row, time) in chunk.times_ms.iter().enumerate() {
            if let Some(window) = W::read(&fields, row)? {
                windows.push((*time, window));
            }
        }
        Ok(windows)
    }
}
