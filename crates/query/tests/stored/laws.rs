//! Laws of history answers, on made-up rows: restarts, resets, gaps, nulls, several devices.

use std::collections::BTreeMap;

use plimsoll_query::history::{HistoryAnswer, history_of};
use proptest::prelude::*;

use super::naive::{self, Sample, Values};
use super::support::{Cell, Row, Rows, key, limits, table};

/// First time of made-up rows.
const START_MS: i64 = 1_000_000_000;

/// What happens before a row.
#[derive(Debug, Clone, Copy)]
struct Event {
    after_ms: i64,
    growth: i64,
    is_null: bool,
    is_reset: bool,
    is_restart: bool,
}

fn event(gaps: bool) -> impl Strategy<Value = Event> {
    let longest_ms: i64 = if gaps { 900_000 } else { 250_000 };
    let after_ms = prop_oneof![20 => 500..20_000_i64, 1 => 20_000_i64..longest_ms];
    let odds = (0..8_u8, 0..16_u8, 0..12_u8);
    (after_ms, 0..5_000_000_i64, odds).prop_map(|(after_ms, growth, odds)| Event {
        after_ms,
        growth,
        is_null: odds.0 == 0,
        is_reset: odds.1 == 0,
        is_restart: odds.2 == 0,
    })
}

/// The rows of one container: all its devices share times and restarts.
fn container(
    service: &'static str,
    container: &'static str,
    gaps: bool,
) -> impl Strategy<Value = Vec<Sample>> {
    let events = prop::collection::vec((event(gaps), 0..5_000_000_i64), 0..40);
    let born_ms = prop_oneof![1..2_000_i64, 2_000..400_000_i64];
    (events, any::<bool>(), born_ms, 1..=2_usize).prop_map(
        move |(events, knows_start, born_ms, devices)| {
            let mut samples = Vec::new();
            let (mut time_ms, mut values) = (START_MS, [0_i64; 2]);
            let mut started_ms = START_MS - born_ms;
            for (event, other_growth) in events {
                let before_ms = time_ms;
                time_ms += event.after_ms;
                if event.is_reset || event.is_restart {
                    values = [0; 2];
                }
                if event.is_restart {
                    started_ms = before_ms + event.after_ms / 2;
                }
                values[0] += event.growth;
                values[1] += other_growth;
                for (index, value) in values.iter().take(devices).enumerate() {
                    samples.push(Sample {
                        service,
                        container,
                        device: format!("d{index}"),
                        time_ms,
                        started_ms: knows_start.then_some(started_ms),
                        value: (!event.is_null || index == 1).then_some(*value),
                    });
                }
            }
            samples
        },
    )
}

fn fleet(gaps: bool) -> impl Strategy<Value = Vec<Sample>> {
    let all = (container("web", "w1", gaps), container("web", "w2", gaps));
    (all, container("db", "d1", gaps)).prop_map(|((one, two), three)| [one, two, three].concat())
}

/// The metric asked for, and its table and column.
const METRICS: &[(&str, &str, &str)] = &[
    ("container_blkio.read_bytes", "container_blkio", "read_bytes"),
    ("container_blkio.io_queued", "container_blkio", "io_queued"),
    ("container_blkio.io_time_us", "container_blkio", "io_time_us"),
];

fn stored(samples: &[Sample], table_name: &str, column: &str, chunk_rows: usize) -> Rows {
    let mut rows = Rows::default();
    rows.chunk_rows = chunk_rows;
    let table = table(table_name);
    for sample in samples {
        let (service, container) = (sample.service, sample.container);
        let pairs = [
            ("service", service),
            ("container", container),
            ("container_id", container),
            ("device", sample.device.as_str()),
        ];
        let mut cells = BTreeMap::new();
        if let Some(value) = sample.value {
            cells.insert(column.to_owned(), Cell::Int(value));
        }
        if let Some(started_ms) = sample.started_ms {
            cells.insert("started_at_ms".to_owned(), Cell::Int(started_ms));
        }
        rows.add(table, &key(table, pairs), Row { time_ms: sample.time_ms, cells });
    }
    rows
}

#[derive(Debug, Clone)]
struct Question {
    metric: &'static (&'static str, &'static str, &'static str),
    by: &'static str,
    stat: &'static str,
    across: &'static str,
    from_ms: i64,
    step_s: i64,
    steps: i64,
    chunk_rows: usize,
}

