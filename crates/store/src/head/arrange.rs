//! Puts rows of a head into (series, time) order without moving them twice.
//!
//! Rows of one series usually come in time order, so a counting sort by series is the whole
//! sort; only series with late or repeated rows are sorted by time. Columns are then scattered
//! into place one by one: reads are sequential and the open write positions (one per series)
//! fit in the processor's cache.
//!
//! Holds SORT: of rows with the same series and time only the one that came last is kept.

use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, DictionaryArray, Float64Array, Int64Array, PrimitiveArray, StringArray,
};
use arrow_buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use plimsoll_model::TimeRange;

use super::HeadSnapshot;
use super::block::{Block, Values};
use super::names::{NO_TEXT, narrow, wide};

/// No place in the result.
const DROPPED: u32 = u32::MAX;

/// A row of a block and where it goes.
#[derive(Debug, Clone, Copy)]
struct Pick {
    row: u32,
    place: u32,
}

/// Consecutive rows of one series in the result.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) series: u32,
    pub(crate) start: usize,
    pub(crate) rows: usize,
}

/// Where each chosen row of a snapshot goes.
#[derive(Debug)]
pub(crate) struct Arrangement {
    snapshot: Arc<HeadSnapshot>,
    /// One list per block.
    picks: Vec<Vec<Pick>>,
    /// In the order the series were asked for; series without rows are left out.
    pub(crate) spans: Vec<Span>,
    pub(crate) times_ms: ScalarBuffer<i64>,
}

/// What is known of one asked series while its rows are found.
#[derive(Debug, Clone, Copy)]
struct Found {
    series: u32,
    rows: u32,
    last_ms: i64,
    in_order: bool,
}

impl Arrangement {
    /// Arranges the rows of `series` (numbers, in the order wanted) inside `range`.
    pub(crate) fn new(snapshot: Arc<HeadSnapshot>, series: &[u32], range: TimeRange) -> Self {
        let mut found: Vec<Found> = series
            .iter()
            .map(|series| Found { series: *series, rows: 0, last_ms: i64::MIN, in_order: true })
            .collect();
        let mut picks = find_rows(&snapshot, &mut found, range);
        let mut next = place_rows(&found, &mut picks);
        if found.iter().any(|found| !found.in_order) {
            let times = scatter(&snapshot, &picks, next, |block| Some(&block.times_ms));
            let moved = order_by_time(&mut found, &times);
            next = move_rows(&mut picks, &moved);
        }
        let times = scatter(&snapshot, &picks, next, |block| Some(&block.times_ms));
        let spans = spans(&found);
        Self { snapshot, picks, spans, times_ms: times.into() }
    }

    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.times_ms.len()
    }

    /// One metric of all rows; `None` when every row is null.
    pub(crate) fn metric(&self, metric: usize) -> Option<ArrayRef> {
        let with_rows = || {
            let chosen = self.snapshot.blocks().iter().zip(&self.picks);
            chosen.filter(|(_, picks)| !picks.is_empty())
        };
        let mut columns = with_rows().map(|(block, _)| column(block, metric));
        let first = columns.find_map(|values| values)?;
        match first {
            Values::Int(..) => {
                let values =
                    scatter(&self.snapshot, &self.picks, self.rows(), |block| {
                        match column(block, metric) {
                            Some(Values::Int(values, _)) => Some(values.as_slice()),
                            _ => None,
                        }
                    });
                Some(Arc::new(Int64Array::new(values.into(), self.nulls(metric))))
            }
            Values::Float(..) => {
                let values =
                    scatter(&self.snapshot, &self.picks, self.rows(), |block| {
                        match column(block, metric) {
                            Some(Values::Float(values, _)) => Some(values.as_slice()),
                            _ => None,
                        }
                    });
                Some(Arc::new(Float64Array::new(values.into(), self.nulls(metric))))
            }
            Values::Text(_) => self.text(metric),
        }
    }

    /// The nulls of a plain metric; `None` when every row has a value.
    fn nulls(&self, metric: usize) -> Option<NullBuffer> {
        let blocks = self.snapshot.blocks().iter().zip(&self.picks);
        let complete = blocks.clone().all(|(block, picks)| {
            picks.is_empty()
                || matches!(
                    column(block, metric),
                    Some(Values::Int(_, None) | Values::Float(_, None))
                )
        });
        if complete {
            return None;
        }
        let mut valid = vec![false; self.rows()];
        for (block, picks) in blocks {
            let flags = match column(block, metric) {
                Some(Values::Int(_, flags) | Values::Float(_, flags)) => flags,
                Some(Values::Text(_)) | None => continue,
            };
            for pick in picks {
                let flag = match flags {
                    Some(flags) => flags.get(wide(pick.row)).copied().unwrap_or(false),
                    None => true,
                };
                if let Some(place) = valid.get_mut(wide(pick.place)) {
                    *place = flag;
                }
            }
        }
        let nulls = NullBuffer::new(BooleanBuffer::from(valid));
        (nulls.null_count() > 0).then_some(nulls)
    }

    /// A text metric with a dictionary of only the texts that occur.
    fn text(&self, metric: usize) -> Option<ArrayRef> {
        let mut numbers = vec![NO_TEXT; self.rows()];
        for (block, picks) in self.snapshot.blocks().iter().zip(&self.picks) {
            let Some(Values::Text(values)) = column(block, metric) else { continue };
            put(&mut numbers, picks, values);
        }
        let texts = self.snapshot.texts();
        let mut keys_of = vec![-1_i32; texts.len()];
        let mut used: Vec<&str> = Vec::new();
        let mut keys = vec![0_i32; numbers.len()];
        for (key, number) in keys.iter_mut().zip(&numbers) {
            let Some(known) = keys_of.get_mut(wide(*number)) else { continue };
            if *known < 0 {
                *known = i32::try_from(used.len()).unwrap_or(i32::MAX);
                used.push(texts.get(wide(*number)).map_or("", AsRef::as_ref));
            }
            *key = *known;
        }
        let valid: Vec<bool> = numbers.iter().map(|number| *number != NO_TEXT).collect();
        let nulls = NullBuffer::new(BooleanBuffer::from(valid));
        if nulls.null_count() == nulls.len() {
            return None;
        }
        let nulls = (nulls.null_count() > 0).then_some(nulls);
        let keys = PrimitiveArray::<Int32Type>::new(keys.into(), nulls);
        let values = Arc::new(StringArray::from(used));
        let array = DictionaryArray::<Int32Type>::try_new(keys, values).ok()?;
        Some(Arc::new(array))
    }
}

