//! The only list of live segments, with what the WAL must still replay and which frames were kept.
//!
//! Every change writes a new generation: `manifest/<16 hex digits>` and a second copy with the
//! suffix `.copy`, each written aside, synced and swapped in. The highest generation with a whole
//! copy is the manifest; the last [`GENERATIONS_KEPT`] stay on disk.
//! The text form is `docs/formats/manifest.md`.
//!
//! Holds SEG, and CORRUPT: a damaged copy is set aside and its twin or predecessor is used.
//! Not here: when generations are made (`engine::flush`), files of segments (`segment`).

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

mod lineage;
mod marks;
mod text;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use plimsoll_model::{ErrorClass, Table, chain};
use serde::{Deserialize, Serialize};

use crate::disk::{Disk, DiskError};
use crate::segment::{Resolution, SegmentMeta};
use crate::wal::Position;

pub use lineage::Lineage;
pub use marks::{EPOCHS_MAX, Mark, Marks, MarksFile, RANGES_MAX, SENDERS_MAX, SenderMarks};
pub use text::ManifestError;

/// How many generations stay on disk.
pub const GENERATIONS_KEPT: u64 = 3;
/// Largest manifest that is read, in bytes.
const MANIFEST_BYTES_MAX: u64 = 1 << 30;
/// Ending of the second copy of a generation.
const COPY: &str = ".copy";

/// One live segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentEntry {
    /// Number of the segment; never used twice in a data directory.
    pub id: u64,
    /// Table its rows belong to.
    pub table: String,
    /// How far apart its rows are.
    pub resolution: Resolution,
    /// The UTC day of all its rows, `YYYY-MM-DD`.
    pub date: String,
    /// What proves its bytes.
    #[serde(flatten)]
    pub meta: SegmentMeta,
    /// Where its rows come from.
    #[serde(default)]
    pub lineage: Lineage,
}

impl SegmentEntry {
    /// Which rows win: those of the segment with the highest order.
    pub fn order(&self) -> u64 {
        if self.lineage.order == 0 { self.id } else { self.lineage.order }
    }

    /// Path below the folder `segments`.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("table={}", self.table))
            .join(format!("resolution={}", self.resolution))
            .join(format!("date={}", self.date))
            .join(format!("{:016x}.parquet", self.id))
    }

    /// Whether the names in it are such that [`SegmentEntry::path`] stays below `segments`.
    fn is_sane(&self) -> bool {
        let plain = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        };
        plain(&self.table) && plain(&self.date)
    }
}

/// The state of a data directory at one generation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Counts the manifests of this directory, from 1; 0 before the first.
    pub generation: u64,
    /// Number the next segment gets.
    pub next_segment: u64,
    /// Live segments, in no order that means anything.
    pub segments: Vec<SegmentEntry>,
    /// For each table: records that start before this position are in segments.
    pub flushed: BTreeMap<String, Position>,
    /// Segments that were damaged and set aside, oldest first.
    #[serde(default)]
    pub lost: Vec<Lost>,
    /// Which frames were kept.
    pub marks: MarksFile,
    /// What was deleted or shed before its age.
    #[serde(default)]
    pub removed: crate::retention::Removed,
}

/// A segment that was damaged: what an answer must say is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// Table its rows belonged to.
    pub table: String,
    /// How far apart its rows were.
    pub resolution: Resolution,
    /// Time of its first row, Unix milliseconds UTC.
    pub start_ms: i64,
    /// Millisecond after its last row.
    pub end_ms: i64,
    /// Its rows.
    pub rows: u64,
    /// Its number.
    pub segment: u64,
}

impl Manifest {
    /// Where the WAL of a table must be replayed from.
    pub fn flushed(&self, table: &Table) -> Position {
        self.flushed.get(table.name()).copied().unwrap_or_default()
    }
}

