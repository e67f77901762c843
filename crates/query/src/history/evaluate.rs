//! Answers a history question from one scan of the store.
//!
//! The rows of a subject (a container, a node; one device of it where the question groups by
//! device) are folded into one value per step and field, then subjects come together in groups.
//! Not here: reading the question (`history::request`), the arithmetic (`history::fold`).

use std::collections::BTreeMap;
use std::sync::Arc;

use plimsoll_model::{Dimension, Kind, Table, TimeRange};
use plimsoll_store::{Scan, ScanError, ScanRequest, SeriesKey, SeriesRows, Store};
use plimsoll_window::{GAP_MAX_MS, Steps};
use rustc_hash::{FxHashMap, FxHashSet};

use super::answer::{FIELD_LABEL, HistoryAnswer, HistoryField, HistoryGap, SERIES_GAPS_MAX};
use super::coverage::{Cover, Union, gap_max_ms, gaps, stretches};
use super::fold::Fold;
use super::groups::Groups;
use super::{FieldChoice, GroupLabel, HistoryLimits, HistoryRequest, QueryError, Reading, Stat};
use crate::container_labels::{ContainerLabels, container_labels_of, label_value};

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
    history_of(|scan| store.scan(scan), request, limits)
}

/// As [`history`], from any source of rows that keeps the contract of a scan.
///
/// # Errors
///
/// As [`history`].
pub fn history_of(
    scan: impl Fn(&ScanRequest) -> Result<Scan, ScanError>,
    request: &HistoryRequest,
    limits: &HistoryLimits,
) -> Result<HistoryAnswer, QueryError> {
    let range = request.range;
    let steps = Steps::new(range.start_ms, range.end_ms, request.step_ms)?;
    let labels = labels_needed(&scan, request, limits)?;
    let plan = Plan::new(request);
    let table = request.metric.table;
    let found = scan(&plan.scan_request(request, limits))
        .map_err(|source| QueryError::Scan { table: table.name(), source })?;
    let renamed = renamed(&found.series);
    let mut groups = Groups::new(steps.len(), plan.fields.len(), request.across);
    let mut told = Told::new(request);
    for subject in found.series.chunk_by(|one, next| one.key.subject == next.key.subject) {
        limits.check_stop()?;
        let Some(key) = subject.first().map(|series| &series.key) else { continue };
        let of_container = labels.get(&key.subject.container_id);
        let label = |name: &str| of_container.map_or("", |labels| label_value(labels, name));
        if !request.label_filters.accepts(label) {
            continue;
        }
        let count_births = !renamed.contains(&key.subject.container_id);
        for series in by_keys(subject, &request.by) {
            let columns = plan.columns(&series, &steps, request, count_births);
            if columns.iter().flatten().all(Option::is_none) {
                continue;
            }
            let Some(key) = series.first().map(|series| &series.key) else { continue };
            let names = request.by.iter().map(|by| group_value(by, key, label)).collect();
            groups.add(names, &columns, told.tell(&series, plan.fields.len()), limits)?;
        }
    }
    let mut answer = told.answer(groups, &steps, plan.fields);
    answer.warnings.splice(0..0, found.warnings);
    answer.rows = found.rows;
    Ok(answer)
}

/// Which columns are read and what each is for.
struct Plan {
    fields: Vec<FieldChoice>,
    epoch: Option<usize>,
}

impl Plan {
    fn new(request: &HistoryRequest) -> Self {
        let fields = request.metric.fields();
        let is_rate = request.metric.reading == Reading::Rate;
        let epoch = epoch_column(request.metric.table).filter(|_| is_rate);
        Self { fields, epoch }
    }

