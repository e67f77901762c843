//! One window per series and step of a grid, from the coarsest sources that are exact.
//!
//! Holds ROLL and GROW: the answer is what raw rows alone would give, and growth between two
//! steps counts in the later one, wherever the two samples came from.
//! Not here: the choice of sources (`plan`), the arithmetic (`plimsoll_window`).

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::Array;
use plimsoll_model::{ErrorClass, Filter, Registry, Table, TimeRange};
use plimsoll_window::{CounterSample, CounterStep, CounterWindow, GaugeWindow, PartsError, Steps};

use super::HOUR_MS;
use super::coverage::TableView;
use super::decode::RollupColumns;
use super::epochs::EpochColumns;
use super::fold::{Fold, RawColumn, epochs_of};
use super::kinds::{Kept, WindowKind};
use super::plan::{Coverage, Part, Plan, ceil, plan};
use super::state::StateWindow;
use crate::retention::Rule;
use crate::scan::{
    Chunk, Scan, ScanError, ScanLimits, ScanRequest, SeriesKey, SeriesRows, View, scan,
};
use crate::segment::Resolution;

/// Most scans of one source; stretches further apart than that are read together.
const SCANS_MAX: usize = 16;

/// Which windows are wanted.
#[derive(Debug, Clone)]
pub struct WindowsRequest {
    /// Index into the table's metrics.
    pub metric: usize,
    /// The grid.
    pub steps: Steps,
    /// How far before the grid a sample may lie that leads into its first step.
    pub lookback_ms: i64,
    /// Over dimensions and keys.
    pub filter: Filter,
    /// What the scans may take, all together.
    pub limits: ScanLimits,
}

/// Windows of one series, one per step, empty where there are no samples.
#[derive(Debug, Clone, PartialEq)]
pub enum StepWindows {
    /// Of a counter.
    Counter(Vec<CounterStep>),
    /// Of a gauge of integers.
    Int(Vec<GaugeWindow<i64>>),
    /// Of a gauge of floating point.
    Float(Vec<GaugeWindow<f64>>),
    /// Of a state.
    State(Vec<Option<StateWindow>>),
}

/// One series of the answer.
#[derive(Debug, Clone)]
pub struct SeriesWindows {
    /// Who it is about.
    pub key: Arc<SeriesKey>,
    /// One per step.
    pub steps: StepWindows,
}

/// Where an answer came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Used {
    /// Milliseconds of time read from each resolution.
    pub span_ms: BTreeMap<Resolution, i64>,
}

impl Used {
    /// The coarsest resolution that was read.
    pub fn coarsest(&self) -> Option<Resolution> {
        self.span_ms.keys().next_back().copied()
    }
}

/// Windows of all series.
#[derive(Debug, Default)]
pub struct WindowsAnswer {
    /// In key order; series without samples in the grid are left out.
    pub series: Vec<SeriesWindows>,
    /// Where they came from.
    pub used: Used,
    /// What a reader must know.
    pub warnings: Vec<String>,
    /// Rows read.
    pub rows: u64,
}

/// Why there are no windows.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RollupError {
    /// The rows cannot be read.
    #[error("rows cannot be read")]
    Scan(#[from] ScanError),
    /// A rollup row is not one.
    #[error("a rollup row of {table}.{column} is damaged")]
    Parts {
        /// The table.
        table: &'static str,
        /// The metric's column.
        column: &'static str,
        /// What is wrong with it.
        source: PartsError,
    },
    /// The metric has no windows: a gauge of texts.
    #[error("column {column} of {table} has no windows")]
    Kind {
        /// The table.
        table: &'static str,
        /// The metric's column.
        column: &'static str,
    },
}

impl RollupError {
    /// As the scan says; damaged rows are `Corrupt`.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Scan(error) => error.class(),
            Self::Parts { .. } => ErrorClass::Corrupt,
            Self::Kind { .. } => ErrorClass::Invalid,
        }
    }
}

