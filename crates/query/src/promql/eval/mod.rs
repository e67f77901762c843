//! Computes all steps of an expression at once.
//!
//! Every expression evaluates to rows: one per series, with one value per step of the grid. A step
//! without a value holds [`ABSENT`], whose bits no computation produces.
//!
//! Holds: rows of one result that have the same labels never have values at the same step, except
//! where the name is still to be dropped; that is checked when names are dropped.

mod aggregate;
mod binary;
mod call;
pub(super) mod dates;
mod extended;
mod histogram;
mod info;
mod instant;
mod label_functions;
mod matching;
mod order;
mod range;
mod select;
mod set;
mod statistics;
mod topk;
mod window;

use rustc_hash::FxHashMap;

use super::annotations::{Annotations, Note};
use super::ast::{Expr, Span, Unary};
use super::engine::{Interrupt, Limits};
use super::error::QueryError;
use super::labels::Labels;
use super::plan::Times;
use super::source::Series;

pub(super) use binary::arithmetic;

/// What a step without a value holds. Stale samples are never read as values, so no value is this.
pub(super) const ABSENT: f64 = f64::from_bits(super::STALE_BITS);

/// Whether a step has no value.
pub(super) fn is_absent(value: f64) -> bool {
    value.to_bits() == super::STALE_BITS
}

/// The times at which an expression is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grid {
    pub(super) start_ms: i64,
    pub(super) step_ms: i64,
    pub(super) steps: usize,
}

impl Grid {
    /// The time of a step.
    pub(super) fn time_ms(self, step: usize) -> i64 {
        let step = i64::try_from(step).unwrap_or(i64::MAX);
        self.start_ms.saturating_add(self.step_ms.saturating_mul(step))
    }

    /// The time of the last step.
    pub(super) fn last_ms(self) -> i64 {
        self.time_ms(self.steps.saturating_sub(1))
    }
}

/// One series of a result.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) labels: Labels,
    /// Whether the name goes away at the end. Until then it tells series apart.
    pub(super) drops_name: bool,
    /// One value per step.
    pub(super) values: Vec<f64>,
}

impl Row {
    /// Whether no step has a value.
    pub(super) fn is_empty(&self) -> bool {
        self.values.iter().all(|value| is_absent(*value))
    }

    /// Changes the values that are there.
    pub(super) fn map(&mut self, change: impl Fn(f64) -> f64) {
        for value in &mut self.values {
            if !is_absent(*value) {
                *value = change(*value);
            }
        }
    }
}

/// What an expression evaluates to.
pub(super) enum Evaluated {
    /// One number per step.
    Scalar(Vec<f64>),
    /// One row per series.
    Vector(Vec<Row>),
}

/// Evaluates the expressions of one query.
pub(super) struct Evaluator<'q> {
    times: Times<'q>,
    data: Vec<Vec<Series>>,
    annotations: Annotations,
    limits: Limits,
    values_used: usize,
    interrupt: &'q dyn Interrupt,
}

impl<'q> Evaluator<'q> {
    /// An evaluator over the series of each slot.
    pub(super) fn new(
        times: Times<'q>,
        data: Vec<Vec<Series>>,
        limits: Limits,
        interrupt: &'q dyn Interrupt,
    ) -> Self {
        let annotations = Annotations::default();
        Self { times, data, annotations, limits, values_used: 0, interrupt }
    }

    /// The notes so far.
    pub(super) fn annotations(&self) -> &Annotations {
        &self.annotations
    }

    fn note(&mut self, note: &Note, span: Span) {
        self.annotations.add(note, span, self.times.query);
    }

    /// Accounts for values about to be computed, and stops when told to.
    fn charge(&mut self, values: usize) -> Result<(), QueryError> {
        self.values_used = self.values_used.saturating_add(values);
        if self.values_used > self.limits.values_max {
            return Err(QueryError::Values { values_max: self.limits.values_max });
        }
        match self.interrupt.stop() {
            Some(stop) => Err(QueryError::Stopped { stop }),
            None => Ok(()),
        }
    }

    /// The samples of a slot.
    fn take_series(&self, slot: usize) -> &[Series] {
        self.data.get(slot).map_or(&[], Vec::as_slice)
    }

    /// Evaluates a scalar or vector expression at every step of a grid.
    pub(super) fn eval(&mut self, expr: &Expr, grid: Grid) -> Result<Evaluated, QueryError> {
        self.charge(grid.steps)?;
        if grid.steps > 1 && is_step_invariant(expr) {
            let once = self.eval_here(expr, Grid { steps: 1, ..grid })?;
            return self.repeat(once, grid.steps);
        }
        self.eval_here(expr, grid)
    }

