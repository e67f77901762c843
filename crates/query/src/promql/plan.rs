//! Says which series and times a query needs, before anything is fetched.
//!
//! Holds: the evaluator reads no sample outside the times planned here. Both compute times through
//! [`Times`], so they cannot disagree.

use super::ast::{At, Call, DurationExpr, Expr, Extension, Subquery, VectorSelector};
use super::error::QueryError;
use super::eval::Grid;
use super::functions::Builtin;
use super::labels::METRIC_NAME;
use super::matcher::Matcher;
use super::operators::BinaryOp;
use super::source::{Hints, Selection};

/// The info metric that `info()` reads when the query names none.
const TARGET_INFO: &str = "target_info";

/// Largest duration, in milliseconds: far beyond any time, far below overflow.
const DURATION_MS_MAX: f64 = 1e15;

/// The times of a query, by which its durations and `@` are resolved.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times<'q> {
    /// The query's text, for places in errors.
    pub(super) query: &'q str,
    pub(super) start_ms: i64,
    pub(super) end_ms: i64,
    /// Zero for an instant query.
    pub(super) step_ms: i64,
    pub(super) lookback_ms: i64,
    pub(super) subquery_step_ms: i64,
}

/// When a selector or subquery looks at what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    /// Length of the range; 0 for instant selectors.
    pub(super) range_ms: i64,
    pub(super) offset_ms: i64,
    pub(super) at_ms: Option<i64>,
    pub(super) extension: Extension,
    /// How far before an extended range samples count.
    pub(super) before_ms: i64,
    /// How far behind an extended range samples count.
    pub(super) after_ms: i64,
}

impl Reach {
    /// The reach of a plain instant selector.
    pub(super) const PLAIN: Self = Self {
        range_ms: 0,
        offset_ms: 0,
        at_ms: None,
        extension: Extension::None,
        before_ms: 0,
        after_ms: 0,
    };

    /// Where the range ends for an evaluation at `time_ms`.
    pub(super) fn end_ms(&self, time_ms: i64) -> i64 {
        self.at_ms.unwrap_or(time_ms).saturating_sub(self.offset_ms)
    }

    /// Ends of the ranges of the first and the last evaluation.
    fn ends_ms(&self, grid: Grid) -> (i64, i64) {
        (self.end_ms(grid.start_ms), self.end_ms(grid.last_ms()))
    }
}

impl Times<'_> {
    pub(super) fn selector(&self, selector: &VectorSelector) -> Result<Reach, QueryError> {
        self.reach(selector.offset.as_ref(), selector.at, selector.extension)
    }

    /// The reach of a range selector.
    pub(super) fn ranged(
        &self,
        selector: &VectorSelector,
        range: &DurationExpr,
    ) -> Result<Reach, QueryError> {
        let range_ms = self.duration_ms(range, true)?;
        Ok(Reach { range_ms, ..self.selector(selector)? })
    }

    /// The reach of a subquery, and when its expression is evaluated for an outer grid.
    pub(super) fn subquery(
        &self,
        subquery: &Subquery,
        outer: Grid,
    ) -> Result<(Reach, Grid), QueryError> {
        let range_ms = self.duration_ms(&subquery.range, true)?;
        let reach = self.reach(subquery.offset.as_ref(), subquery.at, Extension::None)?;
        let reach = Reach { range_ms, ..reach };
        let step_ms = match &subquery.step {
            Some(step) => self.duration_ms(step, true)?,
            None => self.subquery_step_ms,
        };
        if outer.steps == 0 {
            return Ok((reach, Grid { start_ms: 0, step_ms, steps: 0 }));
        }
        let (first_ms, last_ms) = reach.ends_ms(outer);
        // Evaluations are at multiples of the step, the first one after the range opens.
        let open_ms = first_ms.saturating_sub(range_ms);
        let mut start_ms = step_ms.saturating_mul(open_ms / step_ms);
        if start_ms <= open_ms {
            start_ms = start_ms.saturating_add(step_ms);
        }
        let length_ms = last_ms.saturating_sub(start_ms);
        let steps = if length_ms < 0 { 0 } else { length_ms / step_ms + 1 };
        let steps = usize::try_from(steps).unwrap_or(usize::MAX);
        Ok((reach, Grid { start_ms, step_ms, steps }))
    }

    fn reach(
        &self,
        offset: Option<&DurationExpr>,
        at: Option<At>,
        extension: Extension,
    ) -> Result<Reach, QueryError> {
        let offset_ms = match offset {
            Some(offset) => self.duration_ms(offset, false)?,
            None => 0,
        };
        let at_ms = at.map(|at| match at {
            At::Time(time_ms) => time_ms,
            At::Start => self.start_ms,
            At::End => self.end_ms,
        });
        let (before_ms, after_ms) = match extension {
            Extension::None => (0, 0),
            Extension::Anchored => (self.lookback_ms, 0),
            Extension::Smoothed => (self.lookback_ms, self.lookback_ms),
        };
        Ok(Reach { range_ms: 0, offset_ms, at_ms, extension, before_ms, after_ms })
    }

    fn duration_ms(&self, expr: &DurationExpr, positive: bool) -> Result<i64, QueryError> {
        let seconds = self.seconds(expr)?;
        let (line, column) = expr.span().line_column(self.query);
        if positive && seconds <= 0.0 {
            return Err(QueryError::DurationNotPositive { line, column });
        }
        let literal = matches!(expr, DurationExpr::Seconds(..));
        let ms = if literal { (seconds * 1000.0).round() } else { (seconds * 1000.0).trunc() };
        if ms.is_nan() || ms.abs() > DURATION_MS_MAX {
            return Err(QueryError::DurationRange { line, column });
        }
        if positive && ms < 1.0 {
            return Err(QueryError::DurationNotPositive { line, column });
        }
        Ok(ms as i64)
    }

    fn seconds(&self, expr: &DurationExpr) -> Result<f64, QueryError> {
        Ok(match expr {
            DurationExpr::Seconds(seconds, _, _) => *seconds,
            DurationExpr::Step(_) => self.step_ms as f64 / 1000.0,
            DurationExpr::Range(_) => self.end_ms.saturating_sub(self.start_ms) as f64 / 1000.0,
            DurationExpr::Min(pair, _) => self.seconds(&pair.0)?.min(self.seconds(&pair.1)?),
            DurationExpr::Max(pair, _) => self.seconds(&pair.0)?.max(self.seconds(&pair.1)?),
            DurationExpr::Sign(true, inner, _) => -self.seconds(inner)?,
            DurationExpr::Sign(false, inner, _) | DurationExpr::Paren(inner, _) => {
                self.seconds(inner)?
            }
            DurationExpr::Binary(op, pair, span) => {
                let (left, right) = (self.seconds(&pair.0)?, self.seconds(&pair.1)?);
                if right == 0.0 && matches!(op, BinaryOp::Div | BinaryOp::Mod) {
                    let (line, column) = span.line_column(self.query);
                    return Err(QueryError::DurationByZero { line, column });
                }
                super::eval::arithmetic(*op, left, right)
            }
        })
    }
}

