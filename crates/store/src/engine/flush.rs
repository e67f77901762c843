//! Turns heads into segments, changes the manifest, and takes away what it no longer needs.
//!
//! The order of a flush: seal heads, write segments aside, sync, rename into place, sync folders,
//! write the manifest, swap heads for segments in memory, take away WAL files. A failure at any
//! step leaves the heads sealed and the WAL whole; the next flush tries again.
//!
//! Holds SEG, and ACK together with `wal`: a WAL file goes only after a durable manifest says that
//! all its rows are in segments.
//! Not here: when to flush (`worker`).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use plimsoll_model::{Registry, Table, chain};

use super::shared::{LiveSegment, Shared, WalFile, count};
use super::{StoreError, quarantine};
use crate::head::{DAY_MS, SealedHead, SortedRows};
use crate::manifest::{self, Lineage, Manifest, SegmentEntry};
use crate::retention;
use crate::sabotage::{Bug, is_planted};
use crate::segment::{self, Resolution, Segment};
use crate::wal::{self, Position};

/// The manifest as it is on disk, and what has to go once nobody reads it.
#[derive(Debug)]
pub(super) struct Ledger {
    manifest: Arc<Manifest>,
    /// Highest generation ever tried; a generation whose write failed is not tried again.
    generation_tried: u64,
    next_segment: u64,
    graveyard: Vec<(Arc<Segment>, PathBuf)>,
}

impl Ledger {
    /// `next_segment`: above the number of every file below the folder of segments.
    pub(super) fn new(manifest: Manifest, generation_max: u64, next_segment: u64) -> Self {
        let next_segment = next_segment.max(manifest.next_segment);
        let manifest = Arc::new(manifest);
        Self { manifest, generation_tried: generation_max, next_segment, graveyard: Vec::new() }
    }

    pub(super) fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    /// The number of a new segment.
    pub(super) fn take_segment_id(&mut self) -> u64 {
        let id = self.next_segment;
        self.next_segment = id.saturating_add(1);
        id
    }

    /// Makes a changed copy of the manifest the newest one.
    ///
    /// The marks of all frames that are durable now go with it.
    pub(super) fn commit(
        &mut self,
        shared: &Shared,
        change: impl FnOnce(&mut Manifest),
    ) -> Result<(), StoreError> {
        if shared.lock.lock().is_none() {
            return Err(StoreError::Closed);
        }
        let mut next = Manifest::clone(&self.manifest);
        change(&mut next);
        self.generation_tried = self.generation_tried.saturating_add(1);
        next.generation = self.generation_tried;
        next.next_segment = self.next_segment;
        next.marks = shared.marks.lock().to_file();
        let paths = &shared.paths;
        manifest::write(&shared.disk, &paths.manifest, &paths.tmp, &next)?;
        self.manifest = Arc::new(next);
        *shared.published.lock() = Arc::clone(&self.manifest);
        Ok(())
    }

    /// Hands over segments that are in no manifest any more.
    pub(super) fn bury(&mut self, segments: impl IntoIterator<Item = (Arc<Segment>, PathBuf)>) {
        self.graveyard.extend(segments);
    }

    /// Deletes the files of dead segments that nobody reads.
    pub(super) fn dig(&mut self, shared: &Shared) {
        self.graveyard.retain(|(segment, path)| {
            if Arc::strong_count(segment) > 1 {
                return true;
            }
            if let Err(error) = shared.disk.remove(path) {
                tracing::warn!(error = %chain(&error), "dead segment not removed");
            }
            false
        });
    }
}

/// What a flush wrote for one table.
struct Written {
    table: &'static Table,
    upto: Position,
    heads: usize,
    segments: Vec<NewSegment>,
}