    fn scan_request(&self, request: &HistoryRequest, limits: &HistoryLimits) -> ScanRequest {
        // Rows before the range give its first step what it grew from.
        let start_ms = request.range.start_ms.saturating_sub(GAP_MAX_MS);
        ScanRequest {
            table: request.metric.table,
            metrics: self.fields.iter().map(|field| field.metric).chain(self.epoch).collect(),
            range: TimeRange::new(start_ms, request.range.end_ms),
            filter: request.filter.clone(),
            limits: limits.of_scan(),
        }
    }

    /// One value per step for each field, in the units of the answer.
    fn columns(
        &self,
        series: &[&SeriesRows],
        steps: &Steps,
        request: &HistoryRequest,
        count_births: bool,
    ) -> Vec<Vec<Option<f64>>> {
        let metrics = request.metric.table.metrics();
        let column = |(position, field): (usize, &FieldChoice)| {
            let fold = Fold {
                steps,
                stat: request.stat,
                reading: request.metric.reading,
                kind: metrics.get(field.metric).map_or(Kind::Gauge, |metric| metric.kind),
                position,
                epoch_position: self.epoch.map(|_| self.fields.len()),
                count_births,
            };
            let mut values = fold.values(series);
            for value in values.iter_mut().flatten() {
                *value /= field.divide_by;
            }
            values
        };
        self.fields.iter().enumerate().map(column).collect()
    }
}

/// The column that says when the owner of a table's counters started.
pub(crate) fn epoch_column(table: &Table) -> Option<usize> {
    let names = ["started_at_ms", "boot_at_ms"];
    names.iter().find_map(|name| {
        let index = table.metric_index(name)?;
        let metric = table.metrics().get(index)?;
        (metric.kind == Kind::State).then_some(index)
    })
}

/// Containers whose rows stand under several subjects: their first sample under a new name is
/// not the first of the container.
fn renamed(series: &[SeriesRows]) -> FxHashSet<Arc<str>> {
    let mut first: FxHashMap<&Arc<str>, &SeriesKey> = FxHashMap::default();
    let mut renamed = FxHashSet::default();
    for of in series {
        let id = &of.key.subject.container_id;
        let known = first.entry(id).or_insert(&of.key);
        if !id.is_empty() && known.subject != of.key.subject {
            renamed.insert(id.clone());
        }
    }
    renamed
}

/// The series of one subject, apart only by the keys that the question groups by.
fn by_keys<'a>(subject: &'a [SeriesRows], by: &[GroupLabel]) -> Vec<Vec<&'a SeriesRows>> {
    let grouped =
        |by: &GroupLabel| if let GroupLabel::Key(index) = by { Some(*index) } else { None };
    let indexes: Vec<usize> = by.iter().filter_map(grouped).collect();
    if indexes.is_empty() {
        return vec![subject.iter().collect()];
    }
    let mut parts: BTreeMap<Vec<&str>, Vec<&SeriesRows>> = BTreeMap::new();
    for series in subject {
        let key = |index: &usize| series.key.keys.get(*index).map_or("", AsRef::as_ref);
        parts.entry(indexes.iter().map(key).collect()).or_default().push(series);
    }
    parts.into_values().collect()
}

fn group_value<'a>(
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

fn labels_needed(
    scan: impl Fn(&ScanRequest) -> Result<Scan, ScanError>,
    request: &HistoryRequest,
    limits: &HistoryLimits,
) -> Result<FxHashMap<Arc<str>, ContainerLabels>, QueryError> {
    let grouped = request.by.iter().any(|by| matches!(by, GroupLabel::Container(_)));
    if !grouped && request.label_filters.matchers().is_empty() {
        return Ok(FxHashMap::default());
    }
    container_labels_of(scan, request.range, limits.of_scan())
        .map_err(|source| QueryError::Scan { table: "container_info", source })
}

/// What an answer tells beside its values.
struct Told<'a> {
    request: &'a HistoryRequest,
    gap_max_ms: i64,
    union: Union,
    series_gaps: Vec<HistoryGap>,
    series_gaps_left_out: usize,
}

