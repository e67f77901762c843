//! Writes `docs/reference/{metrics,config,events}.md` from the schema files.
//!
//! Holds: the pages say what the files say; a test compares them with the checked-in ones.
//! Not here: reading the files.

use std::fmt::Write as _;

use super::config::{ConfigKey, ConfigSchema, ConfigType, ConfigValue};
use super::events::{EventRule, EventRules};
use super::lock::series;
use super::{Column, LabelRules, MadeValue, Metric, Registry, Source, Table};

const METRICS_HEAD: &str = "\
<!-- Generated from schemas/metrics/*.toml and schemas/labels.toml. \
Write there, then run UPDATE_DOCS=1 cargo test -p plimsoll-model. -->

# Metrics

Every table is one shape of rows; every metric is one column of a table and one series in PromQL.
A value that was not reported is null, never 0. Stored units are whole numbers unless a type says
otherwise; a series is shown in the unit after the arrow. The sources are the Engine API's field
(`api`), the control group's file (`cgroup`) and files of the machine (`proc`); where both versions
of control groups have the same source, it stands once.

";

const CONFIG_HEAD: &str = "\
<!-- Generated from schemas/config.toml. \
Write there, then run UPDATE_DOCS=1 cargo test -p plimsoll-model. -->

# Configuration

Keys are read from the command line, the environment (`PLIMSOLL_<SECTION>_<KEY>`) and
`plimsoll.toml`, in this order; the first that has a key decides. An unknown key is an error.

";

const EVENTS_HEAD: &str = "\
<!-- Generated from schemas/events.toml. \
Write there, then run UPDATE_DOCS=1 cargo test -p plimsoll-model. -->

# Events

What is kept in the table `event`, how much it matters, and what it means. An action may have a
detail, the text after its colon. Events that no line names are kept as `info`.

";

/// The page about all tables, metrics, dimensions, second names and units, as Markdown.
pub fn reference_markdown(registry: &Registry) -> String {
    let mut page = METRICS_HEAD.to_owned();
    for table in registry.tables() {
        let _ = writeln!(page, "- [{0}](#{0}): {1}", table.name(), cell(first_sentence(table)));
    }
    for table in registry.tables() {
        table_section(&mut page, table);
    }
    labels_section(&mut page, LabelRules::embedded());
    page
}

/// The page about all configuration keys, as Markdown.
pub fn config_markdown(schema: &ConfigSchema) -> String {
    let mut page = CONFIG_HEAD.to_owned();
    for section in schema.sections() {
        let _ = writeln!(page, "## [{}]\n\n{}\n", section.name, section.help);
        page.push_str("| key | default | allowed | meaning |\n| --- | --- | --- | --- |\n");
        for key in schema.keys(&section.name) {
            let default = key.default.as_ref().map_or(String::new(), |v| code(&value_text(v)));
            let help = cell(&key.help);
            let _ =
                writeln!(page, "| `{}` | {default} | {} | {help} |", key.key, cell(&allowed(key)));
        }
        page.push('\n');
    }
    trim_end(page)
}

/// The page about all events, as Markdown.
pub fn events_markdown(rules: &EventRules) -> String {
    let mut page = EVENTS_HEAD.to_owned();
    page.push_str("| type | action | kept | severity | told by | meaning |\n");
    page.push_str("| --- | --- | --- | --- | --- | --- |\n");
    for rule in rules.rules() {
        let kept = if rule.keep { "yes" } else { "no" };
        let _ = writeln!(
            page,
            "| {} | {} | {kept} | {} | {} | {} |",
            rule.event_type,
            action(rule),
            severity(rule),
            rule.by.name(),
            cell(&rule.help)
        );
    }
    page
}

fn action(rule: &EventRule) -> String {
    match &rule.detail {
        Some(detail) => format!("`{}: {detail}`", rule.action),
        None => format!("`{}`", rule.action),
    }
}

fn severity(rule: &EventRule) -> String {
    match rule.severity_failed {
        Some(failed) => {
            format!("{}; {} if the exit code is not 0", rule.severity.name(), failed.name())
        }
        None => rule.severity.name().to_owned(),
    }
}

fn first_sentence(table: &Table) -> &str {
    table.help().split_inclusive(". ").next().unwrap_or_default().trim_end()
}

fn table_section(page: &mut String, table: &Table) {
    let columns: Vec<_> = table
        .columns()
        .iter()
        .filter_map(|column| match column {
            Column::Time => Some("`time`".to_owned()),
            Column::Dimension(dimension) => Some(code(dimension.name())),
            Column::Key(index) => table.keys().get(*index).map(|key| code(key)),
            Column::Metric(_) => None,
        })
        .collect();
    let _ = writeln!(page, "\n## {}\n\n{}\n", table.name(), table.help());
    let _ = writeln!(page, "Columns beside the metrics: {}.\n", columns.join(", "));
    page.push_str("| series | column | kind | unit | meaning | source on cgroup v1 ");
    page.push_str("| source on cgroup v2 | elsewhere called |\n");
    page.push_str("| --- | --- | --- | --- | --- | --- | --- | --- |\n");
    for metric in table.metrics() {
        let v1 = sources(metric, |source| source.v1.as_deref());
        let v2 = sources(metric, |source| source.v2.as_deref());
        let v2 = if v1 == v2 && !v1.is_empty() { "the same".to_owned() } else { v2 };
        let _ = writeln!(
            page,
            "| `{}` | `{}` | {} | {} | {} | {v1} | {v2} | {} |",
            series(metric),
            metric.column,
            metric.kind.name(),
            unit(metric),
            cell(&metric.help),
            aliases(metric)
        );
    }
}