impl Question {
    fn ask(&self, samples: &[Sample], steps: std::ops::Range<i64>) -> (HistoryAnswer, Values) {
        let (metric, table, column) = self.metric;
        let at_s = |step: i64| (self.from_ms + step * self.step_s * 1_000) as f64 / 1_000.0;
        let query = format!(
            "metric={metric}&by={}&stat={}&across={}&from={}&to={}&step={}s",
            self.by,
            self.stat,
            self.across,
            at_s(steps.start),
            at_s(steps.end),
            self.step_s
        );
        let request = super::request(&query);
        let rows = stored(samples, table, column, self.chunk_rows);
        let answer = history_of(|scan| rows.scan(scan), &request, &limits()).unwrap();
        (answer, naive::answer(samples, &request))
    }
}

fn question() -> impl Strategy<Value = Question> {
    let words = (
        prop::sample::select(METRICS),
        prop::sample::select(&["service", "container", ""][..]),
        prop::sample::select(&["avg", "min", "max", "sum", "p50", "p90", "p99"][..]),
        prop::sample::select(&["sum", "avg", "max"][..]),
    );
    let numbers = (-100_000..400_000_i64, 1..400_i64, 2..12_i64, 0..7_usize);
    (words, numbers).prop_map(|((metric, by, stat, across), (from_ms, step_s, steps, chunk))| {
        let from_ms = START_MS + from_ms;
        let metric = METRICS.iter().find(|of| **of == metric).unwrap();
        Question { metric, by, stat, across, from_ms, step_s, steps, chunk_rows: chunk }
    })
}

fn values(answer: &HistoryAnswer) -> Values {
    let groups = answer.groups.iter();
    groups.map(|group| (group.labels.join(","), group.values.clone())).collect()
}

fn close(left: Option<f64>, right: Option<f64>) -> bool {
    match (left, right) {
        (Some(left), Some(right)) => {
            (left - right).abs() <= 1e-9 * left.abs().max(right.abs()).max(1.0)
        }
        (left, right) => left == right,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Every value is what brute force over all pairs says.
    #[test]
    fn values_are_what_brute_force_says(samples in fleet(true), question in question()) {
        let (answer, expected) = question.ask(&samples, 0..question.steps);
        let found = values(&answer);
        prop_assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
        for (label, expected) in &expected {
            let found = &found[label];
            let same = found.iter().zip(expected).all(|(found, expected)| close(*found, *expected));
            prop_assert!(same && found.len() == expected.len(), "{label}: {found:?}, {expected:?}");
        }
        for group in &answer.groups {
            prop_assert!((0.0..=1.0).contains(&group.coverage));
        }
    }

    /// Cutting the range on the grid changes no value: rates even across gaps, sums without.
    #[test]
    fn a_cut_range_gives_the_same_values(
        (samples, has_gaps) in prop_oneof![
            (fleet(true), Just(true)),
            (fleet(false), Just(false)),
        ],
        question in question(),
        cut in 1..11_i64,
    ) {
        prop_assume!(!has_gaps || question.stat != "sum");
        prop_assume!(cut < question.steps);
        let whole = values(&question.ask(&samples, 0..question.steps).0);
        let earlier = values(&question.ask(&samples, 0..cut).0);
        let later = values(&question.ask(&samples, cut..question.steps).0);
        let none = |steps: i64| vec![None; steps as usize];
        for (label, whole) in &whole {
            let mut joined = earlier.get(label).cloned().unwrap_or_else(|| none(cut));
            let rest = later.get(label).cloned();
            joined.extend(rest.unwrap_or_else(|| none(question.steps - cut)));
            prop_assert_eq!(whole, &joined, "{}", label);
        }
    }

    /// GROW: growth is never negative, and its sum over steps does not depend on the steps.
    #[test]
    fn grow_sums_over_steps_are_the_growth_of_the_range(
        samples in fleet(true),
        question in question(),
    ) {
        let metric = &METRICS[0];
        let question = Question { metric, stat: "sum", across: "sum", by: "", ..question };
        let whole = Question { step_s: question.step_s * question.steps, ..question.clone() };
        let sum = |question: &Question, steps: i64| -> f64 {
            let (answer, _) = question.ask(&samples, 0..steps);
            let groups = answer.groups.iter();
            let values = groups.flat_map(|group| group.values.iter().flatten().copied());
            let values: Vec<f64> = values.collect();
            assert!(values.iter().all(|value| *value >= 0.0));
            values.iter().sum()
        };
        prop_assert_eq!(sum(&whole, 1), sum(&question, question.steps));
    }
}
