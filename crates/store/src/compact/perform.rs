//! Does what was chosen: writes files aside and says how the list of segments changes.
//!
//! Nothing here touches the list or files that are live. The caller syncs the new files, moves
//! them into place, commits the edited list and only then takes old files away; stopping anywhere
//! before the commit leaves leftovers that are swept, stopping after it leaves files nobody names.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use plimsoll_model::{Registry, Table, TimeRange};

use super::choose::Choice;
use super::merge::{MergeJob, Merged, merge};
use crate::manifest::{Lineage, SegmentEntry};
use crate::retention::Hidden;
use crate::rollup::{Built, RollupJob, build, complete_from_ms};
use crate::scan::SeriesKey;
use crate::segment::{Resolution, Segment, SegmentError, SegmentMeta};

/// What the work needs.
pub struct Workshop<'a> {
    /// Live segments.
    pub entries: &'a [SegmentEntry],
    /// The segment with this number.
    pub segment: &'a dyn Fn(u64) -> Option<Arc<Segment>>,
    /// A number for a new segment.
    pub new_id: &'a dyn Fn() -> u64,
    /// Folder for files that are not live yet.
    pub aside: &'a Path,
    /// What is hidden now.
    pub hidden: &'a Hidden,
    /// zstd level of closed days.
    pub zstd_level: i32,
    /// Called between batches with the rows done; `false` ends the work.
    pub pace: &'a dyn Fn(u64) -> bool,
}

/// How the list of segments changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edit {
    /// Segments that go.
    pub removes: Vec<u64>,
    /// Segments that come, each with its file aside.
    pub adds: Vec<(SegmentEntry, PathBuf)>,
    /// Segments that turned out to be clean of these marks.
    pub cleans: Vec<(u64, Vec<String>)>,
}

/// What became of a choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The list is to be changed so.
    Edit(Edit),
    /// Nothing came of it; choosing it again will give the same.
    Spent,
    /// It was ended, or a segment it needs is gone.
    Stopped,
}

/// Does what was chosen.
///
/// # Errors
///
/// [`SegmentError`]; files aside may be left half written.
pub fn perform(choice: &Choice, shop: &Workshop<'_>) -> Result<Outcome, SegmentError> {
    match choice {
        Choice::Nothing => Ok(Outcome::Spent),
        Choice::Drop { ids } => Ok(Outcome::Edit(Edit { removes: ids.clone(), ..Edit::default() })),
        Choice::Merge { table, resolution, inputs, is_final, .. } => {
            merge_many(shop, table, *resolution, inputs, *is_final)
        }
        Choice::Rewrite { table, input, marks } => rewrite(shop, table, *input, marks),
        Choice::Rollup { table, range, inputs, replaces, .. } => {
            roll_up(shop, table, *range, inputs, replaces)
        }
    }
}

/// Whether every segment an edit is about is still live.
pub fn is_possible(entries: &[SegmentEntry], edit: &Edit) -> bool {
    let is_live = |id: &u64| entries.iter().any(|entry| entry.id == *id);
    let made_from = edit.adds.iter().flat_map(|(entry, _)| &entry.lineage.made_from);
    edit.removes.iter().all(is_live)
        && edit.cleans.iter().all(|(id, _)| is_live(id))
        && made_from.into_iter().all(is_live)
}

/// Changes a list of segments. Rollups that knew what was merged know the merged.
pub fn apply(entries: &mut Vec<SegmentEntry>, edit: &Edit) {
    let gone: Vec<SegmentEntry> =
        entries.iter().filter(|entry| edit.removes.contains(&entry.id)).cloned().collect();
    entries.retain(|entry| !edit.removes.contains(&entry.id));
    for (id, marks) in &edit.cleans {
        if let Some(entry) = entries.iter_mut().find(|entry| entry.id == *id) {
            entry.lineage.clean_of.extend(marks.iter().cloned());
        }
    }
    let raw: Vec<&SegmentEntry> =
        gone.iter().filter(|entry| entry.resolution == Resolution::Raw).collect();
    let merged = edit.adds.iter().find(|(entry, _)| entry.resolution == Resolution::Raw);
    for rollup in entries.iter_mut().filter(|entry| !entry.lineage.made_from.is_empty()) {
        let covered = TimeRange::new(rollup.lineage.from_ms, rollup.lineage.until_ms);
        let knows = |raw: &&SegmentEntry| {
            rollup.lineage.made_from.contains(&raw.id) || !raw.meta.time_range().overlaps(&covered)
        };
        let same = |raw: &&SegmentEntry| raw.table == rollup.table && raw.date == rollup.date;
        let inputs: Vec<&SegmentEntry> = raw.iter().copied().filter(same).collect();
        if inputs.is_empty() {
            continue;
        }
        let knows_all = inputs.iter().all(knows);
        rollup.lineage.made_from.retain(|id| !inputs.iter().any(|raw| raw.id == *id));
        if let Some((merged, _)) = merged.filter(|_| knows_all) {
            rollup.lineage.made_from.push(merged.id);
        }
    }
    entries.extend(edit.adds.iter().map(|(entry, _)| entry.clone()));
}

