//! Makes rollup segments of the raw segments of a day: 5m and 1h in one pass.
//!
//! Raw rows come in batches of whole series; each metric is read once and folded into windows of
//! five minutes, and those are merged into hours. Buckets whose raw rows are partly past their age
//! are not made again: what an earlier rollup said of them is carried over.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use plimsoll_model::registry::RollupRules;
use plimsoll_model::{Metric, Registry, Table, TimeRange};
use plimsoll_window::{CounterWindow, GaugeWindow, Sketch, each_rate};

use super::cells::Cell;
use super::epochs::{EpochColumns, Others, others_cell};
use super::fold::{Fold, RawColumn, epochs_of};
use super::kinds::{Kept, WindowKind, column_of, fields_of};
use super::out::Out;
use super::state::{StateValue, StateWindow};
use super::{FIVE_MINUTES_MS, HOUR_MS};
use crate::compact::{MergeOrder, Rows};
use crate::retention::Hidden;
use crate::scan::SeriesKey;
use crate::segment::{EncodingPlan, Resolution, Segment, SegmentError, SegmentMeta, SegmentWriter};

/// Raw rows that are folded at once: the more, the fewer pages are decoded twice.
const BATCH_ROWS: u64 = 131_072;
/// Values of one row group, nulls included.
const GROUP_VALUES: usize = 4_000_000;

/// What to roll up.
pub struct RollupJob<'a> {
    /// The table of the raw rows.
    pub table: &'static Table,
    /// Whole hours.
    pub range: TimeRange,
    /// Raw segments of the day, earliest arrival first.
    pub inputs: &'a [Arc<Segment>],
    /// What is hidden now.
    pub hidden: &'a Hidden,
    /// zstd level.
    pub zstd_level: i32,
    /// Called between batches; `false` ends the work.
    pub pace: &'a dyn Fn(u64) -> bool,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Built {
    /// The files of 5m and 1h, not synced.
    Written(Box<(SegmentMeta, SegmentMeta)>),
    /// No raw row lies in the range; there are no files.
    Empty,
    /// `pace` ended it; files may be there half written.
    Stopped,
}

/// The time from which raw rows of a series are complete in their buckets.
pub(crate) fn complete_from_ms(hidden: &Hidden, table: &Table, key: &SeriesKey) -> i64 {
    let floor_ms = hidden.floor_ms(table, Resolution::Raw, key);
    let whole = floor_ms.checked_add(HOUR_MS.saturating_sub(1));
    whole.map_or(floor_ms, |time| time.div_euclid(HOUR_MS).saturating_mul(HOUR_MS))
}

/// Which raw rows of a series do not enter rollups: outside `range`, past their age, or deleted.
fn left_out(job: &RollupJob<'_>, key: &SeriesKey, within: TimeRange) -> Vec<TimeRange> {
    let from_ms = job.range.start_ms.max(complete_from_ms(job.hidden, job.table, key));
    let mut ranges = job.hidden.ranges(job.table, Resolution::Raw, key, within);
    ranges.push(TimeRange::new(i64::MIN, from_ms));
    ranges.push(TimeRange::new(job.range.end_ms, i64::MAX));
    ranges.sort_unstable();
    ranges
}

/// Builds the rollups of a range into two new files.
///
/// # Errors
///
/// [`SegmentError`] when an input cannot be read or a file cannot be written.
pub fn build(
    job: &RollupJob<'_>,
    five_path: &Path,
    hour_path: &Path,
) -> Result<Built, SegmentError> {
    let order = MergeOrder::new(job.inputs)?;
    let layout = |what| SegmentError::Layout { path: five_path.to_owned(), what };
    let table_of = |resolution: Resolution| {
        let table = Registry::rollup(job.table, resolution.name());
        table.ok_or_else(|| layout("rollup table"))
    };
    let five = table_of(Resolution::FiveMinutes)?;
    let hour = table_of(Resolution::Hour)?;
    let mut five = Target::create(job, five, Resolution::FiveMinutes, five_path)?;
    let mut hour = Target::create(job, hour, Resolution::Hour, hour_path)?;
    let mut read = 0_u64;
    for batch in order.batches(BATCH_ROWS) {
        let hide = |_: usize, key: &SeriesKey, within| left_out(job, key, within);
        let rows = Rows::new(&order, batch, &hide)?;
        read = read.saturating_add(u64::try_from(rows.times_ms.len()).unwrap_or(u64::MAX));
        fold_batch(job.table, &rows, &mut five.out, &mut hour.out)?;
        five.flush_if_full()?;
        hour.flush_if_full()?;
        if !(job.pace)(read) {
            return Ok(Built::Stopped);
        }
    }
    if five.is_empty() {
        drop((five, hour));
        for path in [five_path, hour_path] {
            std::fs::remove_file(path)
                .map_err(|source| SegmentError::Write { path: path.to_owned(), source })?;
        }
        return Ok(Built::Empty);
    }
    Ok(Built::Written(Box::new((five.finish()?, hour.finish()?))))
}

