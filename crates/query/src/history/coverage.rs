//! Which time has samples: stretches, the share that is covered, gaps.
//!
//! A *stretch* is a run of rows with a reported value, no two neighbours further apart than the
//! gap limit. It reaches one sampling interval past its last row, so that a series that goes on
//! covers all of its time. A series lived from its first stretch's start to its last one's end;
//! what came before and after is not known and not counted against it.
//! Not here: values (`history::fold`).

use arrow_array::Array;
use plimsoll_model::{Table, TimeRange};
use plimsoll_store::SeriesRows;
use plimsoll_window::GAP_MAX_MS;

/// Rows of `container_info` are written when something changes, and every hour.
const INFO_GAP_MAX_MS: i64 = 2 * 3_600_000;

/// A run of samples without a gap, Unix milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(clippy::struct_field_names, reason = "a plain number ends in its unit")]
pub(super) struct Stretch {
    pub(super) first_ms: i64,
    pub(super) last_ms: i64,
    /// Where it stops to speak for its series.
    pub(super) end_ms: i64,
}

/// How far apart neighbouring samples of a table may be.
pub(super) fn gap_max_ms(table: &Table) -> i64 {
    if table.name() == "container_info" { INFO_GAP_MAX_MS } else { GAP_MAX_MS }
}

/// The stretches of the series of one subject, in order, apart from one another.
///
/// A row counts when any of its first `columns` columns is reported.
pub(super) fn stretches(series: &[&SeriesRows], columns: usize, gap_max_ms: i64) -> Vec<Stretch> {
    let mut all: Vec<Stretch> = Vec::new();
    for of in series {
        add_stretches(of, columns, gap_max_ms, &mut all);
    }
    if series.len() > 1 {
        all.sort_unstable();
        all = merged(&all, gap_max_ms);
    }
    all
}

fn add_stretches(of: &SeriesRows, columns: usize, gap_max_ms: i64, all: &mut Vec<Stretch>) {
    let start = all.len();
    for chunk in &of.chunks {
        let columns = chunk.columns.get(..columns).unwrap_or(&chunk.columns);
        for (row, time_ms) in chunk.times_ms.iter().enumerate() {
            if !columns.iter().any(|column| column.is_valid(row)) {
                continue;
            }
            match all.get_mut(start..).and_then(<[_]>::last_mut) {
                Some(last) if time_ms.saturating_sub(last.last_ms) <= gap_max_ms => {
                    last.end_ms = time_ms.saturating_add(time_ms.saturating_sub(last.last_ms));
                    last.last_ms = *time_ms;
                }
                _ => {
                    let (first_ms, last_ms, end_ms) = (*time_ms, *time_ms, *time_ms);
                    all.push(Stretch { first_ms, last_ms, end_ms });
                }
            }
        }
    }
}

/// Sorted stretches with those that are not a gap apart made one.
pub(super) fn merged(sorted: &[Stretch], gap_max_ms: i64) -> Vec<Stretch> {
    let mut out: Vec<Stretch> = Vec::new();
    for next in sorted {
        match out.last_mut() {
            Some(last) if next.first_ms.saturating_sub(last.last_ms) <= gap_max_ms => {
                last.last_ms = last.last_ms.max(next.last_ms);
                last.end_ms = last.end_ms.max(next.end_ms);
            }
            _ => out.push(*next),
        }
    }
    out
}

/// Time that a subject lived inside a range and how much of it has samples, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Cover {
    lived_ms: i64,
    covered_ms: i64,
}

impl Cover {
    pub(super) fn of(stretches: &[Stretch], range: TimeRange) -> Self {
        let inside = |start_ms: i64, end_ms: i64| {
            let (start_ms, end_ms) = (start_ms.max(range.start_ms), end_ms.min(range.end_ms));
            end_ms.saturating_sub(start_ms).max(0)
        };
        let lived_ms = match (stretches.first(), stretches.last()) {
            (Some(first), Some(last)) => inside(first.first_ms, last.end_ms),
            _ => 0,
        };
        let covered = stretches.iter().map(|stretch| inside(stretch.first_ms, stretch.end_ms));
        Self { lived_ms, covered_ms: covered.fold(0, i64::saturating_add) }
    }

