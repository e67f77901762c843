//! Under which names and fixed labels the columns of tables are shown.
//!
//! Not here: labels that come from rows (`series::labels`), values (`series::values`).

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use plimsoll_model::registry::{LabelRules, MadeSeries, MadeValue, SeriesAlias};
use plimsoll_model::{ColumnType, Dimension, Kind, Metric, Table};

use super::{LABEL_PREFIX, registry};
use crate::history::epoch_column;
use crate::promql::{METRIC_NAME, MatchOp, Matcher, Pair};

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
    /// Several columns together.
    Made(Made),
}

/// What a made series is made of; columns are indexes into the table's metrics.
#[derive(Debug, Clone)]
pub(super) struct Made {
    pub(super) plus: Vec<usize>,
    pub(super) minus: Vec<usize>,
    pub(super) divide_by: f64,
    pub(super) value: MadeValue,
    pub(super) texts: Vec<(Arc<str>, TextSource)>,
    /// Of rows that differ in other keys only the first counts, not their sum.
    pub(super) first: bool,
}

/// Where the text of a label stands.
#[derive(Debug, Clone, Copy)]
pub(super) enum TextSource {
    Metric(usize),
    Dimension(Dimension),
}

/// A key of the table as a label.
#[derive(Debug, Clone)]
pub(super) struct KeyLabel {
    pub(super) label: Arc<str>,
    pub(super) key: usize,
    /// What stands before the key's value.
    pub(super) before: String,
}

/// One column, or what several make, under one name.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    /// Position in the catalogue.
    pub(super) id: usize,
    pub(super) name: String,
    pub(super) help: String,
    pub(super) unit: String,
    pub(super) kind: Kind,
    /// Labels that are the same in all its series, the name among them.
    pub(super) fixed: Vec<Pair>,
    pub(super) keys: Vec<KeyLabel>,
    /// What stands after the node's name in the label `instance`.
    pub(super) instance: (String, String),
    pub(super) table: &'static Table,
    /// Indexes of the metrics that are read, sorted.
    pub(super) metrics: Vec<usize>,
    pub(super) reading: Reading,
    /// Of a counter: the metric that says when its owner started.
    pub(super) epoch: Option<usize>,
}

impl Shown {
    /// Whether a series of this name can match: name, fixed labels and missing labels do.
    pub(super) fn may_match(&self, matchers: &[Matcher]) -> bool {
        matchers.iter().all(|matcher| match self.fixed(&matcher.name) {
            Some(value) => matcher.matches(value),
            None if !self.has_label(&matcher.name) => matcher.matches(""),
            None => &*matcher.name != "id" || may_have_id(matcher),
        })
    }

    /// Whether some series of this name can have a label.
    fn has_label(&self, name: &str) -> bool {
        let of_container = || matches!(name, "id" | "name") || name.starts_with(LABEL_PREFIX);
        name == "instance"
            || self.table.dimensions().iter().any(|dimension| dimension.name() == name)
            || self.keys.iter().any(|key| &*key.label == name)
            || self.has_text(name)
            || (self.of_containers() && of_container())
    }

    /// The value of a fixed label.
    pub(super) fn fixed(&self, name: &str) -> Option<&str> {
        self.fixed.iter().find(|(fixed, _)| &**fixed == name).map(|(_, value)| &**value)
    }

    /// Whether the series goes on when its container is dead: its rows still tell what it was.
    pub(super) fn outlives(&self) -> bool {
        self.kind == Kind::State && !matches!(self.reading, Reading::State { .. })
    }

    /// Whether its rows are those of containers.
    pub(super) fn of_containers(&self) -> bool {
        self.table.dimensions().contains(&Dimension::ContainerId)
    }

    /// Whether some labels stand in cells of rows.
    pub(super) fn has_texts(&self) -> bool {
        match &self.reading {
            Reading::Text | Reading::Info => true,
            Reading::Made(made) => !made.texts.is_empty(),
            Reading::Number { .. } | Reading::State { .. } => false,
        }
    }

