//! Judges the incident ranking on recorded faults whose cause is known.
//!
//! `incidents DIR [--explain]`: DIR holds `*_metric.csv` (one per container, one row a minute) and
//! `faults.json`. Imports the day into a fresh store, asks for the incident of the four minutes
//! after each fault, and prints how often the container that was hit is among the first 1, 3 and
//! 5 of the ranking, per type of fault; the last line is `all: at1=0.00 at3=0.00 at5=0.00`.
//!
//! Only what a collector sees of containers is imported: CPU, memory, system calls (as reads and
//! writes) and network bytes. Latencies, success rates and node figures are left out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use bytes::Bytes;
use clap::Parser;
use plimsoll_insight::incident::{IncidentAnswer, IncidentLimits, IncidentRequest, incident};
use plimsoll_model::time::ManualClock;
use plimsoll_model::{Batch, BatchBuilder, Dimension, Subject, TimeRange};
use plimsoll_store::{Appended, Store, StoreOptions};
use plimsoll_wire::{FrameId, SenderId, encode};

/// How long after a fault is asked about, in milliseconds.
const WINDOW_MS: i64 = 4 * 60_000;
/// Length of a row's interval where there is no row before it, in milliseconds.
const INTERVAL_MS: i64 = 60_000;

#[derive(Parser)]
struct Arguments {
    /// Folder of one recorded day.
    dir: PathBuf,
    /// Also print, for each fault, who was ranked first and why.
    #[arg(long)]
    explain: bool,
}

/// One row of a recording: use since the row before.
struct Row {
    time_ms: i64,
    cpu_cores: f64,
    memory_bytes: f64,
    reads: f64,
    writes: f64,
    received_per_s: f64,
    sent_per_s: f64,
}

#[derive(serde::Deserialize)]
struct Fault {
    inject_time: String,
    inject_pod: String,
    inject_type: String,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let text = read(&arguments.dir.join("faults.json"))?;
    let faults: BTreeMap<String, Vec<Fault>> =
        serde_json::from_str(&text).map_err(|error| format!("faults.json: {error}"))?;
    let mut faults: Vec<Fault> = faults.into_values().flatten().collect();
    faults.sort_by(|one, next| one.inject_time.cmp(&next.inject_time));
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let store = runtime.block_on(import(&arguments.dir, folder.path()))?;
    let mut places: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for fault in &faults {
        let start_ms = unix_ms(&fault.inject_time)?;
        let request = IncidentRequest::new(TimeRange::new(start_ms, start_ms + WINDOW_MS));
        let answer = incident(|scan| store.scan(scan), &request, &IncidentLimits::default())
            .map_err(|error| plimsoll_model::chain(&error))?;
        let place = answer.containers.iter().position(|of| of.name == fault.inject_pod);
        let place = place.unwrap_or(usize::MAX);
        if arguments.explain {
            explain(fault, place, &answer);
        }
        places.entry(fault.inject_type.clone()).or_default().push(place);
    }
    let all: Vec<usize> = places.values().flatten().copied().collect();
    for (kind, of) in &places {
        println!("{}", line(kind, of));
    }
    println!("{}", line("all", &all));
    runtime.block_on(store.close()).map_err(|error| error.to_string())
}