/// What was found when the manifest was read.
#[derive(Debug, Default)]
pub struct Found {
    /// The manifest; the empty one of generation 0 when there is none.
    pub manifest: Manifest,
    /// Highest generation that has a file, readable or not.
    pub generation_max: u64,
    /// Files that are no manifest, with the reason.
    pub damaged: Vec<(PathBuf, ManifestError)>,
    /// Whether a newer generation than `manifest` has only damaged files: files may exist that
    /// no list names, and none of them may be deleted.
    pub fell_back: bool,
}

/// Reads the newest whole manifest of `folder`.
///
/// # Errors
///
/// [`DiskError`] when the folder cannot be listed; damaged files are no error but listed.
pub fn read(disk: &Disk, folder: &Path) -> Result<Found, DiskError> {
    let mut files: Vec<(u64, PathBuf)> = disk
        .list(folder)?
        .into_iter()
        .filter(|file| !file.is_folder)
        .filter_map(|file| Some((file_generation(file.name())?, file.path)))
        .collect();
    // Newest first; of one generation the first copy before the second.
    files.sort_by(|left, right| right.0.cmp(&left.0).then_with(|| left.1.cmp(&right.1)));
    let mut found = Found {
        generation_max: files.first().map_or(0, |(generation, _)| *generation),
        ..Found::default()
    };
    for (generation, path) in files {
        match read_file(disk, &path, generation) {
            Ok(manifest) => {
                found.fell_back = manifest.generation < found.generation_max;
                found.manifest = manifest;
                return Ok(found);
            }
            Err(error) => found.damaged.push((path, error)),
        }
    }
    found.fell_back = found.generation_max > 0;
    Ok(found)
}

fn read_file(disk: &Disk, path: &Path, generation: u64) -> Result<Manifest, ManifestError> {
    let bytes = disk.read(path, MANIFEST_BYTES_MAX)?;
    let manifest = text::parse(&bytes)?;
    if manifest.generation != generation {
        return Err(ManifestError::Generation { found: manifest.generation, expected: generation });
    }
    Ok(manifest)
}

/// Makes `manifest` the newest generation of `folder`, writing aside in `aside`.
///
/// Older generations than [`GENERATIONS_KEPT`] are taken away afterwards; failing at that is no
/// error.
///
/// # Errors
///
/// [`ManifestError`]. The generation may or may not be readable then; it must not be used again.
pub fn write(
    disk: &Disk,
    folder: &Path,
    aside: &Path,
    manifest: &Manifest,
) -> Result<(), ManifestError> {
    let bytes = text::print(manifest)?;
    let name = format!("{:016x}", manifest.generation);
    let aside = aside.join(format!("manifest-{name}.tmp"));
    if let Err(error) = disk.swap(&aside, &folder.join(&name), &bytes) {
        let _ = disk.remove(&aside);
        return Err(error.into());
    }
    // The generation is durable now; the copy only guards it against later damage.
    if let Err(error) = disk.swap(&aside, &folder.join(format!("{name}{COPY}")), &bytes) {
        let _ = disk.remove(&aside);
        tracing::warn!(error = %chain(&error), "second copy of the manifest not written");
    }
    let oldest_kept = manifest.generation.saturating_sub(GENERATIONS_KEPT.saturating_sub(1));
    for file in disk.list(folder).unwrap_or_default() {
        if file_generation(file.name()).is_some_and(|generation| generation < oldest_kept)
            && let Err(error) = disk.remove(&file.path)
        {
            tracing::warn!(path = %file.path.display(), %error, "old manifest not removed");
        }
    }
    Ok(())
}

/// Whether a generation has a file, whole or not.
pub fn exists(folder: &Path, generation: u64) -> bool {
    folder.join(format!("{generation:016x}")).exists()
}

/// The generation in a file's name; `None` for names this program does not give.
fn file_generation(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(COPY).unwrap_or(name);
    let plain = digits.len() == 16
        && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    plain.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
}

impl ManifestError {
    /// As the disk says; anything else is damage.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Disk(error) => error.class(),
            Self::Format { .. } => ErrorClass::Invalid,
            _ => ErrorClass::Corrupt,
        }
    }
}

#[cfg(test)]
mod tests;
