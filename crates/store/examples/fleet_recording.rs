//! What one sample of a recorded fleet costs on disk, as recorded (1 s) and thinned to 10 s.
//!
//! Reads the recording from standard input, one JSON object a line with `k` (kind), `t` (Unix time
//! of arrival) and `d` (what the engine said); lines of kind `stats` count. The argument is a
//! folder for the segment files.
#![expect(clippy::print_stdout, reason = "an example reports to the terminal")]
#![expect(clippy::cast_precision_loss, reason = "numbers are shown, not computed with")]

use std::collections::HashMap;
use std::error::Error;
use std::io::BufRead;
use std::path::{Path, PathBuf};

use plimsoll_model::{Batch, BatchBuilder, Dimension, Subject};
use plimsoll_store::head::Head;
use plimsoll_store::segment::{EncodingPlan, Resolution, write_with};
use serde_json::Value;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Column, JSON pointer into the stats message, divisor.
const CONTAINER: [(&str, &str, u64); 13] = [
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
/// Columns of `container_network`, named like the engine's fields.
const NETWORK: [&str; 7] =
    ["rx_bytes", "tx_bytes", "rx_packets", "tx_packets", "rx_errors", "tx_dropped", "rx_dropped"];
/// Column of `container_blkio`, list, operation.
const BLKIO: [(&str, &str, &str); 4] = [
    ("read_bytes", "io_service_bytes_recursive", "read"),
    ("write_bytes", "io_service_bytes_recursive", "write"),
    ("read_ops", "io_serviced_recursive", "read"),
    ("write_ops", "io_serviced_recursive", "write"),
];

struct Builders {
    container: BatchBuilder,
    network: BatchBuilder,
    blkio: BatchBuilder,
}

impl Builders {
    fn new() -> Outcome<Self> {
        let builder = |name| Batch::find_table(name).map(BatchBuilder::new);
        Ok(Self {
            container: builder("container")?,
            network: builder("container_network")?,
            blkio: builder("container_blkio")?,
        })
    }

    fn add(&mut self, time_ms: i64, stats: &Value) -> Outcome<()> {
        let mut subject = Subject::node("default", "node");
        let name = stats["name"].as_str().unwrap_or("").trim_start_matches('/');
        subject.set(Dimension::Service, name.split('.').next().unwrap_or("").into());
        subject.set(Dimension::Container, name.into());
        subject.set(Dimension::ContainerId, stats["id"].as_str().unwrap_or("").into());
        self.container.row(time_ms, &subject, &[]);
        for (column, pointer, divisor) in CONTAINER {
            let value = stats.pointer(pointer).and_then(Value::as_u64);
            self.container.unsigned(column, value.map(|value| value / divisor))?;
        }
        for (interface, counters) in stats["networks"].as_object().into_iter().flatten() {
            self.network.row(time_ms, &subject, &[interface]);
            for column in NETWORK {
                self.network.unsigned(column, counters[column].as_u64())?;
            }
        }
        self.add_blkio(time_ms, &subject, &stats["blkio_stats"])
    }

    fn add_blkio(&mut self, time_ms: i64, subject: &Subject, stats: &Value) -> Outcome<()> {
        let mut devices: HashMap<String, Vec<(&str, Option<u64>)>> = HashMap::new();
        for (column, list, operation) in BLKIO {
            for entry in stats[list].as_array().into_iter().flatten() {
                let same =
                    entry["op"].as_str().is_some_and(|op| op.eq_ignore_ascii_case(operation));
                if same {
                    let device = format!("{}:{}", entry["major"], entry["minor"]);
                    devices.entry(device).or_default().push((column, entry["value"].as_u64()));
                }
            }
        }
        for (device, values) in devices {
            self.blkio.row(time_ms, subject, &[&device]);
            for (column, value) in values {
                self.blkio.unsigned(column, value)?;
            }
        }
        Ok(())
    }
}

fn main() -> Outcome<()> {
    let dir = std::env::args_os().nth(1).map(PathBuf::from).ok_or("which folder?")?;
    let (mut all, mut thinned) = (Builders::new()?, Builders::new()?);
    let mut kept: HashMap<String, i64> = HashMap::new();
    for line in std::io::stdin().lock().lines() {
        let message: Value = serde_json::from_str(&line?)?;
        if message["k"] != "stats" {
            continue;
        }
        let time_ms = message["t"].as_f64().unwrap_or(0.0) * 1e3;
        let time_ms: i64 = format!("{time_ms:.0}").parse()?;
        let stats = &message["d"];
        all.add(time_ms, stats)?;
        let slot = time_ms / 10_000;
        let id = stats["id"].as_str().unwrap_or("").to_owned();
        if kept.insert(id, slot) != Some(slot) {
            thinned.add(time_ms, stats)?;
        }
    }
    report("1 s", all, &dir)?;
    report("10 s", thinned, &dir)
}

fn report(what: &str, builders: Builders, dir: &Path) -> Outcome<()> {
    let (mut bytes, mut columns, mut samples) = (0, 0, 0);
    for builder in [builders.container, builders.network, builders.blkio] {
        if builder.num_rows() == 0 {
            continue;
        }
        let batch = builder.finish()?;
        let mut head = Head::new(batch.table());
        head.push(&batch);
        for rows in head.seal().days() {
            let path = dir.join(format!("{}-{}.parquet", batch.table().name(), rows.day()));
            let base = EncodingPlan::flush(batch.table());
            let plan = EncodingPlan { zstd_level: 9, page_rows: 65_536, ..base };
            let meta = write_with(&rows, Resolution::Raw, &plan, &path)?;
            bytes += meta.bytes;
            columns += meta.index_offset;
            samples += meta.samples;
            println!(
                "{what} {}: {} rows, {} samples, {} bytes of columns, {} of indexes",
                batch.table().name(),
                meta.rows,
                meta.samples,
                meta.index_offset,
                meta.bytes - meta.index_offset
            );
        }
    }
    let per = |bytes: u64| bytes as f64 / samples as f64;
    println!("{what}: {:.3} bytes per sample, {:.3} without indexes", per(bytes), per(columns));
    Ok(())
}