    /// Whether a label stands in cells of rows.
    pub(super) fn has_text(&self, name: &str) -> bool {
        let columns = || self.metrics.iter().filter_map(|index| self.table.metrics().get(*index));
        match &self.reading {
            Reading::Text | Reading::Info => columns().any(|metric| metric.column == name),
            Reading::Made(made) => made.texts.iter().any(|(label, _)| &**label == name),
            Reading::Number { .. } | Reading::State { .. } => false,
        }
    }
}

/// Whether a container can have an `id` that matches.
fn may_have_id(matcher: &Matcher) -> bool {
    let template = &LabelRules::embedded().exposition.container_id;
    let before = around(template, "container_id").0;
    matcher.op != MatchOp::Equal || matcher.value.starts_with(&before)
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
            all.push(info(table, rules));
            continue;
        }
        let metrics = table.metrics().iter().enumerate();
        all.extend(metrics.map(|(index, metric)| shown(table, index, metric, rules)));
    }
    let aliases: Vec<Shown> =
        rules.series_aliases.iter().flat_map(|alias| second(alias, &all, rules)).collect();
    all.extend(aliases);
    all.extend(rules.made_series.iter().filter_map(|of| made(of, rules)));
    for (id, shown) in all.iter_mut().enumerate() {
        shown.id = id;
    }
    all
});

/// Whether rows of a table are shown as one series each.
pub(super) fn is_info(table: &Table) -> bool {
    LabelRules::embedded().info_series.iter().any(|info| info.table == table.name())
}

fn fixed(name: &str, labels: &BTreeMap<String, String>, job: &str) -> Vec<Pair> {
    let extra = LabelRules::embedded().exposition.extra_labels.get(name);
    let extra = extra.into_iter().flatten().chain(labels);
    let pairs = extra.map(|(name, value)| (name.as_str(), value.as_str()));
    let more = [("job", job), (METRIC_NAME, name)];
    pairs.chain(more).map(|(name, value)| (Arc::from(name), Arc::from(value))).collect()
}

/// Job and instance of what cAdvisor shows, or of what node exporter does.
fn place(of_cadvisor: bool, rules: &LabelRules) -> (&str, (String, String)) {
    let (job, instance) = if of_cadvisor {
        (&rules.exposition.job, &rules.exposition.instance)
    } else {
        (&rules.exposition.node_job, &rules.exposition.node_instance)
    };
    (job, around(instance, "node"))
}

/// Whether a name is none of node exporter's, so that dashboards expect it from cAdvisor.
fn is_of_cadvisor(name: &str) -> bool {
    !name.starts_with("node_") && !name.starts_with("process_")
}

/// What stands before and after `{name}` in a text.
fn around(text: &str, name: &str) -> (String, String) {
    let parts = text.split_once(&format!("{{{name}}}"));
    parts.map_or_else(Default::default, |(before, after)| (before.to_owned(), after.to_owned()))
}

fn all_keys(table: &Table) -> Vec<KeyLabel> {
    let keys = table.keys().iter().enumerate();
    keys.map(|(key, name)| KeyLabel { label: name.as_str().into(), key, before: String::new() })
        .collect()
}

