//! When a history question is answered from windows, and reading them.
//!
//! Windows are read for steps of five minutes and longer, where they give exactly the numbers of
//! the raw rows and are fewer. Where they cannot, raw rows are read as long as they last; of time
//! before, windows that come near, with a sentence that says so, or nothing.
//! Not here: what values are made of windows (`history::windows`).

use std::collections::BTreeMap;
use std::sync::Arc;

use plimsoll_model::registry::RollupRules;
use plimsoll_model::{ColumnType, Kind, Registry, TimeRange};
use plimsoll_store::scan::SeriesRequest;
use plimsoll_store::{
    Resolution, RollupError, ScanError, SeriesKey, SeriesWindows, StepWindows, Store,
    WindowsRequest,
};
use plimsoll_window::{GAP_MAX_MS, Steps};

use super::evaluate::{Asked, Line, by_keys, epoch_column, renamed};
use super::windows::{WindowFold, stretches_of};
use super::{GroupLabel, HistoryLimits, HistoryRequest, QueryError, Reading, Stat};
use crate::time::format_time_ms;

/// Shortest step that is read from windows while raw rows last: that of the finest ones.
const STEP_MS_MIN: i64 = 300_000;
/// Most steps that cut through windows which are read from windows while raw rows last: what is
/// cut comes from raw rows, and with more cuts those are read nearly whole.
const STEPS_CUT_MAX: i64 = 12;
/// Most windows that are held at once: series times fields times steps.
const WINDOWS_MAX: usize = 2_000_000;

/// Where a question is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// Raw rows.
    Raw,
    /// Windows.
    Windows,
    /// Windows for steps that begin before this time, raw rows for the others.
    WindowsBefore(i64),
}

/// Where a question is read, and what of it is past its age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) source: Source,
    /// Raw rows before this time are past their age, and the question reaches there.
    expired_ms: Option<i64>,
}

impl Choice {
    /// `raw_from_ms`: raw rows before are past their age.
    pub(super) fn of(request: &HistoryRequest, raw_from_ms: i64) -> Self {
        let table = request.metric.table;
        let is_rolled = Registry::rollup(table, Resolution::Hour.name()).is_some();
        let is_past = is_rolled && request.range.start_ms < raw_from_ms;
        let expired_ms = is_past.then_some(raw_from_ms);
        let source = if !is_rolled || !is_carried(request) {
            Source::Raw
        } else if !is_exact(request) {
            // A pair of samples may reach back this far: the first whole step comes after it.
            expired_ms.map_or(Source::Raw, |at_ms| {
                Source::WindowsBefore(at_ms.saturating_add(GAP_MAX_MS))
            })
        } else if is_past || is_cheap(request) {
            Source::Windows
        } else {
            Source::Raw
        };
        Self { source, expired_ms }
    }

    /// What a reader must know of the steps of which raw rows are gone. `too_many`: there were
    /// too many windows, so raw rows were read.
    pub(super) fn warning(&self, request: &HistoryRequest, too_many: bool) -> Option<String> {
        let expired =
            format!("raw rows before {} are past their age", { format_time_ms(self.expired_ms?) });
        let stat = Stat::ALL.iter().find(|(_, stat)| *stat == request.stat);
        let stat = stat.map_or("", |(name, _)| name);
        match self.source {
            _ if too_many => Some(format!(
                "{expired} and there are too many windows: ask for longer steps or fewer series"
            )),
            Source::Raw if request.metric.reading == Reading::Rate && request.stat == Stat::Min => {
                Some(format!("{expired}, and windows do not keep the slowest rate"))
            }
            Source::Raw if matches!(request.stat, Stat::Quantile(_)) => {
                Some(format!("{expired}, and windows do not keep {stat}"))
            }
            Source::Raw => Some(format!("{expired}, and windows do not keep {stat} of a state")),
            Source::WindowsBefore(_) if !same_epoch(request) => Some(format!(
                "{expired}: in steps before, a restart is seen only where the counter fell"
            )),
            Source::WindowsBefore(_) => Some(format!(
                "{expired}: in steps before, {stat} is the sum of the {stat} of each series of \
                 one subject, though those may lie at different times"
            )),
            Source::Windows => None,
        }
    }
}

/// Whether windows are fewer rows than the raw ones.
fn is_cheap(request: &HistoryRequest) -> bool {
    let (range, step_ms) = (request.range, request.step_ms);
    let is_whole = |time_ms: i64| time_ms.rem_euclid(STEP_MS_MIN) == 0;
    let is_aligned = is_whole(range.start_ms) && is_whole(step_ms);
    let few = range.len_ms() <= step_ms.saturating_mul(STEPS_CUT_MAX);
    step_ms >= STEP_MS_MIN && (is_aligned || few)
}

