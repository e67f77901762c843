//! The samples of a column: times and values, in pieces where a text of the row makes labels.

use std::collections::BTreeMap;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, PrimitiveArray};
use plimsoll_store::SeriesRows;
use plimsoll_window::GaugeValue;

use super::lives::Life;
use super::names::{Reading, Shown};
use crate::promql::{STALE_BITS, Selection};

/// Time between two samples of an info series, in milliseconds: well within PromQL's lookback.
const INFO_EVERY_MS: i64 = 60_000;
/// How long a row of an info table speaks without a newer one, in milliseconds.
const INFO_LIFE_MS: i64 = 7_200_000;

/// Samples under one set of labels.
#[derive(Debug, Default)]
pub(super) struct Piece {
    /// Labels from texts of the row.
    pub(super) labels: Vec<(String, String)>,
    pub(super) times: Vec<i64>,
    pub(super) values: Vec<f64>,
    /// When what each sample counts began; empty where it is not known. 0: not known of one.
    pub(super) starts_ms: Vec<i64>,
}

/// The pieces of one column of one row series.
#[derive(Debug)]
pub(super) struct Pieces;

impl Pieces {
    /// The pieces of `shown`; `columns`: which metrics the rows hold.
    pub(super) fn of(
        shown: &Shown,
        columns: &[usize],
        rows: &SeriesRows,
        selection: &Selection,
        life: Option<&Life>,
    ) -> Vec<Piece> {
        let position = |metric: &usize| columns.binary_search(metric).ok();
        let positions: Vec<usize> = shown.metrics.iter().filter_map(position).collect();
        let Some(first) = positions.first().copied() else { return Vec::new() };
        let pieces = match &shown.reading {
            Reading::Number { divide_by, null_as } => {
                let epoch = shown.epoch.as_ref().and_then(position);
                numbers(rows, first, epoch, |value| value / divide_by, *null_as)
            }
            Reading::State { values, absent } => states(rows, first, values, *absent),
            Reading::Text => texts(shown, rows, first),
            Reading::Info => infos(shown, rows, &positions, selection, life),
        };
        pieces.into_iter().filter(|piece| !piece.times.is_empty()).collect()
    }
}

fn each_cell(rows: &SeriesRows, position: usize) -> impl Iterator<Item = (i64, &ArrayRef, usize)> {
    let chunks = rows.chunks.iter();
    let columns = chunks.filter_map(move |chunk| Some((chunk, chunk.columns.get(position)?)));
    columns.flat_map(|(chunk, column)| {
        let times = chunk.times_ms.iter().enumerate();
        times.map(move |(row, time_ms)| (*time_ms, column, row))
    })
}

fn numbers(
    rows: &SeriesRows,
    position: usize,
    epoch_position: Option<usize>,
    show: impl Fn(f64) -> f64,
    null_as: Option<f64>,
) -> Vec<Piece> {
    let mut piece = Piece::default();
    for chunk in &rows.chunks {
        let Some(column) = chunk.columns.get(position) else { continue };
        let ints = column.as_primitive_opt::<Int64Type>().map(PrimitiveArray::values);
        let floats = column.as_primitive_opt::<Float64Type>().map(PrimitiveArray::values);
        let epochs = epoch_position.and_then(|position| chunk.columns.get(position));
        let epochs = epochs.and_then(|epochs| epochs.as_primitive_opt::<Int64Type>());
        for (row, time_ms) in chunk.times_ms.iter().enumerate() {
            let value = if column.is_null(row) {
                null_as
            } else {
                let int = ints.and_then(|ints| ints.get(row)).map(|int| int.to_f64());
                int.or_else(|| floats.and_then(|f| f.get(row)).copied()).map(&show)
            };
            let Some(value) = value else { continue };
            piece.times.push(*time_ms);
            piece.values.push(value);
            if epoch_position.is_some() {
                let known = epochs.filter(|epochs| epochs.is_valid(row));
                let start_ms = known.and_then(|epochs| epochs.values().get(row)).copied();
                piece.starts_ms.push(start_ms.unwrap_or(0));
            }
        }
    }
    if piece.starts_ms.iter().all(|start_ms| *start_ms == 0) {
        piece.starts_ms.clear();
    }
    vec![piece]
}

fn states(
    rows: &SeriesRows,
    position: usize,
    numbers: &BTreeMap<String, i64>,
    absent: i64,
) -> Vec<Piece> {
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
    vec![piece]
}

fn texts(shown: &Shown, rows: &SeriesRows, position: usize) -> Vec<Piece> {
    let metric = shown.metrics.first().and_then(|index| shown.table.metrics().get(*index));
    let label = metric.map_or("", |metric| metric.column.as_str());
    let cells = each_cell(rows, position).filter_map(|(time_ms, column, row)| {
        let text = text_of(column, row)?;
        Some((time_ms, vec![(label.to_owned(), text.to_owned())]))
    });
    changing(cells)
}

/// Pieces of value 1 by labels; when the labels change, the piece before ends there.
fn changing(cells: impl Iterator<Item = (i64, Vec<(String, String)>)>) -> Vec<Piece> {
    let mut pieces: BTreeMap<Vec<(String, String)>, Piece> = BTreeMap::new();
    let mut before: Option<Vec<(String, String)>> = None;
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
    let names: Vec<&str> = metrics.map(|metric| metric.column.as_str()).collect();
    let mut described: Vec<(i64, Vec<(String, String)>)> = Vec::new();
    for chunk in &rows.chunks {
        for (row, time_ms) in chunk.times_ms.iter().enumerate() {
            let cells = names.iter().zip(positions).filter(|(name, _)| **name != "labels");
            let text = |(name, position): (&&str, &usize)| {
                let text = text_of(chunk.columns.get(*position)?, row)?;
                Some(((*name).to_owned(), text.to_owned()))
            };
            described.push((*time_ms, cells.filter_map(text).collect()));
        }
    }
    let last_ms = life.map_or(i64::MAX, |life| life.dead_ms.unwrap_or(life.last_ms));
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

fn text_of(column: &ArrayRef, row: usize) -> Option<&str> {
    let texts = column.as_dictionary_opt::<Int32Type>().filter(|texts| texts.is_valid(row))?;
    let key = usize::try_from(*texts.keys().values().get(row)?).ok()?;
    let values = texts.values().as_string_opt::<i32>()?;
    (key < values.len()).then(|| values.value(key))
}
