//! Reads a history question from the parameters of a URL.
//!
//! Keeps true: a request that was read is complete and within its bounds; what is wrong is named
//! with the parameter, the value found and what is allowed. A parameter nobody knows is an error.
//! Not here: what `metric` means (`history::metric`), what questions share (`parameters`).

use plimsoll_model::{Dimension, Filter, Table, TimeRange};

use super::metric::MetricChoice;
use crate::parameters::{
    GroupLabel, ParameterError, filters, has_labels, label_named, names_of, one_of, range, single,
    wrong,
};
use crate::time::parse_duration_ms;

/// Shortest step: one second, in milliseconds.
pub const STEP_MS_MIN: i64 = 1_000;
/// Longest step: 365 days, in milliseconds.
pub const STEP_MS_MAX: i64 = 31_536_000_000;
/// Most steps of one answer.
pub const STEPS_MAX: i64 = 11_000;
/// Most labels to group by.
const GROUP_LABELS_MAX: usize = 8;
/// About as many steps as a chart has room for.
const STEPS_AUTO: i64 = 240;
/// Steps people find natural, in milliseconds.
const STEPS_NICE_MS: &[i64] = &[
    1_000,
    5_000,
    10_000,
    15_000,
    30_000,
    60_000,
    120_000,
    300_000,
    600_000,
    900_000,
    1_800_000,
    3_600_000,
    7_200_000,
    21_600_000,
    43_200_000,
    86_400_000,
    604_800_000,
    2_592_000_000,
];

/// The parameters that are not filters. `format` belongs to whoever writes the answer.
pub const PARAMETERS: &[&str] = &["metric", "by", "from", "to", "step", "stat", "across", "format"];

/// What the samples of one series in one step become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stat {
    /// Average over the step; of a counter: its growth per second.
    Avg,
    /// Smallest.
    Min,
    /// Largest.
    Max,
    /// Sum of samples; of a counter: its growth.
    Sum,
    /// Quantile of the samples, in hundredths: 50, 90, 95 or 99.
    Quantile(u8),
}

impl Stat {
    /// Every statistic with its name.
    pub const ALL: &'static [(&'static str, Self)] = &[
        ("avg", Self::Avg),
        ("min", Self::Min),
        ("max", Self::Max),
        ("sum", Self::Sum),
        ("p50", Self::Quantile(50)),
        ("p90", Self::Quantile(90)),
        ("p95", Self::Quantile(95)),
        ("p99", Self::Quantile(99)),
    ];
}

/// How the series of one group become one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Across {
    /// Added up.
    Sum,
    /// Averaged over the series that have a value.
    Avg,
    /// The largest.
    Max,
}

impl Across {
    /// Every way with its name.
    pub const ALL: &'static [(&'static str, Self)] =
        &[("sum", Self::Sum), ("avg", Self::Avg), ("max", Self::Max)];
}

/// A history question.
#[derive(Debug, Clone)]
pub struct HistoryRequest {
    /// What is measured.
    pub metric: MetricChoice,
    /// What groups are told apart by; none: one group of everything.
    pub by: Vec<GroupLabel>,
    /// Which rows count, by dimensions and keys of the table.
    pub filter: Filter,
    /// Which containers count, by their labels (names without `label.`).
    pub label_filters: Filter,
    /// What time is asked about, half open.
    pub range: TimeRange,
    /// Length of a step in milliseconds, [`STEP_MS_MIN`] to [`STEP_MS_MAX`].
    pub step_ms: i64,
    /// What samples of one series become in a step.
    pub stat: Stat,
    /// How series of one group come together.
    pub across: Across,
}

impl HistoryRequest {
    /// Reads the decoded (name, value) pairs of a URL's query.
    ///
    /// `name=value` asks for equality, `name=~value` for a regular expression anchored at both
    /// ends; `name!=` and `name!=~` ask for the opposite. A name is a dimension or key of the
    /// table, or a container label as `label.name`.
    ///
    /// # Errors
    ///
    /// [`ParameterError`] says which parameter is wrong and what it may be.
    pub fn parse(pairs: &[(String, String)], now_ms: i64) -> Result<Self, ParameterError> {
        let value_of = |name: &'static str| single(pairs, name);
        let metric = value_of("metric")?.ok_or(ParameterError::Missing {
            parameter: "metric",
            allowed: "cpu, memory, io, network or a metric of the registry",
        })?;
        let metric = MetricChoice::parse(metric)?;
        let (filter, label_filters) = filters(pairs, metric.table, PARAMETERS)?;
        let range = range(pairs, now_ms)?;
        let step_ms = step_ms(value_of("step")?, range)?;
        Ok(Self {
            by: group_labels(value_of("by")?, metric.table)?,
            stat: one_of("stat", value_of("stat")?, Stat::ALL, Stat::Avg)?,
            across: one_of("across", value_of("across")?, Across::ALL, Across::Sum)?,
            metric,
            filter,
            label_filters,
            range,
            step_ms,
        })
    }
}

fn step_ms(found: Option<&str>, range: TimeRange) -> Result<i64, ParameterError> {
    let Some(found) = found else {
        let wanted_ms = range.len_ms() / STEPS_AUTO;
        let nice = STEPS_NICE_MS.iter().copied().find(|step_ms| *step_ms >= wanted_ms);
        return Ok(nice.unwrap_or(STEP_MS_MAX));
    };
    let step_ms = parse_duration_ms(found)
        .ok()
        .filter(|step_ms| (STEP_MS_MIN..=STEP_MS_MAX).contains(step_ms))
        .ok_or_else(|| wrong("step", found, "a duration from 1s to 365d"))?;
    if range.len_ms() / step_ms > STEPS_MAX {
        let least_s = range.len_ms() / STEPS_MAX / 1_000 + 1;
        let allowed = format!("at least {least_s}s for this range, which makes {STEPS_MAX} steps");
        return Err(wrong("step", found, allowed));
    }
    Ok(step_ms)
}

fn group_labels(
    found: Option<&str>,
    table: &'static Table,
) -> Result<Vec<GroupLabel>, ParameterError> {
    let default = if table.dimensions().contains(&Dimension::Service) { "service" } else { "node" };
    let found = found.unwrap_or(default);
    let mut labels: Vec<GroupLabel> = Vec::new();
    for name in found.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let allowed = || {
            let names = names_of(table);
            let labels =
                if has_labels(table) { ", or a container label as `label.name`" } else { "" };
            wrong("by", name, format!("a comma list of {}{labels}", names.join(", ")))
        };
        let label = label_named(name, table).ok_or_else(allowed)?;
        if labels.contains(&label) {
            return Err(wrong("by", found, "a list in which each label stands once"));
        }
        labels.push(label);
    }
    if labels.len() > GROUP_LABELS_MAX {
        return Err(wrong("by", found, format!("a list of at most {GROUP_LABELS_MAX} labels")));
    }
    Ok(labels)
}
