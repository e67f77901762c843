//! Fixes a query to one time with `@`, so that it can be evaluated at any other time.

use crate::promql::ast::{At, Expr};
use crate::promql::functions::Builtin;

/// Puts `@ time` at every selector and subquery that has none. Selectors inside subqueries stay.
///
/// Returns `false` for queries whose value depends on the evaluation time anyway.
pub(super) fn pin(expr: &mut Expr, time_ms: i64) -> bool {
    let at = Some(At::Time(time_ms));
    match expr {
        Expr::Number(_) | Expr::String(_) => true,
        Expr::Vector(selector) => {
            selector.at = selector.at.or(at);
            true
        }
        Expr::Matrix(matrix) => {
            matrix.selector.at = matrix.selector.at.or(at);
            true
        }
        Expr::Subquery(subquery) => {
            subquery.at = subquery.at.or(at);
            !depends_on_time(&subquery.expr)
        }
        Expr::Call(call) => {
            let mut fixed = !is_unsafe(call.function.builtin);
            for arg in &mut call.args {
                fixed &= pin(arg, time_ms);
            }
            fixed
        }
        Expr::Aggregate(aggregate) => {
            let param = aggregate.param.as_mut().is_none_or(|param| pin(param, time_ms));
            pin(&mut aggregate.expr, time_ms) && param
        }
        Expr::Unary(unary) => pin(&mut unary.expr, time_ms),
        Expr::Binary(binary) => {
            let left = pin(&mut binary.left, time_ms);
            pin(&mut binary.right, time_ms) && left
        }
        Expr::Paren(paren) => pin(&mut paren.expr, time_ms),
    }
}

fn depends_on_time(expr: &Expr) -> bool {
    matches!(expr, Expr::Call(call) if is_unsafe(call.function.builtin))
        || expr.children().into_iter().any(depends_on_time)
}

fn is_unsafe(builtin: Builtin) -> bool {
    use crate::promql::functions::WindowFunction;
    matches!(
        builtin,
        Builtin::Date(_)
            | Builtin::Time
            | Builtin::Timestamp
            | Builtin::Info
            | Builtin::Start
            | Builtin::End
            | Builtin::Step
            | Builtin::QueryRange
            | Builtin::Window(WindowFunction::PredictLinear)
    )
}