/// The selections a query needs, by slot.
pub(super) fn plan(
    expr: &Expr,
    slots: usize,
    grid: Grid,
    times: &Times<'_>,
) -> Result<Vec<Selection>, QueryError> {
    let nothing =
        Selection { matchers: Vec::new(), first_ms: 1, last_ms: 0, hints: Hints::default() };
    let mut planner = Planner { times, selections: vec![nothing; slots] };
    planner.visit(expr, grid, &Hints::default())?;
    Ok(planner.selections)
}

struct Planner<'p, 'q> {
    times: &'p Times<'q>,
    selections: Vec<Selection>,
}

impl Planner<'_, '_> {
    fn visit(&mut self, expr: &Expr, grid: Grid, hints: &Hints) -> Result<(), QueryError> {
        match expr {
            Expr::Number(_) | Expr::String(_) => Ok(()),
            Expr::Vector(selector) => {
                let reach = self.times.selector(selector)?;
                self.add(selector.slot, selector.matchers.clone(), reach, grid, hints);
                Ok(())
            }
            Expr::Matrix(matrix) => {
                let reach = self.times.ranged(&matrix.selector, &matrix.range)?;
                let selector = &matrix.selector;
                self.add(selector.slot, selector.matchers.clone(), reach, grid, hints);
                Ok(())
            }
            Expr::Subquery(subquery) => {
                let (_, inner) = self.times.subquery(subquery, grid)?;
                self.visit(&subquery.expr, inner, &Hints::default())
            }
            Expr::Call(call) => self.visit_call(call, grid, hints),
            Expr::Aggregate(aggregate) => {
                let inner = Hints {
                    function: Some(aggregate.op.name()),
                    grouping: aggregate.grouping.clone(),
                    by: !aggregate.without,
                    ..Hints::default()
                };
                if let Some(param) = &aggregate.param {
                    self.visit(param, grid, &Hints::default())?;
                }
                self.visit(&aggregate.expr, grid, &inner)
            }
            Expr::Unary(unary) => self.visit(&unary.expr, grid, &Hints::default()),
            Expr::Paren(paren) => self.visit(&paren.expr, grid, hints),
            Expr::Binary(binary) => {
                self.visit(&binary.left, grid, &Hints::default())?;
                self.visit(&binary.right, grid, &Hints::default())
            }
        }
    }

    fn visit_call(&mut self, call: &Call, grid: Grid, hints: &Hints) -> Result<(), QueryError> {
        // The grouping around a range function still says what will be kept; other functions may
        // change labels.
        let outer = match call.function.builtin {
            Builtin::Window(_) => hints.clone(),
            _ => Hints::default(),
        };
        let inner = Hints { function: Some(call.function.name), ..outer };
        if !matches!(call.function.builtin, Builtin::Info) {
            return call.args.iter().try_for_each(|arg| self.visit(arg, grid, &inner));
        }
        let mut matchers = match call.args.get(1) {
            Some(Expr::Vector(selector)) => selector.matchers.clone(),
            _ => Vec::new(),
        };
        if !matchers.iter().any(|matcher| &*matcher.name == METRIC_NAME) {
            matchers.push(Matcher::metric(TARGET_INFO));
        }
        self.add(call.slot, matchers, Reach::PLAIN, grid, &inner);
        call.args.iter().take(1).try_for_each(|arg| self.visit(arg, grid, &inner))
    }

    fn add(
        &mut self,
        slot: usize,
        matchers: Vec<Matcher>,
        reach: Reach,
        grid: Grid,
        hints: &Hints,
    ) {
        let Some(selection) = self.selections.get_mut(slot) else {
            return;
        };
        selection.matchers = matchers;
        if grid.steps == 0 {
            return;
        }
        let (first_ms, last_ms) = reach.ends_ms(grid);
        // Ranges and the look-back are open on the left.
        let plain = reach.range_ms == 0 && reach.extension == Extension::None;
        let back_ms = if plain { self.times.lookback_ms } else { reach.range_ms + reach.before_ms };
        selection.first_ms = first_ms.saturating_sub(back_ms).saturating_add(1);
        selection.last_ms = last_ms.saturating_add(reach.after_ms);
        selection.hints = Hints {
            step_ms: if reach.at_ms.is_some() { 0 } else { grid.step_ms },
            range_ms: reach.range_ms,
            end_ms: first_ms,
            ..hints.clone()
        };
    }
}
