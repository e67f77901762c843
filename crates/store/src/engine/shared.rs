//! What the threads of one store share: tables in memory, marks, counters, health.
//!
//! Each table has one lock over its live head, sealed heads and segments, so that a reader sees a
//! row in exactly one of them. Locks are held for the time of one push or one snapshot.
//!
//! Not here: the order of commits (`commit`), of flushes (`flush`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use plimsoll_model::{Batch, Clock, Registry, Table};

use super::flush::Ledger;
use super::upkeep::Upkeep;
use super::{ReadOnly, StoreOptions};
use crate::disk::{Disk, Lock};
use crate::head::{Head, SealedHead};
use crate::manifest::{Lineage, Manifest, Marks, SegmentEntry};
use crate::scan::View;
use crate::segment::{Resolution, Segment};
use crate::wal::Position;

/// Folders of a data directory.
#[derive(Debug, Clone)]
pub(super) struct Paths {
    pub(super) lock: PathBuf,
    pub(super) wal: PathBuf,
    pub(super) manifest: PathBuf,
    pub(super) segments: PathBuf,
    pub(super) quarantine: PathBuf,
    pub(super) tmp: PathBuf,
}

impl Paths {
    pub(super) fn new(dir: &Path) -> Self {
        Self {
            lock: dir.join("LOCK"),
            wal: dir.join("wal"),
            manifest: dir.join("manifest"),
            segments: dir.join("segments"),
            quarantine: dir.join("quarantine"),
            tmp: dir.join("tmp"),
        }
    }
}

/// One live segment in memory.
#[derive(Debug, Clone)]
pub(super) struct LiveSegment {
    pub(super) id: u64,
    pub(super) resolution: Resolution,
    pub(super) segment: Arc<Segment>,
    pub(super) lineage: Lineage,
}

impl LiveSegment {
    pub(super) fn new(entry: &SegmentEntry, segment: Arc<Segment>) -> Self {
        let lineage = entry.lineage.clone();
        Self { id: entry.id, resolution: entry.resolution, segment, lineage }
    }

    /// Which rows win: those of the segment with the highest order.
    pub(super) fn order(&self) -> u64 {
        if self.lineage.order == 0 { self.id } else { self.lineage.order }
    }
}

/// The rows of one table.
#[derive(Debug)]
pub(super) struct TableState {
    live: Head,
    /// Monotonic time of the first row in `live`.
    live_since: Option<Duration>,
    /// Heads that wait to become segments, oldest first.
    pub(super) sealed: Vec<SealedHead>,
    pub(super) segments: Vec<LiveSegment>,
    /// End of the last record whose rows are in memory.
    applied: Position,
}

impl TableState {
    fn bytes(&self) -> usize {
        let sealed: usize = self.sealed.iter().map(SealedHead::bytes).sum();
        let live = if self.live.is_empty() { 0 } else { self.live.bytes() };
        sealed.saturating_add(live)
    }

    /// How long the oldest row that is not in a segment has been here.
    pub(super) fn age(&self, now: Duration) -> Duration {
        let since = if self.sealed.is_empty() { self.live_since } else { Some(Duration::ZERO) };
        since.map_or(Duration::ZERO, |since| now.saturating_sub(since))
    }

    /// Time of the earliest row that is in no segment.
    pub(super) fn head_from_ms(&self) -> Option<i64> {
        let sealed = self.sealed.iter().filter_map(SealedHead::time_range);
        sealed.chain(self.live.time_range()).map(|range| range.start_ms).min()
    }

    pub(super) fn has_rows(&self) -> bool {
        !self.live.is_empty() || !self.sealed.is_empty()
    }

    pub(super) fn head_rows(&self) -> u64 {
        let sealed: usize = self.sealed.iter().map(SealedHead::rows).sum();
        super::admit::wide(sealed.saturating_add(self.live.rows()))
    }

