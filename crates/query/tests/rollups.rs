//! Laws of history answers read from windows: they are those of the raw rows.
//!
//! A store on disk gets random rows of two days (restarts, gaps, nulls, a renamed container,
//! several devices), is flushed and compacted a day later, and answers each question twice.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap,
    reason = "made-up numbers are far below 2^53"
)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;
use plimsoll_model::time::ManualClock;
use plimsoll_model::{BatchBuilder, Registry, Subject};
use plimsoll_query::history::{HistoryAnswer, HistoryLimits, HistoryRequest, history, history_of};
use plimsoll_store::{Appended, Store, StoreOptions};
use plimsoll_wire::{FrameId, SenderId, encode};
use tempfile::TempDir;

const DAY_MS: i64 = 86_400_000;
const MINUTE_MS: i64 = 60_000;
/// 2026-03-02 00:00 UTC.
const START_MS: i64 = 20_514 * DAY_MS;
/// End of the rows.
const END_MS: i64 = START_MS + DAY_MS + DAY_MS / 2;

/// A row of random numbers, the same for the same seed (xorshift64*).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, end: i64) -> i64 {
        (self.next() >> 1) as i64 % end
    }

    fn one_in(&mut self, odds: i64) -> bool {
        self.below(odds) == 0
    }
}

/// Rows of three tables that are being made.
struct Made {
    containers: BatchBuilder,
    blkio: BatchBuilder,
    nodes: BatchBuilder,
}

impl Made {
    fn new() -> Self {
        let builder = |name| BatchBuilder::new(Registry::embedded().table(name).unwrap());
        Self {
            containers: builder("container"),
            blkio: builder("container_blkio"),
            nodes: builder("node"),
        }
    }

    fn frames(self, sequence: &mut u64) -> Vec<Bytes> {
        let batches = [self.containers, self.blkio, self.nodes].into_iter();
        let batches = batches.filter(|batch| batch.num_rows() > 0);
        let frame = |batch: BatchBuilder| {
            *sequence += 1;
            let id = FrameId { sender: SenderId([1; 16]), epoch: 1, sequence: *sequence };
            Bytes::from(encode(&batch.finish().unwrap(), id).unwrap())
        };
        batches.map(frame).collect()
    }
}

fn subject(index: i64, time_ms: i64) -> Subject {
    let mut subject = Subject::node("default", "node-1");
    // Container 2 is renamed at noon.
    let is_renamed = index == 2 && time_ms >= START_MS + DAY_MS / 2;
    let service = if is_renamed { 7 } else { index % 3 };
    subject.service = format!("web{service}").into();
    subject.container = format!("c{index}-{service}").into();
    subject.container_id = format!("{index:064x}").into();
    subject
}

/// The frames of one container (and node) over all of the time.
fn frames(index: i64, random: &mut Random, sequence: &mut u64) -> Vec<Bytes> {
    let mut frames = Vec::new();
    let mut made = Made::new();
    let mut time_ms = START_MS + random.below(6 * 3_600_000);
    let mut started_ms = time_ms - random.below(400_000);
    let mut values = [0_i64; 3];
    while time_ms < END_MS {
        let who = subject(index, time_ms);
        let epoch = (!random.one_in(60)).then_some(started_ms);
        let report = |random: &mut Random, value| (!random.one_in(12)).then_some(value);
        made.containers.row(time_ms, &who, &[]);
        made.containers.int("cpu_usage_us", report(random, values[0])).unwrap();
        let bytes = random.below(1 << 34);
        made.containers.int("memory_usage_bytes", report(random, bytes)).unwrap();
        made.containers.int("started_at_ms", epoch).unwrap();
        for (device, value) in ["sda", "sdb"].iter().zip([values[1], values[2]]) {
            if random.one_in(20) {
                continue;
            }
            made.blkio.row(time_ms, &who, &[device]);
            made.blkio.int("read_bytes", report(random, value)).unwrap();
            let queued = random.below(40);
            made.blkio.int("io_queued", report(random, queued)).unwrap();
            made.blkio.int("started_at_ms", epoch).unwrap();
        }
        made.nodes.row(time_ms, &Subject::node("default", &format!("node-{index}")), &[]);
        made.nodes.float("load1", Some(random.below(100_000) as f64 / 977.0)).unwrap();
        let before_ms = time_ms;
        time_ms += 20_000 + random.below(40_000);
        time_ms += if random.one_in(150) { random.below(3 * 3_600_000) } else { 0 };
        if random.one_in(80) {
            values = [0; 3];
            started_ms = time_ms - random.below(time_ms - before_ms) - 1;
        }
        for value in &mut values {
            *value += random.below(60_000_000);
        }
        if made.containers.num_rows() >= 1_000 {
            frames.extend(std::mem::replace(&mut made, Made::new()).frames(sequence));
        }
    }
    frames.extend(made.frames(sequence));
    frames
}

