//! ROLL: whatever was rolled up, merged, late, repeated or restarted, windows are those a naive
//! evaluator makes of the rows themselves.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "the naive evaluator is naive on purpose"
)]

use std::collections::BTreeMap;

use plimsoll_model::{BatchBuilder, Filter, Registry, Subject, Table};
use plimsoll_window::{GAP_MAX_MS, Steps};
use proptest::prelude::*;

use super::*;
use crate::compact::bed::{Bed, DAY_MS};
use crate::scan::ScanLimits;

/// 2026-03-02 00:00 UTC.
const START_MS: i64 = 20_514 * DAY_MS;

/// A row of a history: all values optional.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Row {
    counter: Option<i64>,
    gauge: Option<i64>,
    float: Option<f64>,
    state: Option<u8>,
    epoch: Option<i64>,
}

/// Series number and time to row: what counts.
type Model = BTreeMap<(u8, i64), Row>;

fn table(name: &str) -> &'static Table {
    Registry::embedded().table(name).unwrap()
}

fn subject(series: u8) -> Subject {
    let mut subject = Subject::node("default", &format!("node-{}", series % 2));
    subject.service = format!("web{}", series % 3).into();
    subject.stack = if series.is_multiple_of(2) { "batch" } else { "shop" }.into();
    subject.container_id = format!("{series:064x}").into();
    subject
}

fn node(series: u8) -> Subject {
    Subject::node("default", &format!("node-{series}"))
}

fn push(bed: &mut Bed, rows: &[(u8, i64, Row)]) {
    let mut containers = BatchBuilder::new(table("container"));
    let mut nodes = BatchBuilder::new(table("node"));
    for (series, time_ms, row) in rows {
        containers.row(*time_ms, &subject(*series), &[]);
        containers.int("cpu_usage_us", row.counter).unwrap();
        containers.int("memory_usage_bytes", row.gauge).unwrap();
        containers.int("started_at_ms", row.epoch).unwrap();
        let word = row.state.map(|state| format!("state{state}"));
        containers.text("state", word.as_deref()).unwrap();
        nodes.row(*time_ms, &node(*series), &[]);
        nodes.float("load1", row.float).unwrap();
    }
    bed.push(&containers.finish().unwrap());
    bed.push(&nodes.finish().unwrap());
}

/// What the naive evaluator says of one step.
#[derive(Debug, Clone, PartialEq, Default)]
struct Naive {
    count: u64,
    first: Option<(i64, f64)>,
    last: Option<(i64, f64)>,
    growth: i64,
    increase: i64,
    resets: u64,
    gap_ms: i64,
    rate_max: Option<f64>,
    min: f64,
    max: f64,
    sum: i128,
    float_sum: f64,
    changes: u64,
}

type Sample = (i64, f64, Option<i64>);

fn naive(samples: &[Sample], steps: &Steps, lookback_ms: i64) -> Vec<Naive> {
    let mut out = vec![Naive { min: f64::MAX, max: f64::MIN, ..Naive::default() }; steps.len()];
    let mut before: Option<Sample> = None;
    for sample in samples {
        let (time_ms, value, epoch) = *sample;
        let step = steps.index_of(time_ms);
        if time_ms < steps.start_ms() - lookback_ms {
            continue;
        }
        let Some(at) = step else {
            before = Some(*sample).filter(|_| time_ms < steps.start_ms());
            continue;
        };
        let naive = &mut out[at];
        if let Some((from_ms, from, from_epoch)) = before {
            let restarted = matches!((from_epoch, epoch), (Some(a), Some(b)) if a != b);
            let reset = value < from || restarted;
            let growth = if reset { value } else { value - from }.max(0.0) as i64;
            naive.growth = naive.growth.saturating_add(growth);
            if naive.count > 0 {
                naive.increase = naive.increase.saturating_add(growth);
                naive.resets += u64::from(reset);
                naive.changes += u64::from(value.to_bits() != from.to_bits());
                if time_ms - from_ms > GAP_MAX_MS {
                    naive.gap_ms += time_ms - from_ms;
                }
                let rate = growth as f64 * 1000.0 / (time_ms - from_ms) as f64;
                naive.rate_max = Some(naive.rate_max.map_or(rate, |max| max.max(rate)));
            }
        }
        naive.count += 1;
        naive.first = naive.first.or(Some((time_ms, value)));
        naive.last = Some((time_ms, value));
        naive.min = naive.min.min(value);
        naive.max = naive.max.max(value);
        naive.sum += value as i128;
        naive.float_sum += value;
        before = Some(*sample);
    }
    out
}