/// Answers a grid of steps for one metric of every series the filter accepts.
///
/// # Errors
///
/// [`RollupError`] when a limit is reached or rows cannot be read.
pub fn windows(view: &TableView, request: &WindowsRequest) -> Result<WindowsAnswer, RollupError> {
    let metric = view.table.metrics().get(request.metric);
    let metric =
        metric.ok_or(ScanError::Metric { table: view.table.name(), found: request.metric })?;
    let kind = WindowKind::of(metric)
        .ok_or(RollupError::Kind { table: view.table.name(), column: &metric.column })?;
    let answer = WindowsAnswer::default();
    let rows_left = request.limits.rows_max;
    let mut query = Query { view, request, kind, groups: Vec::new(), answer, rows_left };
    query.groups = query.groups();
    match kind {
        WindowKind::Counter => query.run::<CounterWindow>(|pieces, steps| {
            StepWindows::Counter(counter_steps(pieces, steps))
        })?,
        WindowKind::Int => query
            .run::<GaugeWindow<i64>>(|pieces, steps| StepWindows::Int(merged(pieces, steps)))?,
        WindowKind::Float => query
            .run::<GaugeWindow<f64>>(|pieces, steps| StepWindows::Float(merged(pieces, steps)))?,
        WindowKind::State => query
            .run::<StateWindow>(|pieces, steps| StepWindows::State(state_steps(pieces, steps)))?,
    }
    let mut answer = query.answer;
    answer.series.sort_by(|left, right| left.key.cmp(&right.key));
    Ok(answer)
}

/// A window and the step it belongs to; `None` is before the grid.
type Piece<W> = (Option<usize>, W);
type Pieces<W> = BTreeMap<Arc<SeriesKey>, Vec<Piece<W>>>;

struct Query<'a> {
    view: &'a TableView,
    request: &'a WindowsRequest,
    kind: WindowKind,
    /// Which ages are planned apart: the general ones (`None`) and those of rules.
    groups: Vec<Option<usize>>,
    answer: WindowsAnswer,
    rows_left: u64,
}

