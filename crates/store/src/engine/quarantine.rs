//! Sets damaged files aside and remembers what they held, so that answers can say what is missing.
//!
//! Nothing is deleted: a file moves to `quarantine/` under its own name, with a number when that is
//! taken.
//!
//! Holds CORRUPT.

use std::path::Path;

use plimsoll_model::{Table, TimeRange, chain};

use super::StoreError;
use super::flush::{Ledger, take_out};
use super::shared::Shared;
use crate::disk::DiskError;
use crate::manifest::{Lost, SegmentEntry};
use crate::segment::Resolution;

/// Most files of one name that are kept.
const NAMES_MAX: u32 = 10_000;
/// Most lost ranges that are remembered; the oldest goes first.
const LOST_MAX: usize = 1000;

/// Moves a file to the quarantine.
pub(super) fn set_aside(shared: &Shared, path: &Path) -> Result<(), DiskError> {
    move_aside(&shared.disk, &shared.paths.quarantine, path)
}

/// Moves a file to the quarantine folder.
pub(super) fn move_aside(
    disk: &crate::disk::Disk,
    folder: &Path,
    path: &Path,
) -> Result<(), DiskError> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_else(|| "unnamed".to_owned());
    let free = (0..NAMES_MAX)
        .map(|number| {
            let suffix = if number == 0 { String::new() } else { format!(".{number}") };
            folder.join(format!("{name}{suffix}"))
        })
        .find(|candidate| !candidate.exists());
    tracing::error!(path = %path.display(), "damaged file set aside");
    match free {
        Some(target) => disk.rename(path, &target),
        None => disk.rename(path, &folder.join(name)),
    }
}

/// Remembers in a manifest that the rows of a segment are lost.
pub(super) fn note_lost(lost: &mut Vec<Lost>, entry: &SegmentEntry) {
    lost.push(Lost {
        table: entry.table.clone(),
        resolution: entry.resolution,
        start_ms: entry.meta.start_ms,
        end_ms: entry.meta.end_ms,
        rows: entry.meta.rows,
        segment: entry.id,
    });
    let surplus = lost.len().saturating_sub(LOST_MAX);
    lost.drain(..surplus);
}

/// Takes the segments that scans found damaged out of the manifest and sets their files aside.
pub(super) fn quarantine_suspects(shared: &Shared) -> Result<(), StoreError> {
    let suspects = std::mem::take(&mut *shared.suspects.lock());
    if suspects.is_empty() {
        return Ok(());
    }
    let mut ledger = shared.ledger.lock();
    let done = quarantine(shared, &mut ledger, &suspects);
    if done.is_err() {
        shared.suspects.lock().extend(suspects);
    }
    done
}

fn quarantine(shared: &Shared, ledger: &mut Ledger, ids: &[u64]) -> Result<(), StoreError> {
    let entries: Vec<SegmentEntry> = ledger
        .manifest()
        .segments
        .iter()
        .filter(|entry| ids.contains(&entry.id))
        .cloned()
        .collect();
    if entries.is_empty() {
        return Ok(());
    }
    ledger.commit(shared, |manifest| {
        manifest.segments.retain(|entry| !ids.contains(&entry.id));
        for entry in &entries {
            note_lost(&mut manifest.lost, entry);
        }
    })?;
    drop(take_out(shared, ids));
    for entry in &entries {
        let path = shared.paths.segments.join(entry.path());
        if let Err(error) = set_aside(shared, &path) {
            tracing::warn!(error = %chain(&error), "damaged segment not set aside");
        }
    }
    Ok(())
}

/// One sentence for each lost segment that had rows in the range.
pub(super) fn warnings(
    lost: &[Lost],
    table: &Table,
    resolution: Resolution,
    range: TimeRange,
) -> Vec<String> {
    lost.iter()
        .filter(|lost| lost.table == table.name() && lost.resolution == resolution)
        .filter(|lost| TimeRange::new(lost.start_ms, lost.end_ms).overlaps(&range))
        .map(|lost| {
            format!(
                "{} rows between {} and {} ms are missing: segment {:016x} was damaged",
                lost.rows, lost.start_ms, lost.end_ms, lost.segment
            )
        })
        .collect()
}
