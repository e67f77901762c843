//! `info()`: adds the labels of info metrics (`target_info`) to series of the same target.
//!
//! Series belong together when they agree on the identifying labels `instance` and `job`.

use rustc_hash::FxHashMap;

use super::call::argument;
use super::{ABSENT, Evaluator, Grid, Row, is_absent, merge_same_labels};
use crate::promql::ast::{Call, Expr};
use crate::promql::error::QueryError;
use crate::promql::labels::{Labels, METRIC_NAME};
use crate::promql::matcher::{MatchOp, Matcher};

/// The labels that say what a series and its info metrics are about.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// What the call asks for.
struct Wanted {
    /// Conditions on the info metric's name.
    names: Vec<Matcher>,
    /// Conditions on its other labels; if there are any, only these labels are added.
    data: Vec<Matcher>,
}

impl Evaluator<'_> {
    /// Evaluates `info(vector, {conditions})`.
    pub(super) fn info(&mut self, call: &Call, grid: Grid) -> Result<Vec<Row>, QueryError> {
        let rows = self.vector(argument(call, 0)?, grid)?;
        let all = match call.args.get(1) {
            Some(Expr::Vector(selector)) => selector.matchers.clone(),
            _ => vec![Matcher::metric("target_info")],
        };
        let (names, data): (Vec<Matcher>, Vec<Matcher>) =
            all.into_iter().partition(|matcher| &*matcher.name == METRIC_NAME);
        let wanted = Wanted { names, data };
        // Only a condition that says what a name is, not what it is not, makes series infos.
        let positive = wanted.names.iter().any(|m| says_what_is(m.op));
        let is_info = |row: &Row| {
            let name = row.labels.metric_name();
            positive && wanted.names.iter().all(|m| m.matches(name))
        };
        let targets: Vec<&Row> = rows.iter().filter(|row| !is_info(row)).collect();
        let mut infos = self.info_rows(call.slot, &targets, grid)?;
        if !positive && !wanted.names.is_empty() {
            infos.retain(|row| row.labels.metric_name().ends_with("_info"));
        }
        let mut out = Vec::with_capacity(rows.len());
        for row in &rows {
            self.charge(grid.steps)?;
            if is_info(row) {
                out.push(row.clone());
            } else {
                enrich(row, &infos, &wanted, &mut out)?;
            }
        }
        merge_same_labels(out)
    }

    /// The info series of the given targets; values are the times of their samples.
    fn info_rows(
        &mut self,
        slot: usize,
        targets: &[&Row],
        grid: Grid,
    ) -> Result<Vec<Row>, QueryError> {
        let named = |name: &str| targets.iter().any(|row| row.labels.get(name).is_some());
        let identifying: Vec<&str> = IDENTIFYING.into_iter().filter(|name| named(name)).collect();
        if identifying.is_empty() {
            return Ok(Vec::new());
        }
        let mut rows = self.select_info_times(slot, grid)?;
        rows.retain(|info| {
            identifying.iter().all(|name| {
                let value = info.labels.get(name);
                value.is_some() && targets.iter().any(|row| row.labels.get(name) == value)
            })
        });
        rows.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(rows)
    }
}

/// Whether a matcher says what a value is, rather than what it is not.
fn says_what_is(op: MatchOp) -> bool {
    matches!(op, MatchOp::Equal | MatchOp::Regex)
}

/// Adds the rows that a series becomes: one per set of info series that stands for it over time.
fn enrich(row: &Row, infos: &[Row], wanted: &Wanted, out: &mut Vec<Row>) -> Result<(), QueryError> {
    let same =
        |info: &&Row| IDENTIFYING.iter().all(|name| info.labels.get(name) == row.labels.get(name));
    // Sorted by labels, so series of one info metric stand next to each other.
    let mut by_metric: Vec<(&str, Vec<&Row>)> = Vec::new();
    let mut candidates: Vec<&Row> = infos.iter().filter(same).collect();
    candidates.sort_by(|a, b| a.labels.metric_name().cmp(b.labels.metric_name()));
    for info in candidates {
        let name = info.labels.metric_name();
        match by_metric.last_mut() {
            Some((last, rows)) if *last == name => rows.push(info),
            _ => by_metric.push((name, vec![info])),
        }
    }
    let mut place_of: FxHashMap<Vec<Labels>, Option<usize>> = FxHashMap::default();
    for (step, value) in row.values.iter().enumerate().filter(|(_, v)| !is_absent(**v)) {
        let mut chosen = Vec::new();
        for (_, rows) in &by_metric {
            chosen.extend(newest(rows, step)?.map(|info| info.labels.clone()));
        }
        let place = if let Some(place) = place_of.get(&chosen) {
            *place
        } else {
            let labels = enriched(&row.labels, &chosen, wanted)?;
            let place = labels.map(|labels| {
                let values = vec![ABSENT; row.values.len()];
                out.push(Row { labels, drops_name: row.drops_name, values });
                out.len() - 1
            });
            place_of.insert(chosen, place);
            place
        };
        if let Some(place) = place {
            out[place].values[step] = *value;
        }
    }
    Ok(())
}

/// The series of one info metric with the newest sample.
fn newest<'r>(rows: &[&'r Row], step: usize) -> Result<Option<&'r Row>, QueryError> {
    let mut best: Option<&Row> = None;
    for row in rows.iter().filter(|row| !is_absent(row.values[step])) {
        match best {
            Some(known) if known.values[step] > row.values[step] => {}
            Some(known) if known.values[step] == row.values[step] => {
                return Err(QueryError::DuplicateInfo {
                    first: known.labels.clone(),
                    second: row.labels.clone(),
                    time_ms: row.values[step] as i64,
                });
            }
            _ => best = Some(row),
        }
    }
    Ok(best)
}

/// A series' labels with those of its info series; `None` where conditions leave nothing.
fn enriched(
    labels: &Labels,
    infos: &[Labels],
    wanted: &Wanted,
) -> Result<Option<Labels>, QueryError> {
    if infos.is_empty() && !wanted.data.iter().all(|matcher| matcher.matches("")) {
        return Ok(None);
    }
    let mut added: Vec<(&str, &str)> = Vec::new();
    for (name, value) in infos.iter().flat_map(Labels::pairs) {
        let asked = wanted.data.is_empty() || wanted.data.iter().any(|m| m.name == *name);
        if &**name == METRIC_NAME || !asked {
            continue;
        }
        if added.iter().any(|(known, other)| *known == &**name && *other != &**value) {
            return Err(QueryError::InfoConflict { label: name.to_string() });
        }
        if labels.get(name).is_none() {
            added.push((name, value));
        }
    }
    Ok(Some(labels.with_all(&added)))
}
