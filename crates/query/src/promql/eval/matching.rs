//! Operations between two vectors: finds which series belong together, and combines them.
//!
//! Series are grouped once per query by the labels that count; only presence is looked at per step.

use rustc_hash::FxHashMap;

use super::binary::sample_result;
use super::{ABSENT, Evaluator, Grid, Row, is_absent, merge_same_labels};
use crate::promql::ast::{Binary, Matching};
use crate::promql::error::QueryError;
use crate::promql::labels::{Labels, METADATA};
use crate::promql::operators::Cardinality;

/// Rows of both sides that agree on the labels that count.
#[derive(Default)]
pub(super) struct Match {
    pub(super) left: Vec<usize>,
    pub(super) right: Vec<usize>,
}

/// Groups the rows of two sides by the labels that count.
pub(super) fn matches(matching: &Matching, left: &[Row], right: &[Row]) -> Vec<Match> {
    let keep = |name: &str| counts(matching, name);
    let mut by_hash: FxHashMap<u64, Vec<usize>> = FxHashMap::default();
    let mut found: Vec<(Labels, Match)> = Vec::new();
    for (is_left, rows) in [(true, left), (false, right)] {
        for (index, row) in rows.iter().enumerate() {
            let same = by_hash.entry(row.labels.hash_of(keep)).or_default();
            let known = same.iter().find(|place| found[**place].0.same_of(&row.labels, keep));
            let place = known.copied().unwrap_or_else(|| {
                same.push(found.len());
                found.push((row.labels.clone(), Match::default()));
                found.len() - 1
            });
            let side = &mut found[place].1;
            if is_left { side.left.push(index) } else { side.right.push(index) }
        }
    }
    found.into_iter().map(|(_, sides)| sides).collect()
}

/// Whether a label counts when series are matched.
fn counts(matching: &Matching, name: &str) -> bool {
    let listed = matching.labels.iter().any(|label| &**label == name);
    if matching.on { listed } else { !listed && !METADATA.contains(&name) }
}

/// The labels by which a series is matched.
fn matched_labels(matching: &Matching, labels: &Labels) -> Labels {
    labels.retain(|name| counts(matching, name))
}

/// Two sides, swapped so that the right one is the "one" side.
struct Sides<'b> {
    binary: &'b Binary,
    many: Vec<Row>,
    one: Vec<Row>,
    swapped: bool,
    /// Value of a "many" series where there is none.
    fill_many: Option<f64>,
    /// Value of a "one" series where there is none.
    fill_one: Option<f64>,
    /// At which steps both sides have any series at all.
    active: Vec<bool>,
}

impl Evaluator<'_> {
    /// Evaluates an operation between two vectors that is no set operation.
    pub(super) fn matched(
        &mut self,
        binary: &Binary,
        left: Vec<Row>,
        right: Vec<Row>,
        grid: Grid,
    ) -> Result<Vec<Row>, QueryError> {
        let matching = &binary.matching;
        let swapped = matching.cardinality == Cardinality::OneToMany;
        let (many, one) = if swapped { (right, left) } else { (left, right) };
        // As in Prometheus, the fills follow the sides: left is "many", right is "one", also for
        // `group_right`.
        let (fill_many, fill_one) = (matching.fill_left, matching.fill_right);
        let any = |rows: &[Row], step: usize| rows.iter().any(|r| !is_absent(r.values[step]));
        let fills = fill_many.is_some() || fill_one.is_some();
        let active =
            (0..grid.steps).map(|step| fills || (any(&many, step) && any(&one, step))).collect();
        let sides = Sides { binary, many, one, swapped, fill_many, fill_one, active };
        let mut out = Vec::new();
        let mut met = false;
        for group in matches(matching, &sides.many, &sides.one) {
            let before = out.len();
            self.charge(grid.steps.saturating_mul(group.left.len().max(1)))?;
            sides.combine(&group, grid.steps, &mut out)?;
            met |= out.len() > before;
        }
        self.note_trim(binary, met);
        out.retain(|row: &Row| !row.is_empty());
        if grid.steps == 1 { Ok(out) } else { merge_same_labels(out) }
    }
}