    /// Moves the live head to the sealed ones.
    ///
    /// Returns the position before which all rows are in sealed heads or segments.
    pub(super) fn seal(&mut self) -> Position {
        if !self.live.is_empty() {
            let table = self.live.table();
            let live = std::mem::replace(&mut self.live, Head::new(table));
            self.live_since = None;
            self.sealed.push(live.seal());
        }
        self.applied
    }
}

/// One WAL file that still exists.
#[derive(Debug, Clone, Default)]
pub(super) struct WalFile {
    pub(super) bytes: u64,
    /// For each table (by index) the start of its last record in this file.
    pub(super) last: BTreeMap<usize, u64>,
    /// Has bytes that could not be used: it is set aside, not deleted.
    pub(super) damaged: bool,
}

/// Counts since the store was opened.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) frames_new: AtomicU64,
    pub(super) frames_duplicate: AtomicU64,
    pub(super) frames_rejected: AtomicU64,
    pub(super) rows: AtomicU64,
    pub(super) rows_refused: AtomicU64,
    pub(super) samples: AtomicU64,
    pub(super) commits: AtomicU64,
    pub(super) wal_failures: AtomicU64,
    pub(super) flushes: AtomicU64,
    pub(super) flush_failures: AtomicU64,
    pub(super) corrupt_bytes: AtomicU64,
    pub(super) torn_bytes: AtomicU64,
    pub(super) replayed_frames: AtomicU64,
    pub(super) unusable_frames: AtomicU64,
    pub(super) orphans_kept: AtomicU64,
}

/// Adds to a counter.
pub(super) fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

/// What the threads of one store share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) options: StoreOptions,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) disk: Disk,
    pub(super) paths: Paths,
    pub(super) lock: Mutex<Option<Lock>>,
    tables: Vec<Mutex<TableState>>,
    pub(super) marks: Mutex<Marks>,
    /// The manifest as it was committed last, for readers.
    pub(super) published: Mutex<Arc<Manifest>>,
    /// Held for a whole flush: one change of the manifest at a time.
    pub(super) ledger: Mutex<Ledger>,
    pub(super) wal_files: Mutex<BTreeMap<u64, WalFile>>,
    /// Files below this number are closed.
    pub(super) wal_current: AtomicU64,
    pub(super) read_only: Mutex<Option<ReadOnly>>,
    pub(super) counters: Counters,
    /// Memory of all heads, as of the last commit or flush.
    head_bytes: AtomicUsize,
    /// Segments that scans found damaged, by id.
    pub(super) suspects: Mutex<Vec<u64>>,
    pub(super) closed: AtomicBool,
    /// What merging and rolling up remembers; held while it works.
    pub(super) upkeep: Mutex<Upkeep>,
}

impl Shared {
    pub(super) fn new(
        options: StoreOptions,
        clock: Arc<dyn Clock>,
        disk: Disk,
        lock: Lock,
        ledger: Ledger,
        marks: Marks,
    ) -> Self {
        let tables = Registry::embedded()
            .tables()
            .iter()
            .map(|table| {
                let applied = ledger.manifest().flushed(table);
                let (sealed, segments) = (Vec::new(), Vec::new());
                let live = Head::new(table);
                Mutex::new(TableState { live, live_since: None, sealed, segments, applied })
            })
            .collect();
        Self {
            paths: Paths::new(&options.dir),
            options,
            clock,
            disk,
            lock: Mutex::new(Some(lock)),
            tables,
            marks: Mutex::new(marks),
            published: Mutex::new(Arc::clone(ledger.manifest())),
            ledger: Mutex::new(ledger),
            wal_files: Mutex::default(),
            wal_current: AtomicU64::new(0),
            read_only: Mutex::default(),
            counters: Counters::default(),
            head_bytes: AtomicUsize::new(0),
            suspects: Mutex::default(),
            closed: AtomicBool::new(false),
            upkeep: Mutex::default(),
        }
    }

