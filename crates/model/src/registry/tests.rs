//! The schema files are whole, agree with each other, and never take anything back.
//!
//! `UPDATE_LOCK=1` appends new metrics to `schemas/metrics.lock`; `UPDATE_DOCS=1` rewrites the
//! generated pages.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::Dimension;

const LOCK_HEAD: &str = "\
# What every metric is, for ever: a test refuses a line that changed or vanished.
# New metrics: UPDATE_LOCK=1 cargo test -p plimsoll-model
# table column series kind type unit shown since
";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn registry() -> Registry {
    Registry::parse(METRIC_FILES).unwrap_or_else(|error| panic!("{}", crate::chain(&error)))
}

fn numbers(registry: &Registry) -> usize {
    registry.tables().iter().map(|table| table.metrics().len()).sum()
}

#[test]
fn every_metric_file_is_embedded_and_parses() {
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(root().join("schemas/metrics")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        files.insert(name.strip_suffix(".toml").unwrap().to_owned());
    }
    // What the server says about itself is in the same form, but no table of the store.
    assert!(files.remove("plimsoll"));
    let own = fs::read_to_string(root().join("schemas/metrics/plimsoll.toml")).unwrap();
    Registry::parse(&[("plimsoll", &own)])
        .unwrap_or_else(|error| panic!("{}", crate::chain(&error)));
    let embedded: BTreeSet<_> = METRIC_FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(files, embedded);
    assert_eq!(registry().tables().len(), Registry::embedded().tables().len());
    assert_eq!(numbers(&registry()), numbers(Registry::embedded()));
}

#[test]
fn the_other_schema_files_parse() {
    let read = |name| fs::read_to_string(root().join("schemas").join(name)).unwrap();
    assert!(!ConfigSchema::parse(&read("config.toml")).unwrap().sections().is_empty());
    assert!(!EventRules::parse(&read("events.toml")).unwrap().rules().is_empty());
    assert!(!LabelRules::parse(&read("labels.toml")).unwrap().units.is_empty());
    assert!(!RollupRules::parse(&read("rollups.toml")).unwrap().resolutions.is_empty());
}

#[test]
fn name_metrics_never_change() {
    let path = root().join("schemas/metrics.lock");
    let text = fs::read_to_string(&path).unwrap_or_default();
    let changes = compare_lock(&text, &registry());
    assert!(changes.lost.is_empty(), "lines changed or vanished:\n{}", changes.lost.join("\n"));
    if changes.new.is_empty() {
        return;
    }
    assert!(
        std::env::var_os("UPDATE_LOCK").is_some(),
        "schemas/metrics.lock lacks lines, run UPDATE_LOCK=1 cargo test -p plimsoll-model:\n{}",
        changes.new.join("\n")
    );
    let mut text = if text.is_empty() { LOCK_HEAD.to_owned() } else { text };
    for line in changes.new {
        writeln!(text, "{line}").unwrap();
    }
    fs::write(path, text).unwrap();
}

#[test]
fn name_a_changed_metric_is_lost_and_new() {
    let file = |unit: &str, more: &str| {
        format!(
            "format = 1\ntable = \"t\"\nhelp = \"T.\"\ndimensions = \"node\"\n[[metric]]\n\
             name = \"a_total\"\ncolumn = \"a\"\nkind = \"counter\"\nunit = \"{unit}\"\n\
             since = 1\nhelp = \"A.\"\n{more}"
        )
    };
    let parse = |text: &str| Registry::parse(&[("t", text)]).unwrap();
    let before = parse(&file("count", ""));
    let lock = lock_lines(&before).join("\n");
    assert_eq!(compare_lock(&lock, &before), LockChanges::default());
    let changed = compare_lock(&lock, &parse(&file("bytes", "")));
    assert_eq!(changed.lost, ["t a a_total counter int count count 1"]);
    assert_eq!(changed.new, ["t a a_total counter int bytes bytes 1"]);
    let labelled = parse(&file("count", "labels = { mode = \"x\" }\n"));
    let changed = compare_lock(&lock, &labelled);
    assert_eq!(changed.new, ["t a a_total{mode=\"x\"} counter int count count 1"]);
    assert!(Registry::parse(&[("t", &file("count", "colour = 1\n"))]).is_err());
    assert!(Registry::parse(&[("u", &file("count", ""))]).is_err());
}

