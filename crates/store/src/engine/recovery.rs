//! Opens a data directory in whatever state a crash, a full disk or a damaged file left it.
//!
//! The manifest says which segments live; the WAL gives back what was not in segments yet. Damaged
//! files are set aside, leftovers of this program are taken away, unknown files are not touched.
//!
//! Holds ACK, ONCE, CORRUPT; memory stays within `head_bytes_max` by flushing while replaying.
//! Not here: reading damaged WAL files (`wal::Reader`), choosing the manifest (`manifest::read`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use plimsoll_model::{Clock, Registry, Table, chain};
use plimsoll_wire::{FrameId, FrameLimits};

use super::admit::{Admitted, admit};
use super::flush::{Ledger, flush, truncate_wal};
use super::quarantine::{move_aside, note_lost};
use super::shared::{LiveSegment, Paths, Shared, WalFile, count};
use super::{Rejection, StoreError, StoreOptions};
use crate::disk::{Disk, DiskError, Listed, Lock};
use crate::manifest::{self, Manifest, Mark, Marks, SegmentEntry};
use crate::sabotage::{Bug, is_planted};
use crate::segment::Segment;
use crate::wal::{self, Reader, Replayed};

/// Folders below `segments`: table, resolution, date.
const SEGMENT_FOLDERS_DEEP: usize = 3;
/// Bytes of records that are decoded together: replay holds no more than these beside the heads.
const DECODE_BYTES: usize = 4 << 20;
/// Threads that decode at the most.
const DECODE_THREADS_MAX: usize = 8;

/// Opens a data directory.
///
/// Returns what the threads share and the number of the first WAL file to write.
pub(super) fn recover(
    disk: Disk,
    options: StoreOptions,
    clock: Arc<dyn Clock>,
) -> Result<(Shared, u64), StoreError> {
    let paths = Paths::new(&options.dir);
    for folder in
        [&options.dir, &paths.wal, &paths.manifest, &paths.segments, &paths.quarantine, &paths.tmp]
    {
        disk.create_folder(folder)?;
    }
    let lock = Lock::take(&paths.lock).map_err(|source| StoreError::InUse { source })?;
    let mut found = manifest::read(&disk, &paths.manifest)?;
    for (path, error) in &found.damaged {
        tracing::error!(path = %path.display(), error = %chain(error), "manifest damaged");
        if let Err(error) = move_aside(&disk, &paths.quarantine, path) {
            tracing::warn!(error = %chain(&error), "damaged manifest not set aside");
        }
    }
    let files = segment_files(&disk, &paths.segments)?;
    let entries = std::mem::take(&mut found.manifest.segments);
    let (whole, lost): (Vec<_>, Vec<_>) =
        entries.into_iter().partition(|entry| is_whole(&disk, &paths, entry));
    found.manifest.segments = whole;
    for entry in &lost {
        note_lost(&mut found.manifest.lost, entry);
    }
    let is_changed = !found.damaged.is_empty() || !lost.is_empty();
    // With no list to believe in, a file nobody names may hold the only copy of its rows.
    let is_trusted = !found.fell_back && found.manifest.generation > 0;
    let kept = |id| !is_trusted || found.manifest.lost.iter().any(|lost| lost.segment == id);
    let orphans = sweep(&disk, &paths, &files, &found.manifest.segments, kept);

    let next_segment = files.iter().map(|(id, _)| id.saturating_add(1)).max().unwrap_or(0);
    let marks = Marks::from_file(&found.manifest.marks);
    let ledger = Ledger::new(found.manifest, found.generation_max, next_segment);
    let shared = Shared::new(options, clock, disk, lock, ledger, marks);
    count(&shared.counters.orphans_kept, orphans);
    open_segments(&shared);
    let next_wal = replay(&shared)?;
    if is_changed {
        let committed = shared.ledger.lock().commit(&shared, |_| {});
        if let Err(error) = committed {
            tracing::warn!(error = %chain(&error), "repaired manifest not written yet");
        }
    }
    shared.measure();
    shared.check_space();
    Ok((shared, next_wal))
}

