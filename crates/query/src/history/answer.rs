//! What a history question is answered with: one time axis, one column of values per group.
//!
//! Keeps true: every group has exactly one value per time; a step without samples is `None`.
//! Not here: how it is computed, how it is written as JSON, CSV, Arrow or Parquet (`serve`).

use plimsoll_model::TimeRange;

/// One group of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryGroup {
    /// Value of each grouping label, in the order of the request; empty when it has none.
    pub labels: Vec<String>,
    /// One value per time of the answer, in [`HistoryAnswer::unit`].
    pub values: Vec<Option<f64>>,
}

/// The answer to a history question.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryAnswer {
    /// The metric as it was asked for.
    pub metric: String,
    /// Unit of all values.
    pub unit: String,
    /// Names of the grouping labels, in the order of the request.
    pub label_names: Vec<String>,
    /// Start of each step, Unix milliseconds, ascending.
    pub times_ms: Vec<i64>,
    /// Length of a step in milliseconds; the last one may be cut by the range's end.
    pub step_ms: i64,
    /// The groups, sorted by their labels.
    pub groups: Vec<HistoryGroup>,
    /// Where the numbers were read: `raw`, `5m` or `1h`; the coarsest one that was used.
    pub resolution: String,
    /// Share of the range for which there are samples, 0 to 1; `None` when nothing matched.
    pub coverage: Option<f64>,
    /// Stretches longer than five minutes in which nothing that matched had samples.
    pub gaps: Vec<TimeRange>,
    /// What a reader should know about these numbers, one sentence each.
    pub warnings: Vec<String>,
    /// Rows that were read.
    pub rows: u64,
}