/// One of the two files.
struct Target {
    out: Out,
    writer: SegmentWriter,
    group_rows: usize,
}

impl Target {
    fn create(
        job: &RollupJob<'_>,
        table: &'static Table,
        resolution: Resolution,
        path: &Path,
    ) -> Result<Self, SegmentError> {
        let mut plan = EncodingPlan::rollup(table);
        plan.zstd_level = job.zstd_level.min(plan.zstd_level);
        let writer = SegmentWriter::create(table, resolution, &plan, path)?;
        let columns = table.columns().len().max(1);
        let group_rows = GROUP_VALUES.checked_div(columns).unwrap_or(1);
        Ok(Self { out: Out::new(table), writer, group_rows })
    }

    fn flush_if_full(&mut self) -> Result<(), SegmentError> {
        if self.out.rows() >= self.group_rows { self.out.flush(&mut self.writer) } else { Ok(()) }
    }

    fn is_empty(&self) -> bool {
        self.out.rows() == 0 && self.writer.rows() == 0
    }

    fn finish(mut self) -> Result<SegmentMeta, SegmentError> {
        self.out.flush(&mut self.writer)?;
        self.writer.finish()
    }
}

/// Where the buckets of a batch are.
struct Buckets {
    /// Raw rows of each row of five minutes.
    five: Vec<Range<usize>>,
    /// Rows of five minutes of each row of one hour.
    hour: Vec<Range<usize>>,
}

impl Buckets {
    /// Finds the buckets of a batch and adds their rows to both outputs.
    fn new(rows: &Rows<'_, '_>, five: &mut Out, hour: &mut Out) -> Self {
        let mut buckets = Self { five: Vec::new(), hour: Vec::new() };
        for span in &rows.spans {
            let end = span.start.saturating_add(span.rows);
            let (first_five, first_hour) = (buckets.five.len(), buckets.hour.len());
            let (mut five_times, mut hour_times) = (Vec::new(), Vec::new());
            let mut row = span.start;
            while let Some(time) = rows.times_ms.get(row).filter(|_| row < end) {
                let start_ms = bucket(*time, FIVE_MINUTES_MS);
                let until_ms = start_ms.saturating_add(FIVE_MINUTES_MS);
                let rest = rows.times_ms.get(row..end).unwrap_or(&[]);
                let count = rest.iter().take_while(|time| **time < until_ms).count().max(1);
                let next = row.saturating_add(count);
                let hour_ms = bucket(start_ms, HOUR_MS);
                let at = buckets.five.len();
                match buckets.hour.last_mut() {
                    Some(last) if hour_times.last() == Some(&hour_ms) => {
                        last.end = at.saturating_add(1);
                    }
                    _ => {
                        hour_times.push(hour_ms);
                        buckets.hour.push(at..at.saturating_add(1));
                    }
                }
                five_times.push(start_ms);
                buckets.five.push(row..next);
                row = next;
            }
            debug_assert_eq!(buckets.five.len().saturating_sub(first_five), five_times.len());
            debug_assert_eq!(buckets.hour.len().saturating_sub(first_hour), hour_times.len());
            five.add_rows(&span.key, five_times.into_iter());
            hour.add_rows(&span.key, hour_times.into_iter());
        }
        buckets
    }
}

fn bucket(time_ms: i64, length_ms: i64) -> i64 {
    time_ms.div_euclid(length_ms).saturating_mul(length_ms)
}

