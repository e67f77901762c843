//! Calls of functions: sends each to what computes it.

use super::{Evaluated, Evaluator, Grid, Row};
use crate::promql::ast::{Call, Expr, Number, Span};
use crate::promql::error::QueryError;
use crate::promql::functions::Builtin;
use crate::promql::labels::Labels;
use crate::promql::text::Text;

impl Evaluator<'_> {
    /// Evaluates a function call.
    pub(super) fn call(&mut self, call: &Call, grid: Grid) -> Result<Evaluated, QueryError> {
        let rows = match call.function.builtin {
            Builtin::Math(function) => self.mapped(call, grid, function.0)?,
            Builtin::Window(function) => self.window_call(call, function, grid)?,
            Builtin::Date(part) => self.date(call, part, grid)?,
            Builtin::Absent => self.absent(call, grid)?,
            Builtin::AbsentOverTime => self.absent_over_time(call, grid)?,
            Builtin::Clamp => self.clamp(call, grid, Some(1), Some(2))?,
            Builtin::ClampMax => self.clamp(call, grid, None, Some(1))?,
            Builtin::ClampMin => self.clamp(call, grid, Some(1), None)?,
            Builtin::Round => self.round(call, grid)?,
            Builtin::HistogramFraction => self.histogram_fraction(call, grid)?,
            Builtin::HistogramQuantile => self.histogram_quantile(call, grid)?,
            Builtin::HistogramQuantiles => self.histogram_quantiles(call, grid)?,
            Builtin::NativeHistogram => {
                return Err(QueryError::NativeHistogram { function: call.function.name });
            }
            Builtin::Info => self.info(call, grid)?,
            Builtin::LabelJoin => self.label_join(call, grid)?,
            Builtin::LabelReplace => self.label_replace(call, grid)?,
            Builtin::Sort { descending } => self.sort(call, grid, descending)?,
            Builtin::SortByLabel { descending } => self.sort_by_label(call, grid, descending)?,
            Builtin::Timestamp => self.timestamp(call, grid)?,
            Builtin::Vector => {
                let values = self.scalar(argument(call, 0)?, grid)?;
                vec![Row { labels: Labels::empty(), drops_name: false, values }]
            }
            scalar => return self.scalar_call(call, scalar, grid).map(Evaluated::Scalar),
        };
        Ok(Evaluated::Vector(rows))
    }

    /// Evaluates a function that returns a scalar.
    fn scalar_call(
        &mut self,
        call: &Call,
        builtin: Builtin,
        grid: Grid,
    ) -> Result<Vec<f64>, QueryError> {
        let seconds = |ms: i64| ms as f64 / 1000.0;
        let constant = match builtin {
            Builtin::Pi => std::f64::consts::PI,
            Builtin::Start => seconds(self.times.start_ms),
            Builtin::End => seconds(self.times.end_ms),
            Builtin::Step => seconds(self.times.step_ms),
            Builtin::QueryRange => seconds(self.times.end_ms.saturating_sub(self.times.start_ms)),
            Builtin::Time => {
                return Ok((0..grid.steps).map(|step| seconds(grid.time_ms(step))).collect());
            }
            Builtin::Scalar => return self.only_value(call, grid),
            Builtin::MinOf | Builtin::MaxOf => {
                let mut left = self.scalar(argument(call, 0)?, grid)?;
                let right = self.scalar(argument(call, 1)?, grid)?;
                for (left, right) in left.iter_mut().zip(right) {
                    *left = match builtin {
                        _ if left.is_nan() || right.is_nan() => f64::NAN,
                        Builtin::MinOf => left.min(right),
                        _ => left.max(right),
                    };
                }
                return Ok(left);
            }
            _ => return Err(QueryError::Unchecked { span: call.span }),
        };
        Ok(vec![constant; grid.steps])
    }
}

/// An argument without parentheses around it.
pub(super) fn argument(call: &Call, index: usize) -> Result<&Expr, QueryError> {
    let found = call.args.get(index).map(Expr::bare);
    found.ok_or(QueryError::Unchecked { span: call.span })
}

/// A string argument.
pub(super) fn text_argument(call: &Call, index: usize) -> Result<&Text, QueryError> {
    match argument(call, index)? {
        Expr::String(literal) => Ok(&literal.value),
        other => Err(QueryError::Unchecked { span: other.span() }),
    }
}

/// The number 1, for arguments that may be left out.
pub(super) fn one() -> Expr {
    Expr::Number(Number { value: 1.0, duration: false, span: Span::default() })
}