#[test]
fn series_are_unique_over_all_tables() {
    let registry = registry();
    let mut seen = HashMap::new();
    for table in registry.tables() {
        for metric in table.metrics() {
            let before = seen.insert(series(metric), table.name());
            assert_eq!(before, None, "{} stands in two places", series(metric));
        }
    }
    for alias in &LabelRules::embedded().series_aliases {
        let same = registry
            .metrics_named(&alias.same_as)
            .any(|(_, m)| alias.same_labels.is_empty() || m.labels == alias.same_labels);
        assert!(same, "{} is the same as nothing", alias.name);
        let taken =
            registry.metrics_named(&alias.name).any(|(_, metric)| metric.labels == alias.labels);
        assert!(!taken, "{} is a metric's own name", alias.name);
    }
}

#[test]
fn made_series_are_made_of_columns_that_exist() {
    for made in &LabelRules::embedded().made_series {
        let registry = registry();
        let table = registry.table(&made.table).expect("the table exists");
        for column in made.plus.iter().chain(&made.minus) {
            assert!(table.metric_index(column).is_some(), "{}: {column}", made.name);
        }
        for column in made.texts.values() {
            assert!(table.column_index(column).is_some(), "{}: {column}", made.name);
        }
        assert!(matches!(made.kind.as_str(), "counter" | "gauge"), "{}", made.name);
        let exposition = &LabelRules::embedded().exposition;
        assert!([&exposition.job, &exposition.node_job].contains(&&made.job), "{}", made.name);
    }
}

#[test]
fn metrics_of_one_name_agree_on_everything_but_their_labels() {
    let registry = registry();
    for table in registry.tables() {
        for metric in table.metrics() {
            // Info-like tables show their columns under one name on purpose.
            if metric.labels.contains_key("field") {
                continue;
            }
            for (other_table, other) in registry.metrics_named(&metric.name) {
                assert_eq!(other_table.name(), table.name(), "{}", metric.name);
                assert_eq!(other.kind, metric.kind, "{}", metric.name);
                assert_eq!(other.unit, metric.unit, "{}", metric.name);
                assert_eq!(other.shown, metric.shown, "{}", metric.name);
                assert!(other.labels.keys().eq(metric.labels.keys()), "{}", metric.name);
            }
        }
    }
}

#[test]
fn units_are_known_and_end_column_names() {
    let labels = LabelRules::embedded();
    let endings = [
        ("bytes", "_bytes"),
        ("bytes_per_second", "_bytes_per_second"),
        ("nanocores", "_nano"),
        ("nanoseconds", "_nano"),
        ("microseconds", "_us"),
        ("milliseconds", "_ms"),
        ("seconds", "_s"),
    ];
    for table in registry().tables() {
        for metric in table.metrics() {
            assert!(labels.unit(&metric.unit).is_some(), "{}: {}", metric.column, metric.unit);
            if let Some(shown) = &metric.shown {
                assert!(labels.unit(&shown.unit).is_some(), "{}: {}", metric.column, shown.unit);
                assert!(shown.divide_by > 0.0 && shown.unit != metric.unit, "{}", metric.column);
            }
            let ending = endings.iter().find(|(unit, _)| *unit == metric.unit);
            let fits = ending.is_none_or(|(_, end)| metric.column.ends_with(end));
            assert!(fits, "{} is in {}", metric.column, metric.unit);
            let is_text = metric.unit == "text" || metric.unit == "json";
            assert_eq!(is_text, metric.column_type == ColumnType::Text, "{}", metric.column);
            assert!(!is_text || metric.kind == Kind::State, "{}", metric.column);
        }
    }
}

