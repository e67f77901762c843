//! Answers which rows of a table lie in a time range and belong to the series asked for.
//!
//! A scan reads segments and heads of one table and resolution. Filters are evaluated once per
//! series, on indexes; only `time` and the metrics asked for are decoded, and only pages that hold
//! rows of accepted series. Rows come back as slices of the decoded arrays.
//!
//! Holds SORT (series in key order, times rising, none twice), LIMIT ([`ScanLimits`]) and CORRUPT
//! (a damaged segment is left out whole, named in the warnings and listed in `damaged`).
//! Not here: which segments are live (`manifest`), retention (`engine`), arithmetic (`window`).

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

mod error;
mod heads;
mod merge;
mod request;
mod segments;
mod series;

use std::collections::BTreeSet;
use std::sync::Arc;

use plimsoll_model::chain;

pub use error::ScanError;
pub use request::{Damaged, Scan, ScanLimits, ScanRequest, SeriesRequest, View};
pub use series::{Chunk, SeriesKey, SeriesRows};

use crate::segment::{Segment, SegmentError};

/// Rows of one series from one place; later places in a list came later.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) key: Arc<SeriesKey>,
    pub(crate) chunk: Chunk,
}

/// Why one segment gave no rows.
#[derive(Debug)]
enum Failure {
    /// The segment is at fault; the others still answer.
    Segment(SegmentError),
    /// The whole scan ends.
    Scan(ScanError),
}

impl From<SegmentError> for Failure {
    fn from(error: SegmentError) -> Self {
        Self::Segment(error)
    }
}

impl From<ScanError> for Failure {
    fn from(error: ScanError) -> Self {
        Self::Scan(error)
    }
}

/// Counts what a scan has taken against its limits.
#[derive(Debug)]
struct Budget<'a> {
    limits: &'a ScanLimits,
    rows: u64,
}

impl Budget<'_> {
    fn check_stop(&self) -> Result<(), ScanError> {
        if self.limits.stopped() { Err(ScanError::Stopped) } else { Ok(()) }
    }

    /// Checks before decoding that there is room for `rows` more.
    fn check_rows(&self, rows: usize) -> Result<(), ScanError> {
        let rows = u64::try_from(rows).unwrap_or(u64::MAX);
        if self.rows.saturating_add(rows) > self.limits.rows_max {
            return Err(ScanError::Rows { max: self.limits.rows_max });
        }
        Ok(())
    }

    fn take_rows(&mut self, rows: usize) -> Result<(), ScanError> {
        self.check_rows(rows)?;
        self.rows = self.rows.saturating_add(u64::try_from(rows).unwrap_or(u64::MAX));
        Ok(())
    }

    fn check_series(&self, series: usize) -> Result<(), ScanError> {
        if series > self.limits.series_max {
            return Err(ScanError::Series { max: self.limits.series_max });
        }
        Ok(())
    }
}

/// Reads what `request` asks from `view`.
///
/// Of rows with the same series and time, the one from the later place in the view counts
/// (segments in the given order, then heads in the given order), whole.
///
/// # Errors
///
/// [`ScanError`] when a limit is reached or the scan was stopped. A segment that cannot be read is
/// no error: it is left out, with a warning.
pub fn scan(view: &View, request: &ScanRequest) -> Result<Scan, ScanError> {
    request.check()?;
    let mut budget = Budget { limits: &request.limits, rows: 0 };
    let mut pieces: Vec<Piece> = Vec::new();
    let mut damaged = Vec::new();
    for segment in &view.segments {
        if !segment.meta().time_range().overlaps(&request.range) {
            continue;
        }
        budget.check_stop()?;
        let rows_before = budget.rows;
        let pieces_before = pieces.len();
        match segments::scan(segment, request, &mut budget, &mut pieces) {
            Ok(()) => {}
            Err(Failure::Scan(error)) => return Err(error),
            Err(Failure::Segment(error)) => {
                pieces.truncate(pieces_before);
                budget.rows = rows_before;
                damaged.push(Damaged { segment: segment.clone(), error });
            }
        }
    }
    for head in &view.heads {
        budget.check_stop()?;
        heads::scan(head, request, &mut budget, &mut pieces)?;
    }
    let series = merge::by_series(pieces, request.limits.series_max)?;
    let rows: usize = series.iter().map(SeriesRows::rows).sum();
    let warnings = damaged.iter().map(warning).collect();
    Ok(Scan { series, warnings, damaged, rows: u64::try_from(rows).unwrap_or(u64::MAX) })
}

fn warning(damaged: &Damaged) -> String {
    let meta = damaged.segment.meta();
    format!(
        "{} rows between {} and {} ms were left out: {}",
        meta.rows,
        meta.start_ms,
        meta.end_ms,
        chain(&damaged.error)
    )
}

/// Which series have rows in a range, in key order, from indexes alone.
///
/// A series of a segment counts when the time from its first to its last row in that segment
/// touches the range. A segment that cannot be read is passed over.
///
/// # Errors
///
/// [`ScanError::Series`] when there are more than allowed, [`ScanError::Stopped`].
pub fn series(view: &View, request: &SeriesRequest) -> Result<Vec<Arc<SeriesKey>>, ScanError> {
    let budget = Budget { limits: &request.limits, rows: 0 };
    let mut found: BTreeSet<Arc<SeriesKey>> = BTreeSet::new();
    for segment in &view.segments {
        if !segment.meta().time_range().overlaps(&request.range) {
            continue;
        }
        budget.check_stop()?;
        if let Err(error) = segment_series(segment, request, &mut found) {
            tracing::warn!(error = %chain(&error), "segment passed over");
        }
        budget.check_series(found.len())?;
    }
    for head in &view.heads {
        budget.check_stop()?;
        let series = head.accepted(&request.filter);
        let present = head.present(&series, request.range);
        let present = series.iter().zip(present).filter(|(_, present)| *present);
        found.extend(present.filter_map(|(series, _)| head.key(*series).cloned()));
        budget.check_series(found.len())?;
    }
    Ok(found.into_iter().collect())
}

fn segment_series(
    segment: &Segment,
    request: &SeriesRequest,
    found: &mut BTreeSet<Arc<SeriesKey>>,
) -> Result<(), SegmentError> {
    let index = segment.index()?;
    for span in index.spans() {
        let touches =
            span.first_ms < request.range.end_ms && span.last_ms >= request.range.start_ms;
        if touches && span.key.accepted_by(request.table, &request.filter) {
            found.insert(span.key.clone());
        }
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "numbers in tests are small")]
mod tests;