fn is_whole(disk: &Disk, paths: &Paths, entry: &SegmentEntry) -> bool {
    let path = paths.segments.join(entry.path());
    let bytes = std::fs::metadata(&path).map(|metadata| metadata.len());
    match &bytes {
        Ok(bytes) if *bytes == entry.meta.bytes => return true,
        // The file may be as good as ever; scans will say what they cannot read.
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return true,
        _ => {}
    }
    tracing::error!(
        path = %path.display(), found = ?bytes, wrote = entry.meta.bytes, rows = entry.meta.rows,
        "segment damaged"
    );
    if bytes.is_ok()
        && let Err(error) = move_aside(disk, &paths.quarantine, &path)
    {
        tracing::warn!(error = %chain(&error), "damaged segment not set aside");
    }
    false
}

/// Every file below `segments` that this program named, by its number.
fn segment_files(disk: &Disk, folder: &Path) -> Result<Vec<(u64, PathBuf)>, DiskError> {
    let mut folders = vec![folder.to_owned()];
    for _ in 0..SEGMENT_FOLDERS_DEEP {
        let mut deeper = Vec::new();
        for folder in &folders {
            let found = disk.list(folder)?;
            deeper.extend(found.into_iter().filter(|f| f.is_folder).map(|f| f.path));
        }
        folders = deeper;
    }
    let mut files = Vec::new();
    for folder in &folders {
        let found = disk.list(folder)?;
        files.extend(found.into_iter().filter_map(|f| Some((segment_id(&f)?, f.path))));
    }
    Ok(files)
}

fn segment_id(file: &Listed) -> Option<u64> {
    let digits = file.name().strip_suffix(".parquet").filter(|digits| digits.len() == 16)?;
    let id = u64::from_str_radix(digits, 16).ok()?;
    (!file.is_folder && format!("{id:016x}") == digits).then_some(id)
}

// Takes away leftovers. Files that no list names but that may hold the only copy of rows (`kept`)
// are set aside instead. Returns how many those were.
fn sweep(
    disk: &Disk,
    paths: &Paths,
    files: &[(u64, PathBuf)],
    live: &[SegmentEntry],
    kept: impl Fn(u64) -> bool,
) -> u64 {
    let listed: BTreeSet<PathBuf> =
        live.iter().map(|entry| paths.segments.join(entry.path())).collect();
    let mut orphans: u64 = 0;
    for (id, path) in files.iter().filter(|(_, path)| !listed.contains(path)) {
        let gone = if kept(*id) {
            orphans = orphans.saturating_add(1);
            move_aside(disk, &paths.quarantine, path)
        } else {
            disk.remove(path)
        };
        if let Err(error) = gone {
            tracing::warn!(error = %chain(&error), "leftover segment not taken away");
        }
    }
    for file in disk.list(&paths.tmp).unwrap_or_default() {
        let is_aside = |name: &str| {
            name.strip_prefix("manifest-").is_some_and(|rest| rest.strip_suffix(".tmp").is_some())
        };
        let is_ours = segment_id(&file).is_some() || is_aside(file.name());
        if is_ours && let Err(error) = disk.remove(&file.path) {
            tracing::warn!(error = %chain(&error), "leftover not removed");
        }
    }
    orphans
}

fn open_segments(shared: &Shared) {
    let manifest = Arc::clone(&shared.published.lock());
    let mut entries: Vec<&SegmentEntry> = manifest.segments.iter().collect();
    entries.sort_by_key(|entry| (entry.order(), entry.id));
    let mut damaged = Vec::new();
    for entry in entries {
        let Some(table) = Registry::embedded().table(&entry.table) else {
            tracing::warn!(table = entry.table, "segment of an unknown table left alone");
            continue;
        };
        let path = shared.paths.segments.join(entry.path());
        match Segment::open(&path, entry.meta.clone()) {
            Ok(segment) => {
                if let Some(state) = shared.table(table) {
                    let live = LiveSegment::new(entry, Arc::new(segment));
                    state.lock().segments.push(live);
                }
            }
            Err(error) => {
                tracing::error!(error = %chain(&error), "segment cannot be opened");
                damaged.push(entry.id);
            }
        }
    }
    shared.suspects.lock().extend(damaged);
}

