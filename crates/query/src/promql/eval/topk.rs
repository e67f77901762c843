//! Aggregations that keep some of the series: `topk`, `bottomk`, `limitk`, `limit_ratio`.

use super::aggregate::{Group, groups};
use super::order::by_value;
use super::{ABSENT, Evaluator, Grid, Row, is_absent};
use crate::promql::annotations::Note;
use crate::promql::ast::Aggregate;
use crate::promql::error::QueryError;
use crate::promql::operators::AggregateOp;

impl Evaluator<'_> {
    /// Keeps some series of each group, chosen anew at each step.
    pub(super) fn select_some(
        &mut self,
        aggregate: &Aggregate,
        param: &[f64],
        rows: Vec<Row>,
        grid: Grid,
    ) -> Result<Vec<Row>, QueryError> {
        if aggregate.op == AggregateOp::LimitRatio {
            return self.limit_ratio(aggregate, param, rows);
        }
        check_counts(param)?;
        let groups = groups(&rows, aggregate);
        self.charge(rows.len().saturating_mul(grid.steps))?;
        let mut kept = vec![vec![ABSENT; grid.steps]; rows.len()];
        // The order of an instant query's result: groups as they appear, best value first.
        let mut order: Vec<usize> = Vec::with_capacity(rows.len());
        for group in &groups {
            for (step, wanted) in param.iter().enumerate() {
                let Ok(wanted @ 1..) = usize::try_from(*wanted as i64) else {
                    continue;
                };
                let chosen = chosen(aggregate.op, group, &rows, step, wanted);
                for index in &chosen {
                    kept[*index][step] = rows[*index].values[step];
                }
                if grid.steps == 1 {
                    order.extend(chosen);
                }
            }
        }
        if grid.steps != 1 {
            order = (0..rows.len()).collect();
        }
        let mut slots: Vec<Option<(Row, Vec<f64>)>> =
            rows.into_iter().zip(kept).map(Some).collect();
        let taken = order.into_iter().filter_map(|index| slots[index].take());
        let rows = taken.map(|(row, values)| Row { values, ..row });
        Ok(rows.filter(|row| !row.is_empty()).collect())
    }

    fn limit_ratio(
        &mut self,
        aggregate: &Aggregate,
        param: &[f64],
        mut rows: Vec<Row>,
    ) -> Result<Vec<Row>, QueryError> {
        if param.iter().any(|ratio| ratio.is_nan()) {
            return Err(QueryError::ParameterNan { what: "Ratio" });
        }
        let span = aggregate.param.as_ref().map_or(aggregate.span, |param| param.bare().span());
        let highest = param.iter().copied().fold(0.0, f64::max);
        let lowest = param.iter().copied().fold(0.0, f64::min);
        for (found, used) in [(highest, 1.0), (lowest, -1.0)] {
            if found.abs() > 1.0 {
                self.note(&Note::Ratio { found, used }, span);
            }
        }
        for row in &mut rows {
            let offset = row.labels.sampling_offset();
            for (value, ratio) in row.values.iter_mut().zip(param) {
                let ratio = ratio.clamp(-1.0, 1.0);
                let keep =
                    (ratio > 0.0 && offset < ratio) || (ratio < 0.0 && offset >= 1.0 + ratio);
                if !keep {
                    *value = ABSENT;
                }
            }
        }
        rows.retain(|row| !row.is_empty());
        Ok(rows)
    }
}

/// The rows of a group that are kept at a step, best first.
fn chosen(op: AggregateOp, group: &Group, rows: &[Row], step: usize, wanted: usize) -> Vec<usize> {
    let value = |index: usize| rows[index].values[step];
    let mut there: Vec<usize> =
        group.rows.iter().copied().filter(|index| !is_absent(value(*index))).collect();
    if op != AggregateOp::Limitk {
        let descending = op == AggregateOp::Topk;
        // The index makes the order total, so that equal values keep their order.
        let order = |a: &usize, b: &usize| {
            by_value(value(*a), value(*b), descending).then_with(|| a.cmp(b))
        };
        if wanted < there.len() {
            there.select_nth_unstable_by(wanted, order);
            there.truncate(wanted);
        }
        there.sort_by(order);
    }
    there.truncate(wanted);
    there
}

/// Checks the `k` of all steps.
fn check_counts(param: &[f64]) -> Result<(), QueryError> {
    if param.iter().any(|value| value.is_nan()) {
        return Err(QueryError::ParameterNan { what: "Parameter" });
    }
    let fault = |value: f64, direction| Err(QueryError::ParameterRange { value, direction });
    if let Some(value) = param.iter().find(|value| **value >= i64::MAX as f64) {
        return fault(*value, "overflows");
    }
    if let Some(value) = param.iter().find(|value| **value <= i64::MIN as f64) {
        return fault(*value, "underflows");
    }
    Ok(())
}
