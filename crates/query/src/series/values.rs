//! The samples of a column: times and values, in pieces where a text of the row makes labels.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef};
use plimsoll_store::{Chunk, SeriesRows};
use plimsoll_window::GaugeValue;

use super::lives::Life;
use super::names::{Reading, Shown};
use crate::promql::{Pair, STALE_BITS, Selection};

/// Time between two samples of an info series, in milliseconds: well within PromQL's lookback.
const INFO_EVERY_MS: i64 = 60_000;
/// How long a row of an info table speaks without a newer one, in milliseconds.
pub(super) const INFO_LIFE_MS: i64 = 7_200_000;

/// Samples under one set of labels.
#[derive(Debug, Default)]
pub(super) struct Piece {
    /// Labels from texts of the row.
    pub(super) labels: Vec<Pair>,
    pub(super) times: Vec<i64>,
    pub(super) values: Vec<f64>,
    /// When what each sample counts began; empty where it is not known. 0: not known of one.
    pub(super) starts_ms: Vec<i64>,
}

/// The pieces of one column of one row series; `columns`: which metrics the rows hold.
pub(super) fn pieces(
    shown: &Shown,
    columns: &[usize],
    rows: &SeriesRows,
    selection: &Selection,
    life: Option<&Life>,
) -> Vec<Piece> {
    let position = |metric: &usize| columns.binary_search(metric).ok();
    let positions: Vec<usize> = shown.metrics.iter().filter_map(position).collect();
    let Some(first) = positions.first().copied() else { return Vec::new() };
    match &shown.reading {
        Reading::Number { divide_by, null_as } => {
            let epoch = shown.epoch.as_ref().and_then(position);
            let mut piece = numbers(rows, first, *divide_by, *null_as);
            if let Some(epoch) = epoch {
                piece.starts_ms = starts(rows, first, epoch, null_as.is_some(), selection);
            }
            vec![piece]
        }
        Reading::State { values, absent } => vec![states(rows, first, values, *absent)],
        Reading::Text => texts(shown, rows, first),
        Reading::Info => infos(shown, rows, &positions, selection, life),
        Reading::Made(made) => super::made::pieces(made, columns, &[rows]),
    }
}

/// Numbers in one pass per chunk; nulls cost a second look.
fn numbers(rows: &SeriesRows, position: usize, divide_by: f64, null_as: Option<f64>) -> Piece {
    let count = rows.rows();
    let mut piece = Piece {
        times: Vec::with_capacity(count),
        values: Vec::with_capacity(count),
        ..Piece::default()
    };
    for chunk in &rows.chunks {
        let Some(column) = chunk.columns.get(position) else { continue };
        let from = piece.values.len();
        if let Some(ints) = column.as_primitive_opt::<Int64Type>() {
            piece.values.extend(ints.values().iter().map(|int| int.to_f64()));
        } else if let Some(floats) = column.as_primitive_opt::<Float64Type>() {
            piece.values.extend_from_slice(floats.values());
        } else {
            continue;
        }
        piece.times.extend_from_slice(&chunk.times_ms);
        // Dividing by one changes nothing but takes time.
        if divide_by.to_bits() != 1.0_f64.to_bits() {
            piece.values[from..].iter_mut().for_each(|value| *value /= divide_by);
        }
        if column.null_count() > 0 {
            without_nulls(&mut piece, from, column, null_as);
        }
    }
    piece
}

/// Takes the nulls out of the samples of a chunk, which begin at `from`, or replaces them.
fn without_nulls(piece: &mut Piece, from: usize, column: &ArrayRef, null_as: Option<f64>) {
    let mut kept = from;
    for row in 0..column.len() {
        let at = from + row;
        let value = if column.is_valid(row) { Some(piece.values[at]) } else { null_as };
        if let Some(value) = value {
            piece.times[kept] = piece.times[at];
            piece.values[kept] = value;
            kept += 1;
        }
    }
    piece.times.truncate(kept);
    piece.values.truncate(kept);
}

/// When each sample of [`numbers`] began to count; empty where that changes no answer: when it is
/// never known, or always the same time before everything that is asked for.
fn starts(
    rows: &SeriesRows,
    position: usize,
    epoch: usize,
    keeps_nulls: bool,
    selection: &Selection,
) -> Vec<i64> {
    let epochs = |chunk: &Chunk| {
        let column = chunk.columns.get(epoch)?;
        column.as_primitive_opt::<Int64Type>().cloned()
    };
    let first = rows.chunks.first().and_then(epochs).and_then(|of| of.values().first().copied());
    let steady = first.is_some_and(|start_ms| {
        let is_same = |of: arrow_array::Int64Array| {
            of.null_count() == 0 && of.values().iter().all(|other| *other == start_ms)
        };
        start_ms < selection.first_ms
            && rows.chunks.iter().all(|chunk| epochs(chunk).is_some_and(is_same))
    });
    if steady {
        return Vec::new();
    }
    let mut starts_ms = Vec::with_capacity(rows.rows());
    for chunk in &rows.chunks {
        let Some(column) = chunk.columns.get(position) else { continue };
        let epochs = epochs(chunk);
        for row in 0..column.len() {
            if keeps_nulls || column.is_valid(row) {
                let known = epochs.as_ref().filter(|epochs| epochs.is_valid(row));
                starts_ms.push(known.map_or(0, |epochs| epochs.value(row)));
            }
        }
    }
    if starts_ms.iter().all(|start_ms| *start_ms == 0) { Vec::new() } else { starts_ms }
}