fn near(left: f64, right: f64, scale: f64) -> bool {
    (left - right).abs() <= 1e-9 * scale.max(left.abs()).max(right.abs())
}

fn samples_of(model: &Model, series: u8, value: impl Fn(&Row) -> Option<f64>) -> Vec<Sample> {
    let rows = model.range((series, i64::MIN)..=(series, i64::MAX));
    rows.filter_map(|((_, time), row)| Some((*time, value(row)?, row.epoch))).collect()
}

fn check_steps(found: &StepWindows, expected: &[Naive], what: &str) {
    for (at, naive) in expected.iter().enumerate() {
        let seen = |time: Option<i64>, value: Option<f64>| time.zip(value);
        match found {
            StepWindows::Counter(steps) => {
                let (step, window) = (&steps[at], steps[at].window());
                assert_eq!(window.count(), naive.count, "{what}, step {at}");
                assert_eq!(step.growth(), naive.growth, "{what}, step {at}");
                assert_eq!(window.increase(), naive.increase);
                assert_eq!(window.resets(), naive.resets);
                assert_eq!(window.gap_ms(), naive.gap_ms);
                let first = window.first();
                assert_eq!(
                    seen(first.map(|s| s.time_ms), first.map(|s| s.value as f64)),
                    naive.first
                );
                let last = window.last();
                assert_eq!(seen(last.map(|s| s.time_ms), last.map(|s| s.value as f64)), naive.last);
                match (window.rate_max_per_s(), naive.rate_max) {
                    (Some(found), Some(naive)) => assert!(near(found, naive, 0.0)),
                    (found, naive) => assert_eq!(found, naive),
                }
            }
            StepWindows::Int(windows) => {
                let window = &windows[at];
                assert_eq!(window.count(), naive.count, "{what}, step {at}");
                assert_eq!(window.sum().unwrap_or(0), naive.sum);
                assert_eq!(window.changes(), naive.changes);
                assert_eq!(window.gap_ms(), naive.gap_ms);
                if naive.count > 0 {
                    assert_eq!(window.min(), Some(naive.min as i64));
                    assert_eq!(window.max(), Some(naive.max as i64));
                    assert_eq!(window.first().map(|s| (s.time_ms, s.value as f64)), naive.first);
                    assert_eq!(window.last().map(|s| (s.time_ms, s.value as f64)), naive.last);
                }
            }
            StepWindows::Float(windows) => {
                let window = &windows[at];
                assert_eq!(window.count(), naive.count, "{what}, step {at}");
                let scale = naive.max.abs().max(naive.min.abs()) * naive.count as f64;
                assert!(near(window.sum_f64().unwrap_or(0.0), naive.float_sum, scale));
                assert_eq!(window.changes(), naive.changes);
                if naive.count > 0 {
                    assert_eq!((window.min(), window.max()), (Some(naive.min), Some(naive.max)));
                }
            }
            StepWindows::State(windows) => {
                let Some(window) = &windows[at] else {
                    assert_eq!(naive.count, 0, "{what}, step {at}");
                    continue;
                };
                assert_eq!(window.count as u64, naive.count, "{what}, step {at}");
                assert_eq!(window.changes as u64, naive.changes);
                let word = |value: f64| StateValue::Text(format!("state{value}").into());
                assert_eq!(Some(&window.first), naive.first.map(|(_, v)| word(v)).as_ref());
                assert_eq!(Some(&window.last), naive.last.map(|(_, v)| word(v)).as_ref());
                assert_eq!(Some(window.first_time_ms), naive.first.map(|(time, _)| time));
                assert_eq!(Some(window.last_time_ms), naive.last.map(|(time, _)| time));
            }
        }
    }
}

/// One metric of a row.
type ValueOf = fn(&Row) -> Option<f64>;