/// Whether windows carry the statistic of all columns.
fn is_carried(request: &HistoryRequest) -> bool {
    let metrics = request.metric.table.metrics();
    let stat = match (request.metric.reading, request.stat) {
        (_, Stat::Quantile(_)) | (Reading::Rate, Stat::Min) => false,
        (_, Stat::Avg | Stat::Sum | Stat::Min | Stat::Max) => true,
    };
    let kind = |index: &usize| {
        metrics.get(*index).is_some_and(|of| match request.metric.reading {
            Reading::Rate => of.kind == Kind::Counter && of.column_type == ColumnType::Int,
            Reading::Level => {
                of.kind == Kind::Gauge
                    && matches!(of.column_type, ColumnType::Int | ColumnType::Float)
            }
        })
    };
    stat && request.metric.metrics.iter().all(kind)
}

/// Whether windows give exactly what raw rows give.
fn is_exact(request: &HistoryRequest) -> bool {
    let keys = request.metric.table.keys().len();
    let is_single = (0..keys).all(|index| request.by.contains(&GroupLabel::Key(index)));
    let adds_up = match request.metric.reading {
        Reading::Rate => matches!(request.stat, Stat::Avg | Stat::Sum),
        Reading::Level => request.stat == Stat::Sum,
    };
    (is_single || adds_up) && same_epoch(request)
}

/// Whether windows know restarts from the column that raw rows tell them by.
fn same_epoch(request: &HistoryRequest) -> bool {
    let table = request.metric.table;
    let column = epoch_column(table).and_then(|index| table.metrics().get(index));
    let kept = RollupRules::embedded().shared.first().map(|shared| shared.when_column.as_str());
    let of_raw = column.map(|metric| metric.column.as_str());
    request.metric.reading == Reading::Level || of_raw.is_none() || of_raw == kept
}

/// Lines made of windows.
#[derive(Debug)]
pub(super) struct Rolled {
    pub(super) lines: Vec<Line>,
    pub(super) coarsest: Resolution,
    pub(super) warnings: Vec<String>,
    pub(super) rows: u64,
}

/// The windows of one series, by field.
struct SeriesFields {
    key: Arc<SeriesKey>,
    fields: Vec<Option<StepWindows>>,
    /// Of a gauge, the time shortly before the range: whether it paused when the range began.
    before: Vec<Option<StepWindows>>,
}

/// Reads the windows of all subjects; `None` when there are more than may be held.
pub(super) fn read(
    store: &Store,
    asked: &Asked<'_>,
    request: &HistoryRequest,
    limits: &HistoryLimits,
) -> Result<Option<Rolled>, QueryError> {
    let mut rolled =
        Rolled { lines: Vec::new(), coarsest: Resolution::Raw, warnings: Vec::new(), rows: 0 };
    let Some(series) = read_fields(store, asked, request, limits, &mut rolled)? else {
        return Ok(None);
    };
    let renamed = if request.metric.reading == Reading::Rate {
        let stored = stored_series(store, request, limits)?;
        renamed(stored.iter().chain(series.iter().map(|of| &of.key)))
    } else {
        renamed(std::iter::empty())
    };
    let mut has_gaps = false;
    for subject in series.chunk_by(|one, next| one.key.subject == next.key.subject) {
        limits.check_stop()?;
        let Some(key) = subject.first().map(|of| &of.key) else { continue };
        if !asked.accepts(key) {
            continue;
        }
        let fold = WindowFold {
            steps: asked.steps.len(),
            stat: request.stat,
            reading: request.metric.reading,
            count_births: !renamed.contains(&key.subject.container_id),
        };
        for part in by_keys(subject, |of| of.key.as_ref(), &request.by) {
            let Some(key) = part.first().map(|of| of.key.clone()) else { continue };
            let line = line(&part, key, fold, asked, request);
            has_gaps |= line.gap_ms > 0;
            rolled.lines.push(line);
        }
    }
    if has_gaps {
        let warning = "gaps inside single steps are not listed, as windows were read";
        rolled.warnings.push(warning.to_owned());
    }
    Ok(Some(rolled))
}