// Puts back what was not flushed. Returns the number of the next WAL file.
fn replay(shared: &Shared) -> Result<u64, StoreError> {
    let files: BTreeMap<u64, PathBuf> = shared
        .disk
        .list(&shared.paths.wal)?
        .into_iter()
        .filter(|file| !file.is_folder)
        .filter_map(|file| Some((wal::file_id(file.name())?, file.path)))
        .collect();
    let flushed_max = {
        let manifest = Arc::clone(&shared.published.lock());
        manifest.flushed.values().map(|position| position.file).max().unwrap_or(0)
    };
    let last = files.last_key_value().map_or(0, |(id, _)| *id);
    let next = last.max(flushed_max).saturating_add(1);
    // Frames put back in this replay. The manifest's marks say nothing here: they name frames that
    // are only in the WAL as well.
    let mut replayed = Marks::default();
    for (id, path) in files {
        let file = replay_file(shared, id, &path, &mut replayed);
        shared.wal_files.lock().insert(id, file);
        shared.wal_current.store(id.saturating_add(1), Ordering::Release);
        truncate_wal(shared, &Arc::clone(&shared.published.lock()));
    }
    shared.wal_current.store(next, Ordering::Release);
    Ok(next)
}

fn replay_file(shared: &Shared, id: u64, path: &Path, replayed: &mut Marks) -> WalFile {
    let mut file = WalFile {
        bytes: std::fs::metadata(path).map_or(0, |metadata| metadata.len()),
        ..WalFile::default()
    };
    let mut reader = match Reader::open(path, id) {
        Ok(reader) => reader,
        Err(error) => {
            tracing::error!(error = %chain(&error), "write-ahead log file cannot be read");
            file.damaged = true;
            return file;
        }
    };
    loop {
        let (records, is_end) = next_records(&mut reader, &mut file);
        for (record, decoded) in decode_all(shared, records) {
            replay_record(shared, &record, decoded, &mut file, replayed);
            if shared.measure() > shared.options.head_bytes_max
                && let Err(error) = flush(shared, |_| true)
            {
                tracing::error!(error = %chain(&error), "flush during replay failed");
            }
        }
        if is_end {
            break;
        }
    }
    let mut damage = reader.damage();
    // The manifest remembers how long the file was at least.
    let missing = flushed_in(shared, id).saturating_sub(file.bytes);
    damage.corrupt_bytes = damage.corrupt_bytes.saturating_add(missing);
    if damage.corrupt_bytes > 0 {
        file.damaged = true;
        count(&shared.counters.corrupt_bytes, damage.corrupt_bytes);
        tracing::error!(
            path = %path.display(), corrupt_bytes = damage.corrupt_bytes,
            "write-ahead log damaged, other records kept"
        );
    }
    count(&shared.counters.torn_bytes, damage.torn_bytes);
    file
}

// The greatest offset up to which the manifest says this file was read.
fn flushed_in(shared: &Shared, id: u64) -> u64 {
    let manifest = Arc::clone(&shared.published.lock());
    let flushed = manifest.flushed.values().filter(|position| position.file == id);
    flushed.map(|position| position.offset).max().unwrap_or(0)
}