    /// The state of one table; the registry's tables all have one.
    pub(super) fn table(&self, table: &Table) -> Option<&Mutex<TableState>> {
        self.tables.get(table.index())
    }

    /// All tables with their states.
    pub(super) fn tables(&self) -> impl Iterator<Item = (&'static Table, &Mutex<TableState>)> {
        Registry::embedded().tables().iter().zip(&self.tables)
    }

    /// Puts rows into their head. `end`: where their record ends.
    pub(super) fn apply(&self, batch: &Batch, end: Position) {
        let Some(state) = self.table(batch.table()) else {
            return;
        };
        let mut state = state.lock();
        if state.live_since.is_none() && batch.num_rows() > 0 {
            state.live_since = Some(self.clock.monotonic());
        }
        state.live.push(batch);
        state.applied = state.applied.max(end);
    }

    /// All raw rows of one table, at one moment.
    pub(super) fn view(&self, table: &Table) -> View {
        self.view_with(table, |_| {})
    }

    /// Raw segments and heads of one table at one moment; `each` sees every live segment of it,
    /// earliest arrival first.
    pub(super) fn view_with(&self, table: &Table, mut each: impl FnMut(&LiveSegment)) -> View {
        let Some(state) = self.table(table) else {
            return View::default();
        };
        let state = state.lock();
        state.segments.iter().for_each(&mut each);
        let raw = state.segments.iter().filter(|live| live.resolution == Resolution::Raw);
        let segments = raw.map(|live| Arc::clone(&live.segment)).collect();
        let mut heads: Vec<_> = state.sealed.iter().map(SealedHead::snapshot).collect();
        if !state.live.is_empty() {
            heads.push(state.live.snapshot());
        }
        View { segments, heads }
    }

    /// The live segment with this number.
    pub(super) fn live(&self, id: u64) -> Option<Arc<Segment>> {
        self.tables.iter().find_map(|state| {
            let state = state.lock();
            let live = state.segments.iter().find(|live| live.id == id)?;
            Some(Arc::clone(&live.segment))
        })
    }

    /// Adds up the memory of all heads, which [`Shared::head_bytes`] then says.
    pub(super) fn measure(&self) -> usize {
        let bytes = self.tables.iter().map(|state| state.lock().bytes()).sum();
        self.head_bytes.store(bytes, Ordering::Relaxed);
        bytes
    }

    pub(super) fn head_bytes(&self) -> usize {
        self.head_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn wal_bytes(&self) -> u64 {
        self.wal_files.lock().values().map(|file| file.bytes).sum()
    }

    /// Looks at the free space and turns frames away or lets them in again.
    pub(super) fn check_space(&self) {
        let free_bytes = match self.disk.free_bytes(&self.options.dir) {
            Ok(free_bytes) => free_bytes,
            Err(error) => {
                tracing::warn!(%error, "free space not known");
                return;
            }
        };
        let min_bytes = self.options.disk_free_bytes_min;
        let mut read_only = self.read_only.lock();
        match *read_only {
            Some(ReadOnly::DiskLow { .. }) if free_bytes >= min_bytes.saturating_mul(2) => {
                *read_only = None;
                tracing::info!(free_bytes, "disk has space again, frames accepted");
            }
            Some(ReadOnly::DiskLow { .. }) => {
                *read_only = Some(ReadOnly::DiskLow { free_bytes, min_bytes });
            }
            _ if free_bytes < min_bytes => {
                *read_only = Some(ReadOnly::DiskLow { free_bytes, min_bytes });
                tracing::error!(free_bytes, min_bytes, "disk nearly full, frames refused");
            }
            _ => {}
        }
    }

    /// Why frames are refused before they are looked at.
    pub(super) fn refuses(&self) -> Option<ReadOnly> {
        self.read_only.lock().clone().filter(|why| matches!(why, ReadOnly::DiskLow { .. }))
    }
}
