//! What questions about stored rows are answered with.
//!
//! Cases of history are in `cases/history.txt`, separated by blank lines: rows, a question,
//! `----`, the answer. A row is `table dimension=value.. @time column=value..` with times in
//! seconds; `@0..60/10 column=5+2` stands for the rows at 0, 10 .. 60 with 5, 7 .. 17. A question
//! begins with `?`. `UPDATE_CASES=1` rewrites the answers.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "made-up numbers are far below 2^53"
)]
#![expect(clippy::float_cmp, reason = "equal questions give equal bits")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

mod laws;
mod naive;
mod series;
mod support;

use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::Ordering;

use plimsoll_model::{ColumnType, ErrorClass};
use plimsoll_query::history::{HistoryAnswer, HistoryRequest, QueryError, history_of};
use support::{Cell, Row, Rows, key, limits, table};

const NOW_MS: i64 = 1_795_161_600_000;

fn request(query: &str) -> HistoryRequest {
    let pair = |part: &str| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        (name.to_owned(), value.to_owned())
    };
    let pairs: Vec<(String, String)> = query.split('&').map(pair).collect();
    HistoryRequest::parse(&pairs, NOW_MS).expect("the question is one")
}

fn ask(rows: &Rows, query: &str) -> Result<HistoryAnswer, QueryError> {
    history_of(|scan| rows.scan(scan), &request(query), &limits())
}

/// Adds the rows of one line.
fn read_rows(rows: &mut Rows, line: &str) {
    let (subject, cells) = line.split_once(" @").expect("a row has a time");
    let mut words = subject.split(' ');
    let table = table(words.next().expect("a row has a table"));
    let key = key(table, words.map(|word| word.split_once('=').expect("name=value")));
    let (times, cells) = cells.split_once(' ').expect("a row has values");
    let (range, every_s) = times.split_once('/').unwrap_or((times, "1"));
    let (from_s, to_s) = range.split_once("..").unwrap_or((range, range));
    let number = |text: &str| text.parse::<i64>().expect("a number");
    let times = (number(from_s)..=number(to_s)).step_by(number(every_s) as usize);
    for (position, time_s) in (0_i64..).zip(times) {
        let cells = cells.split(' ').map(|cell| {
            let (column, value) = cell.split_once('=').expect("column=value");
            let (first, each) = value.split_once('+').unwrap_or((value, "0"));
            let metric = table.metric_index(column).map(|index| &table.metrics()[index]);
            let value = match metric.expect("the column exists").column_type {
                ColumnType::Text => Cell::Text(value.to_owned()),
                ColumnType::Float => Cell::Float(value.parse().expect("a number")),
                ColumnType::Int => Cell::Int(number(first) + position * number(each)),
            };
            (column.to_owned(), value)
        });
        rows.add(table, &key, Row { time_ms: time_s * 1_000, cells: cells.collect() });
    }
}

fn written(answer: &HistoryAnswer) -> String {
    let mut text = format!("{} of {} rows", answer.label_names.join(","), answer.rows);
    let _ = match answer.coverage {
        Some(coverage) => writeln!(text, ", {coverage:.3} covered"),
        None => writeln!(text, ", nothing matched"),
    };
    for group in &answer.groups {
        let value = |value: &Option<f64>| value.map_or("-".to_owned(), |value| value.to_string());
        let values: Vec<String> = group.values.iter().map(value).collect();
        let labels = group.labels.join(",");
        let _ = write!(text, "{labels}: {} {}", values.join(" "), group.unit);
        let _ = match group.coverage {
            1.0 => writeln!(text),
            coverage => writeln!(text, ", {coverage:.3} covered"),
        };
    }
    for gap in &answer.gaps {
        let _ = writeln!(text, "nothing from {} to {} s", gap.start_ms / 1_000, gap.end_ms / 1_000);
    }
    for gap in &answer.series_gaps {
        let (from_s, to_s) = (gap.range.start_ms / 1_000, gap.range.end_ms / 1_000);
        let _ = writeln!(text, "no samples from {from_s} to {to_s} s of {:?}", gap.labels);
    }
    for warning in &answer.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    text
}

fn solved(input: &str) -> String {
    let mut rows = Rows::default();
    rows.chunk_rows = 3;
    let mut text = String::new();
    for line in input.lines().filter(|line| !line.starts_with('#')) {
        match line.strip_prefix("? ") {
            None => read_rows(&mut rows, line),
            Some(query) => match ask(&rows, query) {
                Ok(answer) => text.push_str(&written(&answer)),
                Err(error) => {
                    let _ = writeln!(text, "error: {error}");
                }
            },
        }
    }
    text
}

#[test]
fn history_cases() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/history.txt");
    let text = std::fs::read_to_string(&path).expect("the case file is readable");
    let mut actual = Vec::new();
    for case in text.trim_end().split("\n\n") {
        let input = case.split("\n----\n").next().unwrap_or(case).trim_end_matches("\n----");
        actual.push(format!("{input}\n----\n{}", solved(input)));
    }
    let actual = actual.join("\n");
    if std::env::var_os("UPDATE_CASES").is_some() {
        std::fs::write(&path, &actual).expect("the case file is writable");
    }
    let expected = std::fs::read_to_string(&path).expect("the case file is readable");
    assert_eq!(actual, expected);
}

fn some_rows() -> Rows {
    let mut rows = Rows::default();
    for name in ["a", "b", "c"] {
        let line = "@0..100/10 cpu_usage_us=0+1000000";
        read_rows(&mut rows, &format!("container service=web container_id={name} {line}"));
    }
    rows
}

const QUESTION: &str = "metric=cpu&by=container_id&from=0&to=100&step=10s";

#[test]
fn limits_are_kept_and_named() {
    let rows = some_rows();
    let ask = |change: &dyn Fn(&mut plimsoll_query::history::HistoryLimits)| {
        let mut limits = limits();
        change(&mut limits);
        history_of(|scan| rows.scan(scan), &request(QUESTION), &limits)
    };
    assert!(ask(&|limits| limits.points_max = 30).is_ok());
    let error = ask(&|limits| limits.points_max = 29).unwrap_err();
    assert_eq!((error.class(), error.to_string().contains("29")), (ErrorClass::Limited, true));
    let error = ask(&|limits| limits.rows_max = 29).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Limited);
    assert!(plimsoll_model::chain(&error).contains("29"), "{error}");
    let error = ask(&|limits| limits.stop.store(true, Ordering::Relaxed)).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Busy);
}

#[test]
fn no_rows_are_no_groups() {
    let answer = ask(&Rows::default(), QUESTION).unwrap();
    assert_eq!((answer.groups.len(), answer.times_ms.len()), (0, 10));
    assert_eq!((answer.coverage, answer.unit.as_str()), (None, "cores"));
}
