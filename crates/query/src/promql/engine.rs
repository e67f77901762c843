//! The doorway: a query and its times in, an answer out.

use std::fmt;

use super::annotations::NoteLevel;
use super::ast::{Expr, Kind};
use super::error::QueryError;
use super::eval::{Evaluated, Evaluator, Grid, Row, is_absent};
use super::parse::{Query, parse};
use super::plan::{Times, plan};
use super::source::{Series, SeriesSource};
use super::value::{Answer, InstantSample, Stats, Value};

/// Bounds of one query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most series that all its selectors may match together.
    pub series_max: usize,
    /// Most samples that may be read.
    pub samples_max: usize,
    /// Most values that may be computed, intermediate results among them (8 bytes each).
    pub values_max: usize,
    /// Most points of one series of an answer.
    pub points_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            series_max: 200_000,
            samples_max: 50_000_000,
            values_max: 100_000_000,
            points_max: 11_000,
        }
    }
}

/// How the engine evaluates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineOptions {
    /// Age at which a sample no longer stands for its series, in milliseconds.
    pub lookback_ms: i64,
    /// Step of subqueries that name none, in milliseconds.
    pub subquery_step_ms: i64,
    /// Bounds of each query.
    pub limits: Limits,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self { lookback_ms: 300_000, subquery_step_ms: 60_000, limits: Limits::default() }
    }
}

/// Why a query was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Nobody waits for the answer any more.
    Cancelled,
    /// It took too long.
    TimedOut,
}

impl fmt::Display for Stop {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Cancelled => "was canceled",
            Self::TimedOut => "timed out",
        })
    }
}

/// Says whether a running query should stop. Asked often, so it must be cheap.
pub trait Interrupt {
    /// The reason to stop, if there is one.
    fn stop(&self) -> Option<Stop>;
}

impl<F: Fn() -> Option<Stop>> Interrupt for F {
    fn stop(&self) -> Option<Stop> {
        self()
    }
}

/// Evaluates queries. Holds no data.
#[derive(Clone, Copy, Debug, Default)]
pub struct Engine {
    options: EngineOptions,
}

impl Engine {
    /// An engine.
    pub fn new(options: EngineOptions) -> Self {
        Self { options }
    }

    /// Evaluates a query at one time (Unix milliseconds).
    ///
    /// # Errors
    ///
    /// [`QueryError`] says why there is no answer.
    pub fn instant(
        &self,
        source: &dyn SeriesSource,
        query: &str,
        time_ms: i64,
        interrupt: &dyn Interrupt,
    ) -> Result<Answer, QueryError> {
        let parsed = parse(query)?;
        let grid = Grid { start_ms: time_ms, step_ms: 0, steps: 1 };
        let mut run = self.run(source, query, &parsed, grid, time_ms, interrupt)?;
        let value = match parsed.expr.bare() {
            Expr::String(literal) => Value::String { time_ms, value: literal.value.lossy() },
            expr if expr.kind() == Kind::Matrix => Value::Matrix(run.evaluator.matrix(expr, grid)?),
            expr => match run.evaluator.eval(expr, grid)? {
                Evaluated::Scalar(values) => {
                    Value::Scalar { time_ms, value: values.first().copied().unwrap_or(f64::NAN) }
                }
                Evaluated::Vector(rows) => instant_vector(rows, time_ms)?,
            },
        };
        Ok(run.answer(value))
    }

    /// Evaluates a query at `start_ms`, `start_ms + step_ms` and so on up to `end_ms`, all in Unix
    /// milliseconds.
    ///
    /// # Errors
    ///
    /// [`QueryError`] says why there is no answer.
    pub fn range(
        &self,
        source: &dyn SeriesSource,
        query: &str,
        times: RangeTimes,
        interrupt: &dyn Interrupt,
    ) -> Result<Answer, QueryError> {
        let parsed = parse(query)?;
        let kind = parsed.expr.kind();
        if !matches!(kind, Kind::Scalar | Kind::Vector) {
            return Err(QueryError::RangeKind { kind });
        }
        let grid = self.range_grid(times)?;
        let mut run = self.run(source, query, &parsed, grid, times.end_ms, interrupt)?;
        let rows = match run.evaluator.eval(&parsed.expr, grid)? {
            Evaluated::Scalar(values) => {
                vec![Row { labels: super::Labels::empty(), drops_name: false, values }]
            }
            Evaluated::Vector(rows) => rows,
        };
        let value = Value::Matrix(range_matrix(rows, grid)?);
        Ok(run.answer(value))
    }

