//! The rows of a batch of series from several segments, brought together column by column.
//!
//! The order of rows is worked out once, from times; each column is then a few long copies. Of
//! rows with one series and time the one of the latest arrival stays.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Float64Type, Int64Type, TimestampMillisecondType};
use arrow_array::{Array, ArrayRef, PrimitiveArray, new_null_array};
use arrow_buffer::{BooleanBufferBuilder, NullBuffer, ScalarBuffer};
use arrow_schema::DataType;
use arrow_select::concat::concat;
use plimsoll_model::TimeRange;

use super::order::{MergeOrder, SeriesParts};
use crate::head::SeriesSpan;
use crate::scan::SeriesKey;
use crate::segment::{SegmentError, SegmentReader};

/// Which rows of a series in one input are left out, of those in a range.
pub(crate) type HiddenIn<'h> = dyn Fn(usize, &SeriesKey, TimeRange) -> Vec<TimeRange> + 'h;

/// Consecutive rows of one input.
#[derive(Debug, Clone, Copy)]
struct Run {
    input: usize,
    /// Row inside the input's window.
    start: usize,
    rows: usize,
}

/// The rows of neighbouring series, in order, each series and time once.
pub(crate) struct Rows<'o, 'a> {
    order: &'o MergeOrder<'a>,
    /// For each input the rows of its file that this batch may take.
    windows: Vec<Range<u64>>,
    runs: Vec<Run>,
    pub(crate) spans: Vec<SeriesSpan>,
    pub(crate) times_ms: ScalarBuffer<i64>,
}

/// One stretch of one series in one input.
struct Stretch<'t> {
    input: usize,
    start: usize,
    times: &'t [i64],
}

impl<'o, 'a> Rows<'o, 'a> {
    /// Works out the order of the rows of `series`, without those `hidden` names for a series.
    ///
    /// # Errors
    ///
    /// [`SegmentError`] when times cannot be read.
    pub(crate) fn new(
        order: &'o MergeOrder<'a>,
        series: Range<usize>,
        hidden: &HiddenIn<'_>,
    ) -> Result<Self, SegmentError> {
        let series = order.series.get(series).unwrap_or(&[]);
        let windows = windows(series, order.readers.len());
        let mut times = Vec::with_capacity(windows.len());
        for (reader, window) in order.readers.iter().zip(&windows) {
            times.push(read_times(reader, window)?);
        }
        let mut rows = Self {
            order,
            windows,
            runs: Vec::new(),
            spans: Vec::new(),
            times_ms: Vec::new().into(),
        };
        let mut out: Vec<i64> = Vec::new();
        for one in series {
            let start = out.len();
            rows.add_series(one, &times, hidden, &mut out);
            let count = out.len().saturating_sub(start);
            if count > 0 {
                rows.spans.push(SeriesSpan { key: one.key.clone(), start, rows: count });
            }
        }
        rows.times_ms = out.into();
        Ok(rows)
    }

    fn add_series(
        &mut self,
        series: &SeriesParts,
        times: &[ScalarBuffer<i64>],
        hidden: &HiddenIn<'_>,
        out: &mut Vec<i64>,
    ) {
        let mut stretches: Vec<Stretch<'_>> = Vec::with_capacity(series.parts.len());
        for part in &series.parts {
            let window = self.windows.get(part.input).map_or(0, |window| window.start);
            let start = narrow(part.rows.start.saturating_sub(window));
            let end = narrow(part.rows.end.saturating_sub(window));
            let slice = times.get(part.input).and_then(|times| times.get(start..end));
            let (Some(first), Some(last)) =
                (slice.and_then(<[i64]>::first), slice.and_then(<[i64]>::last))
            else {
                continue;
            };
            let range = TimeRange::new(*first, last.saturating_add(1));
            let stretch = Stretch { input: part.input, start, times: slice.unwrap_or(&[]) };
            cut(stretch, &hidden(part.input, &series.key, range), &mut stretches);
        }
        let in_order = stretches.iter().zip(stretches.iter().skip(1)).all(|(left, right)| {
            left.times.last().zip(right.times.first()).is_none_or(|(left, right)| left < right)
        });
        if in_order {
            for stretch in stretches {
                out.extend_from_slice(stretch.times);
                self.push_run(stretch.input, stretch.start, stretch.times.len());
            }
        } else {
            self.interleave(&stretches, out);
        }
    }

