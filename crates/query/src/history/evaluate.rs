//! Answers a history question from rows of the store, as collected or in windows.
//!
//! The rows of a subject (a container, a node; one device of it where the question groups by
//! device) are folded into one value per step and field, then subjects come together in groups.
//! Not here: reading the question (`history::request`), the arithmetic (`history::fold`,
//! `history::windows`), when windows are read (`history::rolled`).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use plimsoll_model::{Kind, Subject, Table, TimeRange};
use plimsoll_store::{Resolution, Scan, ScanError, ScanRequest, SeriesKey, SeriesRows, Store};
use plimsoll_window::{GAP_MAX_MS, Steps};
use rustc_hash::{FxHashMap, FxHashSet};

use super::answer::HistoryAnswer;
use super::coverage::{Stretch, gap_max_ms, stretches};
use super::fold::Fold;
use super::groups::Groups;
use super::rolled::{self, Choice, Rolled, Source};
use super::told::Told;
use super::{FieldChoice, GroupLabel, HistoryLimits, HistoryRequest, QueryError, Reading};
use crate::container_labels::{ContainerLabels, container_labels_of, label_value};

/// Answers a history question. Blocks: call it where blocking is allowed.
///
/// No matching row gives an answer without groups. Long steps, and time of which raw rows are past
/// their age, are read from windows as far as those are kept; `resolution` and `warnings` say so.
///
/// # Errors
///
/// [`QueryError`] when a limit is reached, the store cannot read, or `stop` was set.
pub fn history(
    store: &Store,
    request: &HistoryRequest,
    limits: &HistoryLimits,
) -> Result<HistoryAnswer, QueryError> {
    let scan = |scan: &ScanRequest| store.scan(scan);
    let choice = Choice::of(request, store.raw_from_ms(request.metric.table));
    let mut asked = Asked::new(scan, request, limits)?;
    let windows = match choice.source {
        Source::Raw => None,
        Source::Windows | Source::WindowsBefore(_) => rolled::read(store, &asked, request, limits)?,
    };
    let too_many = windows.is_none() && choice.source != Source::Raw;
    match (windows, choice.source) {
        (Some(windows), Source::Windows) => asked.add_windows(windows, None)?,
        (Some(windows), Source::WindowsBefore(until_ms)) => {
            asked.add_windows(windows, Some((asked.scan(scan)?, until_ms)))?;
        }
        _ => {
            let found = asked.scan(scan)?;
            asked.add_raw(found)?;
        }
    }
    let mut answer = asked.finish();
    answer.warnings.extend(choice.warning(request, too_many));
    Ok(answer)
}

/// As [`history`], from raw rows of any source that keeps the contract of a scan.
///
/// # Errors
///
/// As [`history`].
pub fn history_of(
    scan: impl Fn(&ScanRequest) -> Result<Scan, ScanError>,
    request: &HistoryRequest,
    limits: &HistoryLimits,
) -> Result<HistoryAnswer, QueryError> {
    let mut asked = Asked::new(&scan, request, limits)?;
    let found = asked.scan(&scan)?;
    asked.add_raw(found)?;
    Ok(asked.finish())
}

/// One value per step and field of one subject, and where it has samples.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) key: Arc<SeriesKey>,
    pub(super) columns: Vec<Vec<Option<f64>>>,
    pub(super) stretches: Vec<Stretch>,
    /// Time inside the stretches that is known to be without samples, though not where.
    pub(super) gap_ms: i64,
}

/// A question that is being answered.
pub(super) struct Asked<'a> {
    request: &'a HistoryRequest,
    limits: &'a HistoryLimits,
    pub(super) steps: Steps,
    plan: Plan,
    labels: FxHashMap<Arc<str>, ContainerLabels>,
    groups: Groups,
    told: Told<'a>,
    warnings: Vec<String>,
    rows: u64,
    coarsest: Resolution,
}

impl<'a> Asked<'a> {
    fn new(
        scan: impl Fn(&ScanRequest) -> Result<Scan, ScanError>,
        request: &'a HistoryRequest,
        limits: &'a HistoryLimits,
    ) -> Result<Self, QueryError> {
        let range = request.range;
        let steps = Steps::new(range.start_ms, range.end_ms, request.step_ms)?;
        let plan = Plan::new(request);
        Ok(Self {
            labels: labels_needed(scan, request, limits)?,
            groups: Groups::new(steps.len(), plan.fields.len(), request.across),
            told: Told::new(request),
            request,
            limits,
            steps,
            plan,
            warnings: Vec::new(),
            rows: 0,
            coarsest: Resolution::Raw,
        })
    }

    fn scan(
        &self,
        scan: impl Fn(&ScanRequest) -> Result<Scan, ScanError>,
    ) -> Result<Scan, QueryError> {
        let table = self.request.metric.table.name();
        scan(&self.plan.scan_request(self.request, self.limits))
            .map_err(|source| QueryError::Scan { table, source })
    }

    /// What is read, in the order of [`Line::columns`].
    pub(super) fn fields(&self) -> &[FieldChoice] {
        &self.plan.fields
    }

    /// Whether a container's labels are those asked for.
    pub(super) fn accepts(&self, key: &SeriesKey) -> bool {
        let labels = self.labels.get(&key.subject.container_id);
        let label = |name: &str| labels.map_or("", |labels| label_value(labels, name));
        self.request.label_filters.accepts(label)
    }