/// The table whose columns a segment has.
fn columns_of(table: &'static Table, resolution: Resolution) -> Option<&'static Table> {
    match resolution {
        Resolution::Raw => Some(table),
        rollup => Registry::rollup(table, rollup.name()),
    }
}

struct Inputs {
    entries: Vec<SegmentEntry>,
    segments: Vec<Arc<Segment>>,
}

fn inputs(shop: &Workshop<'_>, ids: &[u64]) -> Option<Inputs> {
    let mut entries = Vec::with_capacity(ids.len());
    let mut segments = Vec::with_capacity(ids.len());
    for id in ids {
        entries.push(shop.entries.iter().find(|entry| entry.id == *id)?.clone());
        segments.push((shop.segment)(*id)?);
    }
    Some(Inputs { entries, segments })
}

/// The entry of a new segment of the day and table of `like`.
fn entry_like(
    shop: &Workshop<'_>,
    table: &Table,
    like: &SegmentEntry,
    id: u64,
    meta: SegmentMeta,
    lineage: Lineage,
) -> SegmentEntry {
    let mut entry = SegmentEntry { id, meta, lineage, ..like.clone() };
    entry.lineage.made_ms = shop.hidden.now_ms().max(1);
    entry.lineage.clean_of = Vec::new();
    // Everything that is pending now was left out while the segment was made.
    entry.lineage.clean_of = shop.hidden.pending(table, &entry);
    entry
}

fn aside(shop: &Workshop<'_>, id: u64) -> PathBuf {
    shop.aside.join(format!("{id:016x}.parquet"))
}

fn merge_many(
    shop: &Workshop<'_>,
    table: &'static Table,
    resolution: Resolution,
    ids: &[u64],
    is_final: bool,
) -> Result<Outcome, SegmentError> {
    let Some(found) = inputs(shop, ids) else { return Ok(Outcome::Stopped) };
    let (Some(columns), Some(first)) = (columns_of(table, resolution), found.entries.first())
    else {
        return Ok(Outcome::Stopped);
    };
    let hidden = |input: usize, key: &SeriesKey, within: TimeRange| {
        let clean = found.entries.get(input).map_or(&[][..], |entry| &entry.lineage.clean_of);
        shop.hidden.ranges_unless(table, resolution, key, within, clean)
    };
    let job = MergeJob {
        table: columns,
        resolution,
        inputs: &found.segments,
        hidden: &hidden,
        is_final,
        zstd_level: shop.zstd_level,
        pace: shop.pace,
    };
    let id = (shop.new_id)();
    let path = aside(shop, id);
    let mut edit = Edit { removes: ids.to_vec(), ..Edit::default() };
    match merge(&job, &path)? {
        Merged::Stopped => return Ok(Outcome::Stopped),
        Merged::Empty => {}
        Merged::Written(meta) => {
            let lineage = joined(&found.entries);
            edit.adds.push((entry_like(shop, table, first, id, *meta, lineage), path));
        }
    }
    Ok(Outcome::Edit(edit))
}

/// What a segment made of these knows.
fn joined(entries: &[SegmentEntry]) -> Lineage {
    let mut made_from: Vec<u64> =
        entries.iter().flat_map(|entry| entry.lineage.made_from.iter().copied()).collect();
    made_from.sort_unstable();
    made_from.dedup();
    Lineage {
        order: entries.iter().map(SegmentEntry::order).max().unwrap_or(0),
        made_from,
        from_ms: entries.iter().map(|entry| entry.lineage.from_ms).min().unwrap_or(0),
        until_ms: entries.iter().map(|entry| entry.lineage.until_ms).max().unwrap_or(0),
        ..Lineage::default()
    }
}

fn rewrite(
    shop: &Workshop<'_>,
    table: &'static Table,
    id: u64,
    marks: &[String],
) -> Result<Outcome, SegmentError> {
    let Some(found) = inputs(shop, &[id]) else { return Ok(Outcome::Stopped) };
    let (Some(entry), Some(segment)) = (found.entries.first(), found.segments.first()) else {
        return Ok(Outcome::Stopped);
    };
    let clean = &entry.lineage.clean_of;
    let has_hidden_rows = segment.spans()?.iter().any(|span| {
        let range = TimeRange::new(span.first_ms, span.last_ms.saturating_add(1));
        let hidden = shop.hidden.ranges_unless(table, entry.resolution, &span.key, range, clean);
        hidden.iter().any(|hidden| hidden.overlaps(&range))
    });
    if has_hidden_rows {
        return merge_many(shop, table, entry.resolution, &[id], true);
    }
    let cleans = vec![(id, marks.to_vec())];
    Ok(Outcome::Edit(Edit { cleans, ..Edit::default() }))
}

fn roll_up(
    shop: &Workshop<'_>,
    table: &'static Table,
    range: TimeRange,
    ids: &[u64],
    replaces: &[u64],
) -> Result<Outcome, SegmentError> {
    let (Some(found), Some(old)) = (inputs(shop, ids), inputs(shop, replaces)) else {
        return Ok(Outcome::Stopped);
    };
    let Some(like) = found.entries.first() else { return Ok(Outcome::Stopped) };
    let targets = [Resolution::FiveMinutes, Resolution::Hour].map(|resolution| {
        let id = (shop.new_id)();
        (resolution, id, aside(shop, id))
    });
    let [(_, _, five_path), (_, _, hour_path)] = &targets;
    let job = RollupJob {
        table,
        range,
        inputs: &found.segments,
        hidden: shop.hidden,
        zstd_level: shop.zstd_level.min(3),
        pace: shop.pace,
    };
    let metas = match build(&job, five_path, hour_path)? {
        Built::Stopped => return Ok(Outcome::Stopped),
        Built::Empty if replaces.is_empty() => return Ok(Outcome::Spent),
        Built::Empty => [None, None],
        Built::Written(metas) => [Some(metas.0), Some(metas.1)],
    };
    let lineage = Lineage {
        made_from: ids.to_vec(),
        from_ms: range.start_ms,
        until_ms: range.end_ms,
        ..Lineage::default()
    };
    let mut edit = Edit { removes: replaces.to_vec(), ..Edit::default() };
    for ((resolution, id, path), meta) in targets.into_iter().zip(metas) {
        let made = Made { table, resolution, path, meta };
        let Some((meta, path)) = carry_over(shop, &old, made)? else { continue };
        let like = SegmentEntry { resolution, ..like.clone() };
        let lineage = Lineage { order: id, ..lineage.clone() };
        edit.adds.push((entry_like(shop, table, &like, id, meta, lineage), path));
    }
    Ok(Outcome::Edit(edit))
}

/// A new rollup of one resolution; without `meta` there is no row in it and no file.
struct Made {
    table: &'static Table,
    resolution: Resolution,
    path: PathBuf,
    meta: Option<SegmentMeta>,
}

/// Adds what earlier rollups say of buckets whose raw rows are past their age.
fn carry_over(
    shop: &Workshop<'_>,
    old: &Inputs,
    made: Made,
) -> Result<Option<(SegmentMeta, PathBuf)>, SegmentError> {
    let Made { table, resolution, path, meta } = made;
    let same = old.entries.iter().zip(&old.segments);
    let same = same.filter(|(entry, _)| entry.resolution == resolution);
    let (entries, mut segments): (Vec<&SegmentEntry>, Vec<Arc<Segment>>) =
        same.map(|(entry, segment)| (entry, segment.clone())).unzip();
    let mut has_older = false;
    for segment in &segments {
        has_older |= segment
            .spans()?
            .iter()
            .any(|span| span.first_ms < complete_from_ms(shop.hidden, table, &span.key));
    }
    let Some(columns) = columns_of(table, resolution).filter(|_| has_older) else {
        return Ok(meta.map(|meta| (meta, path)));
    };
    if let Some(meta) = meta {
        segments.push(Arc::new(Segment::open(&path, meta)?));
    }
    let hidden = |input: usize, key: &SeriesKey, within: TimeRange| {
        let from_ms = complete_from_ms(shop.hidden, table, key);
        match entries.get(input) {
            Some(entry) => {
                let clean = &entry.lineage.clean_of;
                let mut ranges = shop.hidden.ranges_unless(table, resolution, key, within, clean);
                ranges.push(TimeRange::new(from_ms, i64::MAX));
                ranges.sort_unstable();
                ranges
            }
            // The new one has only what is complete.
            None => Vec::new(),
        }
    };
    let job = MergeJob {
        table: columns,
        resolution,
        inputs: &segments,
        hidden: &hidden,
        is_final: false,
        zstd_level: shop.zstd_level,
        pace: &|_| true,
    };
    let both = path.with_extension("both");
    let merged = merge(&job, &both)?;
    let failed = |source| SegmentError::Write { path: path.clone(), source };
    if path.exists() {
        std::fs::remove_file(&path).map_err(failed)?;
    }
    match merged {
        Merged::Written(meta) => {
            std::fs::rename(&both, &path).map_err(failed)?;
            Ok(Some((*meta, path)))
        }
        Merged::Empty | Merged::Stopped => Ok(None),
    }
}
