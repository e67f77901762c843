//! A fixed number of rows in the order they came, column by column.
//!
//! A column that no row of the block has costs nothing. A finished block never changes and is
//! shared by all snapshots.
//!
//! Holds NULL: a value that was not in the batch is null.
//! Not here: what the series and text numbers mean (`head::names`).

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef};
use plimsoll_model::{Batch, Column, ColumnType, TimeRange};

use super::names::{NO_TEXT, Names};

/// Rows per block: small enough to copy an open block for a snapshot, large enough that
/// blocks do not count.
pub(crate) const BLOCK_ROWS: usize = 4_096;

/// Values of one metric in one block, with a flag per row where some rows have none.
#[derive(Debug, Clone)]
pub(crate) enum Values {
    Int(Vec<i64>, Option<Vec<bool>>),
    Float(Vec<f64>, Option<Vec<bool>>),
    /// Text numbers; null is [`NO_TEXT`].
    Text(Vec<u32>),
}

/// Rows in the order they came.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    pub(crate) series: Vec<u32>,
    pub(crate) times_ms: Vec<i64>,
    /// One per metric of the table; `None` when every row is null.
    pub(crate) metrics: Vec<Option<Values>>,
    /// First and last time of any row, both inside.
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
}

/// The columns of a batch, numbered, ready to be copied into blocks.
pub(crate) struct Incoming<'a> {
    series: Vec<u32>,
    times_ms: &'a [i64],
    metrics: Vec<(usize, IncomingValues<'a>)>,
}

enum IncomingValues<'a> {
    Plain(&'a ArrayRef),
    Text(Vec<u32>),
}

impl<'a> Incoming<'a> {
    pub(crate) fn new(batch: &'a Batch, names: &mut Names) -> Self {
        let series = names.series_of(batch);
        let table = batch.table();
        let mut metrics = Vec::with_capacity(batch.column_indexes().len());
        for (column, values) in batch.column_indexes().iter().zip(batch.rows().columns()) {
            let Some(Column::Metric(metric)) = table.columns().get(*column) else { continue };
            if values.null_count() == values.len() {
                continue;
            }
            let kind = table.metrics().get(*metric).map(|metric| metric.column_type);
            let values = match kind {
                Some(ColumnType::Text) => IncomingValues::Text(names.texts_of(batch, *column)),
                _ => IncomingValues::Plain(values),
            };
            metrics.push((*metric, values));
        }
        Self { series, times_ms: batch.times_ms(), metrics }
    }

    pub(crate) fn rows(&self) -> usize {
        self.times_ms.len()
    }
}

