//! Promises in numbers (`bench/budgets.toml`), and whether a run kept them.
//!
//! Keeps true: what was not measured is missed, never met.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::system::Kind;

/// Everything a run measured, by `<system>.<what>`.
pub type Measures = BTreeMap<String, f64>;

/// How a measure stands to its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
pub enum Operator {
    /// Not less than.
    #[serde(rename = ">=")]
    AtLeast,
    /// Not more than.
    #[serde(rename = "<=")]
    AtMost,
}

/// One promise.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Short and unique.
    pub id: String,
    /// What is promised.
    pub text: String,
    /// What is judged.
    pub measure: String,
    /// How it stands to the limit.
    pub operator: Operator,
    /// A plain limit.
    pub limit: Option<f64>,
    /// What the best of `relative_to` is multiplied with.
    pub factor: Option<f64>,
    /// Measures of others, `peers.` for all of them.
    #[serde(default)]
    pub relative_to: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    budget: Vec<Budget>,
}

/// What became of a promise.
#[derive(Debug, Clone, Serialize)]
pub struct Verdict {
    /// The promise's id.
    pub id: String,
    /// What is promised.
    pub text: String,
    /// Whether it was kept.
    pub met: bool,
    /// What was measured; none when it is missing.
    pub found: Option<f64>,
    /// What it had to be; none when a comparison is missing.
    pub limit: Option<f64>,
    /// At least or at most.
    pub operator: Operator,
}

/// Reads promises.
///
/// # Errors
///
/// What is wrong with the file.
pub fn read(path: &Path) -> Result<Vec<Budget>, String> {
    let problem = |error: String| format!("budgets {}: {error}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| problem(error.to_string()))?;
    let file: File = toml::from_str(&text).map_err(|error| problem(error.to_string()))?;
    for budget in &file.budget {
        let is_plain = budget.limit.is_some();
        let is_relative = budget.factor.is_some() && !budget.relative_to.is_empty();
        if is_plain == is_relative {
            return Err(problem(format!("{} needs a limit or a comparison", budget.id)));
        }
    }
    Ok(file.budget)
}

/// Judges a promise by what was measured.
pub fn judge(budget: &Budget, measures: &Measures) -> Verdict {
    let found = measures.get(&budget.measure).copied();
    let limit = budget.limit.or_else(|| Some(budget.factor? * best(budget, measures)?));
    let met = found.zip(limit).is_some_and(|(found, limit)| match budget.operator {
        Operator::AtLeast => found >= limit,
        Operator::AtMost => found <= limit,
    });
    Verdict {
        id: budget.id.clone(),
        text: budget.text.clone(),
        met,
        found,
        limit,
        operator: budget.operator,
    }
}

/// The measure of the strongest competitor; none when one of them was not measured.
fn best(budget: &Budget, measures: &Measures) -> Option<f64> {
    let mut names = Vec::new();
    for name in &budget.relative_to {
        match name.strip_prefix("peers.") {
            None => names.push(name.clone()),
            Some(what) => {
                let peers = Kind::ALL.iter().filter(|kind| **kind != Kind::Plimsoll);
                let peers = peers.filter(|kind| kind.answers());
                names.extend(peers.map(|kind| format!("{}.{what}", kind.name())));
            }
        }
    }
    let numbers: Option<Vec<f64>> = names.iter().map(|name| measures.get(name).copied()).collect();
    match budget.operator {
        Operator::AtLeast => numbers?.into_iter().reduce(f64::max),
        Operator::AtMost => numbers?.into_iter().reduce(f64::min),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budgets() -> Vec<Budget> {
        read(&crate::scenario::folder().join("budgets.toml")).unwrap()
    }

    /// The file of promises can be read, and every id is there once.
    #[test]
    fn promises_are_readable() {
        let mut ids: Vec<String> = budgets().into_iter().map(|budget| budget.id).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all);
        assert!(all >= 20);
    }

    /// Nothing measured meets nothing.
    #[test]
    fn missing_is_missed() {
        for budget in budgets() {
            assert!(!judge(&budget, &Measures::new()).met, "{}", budget.id);
        }
    }

    /// The strongest competitor counts, whichever way the comparison goes.
    #[test]
    fn best_competitor_counts() {
        let number = |name: &str, value: f64| (name.to_owned(), value);
        let measures = Measures::from([
            number("plimsoll.query_cpu_ms.Q1", 10.0),
            number("prometheus.query_cpu_ms.Q1", 100.0),
            number("clickhouse.query_cpu_ms.Q1", 29.0),
            number("victoria-metrics.query_cpu_ms.Q1", 50.0),
            number("duckdb.query_cpu_ms.Q1", 31.0),
            number("plimsoll.query_cpu_ms.Q2", 1.0),
            number("prometheus.query_cpu_ms.Q2", 100.0),
            number("plimsoll.merged_per_cpu_s", 10.0),
            number("victoria-metrics.merged_per_cpu_s", 0.9),
            number("victoria-metrics-remote-write.merged_per_cpu_s", 0.5),
        ]);
        let met = |id: &str| {
            let budget = budgets().into_iter().find(|budget| budget.id == id).unwrap();
            judge(&budget, &measures).met
        };
        assert!(!met("query-Q1"));
        assert!(!met("query-Q2"), "three competitors are missing");
        assert!(met("ingest-victoria-metrics"));
        assert!(!met("ingest-clickhouse"));
    }
}
