//! Picks the encoding of every column by trying all of them on rows of the data itself.
//!
//! Numbers and the reasons for the candidates: `docs/decisions/0020-encoding-trial.md`.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, TimestampMillisecondArray};
use arrow_select::concat::concat;
use plimsoll_model::Table;

use super::gather::Rows;
use super::order::MergeOrder;
use crate::segment::{Encoding, EncodingPlan, SegmentError, encoded_bytes};

/// Most rows that a trial encodes, taken from [`SLICES`] places.
pub const TRIAL_ROWS: u64 = 32_768;
/// Values that a trial encodes each way, nulls included: wide tables are tried on fewer rows.
const TRIAL_VALUES: u64 = 4_000_000;
/// Places the rows of a trial come from, evenly over all series.
const SLICES: u64 = 4;
/// zstd level of a trial: sizes at this level rank encodings as the final level does.
const TRIAL_LEVEL: i32 = 3;

/// Candidates, the cheapest to decode first.
const CANDIDATES: [Encoding; 4] =
    [Encoding::Plain, Encoding::Dictionary, Encoding::ByteStreamSplit, Encoding::Delta];

/// The plan with the smallest encoding of every metric; a candidate that decodes faster wins when
/// it is at most 2 % larger. Columns without values keep the encoding of `base`.
///
/// # Errors
///
/// [`SegmentError`] when rows cannot be read or encoded; `path` only names the file in it.
pub(crate) fn trial_of(
    order: &MergeOrder<'_>,
    table: &'static Table,
    base: &EncodingPlan,
    path: &Path,
) -> Result<EncodingPlan, SegmentError> {
    let mut slices: Vec<Vec<Option<ArrayRef>>> = Vec::new();
    let mut times: Vec<i64> = Vec::new();
    let columns = u64::try_from(table.columns().len()).unwrap_or(u64::MAX).max(1);
    let rows = TRIAL_VALUES.checked_div(columns).unwrap_or(0).clamp(SLICES, TRIAL_ROWS);
    let per_slice = rows.checked_div(SLICES).unwrap_or(1);
    let spacing = order.rows().checked_div(SLICES).unwrap_or(0).max(1);
    let (mut passed, mut next) = (0_u64, 0_u64);
    let mut index = 0_usize;
    while let Some(series) = order.series.get(index) {
        let before = passed;
        passed = passed.saturating_add(series.rows());
        index = index.saturating_add(1);
        if before < next {
            continue;
        }
        let start = index.saturating_sub(1);
        while passed.saturating_sub(before) < per_slice
            && let Some(series) = order.series.get(index)
        {
            passed = passed.saturating_add(series.rows());
            index = index.saturating_add(1);
        }
        let rows = Rows::new(order, start..index, &|_, _, _| Vec::new())?;
        let mut columns = Vec::with_capacity(table.metrics().len());
        for metric in 0..table.metrics().len() {
            let keep = usize::try_from(per_slice.saturating_mul(2)).unwrap_or(usize::MAX);
            let column = rows.metric(metric)?;
            columns.push(column.map(|array| array.slice(0, array.len().min(keep))));
        }
        times.extend_from_slice(&rows.times_ms);
        slices.push(columns);
        next = next.saturating_add(spacing).max(passed);
    }
    let columns: Vec<Option<ArrayRef>> = (0..table.metrics().len())
        .map(|metric| {
            let parts = slices.iter().filter_map(|columns| columns.get(metric)?.as_deref());
            let parts: Vec<_> = parts.collect();
            if parts.is_empty() { None } else { concat(&parts).ok() }
        })
        .collect();
    trial(table, base, times, &columns, path)
}

/// As [`trial_of`], on these times and columns: one per metric of the table, `None` without values.
///
/// # Errors
///
/// [`SegmentError`] when they cannot be encoded.
pub fn trial(
    table: &'static Table,
    base: &EncodingPlan,
    times_ms: Vec<i64>,
    columns: &[Option<ArrayRef>],
    path: &Path,
) -> Result<EncodingPlan, SegmentError> {
    let times: ArrayRef = Arc::new(TimestampMillisecondArray::from(times_ms).with_timezone("UTC"));
    let mut best: Vec<(u64, Encoding)> = Vec::new();
    for candidate in CANDIDATES {
        let plan = EncodingPlan {
            time: candidate,
            metrics: vec![candidate; table.metrics().len()],
            zstd_level: TRIAL_LEVEL,
            ..base.clone()
        };
        let (time, metrics) = encoded_bytes(table, &plan, &times, columns, path)?;
        let sizes: Vec<u64> = std::iter::once(time).chain(metrics).collect();
        if best.is_empty() {
            best = sizes.iter().map(|bytes| (*bytes, candidate)).collect();
            continue;
        }
        for (best, bytes) in best.iter_mut().zip(sizes) {
            let worth = best.0.saturating_sub(best.0.checked_div(50).unwrap_or(0));
            if bytes < worth {
                *best = (bytes, candidate);
            }
        }
    }
    let mut plan = base.clone();
    let mut best = best.into_iter();
    plan.time = best.next().map_or(plan.time, |(_, encoding)| encoding);
    let picked = best.zip(columns);
    for (place, ((_, encoding), column)) in plan.metrics.iter_mut().zip(picked) {
        if column.is_some() {
            *place = encoding;
        }
    }
    Ok(plan)
}
