//! Functions of instant vectors that work value by value.

use super::call::{argument, one};
use super::dates::DatePart;
use super::{ABSENT, Evaluator, Grid, Row, is_absent};
use crate::promql::ast::{Call, Expr};
use crate::promql::error::QueryError;
use crate::promql::labels::{Labels, METRIC_NAME};
use crate::promql::matcher::MatchOp;

impl Evaluator<'_> {
    /// Applies a function to every value of the first argument.
    pub(super) fn mapped(
        &mut self,
        call: &Call,
        grid: Grid,
        change: impl Fn(f64) -> f64,
    ) -> Result<Vec<Row>, QueryError> {
        let mut rows = self.vector(argument(call, 0)?, grid)?;
        for row in &mut rows {
            row.drops_name = true;
            row.map(&change);
        }
        Ok(rows)
    }

    /// Parts of dates: of the argument's values, or of the evaluation time.
    pub(super) fn date(
        &mut self,
        call: &Call,
        part: DatePart,
        grid: Grid,
    ) -> Result<Vec<Row>, QueryError> {
        if !call.args.is_empty() {
            return self.mapped(call, grid, |value| part.of(value));
        }
        let seconds = |step: usize| grid.time_ms(step).div_euclid(1000) as f64;
        let values = (0..grid.steps).map(|step| part.of(seconds(step))).collect();
        Ok(vec![Row { labels: Labels::empty(), drops_name: false, values }])
    }

    /// Keeps values between two scalars; without result where the lower one is larger.
    pub(super) fn clamp(
        &mut self,
        call: &Call,
        grid: Grid,
        lower: Option<usize>,
        upper: Option<usize>,
    ) -> Result<Vec<Row>, QueryError> {
        let mut rows = self.vector(argument(call, 0)?, grid)?;
        let mut bound = |index: Option<usize>, other: f64| match index {
            Some(index) => self.scalar(argument(call, index)?, grid),
            None => Ok(vec![other; grid.steps]),
        };
        let lower = bound(lower, f64::NEG_INFINITY)?;
        let upper = bound(upper, f64::INFINITY)?;
        for row in &mut rows {
            row.drops_name = true;
            for ((value, lower), upper) in row.values.iter_mut().zip(&lower).zip(&upper) {
                *value = if is_absent(*value) || upper < lower {
                    ABSENT
                } else {
                    largest(*lower, smallest(*upper, *value))
                };
            }
        }
        rows.retain(|row| !row.is_empty());
        Ok(rows)
    }

    /// Rounds to the nearest multiple; halves go up.
    pub(super) fn round(&mut self, call: &Call, grid: Grid) -> Result<Vec<Row>, QueryError> {
        let mut rows = self.vector(argument(call, 0)?, grid)?;
        let to = match call.args.get(1) {
            Some(to) => self.scalar(to, grid)?,
            None => self.scalar(&one(), grid)?,
        };
        for row in &mut rows {
            row.drops_name = true;
            for (value, to) in row.values.iter_mut().zip(&to) {
                if !is_absent(*value) {
                    let inverse = 1.0 / to;
                    *value = (*value * inverse + 0.5).floor() / inverse;
                }
            }
        }
        Ok(rows)
    }

    /// The value of the only series, NaN where there is none or several.
    pub(super) fn only_value(&mut self, call: &Call, grid: Grid) -> Result<Vec<f64>, QueryError> {
        let rows = self.vector(argument(call, 0)?, grid)?;
        let mut values = vec![f64::NAN; grid.steps];
        for (step, value) in values.iter_mut().enumerate() {
            let mut found = rows.iter().map(|row| row.values[step]).filter(|v| !is_absent(*v));
            if let (Some(only), None) = (found.next(), found.next()) {
                *value = only;
            }
        }
        Ok(values)
    }

    /// The times of samples, or of evaluations where the argument is computed.
    pub(super) fn timestamp(&mut self, call: &Call, grid: Grid) -> Result<Vec<Row>, QueryError> {
        let arg = argument(call, 0)?;
        let mut rows = if let Expr::Vector(selector) = arg {
            self.select_times(selector, grid)?
        } else {
            let mut rows = self.vector(arg, grid)?;
            for row in &mut rows {
                for (step, value) in row.values.iter_mut().enumerate() {
                    if !is_absent(*value) {
                        *value = grid.time_ms(step) as f64 / 1000.0;
                    }
                }
            }
            rows
        };
        for row in &mut rows {
            row.drops_name = true;
        }
        Ok(rows)
    }

    /// 1 where the argument has no series.
    pub(super) fn absent(&mut self, call: &Call, grid: Grid) -> Result<Vec<Row>, QueryError> {
        let arg = argument(call, 0)?;
        let rows = self.vector(arg, grid)?;
        let mut values = vec![1.0; grid.steps];
        for row in rows {
            for (value, there) in values.iter_mut().zip(row.values) {
                if !is_absent(there) {
                    *value = ABSENT;
                }
            }
        }
        Ok(vec![Row { labels: absent_labels(arg), drops_name: false, values }])
    }
}

/// Go's `math.Max`: NaN if either is NaN.
fn largest(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

/// Go's `math.Min`: NaN if either is NaN.
fn smallest(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }
}

/// The labels that a selector asks to be equal to one value.
///
/// A label with several conditions is left out.
pub(super) fn absent_labels(expr: &Expr) -> Labels {
    let matchers = match expr {
        Expr::Vector(selector) => &selector.matchers,
        Expr::Matrix(matrix) => &matrix.selector.matchers,
        _ => return Labels::empty(),
    };
    let named = matchers.iter().filter(|matcher| &*matcher.name != METRIC_NAME);
    let mut pairs = std::collections::BTreeMap::new();
    let mut seen = std::collections::BTreeSet::new();
    for matcher in named {
        if matcher.op == MatchOp::Equal && seen.insert(matcher.name.clone()) {
            pairs.insert(matcher.name.clone(), matcher.value.clone());
        } else {
            pairs.remove(&matcher.name);
        }
    }
    Labels::from_pairs(pairs)
}
