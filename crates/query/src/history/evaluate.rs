//! Answers a history question from one scan of the store.
//!
//! Every series is folded into one value per step, then the series of a group come together.
//! A pair of consecutive counter samples belongs to the step of the later one, so the growths of
//! all steps add up to the growth of the range (GROW).
//! Not here: reading the question (`history::request`), folding one series (`history::fold`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use plimsoll_model::{ErrorClass, Kind, Table, TimeRange};
use plimsoll_store::{ScanError, ScanLimits, ScanRequest, SeriesKey, Store};
use plimsoll_window::{GAP_MAX_MS, Steps, StepsError};
use rustc_hash::FxHashMap;

use super::fold::{Columns, fold_series};
use super::{Across, GroupLabel, HistoryAnswer, HistoryGroup, HistoryRequest, Reading, Stat};
use crate::container_labels::{ContainerLabels, container_labels};

/// What one question may cost (`[query]` in plimsoll.toml).
#[derive(Debug, Clone)]
pub struct HistoryLimits {
    /// Series that may be read.
    pub series_max: usize,
    /// Rows that may be read.
    pub rows_max: u64,
    /// Values the answer may have: groups times steps.
    pub points_max: usize,
    /// Set by whoever gives up waiting; the question then ends soon.
    pub stop: Arc<AtomicBool>,
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
            Self::Scan { source, .. } => source.class(),
            Self::Steps(_) => ErrorClass::Invalid,
            Self::Points { .. } => ErrorClass::Limited,
            Self::Stopped => ErrorClass::Busy,
        }
    }
}

/// Answers a history question. Blocks: call it where blocking is allowed.
///
/// No matching row gives an answer without groups.
///
/// # Errors
///
/// [`QueryError`] when a limit is reached, the store cannot read, or `stop` was set.
pub fn history(
    store: &Store,
    request: &HistoryRequest,
    limits: &HistoryLimits,
) -> Result<HistoryAnswer, QueryError> {
    let steps = Steps::new(request.range.start_ms, request.range.end_ms, request.step_ms)?;
    let labels = labels_needed(store, request, limits)?;
    let columns = Columns::of(&request.metric);
    // Rows before the range give a counter's first step what it grew from.
    let lead_ms = if request.metric.reading == Reading::Rate { GAP_MAX_MS } else { 0 };
    let scan = store
        .scan(&ScanRequest {
            table: request.metric.table,
            metrics: columns.scanned().to_vec(),
            range: TimeRange::new(
                request.range.start_ms.saturating_sub(lead_ms),
                request.range.end_ms,
            ),
            filter: request.filter.clone(),
            limits: ScanLimits {
                rows_max: limits.rows_max,
                series_max: limits.series_max,
                stop: limits.stop.clone(),
            },
        })
        .map_err(|source| QueryError::Scan { table: request.metric.table.name(), source })?;
    let mut groups: BTreeMap<Vec<String>, Group> = BTreeMap::new();
    for series in &scan.series {
        if limits.stop.load(Ordering::Relaxed) {
            return Err(QueryError::Stopped);
        }
        let of_container = labels.get(&series.key.subject.container_id);
        let label = |name: &str| of_container.and_then(|l| l.get(name)).map_or("", String::as_str);
        if !request.label_filters.accepts(label) {
            continue;
        }
        let values = fold_series(series, &columns, &steps, request);
        if values.iter().all(Option::is_none) {
            continue;
        }
        let names = request.by.iter().map(|by| label_value(by, &series.key, &label)).collect();
        groups.entry(names).or_insert_with(|| Group::new(steps.len())).add(&values, request.across);
        if groups.len().saturating_mul(steps.len()) > limits.points_max {
            return Err(QueryError::Points { max: limits.points_max });
        }
    }
    Ok(answer(request, &steps, groups, scan.warnings, scan.rows))
}

fn labels_needed(
    store: &Store,
    request: &HistoryRequest,
    limits: &HistoryLimits,
) -> Result<FxHashMap<Arc<str>, ContainerLabels>, QueryError> {
    let grouped = request.by.iter().any(|by| matches!(by, GroupLabel::Container(_)));
    if !grouped && request.label_filters.matchers().is_empty() {
        return Ok(FxHashMap::default());
    }
    let scan_limits = ScanLimits {
        rows_max: limits.rows_max,
        series_max: limits.series_max,
        stop: limits.stop.clone(),
    };
    container_labels(store, request.range, scan_limits)
        .map_err(|source| QueryError::Scan { table: "container_info", source })
}