impl Query<'_> {
    fn run<W: Fold + Kept>(
        &mut self,
        into_steps: impl Fn(Vec<Piece<W>>, &Steps) -> StepWindows,
    ) -> Result<(), RollupError> {
        for group in self.groups.clone() {
            let plan = plan(&self.request.steps, self.read_from_ms(), &self.coverage(group));
            let mut pieces: Pieces<W> = BTreeMap::new();
            self.read_rollups(&plan, group, &mut pieces)?;
            self.read_raw(&plan, group, &mut pieces)?;
            for (key, mut pieces) in pieces {
                pieces.sort_by_key(|(_, window)| window.first_time_ms());
                if pieces.iter().any(|(step, _)| step.is_some()) {
                    let steps = into_steps(pieces, &self.request.steps);
                    self.answer.series.push(SeriesWindows { key, steps });
                }
            }
            self.note(&plan);
        }
        Ok(())
    }

    fn read_from_ms(&self) -> i64 {
        self.request.steps.start_ms().saturating_sub(self.request.lookback_ms.max(0))
    }

    /// Series of different ages are planned apart: the general ones, then those of each rule that
    /// matters here.
    fn groups(&self) -> Vec<Option<usize>> {
        let hidden = &self.view.hidden;
        let rules = hidden.rules().rules.iter().enumerate();
        let matters = rules.filter(|(_, rule)| {
            Resolution::ALL.iter().any(|resolution| {
                let age_ms = rule.age_ms(*resolution).unwrap_or(0);
                let general_ms = hidden.rules().ages.of_table(self.view.table, *resolution);
                let until_ms = hidden.now_ms().saturating_sub(age_ms.min(general_ms));
                rule.age_ms(*resolution).is_some() && until_ms > self.read_from_ms()
            })
        });
        std::iter::once(None).chain(matters.map(|(index, _)| Some(index))).collect()
    }

    fn rule(&self, group: Option<usize>) -> Option<&Rule> {
        self.view.hidden.rules().rules.get(group?)
    }

    /// Whether a series is planned in this group.
    fn is_in(&self, group: Option<usize>, key: &SeriesKey) -> bool {
        let rules = self.view.hidden.rules();
        let found = rules.rules.iter().position(|rule| rule.accepts(self.view.table, key));
        found.filter(|index| self.groups.contains(&Some(*index))) == group
    }

    fn coverage(&self, group: Option<usize>) -> Coverage {
        let hidden = &self.view.hidden;
        let table = self.view.table;
        let from_ms = |resolution| {
            let own = self.rule(group).and_then(|rule| rule.age_ms(resolution));
            let age_ms = own.unwrap_or_else(|| hidden.rules().ages.of_table(table, resolution));
            let shed_ms = hidden.shed_floor_ms(table, resolution);
            hidden.now_ms().saturating_sub(age_ms).max(shed_ms)
        };
        let within = TimeRange::new(self.read_from_ms(), self.request.steps.end_ms());
        let has_rollups = Registry::rollup(table, Resolution::Hour.name()).is_some();
        let raw_from_ms = from_ms(Resolution::Raw);
        Coverage {
            five: self.view.fresh(Resolution::FiveMinutes, within),
            hour: self.view.fresh(Resolution::Hour, within),
            raw_from_ms: if has_rollups { ceil(raw_from_ms, HOUR_MS) } else { raw_from_ms },
            five_from_ms: ceil(from_ms(Resolution::FiveMinutes), HOUR_MS),
            hour_from_ms: from_ms(Resolution::Hour),
        }
    }

    fn note(&mut self, plan: &Plan) {
        for part in &plan.parts {
            let span_ms = self.answer.used.span_ms.entry(part.resolution).or_default();
            *span_ms = span_ms.saturating_add(part.range.len_ms());
        }
        for warning in &plan.warnings {
            if !self.answer.warnings.contains(warning) {
                self.answer.warnings.push(warning.clone());
            }
        }
    }

    fn scan(
        &mut self,
        table: &'static Table,
        view: &View,
        metrics: &[usize],
        range: TimeRange,
    ) -> Result<Scan, RollupError> {
        let limits = ScanLimits { rows_max: self.rows_left, ..self.request.limits.clone() };
        let filter = self.request.filter.clone();
        let request = ScanRequest { table, metrics: metrics.to_vec(), range, filter, limits };
        let mut scan = scan(view, &request)?;
        self.rows_left = self.rows_left.saturating_sub(scan.rows);
        self.answer.rows = self.answer.rows.saturating_add(scan.rows);
        for warning in std::mem::take(&mut scan.warnings) {
            if !self.answer.warnings.contains(&warning) {
                self.answer.warnings.push(warning);
            }
        }
        Ok(scan)
    }

    fn read_rollups<W: Fold + Kept>(
        &mut self,
        plan: &Plan,
        group: Option<usize>,
        pieces: &mut Pieces<W>,
    ) -> Result<(), RollupError> {
        let Some(metric) = self.view.table.metrics().get(self.request.metric) else {
            return Ok(());
        };
        for resolution in [Resolution::FiveMinutes, Resolution::Hour] {
            let parts = parts_of(plan, resolution);
            let rollup = Registry::rollup(self.view.table, resolution.name());
            let Some(rollup) = rollup.filter(|_| !parts.is_empty()) else { continue };
            let columns = RollupColumns::new(self.view.table, rollup, metric, self.kind);
            let rollups = self.view.rollups.iter().filter(|part| part.resolution == resolution);
            let segments = rollups.map(|part| part.segment.clone()).collect();
            let view = View { segments, heads: Vec::new() };
            for range in hulls(&parts) {
                let found = self.scan(rollup, &view, &columns.scanned, range)?;
                for series in found.series.iter().filter(|series| self.is_in(group, &series.key)) {
                    self.take_rollup(&columns, series, &parts, pieces)?;
                }
            }
        }
        Ok(())
    }

    fn take_rollup<W: Kept>(
        &self,
        columns: &RollupColumns,
        series: &SeriesRows,
        parts: &[Part],
        pieces: &mut Pieces<W>,
    ) -> Result<(), RollupError> {
        let table = self.view.table;
        let own = pieces.entry(series.key.clone()).or_default();
        for chunk in &series.chunks {
            let windows = columns.read::<W>(chunk).map_err(|source| RollupError::Parts {
                table: table.name(),
                column: table.metrics().get(self.request.metric).map_or("", |m| &m.column),
                source,
            })?;
            for (time_ms, window) in windows {
                if part_at(parts, time_ms).is_some() {
                    own.push((self.request.steps.index_of(time_ms), window));
                }
            }
        }
        Ok(())
    }

    fn read_raw<W: Fold + Kept>(
        &mut self,
        plan: &Plan,
        group: Option<usize>,
        pieces: &mut Pieces<W>,
    ) -> Result<(), RollupError> {
        let parts = parts_of(plan, Resolution::Raw);
        let table = self.view.table;
        let epochs = Registry::rollup(table, Resolution::Hour.name())
            .and_then(|rollup| EpochColumns::of(table, rollup))
            .filter(|_| self.kind == WindowKind::Counter);
        let mut metrics = vec![self.request.metric];
        metrics.extend(epochs.map(|columns| columns.raw));
        for range in hulls(&parts) {
            let view = self.view;
            let mut found = self.scan(table, &view.raw, &metrics, range)?;
            view.hidden.apply(table, Resolution::Raw, &mut found);
            for series in found.series.iter().filter(|series| self.is_in(group, &series.key)) {
                let own = pieces.entry(series.key.clone()).or_default();
                for chunk in &series.chunks {
                    self.take_raw(chunk, &parts, own);
                }
            }
        }
        Ok(())
    }

    /// Folds the rows of a chunk that lie in `parts`, each part and step for itself.
    fn take_raw<W: Fold>(&self, chunk: &Chunk, parts: &[Part], pieces: &mut Vec<Piece<W>>) {
        let Some(values) = chunk.columns.first() else { return };
        let epochs = chunk.columns.get(1).filter(|array| array.null_count() < array.len());
        let epochs = epochs.map(epochs_of).unwrap_or_default();
        let column = RawColumn { times_ms: &chunk.times_ms, values, epochs: &epochs };
        let steps = &self.request.steps;
        let first = parts.partition_point(|part| part.range.end_ms <= chunk.first_ms());
        for part in parts.get(first..).unwrap_or(&[]) {
            if part.range.start_ms > chunk.last_ms() {
                break;
            }
            let row_at = |time_ms| chunk.times_ms.partition_point(|time| *time < time_ms);
            let mut row = row_at(part.range.start_ms);
            let until = row_at(part.range.end_ms);
            while let Some(time_ms) = chunk.times_ms.get(row).filter(|_| row < until) {
                let step = steps.index_of(*time_ms);
                let end_ms = match step.and_then(|index| steps.bounds(index)) {
                    Some((_, end_ms)) => end_ms,
                    None => steps.start_ms(),
                };
                let times = chunk.times_ms.get(row..until).unwrap_or(&[]);
                let rows = times.partition_point(|time| *time < end_ms).max(1);
                let end = row.saturating_add(rows);
                if let Some(window) = W::fold(&column, row..end) {
                    pieces.push((step, window));
                }
                row = end;
            }
        }
    }
}

