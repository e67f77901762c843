//! Opens what a killed writer left and compares it with what was acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use plimsoll_model::time::ManualClock;
use plimsoll_model::{Batch, Filter, TimeRange};
use plimsoll_store::{ScanLimits, ScanRequest, Store};

use crate::crash::{Tally, rows, writer};

/// What was found in a data directory.
#[derive(Debug, Default)]
pub struct Found {
    /// Numbers of frames that are there whole.
    pub frames: BTreeSet<u64>,
    /// The part of a [`Tally`] that needs no list of acknowledged frames.
    pub tally: Tally,
}

impl Found {
    /// The number a next writer may start with.
    pub fn next(&self) -> u64 {
        self.frames.last().map_or(0, |last| last + 1)
    }
}

/// Opens the store in `folder` as a restart would and reads all of it.
///
/// `close`: write everything into segments afterwards; otherwise the log stays for the next one.
///
/// # Errors
///
/// A sentence that says why it does not open or does not answer.
pub fn read(folder: &Path, close: bool) -> Result<Found, String> {
    let clock = Arc::new(ManualClock::new(rows::NOW_MS));
    let store = Store::open(writer::options(folder), clock).map_err(|error| error.to_string())?;
    let found = read_store(&store);
    if !close {
        return found;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(store.close()).map_err(|error| error.to_string())?;
    found
}

fn read_store(store: &Store) -> Result<Found, String> {
    let table = Batch::find_table("container").map_err(|error| error.to_string())?;
    let metric = table.metric_index("cpu_usage_us").ok_or("no metric cpu_usage_us")?;
    let request = ScanRequest {
        table,
        metrics: vec![metric],
        range: TimeRange::new(rows::START_MS, rows::NOW_MS),
        filter: Filter::default(),
        limits: ScanLimits::new(u64::MAX, usize::MAX),
    };
    let scan = store.scan(&request).map_err(|error| error.to_string())?;
    let mut found = Found::default();
    found.tally.wrong += scan.warnings.len() as u64;
    let containers: BTreeMap<String, u64> =
        (0..rows::ROWS).map(|container| (rows::name(container), container)).collect();
    let mut seen: BTreeMap<u64, u64> = BTreeMap::new();
    for series in &scan.series {
        let id = series.key.subject.container_id.as_ref();
        let Some(container) = containers.get(id) else {
            found.tally.wrong += series.rows() as u64;
            continue;
        };
        for chunk in &series.chunks {
            let values = values_of(&chunk.columns);
            for (row, time_ms) in chunk.times_ms.iter().enumerate() {
                let n = u64::try_from(time_ms - rows::START_MS).unwrap_or(u64::MAX);
                if values.get(row).copied().flatten() == Some(rows::value(n, *container)) {
                    *seen.entry(n).or_default() += 1;
                } else {
                    found.tally.wrong += 1;
                }
            }
        }
    }
    for (n, count) in seen {
        match count.cmp(&rows::ROWS) {
            std::cmp::Ordering::Less => found.tally.wrong += 1,
            std::cmp::Ordering::Equal => {}
            std::cmp::Ordering::Greater => found.tally.duplicated += count - rows::ROWS,
        }
        found.frames.insert(n);
    }
    Ok(found)
}

fn values_of(columns: &[arrow_array::ArrayRef]) -> Vec<Option<i64>> {
    use arrow_array::Array;
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    let values = columns.first().and_then(|column| column.as_primitive_opt::<Int64Type>());
    values.map_or_else(Vec::new, |values| {
        (0..values.len()).map(|row| values.is_valid(row).then(|| values.value(row))).collect()
    })
}

/// Adds what is missing of the acknowledged frames to a tally.
pub fn compare(found: &Found, acked: &BTreeSet<u64>, tally: &mut Tally) {
    tally.acked_lost += acked.difference(&found.frames).count() as u64;
    tally.duplicated += found.tally.duplicated;
    tally.wrong += found.tally.wrong;
}