impl Block {
    pub(crate) fn new(metrics: usize) -> Self {
        Self {
            series: Vec::new(),
            times_ms: Vec::new(),
            metrics: vec![None; metrics],
            first_ms: i64::MAX,
            last_ms: i64::MIN,
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.times_ms.len()
    }

    /// Whether a row may lie in the range.
    pub(crate) fn overlaps(&self, range: TimeRange) -> bool {
        self.first_ms < range.end_ms && self.last_ms >= range.start_ms
    }

    /// Bytes of memory, by capacity.
    pub(crate) fn bytes(&self) -> usize {
        let flags = |valid: &Option<Vec<bool>>| valid.as_ref().map_or(0, Vec::capacity);
        let metrics: usize = self
            .metrics
            .iter()
            .flatten()
            .map(|values| match values {
                Values::Int(values, valid) => {
                    values.capacity().saturating_mul(8).saturating_add(flags(valid))
                }
                Values::Float(values, valid) => {
                    values.capacity().saturating_mul(8).saturating_add(flags(valid))
                }
                Values::Text(numbers) => numbers.capacity().saturating_mul(4),
            })
            .sum();
        let rows = self.times_ms.capacity().saturating_mul(8);
        metrics.saturating_add(rows).saturating_add(self.series.capacity().saturating_mul(4))
    }

    /// Copies rows `from..from + rows` of a batch; the caller keeps the block within its size.
    pub(crate) fn append(&mut self, incoming: &Incoming<'_>, from: usize, rows: usize) {
        let before = self.rows();
        let until = from.saturating_add(rows);
        let times = incoming.times_ms.get(from..until).unwrap_or(&[]);
        for time in times {
            self.first_ms = self.first_ms.min(*time);
            self.last_ms = self.last_ms.max(*time);
        }
        extend(&mut self.times_ms, times);
        extend(&mut self.series, incoming.series.get(from..until).unwrap_or(&[]));
        for (metric, values) in &incoming.metrics {
            let Some(place) = self.metrics.get_mut(*metric) else { continue };
            append_values(place, values, before, from, rows);
        }
        let rows = self.rows();
        for values in self.metrics.iter_mut().flatten() {
            values.pad(rows);
        }
    }
}

impl Values {
    /// Adds nulls until there are `rows` rows.
    fn pad(&mut self, rows: usize) {
        match self {
            Self::Int(values, valid) => pad(values, valid, rows),
            Self::Float(values, valid) => pad(values, valid, rows),
            Self::Text(numbers) => {
                if numbers.len() < rows {
                    reserve(numbers, rows.saturating_sub(numbers.len()));
                    numbers.resize(rows, NO_TEXT);
                }
            }
        }
    }
}

fn pad<T: Default + Clone>(values: &mut Vec<T>, valid: &mut Option<Vec<bool>>, rows: usize) {
    let missing = rows.saturating_sub(values.len());
    if missing == 0 {
        return;
    }
    let flags = valid.get_or_insert_with(|| vec![true; values.len()]);
    reserve(flags, missing);
    flags.resize(rows, false);
    reserve(values, missing);
    values.resize(rows, T::default());
}

fn append_values(
    place: &mut Option<Values>,
    incoming: &IncomingValues<'_>,
    before: usize,
    from: usize,
    rows: usize,
) {
    match incoming {
        IncomingValues::Text(numbers) => {
            let slot = place.get_or_insert_with(|| Values::Text(Vec::new()));
            slot.pad(before);
            if let Values::Text(stored) = slot {
                let until = from.saturating_add(rows);
                extend(stored, numbers.get(from..until).unwrap_or(&[]));
            }
        }
        IncomingValues::Plain(array) => {
            if let Some(ints) = array.as_primitive_opt::<Int64Type>() {
                let slot = place.get_or_insert_with(|| Values::Int(Vec::new(), None));
                slot.pad(before);
                if let Values::Int(values, valid) = slot {
                    append_plain(values, valid, ints.values(), array, from, rows);
                }
            } else if let Some(floats) = array.as_primitive_opt::<Float64Type>() {
                let slot = place.get_or_insert_with(|| Values::Float(Vec::new(), None));
                slot.pad(before);
                if let Values::Float(values, valid) = slot {
                    append_plain(values, valid, floats.values(), array, from, rows);
                }
            }
        }
    }
}

fn append_plain<T: Copy>(
    values: &mut Vec<T>,
    valid: &mut Option<Vec<bool>>,
    source: &[T],
    array: &ArrayRef,
    from: usize,
    rows: usize,
) {
    if array.null_count() > 0 {
        let flags = valid.get_or_insert_with(|| vec![true; values.len()]);
        reserve(flags, rows);
        flags.extend((from..from.saturating_add(rows)).map(|row| array.is_valid(row)));
    } else if let Some(flags) = valid {
        reserve(flags, rows);
        flags.resize(flags.len().saturating_add(rows), true);
    }
    extend(values, source.get(from..from.saturating_add(rows)).unwrap_or(&[]));
}

fn extend<T: Copy>(values: &mut Vec<T>, more: &[T]) {
    reserve(values, more.len());
    values.extend_from_slice(more);
}

/// Grows by doubling, but not past the block's size.
fn reserve<T>(values: &mut Vec<T>, more: usize) {
    let needed = values.len().saturating_add(more);
    if needed > values.capacity() {
        let doubled = values.capacity().saturating_mul(2).clamp(64, BLOCK_ROWS);
        values.reserve_exact(needed.max(doubled).saturating_sub(values.len()));
    }
}
