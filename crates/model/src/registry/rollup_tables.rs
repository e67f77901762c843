//! The tables rollups are stored as: one per table and resolution, made from the rules.
//!
//! A rollup table has the dimensions and keys of its table; its `time` is the start of a bucket
//! and each of its metrics is one statistic of one metric (`cpu_usage_us_increase`). It has the
//! name of its table, because the resolution is told beside it everywhere.
//!
//! Keeps true: the columns are those `schemas/rollups.toml` names, in its order, metric by metric.
//! Not here: what the statistics are (`registry::rollups`), making them (`store`).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::{ColumnType, Kind, Metric, Registry, RollupRules, Source, StatisticType, Table};

/// Suffix of the column that completes a sum: integers, what to add times 2^64; floating point,
/// the rounding error to add. Null is 0.
pub const SUM_REST: &str = "sum_rest";

/// Suffix of the shared column with the epochs of counters whose first or last sample has
/// another epoch than the row says: a JSON object, column to `[first, last]`.
pub const EPOCHS_OTHER: &str = "other";

static EMBEDDED: LazyLock<Vec<(&'static str, Table)>> = LazyLock::new(|| {
    let rules = RollupRules::embedded();
    let tables = Registry::embedded().tables().iter().filter(|table| rules.rolls_up(table));
    tables
        .flat_map(|table| {
            let resolutions = rules.resolutions.iter();
            resolutions.map(|r| (r.name.as_str(), rules.table(table, &r.name)))
        })
        .collect()
});

impl Registry {
    /// The table of the rollups of `table` at a resolution (`5m`, `1h`); `None` when it has none.
    ///
    /// The metrics of a rollup table are of kind state: nothing may be summed up blindly.
    pub fn rollup(table: &Table, resolution: &str) -> Option<&'static Table> {
        let found = EMBEDDED.iter().find(|(name, rollup)| {
            *name == resolution && rollup.index() == table.index() && rollup.name() == table.name()
        });
        found.map(|(_, rollup)| rollup)
    }
}

impl RollupRules {
    /// The table of the rollups of `table` at the resolution with this name.
    pub fn table(&self, table: &Table, resolution: &str) -> Table {
        let mut metrics = Vec::new();
        let own: Vec<String> = table
            .metrics()
            .iter()
            .filter(|metric| metric.kind == Kind::State)
            .flat_map(|metric| self.statistics(Kind::State).map(|s| s.column(metric)))
            .collect();
        for shared in &self.shared {
            if table.metric_index(&shared.when_column).is_none() {
                continue;
            }
            // The state's own first and last are the same numbers under the same names.
            if !own.contains(&shared.statistic) {
                let column_type = column_type(shared.value_type, ColumnType::Int);
                metrics.push(metric(&shared.statistic, column_type, &shared.help));
            }
            let other = format!("{}_{EPOCHS_OTHER}", shared.when_column);
            if !metrics.iter().any(|metric: &Metric| metric.column == other) {
                let help = "Counters whose first or last sample has another epoch: JSON.";
                metrics.push(metric(&other, ColumnType::Text, help));
            }
        }
        for base in table.metrics() {
            for statistic in self.statistics(base.kind) {
                let kept = column_type(statistic.value_type, base.column_type);
                metrics.push(metric(&statistic.column(base), kept, &statistic.help));
                if statistic.value_type == StatisticType::Sum {
                    let rest = format!("{}_{SUM_REST}", base.column);
                    metrics.push(metric(&rest, kept, "What completes the sum; null is 0."));
                }
            }
            if resolution == self.sketch.resolution && self.has_sketch(base) {
                let name = format!("{}_{}", base.column, self.sketch.name);
                metrics.push(metric(&name, ColumnType::Text, "Sketch for quantiles, base64."));
            }
        }
        Table::new(
            table.index(),
            table.name().to_owned(),
            table.help().to_owned(),
            table.dimensions(),
            table.keys().to_vec(),
            metrics,
        )
    }
}

fn column_type(kept: StatisticType, of: ColumnType) -> ColumnType {
    match kept {
        StatisticType::Value | StatisticType::Sum => of,
        StatisticType::Time | StatisticType::Int => ColumnType::Int,
        StatisticType::Float => ColumnType::Float,
    }
}

fn metric(column: &str, column_type: ColumnType, help: &str) -> Metric {
    Metric {
        name: column.to_owned(),
        column: column.to_owned(),
        kind: Kind::State,
        column_type,
        unit: String::new(),
        shown: None,
        labels: BTreeMap::new(),
        help: help.to_owned(),
        since: 1,
        engine: Source::default(),
        cgroup: Source::default(),
        proc: None,
        alias: BTreeMap::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_rollup_column_has_a_name_of_its_own() {
        for table in Registry::embedded().tables() {
            for resolution in ["5m", "1h"] {
                let Some(rollup) = Registry::rollup(table, resolution) else { continue };
                let fields = rollup.schema().fields();
                let names: BTreeSet<&String> = fields.iter().map(|field| field.name()).collect();
                assert_eq!(names.len(), fields.len(), "{} at {resolution}", table.name());
                for metric in table.metrics() {
                    for statistic in RollupRules::embedded().statistics(metric.kind) {
                        assert!(rollup.metric_index(&statistic.column(metric)).is_some());
                    }
                }
            }
        }
    }

    #[test]
    fn counters_are_integers() {
        for table in Registry::embedded().tables() {
            for metric in table.metrics() {
                let is_float = metric.column_type == ColumnType::Float;
                assert!(metric.kind != Kind::Counter || !is_float, "{}", metric.column);
            }
        }
    }
}
