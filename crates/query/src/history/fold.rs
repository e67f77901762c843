//! Folds the rows of one series into one value per step.
//!
//! Holds NULL: a step without reported samples has no value.
//! Not here: bringing series together (`history::evaluate`), window arithmetic (`window`).

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef};
use plimsoll_store::{Chunk, SeriesRows};
use plimsoll_window::{
    Bits, CounterColumn, CounterFold, CounterSample, CounterStep, EPOCH_UNKNOWN, GaugeColumn,
    GaugeFold, GaugeValue, GaugeWindow, Steps, each_rate,
};

use super::evaluate::epoch_column;
use super::{HistoryRequest, MetricChoice, Reading, Stat};

/// Which metric columns a scan reads, and what each is for.
#[derive(Debug)]
pub(super) struct Columns {
    scanned: Vec<usize>,
    values: usize,
    has_epoch: bool,
}

impl Columns {
    /// The columns of the metric, and of the start of its owner where a counter has one.
    pub(super) fn of(metric: &MetricChoice) -> Self {
        let mut scanned = metric.metrics.clone();
        let values = scanned.len();
        let epoch = epoch_column(metric.table)
            .filter(|index| metric.reading == Reading::Rate && !scanned.contains(index));
        scanned.extend(epoch);
        Self { scanned, values, has_epoch: epoch.is_some() }
    }

    /// Indexes into the table's metrics.
    pub(super) fn scanned(&self) -> &[usize] {
        &self.scanned
    }
}

/// One value per step, in the unit of the answer.
pub(super) fn fold_series(
    series: &SeriesRows,
    columns: &Columns,
    steps: &Steps,
    request: &HistoryRequest,
) -> Vec<Option<f64>> {
    let mut total = vec![None; steps.len()];
    for position in 0..columns.values {
        let values = match request.metric.reading {
            Reading::Rate => fold_rate(series, columns, position, steps, request.stat),
            Reading::Level => fold_level(series, position, steps, request.stat),
        };
        for (place, value) in total.iter_mut().zip(values) {
            if let Some(value) = value {
                *place = Some(place.unwrap_or(0.0) + value / request.metric.divide_by);
            }
        }
    }
    total
}

fn fold_rate(
    series: &SeriesRows,
    columns: &Columns,
    position: usize,
    steps: &Steps,
    stat: Stat,
) -> Vec<Option<f64>> {
    let chunks = series.chunks.iter().map(|chunk| CounterChunk::of(chunk, columns, position));
    if let Stat::Min | Stat::Quantile(_) = stat {
        let mut rates = vec![Vec::new(); steps.len()];
        let mut previous: Option<CounterSample> = None;
        for chunk in chunks.flatten() {
            let Some(column) = chunk.column() else { continue };
            each_rate(&column, &mut previous, |time_ms, rate| {
                if let Some(place) = steps.index_of(time_ms).and_then(|at| rates.get_mut(at)) {
                    place.push(rate);
                }
            });
        }
        return rates.into_iter().map(|rates| pick(rates, stat)).collect();
    }
    let mut fold = CounterFold::new(*steps, None);
    for chunk in chunks.flatten() {
        if let Some(column) = chunk.column() {
            fold.push(&column);
        }
    }
    fold.finish().iter().map(|step| rate(step, stat)).collect()
}

#[expect(clippy::cast_precision_loss, reason = "growth past 2^53 is shown with 15 digits")]
fn rate(step: &CounterStep, stat: Stat) -> Option<f64> {
    match stat {
        Stat::Sum => (!step.is_empty()).then(|| step.growth() as f64),
        Stat::Max => step.rate_max_per_s(),
        Stat::Avg | Stat::Min | Stat::Quantile(_) => step.rate_avg_per_s(),
    }
}

/// One counter column of a chunk, with the start of its owner for each row.
struct CounterChunk<'a> {
    chunk: &'a Chunk,
    values: &'a ArrayRef,
    epochs: Option<Vec<i64>>,
}

impl<'a> CounterChunk<'a> {
    fn of(chunk: &'a Chunk, columns: &Columns, position: usize) -> Option<Self> {
        let values = chunk.columns.get(position)?;
        let epochs = chunk.columns.get(columns.values).filter(|_| columns.has_epoch);
        let epochs = epochs
            .and_then(|column| column.as_primitive_opt::<Int64Type>())
            .map(|column| column.iter().map(|value| value.unwrap_or(EPOCH_UNKNOWN)).collect());
        Some(Self { chunk, values, epochs })
    }

    fn column(&self) -> Option<CounterColumn<'_>> {
        let values = self.values.as_primitive_opt::<Int64Type>()?;
        let valid = valid_bits(self.values)?;
        CounterColumn::new(&self.chunk.times_ms, values.values(), valid, self.epochs.as_deref())
            .ok()
    }
}

