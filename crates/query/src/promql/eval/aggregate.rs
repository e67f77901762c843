//! Aggregations: groups rows by labels and combines each group, step by step.
//!
//! Not here: those that keep single series (`super::topk`).

use rustc_hash::FxHashMap;

use super::statistics::{KahanSum, Mean, quantile};
use super::{ABSENT, Evaluator, Grid, Row, is_absent};
use crate::promql::ast::{Aggregate, Expr};
use crate::promql::error::QueryError;
use crate::promql::labels::{Labels, METRIC_NAME};
use crate::promql::operators::AggregateOp;
use crate::promql::text::plain_number;

/// Rows that are combined: the labels of the result, and which rows.
pub(super) struct Group {
    pub(super) labels: Labels,
    pub(super) rows: Vec<usize>,
}

impl Evaluator<'_> {
    /// Evaluates an aggregation.
    pub(super) fn aggregate(
        &mut self,
        aggregate: &Aggregate,
        grid: Grid,
    ) -> Result<Vec<Row>, QueryError> {
        let op = aggregate.op;
        if op == AggregateOp::CountValues {
            return self.count_values(aggregate, grid);
        }
        let param = match &aggregate.param {
            Some(param) => self.scalar(param.bare(), grid)?,
            None => Vec::new(),
        };
        let rows = self.vector(&aggregate.expr, grid)?;
        if matches!(
            op,
            AggregateOp::Topk
                | AggregateOp::Bottomk
                | AggregateOp::Limitk
                | AggregateOp::LimitRatio
        ) {
            return self.select_some(aggregate, &param, rows, grid);
        }
        if let (AggregateOp::Quantile, Some(arg)) = (op, &aggregate.param) {
            self.check_quantiles(&param, arg.bare().span());
        }
        let groups = groups(&rows, aggregate);
        let mut out = Vec::with_capacity(groups.len());
        for group in groups {
            self.charge(grid.steps)?;
            let members: Vec<&Row> = group.rows.iter().map(|index| &rows[*index]).collect();
            let drops_name = members.iter().any(|row| row.drops_name);
            let values = combine(op, &members, &param, grid.steps);
            out.push(Row { labels: group.labels, drops_name, values });
        }
        Ok(out)
    }

    fn count_values(&mut self, aggregate: &Aggregate, grid: Grid) -> Result<Vec<Row>, QueryError> {
        let Some(Expr::String(literal)) = aggregate.param.as_ref().map(Expr::bare) else {
            return Err(QueryError::Unchecked { span: aggregate.span });
        };
        let Some(label) = literal.value.as_str().filter(|label| !label.is_empty()) else {
            return Err(QueryError::LabelName { name: literal.value.to_string() });
        };
        let mut by = aggregate.clone();
        by.expr = Expr::String(literal.clone());
        if !by.without {
            by.grouping.push(label.into());
        }
        let rows = self.vector(&aggregate.expr, grid)?;
        let mut place_of_value: FxHashMap<(usize, u64), usize> = FxHashMap::default();
        let mut place_of_labels: FxHashMap<Labels, usize> = FxHashMap::default();
        let mut out: Vec<Row> = Vec::new();
        for (index, row) in rows.iter().enumerate() {
            for (step, value) in row.values.iter().enumerate().filter(|(_, v)| !is_absent(**v)) {
                let key = (index, value.to_bits());
                let place = if let Some(place) = place_of_value.get(&key) {
                    *place
                } else {
                    let labelled = row.labels.with(label, &plain_number(*value));
                    let labels = group_labels(&labelled, &by);
                    let place = *place_of_labels.entry(labels.clone()).or_insert(out.len());
                    if place == out.len() {
                        self.charge(grid.steps)?;
                        let values = vec![ABSENT; grid.steps];
                        out.push(Row { labels, drops_name: false, values });
                    }
                    place_of_value.insert(key, place);
                    place
                };
                let count = &mut out[place].values[step];
                *count = if is_absent(*count) { 1.0 } else { *count + 1.0 };
            }
        }
        Ok(out)
    }
}