#[test]
fn names_are_names_and_helps_are_sentences() {
    let word = |text: &str| {
        let mut chars = text.chars();
        chars.next().is_some_and(|c| c.is_ascii_alphabetic())
            && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    for table in registry().tables() {
        assert!(table.help().ends_with('.'));
        for metric in table.metrics() {
            assert!(word(&metric.name) && word(&metric.column), "{}", metric.column);
            assert!(metric.column.chars().all(|c| !c.is_ascii_uppercase()), "{}", metric.column);
            assert!(metric.help.ends_with('.'), "{}: {}", metric.column, metric.help);
            assert!(metric.since >= 1);
            assert!(
                metric.kind != Kind::Gauge
                    || !metric.name.ends_with("_total")
                    || metric.column == "restarts",
                "{}",
                metric.column
            );
        }
    }
}

#[test]
fn counters_that_restart_with_a_container_have_their_epoch() {
    for name in ["container", "container_network", "container_blkio"] {
        let registry = registry();
        let table = registry.table(name).unwrap();
        let epoch = &table.metrics()[table.metric_index("started_at_ms").unwrap()];
        assert_eq!(epoch.kind, Kind::State);
        assert!(table.metrics().iter().any(|metric| metric.kind == Kind::Counter));
    }
    let registry = registry();
    let table = registry.table("container").unwrap();
    // Counts starts, so a start must not set it back.
    let restarts = &table.metrics()[table.metric_index("restarts").unwrap()];
    assert_ne!(restarts.kind, Kind::Counter);
}

#[test]
fn rollup_columns_do_not_collide() {
    let rules = RollupRules::embedded();
    for table in registry().tables() {
        let mut seen: HashSet<String> =
            (0..table.metrics_start()).map(|i| table.schema().field(i).name().clone()).collect();
        let shared = rules.shared.iter().filter(|s| table.column_index(&s.when_column).is_some());
        for metric in table.metrics() {
            // The epoch itself is rolled up as the shared columns.
            if rules.shared.iter().any(|shared| shared.when_column == metric.column) {
                continue;
            }
            let sketch = format!("{}_{}", metric.column, rules.sketch.name);
            let columns = rules.statistics(metric.kind).map(|s| s.column(metric));
            for column in columns.chain(rules.has_sketch(metric).then_some(sketch)) {
                assert!(seen.insert(column.clone()), "{}.{column}", table.name());
            }
        }
        for shared in shared {
            assert!(seen.insert(shared.statistic.clone()), "{}", shared.statistic);
        }
    }
    let registry = registry();
    assert!(rules.rolls_up(registry.table("container").unwrap()));
    assert!(!rules.rolls_up(registry.table("event").unwrap()));
    assert!(rules.resolutions.iter().any(|r| r.name == rules.sketch.resolution));
}

#[test]
fn dimensions_are_those_of_subjects() {
    let labels = LabelRules::embedded();
    let names: Vec<_> = labels.dimensions.iter().map(|d| d.name.as_str()).collect();
    let columns: Vec<_> = Dimension::CONTAINER.iter().map(|d| d.name()).collect();
    assert_eq!(names, columns);
    for state in &labels.state_series {
        let registry = registry();
        let table = registry.table("container").unwrap();
        assert!(table.metric_index(&state.column).is_some(), "{}", state.column);
        assert!(registry.metrics_named(&state.name).next().is_some(), "{}", state.name);
    }
}

#[test]
fn identity_outlives_containers() {
    let rules = LabelRules::embedded();
    let identify = |name: &'static str, labels: &'static [(&str, &str)]| {
        let found = rules.identify(name, |key| {
            labels.iter().find(|(label, _)| *label == key).map(|(_, value)| *value)
        });
        (found.stack, found.service, found.slot)
    };
    let parts = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
    let swarm = &[
        ("com.docker.stack.namespace", "shop"),
        ("com.docker.swarm.service.name", "shop_web"),
        ("com.docker.swarm.task.name", "shop_web.2.k3x8bq2"),
    ];
    assert_eq!(identify("shop_web.2.k3x8bq2", swarm), parts("shop", "web", "2"));
    let alone = &[
        ("com.docker.swarm.service.name", "cache"),
        ("com.docker.swarm.task.name", "cache.n0d3.k3x8bq2"),
    ];
    assert_eq!(identify("cache.n0d3.k3x8bq2", alone), parts("", "cache", "n0d3"));
    let compose = &[
        ("com.docker.compose.project", "blog"),
        ("com.docker.compose.service", "db"),
        ("com.docker.compose.container-number", "1"),
    ];
    assert_eq!(identify("blog-db-1", compose), parts("blog", "db", "1"));
    assert_eq!(identify("cron", &[("com.docker.compose.service", "")]), parts("", "cron", ""));
}

#[test]
fn secrets_are_known_by_key_and_by_value() {
    let redaction = &LabelRules::embedded().redaction;
    let patterns = SecretPatterns::new(redaction, &["(?i)^pin$".to_owned()]).unwrap();
    for (key, value) in [
        ("DB_PASSWORD", "x"),
        ("traefik.basicauth.users", "x"),
        ("PIN", "1234"),
        ("url", "postgres://app:s3cret@db/app"),
        ("note", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.sig"),
    ] {
        assert!(patterns.is_secret(key, value), "{key}={value}");
    }
    let rules = LabelRules::embedded();
    let parts = rules.identities.iter().flat_map(|r| [r.stack.as_ref(), Some(&r.service)]);
    for label in parts.flatten().filter_map(|part| part.label.as_deref()) {
        assert!(!patterns.is_secret(label, "web"), "{label}");
    }
    assert!(SecretPatterns::new(redaction, &["(".to_owned()]).is_err());
}

#[test]
fn event_rules_are_unique_and_found() {
    let rules = EventRules::embedded();
    let mut seen = HashSet::new();
    for rule in rules.rules() {
        assert!(seen.insert((&rule.event_type, &rule.action, &rule.detail)), "{rule:?}");
        assert!(rule.help.ends_with('.'), "{}", rule.help);
    }
    let verdict = |action, exit_code| {
        let (action, detail) = split_action(action);
        let verdict = rules.verdict("container", action, detail, exit_code);
        (verdict.keep, verdict.severity)
    };
    assert_eq!(verdict("die", Some(0)), (true, Severity::Info));
    assert_eq!(verdict("die", Some(137)), (true, Severity::Warning));
    assert_eq!(verdict("oom", None), (true, Severity::Error));
    assert_eq!(verdict("exec_create: sh -c true", None), (false, Severity::Debug));
    assert_eq!(verdict("health_status: unhealthy", None), (true, Severity::Warning));
    assert_eq!(verdict("health_status: running", None), (false, Severity::Debug));
    assert_eq!(verdict("never heard of", None), (true, Severity::Info));
}

#[test]
fn config_keys_are_whole_and_defaults_allowed() {
    let schema = ConfigSchema::embedded();
    let mut seen = HashSet::new();
    let mut keys = 0;
    for section in schema.sections() {
        for key in schema.keys(&section.name) {
            keys += 1;
            assert!(seen.insert((&key.section, &key.key)), "{}.{} twice", key.section, key.key);
            let default = key.default.as_ref();
            assert!(default.is_none_or(|value| key.allows(value)), "{}", key.key);
            let is_int = key.value_type == ConfigType::Int;
            assert_eq!(is_int, key.unit.is_some() && key.min < key.max, "{}", key.key);
            assert!(key.help.ends_with('.'), "{}: {}", key.key, key.help);
        }
    }
    let text = fs::read_to_string(root().join("schemas/config.toml")).unwrap();
    assert_eq!(keys, text.matches("[[key]]").count(), "a key of an unknown section");
    let interval = schema.key("collect", "interval_s").unwrap();
    assert_eq!(interval.default, Some(ConfigValue::Int(10)));
    assert!(!interval.allows(&ConfigValue::Int(0)) && !interval.allows(&ConfigValue::Bool(true)));
}

#[test]
fn generated_pages_are_up_to_date() {
    let pages = [
        ("metrics.md", reference_markdown(&registry())),
        ("config.md", config_markdown(ConfigSchema::embedded())),
        ("events.md", events_markdown(EventRules::embedded())),
    ];
    let folder = root().join("docs/reference");
    for (name, page) in pages {
        let path = folder.join(name);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&path, &page).unwrap();
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == page,
            "docs/reference/{name} is old, run UPDATE_DOCS=1 cargo test -p plimsoll-model"
        );
    }
}