fn states(
    rows: &SeriesRows,
    position: usize,
    numbers: &BTreeMap<String, i64>,
    absent: i64,
) -> Piece {
    let mut piece = Piece::default();
    for (time_ms, column, row) in each_cell(rows, position) {
        let number = match text_of(column, row) {
            Some(text) => numbers.get(text).copied(),
            None => Some(absent),
        };
        if let Some(number) = number {
            piece.times.push(time_ms);
            piece.values.push(number.to_f64());
        }
    }
    piece
}

fn each_cell(rows: &SeriesRows, position: usize) -> impl Iterator<Item = (i64, &ArrayRef, usize)> {
    let chunks = rows.chunks.iter();
    let columns = chunks.filter_map(move |chunk| Some((chunk, chunk.columns.get(position)?)));
    columns.flat_map(|(chunk, column)| {
        let times = chunk.times_ms.iter().enumerate();
        times.map(move |(row, time_ms)| (*time_ms, column, row))
    })
}

fn texts(shown: &Shown, rows: &SeriesRows, position: usize) -> Vec<Piece> {
    let metric = shown.metrics.first().and_then(|index| shown.table.metrics().get(*index));
    let label: Arc<str> = Arc::from(metric.map_or("", |metric| metric.column.as_str()));
    let cells = each_cell(rows, position).filter_map(|(time_ms, column, row)| {
        let text = text_of(column, row)?;
        Some((time_ms, vec![(label.clone(), Arc::from(text))]))
    });
    changing(cells)
}

/// Pieces of value 1 by labels; when the labels change, the piece before ends there.
pub(super) fn changing(cells: impl Iterator<Item = (i64, Vec<Pair>)>) -> Vec<Piece> {
    let mut pieces: BTreeMap<Vec<Pair>, Piece> = BTreeMap::new();
    let mut before: Option<Vec<Pair>> = None;
    for (time_ms, labels) in cells {
        if let Some(before) = before.filter(|before| *before != labels)
            && let Some(piece) = pieces.get_mut(&before)
        {
            piece.times.push(time_ms);
            piece.values.push(f64::from_bits(STALE_BITS));
        }
        let piece = pieces.entry(labels.clone()).or_default();
        piece.times.push(time_ms);
        piece.values.push(1.0);
        before = Some(labels);
    }
    pieces.into_iter().map(|(labels, piece)| Piece { labels, ..piece }).collect()
}

/// Every row speaks until the next one, its container's end, or its own age.
fn infos(
    shown: &Shown,
    rows: &SeriesRows,
    positions: &[usize],
    selection: &Selection,
    life: Option<&Life>,
) -> Vec<Piece> {
    let metrics = shown.metrics.iter().filter_map(|index| shown.table.metrics().get(*index));
    let names: Vec<Arc<str>> = metrics.map(|metric| Arc::from(metric.column.as_str())).collect();
    let mut described: Vec<(i64, Vec<Pair>)> = Vec::new();
    for chunk in &rows.chunks {
        for (row, time_ms) in chunk.times_ms.iter().enumerate() {
            let cells = names.iter().zip(positions).filter(|(name, _)| &***name != "labels");
            let text = |(name, position): (&Arc<str>, &usize)| {
                let text = text_of(chunk.columns.get(*position)?, row)?;
                Some((name.clone(), Arc::from(text)))
            };
            described.push((*time_ms, cells.filter_map(text).collect()));
        }
    }
    let last_ms = life.map_or(i64::MAX, |life| life.dead_ms().unwrap_or(life.last_ms));
    let last_ms = last_ms.min(selection.last_ms);
    let mut cells = Vec::new();
    for (index, (row_ms, labels)) in described.iter().enumerate() {
        let next_ms = described.get(index.saturating_add(1)).map_or(i64::MAX, |next| next.0);
        let end_ms = next_ms.min(row_ms.saturating_add(INFO_LIFE_MS));
        let skipped = selection.first_ms.saturating_sub(*row_ms).max(0) / INFO_EVERY_MS;
        let mut time_ms = row_ms.saturating_add(skipped.saturating_mul(INFO_EVERY_MS));
        while time_ms < end_ms && time_ms <= last_ms.max(*row_ms) {
            cells.push((time_ms, labels.clone()));
            time_ms = time_ms.saturating_add(INFO_EVERY_MS);
        }
    }
    changing(cells.into_iter())
}

pub(super) fn text_of(column: &ArrayRef, row: usize) -> Option<&str> {
    let texts = column.as_dictionary_opt::<Int32Type>().filter(|texts| texts.is_valid(row))?;
    let key = usize::try_from(*texts.keys().values().get(row)?).ok()?;
    let values = texts.values().as_string_opt::<i32>()?;
    (key < values.len()).then(|| values.value(key))
}
