//! What one history question may cost, and why it has no answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use plimsoll_model::ErrorClass;
use plimsoll_store::{RollupError, ScanError, ScanLimits};
use plimsoll_window::StepsError;

/// What one question may cost (`[query]` in plimsoll.toml).
#[derive(Debug, Clone)]
pub struct HistoryLimits {
    /// Series that may be read.
    pub series_max: usize,
    /// Rows that may be read.
    pub rows_max: u64,
    /// Values the answer may have: groups times fields times steps.
    pub points_max: usize,
    /// Set by whoever gives up waiting; the question then ends soon.
    pub stop: Arc<AtomicBool>,
}

impl HistoryLimits {
    pub(super) fn check_stop(&self) -> Result<(), QueryError> {
        if self.stop.load(Ordering::Relaxed) { Err(QueryError::Stopped) } else { Ok(()) }
    }

    pub(super) fn of_scan(&self) -> ScanLimits {
        ScanLimits { rows_max: self.rows_max, series_max: self.series_max, stop: self.stop.clone() }
    }
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The store cannot read what is asked for.
    #[error("cannot read the rows of {table}")]
    Scan {
        /// The table.
        table: &'static str,
        /// What the store said.
        source: ScanError,
    },
    /// The store cannot read windows of what is asked for.
    #[error("cannot read the windows of {table}")]
    Windows {
        /// The table.
        table: &'static str,
        /// What the store said.
        source: RollupError,
    },
    /// The range and step make no grid.
    #[error("the range cannot be cut into steps")]
    Steps(#[from] StepsError),
    /// The answer would have too many values.
    #[error("the answer has more than {max} values: ask for longer steps or fewer groups")]
    Points {
        /// The limit.
        max: usize,
    },
    /// Nobody waits for the answer any more, or it took too long.
    #[error("the question was given up")]
    Stopped,
}

impl QueryError {
    /// Whether asking otherwise, or later, may help.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Scan { source: ScanError::Stopped, .. } | Self::Stopped => ErrorClass::Busy,
            Self::Scan { source, .. } => source.class(),
            Self::Windows { source, .. } => source.class(),
            Self::Steps(_) => ErrorClass::Invalid,
            Self::Points { .. } => ErrorClass::Limited,
        }
    }
}