    /// The same life with this much less of it covered.
    pub(super) fn without(self, gap_ms: i64) -> Self {
        Self { covered_ms: self.covered_ms.saturating_sub(gap_ms).max(0), ..self }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.lived_ms = self.lived_ms.saturating_add(other.lived_ms);
        self.covered_ms = self.covered_ms.saturating_add(other.covered_ms);
    }

    /// The share of the time lived, 0 to 1; 1 for a life of one moment.
    pub(super) fn share(self) -> f64 {
        share(self.covered_ms, self.lived_ms).unwrap_or(1.0)
    }
}

/// `part` of `whole` as 0 to 1; `None` of nothing.
#[expect(clippy::cast_precision_loss, reason = "a share of two durations needs no more digits")]
pub(super) fn share(part_ms: i64, whole_ms: i64) -> Option<f64> {
    (whole_ms > 0).then(|| (part_ms as f64 / whole_ms as f64).clamp(0.0, 1.0))
}

/// The gaps between the stretches of one subject, cut to the range.
pub(super) fn gaps(stretches: &[Stretch], range: TimeRange) -> impl Iterator<Item = TimeRange> {
    let pairs = stretches.iter().zip(stretches.iter().skip(1));
    let cut = move |(before, after): (&Stretch, &Stretch)| {
        let start_ms = before.last_ms.max(range.start_ms);
        TimeRange::new(start_ms, after.first_ms.min(range.end_ms))
    };
    pairs.map(cut).filter(|gap| !gap.is_empty())
}

/// What all subjects together cover: stretches that were added in any order.
#[derive(Debug, Default)]
pub(super) struct Union {
    stretches: Vec<Stretch>,
    /// Merged when the list is as long as this, so that it stays short.
    compact_at: usize,
}

/// Shortest list of stretches that is worth merging.
const COMPACT_MIN: usize = 4_096;

impl Union {
    pub(super) fn add(&mut self, stretches: &[Stretch]) {
        self.stretches.extend_from_slice(stretches);
        if self.stretches.len() > self.compact_at.max(COMPACT_MIN) {
            self.compact();
            self.compact_at = self.stretches.len().saturating_mul(2);
        }
    }

    /// Puts in order; joins only what touches.
    fn compact(&mut self) {
        self.stretches.sort_unstable();
        let mut out: Vec<Stretch> = Vec::new();
        for next in &self.stretches {
            match out.last_mut() {
                Some(last) if next.first_ms <= last.end_ms => {
                    last.last_ms = last.last_ms.max(next.last_ms);
                    last.end_ms = last.end_ms.max(next.end_ms);
                }
                _ => out.push(*next),
            }
        }
        self.stretches = out;
    }

    /// The share of `range` that is covered (`None` without any stretch), and the parts of it
    /// longer than `gap_max_ms` that are not.
    pub(super) fn of(mut self, range: TimeRange, gap_max_ms: i64) -> (Option<f64>, Vec<TimeRange>) {
        self.compact();
        if self.stretches.is_empty() {
            return (None, Vec::new());
        }
        let (mut gaps, mut covered_ms, mut at_ms) = (Vec::new(), 0_i64, range.start_ms);
        for stretch in &self.stretches {
            let start_ms = stretch.first_ms.clamp(at_ms, range.end_ms.max(at_ms));
            let end_ms = stretch.end_ms.min(range.end_ms);
            gaps.push(TimeRange::new(at_ms, start_ms));
            covered_ms = covered_ms.saturating_add(end_ms.saturating_sub(start_ms).max(0));
            at_ms = at_ms.max(end_ms);
        }
        gaps.push(TimeRange::new(at_ms, range.end_ms));
        gaps.retain(|gap| gap.len_ms() > gap_max_ms);
        (share(covered_ms, range.len_ms()), gaps)
    }
}