fn column(block: &Block, metric: usize) -> Option<&Values> {
    block.metrics.get(metric).and_then(Option::as_ref)
}

/// Lists the rows of the asked series; `place` is the index into `found` for now.
fn find_rows(snapshot: &HeadSnapshot, found: &mut [Found], range: TimeRange) -> Vec<Vec<Pick>> {
    let mut index_of = vec![DROPPED; snapshot.series()];
    for (index, found) in found.iter().enumerate() {
        if let Some(place) = index_of.get_mut(wide(found.series)) {
            *place = narrow(index);
        }
    }
    let all_series = found.len() == snapshot.series();
    let all_times =
        |block: &Block| range.start_ms <= block.first_ms && range.end_ms > block.last_ms;
    let blocks = snapshot.blocks().iter();
    blocks
        .map(|block| {
            if !block.overlaps(range) {
                return Vec::new();
            }
            let everything = all_series && all_times(block);
            let mut picks = Vec::with_capacity(if everything { block.rows() } else { 0 });
            let rows = block.series.iter().zip(&block.times_ms).zip(0_u32..);
            for ((series, time), row) in rows {
                let index = index_of.get(wide(*series)).copied().unwrap_or(DROPPED);
                let Some(found) = found.get_mut(wide(index)) else { continue };
                if !range.contains(*time) {
                    continue;
                }
                found.in_order &= found.rows == 0 || found.last_ms < *time;
                found.last_ms = *time;
                found.rows = found.rows.saturating_add(1);
                picks.push(Pick { row, place: index });
            }
            picks
        })
        .collect()
}

/// Turns the indexes in `picks` into places; returns the number of rows.
fn place_rows(found: &[Found], picks: &mut [Vec<Pick>]) -> usize {
    let mut next = Vec::with_capacity(found.len());
    let mut total = 0_u32;
    for found in found {
        next.push(total);
        total = total.saturating_add(found.rows);
    }
    for pick in picks.iter_mut().flatten() {
        if let Some(next) = next.get_mut(wide(pick.place)) {
            pick.place = *next;
            *next = next.saturating_add(1);
        }
    }
    wide(total)
}

/// For every place, the place its row moves to, or [`DROPPED`]; counts the rows that stay.
fn order_by_time(found: &mut [Found], times: &[i64]) -> Vec<u32> {
    let mut moved = vec![DROPPED; times.len()];
    let mut start = 0_u32;
    let mut next = 0_u32;
    for found in found {
        let end = start.saturating_add(found.rows);
        let mut order: Vec<(i64, u32)> = (start..end)
            .map(|place| (times.get(wide(place)).copied().unwrap_or(i64::MIN), place))
            .collect();
        if !found.in_order {
            order.sort_unstable();
        }
        let first = next;
        for (index, (time, place)) in order.iter().enumerate() {
            let repeated = order.get(index.saturating_add(1)).is_some_and(|(t, _)| t == time);
            if !repeated && let Some(moved) = moved.get_mut(wide(*place)) {
                *moved = next;
                next = next.saturating_add(1);
            }
        }
        found.rows = next.saturating_sub(first);
        start = end;
    }
    moved
}

fn move_rows(picks: &mut [Vec<Pick>], moved: &[u32]) -> usize {
    let mut rows = 0_usize;
    for picks in picks {
        for pick in picks.iter_mut() {
            pick.place = moved.get(wide(pick.place)).copied().unwrap_or(DROPPED);
        }
        picks.retain(|pick| pick.place != DROPPED);
        rows = rows.saturating_add(picks.len());
    }
    rows
}

fn spans(found: &[Found]) -> Vec<Span> {
    let mut start = 0_usize;
    let mut spans = Vec::with_capacity(found.len());
    for found in found.iter().filter(|found| found.rows > 0) {
        let rows = wide(found.rows);
        spans.push(Span { series: found.series, start, rows });
        start = start.saturating_add(rows);
    }
    spans
}

fn scatter<'a, T: Copy + Default + 'a>(
    snapshot: &'a HeadSnapshot,
    picks: &[Vec<Pick>],
    rows: usize,
    values_of: impl Fn(&'a Block) -> Option<&'a [T]>,
) -> Vec<T> {
    let mut out = vec![T::default(); rows];
    for (block, picks) in snapshot.blocks().iter().zip(picks) {
        if let Some(values) = values_of(block) {
            put(&mut out, picks, values);
        }
    }
    out
}

fn put<T: Copy>(out: &mut [T], picks: &[Pick], values: &[T]) {
    for pick in picks {
        if let (Some(place), Some(value)) =
            (out.get_mut(wide(pick.place)), values.get(wide(pick.row)))
        {
            *place = *value;
        }
    }
}
