//! A history answer as JSON: columns, not rows.

use std::collections::BTreeMap;

use plimsoll_model::TimeRange;
use plimsoll_query::history::HistoryAnswer;
use serde::Serialize;
use utoipa::ToSchema;

/// The answer to a history question.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HistoryBody<'a> {
    /// Always `success`.
    #[schema(example = "success")]
    status: &'static str,
    data: HistoryData<'a>,
    /// What a reader should know about these numbers.
    warnings: &'a [String],
}

/// One time axis and one column of values per group.
#[derive(Debug, Serialize, ToSchema)]
struct HistoryData<'a> {
    /// The metric as it was asked for.
    #[schema(example = "cpu")]
    metric: &'a str,
    /// Unit of all values; empty where groups have units of their own.
    #[schema(example = "cores")]
    unit: &'a str,
    /// The kinds of values; several when the metric has several.
    fields: Vec<FieldData<'a>>,
    /// The grouping labels, and `field` where the metric has several kinds of values.
    by: &'a [String],
    /// Start of the range, Unix milliseconds.
    from_ms: i64,
    /// End of the range, exclusive, Unix milliseconds.
    to_ms: i64,
    /// Length of a step, milliseconds; the last one may be cut by the range's end.
    step_ms: i64,
    /// Where the numbers were read: `raw`, `5m` or `1h`.
    #[schema(example = "raw")]
    resolution: &'a str,
    /// Share of the range for which there are samples, 0 to 1; null when nothing matched.
    coverage: Option<f64>,
    /// Stretches without samples of anything that matched.
    gaps: Vec<GapData>,
    /// Stretches without samples of single series that lived before and after.
    series_gaps: Vec<SeriesGapData<'a>>,
    /// Rows that were read.
    rows_read: u64,
    /// Start of each step, Unix milliseconds.
    times_ms: &'a [i64],
    /// The groups, sorted by their labels.
    groups: Vec<GroupData<'a>>,
}

/// A stretch of time, half open.
#[derive(Debug, Serialize, ToSchema)]
struct GapData {
    /// Start, Unix milliseconds.
    from_ms: i64,
    /// End, exclusive, Unix milliseconds.
    to_ms: i64,
}

/// A stretch of time in which one series has no samples.
#[derive(Debug, Serialize, ToSchema)]
struct SeriesGapData<'a> {
    /// Start, Unix milliseconds.
    from_ms: i64,
    /// End, exclusive, Unix milliseconds.
    to_ms: i64,
    /// What has no samples.
    labels: &'a BTreeMap<String, String>,
}

/// One kind of values.
#[derive(Debug, Serialize, ToSchema)]
struct FieldData<'a> {
    /// The metric as asked for, or the column where there are several.
    name: &'a str,
    /// Unit of its values.
    unit: &'a str,
}

/// One group.
#[derive(Debug, Serialize, ToSchema)]
struct GroupData<'a> {
    /// Value of each grouping label; empty when it has none.
    #[schema(value_type = BTreeMap<String, String>)]
    labels: BTreeMap<&'a str, &'a str>,
    /// Unit of the values.
    #[schema(example = "cores")]
    unit: &'a str,
    /// Share of the time its series lived for which there are samples, 0 to 1.
    coverage: f64,
    /// One value per step; null where there are no samples.
    values: &'a [Option<f64>],
}

impl<'a> HistoryBody<'a> {
    pub(super) fn of(answer: &'a HistoryAnswer, range: TimeRange) -> Self {
        let groups = answer.groups.iter().map(|group| GroupData {
            labels: answer
                .label_names
                .iter()
                .map(String::as_str)
                .zip(group.labels.iter().map(String::as_str))
                .collect(),
            unit: &group.unit,
            coverage: group.coverage,
            values: &group.values,
        });
        let gaps = answer.gaps.iter();
        let fields = answer.fields.iter();
        let fields = fields.map(|field| FieldData { name: &field.name, unit: &field.unit });
        let series_gaps = answer.series_gaps.iter().map(|gap| SeriesGapData {
            from_ms: gap.range.start_ms,
            to_ms: gap.range.end_ms,
            labels: &gap.labels,
        });
        let data = HistoryData {
            metric: &answer.metric,
            unit: &answer.unit,
            fields: fields.collect(),
            by: &answer.label_names,
            from_ms: range.start_ms,
            to_ms: range.end_ms,
            step_ms: answer.step_ms,
            resolution: &answer.resolution,
            coverage: answer.coverage,
            gaps: gaps.map(|gap| GapData { from_ms: gap.start_ms, to_ms: gap.end_ms }).collect(),
            series_gaps: series_gaps.collect(),
            rows_read: answer.rows,
            times_ms: &answer.times_ms,
            groups: groups.collect(),
        };
        Self { status: "success", data, warnings: &answer.warnings }
    }
}