    fn range_grid(&self, times: RangeTimes) -> Result<Grid, QueryError> {
        let RangeTimes { start_ms, end_ms, step_ms } = times;
        if step_ms <= 0 {
            return Err(QueryError::Step { step_ms });
        }
        let length_ms = end_ms.checked_sub(start_ms).filter(|length| *length >= 0);
        let Some(length_ms) = length_ms else {
            return Err(QueryError::Range { start_ms, end_ms });
        };
        let points_max = self.options.limits.points_max;
        let steps = usize::try_from(length_ms / step_ms).unwrap_or(usize::MAX);
        if steps > points_max {
            return Err(QueryError::Points { points_max });
        }
        Ok(Grid { start_ms, step_ms, steps: steps + 1 })
    }

    fn run<'q>(
        &self,
        source: &dyn SeriesSource,
        query: &'q str,
        parsed: &'q Query,
        grid: Grid,
        end_ms: i64,
        interrupt: &'q dyn Interrupt,
    ) -> Result<Run<'q>, QueryError> {
        let times = Times {
            query,
            start_ms: grid.start_ms,
            end_ms,
            step_ms: grid.step_ms,
            lookback_ms: self.options.lookback_ms,
            subquery_step_ms: self.options.subquery_step_ms,
        };
        let selections = plan(&parsed.expr, parsed.selections, grid, &times)?;
        let limits = self.options.limits;
        let data = source.select(&selections, &limits, interrupt)?;
        let stats = Stats {
            series: data.iter().map(Vec::len).sum(),
            samples: data.iter().flatten().map(|series| series.times.len()).sum(),
        };
        Ok(Run { evaluator: Evaluator::new(times, data, limits, interrupt), stats })
    }
}

/// The times of a range query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeTimes {
    /// First evaluation, Unix milliseconds.
    pub start_ms: i64,
    /// Last possible evaluation, Unix milliseconds, included.
    pub end_ms: i64,
    /// Time between evaluations, milliseconds.
    pub step_ms: i64,
}

struct Run<'q> {
    evaluator: Evaluator<'q>,
    stats: Stats,
}

impl Run<'_> {
    fn answer(self, value: Value) -> Answer {
        let notes = self.evaluator.annotations();
        Answer {
            value,
            warnings: notes.texts(NoteLevel::Warning),
            infos: notes.texts(NoteLevel::Info),
            stats: self.stats,
        }
    }
}

/// Drops the names that functions and operators said to drop, at last.
fn named(rows: Vec<Row>) -> Vec<Row> {
    let mut rows = rows;
    for row in rows.iter_mut().filter(|row| row.drops_name) {
        row.labels = row.labels.without_metadata();
    }
    rows
}

fn instant_vector(rows: Vec<Row>, time_ms: i64) -> Result<Value, QueryError> {
    let mut seen = std::collections::HashSet::new();
    let mut samples = Vec::with_capacity(rows.len());
    for row in named(rows) {
        let value = row.values.first().copied().filter(|value| !is_absent(*value));
        if let Some(value) = value {
            if !seen.insert(row.labels.clone()) {
                return Err(QueryError::SameLabels);
            }
            samples.push(InstantSample { labels: row.labels, time_ms, value });
        }
    }
    Ok(Value::Vector(samples))
}

fn range_matrix(rows: Vec<Row>, grid: Grid) -> Result<Vec<Series>, QueryError> {
    let merged = super::eval::merge_same_labels(named(rows))?;
    let mut out = Vec::with_capacity(merged.len());
    for row in merged {
        let present = row.values.iter().enumerate().filter(|(_, value)| !is_absent(**value));
        let (times, values): (Vec<i64>, Vec<f64>) =
            present.map(|(step, value)| (grid.time_ms(step), *value)).unzip();
        if !times.is_empty() {
            out.push(Series::new(row.labels, times, values));
        }
    }
    out.sort_by(|a, b| a.labels.cmp(&b.labels));
    Ok(out)
}