impl Sides<'_> {
    /// Combines the rows of one group.
    fn combine(&self, group: &Match, steps: usize, out: &mut Vec<Row>) -> Result<(), QueryError> {
        self.check_one_side(group, steps)?;
        self.check_many_side(group, steps)?;
        let one_there =
            |step: usize| group.right.iter().any(|index| !is_absent(self.one[*index].values[step]));
        let many_there =
            |step: usize| group.left.iter().any(|index| !is_absent(self.many[*index].values[step]));
        for many in group.left.iter().map(|index| &self.many[*index]) {
            for one in group.right.iter().map(|index| &self.one[*index]) {
                out.push(self.row(many, one));
            }
            if let Some(fill) = self.fill_one {
                let value = |step| if one_there(step) { ABSENT } else { fill };
                out.push(self.row(many, &self.filled(many, steps, value)));
            }
        }
        if let Some(fill) = self.fill_many {
            let value = |step| if many_there(step) { ABSENT } else { fill };
            for one in group.right.iter().map(|index| &self.one[*index]) {
                out.push(self.row(&self.filled(one, steps, value), one));
            }
        }
        Ok(())
    }

    /// The series that stands for one that is missing.
    fn filled(&self, like: &Row, steps: usize, value: impl Fn(usize) -> f64) -> Row {
        let labels = matched_labels(&self.binary.matching, &like.labels);
        Row { labels, drops_name: false, values: (0..steps).map(value).collect() }
    }

    /// The operation on two series.
    fn row(&self, many: &Row, one: &Row) -> Row {
        let pairs = many.values.iter().zip(&one.values).zip(&self.active);
        let combine = |((many, one), active): ((&f64, &f64), &bool)| {
            if is_absent(*many) || is_absent(*one) || !active {
                return ABSENT;
            }
            let (left, right) = if self.swapped { (*one, *many) } else { (*many, *one) };
            sample_result(self.binary, left, right)
        };
        let drops_name = many.drops_name || self.binary.returns_bool;
        Row { labels: self.labels(many, one), drops_name, values: pairs.map(combine).collect() }
    }

    fn labels(&self, many: &Row, one: &Row) -> Labels {
        let matching = &self.binary.matching;
        let mut labels = many.labels.clone();
        if self.binary.op.changes_meaning() {
            labels = labels.without_metadata();
        }
        if matching.cardinality == Cardinality::OneToOne {
            let listed = |name: &str| matching.labels.iter().any(|label| &**label == name);
            labels = labels.retain(|name| listed(name) == matching.on);
        }
        if !matching.include.is_empty() {
            let copy = |name| (name, one.labels.value(name));
            let changes: Vec<(&str, &str)> =
                matching.include.iter().map(|name| copy(&**name)).collect();
            labels = labels.with_all(&changes);
        }
        labels
    }

    /// Checks that the "one" side has one series at each step.
    fn check_one_side(&self, group: &Match, steps: usize) -> Result<(), QueryError> {
        if group.right.len() < 2 {
            return Ok(());
        }
        for step in (0..steps).filter(|step| self.active[*step]) {
            let there = |index: &&usize| !is_absent(self.one[**index].values[step]);
            let mut found = group.right.iter().filter(there).map(|index| &self.one[*index].labels);
            if let (Some(a), Some(b)) = (found.next(), found.next()) {
                let (first, second) = (a.min(b).clone(), a.max(b).clone());
                let group = matched_labels(&self.binary.matching, &first);
                let side = if self.swapped { "left" } else { "right" };
                return Err(QueryError::DuplicateMatch { group, side, first, second });
            }
        }
        Ok(())
    }

    /// Checks that several series of the "many" side are allowed and stay distinct.
    fn check_many_side(&self, group: &Match, steps: usize) -> Result<(), QueryError> {
        if group.left.len() < 2 {
            return Ok(());
        }
        let one_to_one = self.binary.matching.cardinality == Cardinality::OneToOne;
        let mut results: Vec<(Labels, usize, Option<usize>)> = Vec::new();
        let ones = || group.right.iter().map(|index| Some(*index)).chain([None]);
        if !one_to_one {
            for many in &group.left {
                for one in ones() {
                    let many_row = &self.many[*many];
                    let one_row = one.map_or(many_row, |index| &self.one[index]);
                    results.push((self.labels(many_row, one_row), *many, one));
                }
            }
            results.sort_by(|a, b| a.0.cmp(&b.0));
            if !results.array_windows::<2>().any(|pair| pair[0].0 == pair[1].0) {
                return Ok(());
            }
        }
        for step in (0..steps).filter(|step| self.active[*step]) {
            let many_there = |index: usize| !is_absent(self.many[index].values[step]);
            let one = group.right.iter().copied().find(|i| !is_absent(self.one[*i].values[step]));
            if one.is_none() && self.fill_one.is_none() {
                continue;
            }
            if one_to_one {
                if group.left.iter().filter(|index| many_there(**index)).count() > 1 {
                    return Err(QueryError::ManyToOne);
                }
                continue;
            }
            let mut there = results.iter().filter(|r| r.2 == one && many_there(r.1));
            let mut before = there.next();
            for result in there {
                if before.is_some_and(|before| before.0 == result.0) {
                    return Err(QueryError::GroupingNotUnique);
                }
                before = Some(result);
            }
        }
        Ok(())
    }
}
