//! Laws of the whole store: acknowledged frames survive, once; damage is reported.

mod behaviour;
mod crash;
mod damage;
mod upkeep;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use bytes::Bytes;
use plimsoll_model::time::ManualClock;
use plimsoll_model::{BatchBuilder, ColumnType, Filter, Registry, Subject, Table, TimeRange};
use plimsoll_wire::{FrameId, SenderId, encode};
use tempfile::TempDir;

use super::*;
use crate::disk::faults::Faults;
use crate::scan::ScanLimits;

/// What the tests' clock shows at first: 2023-11-14 22:13:20 UTC.
const NOW_MS: i64 = 1_700_000_000_000;
/// Rows in each frame of [`frame`].
const ROWS: u64 = 3;

fn table(name: &str) -> &'static Table {
    Registry::embedded().table(name).expect("table")
}

/// The first integer metric of a table.
fn metric(table: &Table) -> usize {
    table.metrics().iter().position(|m| m.column_type == ColumnType::Int).expect("metric")
}

/// Where the rows of frame `n` stand, and what they say: distinct for each frame.
fn rows_of(n: u64) -> [(i64, i64); ROWS as usize] {
    let time = NOW_MS - 100_000_000 + (n as i64) * 40_000;
    [0, 1, 2].map(|row| (time + row * 10_000, (n as i64) * 100 + row))
}

/// Frame `n` of one sender: three rows of one container.
fn frame(n: u64) -> Bytes {
    frame_of(table("container"), n, &rows_of(n))
}

fn frame_of(table: &'static Table, n: u64, rows: &[(i64, i64)]) -> Bytes {
    let mut builder = BatchBuilder::new(table);
    let mut subject = Subject::node("default", "node-1");
    subject.service = "web".into();
    subject.container_id = format!("{:064x}", n % 3).into();
    for (time, value) in rows {
        builder.row(*time, &subject, &[]);
        builder.int(&table.metrics()[metric(table)].column, Some(*value)).expect("metric");
    }
    let id = FrameId { sender: SenderId([1; 16]), epoch: 1, sequence: n };
    Bytes::from(encode(&builder.finish().expect("batch"), id).expect("encode"))
}

fn options(dir: &Path) -> StoreOptions {
    StoreOptions { disk_free_bytes_min: 0, ..StoreOptions::new(dir) }
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(NOW_MS))
}

fn open(dir: &Path) -> Store {
    Store::open(options(dir), clock()).expect("open")
}

/// A store on a disk that fails as told.
fn open_faulty(options: StoreOptions) -> Result<(Store, Faults), StoreError> {
    let faults = Faults::default();
    let store = Store::open_on(Disk::with_faults(faults.clone()), options, clock())?;
    Ok((store, faults))
}

fn request(table: &'static Table) -> ScanRequest {
    ScanRequest {
        table,
        metrics: vec![metric(table)],
        range: TimeRange::ALL,
        filter: Filter::default(),
        limits: ScanLimits::new(1_000_000, 1000),
    }
}

/// Everything a scan finds: time to value. A time that comes twice fails.
fn content(store: &Store, table: &'static Table) -> (BTreeMap<i64, i64>, Vec<String>) {
    let scan = store.scan(&request(table)).expect("scan");
    let mut found = BTreeMap::new();
    for chunk in scan.series.iter().flat_map(|series| &series.chunks) {
        let values = chunk.columns[0].as_primitive::<Int64Type>();
        for (time, value) in chunk.times_ms.iter().zip(values) {
            assert_eq!(found.insert(*time, value.expect("value")), None, "row twice at {time}");
        }
    }
    (found, scan.warnings)
}

/// The frames a store holds, each whole or not at all, with the right values.
fn frames_in(store: &Store) -> Vec<u64> {
    let (found, _) = content(store, table("container"));
    let mut frames = Vec::new();
    let mut rows = 0;
    for n in 1..=2000 {
        let expected = rows_of(n);
        let present = expected.iter().filter(|(time, _)| found.contains_key(time)).count();
        if present == 0 {
            continue;
        }
        for (time, value) in expected {
            assert_eq!(found.get(&time), Some(&value), "frame {n} is not whole");
        }
        rows += present;
        frames.push(n);
    }
    assert_eq!(rows, found.len(), "rows that nobody sent");
    frames
}

async fn append(store: &Store, n: u64) -> Result<Appended, StoreError> {
    Ok(store.append(vec![frame(n)]).await?.remove(0))
}

async fn append_new(store: &Store, frames: std::ops::RangeInclusive<u64>) {
    for n in frames {
        let appended = append(store, n).await.expect("append");
        assert!(matches!(appended, Appended::New { rows: ROWS, .. }), "{n}: {appended:?}");
    }
}

fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("folder");
    for entry in std::fs::read_dir(from).expect("list") {
        let entry = entry.expect("entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("type").is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copy");
        }
    }
}

/// All files of a data directory, sorted.
fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).expect("list") {
        let entry = entry.expect("entry");
        if entry.file_type().expect("type").is_dir() {
            files.extend(self::files(&entry.path()));
        } else {
            files.push(entry.path());
        }
    }
    files.sort();
    files
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("folder")
}
