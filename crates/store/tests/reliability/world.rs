//! What all tests share: frames whose rows are a function of their number, and stores.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use bytes::Bytes;
use plimsoll_model::time::ManualClock;
use plimsoll_model::{BatchBuilder, ColumnType, Filter, Registry, Subject, Table, TimeRange};
use plimsoll_store::disk::Disk;
use plimsoll_store::disk::faults::Faults;
use plimsoll_store::{
    Appended, ScanLimits, ScanRequest, Store, StoreError, StoreOptions, StoreStatus,
};
use plimsoll_wire::{FrameId, SenderId, encode};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// What the clock shows at first: 2023-11-14 22:13:20 UTC.
pub const NOW_MS: i64 = 1_700_000_000_000;
/// Rows in each frame.
pub const ROWS: usize = 3;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("runtime"));

/// Waits for a future.
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    RUNTIME.block_on(future)
}

/// A folder in memory where there is one: these tests decide themselves what a disk forgets.
pub fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    folder.expect("folder")
}

/// The table of all frames.
pub fn table() -> &'static Table {
    Registry::embedded().table("container").expect("table")
}

/// Its first integer metric.
pub fn metric() -> usize {
    table().metrics().iter().position(|m| m.column_type == ColumnType::Int).expect("metric")
}

/// Times and values of frame `n`: distinct for each frame.
pub fn rows_of(n: u64) -> [(i64, i64); ROWS] {
    let time = NOW_MS - 100_000_000 + (n as i64) * 40_000;
    [0, 1, 2].map(|row| (time + row * 10_000, (n as i64) * 100 + row))
}

/// Frame `n` of one sender.
pub fn frame(n: u64) -> Bytes {
    frame_of(n, &rows_of(n))
}

/// Frame `n` with these rows.
pub fn frame_of(n: u64, rows: &[(i64, i64)]) -> Bytes {
    let mut builder = BatchBuilder::new(table());
    let mut subject = Subject::node("default", "node-1");
    subject.service = "web".into();
    subject.container_id = format!("{:064x}", n % 3).into();
    for (time, value) in rows {
        builder.row(*time, &subject, &[]);
        builder.int(&table().metrics()[metric()].column, Some(*value)).expect("metric");
    }
    let id = FrameId { sender: SenderId([1; 16]), epoch: 1, sequence: n };
    Bytes::from(encode(&builder.finish().expect("batch"), id).expect("encode"))
}

/// Small files, so that every kind of change happens often; nothing happens by itself.
pub fn options(dir: &Path) -> StoreOptions {
    let mut options = StoreOptions::new(dir);
    options.wal_segment_bytes = 3000;
    options.disk_free_bytes_min = 0;
    options.compact_interval = None;
    options
}

pub fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(NOW_MS))
}

/// Opens a store as a restart would.
pub fn open(dir: &Path) -> Store {
    Store::open(options(dir), clock()).expect("open")
}

/// Opens a store on a disk that fails as told.
pub fn open_faulty(dir: &Path, faults: &Faults) -> Result<Store, StoreError> {
    Store::open_on(Disk::with_faults(faults.clone()), options(dir), clock())
}

/// Sends frame `n`.
pub fn append(store: &Store, n: u64) -> Result<Appended, StoreError> {
    wait(store.append(vec![frame(n)])).map(|mut answers| answers.remove(0))
}

/// Sends frames that must be new.
pub fn append_new(store: &Store, frames: std::ops::RangeInclusive<u64>) {
    for n in frames {
        let appended = append(store, n).expect("append");
        assert!(matches!(appended, Appended::New { .. }), "{n}: {appended:?}");
    }
}

/// Everything a scan finds, time to value, and its warnings. A time that comes twice fails.
pub fn content(store: &Store) -> (BTreeMap<i64, i64>, Vec<String>) {
    let request = ScanRequest {
        table: table(),
        metrics: vec![metric()],
        range: TimeRange::ALL,
        filter: Filter::default(),
        limits: ScanLimits::new(1_000_000, 1000),
    };
    let scan = store.scan(&request).expect("scan");
    let mut found = BTreeMap::new();
    for chunk in scan.series.iter().flat_map(|series| &series.chunks) {
        let values = chunk.columns[0].as_primitive::<Int64Type>();
        for (row, time) in chunk.times_ms.iter().enumerate() {
            let value = if values.is_valid(row) { values.value(row) } else { i64::MIN };
            assert_eq!(found.insert(*time, value), None, "row twice at {time}");
        }
    }
    (found, scan.warnings)
}

/// Why a store's content is not a set of whole frames with the right values, or its frames.
pub fn frames_of(found: &BTreeMap<i64, i64>) -> Result<Vec<u64>, String> {
    let mut frames = Vec::new();
    let mut rows = 0;
    for n in 1..=400 {
        let expected = rows_of(n);
        let present = expected.iter().filter(|(time, _)| found.contains_key(time)).count();
        if present == 0 {
            continue;
        }
        for (time, value) in expected {
            if found.get(&time) != Some(&value) {
                return Err(format!("frame {n} has {:?} at {time}", found.get(&time)));
            }
        }
        rows += present;
        frames.push(n);
    }
    if rows == found.len() { Ok(frames) } else { Err("rows that nobody sent".to_owned()) }
}

/// The frames a store holds, each whole, with the right values.
pub fn frames_in(store: &Store) -> Vec<u64> {
    frames_of(&content(store).0).unwrap_or_else(|problem| panic!("{problem}"))
}

/// Whether a store says that anything is damaged or missing.
pub fn reports(status: &StoreStatus, warnings: &[String]) -> bool {
    !warnings.is_empty()
        || !status.quarantined.is_empty()
        || !status.lost.is_empty()
        || status.corrupt_bytes + status.torn_bytes + status.unusable_frames > 0
}

/// Copies a folder with all that is in it.
pub fn copy_tree(from: &Path, to: &Path) {
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

/// All files below a folder, sorted.
pub fn files(dir: &Path) -> Vec<PathBuf> {
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
