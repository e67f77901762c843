//! Why a scan gives no answer.

use arrow_schema::ArrowError;
use plimsoll_model::ErrorClass;

/// Why a scan gives no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// More rows than one scan may return.
    #[error("more than {max} rows were found; ask for less time or fewer series")]
    Rows {
        /// The limit `rows_max`.
        max: u64,
    },
    /// More series than one scan may return.
    #[error("more than {max} series were found; filter by more labels")]
    Series {
        /// The limit `series_max`.
        max: usize,
    },
    /// The caller no longer wants the answer.
    #[error("the scan was stopped")]
    Stopped,
    /// The table has no metric with this index.
    #[error("table {table} has no metric with index {found}")]
    Metric {
        /// The table.
        table: &'static str,
        /// The index that was asked for.
        found: usize,
    },
    /// Columns of one metric from several places cannot become one.
    #[error("columns of one metric cannot be merged")]
    Merge {
        /// What the array library said.
        source: ArrowError,
    },
}

impl ScanError {
    /// Limits are `Limited`, everything else is `Bug`.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Rows { .. } | Self::Series { .. } | Self::Stopped => ErrorClass::Limited,
            Self::Metric { .. } | Self::Merge { .. } => ErrorClass::Bug,
        }
    }
}