fn label_value<'a>(
    by: &GroupLabel,
    key: &'a SeriesKey,
    of_container: impl Fn(&str) -> &'a str,
) -> String {
    match by {
        GroupLabel::Dimension(dimension) => key.subject.get(*dimension).to_string(),
        GroupLabel::Key(index) => key.keys.get(*index).map(ToString::to_string).unwrap_or_default(),
        GroupLabel::Container(name) => of_container(name).to_owned(),
    }
}

/// The series of one group, coming together.
#[derive(Debug)]
struct Group {
    values: Vec<Option<f64>>,
    series: Vec<u32>,
}

impl Group {
    fn new(steps: usize) -> Self {
        Self { values: vec![None; steps], series: vec![0; steps] }
    }

    fn add(&mut self, values: &[Option<f64>], across: Across) {
        for ((place, count), value) in self.values.iter_mut().zip(&mut self.series).zip(values) {
            let Some(value) = value else { continue };
            *count += 1;
            *place = Some(match (*place, across) {
                (None, _) => *value,
                (Some(before), Across::Max) => before.max(*value),
                (Some(before), Across::Sum | Across::Avg) => before + value,
            });
        }
    }

    fn finish(mut self, across: Across) -> Vec<Option<f64>> {
        if across == Across::Avg {
            for (place, count) in self.values.iter_mut().zip(&self.series) {
                *place = place.map(|sum| sum / f64::from(*count));
            }
        }
        self.values
    }
}

fn answer(
    request: &HistoryRequest,
    steps: &Steps,
    groups: BTreeMap<Vec<String>, Group>,
    warnings: Vec<String>,
    rows: u64,
) -> HistoryAnswer {
    let groups: Vec<HistoryGroup> = groups
        .into_iter()
        .map(|(labels, group)| HistoryGroup { labels, values: group.finish(request.across) })
        .collect();
    let covered: Vec<bool> = (0..steps.len())
        .map(|at| groups.iter().any(|group| group.values.get(at).is_some_and(Option::is_some)))
        .collect();
    let covered_ms: i64 =
        steps.iter().zip(&covered).filter(|(_, has)| **has).map(|((a, b), _)| b - a).sum();
    let coverage = (!groups.is_empty()).then(|| share(covered_ms, request.range.len_ms()));
    HistoryAnswer {
        metric: request.metric.name.clone(),
        unit: unit(request),
        label_names: request.by.iter().map(|by| by.name(request.metric.table).to_owned()).collect(),
        times_ms: steps.iter().map(|(start_ms, _)| start_ms).collect(),
        step_ms: request.step_ms,
        gaps: if groups.is_empty() { Vec::new() } else { gaps(steps, &covered) },
        groups,
        resolution: "raw".to_owned(),
        coverage,
        warnings,
        rows,
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share of two durations needs no more digits")]
fn share(part_ms: i64, whole_ms: i64) -> f64 {
    if whole_ms > 0 { part_ms as f64 / whole_ms as f64 } else { 0.0 }
}

/// Stretches of steps without values that last longer than [`GAP_MAX_MS`].
fn gaps(steps: &Steps, covered: &[bool]) -> Vec<TimeRange> {
    let mut gaps: Vec<TimeRange> = Vec::new();
    for ((start_ms, end_ms), _) in steps.iter().zip(covered).filter(|(_, has)| !**has) {
        match gaps.last_mut() {
            Some(last) if last.end_ms == start_ms => last.end_ms = end_ms,
            _ => gaps.push(TimeRange::new(start_ms, end_ms)),
        }
    }
    gaps.retain(|gap| gap.len_ms() > GAP_MAX_MS);
    gaps
}

/// The unit of the values: growth itself (`stat=sum` of a counter) is not per second.
fn unit(request: &HistoryRequest) -> String {
    let metric = &request.metric;
    if (metric.reading, request.stat) != (Reading::Rate, Stat::Sum) {
        return metric.unit.clone();
    }
    let first = metric.metrics.first().and_then(|index| metric.table.metrics().get(*index));
    let stored = first.map(|metric| match &metric.shown {
        Some(shown) => shown.unit.clone(),
        None => metric.unit.clone(),
    });
    stored.unwrap_or_else(|| metric.unit.clone())
}

/// The column that says when the owner of a table's counters started.
pub(super) fn epoch_column(table: &Table) -> Option<usize> {
    let names = ["started_at_ms", "boot_at_ms"];
    names.iter().find_map(|name| {
        let index = table.metric_index(name)?;
        let metric = table.metrics().get(index)?;
        (metric.kind == Kind::State).then_some(index)
    })
}