struct Bed {
    store: Store,
    clock: Arc<ManualClock>,
    _dir: TempDir,
}

/// A store with rows, flushed, and compacted a day after the last row.
async fn bed(seed: u64) -> Bed {
    let dir = TempDir::new().unwrap();
    let clock = Arc::new(ManualClock::new(END_MS));
    let mut options = StoreOptions::new(dir.path());
    options.disk_free_bytes_min = 0;
    options.compact_interval = None;
    options.retention.raw = Duration::from_hours(96);
    let store = Store::open(options, clock.clone()).unwrap();
    let (mut random, mut sequence) = (Random(seed), 0);
    for index in 0..4 {
        let frames = frames(index, &mut random, &mut sequence);
        for answer in store.append(frames).await.unwrap() {
            assert!(matches!(answer, Appended::New { .. }), "{answer:?}");
        }
    }
    store.flush().await.unwrap();
    clock.set_ms(END_MS + DAY_MS);
    assert!(store.compact().unwrap() > 0);
    Bed { store, clock, _dir: dir }
}

fn limits() -> HistoryLimits {
    HistoryLimits {
        series_max: 1_000,
        rows_max: 1_000_000,
        points_max: 100_000,
        stop: Arc::new(AtomicBool::new(false)),
    }
}

/// A question with its words for a message.
fn question(words: &[(&str, &str)], range_ms: (i64, i64)) -> HistoryRequest {
    let mut pairs: Vec<(String, String)> =
        words.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let time = |time_ms: i64| format!("{}.{:03}", time_ms / 1_000, time_ms % 1_000);
    pairs.push(("from".to_owned(), time(range_ms.0)));
    pairs.push(("to".to_owned(), time(range_ms.1)));
    HistoryRequest::parse(&pairs, END_MS + DAY_MS).expect("the question is one")
}

/// Numbers that are equal: to the bit when they are of integers.
fn same(left: Option<f64>, right: Option<f64>, is_float: bool) -> bool {
    match (left, right) {
        (Some(left), Some(right)) if is_float => {
            (left - right).abs() <= 1e-9 * left.abs().max(right.abs()).max(1.0)
        }
        (left, right) => left == right,
    }
}

fn assert_same(found: &HistoryAnswer, expected: &HistoryAnswer, is_float: bool, what: &str) {
    assert_eq!(found.times_ms, expected.times_ms, "{what}");
    let labels = |answer: &HistoryAnswer| -> Vec<Vec<String>> {
        answer.groups.iter().map(|group| group.labels.clone()).collect()
    };
    assert_eq!(labels(found), labels(expected), "{what}");
    // Windows tell how far apart samples are only on average.
    let length_ms = found.step_ms * found.times_ms.len() as i64;
    let slack = 0.03 + 240_000.0 / length_ms as f64;
    for (found, expected) in found.groups.iter().zip(&expected.groups) {
        let pairs = found.values.iter().zip(&expected.values).enumerate();
        for (step, (found, expected)) in pairs {
            assert!(same(*found, *expected, is_float), "{what}, {step}: {found:?} {expected:?}");
        }
        let apart = found.coverage - expected.coverage;
        assert!(apart.abs() < slack, "{what}: {apart} of {}", expected.coverage);
    }
    // Gaps inside single steps are not taken off.
    let apart = found.coverage.unwrap_or(0.0) - expected.coverage.unwrap_or(0.0);
    assert!(apart > -slack, "{what}: {:?} {:?}", found.coverage, expected.coverage);
}

/// Metric, what to group by, and whether its values are floating point.
const METRICS: &[(&str, &str, bool)] = &[
    ("cpu", "service", false),
    ("container.cpu_usage_us", "container", false),
    ("container.memory_usage_bytes", "container", false),
    ("container.memory_usage_bytes", "", false),
    ("io", "service", false),
    ("container_blkio.read_bytes", "container,device", false),
    ("container_blkio.io_queued", "container,device", false),
    ("container_blkio.io_queued", "container", false),
    ("node.load1", "node", true),
];