impl<'a> Told<'a> {
    fn new(request: &'a HistoryRequest) -> Self {
        let gap_max_ms = gap_max_ms(request.metric.table);
        let (union, series_gaps) = (Union::default(), Vec::new());
        Self { request, gap_max_ms, union, series_gaps, series_gaps_left_out: 0 }
    }

    /// Notes where a subject has samples.
    fn tell(&mut self, series: &[&SeriesRows], columns: usize) -> Cover {
        let stretches = stretches(series, columns, self.gap_max_ms);
        self.union.add(&stretches);
        for range in gaps(&stretches, self.request.range) {
            if self.series_gaps.len() < SERIES_GAPS_MAX {
                let labels = series.first().map(|of| gap_labels(self.request, &of.key));
                self.series_gaps.push(HistoryGap { range, labels: labels.unwrap_or_default() });
            } else {
                self.series_gaps_left_out = self.series_gaps_left_out.saturating_add(1);
            }
        }
        Cover::of(&stretches, self.request.range)
    }

    fn answer(self, groups: Groups, steps: &Steps, fields: Vec<FieldChoice>) -> HistoryAnswer {
        let request = self.request;
        let (coverage, gaps) = self.union.of(request.range, self.gap_max_ms);
        let mut warnings = Vec::new();
        if self.series_gaps_left_out > 0 {
            warnings.push(format!("{} more gaps are not listed", self.series_gaps_left_out));
        }
        let is_total = request.stat == Stat::Sum;
        let unit =
            |field: &FieldChoice| if is_total { &field.unit_total } else { &field.unit }.clone();
        let fields: Vec<HistoryField> = fields
            .into_iter()
            .map(|field| HistoryField { unit: unit(&field), name: field.name })
            .collect();
        HistoryAnswer {
            metric: request.metric.name.clone(),
            unit: common_unit(&fields),
            label_names: label_names(request, &fields),
            times_ms: steps.iter().map(|(start_ms, _)| start_ms).collect(),
            step_ms: request.step_ms,
            groups: groups.finish(&fields),
            fields,
            resolution: "raw".to_owned(),
            coverage,
            gaps,
            series_gaps: self.series_gaps,
            warnings,
            rows: 0,
        }
    }
}

/// The unit of all fields, or none.
fn common_unit(fields: &[HistoryField]) -> String {
    let first = fields.first().map(|field| field.unit.as_str()).unwrap_or_default();
    let same = fields.iter().all(|field| field.unit == first);
    if same { first.to_owned() } else { String::new() }
}

/// The names of the labels; a container label that has the name of another one is written
/// `label.<name>`.
fn label_names(request: &HistoryRequest, fields: &[HistoryField]) -> Vec<String> {
    let table = request.metric.table;
    let field = (fields.len() > 1).then_some(FIELD_LABEL);
    let name = |by: &GroupLabel| {
        let name = by.name(table);
        let mut others = request.by.iter().filter(|other| *other != by);
        let taken = field == Some(name) || others.any(|other| other.name(table) == name);
        match by {
            GroupLabel::Container(_) if taken => format!("label.{name}"),
            _ => name.to_owned(),
        }
    };
    request.by.iter().map(name).chain(field.map(str::to_owned)).collect()
}

/// What names a subject to a person.
fn gap_labels(request: &HistoryRequest, key: &SeriesKey) -> BTreeMap<String, String> {
    let dimensions = [Dimension::Node, Dimension::Service, Dimension::Container];
    let of_subject = dimensions.iter().map(|of| (of.name(), key.subject.get(*of).as_ref()));
    let by_key = |(index, name)| {
        let grouped = request.by.contains(&GroupLabel::Key(index));
        let value = key.keys.get(index).map_or("", AsRef::as_ref);
        grouped.then_some((name, value))
    };
    let names = request.metric.table.keys().iter().map(String::as_str);
    of_subject
        .chain(names.enumerate().filter_map(by_key))
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}
