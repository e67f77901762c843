//! Brings pieces from many places into one order: by series, then by time.
//!
//! Pieces of a series that share no time are only put in order. Where they do, just that stretch
//! of that series is merged row by row, and of rows with one time the latest arrival stays.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef};
use arrow_select::interleave::interleave;

use super::{Chunk, Piece, ScanError, SeriesRows};

/// Groups pieces by key. Each place's pieces are already in key order, so the stable sort only
/// merges runs; it keeps the order of arrival inside a series.
pub(super) fn by_series(
    mut pieces: Vec<Piece>,
    series_max: usize,
) -> Result<Vec<SeriesRows>, ScanError> {
    pieces.sort_by(|left, right| {
        if Arc::ptr_eq(&left.key, &right.key) {
            std::cmp::Ordering::Equal
        } else {
            left.key.cmp(&right.key)
        }
    });
    let mut series: Vec<SeriesRows> = Vec::new();
    for piece in pieces {
        match series.last_mut() {
            Some(last) if last.key == piece.key => last.chunks.push(piece.chunk),
            _ => series.push(SeriesRows { key: piece.key, chunks: vec![piece.chunk] }),
        }
    }
    if series.len() > series_max {
        return Err(ScanError::Series { max: series_max });
    }
    for series in &mut series {
        if overlap(&series.chunks) {
            series.chunks = merged(std::mem::take(&mut series.chunks))?;
        }
    }
    Ok(series)
}

/// Whether chunks, as they stand, are out of order or share time.
fn overlap(chunks: &[Chunk]) -> bool {
    chunks.iter().zip(chunks.iter().skip(1)).any(|(left, right)| left.last_ms() >= right.first_ms())
}

/// Sorts chunks by time; merges those that share time.
fn merged(chunks: Vec<Chunk>) -> Result<Vec<Chunk>, ScanError> {
    let mut arrivals: Vec<(usize, Chunk)> = chunks.into_iter().enumerate().collect();
    arrivals.sort_by_key(|(_, chunk)| chunk.first_ms());
    let mut out = Vec::with_capacity(arrivals.len());
    let mut cluster: Vec<(usize, Chunk)> = Vec::new();
    let mut until = i64::MIN;
    for (arrival, chunk) in arrivals {
        if !cluster.is_empty() && chunk.first_ms() > until {
            out.extend(merge_cluster(std::mem::take(&mut cluster))?);
        }
        until = if cluster.is_empty() { chunk.last_ms() } else { until.max(chunk.last_ms()) };
        cluster.push((arrival, chunk));
    }
    out.extend(merge_cluster(cluster)?);
    Ok(out)
}

/// Merges chunks that share time; a single chunk stays as it is.
fn merge_cluster(mut cluster: Vec<(usize, Chunk)>) -> Result<Option<Chunk>, ScanError> {
    if cluster.len() <= 1 {
        return Ok(cluster.pop().map(|(_, chunk)| chunk));
    }
    cluster.sort_by_key(|(arrival, _)| *arrival);
    let chunks: Vec<Chunk> = cluster.into_iter().map(|(_, chunk)| chunk).collect();
    let mut order: Vec<(i64, usize, usize)> = Vec::new();
    for (chunk, rows) in chunks.iter().enumerate() {
        order.extend(rows.times_ms.iter().enumerate().map(|(row, time)| (*time, chunk, row)));
    }
    order.sort_unstable();
    let mut times: Vec<i64> = Vec::with_capacity(order.len());
    let mut from: Vec<(usize, usize)> = Vec::with_capacity(order.len());
    for (time, chunk, row) in order {
        if times.last() == Some(&time) {
            from.pop();
            times.pop();
        }
        times.push(time);
        from.push((chunk, row));
    }
    let width = chunks.first().map_or(0, |chunk| chunk.columns.len());
    let columns: Result<Vec<ArrayRef>, ScanError> = (0..width)
        .map(|column| {
            let columns = chunks.iter().filter_map(|chunk| chunk.columns.get(column));
            let arrays: Vec<&dyn Array> = columns.map(AsRef::as_ref).collect();
            interleave(&arrays, &from).map_err(|source| ScanError::Merge { source })
        })
        .collect();
    Ok(Some(Chunk { times_ms: times.into(), columns: columns? }))
}