    /// Row by row; later arrivals stand later in `stretches`.
    fn interleave(&mut self, stretches: &[Stretch<'_>], out: &mut Vec<i64>) {
        let rows: usize = stretches.iter().map(|stretch| stretch.times.len()).sum();
        let mut picks: Vec<(i64, usize, usize, usize)> = Vec::with_capacity(rows);
        for (arrival, stretch) in stretches.iter().enumerate() {
            picks.extend(stretch.times.iter().enumerate().map(|(row, time)| {
                (*time, arrival, stretch.input, stretch.start.saturating_add(row))
            }));
        }
        picks.sort_unstable();
        let mut picks = picks.into_iter().peekable();
        while let Some((time, _, input, row)) = picks.next() {
            if picks.peek().is_some_and(|next| next.0 == time) {
                continue;
            }
            out.push(time);
            self.push_run(input, row, 1);
        }
    }

    fn push_run(&mut self, input: usize, start: usize, rows: usize) {
        match self.runs.last_mut() {
            Some(last) if last.input == input && last.start.saturating_add(last.rows) == start => {
                last.rows = last.rows.saturating_add(rows);
            }
            _ => self.runs.push(Run { input, start, rows }),
        }
    }

    /// One metric of all rows; `None` when no input has a value or there are no rows.
    ///
    /// # Errors
    ///
    /// [`SegmentError`] when a column cannot be read.
    pub(crate) fn metric(&self, metric: usize) -> Result<Option<ArrayRef>, SegmentError> {
        if self.runs.is_empty() {
            return Ok(None);
        }
        let mut sources: Vec<Option<ArrayRef>> = Vec::with_capacity(self.windows.len());
        for (reader, window) in self.order.readers.iter().zip(&self.windows) {
            let column = reader.index().metric(metric);
            let array = match column {
                Some(column) if !window.is_empty() => read_window(reader, column, window)?,
                _ => None,
            };
            sources.push(array.filter(|array| array.null_count() < array.len()));
        }
        let Some(data_type) = sources.iter().flatten().next().map(|a| a.data_type().clone()) else {
            return Ok(None);
        };
        if let [run] = self.runs.as_slice() {
            let source = sources.get(run.input).cloned().flatten();
            return Ok(source.map(|array| array.slice(run.start, run.rows)));
        }
        Ok(Some(match data_type {
            DataType::Int64 => self.primitive::<Int64Type>(&sources),
            DataType::Float64 => self.primitive::<Float64Type>(&sources),
            other => self.other(&sources, &other)?,
        }))
    }

    fn primitive<T: ArrowPrimitiveType>(&self, sources: &[Option<ArrayRef>]) -> ArrayRef {
        let rows = self.times_ms.len();
        let arrays: Vec<Option<&PrimitiveArray<T>>> = sources
            .iter()
            .map(|source| source.as_ref().and_then(|array| array.as_primitive_opt::<T>()))
            .collect();
        let mut values: Vec<T::Native> = Vec::with_capacity(rows);
        let complete = self.runs.iter().all(|run| {
            let array = arrays.get(run.input).copied().flatten();
            array.is_some_and(|array| array.null_count() == 0)
        });
        let mut valid = (!complete).then(|| BooleanBufferBuilder::new(rows));
        for run in &self.runs {
            let array = arrays.get(run.input).copied().flatten();
            let end = run.start.saturating_add(run.rows);
            match array.and_then(|array| array.values().get(run.start..end)) {
                Some(slice) => values.extend_from_slice(slice),
                None => values.resize(values.len().saturating_add(run.rows), T::default_value()),
            }
            let Some(valid) = &mut valid else { continue };
            match array.map(Array::nulls) {
                Some(Some(nulls)) => {
                    valid.append_buffer(&nulls.slice(run.start, run.rows).into_inner());
                }
                Some(None) => valid.append_n(run.rows, true),
                None => valid.append_n(run.rows, false),
            }
        }
        let nulls = valid.map(|mut valid| NullBuffer::new(valid.finish()));
        Arc::new(PrimitiveArray::<T>::new(values.into(), nulls))
    }

    fn other(
        &self,
        sources: &[Option<ArrayRef>],
        data_type: &DataType,
    ) -> Result<ArrayRef, SegmentError> {
        let slices: Vec<ArrayRef> = self
            .runs
            .iter()
            .map(|run| match sources.get(run.input).and_then(Option::as_ref) {
                Some(array) => array.slice(run.start, run.rows),
                None => new_null_array(data_type, run.rows),
            })
            .collect();
        let slices: Vec<&dyn Array> = slices.iter().map(AsRef::as_ref).collect();
        let reader = self.order.readers.first();
        concat(&slices).map_err(|source| {
            let path = reader.map(|reader| reader.path().to_owned()).unwrap_or_default();
            SegmentError::Decode { path, source: Box::new(source.into()) }
        })
    }
}

fn narrow(rows: u64) -> usize {
    usize::try_from(rows).unwrap_or(usize::MAX)
}

/// For each input the rows from the first to the last of these series: they lie together.
fn windows(series: &[SeriesParts], inputs: usize) -> Vec<Range<u64>> {
    let mut windows: Vec<Range<u64>> = vec![0..0; inputs];
    for part in series.iter().flat_map(|series| &series.parts) {
        let Some(window) = windows.get_mut(part.input) else { continue };
        if window.is_empty() {
            *window = part.rows.clone();
        } else {
            *window = window.start.min(part.rows.start)..window.end.max(part.rows.end);
        }
    }
    windows
}

/// The parts of a stretch that lie in no hidden range.
fn cut<'t>(stretch: Stretch<'t>, hidden: &[TimeRange], out: &mut Vec<Stretch<'t>>) {
    if hidden.is_empty() {
        out.push(stretch);
        return;
    }
    let row_at = |time_ms: i64| stretch.times.partition_point(|time| *time < time_ms);
    let mut from = 0_usize;
    let ends = hidden.iter().map(|range| (row_at(range.start_ms), row_at(range.end_ms)));
    for (until, next) in ends.chain([(stretch.times.len(), stretch.times.len())]) {
        if let Some(times) = stretch.times.get(from..until).filter(|times| !times.is_empty()) {
            let start = stretch.start.saturating_add(from);
            out.push(Stretch { input: stretch.input, start, times });
        }
        from = from.max(next);
    }
}

