//! Scans the rows of a segment.
//!
//! Row group by row group: `time` of the accepted series is decoded first, each series is trimmed
//! to the range by binary search, and only the rows that stay are decoded from the metrics.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMillisecondType;
use arrow_buffer::ScalarBuffer;
use plimsoll_model::TimeRange;

use super::{Budget, Chunk, Failure, Piece, ScanRequest, SeriesKey, heads};
use crate::segment::{Segment, SegmentError, SegmentIndex, SegmentReader};

/// Rows of one series inside one row group.
#[derive(Debug)]
struct Part {
    key: Arc<SeriesKey>,
    /// Rows inside the group.
    rows: Range<usize>,
}

pub(super) fn scan(
    segment: &Segment,
    request: &ScanRequest,
    budget: &mut Budget<'_>,
    pieces: &mut Vec<Piece>,
) -> Result<(), Failure> {
    let reader = segment.reader()?;
    let index = reader.index().clone();
    if !std::ptr::eq(index.table(), request.table) {
        let error = SegmentError::Layout { path: segment.path().to_owned(), what: "table name" };
        return Err(error.into());
    }
    let accepted = accepted(&index, request);
    budget.check_series(accepted.len())?;
    let mut rest = accepted.as_slice();
    for (group, rows) in index.groups().iter().enumerate() {
        // Spans rise: drop those that end before this group, take those that begin in it.
        while let Some((_, span)) = rest.first()
            && span.end <= rows.start
        {
            rest = rest.get(1..).unwrap_or(&[]);
        }
        let parts: Vec<Part> = rest
            .iter()
            .take_while(|(_, span)| span.start < rows.end)
            .filter_map(|(key, span)| part(key, span, rows))
            .collect();
        if !parts.is_empty() {
            budget.check_stop()?;
            scan_group(&reader, group, parts, request, budget, pieces)?;
        }
    }
    Ok(())
}

/// The series the filter accepts that may have rows in the range, with their rows in the file.
fn accepted(index: &SegmentIndex, request: &ScanRequest) -> Vec<(Arc<SeriesKey>, Range<u64>)> {
    let spans = index.spans().iter().filter(|span| {
        span.first_ms < request.range.end_ms
            && span.last_ms >= request.range.start_ms
            && span.key.accepted_by(request.table, &request.filter)
    });
    spans.map(|span| (span.key.clone(), span.start..span.start.saturating_add(span.rows))).collect()
}

fn part(key: &Arc<SeriesKey>, span: &Range<u64>, group: &Range<u64>) -> Option<Part> {
    let start = span.start.max(group.start).saturating_sub(group.start);
    let end = span.end.min(group.end).saturating_sub(group.start);
    let rows = usize::try_from(start).ok()?..usize::try_from(end).ok()?;
    (!rows.is_empty()).then(|| Part { key: key.clone(), rows })
}

fn scan_group(
    reader: &SegmentReader<'_>,
    group: usize,
    parts: Vec<Part>,
    request: &ScanRequest,
    budget: &mut Budget<'_>,
    pieces: &mut Vec<Piece>,
) -> Result<(), Failure> {
    let times = read_times(reader, group, &parts)?;
    let (parts, times) = trim(parts, times, request.range);
    let rows = times.len();
    if rows == 0 {
        return Ok(());
    }
    budget.take_rows(rows)?;
    let columns = read_metrics(reader, group, &parts, rows, request)?;
    let mut start = 0_usize;
    for part in parts {
        let rows = part.rows.len();
        let times_ms = times.slice(start, rows);
        let columns = columns.iter().map(|column| column.slice(start, rows)).collect();
        pieces.push(Piece { key: part.key, chunk: Chunk { times_ms, columns } });
        start = start.saturating_add(rows);
    }
    Ok(())
}

fn read_times(
    reader: &SegmentReader<'_>,
    group: usize,
    parts: &[Part],
) -> Result<ScalarBuffer<i64>, SegmentError> {
    let arrays = reader.read(group, &[reader.index().time()], &ranges(parts))?;
    let times = arrays.first().and_then(|times| {
        times.as_primitive_opt::<TimestampMillisecondType>().map(|times| times.values().clone())
    });
    Ok(times.unwrap_or_else(|| Vec::new().into()))
}

/// Rows of consecutive parts as few ranges.
fn ranges(parts: &[Part]) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::with_capacity(parts.len());
    for part in parts {
        match ranges.last_mut() {
            Some(last) if last.end == part.rows.start => last.end = part.rows.end,
            _ => ranges.push(part.rows.clone()),
        }
    }
    ranges
}

/// Cuts every part to the range; the times left are those of the parts left.
fn trim(
    parts: Vec<Part>,
    times: ScalarBuffer<i64>,
    range: TimeRange,
) -> (Vec<Part>, ScalarBuffer<i64>) {
    let mut kept = Vec::with_capacity(parts.len());
    let mut runs: Vec<Range<usize>> = Vec::with_capacity(parts.len());
    let mut start = 0_usize;
    for part in parts {
        let end = start.saturating_add(part.rows.len());
        let slice = times.get(start..end).unwrap_or(&[]);
        let from = slice.partition_point(|time| *time < range.start_ms);
        let until = slice.partition_point(|time| *time < range.end_ms);
        if from < until {
            let first = part.rows.start;
            let rows = first.saturating_add(from)..first.saturating_add(until);
            kept.push(Part { key: part.key, rows });
            runs.push(start.saturating_add(from)..start.saturating_add(until));
        }
        start = end;
    }
    let rows: usize = runs.iter().map(ExactSizeIterator::len).sum();
    if rows == times.len() {
        return (kept, times);
    }
    let mut left = Vec::with_capacity(rows);
    for run in runs {
        left.extend_from_slice(times.get(run).unwrap_or(&[]));
    }
    (kept, left.into())
}

fn read_metrics(
    reader: &SegmentReader<'_>,
    group: usize,
    parts: &[Part],
    rows: usize,
    request: &ScanRequest,
) -> Result<Vec<ArrayRef>, SegmentError> {
    let in_file = |metric: &usize| reader.index().metric(*metric);
    let mut wanted: Vec<usize> = request.metrics.iter().filter_map(in_file).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let arrays =
        if wanted.is_empty() { Vec::new() } else { reader.read(group, &wanted, &ranges(parts))? };
    let columns = request.metrics.iter().map(|metric| {
        let column = in_file(metric).and_then(|column| wanted.binary_search(&column).ok());
        let array = column.and_then(|at| arrays.get(at).cloned());
        array.unwrap_or_else(|| heads::nulls(request, *metric, rows))
    });
    Ok(columns.collect())
}