fn explain(fault: &Fault, place: usize, answer: &IncidentAnswer) {
    let place = if place == usize::MAX { "not".to_owned() } else { (place + 1).to_string() };
    println!("{} {} {}: ranked {place}", fault.inject_time, fault.inject_type, fault.inject_pod);
    for of in answer.containers.iter().take(3) {
        println!("    {:7.1} {}: {}", of.score, of.name, of.reason);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a few dozen faults")]
fn line(kind: &str, places: &[usize]) -> String {
    let at = |most: usize| {
        let within = places.iter().filter(|place| **place < most).count();
        within as f64 / places.len().max(1) as f64
    };
    format!("{kind}: at1={:.2} at3={:.2} at5={:.2}", at(1), at(3), at(5))
}

async fn import(dir: &Path, folder: &Path) -> Result<Store, String> {
    let recordings = recordings(dir)?;
    let last_ms = recordings.values().flatten().map(|row| row.time_ms).max();
    let clock = ManualClock::new(last_ms.ok_or("the folder has no rows")? + INTERVAL_MS);
    let mut options = StoreOptions::new(folder);
    options.disk_free_bytes_min = 0;
    options.compact_interval = None;
    let store = Store::open(options, Arc::new(clock)).map_err(|error| error.to_string())?;
    let mut sequence = 0;
    for (container, rows) in &recordings {
        let subject = subject(container);
        let mut frames = Vec::new();
        for batch in batches(&subject, rows)? {
            sequence += 1;
            let id = FrameId { sender: SenderId([7; 16]), epoch: 1, sequence };
            frames.push(Bytes::from(encode(&batch, id).map_err(|error| error.to_string())?));
        }
        let kept = store.append(frames).await.map_err(|error| error.to_string())?;
        if let Some(refused) = kept.iter().find(|one| !matches!(one, Appended::New { .. })) {
            return Err(format!("{container}: rows were not kept: {refused:?}"));
        }
    }
    Ok(store)
}

/// A pod is called after its service, with two parts that are its own.
fn subject(container: &str) -> Subject {
    let mut subject = Subject::node("recorded", "");
    let service = container.rsplitn(3, '-').nth(2).unwrap_or(container);
    subject.set(Dimension::Service, service.into());
    subject.set(Dimension::Container, container.into());
    subject.set(Dimension::ContainerId, container.into());
    subject
}

fn batches(subject: &Subject, rows: &[Row]) -> Result<Vec<Batch>, String> {
    let builder = |name: &str| {
        let table = Batch::find_table(name).map_err(|error| error.to_string())?;
        Ok::<_, String>(BatchBuilder::new(table))
    };
    let mut container = builder("container")?;
    let mut io = builder("container_blkio")?;
    let mut network = builder("container_network")?;
    let first_ms = rows.first().map_or(0, |row| row.time_ms) - INTERVAL_MS;
    let mut totals = [0.0_f64; 5];
    let mut previous_ms = first_ms;
    let mut put = |time_ms: i64, totals: &[f64; 5], memory: Option<f64>| {
        let started = Some(first_ms);
        container.row(time_ms, subject, &[]);
        container.int("cpu_usage_us", Some(whole(totals[0])))?;
        container.int("memory_working_set_bytes", memory.map(whole))?;
        container.int("started_at_ms", started)?;
        io.row(time_ms, subject, &["all"]);
        io.int("read_ops", Some(whole(totals[1])))?;
        io.int("write_ops", Some(whole(totals[2])))?;
        io.int("started_at_ms", started)?;
        network.row(time_ms, subject, &["eth0"]);
        network.int("rx_bytes", Some(whole(totals[3])))?;
        network.int("tx_bytes", Some(whole(totals[4])))?;
        network.int("started_at_ms", started)
    };
    let problem = |error: plimsoll_model::batch::RowError| error.to_string();
    put(first_ms, &totals, None).map_err(problem)?;
    for row in rows {
        #[expect(clippy::cast_precision_loss, reason = "an interval of about a minute")]
        let seconds = (row.time_ms - previous_ms) as f64 / 1_000.0;
        previous_ms = row.time_ms;
        totals[0] += row.cpu_cores * 1e6 * seconds;
        totals[1] += row.reads;
        totals[2] += row.writes;
        totals[3] += row.received_per_s * seconds;
        totals[4] += row.sent_per_s * seconds;
        put(row.time_ms, &totals, Some(row.memory_bytes)).map_err(problem)?;
    }
    let full = [container, io, network].into_iter().map(BatchBuilder::finish);
    full.collect::<Result<_, _>>().map_err(|error| error.to_string())
}

#[expect(clippy::cast_possible_truncation, reason = "counters of one day, far below 2^53")]
fn whole(value: f64) -> i64 {
    value.round() as i64
}

fn recordings(dir: &Path) -> Result<BTreeMap<String, Vec<Row>>, String> {
    let mut recordings = BTreeMap::new();
    let entries = std::fs::read_dir(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    for entry in entries {
        let path = entry.map_err(|error| error.to_string())?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
        if let Some(container) = name.strip_suffix("_metric.csv") {
            let rows = rows(&read(&path)?).map_err(|error| format!("{name}: {error}"))?;
            recordings.insert(container.to_owned(), rows);
        }
    }
    Ok(recordings)
}

fn rows(text: &str) -> Result<Vec<Row>, String> {
    let mut lines = text.lines();
    let head: Vec<&str> = lines.next().unwrap_or("").split(',').map(str::trim).collect();
    let place = |name: &str| {
        head.iter().position(|column| *column == name).ok_or(format!("no column {name}"))
    };
    let time = place("Time")?;
    let columns = [
        place("CpuUsage(m)")?,
        place("MemoryUsage(Mi)")?,
        place("SyscallRead")?,
        place("SyscallWrite")?,
        place("NetworkReceiveBytes")?,
        place("NetworkTransmitBytes")?,
    ];
    let mut rows = Vec::new();
    for line in lines.filter(|line| !line.trim().is_empty()) {
        let fields: Vec<&str> = line.split(',').collect();
        let mut numbers = [0.0_f64; 6];
        for (number, column) in numbers.iter_mut().zip(columns) {
            let found = fields.get(column).copied().unwrap_or("").trim();
            *number = found.parse().map_err(|_| format!("{found:?} is not a number"))?;
        }
        rows.push(Row {
            time_ms: unix_ms(fields.get(time).copied().unwrap_or(""))?,
            cpu_cores: numbers[0] / 1_000.0,
            memory_bytes: numbers[1] * 1_048_576.0,
            reads: numbers[2],
            writes: numbers[3],
            received_per_s: numbers[4],
            sent_per_s: numbers[5],
        });
    }
    rows.sort_by_key(|row| row.time_ms);
    rows.dedup_by_key(|row| row.time_ms);
    Ok(rows)
}

/// Reads `2022-08-22 03:51:19.607...` as UTC; anything after the milliseconds is ignored.
fn unix_ms(text: &str) -> Result<i64, String> {
    let problem = || format!("{text:?} is not a time");
    let part = |from: usize, to: usize| {
        text.get(from..to).and_then(|digits| digits.parse::<i64>().ok()).ok_or_else(problem)
    };
    let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    let millis = if text.get(19..20) == Some(".") { part(20, 23).unwrap_or(0) } else { 0 };
    // Days since 1970 of the proleptic Gregorian calendar, years beginning in March.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    let seconds = part(11, 13)? * 3_600 + part(14, 16)? * 60 + part(17, 19)?;
    Ok((days * 86_400 + seconds) * 1_000 + millis)
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}
