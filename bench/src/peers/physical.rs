//! Plimsoll against what the machine allows (`limit`).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use plimsoll_model::time::ManualClock;
use plimsoll_model::{Batch, Filter, TimeRange};
use plimsoll_store::{ScanLimits, ScanRequest, Store, StoreOptions};

use super::budget::Measures;
use super::dataset::Dataset;
use super::metric::{CPU, MEMORY, METRICS};
use super::run::median;
use crate::limit;

/// Measures the limit of ingest and, when Plimsoll left its data in `folder`, of a raw scan.
///
/// # Errors
///
/// What could not be measured.
pub fn measure(
    data: &Dataset,
    folder: Option<&Path>,
    work: &Path,
    now_ms: i64,
    rounds: usize,
    measures: &mut Measures,
) -> Result<(), String> {
    let scratch = work.join("limit");
    let mut cpu_s = Vec::new();
    for _ in 0..3 {
        cpu_s.push(limit::ingest_cpu_s(&data.frames(), &scratch)?);
        std::fs::remove_dir_all(&scratch).map_err(|error| error.to_string())?;
    }
    measures.insert("limit.ingest_cpu_s".to_owned(), median(cpu_s));
    match folder {
        Some(folder) => scan(data, folder, now_ms, rounds, measures),
        None => Ok(()),
    }
}

/// CPU and memory of all containers over the whole history: the store beside the decoder.
fn scan(
    data: &Dataset,
    folder: &Path,
    now_ms: i64,
    rounds: usize,
    measures: &mut Measures,
) -> Result<(), String> {
    let columns = [METRICS[CPU].column, METRICS[MEMORY].column];
    let files = files(&folder.join("segments/table=container/resolution=raw"));
    let clock = Arc::new(ManualClock::new(now_ms));
    let store = Store::open(StoreOptions::new(folder), clock).map_err(|error| error.to_string())?;
    let table = Batch::find_table("container").map_err(|error| error.to_string())?;
    let place = |column: &&str| table.metrics().iter().position(|m| &*m.column == *column);
    let request = ScanRequest {
        table,
        metrics: columns.iter().filter_map(place).collect(),
        range: TimeRange::new(data.start_ms, data.end_ms),
        filter: Filter::new(Vec::new()),
        limits: ScanLimits::new(u64::MAX, usize::MAX),
    };
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let before_s = limit::cpu_s();
        let found = store.scan(&request).map_err(|error| error.to_string())?;
        ours.push((limit::cpu_s() - before_s) * 1e3);
        let (decode_ms, rows) = limit::decode_cpu_ms(&files, &["time", columns[0], columns[1]])?;
        bare.push(decode_ms);
        if rows != found.rows || rows == 0 {
            return Err(format!("the scan found {} rows, the files hold {rows}", found.rows));
        }
    }
    measures.insert("plimsoll.scan_cpu_ms".to_owned(), median(ours));
    measures.insert("limit.scan_cpu_ms".to_owned(), median(bare));
    Ok(())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut found = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "parquet") {
            found.push(path);
        }
    }
    found.sort_unstable();
    found
}
