//! What to do next with the segments there are: a pure choice.
//!
//! In this order: drop what is past its age; bring days with too many segments back within the
//! bound; make each closed day one segment; build rollups of closed buckets that have none or
//! stale ones; rewrite segments that hold hidden rows; try encodings on closed days.
//!
//! Keeps true: when nothing is left to choose, an open day has at most [`SEGMENTS_MAX`] segments
//! of each table and resolution, and a closed day has one, or, for [`Policy::remerge_ms`] after
//! its last merge, as many as an open day.

use std::collections::{BTreeMap, BTreeSet};

use plimsoll_model::registry::RollupRules;
use plimsoll_model::{Registry, Table, TimeRange};

use super::tiers;
use crate::head::DAY_MS;
use crate::manifest::SegmentEntry;
use crate::retention::Hidden;
use crate::rollup::{HOUR_MS, is_fresh};
use crate::segment::Resolution;

/// Most segments of one table, resolution and open day that stay when merges are done.
pub const SEGMENTS_MAX: usize = 8;

/// Times that decide what may be done when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How long after its end a bucket or day counts as closed.
    pub lateness_ms: i64,
    /// Shortest time between two rollups of the same buckets, when rows keep arriving late.
    pub remake_ms: i64,
    /// Time of closed buckets that is worth a rollup of its own while a day is open.
    pub increment_ms: i64,
    /// Shortest time between two merges of a closed day, when rows keep arriving late.
    pub remerge_ms: i64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            lateness_ms: 15 * 60_000,
            remake_ms: 30 * 60_000,
            increment_ms: HOUR_MS,
            remerge_ms: 6 * HOUR_MS,
        }
    }
}

/// What there is.
#[derive(Debug)]
pub struct Survey<'a> {
    /// Live segments.
    pub segments: &'a [SegmentEntry],
    /// For each table, the earliest row that is in no segment yet.
    pub heads_from_ms: &'a BTreeMap<String, i64>,
    /// What is hidden now.
    pub hidden: &'a Hidden,
    /// Segments that failed before and are left alone: they are damaged.
    pub suspects: &'a BTreeSet<u64>,
    /// Rollups that were tried and had no row: table, day, end of the range.
    pub spent: &'a BTreeSet<(usize, i64, i64)>,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// There is nothing to do.
    Nothing,
    /// These segments hold only rows past their age.
    Drop {
        /// Segments.
        ids: Vec<u64>,
    },
    /// Make one segment of these.
    Merge {
        /// Table.
        table: &'static Table,
        /// Resolution.
        resolution: Resolution,
        /// Day since 1970.
        day: i64,
        /// Segments, earliest arrival first.
        inputs: Vec<u64>,
        /// Whether the day is closed: the result is tried for encodings and packed well.
        is_final: bool,
    },
    /// Make 5m and 1h rollups of the buckets of a range from all raw segments of its day.
    Rollup {
        /// Table.
        table: &'static Table,
        /// Day since 1970.
        day: i64,
        /// Whole hours.
        range: TimeRange,
        /// Raw segments of the day, earliest arrival first.
        inputs: Vec<u64>,
        /// Rollups of these buckets that the new ones replace.
        replaces: Vec<u64>,
    },
    /// Write a segment again without the rows these marks hide.
    Rewrite {
        /// Table.
        table: &'static Table,
        /// Segment.
        input: u64,
        /// Marks it is clean of afterwards.
        marks: Vec<String>,
    },
}

/// Segments of one table and day, each list earliest arrival first.
#[derive(Debug, Default)]
struct Day<'a> {
    by_resolution: BTreeMap<Resolution, Vec<&'a SegmentEntry>>,
    suspects: bool,
}

impl<'a> Day<'a> {
    fn of(&self, resolution: Resolution) -> &[&'a SegmentEntry] {
        self.by_resolution.get(&resolution).map_or(&[], Vec::as_slice)
    }
}

