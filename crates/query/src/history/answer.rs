//! What a history question is answered with: one time axis, one column of values per group.
//!
//! Keeps true: every group has exactly one value per time; a step without samples is `None`.
//! Where a question has several fields (`read_bytes`, `write_bytes`), each group is of one field
//! and the last label, [`FIELD_LABEL`], names it.
//! Not here: how it is computed, how it is written as JSON, CSV, Arrow or Parquet (`serve`).

use std::collections::BTreeMap;

use plimsoll_model::TimeRange;

/// The label that tells apart the fields of a question that has several.
pub const FIELD_LABEL: &str = "field";

/// Most gaps of single series that one answer lists; a warning counts the others.
pub const SERIES_GAPS_MAX: usize = 100;

/// One kind of values of an answer.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct HistoryField {
    /// What the values are: the metric as asked for, or the column where a question has several.
    pub name: String,
    /// Unit of the values.
    pub unit: String,
}

/// One group of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryGroup {
    /// Value of each of [`HistoryAnswer::label_names`]; empty when it has none.
    pub labels: Vec<String>,
    /// Unit of the values.
    pub unit: String,
    /// One value per time of the answer.
    pub values: Vec<Option<f64>>,
    /// Of the time that the group's series lived (first to last sample seen), the share that has
    /// samples, over all its series: 0 to 1. Below 1, some values are of fewer series.
    pub coverage: f64,
}

/// A stretch in which something that lived before and after has no samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryGap {
    /// From the last sample before to the first sample after, cut to the range asked about.
    pub range: TimeRange,
    /// Node, service and container, as far as it has them, and the keys grouped by.
    pub labels: BTreeMap<String, String>,
}

/// The answer to a history question.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryAnswer {
    /// The metric as it was asked for.
    pub metric: String,
    /// Unit of all values; empty when fields differ in it.
    pub unit: String,
    /// The kinds of values, in the order of groups with otherwise equal labels; at least one.
    pub fields: Vec<HistoryField>,
    /// Names of the grouping labels, in the order of the request, each once; then
    /// [`FIELD_LABEL`] if there are several fields.
    pub label_names: Vec<String>,
    /// Start of each step, Unix milliseconds, ascending.
    pub times_ms: Vec<i64>,
    /// Length of a step in milliseconds; the last one may be cut by the range's end.
    pub step_ms: i64,
    /// The groups, sorted by their labels.
    pub groups: Vec<HistoryGroup>,
    /// Where the numbers were read: `raw`, `5m` or `1h`; the coarsest one that was used.
    pub resolution: String,
    /// Share of the range for which anything that matched has samples, 0 to 1; `None` when
    /// nothing matched.
    pub coverage: Option<f64>,
    /// Stretches longer than five minutes in which nothing that matched had samples.
    pub gaps: Vec<TimeRange>,
    /// Stretches longer than five minutes in which single series that lived had no samples, at
    /// most [`SERIES_GAPS_MAX`].
    pub series_gaps: Vec<HistoryGap>,
    /// What a reader should know about these numbers, one sentence each.
    pub warnings: Vec<String>,
    /// Rows that were read.
    pub rows: u64,
}
