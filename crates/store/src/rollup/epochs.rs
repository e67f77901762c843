//! Epochs of counters in rollups: two columns for the row, one more for what differs.
//!
//! `started_at_ms_first` and `_last` are the first and last value of the row's state; a counter
//! that was null around a restart may have begun or ended in another epoch. Those few are listed
//! by column in `started_at_ms_other`, a JSON object of `[first, last]`.

use std::collections::BTreeMap;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, StringArray};
use plimsoll_model::Table;
use plimsoll_model::registry::{EPOCHS_OTHER, RollupRules};

use super::cells::{Cell, value};
use super::kinds::column_of;

/// Epochs of the first and last sample of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct RowEpochs {
    pub(super) first: Option<i64>,
    pub(super) last: Option<i64>,
}

/// Which columns tell epochs.
#[derive(Debug, Clone, Copy)]
pub(super) struct EpochColumns {
    /// Metric of the table itself.
    pub(super) raw: usize,
    /// Metrics of the rollup table.
    pub(super) first: usize,
    pub(super) last: usize,
    pub(super) other: usize,
}

impl EpochColumns {
    /// `None`: counters of this table have no epochs.
    pub(super) fn of(table: &Table, rollup: &Table) -> Option<Self> {
        let shared = RollupRules::embedded().shared.first()?;
        let column = &shared.when_column;
        Some(Self {
            raw: table.metric_index(column)?,
            first: column_of(rollup, &format!("{column}_first"))?,
            last: column_of(rollup, &format!("{column}_last"))?,
            other: column_of(rollup, &format!("{column}_{EPOCHS_OTHER}"))?,
        })
    }
}

/// What differs in one row: column to epochs.
pub(super) type Others = BTreeMap<String, (Option<i64>, Option<i64>)>;

/// The cell of a row's list.
pub(super) fn others_cell(others: &Others) -> Cell {
    if others.is_empty() {
        return Cell::Null;
    }
    serde_json::to_string(others).map_or(Cell::Null, |text| Cell::Text(text.into()))
}

/// The epochs of one counter in every row of a scanned chunk.
pub(super) fn read_epochs(
    rows: usize,
    first: &ArrayRef,
    last: &ArrayRef,
    other: &ArrayRef,
    column: &str,
) -> Vec<RowEpochs> {
    let first = first.as_primitive_opt::<Int64Type>();
    let last = last.as_primitive_opt::<Int64Type>();
    let mut epochs: Vec<RowEpochs> = (0..rows)
        .map(|row| RowEpochs { first: value(first, row), last: value(last, row) })
        .collect();
    if other.null_count() == other.len() {
        return epochs;
    }
    let Some(texts) = other.as_dictionary_opt::<Int32Type>() else { return epochs };
    let Some(values) = texts.values().as_any().downcast_ref::<StringArray>() else {
        return epochs;
    };
    for (row, epochs) in epochs.iter_mut().enumerate() {
        let Some(key) = value(Some(texts.keys()), row) else { continue };
        let Some(key) = usize::try_from(key).ok().filter(|key| *key < values.len()) else {
            continue;
        };
        let others: Option<Others> = serde_json::from_str(values.value(key)).ok();
        if let Some((first, last)) = others.and_then(|others| others.get(column).copied()) {
            *epochs = RowEpochs { first, last };
        }
    }
    epochs
}