/// One thing to look for in one day of one table.
type Step = fn(&Survey<'_>, &Policy, &'static Table, i64, &Day<'_>) -> Option<Choice>;

/// Chooses what to do next.
pub fn choose(survey: &Survey<'_>, policy: &Policy) -> Choice {
    let over = over(survey);
    if !over.is_empty() {
        return Choice::Drop { ids: over };
    }
    let days = days(survey);
    let steps: [Step; 4] = [crowded, rollup, unclean, closed];
    for step in steps {
        for ((table, day), segments) in &days {
            let Some(table) = Registry::embedded().tables().get(*table) else { continue };
            if let Some(choice) = step(survey, policy, table, *day, segments) {
                return choice;
            }
        }
    }
    Choice::Nothing
}

fn over(survey: &Survey<'_>) -> Vec<u64> {
    let over = survey.segments.iter().filter(|entry| {
        let table = Registry::embedded().table(&entry.table);
        table.is_some_and(|table| crate::retention::is_over(table, entry, survey.hidden))
    });
    over.map(|entry| entry.id).collect()
}

fn days<'a>(survey: &Survey<'a>) -> BTreeMap<(usize, i64), Day<'a>> {
    let mut days: BTreeMap<(usize, i64), Day<'a>> = BTreeMap::new();
    for entry in survey.segments {
        let Some(table) = Registry::embedded().table(&entry.table) else { continue };
        let day = days.entry((table.index(), crate::retention::day(entry))).or_default();
        day.suspects |= survey.suspects.contains(&entry.id);
        day.by_resolution.entry(entry.resolution).or_default().push(entry);
    }
    for segments in days.values_mut().flat_map(|day| day.by_resolution.values_mut()) {
        segments.sort_by_key(|entry| (entry.order(), entry.id));
    }
    days
}

fn is_closed(survey: &Survey<'_>, policy: &Policy, day: i64) -> bool {
    let end_ms = day.saturating_add(1).saturating_mul(DAY_MS);
    end_ms.saturating_add(policy.lateness_ms) <= survey.hidden.now_ms()
}

/// Rollups may come together only when each knows all raw rows of its buckets: what a merged
/// rollup knows is said once for all of them.
fn may_merge(day: &Day<'_>, segments: &[&SegmentEntry], resolution: Resolution) -> bool {
    let raw = day.of(Resolution::Raw);
    resolution == Resolution::Raw || segments.iter().all(|rollup| is_fresh(rollup, raw))
}

/// Too many segments in a day.
fn crowded(
    _: &Survey<'_>,
    _: &Policy,
    table: &'static Table,
    day: i64,
    segments: &Day<'_>,
) -> Option<Choice> {
    if segments.suspects {
        return None;
    }
    Resolution::ALL.into_iter().find_map(|resolution| {
        let list = segments.of(resolution);
        let rows: Vec<u64> = list.iter().map(|entry| entry.meta.rows).collect();
        let tail = list.get(tiers::tail(&rows, SEGMENTS_MAX)?)?;
        let inputs = tail.iter().map(|entry| entry.id).collect();
        let merge = Choice::Merge { table, resolution, day, inputs, is_final: false };
        may_merge(segments, tail, resolution).then_some(merge)
    })
}

/// Several segments in a closed day, or one that was never packed well.
fn closed(
    survey: &Survey<'_>,
    policy: &Policy,
    table: &'static Table,
    day: i64,
    segments: &Day<'_>,
) -> Option<Choice> {
    if segments.suspects || !is_closed(survey, policy, day) {
        return None;
    }
    Resolution::ALL.into_iter().find_map(|resolution| {
        let list = segments.of(resolution);
        let is_done = match list {
            [] => true,
            [only] => only.lineage.made_ms > 0 && !is_patchwork(only, resolution),
            // A late row is not worth the whole day each time.
            _ => list.iter().any(|entry| {
                let age_ms = survey.hidden.now_ms().saturating_sub(entry.lineage.made_ms);
                !is_patchwork(entry, resolution)
                    && entry.lineage.made_ms > 0
                    && is_most(entry, list)
                    && age_ms < policy.remerge_ms
            }),
        };
        if is_done || !may_merge(segments, list, resolution) {
            return None;
        }
        let inputs = list.iter().map(|entry| entry.id).collect();
        Some(Choice::Merge { table, resolution, day, inputs, is_final: true })
    })
}

/// Whether a segment has at least half of all rows.
fn is_most(entry: &SegmentEntry, list: &[&SegmentEntry]) -> bool {
    let rows = list.iter().fold(0_u64, |rows, entry| rows.saturating_add(entry.meta.rows));
    entry.meta.rows >= rows.saturating_sub(entry.meta.rows)
}

/// Whether a raw segment came from a merge while its day was open.
fn is_patchwork(entry: &SegmentEntry, resolution: Resolution) -> bool {
    let day_end_ms = crate::retention::day(entry).saturating_add(1).saturating_mul(DAY_MS);
    resolution == Resolution::Raw && entry.lineage.made_ms < day_end_ms
}