/// Everything the fold of one metric of a batch needs.
struct BatchFold<'a> {
    buckets: &'a Buckets,
    five: &'a mut Out,
    hour: &'a mut Out,
    five_fields: Vec<Option<usize>>,
    hour_fields: Vec<Option<usize>>,
}

impl BatchFold<'_> {
    /// Folds one metric and sets its cells in both outputs; gives windows for what is shared.
    fn fold<W: Fold + Kept>(&mut self, column: &RawColumn<'_>) -> Windows<W> {
        let five: Vec<Option<W>> =
            self.buckets.five.iter().map(|rows| W::fold(column, rows.clone())).collect();
        let hour: Vec<Option<W>> = self
            .buckets
            .hour
            .iter()
            .map(|rows| {
                let windows = five.get(rows.clone()).unwrap_or(&[]).iter().flatten();
                windows.fold(None, |merged: Option<W>, window| {
                    Some(merged.map_or_else(|| window.clone(), |merged| merged.joined(window)))
                })
            })
            .collect();
        set_all(self.five, &self.five_fields, &five);
        set_all(self.hour, &self.hour_fields, &hour);
        Windows { five, hour }
    }
}

struct Windows<W> {
    five: Vec<Option<W>>,
    hour: Vec<Option<W>>,
}

fn set_all<W: Kept>(out: &mut Out, fields: &[Option<usize>], windows: &[Option<W>]) {
    let mut cells = Vec::with_capacity(fields.len());
    for (row, window) in windows.iter().enumerate() {
        let Some(window) = window else { continue };
        cells.clear();
        window.cells(&mut cells);
        for (field, cell) in fields.iter().zip(&cells) {
            if let Some(metric) = field {
                out.set(*metric, row, cell);
            }
        }
    }
}

/// Epochs of every row, and how rows differ from what the shared columns say.
#[derive(Default)]
struct Epochs {
    raw: Vec<i64>,
    five: Vec<Option<StateWindow>>,
    hour: Vec<Option<StateWindow>>,
    five_others: Vec<Others>,
    hour_others: Vec<Others>,
}

impl Epochs {
    fn note(&mut self, metric: &Metric, windows: &Windows<CounterWindow>) {
        note(&mut self.five_others, metric, &windows.five, &self.five);
        note(&mut self.hour_others, metric, &windows.hour, &self.hour);
    }
}

fn note(
    others: &mut [Others],
    metric: &Metric,
    windows: &[Option<CounterWindow>],
    shared: &[Option<StateWindow>],
) {
    for (row, (window, others)) in windows.iter().zip(others).enumerate() {
        let Some((first, last)) = window.as_ref().and_then(|w| w.first().zip(w.last())) else {
            continue;
        };
        let shared = shared.get(row).and_then(Option::as_ref);
        let epoch = |state: &StateValue| match state {
            StateValue::Int(epoch) => Some(*epoch),
            StateValue::Text(_) => None,
        };
        let said = (
            shared.and_then(|window| epoch(&window.first)),
            shared.and_then(|window| epoch(&window.last)),
        );
        if said != (first.epoch, last.epoch) {
            others.insert(metric.column.clone(), (first.epoch, last.epoch));
        }
    }
}