    fn eval_here(&mut self, expr: &Expr, grid: Grid) -> Result<Evaluated, QueryError> {
        match expr {
            Expr::Number(number) => Ok(Evaluated::Scalar(vec![number.value; grid.steps])),
            Expr::Vector(selector) => self.select(selector, grid).map(Evaluated::Vector),
            Expr::Call(call) => self.call(call, grid),
            Expr::Aggregate(aggregate) => self.aggregate(aggregate, grid).map(Evaluated::Vector),
            Expr::Unary(unary) => self.unary(unary, grid),
            Expr::Binary(binary) => self.binary(binary, grid),
            Expr::Paren(paren) => self.eval(&paren.expr, grid),
            Expr::String(_) | Expr::Matrix(_) | Expr::Subquery(_) => {
                Err(QueryError::Unchecked { span: expr.span() })
            }
        }
    }

    /// Evaluates a vector expression.
    fn vector(&mut self, expr: &Expr, grid: Grid) -> Result<Vec<Row>, QueryError> {
        match self.eval(expr, grid)? {
            Evaluated::Vector(rows) => Ok(rows),
            Evaluated::Scalar(_) => Err(QueryError::Unchecked { span: expr.span() }),
        }
    }

    /// Evaluates a scalar expression.
    fn scalar(&mut self, expr: &Expr, grid: Grid) -> Result<Vec<f64>, QueryError> {
        match self.eval(expr, grid)? {
            Evaluated::Scalar(values) => Ok(values),
            Evaluated::Vector(_) => Err(QueryError::Unchecked { span: expr.span() }),
        }
    }

    fn repeat(&mut self, once: Evaluated, steps: usize) -> Result<Evaluated, QueryError> {
        let first = |values: &[f64]| values.first().copied().unwrap_or(ABSENT);
        Ok(match once {
            Evaluated::Scalar(values) => Evaluated::Scalar(vec![first(&values); steps]),
            Evaluated::Vector(mut rows) => {
                for row in &mut rows {
                    self.charge(steps)?;
                    row.values = vec![first(&row.values); steps];
                }
                Evaluated::Vector(rows)
            }
        })
    }

    fn unary(&mut self, unary: &Unary, grid: Grid) -> Result<Evaluated, QueryError> {
        let mut value = self.eval(&unary.expr, grid)?;
        if unary.negative {
            match &mut value {
                Evaluated::Scalar(values) => values.iter_mut().for_each(|value| *value = -*value),
                Evaluated::Vector(rows) => {
                    for row in rows {
                        row.drops_name = true;
                        row.map(|value| -value);
                    }
                }
            }
        }
        Ok(value)
    }
}

/// Whether an expression has the same value at every step.
fn is_step_invariant(expr: &Expr) -> bool {
    match expr {
        Expr::Number(_) | Expr::String(_) => true,
        Expr::Vector(selector) => selector.at.is_some(),
        Expr::Matrix(matrix) => matrix.selector.at.is_some(),
        Expr::Subquery(subquery) => subquery.at.is_some(),
        Expr::Call(call) => {
            !call.function.depends_on_time() && call.args.iter().all(is_step_invariant)
        }
        _ => expr.children().into_iter().all(is_step_invariant),
    }
}

/// Joins rows that have the same labels.
///
/// # Errors
///
/// Two of them have a value at the same step.
pub(super) fn merge_same_labels(rows: Vec<Row>) -> Result<Vec<Row>, QueryError> {
    let mut index_of: FxHashMap<Labels, usize> = FxHashMap::default();
    let mut merged: Vec<Row> = Vec::with_capacity(rows.len());
    for row in rows {
        let next = merged.len();
        let index = *index_of.entry(row.labels.clone()).or_insert(next);
        if index == next {
            merged.push(row);
            continue;
        }
        let present = |row: &Row| row.values.iter().position(|value| !is_absent(*value));
        let into = &mut merged[index];
        if let Some(new) = present(&row)
            && present(into).is_none_or(|old| new < old)
        {
            into.drops_name = row.drops_name;
        }
        for (into, value) in into.values.iter_mut().zip(row.values) {
            if is_absent(value) {
                continue;
            }
            if !is_absent(*into) {
                return Err(QueryError::SameLabels);
            }
            *into = value;
        }
    }
    Ok(merged)
}