fn read_times(
    reader: &SegmentReader<'_>,
    window: &Range<u64>,
) -> Result<ScalarBuffer<i64>, SegmentError> {
    if window.is_empty() {
        return Ok(Vec::new().into());
    }
    let array = read_window(reader, reader.index().time(), window)?;
    let times = array.as_ref().and_then(|a| a.as_primitive_opt::<TimestampMillisecondType>());
    Ok(times.map_or_else(|| Vec::new().into(), |times| times.values().clone()))
}

/// One column of consecutive rows, over as many row groups as they lie in.
fn read_window(
    reader: &SegmentReader<'_>,
    column: usize,
    window: &Range<u64>,
) -> Result<Option<ArrayRef>, SegmentError> {
    let mut arrays: Vec<ArrayRef> = Vec::new();
    for (group, rows) in reader.index().groups().iter().enumerate() {
        let start = window.start.max(rows.start);
        let end = window.end.min(rows.end);
        if start < end {
            let inside =
                narrow(start.saturating_sub(rows.start))..narrow(end.saturating_sub(rows.start));
            arrays.extend(reader.read(group, &[column], &[inside])?);
        }
    }
    if arrays.len() <= 1 {
        return Ok(arrays.pop());
    }
    let slices: Vec<&dyn Array> = arrays.iter().map(AsRef::as_ref).collect();
    let joined = concat(&slices).map_err(|source| SegmentError::Decode {
        path: reader.path().to_owned(),
        source: Box::new(source.into()),
    })?;
    Ok(Some(joined))
}
