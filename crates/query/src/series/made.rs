//! Series made of several columns, and of several rows of one time.

use std::collections::BTreeSet;

use arrow_array::Array;
use arrow_array::PrimitiveArray;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use plimsoll_model::registry::MadeValue;
use plimsoll_store::{Chunk, SeriesRows};
use plimsoll_window::GaugeValue;

use super::names::{Made, TextSource};
use super::values::{Piece, changing, text_of};
use crate::promql::Pair;

/// The pieces of the rows that share all keys that are labels; `columns`: what they hold.
pub(super) fn pieces(made: &Made, columns: &[usize], group: &[&SeriesRows]) -> Vec<Piece> {
    let Some(first) = group.first() else { return Vec::new() };
    if !made.texts.is_empty() {
        return described(made, columns, first);
    }
    let members = if made.first { &group[..1] } else { group };
    let mut all: Vec<Piece> = members.iter().map(|rows| one(made, columns, rows)).collect();
    all.retain(|piece| !piece.times.is_empty());
    vec![together(all)]
}

/// The value of each row of one series.
fn one(made: &Made, columns: &[usize], rows: &SeriesRows) -> Piece {
    let mut piece = Piece::default();
    for chunk in &rows.chunks {
        let ints = |metrics: &[usize]| -> Option<Vec<PrimitiveArray<Int64Type>>> {
            metrics.iter().map(|metric| ints(chunk, columns, *metric)).collect()
        };
        let (Some(plus), Some(minus)) = (ints(&made.plus), ints(&made.minus)) else { continue };
        for (row, time_ms) in chunk.times_ms.iter().enumerate() {
            let cell = |of: &PrimitiveArray<Int64Type>| of.is_valid(row).then(|| of.value(row));
            let value = match made.value {
                MadeValue::One => Some(1.0),
                MadeValue::Time => Some(time_ms.to_f64() / 1_000.0),
                MadeValue::Sum => {
                    let is_whole = plus.first().and_then(cell).is_some()
                        && minus.iter().all(|of| of.is_valid(row));
                    let add = |sum: i64, of| sum.saturating_add(cell(of).unwrap_or(0));
                    let sum = plus.iter().fold(0_i64, add);
                    let less = minus.iter().fold(0_i64, add);
                    is_whole.then(|| sum.saturating_sub(less).to_f64() / made.divide_by)
                }
            };
            if let Some(value) = value {
                piece.times.push(*time_ms);
                piece.values.push(value);
            }
        }
    }
    piece
}

fn ints(chunk: &Chunk, columns: &[usize], metric: usize) -> Option<PrimitiveArray<Int64Type>> {
    let position = columns.binary_search(&metric).ok()?;
    chunk.columns.get(position)?.as_primitive_opt::<Int64Type>().cloned()
}

/// The sum of several series: at every time the newest value of each counts, so that one that
/// misses a round makes no dip.
fn together(mut all: Vec<Piece>) -> Piece {
    if all.len() <= 1 {
        return all.pop().unwrap_or_default();
    }
    let times: BTreeSet<i64> = all.iter().flat_map(|piece| piece.times.iter().copied()).collect();
    let times: Vec<i64> = times.into_iter().collect();
    let mut values = vec![0.0; times.len()];
    for piece in &all {
        let mut next = 0;
        let mut newest = 0.0;
        for (time_ms, sum) in times.iter().zip(&mut values) {
            while piece.times.get(next).is_some_and(|sample_ms| sample_ms <= time_ms) {
                newest = piece.values[next];
                next += 1;
            }
            *sum += newest;
        }
    }
    Piece { times, values, ..Piece::default() }
}

/// Pieces of value 1, or of times, by the texts of the rows.
fn described(made: &Made, columns: &[usize], rows: &SeriesRows) -> Vec<Piece> {
    let cells = rows.chunks.iter().flat_map(|chunk| {
        chunk.times_ms.iter().enumerate().map(move |(row, time_ms)| {
            let text = |(label, source): &(std::sync::Arc<str>, TextSource)| -> Option<Pair> {
                let value = match source {
                    TextSource::Dimension(of) => rows.key.subject.get(*of).clone(),
                    TextSource::Metric(metric) => {
                        let position = columns.binary_search(metric).ok()?;
                        text_of(chunk.columns.get(position)?, row)?.into()
                    }
                };
                Some((label.clone(), value))
            };
            (*time_ms, made.texts.iter().filter_map(text).collect())
        })
    });
    changing(cells)
}