fn parts_of(plan: &Plan, resolution: Resolution) -> Vec<Part> {
    plan.parts.iter().filter(|part| part.resolution == resolution).copied().collect()
}

fn part_at(parts: &[Part], time_ms: i64) -> Option<&Part> {
    let at = parts.partition_point(|part| part.range.end_ms <= time_ms);
    parts.get(at).filter(|part| part.range.contains(time_ms))
}

/// Few ranges that hold all parts: the widest gaps between them stay out.
fn hulls(parts: &[Part]) -> Vec<TimeRange> {
    let mut gaps: Vec<i64> = parts
        .iter()
        .zip(parts.iter().skip(1))
        .map(|(left, right)| right.range.start_ms.saturating_sub(left.range.end_ms))
        .filter(|gap_ms| *gap_ms > 0)
        .collect();
    gaps.sort_unstable_by(|left, right| right.cmp(left));
    let smallest_kept = gaps.get(SCANS_MAX.saturating_sub(2)).copied().unwrap_or(0);
    let mut hulls: Vec<TimeRange> = Vec::new();
    for part in parts {
        match hulls.last_mut() {
            Some(last) if part.range.start_ms.saturating_sub(last.end_ms) <= smallest_kept => {
                last.end_ms = last.end_ms.max(part.range.end_ms);
            }
            _ => hulls.push(part.range),
        }
    }
    hulls
}

fn counter_steps(pieces: Vec<Piece<CounterWindow>>, steps: &Steps) -> Vec<CounterStep> {
    let mut out = vec![CounterStep::EMPTY; steps.len()];
    let mut previous: Option<CounterSample> = None;
    for (step, window) in pieces {
        if let Some(place) = step.and_then(|index| out.get_mut(index)) {
            *place = place.merge(&CounterStep::new(window, previous.as_ref()));
        }
        previous = window.last().or(previous);
    }
    out
}

fn merged<W: Kept + Default>(pieces: Vec<Piece<W>>, steps: &Steps) -> Vec<W> {
    let mut out = vec![W::default(); steps.len()];
    for (step, window) in pieces {
        if let Some(place) = step.and_then(|index| out.get_mut(index)) {
            *place = place.joined(&window);
        }
    }
    out
}

fn state_steps(pieces: Vec<Piece<StateWindow>>, steps: &Steps) -> Vec<Option<StateWindow>> {
    let mut out = vec![None; steps.len()];
    for (step, window) in pieces {
        if let Some(place) = step.and_then(|index| out.get_mut(index)) {
            *place = Some(match place.take() {
                Some(before) => StateWindow::merge(&before, &window),
                None => window,
            });
        }
    }
    out
}