fn line(
    part: &[&SeriesFields],
    key: Arc<SeriesKey>,
    fold: WindowFold,
    asked: &Asked<'_>,
    request: &HistoryRequest,
) -> Line {
    let windows = |field: usize| -> Vec<&StepWindows> {
        part.iter().filter_map(|of| of.fields.get(field)?.as_ref()).collect()
    };
    let fields = asked.fields().iter().enumerate();
    let columns = fields.map(|(field, choice)| {
        let mut values = fold.values(&windows(field));
        for value in values.iter_mut().flatten() {
            *value /= choice.divide_by;
        }
        values
    });
    let columns = columns.collect();
    let all: Vec<[Option<&StepWindows>; 2]> = part
        .iter()
        .flat_map(|of| of.before.iter().zip(&of.fields))
        .map(|(before, field)| [before.as_ref(), field.as_ref()])
        .collect();
    let (stretches, gap_ms) = stretches_of(&all, request.range.start_ms);
    Line { key, columns, stretches, gap_ms }
}

fn read_fields(
    store: &Store,
    asked: &Asked<'_>,
    request: &HistoryRequest,
    limits: &HistoryLimits,
    rolled: &mut Rolled,
) -> Result<Option<Vec<SeriesFields>>, QueryError> {
    let fields = asked.fields();
    let start_ms = request.range.start_ms;
    let lookback = Steps::new(start_ms.saturating_sub(GAP_MAX_MS), start_ms, GAP_MAX_MS)?;
    let mut found: BTreeMap<Arc<SeriesKey>, SeriesFields> = BTreeMap::new();
    for (position, field) in fields.iter().enumerate() {
        let Some(grid) = read_grid(store, asked.steps, field.metric, request, limits, rolled)?
        else {
            return Ok(None);
        };
        for series in grid {
            let none = || fields.iter().map(|_| None).collect();
            let of = found.entry(series.key.clone()).or_insert_with(|| SeriesFields {
                key: series.key,
                fields: none(),
                before: none(),
            });
            if let Some(place) = of.fields.get_mut(position) {
                *place = Some(series.steps);
            }
        }
        if request.metric.reading == Reading::Rate {
            continue;
        }
        let before = read_grid(store, lookback, field.metric, request, limits, rolled)?;
        for series in before.into_iter().flatten() {
            let of = found.get_mut(&series.key);
            if let Some(place) = of.and_then(|of| of.before.get_mut(position)) {
                *place = Some(series.steps);
            }
        }
    }
    Ok(Some(found.into_values().collect()))
}

/// The windows of one column; `None` when there are more than may be held.
fn read_grid(
    store: &Store,
    steps: Steps,
    metric: usize,
    request: &HistoryRequest,
    limits: &HistoryLimits,
    rolled: &mut Rolled,
) -> Result<Option<Vec<SeriesWindows>>, QueryError> {
    let table = request.metric.table;
    let cells = steps.len().saturating_mul(request.metric.metrics.len()).max(1);
    let series_max = limits.series_max.min(WINDOWS_MAX.checked_div(cells).unwrap_or(0));
    let mut scan_limits = limits.of_scan();
    scan_limits.series_max = series_max;
    scan_limits.rows_max = scan_limits.rows_max.saturating_sub(rolled.rows);
    let windows = WindowsRequest {
        metric,
        steps,
        lookback_ms: GAP_MAX_MS,
        filter: request.filter.clone(),
        limits: scan_limits,
    };
    let answer = match store.windows(table, &windows) {
        Err(RollupError::Scan(ScanError::Series { .. })) if series_max < limits.series_max => {
            return Ok(None);
        }
        answer => answer.map_err(|source| failed(table.name(), source))?,
    };
    rolled.rows = rolled.rows.saturating_add(answer.rows);
    rolled.coarsest = rolled.coarsest.max(answer.used.coarsest().unwrap_or(Resolution::Raw));
    for warning in answer.warnings {
        if !rolled.warnings.contains(&warning) {
            rolled.warnings.push(warning);
        }
    }
    Ok(Some(answer.series))
}

fn failed(table: &'static str, source: RollupError) -> QueryError {
    match source {
        RollupError::Scan(source) => QueryError::Scan { table, source },
        source => QueryError::Windows { table, source },
    }
}

/// Which series a scan of the question would find.
fn stored_series(
    store: &Store,
    request: &HistoryRequest,
    limits: &HistoryLimits,
) -> Result<Vec<Arc<SeriesKey>>, QueryError> {
    let table = request.metric.table;
    let start_ms = request.range.start_ms.saturating_sub(GAP_MAX_MS);
    let request = SeriesRequest {
        table,
        range: TimeRange::new(start_ms, request.range.end_ms),
        filter: request.filter.clone(),
        limits: limits.of_scan(),
    };
    store.series(&request).map_err(|source| QueryError::Scan { table: table.name(), source })
}
