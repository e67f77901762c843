//! Scans the rows of a head.

use std::sync::Arc;

use arrow_array::{ArrayRef, new_null_array};

use super::{Budget, Chunk, Piece, ScanError, ScanRequest};
use crate::head::{Arrangement, HeadSnapshot};

pub(super) fn scan(
    head: &Arc<HeadSnapshot>,
    request: &ScanRequest,
    budget: &mut Budget<'_>,
    pieces: &mut Vec<Piece>,
) -> Result<(), ScanError> {
    if !head.time_range().is_some_and(|range| range.overlaps(&request.range)) {
        return Ok(());
    }
    let series = head.accepted(&request.filter);
    if series.is_empty() {
        return Ok(());
    }
    let arrangement = Arrangement::new(head.clone(), &series, request.range);
    budget.check_series(arrangement.spans.len())?;
    budget.take_rows(arrangement.rows())?;
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(request.metrics.len());
    for metric in &request.metrics {
        budget.check_stop()?;
        let column = arrangement.metric(*metric);
        columns.push(column.unwrap_or_else(|| nulls(request, *metric, arrangement.rows())));
    }
    for span in &arrangement.spans {
        let Some(key) = head.key(span.series).cloned() else { continue };
        let times_ms = arrangement.times_ms.slice(span.start, span.rows);
        let slices = columns.iter().map(|column| column.slice(span.start, span.rows));
        pieces.push(Piece { key, chunk: Chunk { times_ms, columns: slices.collect() } });
    }
    Ok(())
}

/// A column of a metric that has no value in any row.
pub(super) fn nulls(request: &ScanRequest, metric: usize, rows: usize) -> ArrayRef {
    let column = request.table.metrics_start().saturating_add(metric);
    new_null_array(request.table.schema().field(column).data_type(), rows)
}
