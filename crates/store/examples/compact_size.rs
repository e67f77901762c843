//! What a day of a fleet costs after merging: bytes and CPU time per sample, for rows read from a
//! file of little-endian `i64`: series, time, then the 24 metrics below, per row.
//!
//! Usage: `compact_size FILE LABELS [LEVEL]`; `LABELS` has a line of node, stack, service,
//! container, `container_id` and image, separated by tabs, for each series.
#![expect(clippy::print_stdout, clippy::cast_precision_loss, reason = "an example prints numbers")]

use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;
use std::time::Duration;

use plimsoll_model::time::ManualClock;
use plimsoll_model::{Batch, BatchBuilder, Registry, Subject};
use plimsoll_store::{Store, StoreOptions};
use plimsoll_wire::{FrameId, SenderId, encode};
use rustix::time::{ClockId, clock_gettime};

/// Table and column of each metric, in the order of the file.
const METRICS: [(&str, &str); 24] = [
    ("container", "cpu_usage_us"),
    ("container", "cpu_user_us"),
    ("container", "cpu_system_us"),
    ("container", "cpu_periods"),
    ("container", "cpu_throttled_periods"),
    ("container", "cpu_throttled_us"),
    ("container", "memory_usage_bytes"),
    ("container", "memory_rss_bytes"),
    ("container", "memory_cache_bytes"),
    ("container", "memory_limit_bytes"),
    ("container", "memory_pgfault"),
    ("container", "memory_pgmajfault"),
    ("container_blkio", "read_bytes"),
    ("container_blkio", "write_bytes"),
    ("container_blkio", "read_ops"),
    ("container_blkio", "write_ops"),
    ("container_network", "rx_bytes"),
    ("container_network", "tx_bytes"),
    ("container_network", "rx_packets"),
    ("container_network", "tx_packets"),
    ("container_network", "rx_errors"),
    ("container_network", "tx_dropped"),
    ("container_network", "rx_dropped"),
    ("container", "pids"),
];
const TABLES: [&str; 3] = ["container", "container_blkio", "container_network"];
/// Rows of one frame.
const FRAME_ROWS: usize = 2_000;

type Failure = Box<dyn std::error::Error>;

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let nanos = time.tv_sec * 1_000_000_000 + time.tv_nsec;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
}

fn subjects(path: &str) -> Result<Vec<Subject>, Failure> {
    let mut subjects = Vec::new();
    for line in BufReader::new(std::fs::File::open(path)?).lines() {
        let line = line?;
        let mut fields = line.split('\t');
        let mut next = || fields.next().unwrap_or("").into();
        let mut subject = Subject::node("default", "");
        subject.node = next();
        subject.stack = next();
        subject.service = next();
        subject.container = next();
        subject.container_id = next();
        subject.image = next();
        subjects.push(subject);
    }
    Ok(subjects)
}

fn batches(rows: &[i64], subjects: &[Subject]) -> Result<Vec<Batch>, Failure> {
    let mut batches = Vec::new();
    for name in TABLES {
        let table = Registry::embedded().table(name).ok_or("table")?;
        let mut builder = BatchBuilder::new(table);
        for row in rows.chunks_exact(26) {
            let subject = subjects.get(usize::try_from(row[0])?).ok_or("label")?;
            builder.row(row[1], subject, &["eth0"]);
            for ((_, column), value) in
                METRICS.iter().zip(&row[2..]).filter(|((table, _), _)| *table == name)
            {
                builder.int(column, Some(*value))?;
            }
        }
        batches.push(builder.finish()?);
    }
    Ok(batches)
}

fn report(store: &Store, what: &str, samples: u64, cpu: Duration) -> Result<(), Failure> {
    let status = serde_json::to_value(store.status())?;
    println!("{what}: {:.1} ns CPU per sample", cpu.as_secs_f64() * 1e9 / samples as f64);
    println!("  {}", status["tables"]);
    Ok(())
}

fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let (file, labels) = (args.next().ok_or("FILE")?, args.next().ok_or("LABELS")?);
    let subjects = subjects(&labels)?;
    let mut bytes = Vec::new();
    std::fs::File::open(file)?.read_to_end(&mut bytes)?;
    let rows: Vec<i64> = bytes
        .chunks_exact(8)
        .filter_map(|bytes| Some(i64::from_le_bytes(bytes.try_into().ok()?)))
        .collect();
    drop(bytes);
    let samples = u64::try_from(rows.len() / 26 * 24)?;
    let last_ms = rows.chunks_exact(26).map(|row| row[1]).max().unwrap_or(0);
    let dir = tempfile::TempDir::new()?;
    let clock = Arc::new(ManualClock::new(last_ms));
    let options = StoreOptions {
        compact_interval: None,
        head_bytes_max: 64 << 20,
        zstd_level_compact: args.next().map_or(Ok(9), |level| level.parse())?,
        ..StoreOptions::new(dir.path())
    };
    let store = Store::open(options, clock.clone())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut ingest, mut sequence) = (Duration::ZERO, 0);
    for chunk in rows.chunks(26 * FRAME_ROWS) {
        let mut frames = Vec::new();
        for batch in batches(chunk, &subjects)? {
            sequence += 1;
            let id = FrameId { sender: SenderId([1; 16]), epoch: 1, sequence };
            frames.push(encode(&batch, id)?.into());
        }
        let started = cpu();
        runtime.block_on(store.append(frames))?;
        store.maintain();
        ingest += cpu().saturating_sub(started);
    }
    let started = cpu();
    runtime.block_on(store.flush())?;
    report(&store, "ingest and flush", samples, ingest + cpu().saturating_sub(started))?;
    let started = cpu();
    let mut things = 0;
    while store.compact_once()? {
        things += 1;
    }
    report(&store, "open day merged and rolled up", samples, cpu().saturating_sub(started))?;
    clock.set_ms(last_ms + 2 * 86_400_000);
    let started = cpu();
    while store.compact_once()? {
        things += 1;
    }
    report(&store, "closed day merged and rolled up", samples, cpu().saturating_sub(started))?;
    println!("{things} things done, {samples} samples");
    println!("{}", serde_json::to_string(&store.retention_dry_run(None, None))?);
    Ok(())
}
