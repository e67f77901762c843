//! History questions: what URL parameters mean, or why they are refused.
//!
//! Cases are in `cases/history_request.txt`: the query, `----`, what was understood; separated by
//! blank lines. `UPDATE_CASES=1` rewrites the expected half.

use std::fmt::Write as _;
use std::path::Path;

use plimsoll_query::history::{GroupLabel, HistoryRequest};
use plimsoll_query::time::{format_duration_ms, format_time_ms};

/// 2026-11-20T08:00:00Z.
const NOW_MS: i64 = 1_795_161_600_000;

fn pairs(query: &str) -> Vec<(String, String)> {
    let pair = |part: &str| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        (name.to_owned(), value.to_owned())
    };
    query.split('&').filter(|part| !part.is_empty()).map(pair).collect()
}

fn understood(query: &str) -> String {
    let request = match HistoryRequest::parse(&pairs(query), NOW_MS) {
        Ok(request) => request,
        Err(error) => return format!("error: {error}\n"),
    };
    let metric = &request.metric;
    let columns: Vec<&str> =
        metric.metrics.iter().map(|index| metric.table.metrics()[*index].column.as_str()).collect();
    let by: Vec<&str> = request.by.iter().map(|label| label.name(metric.table)).collect();
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{:?} of {}.{} / {} in {}",
        metric.reading,
        metric.table.name(),
        columns.join("+"),
        metric.divide_by,
        metric.unit
    );
    let containers = request.by.iter().filter(|label| matches!(label, GroupLabel::Container(_)));
    let _ = writeln!(text, "by {} ({} container labels)", by.join(","), containers.count());
    for matcher in request.filter.matchers() {
        let _ = writeln!(text, "where {matcher}");
    }
    for matcher in request.label_filters.matchers() {
        let _ = writeln!(text, "where label {matcher}");
    }
    let _ = writeln!(
        text,
        "{} to {} every {}, {:?} across {:?}",
        format_time_ms(request.range.start_ms),
        format_time_ms(request.range.end_ms),
        format_duration_ms(request.step_ms),
        request.stat,
        request.across
    );
    text
}

#[test]
fn history_request_cases() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/history_request.txt");
    let text = std::fs::read_to_string(&path).expect("the case file is readable");
    let mut actual = Vec::new();
    for case in text.trim_end().split("\n\n") {
        let input = case.split("\n----\n").next().unwrap_or(case).trim_end_matches("\n----");
        let query: String = input.lines().filter(|line| !line.starts_with('#')).collect();
        actual.push(format!("{input}\n----\n{}", understood(&query)));
    }
    let actual = actual.join("\n");
    if std::env::var_os("UPDATE_CASES").is_some() {
        std::fs::write(&path, &actual).expect("the case file is writable");
    }
    let expected = std::fs::read_to_string(&path).expect("the case file is readable");
    assert_eq!(actual, expected);
}

proptest::proptest! {
    #[test]
    fn no_parameter_is_a_panic(name in "\\PC{0,12}", value in "\\PC{0,24}") {
        for name in [name.as_str(), "metric", "by", "from", "to", "step", "stat", "service"] {
            let pairs = [("metric".to_owned(), "cpu".to_owned()), (name.to_owned(), value.clone())];
            let _ = HistoryRequest::parse(&pairs, NOW_MS);
            let _ = HistoryRequest::parse(&pairs[1..], NOW_MS);
        }
    }
}