/// Flushes the heads of all tables that `wanted` picks.
///
/// # Errors
///
/// [`StoreError`]; then nothing changed but that heads are sealed.
pub(super) fn flush(
    shared: &Shared,
    wanted: impl Fn(&'static Table) -> bool,
) -> Result<(), StoreError> {
    let mut ledger = shared.ledger.lock();
    let result = flush_locked(shared, &mut ledger, wanted);
    if result.is_err() {
        count(&shared.counters.flush_failures, 1);
    }
    result
}

fn flush_locked(
    shared: &Shared,
    ledger: &mut Ledger,
    wanted: impl Fn(&'static Table) -> bool,
) -> Result<(), StoreError> {
    if shared.lock.lock().is_none() {
        return Err(StoreError::Closed);
    }
    let mut written: Vec<Written> = Vec::new();
    for (table, state) in shared.tables().filter(|(table, _)| wanted(table)) {
        let (sealed, upto) = {
            let mut state = state.lock();
            let upto = state.seal();
            (state.sealed.clone(), upto)
        };
        if upto <= ledger.manifest().flushed(table) {
            continue;
        }
        match write_table(shared, ledger, &sealed) {
            Ok(segments) => written.push(Written { table, upto, heads: sealed.len(), segments }),
            Err(error) => {
                for done in &written {
                    discard(shared, &done.segments);
                }
                return Err(error);
            }
        }
    }
    if written.is_empty() {
        truncate_wal(shared, ledger.manifest());
        return Ok(());
    }
    if is_planted(Bug::WalBeforeManifest) {
        let current = shared.wal_current.load(Ordering::Acquire);
        for (id, _) in shared.wal_files.lock().range(..current) {
            let _ = shared.disk.remove(&wal::file_path(&shared.paths.wal, *id));
        }
    }
    let committed = ledger.commit(shared, |manifest| {
        for done in &written {
            manifest.segments.extend(done.segments.iter().map(|(entry, _)| entry.clone()));
            manifest.flushed.insert(done.table.name().to_owned(), done.upto);
        }
    });
    if let Err(error) = committed {
        // A generation that is on disk after all may be read by the next start: its files stay.
        if !manifest::exists(&shared.paths.manifest, ledger.generation_tried) {
            for done in &written {
                discard(shared, &done.segments);
            }
        }
        return Err(error);
    }
    for done in written {
        install(shared, done);
    }
    count(&shared.counters.flushes, 1);
    shared.measure();
    truncate_wal(shared, ledger.manifest());
    Ok(())
}

type NewSegment = (SegmentEntry, Arc<Segment>);

fn write_table(
    shared: &Shared,
    ledger: &mut Ledger,
    sealed: &[SealedHead],
) -> Result<Vec<NewSegment>, StoreError> {
    let mut segments = Vec::new();
    for rows in sealed.iter().flat_map(SealedHead::days) {
        match write_segment(shared, ledger, &rows) {
            Ok(segment) => segments.push(segment),
            Err(error) => {
                discard(shared, &segments);
                return Err(error);
            }
        }
    }
    Ok(segments)
}

/// Writes rows as a durable segment file that no manifest lists yet.
pub(super) fn write_segment(
    shared: &Shared,
    ledger: &mut Ledger,
    rows: &SortedRows,
) -> Result<NewSegment, StoreError> {
    let id = ledger.take_segment_id();
    let aside = shared.paths.tmp.join(format!("{id:016x}.parquet"));
    let written = write_aside(shared, id, rows, &aside);
    if written.is_err()
        && let Err(error) = shared.disk.remove(&aside)
    {
        tracing::warn!(error = %chain(&error), "unfinished segment not removed");
    }
    written
}

fn write_aside(
    shared: &Shared,
    id: u64,
    rows: &SortedRows,
    aside: &Path,
) -> Result<NewSegment, StoreError> {
    shared.disk.remove(aside)?;
    let meta = segment::write(rows, Resolution::Raw, aside)?;
    let entry = SegmentEntry {
        id,
        table: rows.table().name().to_owned(),
        resolution: Resolution::Raw,
        date: date(rows.day()),
        meta: meta.clone(),
        lineage: Lineage::default(),
    };
    let path = shared.paths.segments.join(entry.path());
    shared.disk.sync_file(aside)?;
    if let Some(folder) = path.parent() {
        shared.disk.create_folder(folder)?;
    }
    shared.disk.rename(aside, &path)?;
    Ok((entry, Arc::new(Segment::open(&path, meta)?)))
}

/// The name of a UTC day, given as days since 1970.
fn date(day: i64) -> String {
    let moment = jiff::Timestamp::from_millisecond(day.saturating_mul(DAY_MS));
    moment.map_or_else(|_| format!("day{day}"), |moment| moment.strftime("%Y-%m-%d").to_string())
}

fn discard(shared: &Shared, segments: &[NewSegment]) {
    for (_, segment) in segments {
        if let Err(error) = shared.disk.remove(segment.path()) {
            tracing::warn!(error = %chain(&error), "unused segment not removed");
        }
    }
}

// Readers see the heads before and the segments after, under one lock.
fn install(shared: &Shared, done: Written) {
    let Some(state) = shared.table(done.table) else {
        return;
    };
    let mut state = state.lock();
    let heads = done.heads.min(state.sealed.len());
    state.sealed.drain(..heads);
    let segments = done.segments.into_iter();
    state.segments.extend(segments.map(|(entry, segment)| LiveSegment::new(&entry, segment)));
}

/// Takes away closed WAL files whose rows are all in segments; files with damage are set aside.
pub(super) fn truncate_wal(shared: &Shared, manifest: &Manifest) {
    let current = shared.wal_current.load(Ordering::Acquire);
    let flushed: Vec<Position> =
        shared.tables().map(|(table, _)| manifest.flushed(table)).collect();
    let is_needed = |id: u64, file: &WalFile| {
        file.last.iter().any(|(table, start)| {
            let at = Position { file: id, offset: *start };
            flushed.get(*table).is_none_or(|flushed| at >= *flushed)
        })
    };
    // Collected first, so that commits do not wait for the disk to delete.
    let surplus: Vec<(u64, bool)> = shared
        .wal_files
        .lock()
        .range(..current)
        .filter(|(id, file)| !is_needed(**id, file))
        .map(|(id, file)| (*id, file.damaged))
        .collect();
    for (id, damaged) in surplus {
        let path = wal::file_path(&shared.paths.wal, id);
        let gone = if damaged && path.exists() {
            quarantine::set_aside(shared, &path)
        } else {
            shared.disk.remove(&path)
        };
        match gone {
            Ok(()) => drop(shared.wal_files.lock().remove(&id)),
            Err(error) => {
                tracing::warn!(error = %chain(&error), "write-ahead log file not taken away");
            }
        }
    }
}

/// Drops whole segments whose rows are all older than their retention.
///
/// Returns how many went.
///
/// # Errors
///
/// [`StoreError`] when the manifest cannot be written; then nothing changed.
pub(super) fn apply_retention(shared: &Shared) -> Result<usize, StoreError> {
    let hidden = shared.hidden();
    let is_over = |entry: &SegmentEntry| {
        let table = Registry::embedded().table(&entry.table);
        table.is_some_and(|table| retention::is_over(table, entry, &hidden))
    };
    let mut ledger = shared.ledger.lock();
    let over: Vec<u64> = ledger
        .manifest()
        .segments
        .iter()
        .filter(|entry| is_over(entry))
        .map(|entry| entry.id)
        .collect();
    if !over.is_empty() {
        ledger.commit(shared, |manifest| {
            manifest.segments.retain(|entry| !over.contains(&entry.id));
        })?;
        let dead = take_out(shared, &over);
        ledger.bury(dead.into_iter().map(|segment| {
            let path = segment.path().to_owned();
            (segment, path)
        }));
        tracing::info!(segments = over.len(), "segments past retention dropped");
    }
    ledger.dig(shared);
    Ok(over.len())
}

/// Takes segments out of what scans see.
pub(super) fn take_out(shared: &Shared, ids: &[u64]) -> Vec<Arc<Segment>> {
    let mut taken = Vec::new();
    for (_, state) in shared.tables() {
        state.lock().segments.retain(|live| {
            let goes = ids.contains(&live.id);
            if goes {
                taken.push(Arc::clone(&live.segment));
            }
            !goes
        });
    }
    taken
}