fn info(table: &'static Table, rules: &LabelRules) -> Shown {
    let metrics = table.metrics().iter().enumerate();
    let texts = metrics.filter(|(_, metric)| metric.column_type == ColumnType::Text);
    let rule = rules.info_series.iter().find(|info| info.table == table.name());
    let name = rule.map_or(table.name(), |info| info.name.as_str());
    let (job, instance) = place(true, rules);
    Shown {
        id: 0,
        name: name.to_owned(),
        help: rule.map_or_else(String::new, |info| info.help.clone()),
        unit: "flag".to_owned(),
        kind: Kind::State,
        fixed: fixed(name, &BTreeMap::new(), job),
        keys: all_keys(table),
        instance,
        table,
        metrics: texts.map(|(index, _)| index).collect(),
        reading: Reading::Info,
        epoch: None,
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
    let (job, instance) = place(is_of_cadvisor(&metric.name), rules);
    Shown {
        id: 0,
        name: metric.name.clone(),
        help: metric.help.clone(),
        unit: metric.shown.as_ref().map_or(&metric.unit, |shown| &shown.unit).clone(),
        kind: metric.kind,
        fixed: fixed(&metric.name, &metric.labels, job),
        keys: all_keys(table),
        instance,
        table,
        metrics: vec![index],
        reading,
        epoch: epoch_column(table).filter(|_| metric.kind == Kind::Counter),
    }
}

/// Whether null means that there is no limit, which cAdvisor shows as 0.
fn is_limit(metric: &Metric) -> bool {
    metric.name.starts_with("container_spec_") && metric.name.contains("_limit_")
        || metric.name == "container_threads_max"
}

/// The same series under a second name: those with its labels, or all if it names none.
fn second(alias: &SeriesAlias, all: &[Shown], rules: &LabelRules) -> Vec<Shown> {
    let has = |shown: &&Shown| {
        let mut labels = alias.same_labels.iter();
        shown.name == alias.same_as
            && labels.all(|(name, value)| shown.fixed(name) == Some(value.as_str()))
    };
    let renamed = |same: &Shown| {
        let own = |(name, _): &&Pair| !matches!(&**name, METRIC_NAME | "job");
        let mut labels: BTreeMap<String, String> = BTreeMap::new();
        if alias.labels.is_empty() {
            let own = same.fixed.iter().filter(own);
            labels.extend(own.map(|(name, value)| (name.to_string(), value.to_string())));
        } else {
            labels.clone_from(&alias.labels);
        }
        let (job, instance) = place(is_of_cadvisor(&alias.name), rules);
        let fixed = fixed(&alias.name, &labels, job);
        Shown { name: alias.name.clone(), fixed, instance, ..same.clone() }
    };
    all.iter().filter(has).map(renamed).collect()
}

fn made(of: &MadeSeries, rules: &LabelRules) -> Option<Shown> {
    let table = registry().table(&of.table)?;
    let columns = |names: &[String]| -> Option<Vec<usize>> {
        names.iter().map(|name| table.metric_index(name)).collect()
    };
    let (plus, minus) = (columns(&of.plus)?, columns(&of.minus)?);
    let text = |(label, name): (&String, &String)| {
        let source = match Dimension::from_name(name) {
            Some(dimension) => TextSource::Dimension(dimension),
            None => TextSource::Metric(table.metric_index(name)?),
        };
        Some((Arc::from(label.as_str()), source))
    };
    let texts: Vec<(Arc<str>, TextSource)> = of.texts.iter().map(text).collect::<Option<_>>()?;
    let key = |(label, template): (&String, &String)| {
        let found = table.keys().iter().position(|key| template.contains(&format!("{{{key}}}")))?;
        let before = around(template, table.keys().get(found)?).0;
        Some(KeyLabel { label: label.as_str().into(), key: found, before })
    };
    let in_texts = texts.iter().filter_map(|(_, source)| match source {
        TextSource::Metric(index) => Some(*index),
        TextSource::Dimension(_) => None,
    });
    let mut metrics: Vec<usize> = plus.iter().chain(&minus).copied().chain(in_texts).collect();
    metrics.sort_unstable();
    metrics.dedup();
    let (job, instance) = place(of.job == rules.exposition.job, rules);
    Some(Shown {
        id: 0,
        name: of.name.clone(),
        help: of.help.clone(),
        unit: String::new(),
        kind: if of.kind == "counter" { Kind::Counter } else { Kind::Gauge },
        fixed: fixed(&of.name, &of.labels, job),
        keys: of.keys.iter().map(key).collect::<Option<_>>()?,
        instance,
        table,
        metrics,
        reading: Reading::Made(Made {
            plus,
            minus,
            divide_by: of.divide_by,
            value: of.value,
            texts,
            first: of.first,
        }),
        epoch: None,
    })
}
