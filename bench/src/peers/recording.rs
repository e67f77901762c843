//! A recorded real fleet as frames, at 1 s as recorded and thinned to 10 s.
//!
//! A recording is a zstd file of JSON lines: `k` (kind), `t` (Unix time of arrival), `d` (what
//! the engine said). Lines of kind `stats` are used, for the 24 metrics.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use plimsoll_model::{Dimension, Subject};
use serde_json::Value;

use super::frames::Frames;
use super::metric::{METRICS, Table};
use super::requests::RequestWriter;
use super::rows::Row;

/// Where the number of each column is in a stats message, and what it is divided by.
const POINTERS: [(&str, &str, u64); 13] = [
    ("cpu_usage_us", "/cpu_stats/cpu_usage/total_usage", 1_000),
    ("cpu_user_us", "/cpu_stats/cpu_usage/usage_in_usermode", 1_000),
    ("cpu_system_us", "/cpu_stats/cpu_usage/usage_in_kernelmode", 1_000),
    ("cpu_periods", "/cpu_stats/throttling_data/periods", 1),
    ("cpu_throttled_periods", "/cpu_stats/throttling_data/throttled_periods", 1),
    ("cpu_throttled_us", "/cpu_stats/throttling_data/throttled_time", 1_000),
    ("memory_usage_bytes", "/memory_stats/usage", 1),
    ("memory_rss_bytes", "/memory_stats/stats/total_rss", 1),
    ("memory_cache_bytes", "/memory_stats/stats/total_cache", 1),
    ("memory_limit_bytes", "/memory_stats/limit", 1),
    ("memory_pgfault", "/memory_stats/stats/total_pgfault", 1),
    ("memory_pgmajfault", "/memory_stats/stats/total_pgmajfault", 1),
    ("pids", "/pids_stats/current", 1),
];
/// Column of the block table, list, operation.
const DEVICE: [(&str, &str, &str); 4] = [
    ("read_bytes", "io_service_bytes_recursive", "read"),
    ("write_bytes", "io_service_bytes_recursive", "write"),
    ("read_ops", "io_serviced_recursive", "read"),
    ("write_ops", "io_serviced_recursive", "write"),
];
/// Rows per frame.
const FRAME_ROWS: usize = 512;

/// Writes a recording as requests of frames so that it starts at `start_ms`; keeps at most one
/// row per container and `every_ms`. Gives the number of samples.
///
/// # Errors
///
/// What cannot be read or written.
pub fn frames(recording: &Path, start_ms: i64, every_ms: i64, out: &Path) -> Result<u64, String> {
    let problem = |error: std::io::Error| format!("cannot read {}: {error}", recording.display());
    let file = File::open(recording).map_err(problem)?;
    let lines = BufReader::new(zstd::Decoder::new(file).map_err(problem)?).lines();
    let mut requests = RequestWriter::create(out)?;
    let mut maker = Frames::new(1, METRICS.len())?;
    let mut fleet = Fleet::default();
    let (mut rows, mut samples) = (Vec::new(), 0);
    let mut shift_ms = None;
    for line in lines {
        let message: Value = serde_json::from_str(&line.map_err(problem)?)
            .map_err(|error| format!("{}: {error}", recording.display()))?;
        if message["k"] != "stats" {
            continue;
        }
        let time_ms = (message["t"].as_f64().unwrap_or(0.0) * 1e3).round() as i64;
        let time_ms = time_ms + *shift_ms.get_or_insert(start_ms - time_ms);
        fleet.add(time_ms, every_ms, &message["d"], &mut rows);
        if rows.len() >= FRAME_ROWS {
            samples += count(&rows);
            if let Some(request) = maker.add(0, &std::mem::take(&mut rows), &fleet.subjects)? {
                requests.push(0, &request)?;
            }
        }
    }
    samples += count(&rows);
    let last = maker.add(0, &rows, &fleet.subjects)?.or_else(|| maker.take());
    if let Some(request) = last {
        requests.push(0, &request)?;
    }
    requests.finish()?;
    Ok(samples)
}