#[tokio::test]
async fn roll_answers_are_those_of_the_raw_rows() {
    let mut resolutions = BTreeSet::new();
    for seed in [3, 2_026] {
        let bed = bed(seed).await;
        let mut random = Random(seed);
        let hour_ms = 60 * MINUTE_MS;
        for (metric, by, is_float) in METRICS {
            for (step, step_ms) in [("5m", 5), ("10m", 10), ("1h", 60), ("90m", 90), ("1d", 1_440)]
            {
                let step_ms = step_ms * MINUTE_MS;
                for stat in ["avg", "min", "max", "sum"] {
                    let is_aligned = random.one_in(2);
                    let from_ms = START_MS + random.below(20) * hour_ms;
                    let from_ms = from_ms + if is_aligned { 0 } else { random.below(hour_ms) };
                    let steps = 1 + random.below((END_MS - from_ms) / step_ms + 1);
                    let steps = if is_aligned { steps } else { steps.min(1 + random.below(20)) };
                    let range_ms = (from_ms, from_ms + steps * step_ms);
                    let words = [("metric", *metric), ("by", by), ("step", step), ("stat", stat)];
                    let request = question(&words, range_ms);
                    let found = history(&bed.store, &request, &limits()).unwrap();
                    let raw = history_of(|scan| bed.store.scan(scan), &request, &limits()).unwrap();
                    let what = format!("seed {seed}, {words:?} {range_ms:?} {}", found.resolution);
                    assert_same(&found, &raw, *is_float, &what);
                    assert!(
                        found.rows <= raw.rows * 4 + 500,
                        "{what}: {} {}",
                        found.rows,
                        raw.rows
                    );
                    if *metric == "cpu" && is_aligned && steps > 1 && stat != "min" {
                        assert_ne!(found.resolution, "raw", "{what}");
                        assert!(found.rows < raw.rows.max(50) / 2, "{what}: {}", found.rows);
                    }
                    resolutions.insert(found.resolution);
                }
            }
        }
        bed.store.close().await.unwrap();
    }
    let resolutions: Vec<&str> = resolutions.iter().map(String::as_str).collect();
    assert_eq!(resolutions, ["1h", "5m", "raw"]);
}

/// What was said before raw rows went is still said; what is not kept has a sentence.
#[tokio::test]
async fn expired_raw_rows_leave_what_windows_keep() {
    let bed = bed(11).await;
    let range_ms = (START_MS, START_MS + DAY_MS);
    let ask = |metric: &str, by: &str, stat: &str, step: &str| {
        let words = [("metric", metric), ("by", by), ("stat", stat), ("step", step)];
        history(&bed.store, &question(&words, range_ms), &limits()).unwrap()
    };
    let all = |step: &str| -> Vec<HistoryAnswer> {
        let kept = [
            ("cpu", "container", "avg"),
            ("cpu", "container", "sum"),
            ("container.memory_usage_bytes", "container", "min"),
            ("container.memory_usage_bytes", "container", "max"),
            ("io", "service", "avg"),
            ("container_blkio.io_queued", "container", "sum"),
        ];
        kept.iter().map(|(metric, by, stat)| ask(metric, by, stat, step)).collect()
    };
    let before = all("1h");
    let max = ask("container_blkio.io_queued", "service", "max", "1h");
    assert_eq!((max.resolution.as_str(), max.warnings.len()), ("raw", 0));
    // All raw rows of the first 18 hours are past their age.
    bed.clock.set_ms(START_MS + 18 * 3_600_000 + 4 * DAY_MS);
    let after = all("1h");
    for (found, expected) in after.iter().zip(&before) {
        assert_same(found, expected, false, &found.metric);
    }
    let found = ask("container_blkio.io_queued", "service", "max", "1h");
    assert_eq!(found.resolution, "1h");
    let sentence = found.warnings.last().unwrap();
    assert!(sentence.contains("past their age: in steps before, max is the sum"), "{sentence}");
    for (found, expected) in found.groups.iter().zip(&max.groups) {
        let pairs = found.values.iter().zip(&expected.values).enumerate();
        for (step, (found, expected)) in pairs {
            assert!(*found >= *expected, "{step}: {found:?} {expected:?}");
            assert!(step <= 18 || found == expected, "{step}: {found:?} {expected:?}");
        }
    }
    let found = ask("cpu", "container", "min", "1h");
    let sentence = &found.warnings[0];
    assert!(sentence.ends_with("windows do not keep the slowest rate"), "{sentence}");
    assert!(found.groups.iter().all(|group| group.values[..18].iter().all(Option::is_none)));
    let found = ask("cpu", "container", "p95", "1h");
    assert!(found.warnings[0].ends_with("windows do not keep p95"), "{:?}", found.warnings);
    // Steps shorter than a window get the windows that begin in them.
    let found = ask("cpu", "", "sum", "1m");
    assert_eq!(found.resolution, "5m");
    assert!(!found.warnings.is_empty());
    bed.store.close().await.unwrap();
}