/// Asks for every metric and compares every series; gives what was used for the counter.
fn check(bed: &Bed, model: &Model, steps: Steps, lookback_ms: i64) -> Used {
    let mut used = None;
    let asked: [(&str, &str, ValueOf); 4] = [
        ("container", "cpu_usage_us", |row| row.counter.map(|v| v as f64)),
        ("container", "memory_usage_bytes", |row| row.gauge.map(|v| v as f64)),
        ("container", "state", |row| row.state.map(f64::from)),
        ("node", "load1", |row| row.float),
    ];
    for (name, column, value) in asked {
        let table = table(name);
        let request = WindowsRequest {
            metric: table.metric_index(column).unwrap(),
            steps,
            lookback_ms,
            filter: Filter::default(),
            limits: ScanLimits::new(u64::MAX, 1000),
        };
        let answer = windows(&bed.view(table), &request).unwrap();
        assert_eq!(answer.warnings, Vec::<String>::new());
        for series in 0..4 {
            let subject = if name == "node" { node(series) } else { subject(series) };
            let samples = samples_of(model, series, value);
            let expected = naive(&samples, &steps, lookback_ms);
            let found = answer.series.iter().find(|found| found.key.subject == subject);
            let what = format!("{column} of series {series}, {:?}", answer.used);
            match found {
                Some(found) => check_steps(&found.steps, &expected, &what),
                None => assert!(expected.iter().all(|naive| naive.count == 0), "{what}"),
            }
        }
        if column == "cpu_usage_us" {
            used = Some(answer.used);
        }
    }
    used.unwrap()
}

fn row() -> impl Strategy<Value = Row> {
    (
        prop::option::weighted(0.9, 0_i64..1 << 40),
        prop::option::weighted(0.9, prop_oneof![0_i64..1 << 33, Just(1 << 61), Just(-5)]),
        prop::option::weighted(0.9, -100.0_f64..100.0),
        prop::option::weighted(0.9, 0_u8..3),
        prop::option::weighted(0.8, 0_i64..3),
    )
        .prop_map(|(counter, gauge, float, state, epoch)| Row {
            counter,
            gauge,
            float,
            state,
            epoch,
        })
}

/// What happens to a store.
#[derive(Debug, Clone)]
enum Event {
    /// Rows arrive: series, seconds since the start, row.
    Rows(Vec<(u8, i64, Row)>),
    Flush,
    /// Some of what there is to do is done.
    Work(usize),
    /// Minutes pass.
    Pass(i64),
}