fn count(rows: &[Row]) -> u64 {
    rows.iter().map(|row| row.values.iter().flatten().count() as u64).sum()
}

/// Containers met so far.
#[derive(Default)]
struct Fleet {
    subjects: Vec<Subject>,
    by_id: HashMap<String, usize>,
    /// The step of the last row kept, by container.
    kept: HashMap<usize, i64>,
}

impl Fleet {
    fn add(&mut self, time_ms: i64, every_ms: i64, stats: &Value, rows: &mut Vec<Row>) {
        let container = self.container(stats);
        let step = time_ms.div_euclid(every_ms);
        if every_ms > 1_000 && self.kept.insert(container, step) == Some(step) {
            return;
        }
        let plain = |column: &str| {
            let (_, pointer, divisor) = POINTERS.iter().find(|(name, ..)| *name == column)?;
            stats.pointer(pointer).and_then(Value::as_u64).map(|value| value / divisor)
        };
        // One row holds one interface and one device; a second one makes a further row.
        let mut interfaces = stats["networks"].as_object().into_iter().flatten();
        let mut devices = devices(&stats["blkio_stats"]).into_iter();
        for first in std::iter::once(true).chain(std::iter::repeat(false)) {
            let (interface, device) = (interfaces.next(), devices.next());
            if !first && interface.is_none() && device.is_none() {
                return;
            }
            let mut row = Row {
                time_ms,
                container,
                started_at_ms: 0,
                parts: [
                    interface.map_or("", |(name, _)| known_part(name)),
                    device.as_ref().map_or("", |(name, _)| known_part(name)),
                ],
                values: [None; METRICS.len()],
            };
            for (value, metric) in row.values.iter_mut().zip(METRICS) {
                let found = match metric.table {
                    Table::Container if first => plain(metric.column),
                    Table::Container => None,
                    Table::Network => interface.and_then(|(_, n)| n[metric.column].as_u64()),
                    Table::Blkio => {
                        device.as_ref().and_then(|(_, d)| d.get(metric.column).copied())
                    }
                };
                // A number past what an i64 holds stands for no limit.
                *value = found.and_then(|found| i64::try_from(found).ok());
            }
            rows.push(row);
        }
    }

    fn container(&mut self, stats: &Value) -> usize {
        let id = stats["id"].as_str().unwrap_or_default();
        if let Some(known) = self.by_id.get(id) {
            return *known;
        }
        let name = stats["name"].as_str().unwrap_or_default().trim_start_matches('/');
        let mut subject = Subject::node("default", "node");
        subject.set(Dimension::Service, name.split('.').next().unwrap_or_default().into());
        subject.set(Dimension::Container, name.into());
        subject.set(Dimension::ContainerId, id.into());
        self.subjects.push(subject);
        self.by_id.insert(id.to_owned(), self.subjects.len() - 1);
        self.subjects.len() - 1
    }
}

/// Interfaces and devices have few names, which live as long as the program.
fn known_part(name: &str) -> &'static str {
    use std::sync::{Mutex, PoisonError};
    static NAMES: Mutex<BTreeMap<String, &'static str>> = Mutex::new(BTreeMap::new());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    names.entry(name.to_owned()).or_insert_with(|| Box::leak(name.to_owned().into_boxed_str()))
}

fn devices(stats: &Value) -> BTreeMap<String, BTreeMap<&'static str, u64>> {
    let mut devices: BTreeMap<String, BTreeMap<&'static str, u64>> = BTreeMap::new();
    for (column, list, operation) in DEVICE {
        for entry in stats[list].as_array().into_iter().flatten() {
            let is_it = entry["op"].as_str().is_some_and(|op| op.eq_ignore_ascii_case(operation));
            if let (true, Some(value)) = (is_it, entry["value"].as_u64()) {
                let name = format!("{}:{}", entry["major"], entry["minor"]);
                devices.entry(name).or_default().insert(column, value);
            }
        }
    }
    devices
}
