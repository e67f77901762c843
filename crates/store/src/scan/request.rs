//! What a scan is asked, what it reads, and what it answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use plimsoll_model::{Filter, Table, TimeRange};

use super::{ScanError, SeriesRows};
use crate::head::HeadSnapshot;
use crate::segment::{Segment, SegmentError};

/// What one scan may take.
#[derive(Debug, Clone)]
pub struct ScanLimits {
    /// Rows an answer may have.
    pub rows_max: u64,
    /// Series an answer may have.
    pub series_max: usize,
    /// Set by the caller to end the scan early; looked at before every row group.
    pub stop: Arc<AtomicBool>,
}

impl ScanLimits {
    /// Limits whose stop flag nobody else holds yet.
    pub fn new(rows_max: u64, series_max: usize) -> Self {
        Self { rows_max, series_max, stop: Arc::new(AtomicBool::new(false)) }
    }

    /// Whether the caller no longer wants the answer.
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Which rows and metrics of one table are wanted.
#[derive(Debug, Clone)]
pub struct ScanRequest {
    /// The table.
    pub table: &'static Table,
    /// Indexes into [`Table::metrics`], in the order the answer's columns are wanted.
    pub metrics: Vec<usize>,
    /// Times wanted.
    pub range: TimeRange,
    /// Over dimensions and key columns.
    pub filter: Filter,
    /// What the scan may take.
    pub limits: ScanLimits,
}

impl ScanRequest {
    pub(super) fn check(&self) -> Result<(), ScanError> {
        match self.metrics.iter().find(|metric| **metric >= self.table.metrics().len()) {
            Some(found) => Err(ScanError::Metric { table: self.table.name(), found: *found }),
            None => Ok(()),
        }
    }
}

/// Which series are wanted.
#[derive(Debug, Clone)]
pub struct SeriesRequest {
    /// The table.
    pub table: &'static Table,
    /// Times in which a series must have rows.
    pub range: TimeRange,
    /// Over dimensions and key columns.
    pub filter: Filter,
    /// `series_max` and `stop` apply.
    pub limits: ScanLimits,
}

/// The live rows of one table at one resolution.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Earliest written first.
    pub segments: Vec<Arc<Segment>>,
    /// Earliest sealed first, the one that still takes rows last.
    pub heads: Vec<Arc<HeadSnapshot>>,
}

/// A segment that could not be read.
#[derive(Debug)]
pub struct Damaged {
    /// The segment.
    pub segment: Arc<Segment>,
    /// Why.
    pub error: SegmentError,
}

/// The rows a scan found.
#[derive(Debug, Default)]
pub struct Scan {
    /// In key order; series without rows are left out.
    pub series: Vec<SeriesRows>,
    /// What a reader must know of the answer: one sentence per segment left out.
    pub warnings: Vec<String>,
    /// The segments left out, for whoever sets them aside.
    pub damaged: Vec<Damaged>,
    /// Rows in all series.
    pub rows: u64,
}