fn fold_batch(
    table: &'static Table,
    rows: &Rows<'_, '_>,
    five: &mut Out,
    hour: &mut Out,
) -> Result<(), SegmentError> {
    let (Some(five_table), Some(hour_table)) = (
        Registry::rollup(table, Resolution::FiveMinutes.name()),
        Registry::rollup(table, Resolution::Hour.name()),
    ) else {
        return Ok(());
    };
    let buckets = Buckets::new(rows, five, hour);
    let five_epochs = EpochColumns::of(table, five_table);
    let hour_epochs = EpochColumns::of(table, hour_table);
    let mut epochs = Epochs {
        five_others: vec![Others::new(); buckets.five.len()],
        hour_others: vec![Others::new(); buckets.hour.len()],
        ..Epochs::default()
    };
    // The state that tells epochs comes first: counters are compared with it.
    let mut metrics: Vec<usize> = (0..table.metrics().len()).collect();
    if let Some(columns) = five_epochs {
        metrics.retain(|metric| *metric != columns.raw);
        metrics.insert(0, columns.raw);
    }
    for index in metrics {
        let Some(metric) = table.metrics().get(index) else { continue };
        let Some(kind) = WindowKind::of(metric) else { continue };
        let Some(values) = rows.metric(index)? else { continue };
        let is_epoch = five_epochs.is_some_and(|columns| columns.raw == index);
        if is_epoch {
            epochs.raw = epochs_of(&values);
        }
        let raw = std::mem::take(&mut epochs.raw);
        let column = RawColumn { times_ms: &rows.times_ms, values: &values, epochs: &raw };
        let mut fold = BatchFold {
            buckets: &buckets,
            five: &mut *five,
            hour: &mut *hour,
            five_fields: fields_of(five_table, metric, kind),
            hour_fields: fields_of(hour_table, metric, kind),
        };
        match kind {
            WindowKind::Counter => epochs.note(metric, &fold.fold::<CounterWindow>(&column)),
            WindowKind::Int => drop(fold.fold::<GaugeWindow<i64>>(&column)),
            WindowKind::Float => drop(fold.fold::<GaugeWindow<f64>>(&column)),
            WindowKind::State => {
                let windows = fold.fold::<StateWindow>(&column);
                if is_epoch {
                    (epochs.five, epochs.hour) = (windows.five, windows.hour);
                }
            }
        }
        sketch_metric(hour_table, metric, kind, &column, &buckets, hour);
        epochs.raw = raw;
    }
    for (out, columns, others) in [
        (&mut *five, five_epochs, &epochs.five_others),
        (&mut *hour, hour_epochs, &epochs.hour_others),
    ] {
        let Some(columns) = columns else { continue };
        for (row, others) in others.iter().enumerate() {
            out.set(columns.other, row, &others_cell(others));
        }
        out.settle();
    }
    five.settle();
    hour.settle();
    Ok(())
}

/// Sets the sketch of every hour that has values.
fn sketch_metric(
    table: &Table,
    metric: &Metric,
    kind: WindowKind,
    column: &RawColumn<'_>,
    buckets: &Buckets,
    out: &mut Out,
) {
    let rules = RollupRules::embedded();
    let name = format!("{}_{}", metric.column, rules.sketch.name);
    let Some(place) = column_of(table, &name).filter(|_| rules.has_sketch(metric)) else { return };
    for (row, five) in buckets.hour.iter().enumerate() {
        let (Some(first), Some(last)) =
            (buckets.five.get(five.start), buckets.five.get(five.end.saturating_sub(1)))
        else {
            continue;
        };
        let sketch = sketch(kind, column, first.start..last.end);
        if !sketch.is_empty() {
            out.set(place, row, &Cell::Text(BASE64.encode(sketch.to_bytes()).into()));
        }
    }
}

/// Of a counter the rates between neighbours inside these rows, of a gauge the values.
fn sketch(kind: WindowKind, column: &RawColumn<'_>, rows: Range<usize>) -> Sketch {
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Float64Type, Int64Type};

    let mut sketch = Sketch::new();
    let mut run = (f64::NAN, 0_u64);
    let mut insert = |value: f64| {
        // Neighbours are often equal: looked up once.
        if value.to_bits() == run.0.to_bits() {
            run.1 = run.1.saturating_add(1);
        } else {
            sketch.insert_n(run.0, run.1);
            run = (value, 1);
        }
    };
    match kind {
        WindowKind::Counter => {
            let mut previous = None;
            super::fold::with_counter(column, &rows, |counter| {
                each_rate(&counter, &mut previous, |_, rate| insert(rate));
            });
        }
        WindowKind::Int => {
            let ints = column.values.as_primitive_opt::<Int64Type>();
            rows.filter_map(|row| super::cells::value(ints, row)).for_each(|v| insert(as_f64(v)));
        }
        WindowKind::Float => {
            let floats = column.values.as_primitive_opt::<Float64Type>();
            rows.filter_map(|row| super::cells::value(floats, row)).for_each(insert);
        }
        WindowKind::State => {}
    }
    sketch.insert_n(run.0, run.1);
    sketch
}

#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "a sketch is about magnitudes; it rounds far more than this"
)]
fn as_f64(value: i64) -> f64 {
    value as f64
}
