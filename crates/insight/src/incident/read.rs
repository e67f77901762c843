//! Reads what an incident looks at: containers' metrics in buckets, and events.
//!
//! A container is known by its stable place (stack, service, slot), or by its name when it has no
//! slot, so that a replaced container goes on where the old one ended. Devices and interfaces of
//! one container add up. Counter growth goes through `window` and is never negative (GROW).
//! A bucket without samples has no value (NULL).

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef};
use plimsoll_model::{Registry, Subject, Table, TimeRange};
use plimsoll_store::{Scan, ScanError, ScanRequest, SeriesRows};
use plimsoll_window::{CounterSample, GAP_MAX_MS, Pair};

use super::metrics::{WATCHED, Watched};
use super::timeline::Event;
use super::{IncidentError, IncidentLimits, IncidentRequest, Spans};
use crate::robust::{real, real_i64};

/// One metric of one container, bucket by bucket.
#[derive(Debug, Clone)]
pub(super) struct Track {
    pub(super) watched: &'static Watched,
    /// Start of each bucket that has a value, Unix milliseconds, and the value.
    pub(super) points: Vec<(i64, f64)>,
}

/// One container, with everything that is looked at.
#[derive(Debug, Clone)]
pub(super) struct Container {
    pub(super) subject: Subject,
    pub(super) tracks: Vec<Track>,
}

/// What was read of containers.
pub(super) struct Containers {
    pub(super) found: Vec<Container>,
    pub(super) coverage: Option<f64>,
    pub(super) warnings: Vec<String>,
    pub(super) rows: u64,
}

/// What was read of events.
pub(super) struct Events {
    pub(super) found: Vec<Event>,
    pub(super) warnings: Vec<String>,
    pub(super) rows: u64,
}

type Scanner<'a> = dyn Fn(&ScanRequest) -> Result<Scan, ScanError> + 'a;
type Place = (Arc<str>, Arc<str>, Arc<str>, Arc<str>, Arc<str>);
type Found = BTreeMap<Place, (Subject, BTreeMap<usize, Buckets>)>;

/// Sum and number of samples per bucket.
#[derive(Debug, Clone, Default)]
struct Buckets(BTreeMap<i64, (f64, usize)>);

impl Buckets {
    fn add(&mut self, spans: &Spans, time_ms: i64, value: f64) {
        if !spans.all.contains(time_ms) || !value.is_finite() {
            return;
        }
        let index = time_ms.saturating_sub(spans.window.start_ms).div_euclid(spans.bucket_ms);
        let cell = self.0.entry(index).or_default();
        *cell = (cell.0 + value, cell.1 + 1);
    }

    /// Adds another device's averages to these.
    fn join(&mut self, other: &Self) {
        for (index, (sum, samples)) in &other.0 {
            let average = sum / real((*samples).max(1));
            match self.0.get_mut(index) {
                Some(cell) => cell.0 += average * real(cell.1),
                None => drop(self.0.insert(*index, (average, 1))),
            }
        }
    }
}

fn place_of(subject: &Subject) -> Place {
    let replica =
        if subject.slot.is_empty() { subject.container.clone() } else { subject.slot.clone() };
    let node = if subject.slot.is_empty() { subject.node.clone() } else { Arc::from("") };
    (subject.cluster.clone(), subject.stack.clone(), subject.service.clone(), replica, node)
}