/// Sorts rows into groups, in the order in which groups first appear.
pub(super) fn groups(rows: &[Row], aggregate: &Aggregate) -> Vec<Group> {
    let keep = |name: &str| keeps(aggregate, name);
    let mut by_hash: FxHashMap<u64, Vec<usize>> = FxHashMap::default();
    let mut groups: Vec<Group> = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let same = by_hash.entry(row.labels.hash_of(keep)).or_default();
        let known = same.iter().copied().find(|place| {
            let first = groups[*place].rows[0];
            rows[first].labels.same_of(&row.labels, keep)
        });
        if let Some(place) = known {
            groups[place].rows.push(index);
        } else {
            same.push(groups.len());
            groups.push(Group { labels: group_labels(&row.labels, aggregate), rows: vec![index] });
        }
    }
    groups
}

fn keeps(aggregate: &Aggregate, name: &str) -> bool {
    let listed = aggregate.grouping.iter().any(|label| &**label == name);
    if aggregate.without { !listed && name != METRIC_NAME } else { listed }
}

fn group_labels(labels: &Labels, aggregate: &Aggregate) -> Labels {
    labels.retain(|name| keeps(aggregate, name))
}

/// Combines the rows of a group.
fn combine(op: AggregateOp, rows: &[&Row], param: &[f64], steps: usize) -> Vec<f64> {
    match op {
        AggregateOp::Sum => fold(
            rows,
            steps,
            |value| KahanSum { sum: value, rest: 0.0 },
            |sum, value| *sum = sum.plus(value),
            KahanSum::total,
        ),
        AggregateOp::Avg => fold(rows, steps, Mean::of, Mean::add, Mean::value),
        AggregateOp::Count => fold(rows, steps, |_| 1.0, |count, _| *count += 1.0, |count| count),
        AggregateOp::Group => fold(rows, steps, |_| (), |(), _| (), |()| 1.0),
        AggregateOp::Min => extreme(rows, steps, |value, best| value < best),
        AggregateOp::Max => extreme(rows, steps, |value, best| value > best),
        AggregateOp::Stdvar => fold(rows, steps, Spread::of, Spread::add, Spread::variance),
        AggregateOp::Stddev => {
            fold(rows, steps, Spread::of, Spread::add, |spread| spread.variance().sqrt())
        }
        _ => {
            let mut values = vec![ABSENT; steps];
            for (step, value) in values.iter_mut().enumerate() {
                let all = rows.iter().map(|row| row.values[step]);
                let there: Vec<f64> = all.filter(|value| !is_absent(*value)).collect();
                if !there.is_empty() {
                    *value = quantile(param.get(step).copied().unwrap_or(f64::NAN), &there);
                }
            }
            values
        }
    }
}

/// Combines the values of rows, step by step, through a state.
fn fold<S: Clone>(
    rows: &[&Row],
    steps: usize,
    first: impl Fn(f64) -> S,
    add: impl Fn(&mut S, f64),
    finish: impl Fn(S) -> f64,
) -> Vec<f64> {
    let mut states: Vec<Option<S>> = vec![None; steps];
    for row in rows {
        for (state, value) in states.iter_mut().zip(&row.values) {
            if is_absent(*value) {
                continue;
            }
            match state {
                Some(state) => add(state, *value),
                None => *state = Some(first(*value)),
            }
        }
    }
    states.into_iter().map(|state| state.map_or(ABSENT, &finish)).collect()
}

/// The best value of each step; NaN only where there is nothing else.
fn extreme(rows: &[&Row], steps: usize, better: impl Fn(f64, f64) -> bool) -> Vec<f64> {
    let pick = |best: &mut f64, value: f64| {
        if better(value, *best) || best.is_nan() {
            *best = value;
        }
    };
    fold(rows, steps, |value| value, pick, |best| best)
}

/// How far values are spread (Welford's method).
#[derive(Clone, Copy)]
struct Spread {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Spread {
    fn of(value: f64) -> Self {
        let squares = if value.is_finite() { 0.0 } else { f64::NAN };
        Self { count: 1.0, mean: value, squares }
    }

    fn add(&mut self, value: f64) {
        self.count += 1.0;
        let delta = value - self.mean;
        self.mean += delta / self.count;
        self.squares += delta * (value - self.mean);
    }

    fn variance(self) -> f64 {
        self.squares / self.count
    }
}