/// The validity of an array; `None` when its bitmap is not one.
fn valid_bits(array: &ArrayRef) -> Option<Option<Bits<'_>>> {
    match array.nulls() {
        None => Some(None),
        Some(nulls) => Bits::new(nulls.validity(), nulls.offset(), nulls.len()).ok().map(Some),
    }
}

fn fold_level(series: &SeriesRows, position: usize, steps: &Steps, stat: Stat) -> Vec<Option<f64>> {
    let first = series.chunks.iter().find_map(|chunk| chunk.columns.get(position));
    let is_float = first.is_some_and(|column| column.as_primitive_opt::<Float64Type>().is_some());
    if let Stat::Quantile(_) = stat {
        return level_quantiles(series, position, steps, stat);
    }
    if is_float {
        let mut fold = GaugeFold::<f64>::new(*steps);
        for (chunk, column) in columns_of(series, position) {
            if let Some(values) = column.as_primitive_opt::<Float64Type>() {
                push(&mut fold, chunk, values.values(), column);
            }
        }
        return fold.finish().iter().map(|window| level(window, stat)).collect();
    }
    let mut fold = GaugeFold::<i64>::new(*steps);
    for (chunk, column) in columns_of(series, position) {
        if let Some(values) = column.as_primitive_opt::<Int64Type>() {
            push(&mut fold, chunk, values.values(), column);
        }
    }
    fold.finish().iter().map(|window| level(window, stat)).collect()
}

fn columns_of(series: &SeriesRows, position: usize) -> impl Iterator<Item = (&Chunk, &ArrayRef)> {
    series.chunks.iter().filter_map(move |chunk| Some((chunk, chunk.columns.get(position)?)))
}

fn push<V: GaugeValue>(fold: &mut GaugeFold<V>, chunk: &Chunk, values: &[V], column: &ArrayRef) {
    let Some(valid) = valid_bits(column) else { return };
    if let Ok(column) = GaugeColumn::new(&chunk.times_ms, values, valid) {
        fold.push(&column);
    }
}

fn level<V: GaugeValue + LevelValue>(window: &GaugeWindow<V>, stat: Stat) -> Option<f64> {
    match stat {
        Stat::Min => window.min().map(LevelValue::shown),
        Stat::Max => window.max().map(LevelValue::shown),
        Stat::Sum => window.sum_f64(),
        Stat::Avg | Stat::Quantile(_) => window.avg(),
    }
}

/// A stored gauge value as a number to show.
trait LevelValue {
    fn shown(self) -> f64;
}

impl LevelValue for f64 {
    fn shown(self) -> f64 {
        self
    }
}

impl LevelValue for i64 {
    #[expect(clippy::cast_precision_loss, reason = "values past 2^53 are shown with 15 digits")]
    fn shown(self) -> f64 {
        self as f64
    }
}

fn level_quantiles(
    series: &SeriesRows,
    position: usize,
    steps: &Steps,
    stat: Stat,
) -> Vec<Option<f64>> {
    let mut cells = vec![Vec::new(); steps.len()];
    for (chunk, column) in columns_of(series, position) {
        for (row, time_ms) in chunk.times_ms.iter().enumerate() {
            let value = if column.is_null(row) {
                None
            } else if let Some(values) = column.as_primitive_opt::<Float64Type>() {
                values.values().get(row).copied()
            } else {
                let values = column.as_primitive_opt::<Int64Type>();
                values.and_then(|values| values.values().get(row).copied()).map(LevelValue::shown)
            };
            let cell = steps.index_of(*time_ms).and_then(|at| cells.get_mut(at));
            if let (Some(cell), Some(value)) = (cell, value.filter(|value| !value.is_nan())) {
                cell.push(value);
            }
        }
    }
    cells.into_iter().map(|values| pick(values, stat)).collect()
}

/// The smallest value or the quantile of unsorted values; quantiles between two values are
/// interpolated, as `PromQL`'s `quantile_over_time` does.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rank lies between 0 and the number of values of one step"
)]
fn pick(mut values: Vec<f64>, stat: Stat) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let Stat::Quantile(hundredths) = stat else { return values.first().copied() };
    let last = values.len().checked_sub(1)?;
    let rank = f64::from(hundredths) / 100.0 * last as f64;
    let (below, above) = (values.get(rank.floor() as usize)?, values.get(rank.ceil() as usize)?);
    Some(below + (above - below) * rank.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_interpolated() {
        let p50 = Stat::Quantile(50);
        assert_eq!(pick(vec![3.0, 1.0, 2.0], p50), Some(2.0));
        assert_eq!(pick(vec![1.0, 2.0], p50), Some(1.5));
        assert_eq!(pick(vec![4.0], Stat::Quantile(99)), Some(4.0));
        assert_eq!(pick(Vec::new(), p50), None);
        assert_eq!(pick(vec![2.0, 1.0], Stat::Min), Some(1.0));
    }
}