/// Closed buckets without a rollup, or with a stale one.
fn rollup(
    survey: &Survey<'_>,
    policy: &Policy,
    table: &'static Table,
    day: i64,
    segments: &Day<'_>,
) -> Option<Choice> {
    let raw = segments.of(Resolution::Raw);
    if raw.is_empty() || segments.suspects || !RollupRules::embedded().rolls_up(table) {
        return None;
    }
    let rollups = rollups(segments);
    let now_ms = survey.hidden.now_ms();
    let stale = rollups.iter().filter(|rollup| {
        !is_fresh(rollup, raw) && now_ms.saturating_sub(rollup.lineage.made_ms) >= policy.remake_ms
    });
    let range = match stale.map(|rollup| covered(rollup)).reduce(join) {
        Some(range) => range,
        None => next_range(survey, policy, table, day, &rollups, raw)?,
    };
    if survey.spent.contains(&(table.index(), day, range.end_ms)) {
        return None;
    }
    Some(rollup_of(table, day, widened(range, &rollups), raw, &rollups))
}

fn rollups<'a>(segments: &Day<'a>) -> Vec<&'a SegmentEntry> {
    [Resolution::FiveMinutes, Resolution::Hour]
        .into_iter()
        .flat_map(|resolution| segments.of(resolution).iter().copied())
        .collect()
}

fn rollup_of(
    table: &'static Table,
    day: i64,
    range: TimeRange,
    raw: &[&SegmentEntry],
    rollups: &[&SegmentEntry],
) -> Choice {
    let replaced = rollups.iter().filter(|rollup| covered(rollup).overlaps(&range));
    Choice::Rollup {
        table,
        day,
        range,
        inputs: raw.iter().map(|entry| entry.id).collect(),
        replaces: replaced.map(|entry| entry.id).collect(),
    }
}

/// Buckets after the last rollup that are closed, flushed, and worth one.
fn next_range(
    survey: &Survey<'_>,
    policy: &Policy,
    table: &Table,
    day: i64,
    rollups: &[&SegmentEntry],
    raw: &[&SegmentEntry],
) -> Option<TimeRange> {
    let start_ms = day.saturating_mul(DAY_MS);
    let end_ms = start_ms.saturating_add(DAY_MS);
    let done_ms = rollups.iter().map(|rollup| rollup.lineage.until_ms).max();
    let from_ms = done_ms.unwrap_or(start_ms);
    let head_ms = survey.heads_from_ms.get(table.name()).copied().unwrap_or(i64::MAX);
    let closed_ms = survey.hidden.now_ms().saturating_sub(policy.lateness_ms).min(head_ms);
    let hours = |time_ms: i64| time_ms.div_euclid(HOUR_MS).saturating_mul(HOUR_MS);
    let until_ms = hours(closed_ms).min(end_ms);
    let range = TimeRange::new(from_ms, until_ms);
    let has_rows = raw.iter().any(|entry| entry.meta.time_range().overlaps(&range));
    let is_worth = range.len_ms() >= policy.increment_ms || until_ms == end_ms;
    (!range.is_empty() && is_worth && has_rows).then_some(range)
}

fn covered(rollup: &SegmentEntry) -> TimeRange {
    TimeRange::new(rollup.lineage.from_ms, rollup.lineage.until_ms)
}

fn join(left: TimeRange, right: TimeRange) -> TimeRange {
    TimeRange::new(left.start_ms.min(right.start_ms), left.end_ms.max(right.end_ms))
}

/// The range with all rollups it touches, so that none is cut.
fn widened(mut range: TimeRange, rollups: &[&SegmentEntry]) -> TimeRange {
    loop {
        let touched = rollups.iter().map(|rollup| covered(rollup));
        let wider = touched.filter(|covered| covered.overlaps(&range)).fold(range, join);
        if wider == range {
            return range;
        }
        range = wider;
    }
}

/// Rows hidden for good that still take bytes.
fn unclean(
    survey: &Survey<'_>,
    _: &Policy,
    table: &'static Table,
    day: i64,
    segments: &Day<'_>,
) -> Option<Choice> {
    if segments.suspects {
        return None;
    }
    let raw = segments.of(Resolution::Raw);
    segments.by_resolution.values().flatten().find_map(|entry| {
        let marks = survey.hidden.pending(table, entry);
        if marks.is_empty() {
            return None;
        }
        if entry.resolution == Resolution::Raw || raw.is_empty() {
            return Some(Choice::Rewrite { table, input: entry.id, marks });
        }
        // Made again from the raw rows that are left, it loses no bucket that is hit in part.
        let rollups = rollups(segments);
        Some(rollup_of(table, day, widened(covered(entry), &rollups), raw, &rollups))
    })
}