// The next records, at most about `DECODE_BYTES`, and whether they are the last.
fn next_records(reader: &mut Reader, file: &mut WalFile) -> (Vec<Replayed>, bool) {
    let (mut records, mut bytes) = (Vec::new(), 0_usize);
    while bytes < DECODE_BYTES {
        match reader.next_record() {
            Ok(Some(record)) => {
                bytes = bytes.saturating_add(record.payload.len());
                records.push(record);
            }
            Ok(None) => return (records, true),
            Err(error) => {
                tracing::error!(error = %chain(&error), "write-ahead log file cannot be read on");
                file.damaged = true;
                return (records, true);
            }
        }
    }
    (records, false)
}

/// What a record holds.
enum Decoded {
    /// Its rows are in segments.
    Flushed,
    /// A frame that nobody can read.
    Unusable(plimsoll_wire::FrameError),
    /// A frame, and its rows if they are acceptable.
    Frame(FrameId, &'static Table, Box<Result<Admitted, Rejection>>),
}

fn decode(shared: &Shared, manifest: &Manifest, record: &mut Replayed) -> Decoded {
    let header = match plimsoll_wire::peek(&record.payload, &FrameLimits::default()) {
        Ok(header) => header,
        Err(error) => return Decoded::Unusable(error),
    };
    if record.start < manifest.flushed(header.table) {
        return Decoded::Flushed;
    }
    let payload = Bytes::from(std::mem::take(&mut record.payload));
    let admitted = admit(&shared.options, payload, record.received_ms);
    Decoded::Frame(header.id, header.table, Box::new(admitted))
}

// Decodes on all cores; the order stays.
fn decode_all(shared: &Shared, mut records: Vec<Replayed>) -> Vec<(Replayed, Decoded)> {
    let manifest = Arc::clone(&shared.published.lock());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let share = records.len().div_ceil(cores.min(DECODE_THREADS_MAX)).max(1);
    let decoded: Vec<Decoded> = std::thread::scope(|scope| {
        let parts: Vec<_> = records
            .chunks_mut(share)
            .map(|part| {
                let manifest = &manifest;
                let each = move || {
                    part.iter_mut().map(|record| decode(shared, manifest, record)).collect()
                };
                scope.spawn(each)
            })
            .collect();
        let joined = parts.into_iter().map(std::thread::ScopedJoinHandle::join);
        let whole = |part: std::thread::Result<Vec<Decoded>>| {
            part.unwrap_or_else(|fault| std::panic::resume_unwind(fault))
        };
        joined.flat_map(whole).collect()
    });
    records.into_iter().zip(decoded).collect()
}

fn replay_record(
    shared: &Shared,
    record: &Replayed,
    decoded: Decoded,
    file: &mut WalFile,
    replayed: &mut Marks,
) {
    let (id, table, admitted) = match decoded {
        Decoded::Flushed => return,
        Decoded::Unusable(error) => return unusable(shared, record, file, &error),
        Decoded::Frame(id, table, admitted) => (id, table, *admitted),
    };
    if is_planted(Bug::MarksApart) && shared.marks.lock().find(id) == Mark::Seen {
        return;
    }
    if replayed.find(id) == Mark::Seen {
        return;
    }
    match admitted {
        Ok(admitted) => {
            replayed.insert(admitted.id);
            shared.marks.lock().insert(admitted.id);
            file.last.insert(table.index(), record.start.offset);
            shared.apply(&admitted.batch, record.end);
            count(&shared.counters.replayed_frames, 1);
        }
        Err(error) => {
            tracing::error!(error = %chain(&error), "frame in the write-ahead log not usable");
            count(&shared.counters.unusable_frames, 1);
            file.damaged = true;
        }
    }
}

// The record is as written, but this program cannot read its frame: the file must be kept.
fn unusable(
    shared: &Shared,
    record: &Replayed,
    file: &mut WalFile,
    error: &plimsoll_wire::FrameError,
) {
    tracing::error!(
        file = record.start.file, offset = record.start.offset, error = %chain(error),
        "frame in the write-ahead log not usable"
    );
    count(&shared.counters.unusable_frames, 1);
    file.damaged = true;
}