fn unit(metric: &Metric) -> String {
    let stored = match metric.column_type {
        super::ColumnType::Float => format!("{} (float)", metric.unit),
        _ => metric.unit.clone(),
    };
    match &metric.shown {
        Some(shown) => format!("{stored} → {}", shown.unit),
        None => stored,
    }
}

fn sources(metric: &Metric, version: impl Fn(&Source) -> Option<&str>) -> String {
    let mut parts = Vec::new();
    if let Some(field) = version(&metric.engine) {
        let unit = metric.engine.unit.as_ref().map(|unit| format!(" ({unit})"));
        parts.push(format!("api: {}{}", code(field), unit.unwrap_or_default()));
    }
    if let Some(file) = version(&metric.cgroup) {
        let unit = metric.cgroup.unit.as_ref().map(|unit| format!(" ({unit})"));
        parts.push(format!("cgroup: {}{}", code(file), unit.unwrap_or_default()));
    }
    if let Some(file) = &metric.proc {
        parts.push(format!("proc: {}", code(file)));
    }
    parts.join("; ")
}

fn aliases(metric: &Metric) -> String {
    let name = |(system, name): (&String, &String)| {
        let system = match system.as_str() {
            "cadvisor" => "cAdvisor",
            "otel" => "OpenTelemetry",
            other => other,
        };
        if *name == metric.name {
            format!("{system}: the same")
        } else {
            format!("{system}: {}", code(name))
        }
    };
    metric.alias.iter().map(name).collect::<Vec<_>>().join("; ")
}

fn labels_section(page: &mut String, labels: &LabelRules) {
    page.push_str("\n## Dimensions\n\n| column | meaning | source |\n| --- | --- | --- |\n");
    for dimension in &labels.dimensions {
        let (help, source) = (cell(&dimension.help), cell(&dimension.source));
        let _ = writeln!(page, "| `{}` | {help} | {source} |", dimension.name);
    }
    page.push_str("\n## Second names of series\n\n| series | the same as | for |\n");
    page.push_str("| --- | --- | --- |\n");
    for alias in &labels.series_aliases {
        let name = labelled(&alias.name, &alias.labels);
        let same = labelled(&alias.same_as, &alias.same_labels);
        let _ = writeln!(page, "| `{name}` | `{same}` | {} |", cell(&alias.help));
    }
    made_section(page, labels);
    page.push_str("\n## Units\n\n| unit | sign | meaning |\n| --- | --- | --- |\n");
    for unit in &labels.units {
        let _ = writeln!(page, "| {} | {} | {} |", unit.name, unit.symbol, cell(&unit.help));
    }
}

fn made_section(page: &mut String, labels: &LabelRules) {
    page.push_str("\n## Series made of several columns\n\n| series | made of | meaning |\n");
    page.push_str("| --- | --- | --- |\n");
    for made in &labels.made_series {
        let value = match made.value {
            MadeValue::Time => "time of the row".to_owned(),
            MadeValue::One => "1".to_owned(),
            MadeValue::Sum => {
                let minus = made.minus.iter().map(|column| format!(" - {column}"));
                made.plus.join(" + ") + &minus.collect::<String>()
            }
        };
        let name = labelled(&made.name, &made.labels);
        let help = cell(&made.help);
        let _ = writeln!(page, "| `{name}` | `{}`: {value} | {help} |", made.table);
    }
}

fn labelled(name: &str, labels: &std::collections::BTreeMap<String, String>) -> String {
    if labels.is_empty() {
        return name.to_owned();
    }
    let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{name}{{{}}}", labels.join(","))
}

fn allowed(key: &ConfigKey) -> String {
    let unit = key.unit.as_deref().filter(|unit| *unit != "count").unwrap_or_default();
    match (key.value_type, key.min, key.max) {
        (ConfigType::Int, Some(min), Some(max)) => {
            format!("{min} to {max} {unit}").trim_end().to_owned()
        }
        (ConfigType::Int, ..) => format!("whole number {unit}").trim_end().to_owned(),
        (ConfigType::Bool, ..) => "true, false".to_owned(),
        (ConfigType::Text, ..) if !key.choices.is_empty() => key.choices.join(", "),
        (ConfigType::Text, ..) => "text".to_owned(),
        (ConfigType::Path, ..) => "path".to_owned(),
        (ConfigType::List, ..) => "list of texts".to_owned(),
    }
}

fn value_text(value: &ConfigValue) -> String {
    match value {
        ConfigValue::Bool(value) => value.to_string(),
        ConfigValue::Int(value) => value.to_string(),
        ConfigValue::Text(value) => format!("{value:?}"),
        ConfigValue::List(values) => format!("{values:?}"),
    }
}

fn code(text: &str) -> String {
    format!("`{}`", cell(text))
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn trim_end(mut page: String) -> String {
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}