fn event() -> impl Strategy<Value = Event> {
    let time = prop_oneof![
        0_i64..6 * 3600,
        // Boundaries of buckets and the day.
        (0_i64..60, -2_i64..3).prop_map(|(bucket, off)| (bucket * 300 + off).max(0)),
        86_000_i64..87_000,
    ];
    prop_oneof![
        4 => prop::collection::vec((0_u8..4, time, row()), 1..60).prop_map(Event::Rows),
        2 => Just(Event::Flush),
        2 => (1_usize..5).prop_map(Event::Work),
        2 => (10_i64..600).prop_map(Event::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// ROLL, and P7: work never changes an answer.
    #[test]
    fn roll_windows_are_those_of_the_rows(
        events in prop::collection::vec(event(), 1..25),
        asks in prop::collection::vec(
            (0_i64..8 * 3600, 1_i64..30 * 3600, prop_oneof![
                Just(300), Just(3600), Just(7200), Just(420), 60_i64..9000,
            ], any::<bool>()), 3),
    ) {
        let mut bed = Bed::new(START_MS + 6 * 3_600_000);
        let mut model = Model::new();
        for event in events {
            match event {
                Event::Rows(rows) => {
                    let rows: Vec<(u8, i64, Row)> = rows
                        .into_iter()
                        .map(|(series, second, row)| (series, START_MS + second * 1000, row))
                        .collect();
                    push(&mut bed, &rows);
                    model.extend(rows.iter().map(|(series, time, row)| ((*series, *time), *row)));
                }
                Event::Flush => bed.flush(),
                Event::Work(times) => {
                    let before = bed.content(table("container"));
                    for _ in 0..times {
                        bed.step();
                    }
                    prop_assert_eq!(before, bed.content(table("container")));
                }
                Event::Pass(minutes) => bed.now_ms += minutes * 60_000,
            }
        }
        for settled in [false, true] {
            if settled {
                bed.flush();
                bed.now_ms += 3 * DAY_MS;
                bed.settle();
                prop_assert_eq!(bed.settle(), 0);
            }
            for (from, length, step, aligned) in &asks {
                let round = if *aligned { 3600 } else { 1 };
                let start_ms = START_MS + from / round * round * 1000;
                let steps = Steps::new(start_ms, start_ms + length * 1000, step * 1000).unwrap();
                check(&bed, &model, steps, 600_000);
            }
        }
    }
}

/// A day of samples every 30 s of two series.
fn day_rows(from_ms: i64) -> Vec<(u8, i64, Row)> {
    let mut rows = Vec::new();
    for at in 0..2880_i64 {
        for series in 0..2 {
            let counter = Some(at * 1000 + i64::from(series));
            let gauge = Some(5000 + at % 17);
            let row = Row { counter, gauge, float: Some(0.5), state: Some(1), epoch: Some(7) };
            rows.push((series, from_ms + at * 30_000, row));
        }
    }
    rows
}

fn settled_day() -> (Bed, Model) {
    let mut bed = Bed::new(START_MS + DAY_MS + 3_600_000);
    let rows = day_rows(START_MS);
    push(&mut bed, &rows);
    bed.flush();
    bed.settle();
    (bed, rows.into_iter().map(|(series, time, row)| ((series, time), row)).collect())
}

#[test]
fn whole_hours_are_read_from_hours_and_edges_from_what_is_finer() {
    let (bed, model) = settled_day();
    let hours = Steps::new(START_MS + 3_600_000, START_MS + 9 * 3_600_000, 3_600_000).unwrap();
    let used = check(&bed, &model, hours, 0);
    assert_eq!(used.span_ms.keys().copied().collect::<Vec<_>>(), [Resolution::Hour]);
    let fives = Steps::new(START_MS + 300_000, START_MS + 4 * 3_600_000, 900_000).unwrap();
    let used = check(&bed, &model, fives, 0);
    assert_eq!(used.span_ms.keys().copied().collect::<Vec<_>>(), [Resolution::FiveMinutes]);
    let odd = Steps::new(START_MS + 1_234_567, START_MS + 20_000_000, 18_765_433).unwrap();
    let used = check(&bed, &model, odd, 0);
    assert_eq!(used.span_ms.len(), 3, "{used:?}");
    assert!(used.span_ms[&Resolution::Raw] < 2 * 300_000);
    assert!(used.span_ms[&Resolution::FiveMinutes] < 2 * 3_600_000);
    let fine = Steps::new(START_MS, START_MS + 3_600_000, 60_000).unwrap();
    let used = check(&bed, &model, fine, 0);
    assert_eq!(used.span_ms.keys().copied().collect::<Vec<_>>(), [Resolution::Raw]);
}

#[test]
fn late_rows_make_their_buckets_stale_until_they_are_made_again() {
    let (mut bed, mut model) = settled_day();
    let late_ms = START_MS + 5 * 3_600_000 + 61_000;
    let row = Row { counter: Some(1), gauge: Some(9), epoch: Some(8), ..Row::default() };
    let hours = Steps::new(START_MS, START_MS + DAY_MS, 3_600_000).unwrap();
    push(&mut bed, &[(0, late_ms, row)]);
    model.insert((0, late_ms), row);
    let in_head = check(&bed, &model, hours, 0);
    assert_eq!(in_head.span_ms[&Resolution::Hour], 23 * 3_600_000);
    bed.flush();
    let in_segment = check(&bed, &model, hours, 0);
    assert_eq!(in_segment, in_head);
    bed.now_ms += 3_600_000;
    assert!(bed.settle() > 0);
    let after = check(&bed, &model, hours, 0);
    assert_eq!(after.span_ms[&Resolution::Hour], DAY_MS);
    assert_eq!(after.span_ms.len(), 1);
}

#[test]
fn expired_raw_rows_leave_rollups_and_a_warning_at_the_edges() {
    let (mut bed, model) = settled_day();
    bed.now_ms = START_MS + 20 * DAY_MS;
    bed.settle();
    assert!(bed.entries.iter().all(|entry| entry.resolution != Resolution::Raw));
    let hours = Steps::new(START_MS, START_MS + DAY_MS, 3_600_000).unwrap();
    check(&bed, &model, hours, 0);
    let odd = Steps::new(START_MS + 60_000, START_MS + DAY_MS, 3_600_000).unwrap();
    let table = table("container");
    let request = WindowsRequest {
        metric: table.metric_index("memory_usage_bytes").unwrap(),
        steps: odd,
        lookback_ms: 0,
        filter: Filter::default(),
        limits: ScanLimits::new(u64::MAX, 1000),
    };
    let answer = windows(&bed.view(table), &request).unwrap();
    assert_eq!(answer.warnings.len(), 1, "{:?}", answer.warnings);
    let StepWindows::Int(windows) = &answer.series[0].steps else { panic!("gauge") };
    let samples: u64 = windows.iter().map(plimsoll_window::GaugeWindow::count).sum();
    assert_eq!(samples, 2880 - 10, "all but the bucket that began before the range");
}
