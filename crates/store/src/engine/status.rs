//! What a store says about itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use super::ReadOnly;
use super::admit::wide;
use super::shared::Shared;
use super::upkeep::is_due;
use crate::manifest::Lost;

/// Most senders listed by name.
const SENDERS_LISTED_MAX: usize = 1000;

/// The state of a store at one moment. Counts of frames and rows are since it was opened.
#[derive(Debug, Clone, Serialize)]
pub struct StoreStatus {
    /// What stands in segments, by table and resolution.
    pub tables: Vec<TableStatus>,
    /// Rows that are not in segments yet, by table.
    pub head_rows: BTreeMap<&'static str, u64>,
    /// Memory of all heads.
    pub head_bytes: u64,
    /// Length of all WAL files.
    pub wal_bytes: u64,
    /// Number of WAL files.
    pub wal_files: u64,
    /// Live segments.
    pub segments: u64,
    /// Generation of the manifest.
    pub generation: u64,
    /// Files in `quarantine/`.
    pub quarantined: Vec<String>,
    /// Rows known to be lost with damaged segments.
    pub lost: Vec<Lost>,
    /// Why frames are refused, if they are.
    pub read_only: Option<ReadOnly>,
    /// Senders remembered.
    pub senders: u64,
    /// Newest epoch and sequence of the senders, by id; at most 1000.
    pub marks: BTreeMap<String, SenderStatus>,
    /// Free bytes on the disk, if known.
    pub disk_free_bytes: Option<u64>,
    /// Frames kept.
    pub frames_new: u64,
    /// Frames that had been kept before.
    pub frames_duplicate: u64,
    /// Frames refused for good.
    pub frames_rejected: u64,
    /// Rows kept.
    pub rows: u64,
    /// Rows of kept frames left out because of their time.
    pub rows_refused: u64,
    /// Samples kept.
    pub samples: u64,
    /// Groups made durable, each with one sync.
    pub commits: u64,
    /// Writes or syncs of the WAL that failed.
    pub wal_failures: u64,
    /// Flushes done.
    pub flushes: u64,
    /// Flushes that failed; their heads were kept.
    pub flush_failures: u64,
    /// Damaged bytes found in the WAL when the store was opened.
    pub corrupt_bytes: u64,
    /// Bytes of unfinished records at the end of WAL files when the store was opened.
    pub torn_bytes: u64,
    /// Frames put back from the WAL when the store was opened.
    pub replayed_frames: u64,
    /// Whole WAL records whose frames this program cannot read; their files are kept.
    pub unusable_frames: u64,
    /// 1 while segments are merged or rolled up, or should be; 0 when there is nothing to do.
    pub compaction_pending: u64,
    /// Segment files that no trusted manifest listed when the store was opened: set aside.
    pub orphans_kept: u64,
}

/// What stands in segments of one table and resolution.
#[derive(Debug, Clone, Default, Serialize)]
pub struct TableStatus {
    /// The table.
    pub table: String,
    /// `raw`, `5m` or `1h`.
    pub resolution: String,
    /// Files.
    pub segments: u64,
    /// Rows.
    pub rows: u64,
    /// Samples.
    pub samples: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Time of the first row, Unix milliseconds UTC.
    pub start_ms: i64,
    /// Millisecond after the last row.
    pub end_ms: i64,
}

/// The newest frame kept from one sender.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct SenderStatus {
    /// Its newest epoch.
    pub epoch: u64,
    /// The highest sequence of that epoch.
    pub sequence: u64,
}

/// Puts the status together.
pub(super) fn status(shared: &Shared) -> StoreStatus {
    let manifest = Arc::clone(&shared.published.lock());
    let quarantined = shared.disk.list(&shared.paths.quarantine).unwrap_or_default();
    let (wal_bytes, wal_files) = {
        let files = shared.wal_files.lock();
        (files.values().map(|file| file.bytes).sum(), wide(files.len()))
    };
    let (senders, marks) = {
        let marks = shared.marks.lock();
        let latest = marks.iter().take(SENDERS_LISTED_MAX).filter_map(|(sender, marks)| {
            let (epoch, sequence) = marks.latest()?;
            Some((sender.to_string(), SenderStatus { epoch, sequence }))
        });
        (wide(marks.senders()), latest.collect())
    };
    let counters = &shared.counters;
    let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    StoreStatus {
        tables: tables(&manifest.segments),
        head_rows: shared
            .tables()
            .map(|(table, state)| (table.name(), state.lock().head_rows()))
            .filter(|(_, rows)| *rows > 0)
            .collect(),
        head_bytes: wide(shared.measure()),
        wal_bytes,
        wal_files,
        segments: wide(manifest.segments.len()),
        generation: manifest.generation,
        quarantined: quarantined.iter().map(|file| file.name().to_owned()).collect(),
        lost: manifest.lost.clone(),
        read_only: shared.read_only.lock().clone(),
        senders,
        marks,
        disk_free_bytes: shared.disk.free_bytes(&shared.options.dir).ok(),
        frames_new: get(&counters.frames_new),
        frames_duplicate: get(&counters.frames_duplicate),
        frames_rejected: get(&counters.frames_rejected),
        rows: get(&counters.rows),
        rows_refused: get(&counters.rows_refused),
        samples: get(&counters.samples),
        commits: get(&counters.commits),
        wal_failures: get(&counters.wal_failures),
        flushes: get(&counters.flushes),
        flush_failures: get(&counters.flush_failures),
        corrupt_bytes: get(&counters.corrupt_bytes),
        torn_bytes: get(&counters.torn_bytes),
        replayed_frames: get(&counters.replayed_frames),
        unusable_frames: get(&counters.unusable_frames),
        compaction_pending: u64::from(is_due(shared)),
        orphans_kept: get(&counters.orphans_kept),
    }
}

fn tables(segments: &[crate::manifest::SegmentEntry]) -> Vec<TableStatus> {
    let mut tables: BTreeMap<_, TableStatus> = BTreeMap::new();
    for entry in segments {
        let meta = &entry.meta;
        let status =
            tables.entry((&entry.table, entry.resolution)).or_insert_with(|| TableStatus {
                table: entry.table.clone(),
                resolution: entry.resolution.to_string(),
                start_ms: meta.start_ms,
                end_ms: meta.end_ms,
                ..TableStatus::default()
            });
        status.segments = status.segments.saturating_add(1);
        status.rows = status.rows.saturating_add(meta.rows);
        status.samples = status.samples.saturating_add(meta.samples);
        status.bytes = status.bytes.saturating_add(meta.bytes);
        status.start_ms = status.start_ms.min(meta.start_ms);
        status.end_ms = status.end_ms.max(meta.end_ms);
    }
    tables.into_values().collect()
}