    fn add_raw(&mut self, mut found: Scan) -> Result<(), QueryError> {
        self.note(&mut found);
        self.each_raw(&found, &mut |asked, line| asked.add(&line))
    }

    /// Adds windows; of the steps from a time on, their values are taken from raw rows.
    fn add_windows(&mut self, windows: Rolled, raw: Option<(Scan, i64)>) -> Result<(), QueryError> {
        self.warnings.extend(windows.warnings);
        self.rows = self.rows.saturating_add(windows.rows);
        self.coarsest = self.coarsest.max(windows.coarsest);
        let Some((mut found, until_ms)) = raw else {
            return windows.lines.iter().try_for_each(|line| self.add(line));
        };
        self.note(&mut found);
        let raw_from = self.steps.iter().take_while(|(start_ms, _)| *start_ms < until_ms).count();
        let mut lines: BTreeMap<_, Line> = BTreeMap::new();
        for mut line in windows.lines {
            for value in line.columns.iter_mut().filter_map(|column| column.get_mut(raw_from..)) {
                value.fill(None);
            }
            lines.insert(identity(&line.key, &self.request.by), line);
        }
        self.each_raw(&found, &mut |asked, line| {
            match lines.entry(identity(&line.key, &asked.request.by)) {
                Entry::Vacant(place) => {
                    place.insert(line);
                }
                Entry::Occupied(mut place) => {
                    let pairs = place.get_mut().columns.iter_mut().zip(&line.columns);
                    for (held, values) in pairs {
                        let values = held.iter_mut().zip(values).skip(raw_from);
                        values.for_each(|(held, value)| *held = *value);
                    }
                }
            }
            Ok(())
        })?;
        lines.values().try_for_each(|line| self.add(line))
    }

    fn note(&mut self, found: &mut Scan) {
        self.warnings.append(&mut found.warnings);
        self.rows = self.rows.saturating_add(found.rows);
    }

    fn each_raw(
        &mut self,
        found: &Scan,
        take: &mut dyn FnMut(&mut Self, Line) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        let renamed = renamed(found.series.iter().map(|series| &series.key));
        for subject in found.series.chunk_by(|one, next| one.key.subject == next.key.subject) {
            self.limits.check_stop()?;
            let Some(key) = subject.first().map(|series| &series.key) else { continue };
            if !self.accepts(key) {
                continue;
            }
            let count_births = !renamed.contains(&key.subject.container_id);
            for series in by_keys(subject, |series| series.key.as_ref(), &self.request.by) {
                let Some(key) = series.first().map(|series| series.key.clone()) else { continue };
                let columns = self.plan.columns(&series, &self.steps, self.request, count_births);
                let gap_max_ms = gap_max_ms(self.request.metric.table);
                let stretches = stretches(&series, self.plan.fields.len(), gap_max_ms);
                take(self, Line { key, columns, stretches, gap_ms: 0 })?;
            }
        }
        Ok(())
    }

    fn add(&mut self, line: &Line) -> Result<(), QueryError> {
        if line.columns.iter().flatten().all(Option::is_none) {
            return Ok(());
        }
        let of_container = self.labels.get(&line.key.subject.container_id);
        let label = |name: &str| of_container.map_or("", |labels| label_value(labels, name));
        let by = self.request.by.iter();
        let names = by.map(|by| group_value(by, &line.key, label)).collect();
        let cover = self.told.tell(&line.key, &line.stretches).without(line.gap_ms);
        self.groups.add(names, &line.columns, cover, self.limits)
    }

    fn finish(self) -> HistoryAnswer {
        let mut answer = self.told.answer(self.groups, &self.steps, self.plan.fields);
        answer.warnings.splice(0..0, self.warnings);
        answer.rows = self.rows;
        self.coarsest.name().clone_into(&mut answer.resolution);
        answer
    }
}

/// What tells lines apart: the subject and the keys that the question groups by.
fn identity(key: &SeriesKey, by: &[GroupLabel]) -> (Subject, Vec<Arc<str>>) {
    let keys = by.iter().filter_map(|by| match by {
        GroupLabel::Key(index) => key.keys.get(*index).cloned(),
        _ => None,
    });
    (key.subject.clone(), keys.collect())
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
pub(super) fn renamed<'k>(keys: impl Iterator<Item = &'k Arc<SeriesKey>>) -> FxHashSet<Arc<str>> {
    let mut first: FxHashMap<&Arc<str>, &SeriesKey> = FxHashMap::default();
    let mut renamed = FxHashSet::default();
    for key in keys {
        let id = &key.subject.container_id;
        let known = first.entry(id).or_insert(key);
        if !id.is_empty() && known.subject != key.subject {
            renamed.insert(id.clone());
        }
    }
    renamed
}

/// The series of one subject, apart only by the keys that the question groups by.
pub(super) fn by_keys<'a, S>(
    subject: &'a [S],
    key_of: impl Fn(&'a S) -> &'a SeriesKey,
    by: &[GroupLabel],
) -> Vec<Vec<&'a S>> {
    let grouped =
        |by: &GroupLabel| if let GroupLabel::Key(index) = by { Some(*index) } else { None };
    let indexes: Vec<usize> = by.iter().filter_map(grouped).collect();
    if indexes.is_empty() {
        return vec![subject.iter().collect()];
    }
    let mut parts: BTreeMap<Vec<&str>, Vec<&S>> = BTreeMap::new();
    for series in subject {
        let keys = &key_of(series).keys;
        let key = |index: &usize| keys.get(*index).map_or("", AsRef::as_ref);
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
