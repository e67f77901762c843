//! Stored rows as PromQL series.
//!
//! Cases are in `cases/series.txt`: rows as in `cases/history.txt`, selectors after `?` (with the
//! first and last second), `----`, the series found.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use plimsoll_query::promql::{Hints, Limits, MatchOp, Matcher, Selection, SeriesSource, is_stale};
use plimsoll_query::series::{StoreSource, series_names};

use super::read_rows;
use super::support::Rows;

/// Reads `from..to name="value" other=~"value"`.
fn selection(text: &str) -> Selection {
    let mut words = text.split(' ');
    let (from_s, to_s) = words.next().unwrap().split_once("..").unwrap();
    let matchers = words.map(|word| {
        let (name, value) = word.split_once(['=', '!']).unwrap();
        let op = &word[name.len()..word.len() - value.len()];
        let (op, value) = match (op, value.split_at(1)) {
            ("=", ("~", value)) => (MatchOp::Regex, value),
            ("=", _) => (MatchOp::Equal, value),
            (_, ("~", value)) => (MatchOp::NotRegex, value),
            (_, (_, value)) => (MatchOp::NotEqual, value),
        };
        Matcher::new(name, op, value.trim_matches('"')).unwrap()
    });
    Selection {
        matchers: matchers.collect(),
        first_ms: from_s.parse::<i64>().unwrap() * 1_000,
        last_ms: to_s.parse::<i64>().unwrap() * 1_000,
        hints: Hints::default(),
    }
}

fn found(rows: &Rows, text: &str, limits: &Limits) -> String {
    let source = StoreSource::new(|scan: &_| rows.scan(scan), Arc::new(AtomicBool::new(false)));
    let mut found = match source.select(&[selection(text)], limits, &|| None) {
        Ok(mut all) => all.remove(0),
        Err(error) => return format!("error: {error}\n"),
    };
    found.sort_by(|one, other| one.labels.cmp(&other.labels));
    let mut text = String::new();
    for series in found {
        let _ = write!(text, "{}", series.labels);
        for (index, (time_ms, value)) in series.times.iter().zip(&series.values).enumerate() {
            let value = if is_stale(*value) { "stale".to_owned() } else { value.to_string() };
            let _ = write!(text, " {value}@{}", *time_ms as f64 / 1_000.0);
            if let Some(start_ms) = series.starts_ms.get(index) {
                let _ = write!(text, "({})", *start_ms as f64 / 1_000.0);
            }
        }
        text.push('\n');
    }
    if text.is_empty() { "nothing\n".to_owned() } else { text }
}

#[test]
fn series_cases() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/series.txt");
    let text = std::fs::read_to_string(&path).expect("the case file is readable");
    let mut actual = Vec::new();
    for case in text.trim_end().split("\n\n") {
        let input = case.split("\n----\n").next().unwrap_or(case).trim_end_matches("\n----");
        let mut rows = Rows::default();
        rows.chunk_rows = 2;
        let mut output = String::new();
        for line in input.lines().filter(|line| !line.starts_with('#')) {
            match line.strip_prefix("? ") {
                None => read_rows(&mut rows, line),
                Some(text) => output.push_str(&found(&rows, text, &Limits::default())),
            }
        }
        actual.push(format!("{input}\n----\n{output}"));
    }
    let actual = actual.join("\n");
    if std::env::var_os("UPDATE_CASES").is_some() {
        std::fs::write(&path, &actual).expect("the case file is writable");
    }
    let expected = std::fs::read_to_string(&path).expect("the case file is readable");
    assert_eq!(actual, expected);
}

#[test]
fn limits_of_selections_are_kept() {
    let rows = super::some_rows();
    let question = "0..100 __name__=\"container_cpu_usage_seconds_total\"";
    let all = found(&rows, question, &Limits::default());
    assert_eq!(all.lines().count(), 3, "{all}");
    let few = Limits { series_max: 2, ..Limits::default() };
    assert!(found(&rows, question, &few).contains("2 series"));
    let few = Limits { samples_max: 30, ..Limits::default() };
    assert!(found(&rows, question, &few).contains("30 samples"));
}

#[test]
fn dashboards_find_the_names_they_ask_for() {
    let names = series_names();
    for name in [
        "container_cpu_usage_seconds_total",
        "container_memory_working_set_bytes",
        "container_network_receive_bytes_total",
        "container_fs_reads_bytes_total",
        "container_last_seen",
        "machine_memory_bytes",
        "node_cpu_seconds_total",
        "container_info",
    ] {
        assert!(names.contains(&name), "{name}");
    }
}
