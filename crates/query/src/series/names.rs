//! Under which names and fixed labels the columns of tables are shown.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use plimsoll_model::registry::LabelRules;
use plimsoll_model::{ColumnType, Dimension, Kind, Metric, Table};

use super::registry;
use crate::history::epoch_column;
use crate::promql::{METRIC_NAME, Matcher};

/// How the cells of a column become values.
#[derive(Debug, Clone)]
pub(super) enum Reading {
    /// The number divided by a constant; a null is `null_as`, or no sample.
    Number { divide_by: f64, null_as: Option<f64> },
    /// 1, with the text as a label.
    Text,
    /// The number that stands for the text.
    State { values: BTreeMap<String, i64>, absent: i64 },
    /// 1, with all texts of the row as labels.
    Info,
}

/// One column under one name.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    pub(super) name: String,
    /// Fixed labels.
    pub(super) labels: BTreeMap<String, String>,
    pub(super) table: &'static Table,
    /// Indexes of the metrics that are read: one, or all texts of an info series.
    pub(super) metrics: Vec<usize>,
    pub(super) reading: Reading,
    /// Of a counter: the metric that says when its owner started.
    pub(super) epoch: Option<usize>,
    /// Whether cAdvisor is where dashboards expect it from.
    pub(super) of_cadvisor: bool,
}

impl Shown {
    /// Whether a series of this name can match: name and fixed labels do.
    pub(super) fn may_match(&self, matchers: &[Matcher]) -> bool {
        matchers.iter().all(|matcher| match self.labels.get(&*matcher.name) {
            Some(value) => matcher.matches(value),
            None if &*matcher.name == METRIC_NAME => matcher.matches(&self.name),
            None => true,
        })
    }
}

impl Shown {
    /// Whether the series goes on when its container is dead: its rows still tell what it was.
    pub(super) fn outlives(&self) -> bool {
        let mut metrics = self.metrics.iter().filter_map(|index| self.table.metrics().get(*index));
        metrics.any(|metric| metric.kind == Kind::State)
    }
}

/// Everything that can be shown.
pub(super) fn catalogue() -> &'static [Shown] {
    &CATALOGUE
}

static CATALOGUE: LazyLock<Vec<Shown>> = LazyLock::new(|| {
    let rules = LabelRules::embedded();
    let mut all: Vec<Shown> = Vec::new();
    for table in registry().tables().iter().filter(|table| table.name() != "event") {
        if is_info(table) {
            all.push(info(table));
            continue;
        }
        let metrics = table.metrics().iter().enumerate();
        all.extend(metrics.map(|(index, metric)| shown(table, index, metric, rules)));
    }
    let mut aliases = Vec::new();
    for alias in &rules.series_aliases {
        let same = all.iter().find(|shown| {
            let mut labels = alias.same_labels.iter();
            shown.name == alias.same_as
                && labels.all(|(name, value)| shown.labels.get(name) == Some(value))
        });
        if let Some(same) = same {
            let (name, labels) = (alias.name.clone(), alias.labels.clone());
            aliases.push(Shown { name, labels, of_cadvisor: true, ..same.clone() });
        }
    }
    all.extend(aliases);
    all
});

/// Whether rows of a table are shown as one series each.
pub(super) fn is_info(table: &Table) -> bool {
    LabelRules::embedded().info_series.iter().any(|info| info.table == table.name())
}

fn info(table: &'static Table) -> Shown {
    let metrics = table.metrics().iter().enumerate();
    let texts = metrics.filter(|(_, metric)| metric.column_type == ColumnType::Text);
    Shown {
        name: table.name().to_owned(),
        labels: BTreeMap::new(),
        table,
        metrics: texts.map(|(index, _)| index).collect(),
        reading: Reading::Info,
        epoch: None,
        of_cadvisor: true,
    }
}

fn shown(table: &'static Table, index: usize, metric: &Metric, rules: &LabelRules) -> Shown {
    let state = rules.state_series.iter().find(|state| {
        metric.column_type == ColumnType::Text
            && state.name == metric.name
            && state.column == metric.column
    });
    let reading = match (state, metric.column_type) {
        (Some(state), _) => Reading::State { values: state.values.clone(), absent: state.absent },
        (None, ColumnType::Text) => Reading::Text,
        (None, ColumnType::Int | ColumnType::Float) => {
            let divide_by = metric.shown.as_ref().map_or(1.0, |shown| shown.divide_by);
            Reading::Number { divide_by, null_as: is_limit(metric).then_some(0.0) }
        }
    };
    let is_container = table.dimensions().contains(&Dimension::ContainerId);
    let of_cadvisor = is_container || metric.alias.contains_key("cadvisor");
    let (name, labels) = (metric.name.clone(), metric.labels.clone());
    let epoch = epoch_column(table).filter(|_| metric.kind == Kind::Counter);
    Shown { name, labels, table, metrics: vec![index], reading, epoch, of_cadvisor }
}

/// Whether null means that there is no limit, which cAdvisor shows as 0.
fn is_limit(metric: &Metric) -> bool {
    metric.name.starts_with("container_spec_") && metric.name.contains("_limit_")
        || metric.name == "container_threads_max"
}

/// The metrics that all need, each once.
pub(super) fn columns(all: &[&Shown]) -> Vec<usize> {
    let metrics = all.iter().flat_map(|shown| shown.metrics.iter().copied().chain(shown.epoch));
    let mut columns: Vec<usize> = metrics.collect();
    columns.sort_unstable();
    columns.dedup();
    columns
}
