//! What an incident is asked, what it may cost, and why it has no answer.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use plimsoll_model::{ErrorClass, Filter, TimeRange};
use plimsoll_store::{ScanError, ScanLimits};

use super::Spans;

/// Shortest baseline taken unless asked otherwise: long enough for a median window to be known.
const BASELINE_MS_MIN: i64 = 90 * 60_000;
/// Windows the baseline is long, unless that is shorter than [`BASELINE_MS_MIN`].
const BASELINE_WINDOWS: i64 = 4;
/// Buckets the window is cut into at most: a longer window is averaged.
const WINDOW_BUCKETS: i64 = 30;
/// Shortest bucket, milliseconds.
const BUCKET_MS_MIN: i64 = 1_000;
/// Longest window: 31 days.
const WINDOW_MS_MAX: i64 = 31 * 86_400_000;

/// A question about a window of time.
#[derive(Debug, Clone)]
pub struct IncidentRequest {
    /// The window.
    pub window: TimeRange,
    /// How much time before the window is the baseline, milliseconds; `None`: four times the
    /// window, at least 90 minutes.
    pub baseline_ms: Option<i64>,
    /// Whether as much time after the window, one window after its end, counts as baseline too
    /// for metrics that came back to their old level.
    pub after: bool,
    /// Which containers are looked at, by dimensions.
    pub filter: Filter,
}

impl IncidentRequest {
    /// Asks about everything in a window, with the usual baseline.
    pub fn new(window: TimeRange) -> Self {
        Self { window, baseline_ms: None, after: true, filter: Filter::default() }
    }

    pub(crate) fn spans(&self) -> Result<Spans, IncidentError> {
        let length_ms = self.window.len_ms();
        if !(BUCKET_MS_MIN..=WINDOW_MS_MAX).contains(&length_ms) {
            return Err(IncidentError::Window { found_ms: length_ms, max_ms: WINDOW_MS_MAX });
        }
        let usual_ms = length_ms.saturating_mul(BASELINE_WINDOWS).max(BASELINE_MS_MIN);
        let baseline_ms = self.baseline_ms.unwrap_or(usual_ms);
        if baseline_ms < length_ms {
            return Err(IncidentError::Baseline { found_ms: baseline_ms, min_ms: length_ms });
        }
        let start_ms = self.window.start_ms.saturating_sub(baseline_ms);
        let after_ms = self.window.end_ms.saturating_add(length_ms);
        let end_ms =
            if self.after { after_ms.saturating_add(baseline_ms) } else { self.window.end_ms };
        Ok(Spans {
            window: self.window,
            all: TimeRange::new(start_ms, end_ms),
            after_ms,
            bucket_ms: (length_ms / WINDOW_BUCKETS).max(BUCKET_MS_MIN),
        })
    }
}

/// What one question may cost.
#[derive(Debug, Clone)]
pub struct IncidentLimits {
    /// Series that may be read per table.
    pub series_max: usize,
    /// Rows that may be read per table.
    pub rows_max: u64,
    /// Set by whoever gives up waiting.
    pub stop: Arc<AtomicBool>,
}

impl Default for IncidentLimits {
    fn default() -> Self {
        Self { series_max: 100_000, rows_max: 50_000_000, stop: Arc::new(AtomicBool::new(false)) }
    }
}

impl IncidentLimits {
    pub(crate) fn of_scan(&self) -> ScanLimits {
        ScanLimits { rows_max: self.rows_max, series_max: self.series_max, stop: self.stop.clone() }
    }
}

/// Why a question about an incident has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IncidentError {
    /// The window is empty or too long.
    #[error("the window is {found_ms} ms long, expected 1000 to {max_ms}")]
    Window {
        /// Its length.
        found_ms: i64,
        /// The longest allowed.
        max_ms: i64,
    },
    /// The baseline is shorter than the window.
    #[error("the baseline is {found_ms} ms long, expected at least the window's {min_ms}")]
    Baseline {
        /// Its length.
        found_ms: i64,
        /// The shortest allowed.
        min_ms: i64,
    },
    /// The registry lacks a table or column that is looked at.
    #[error("the registry has no {table}.{column}")]
    Registry {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// The store cannot read what is asked for.
    #[error("cannot read the rows of {table}")]
    Scan {
        /// The table.
        table: &'static str,
        /// What the store said.
        source: ScanError,
    },
}

impl IncidentError {
    /// Whether asking otherwise, or later, may help.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Window { .. } | Self::Baseline { .. } => ErrorClass::Invalid,
            Self::Registry { .. } => ErrorClass::Bug,
            Self::Scan { source, .. } => source.class(),
        }
    }
}