/// Reads all watched metrics of the containers asked about.
pub(super) fn containers(
    scan: &Scanner<'_>,
    request: &IncidentRequest,
    spans: &Spans,
    limits: &IncidentLimits,
) -> Result<Containers, IncidentError> {
    let mut found = Found::new();
    let (mut warnings, mut rows) = (Vec::new(), 0_u64);
    for table_name in ["container", "container_blkio", "container_network"] {
        let table = table_of(table_name)?;
        let watched: Vec<(usize, &'static Watched)> =
            WATCHED.iter().enumerate().filter(|(_, of)| of.table == table_name).collect();
        let mut metrics = Vec::with_capacity(watched.len() + 1);
        for column in watched.iter().map(|(_, of)| of.column).chain(["started_at_ms"]) {
            metrics.push(metric_of(table, table_name, column)?);
        }
        // Rows before the range give the first bucket what it grew from.
        let start_ms = spans.all.start_ms.saturating_sub(GAP_MAX_MS);
        let wanted = ScanRequest {
            table,
            metrics,
            range: TimeRange::new(start_ms, spans.all.end_ms),
            filter: request.filter.clone(),
            limits: limits.of_scan(),
        };
        let answer =
            scan(&wanted).map_err(|source| IncidentError::Scan { table: table_name, source })?;
        rows = rows.saturating_add(answer.rows);
        warnings.extend(answer.warnings);
        for series in &answer.series {
            add_series(&mut found, series, &watched, spans);
        }
    }
    let coverage = coverage(&found, spans);
    let containers = found.into_values().map(|(subject, tracks)| container(subject, tracks, spans));
    Ok(Containers { found: containers.collect(), coverage, warnings, rows })
}

fn container(subject: Subject, tracks: BTreeMap<usize, Buckets>, spans: &Spans) -> Container {
    let start_of =
        |index: i64| spans.window.start_ms.saturating_add(index.saturating_mul(spans.bucket_ms));
    let track = |(index, buckets): (usize, Buckets)| {
        let points = buckets.0.into_iter();
        let points = points.map(|(at, (sum, samples))| (start_of(at), sum / real(samples.max(1))));
        Some(Track { watched: WATCHED.get(index)?, points: points.collect() })
    };
    Container { subject, tracks: tracks.into_iter().filter_map(track).collect() }
}

/// Buckets of the window with samples, of those that containers would have at the pace they had
/// before it, over the containers that were there before.
fn coverage(found: &Found, spans: &Spans) -> Option<f64> {
    let (mut there, mut expected) = (0.0, 0.0);
    let before_ms = spans.window.start_ms.saturating_sub(spans.all.start_ms);
    for (_, tracks) in found.values() {
        let Some(buckets) = tracks.values().next() else { continue };
        let before = real(buckets.0.range(..0).count());
        let inside = real(buckets.0.range(0..=spans.window.len_ms() / spans.bucket_ms).count());
        let due = before * real_i64(spans.window.len_ms()) / real_i64(before_ms.max(1));
        expected += due;
        there += inside.min(due);
    }
    (expected > 0.0).then_some(there / expected)
}

fn add_series(
    found: &mut Found,
    series: &SeriesRows,
    watched: &[(usize, &'static Watched)],
    spans: &Spans,
) {
    let subject = &series.key.subject;
    let (held, tracks) =
        found.entry(place_of(subject)).or_insert_with(|| (subject.clone(), BTreeMap::new()));
    if series.chunks.last().is_some_and(|chunk| chunk.last_ms() >= spans.window.start_ms) {
        *held = subject.clone();
    }
    for (position, (index, of)) in watched.iter().enumerate() {
        let mut buckets = Buckets::default();
        if of.is_rate {
            add_rates(&mut buckets, series, position, watched.len(), of.divide_by, spans);
        } else {
            for chunk in &series.chunks {
                let Some(column) = chunk.columns.get(position) else { continue };
                for (row, time_ms) in chunk.times_ms.iter().enumerate() {
                    if let Some(value) = number(column, row) {
                        buckets.add(spans, *time_ms, value / of.divide_by);
                    }
                }
            }
        }
        if !buckets.0.is_empty() {
            tracks.entry(*index).or_default().join(&buckets);
        }
    }
}

fn add_rates(
    buckets: &mut Buckets,
    series: &SeriesRows,
    position: usize,
    epoch_position: usize,
    divide_by: f64,
    spans: &Spans,
) {
    let mut previous: Option<CounterSample> = None;
    for chunk in &series.chunks {
        let column = chunk.columns.get(position);
        let Some(column) = column.and_then(|of| of.as_primitive_opt::<Int64Type>()) else {
            continue;
        };
        let epochs = chunk.columns.get(epoch_position);
        let epochs = epochs.and_then(|of| of.as_primitive_opt::<Int64Type>());
        for (row, time_ms) in chunk.times_ms.iter().enumerate() {
            if column.is_null(row) {
                continue;
            }
            let epoch = epochs.filter(|of| of.is_valid(row)).map(|of| of.value(row));
            let sample = CounterSample { time_ms: *time_ms, value: column.value(row), epoch };
            let pair = previous.replace(sample).map(|before| Pair::between(&before, &sample));
            let pair = pair.filter(|pair| pair.elapsed_ms <= GAP_MAX_MS);
            if let Some(rate) = pair.and_then(|pair| pair.rate_per_s()) {
                buckets.add(spans, *time_ms, rate / divide_by);
            }
        }
    }
}

/// Reads the events of the window, oldest first.
pub(super) fn events(
    scan: &Scanner<'_>,
    request: &IncidentRequest,
    limits: &IncidentLimits,
) -> Result<Events, IncidentError> {
    const COLUMNS: [&str; 7] =
        ["actor_name", "severity", "detail", "attributes", "exit_code", "signal", "duration_ms"];
    let table = table_of("event")?;
    let mut metrics = Vec::with_capacity(COLUMNS.len());
    for column in COLUMNS {
        metrics.push(metric_of(table, "event", column)?);
    }
    let wanted = ScanRequest {
        table,
        metrics,
        range: request.window,
        filter: request.filter.clone(),
        limits: limits.of_scan(),
    };
    let answer = scan(&wanted).map_err(|source| IncidentError::Scan { table: "event", source })?;
    let mut events = Vec::new();
    for series in &answer.series {
        let key = |index: usize| series.key.keys.get(index).map_or("", AsRef::as_ref).to_owned();
        for chunk in &series.chunks {
            let words = |column: usize, row| chunk.columns.get(column).and_then(|of| text(of, row));
            let whole = |column: usize, row| {
                let column = chunk.columns.get(column)?.as_primitive_opt::<Int64Type>()?;
                column.is_valid(row).then(|| column.value(row))
            };
            for (row, time_ms) in chunk.times_ms.iter().enumerate() {
                events.push(Event {
                    time_ms: *time_ms,
                    kind: key(0),
                    action: key(1),
                    subject: series.key.subject.clone(),
                    name: words(0, row).unwrap_or_else(|| key(2)),
                    severity: words(1, row).unwrap_or_else(|| "info".to_owned()),
                    detail: words(2, row),
                    exit_code: whole(4, row),
                    signal: whole(5, row),
                });
            }
        }
    }
    events.sort_by_key(|event| event.time_ms);
    Ok(Events { found: events, warnings: answer.warnings, rows: answer.rows })
}

fn number(column: &ArrayRef, row: usize) -> Option<f64> {
    if column.is_null(row) {
        return None;
    }
    if let Some(values) = column.as_primitive_opt::<Int64Type>() {
        return Some(real_i64(values.value(row)));
    }
    column.as_primitive_opt::<Float64Type>().map(|values| values.value(row))
}

fn text(column: &ArrayRef, row: usize) -> Option<String> {
    let column = column.as_dictionary_opt::<Int32Type>()?;
    if column.is_null(row) {
        return None;
    }
    let values = column.values().as_string_opt::<i32>()?;
    Some(values.value(column.key(row)?).to_owned())
}

fn table_of(name: &'static str) -> Result<&'static Table, IncidentError> {
    Registry::embedded().table(name).ok_or(IncidentError::Registry { table: name, column: "*" })
}

fn metric_of(
    table: &Table,
    name: &'static str,
    column: &'static str,
) -> Result<usize, IncidentError> {
    table.metric_index(column).ok_or(IncidentError::Registry { table: name, column })
}
