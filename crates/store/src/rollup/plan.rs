//! Cuts a grid of steps into stretches, each read from the coarsest source that is exact there.
//!
//! Whole fresh buckets inside one step come from rollups, hours before five minutes; what is left
//! at the edges comes from raw rows. Where raw rows are past their age, a bucket that crosses the
//! edge of a step counts whole for the step in which it begins, and the plan says so.
//!
//! Pure. Not here: which buckets are fresh (`coverage`), reading (`windows`).

use plimsoll_model::TimeRange;
use plimsoll_window::Steps;

use super::length_ms;
use crate::segment::Resolution;

/// Which sources there are, and from when.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Fresh buckets of five minutes: rising, disjoint, whole buckets.
    pub five: Vec<TimeRange>,
    /// Fresh buckets of one hour.
    pub hour: Vec<TimeRange>,
    /// Raw rows are complete from here.
    pub raw_from_ms: i64,
    /// Buckets of five minutes before are past their age.
    pub five_from_ms: i64,
    /// Buckets of one hour before are past their age.
    pub hour_from_ms: i64,
}

impl Coverage {
    fn of(&self, resolution: Resolution) -> Vec<TimeRange> {
        let (ranges, from_ms) = match resolution {
            Resolution::Raw => return Vec::new(),
            Resolution::FiveMinutes => (&self.five, self.five_from_ms),
            Resolution::Hour => (&self.hour, self.hour_from_ms),
        };
        let from_ms = ceil(from_ms, length_ms(resolution));
        let kept = ranges.iter().map(|r| TimeRange::new(r.start_ms.max(from_ms), r.end_ms));
        kept.filter(|range| !range.is_empty()).collect()
    }
}

/// One stretch and where it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Source.
    pub resolution: Resolution,
    /// Times; of a rollup, those at which its buckets begin.
    pub range: TimeRange,
    /// Whether no bucket crosses the edge of a step.
    pub is_exact: bool,
}

/// Where everything is read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// In time order; no two share a time.
    pub parts: Vec<Part>,
    /// What a reader must know of the answer.
    pub warnings: Vec<String>,
}

/// Plans how to read `[from_ms, steps.end)`; what lies before the grid is one stretch of its own.
pub fn plan(steps: &Steps, from_ms: i64, coverage: &Coverage) -> Plan {
    let mut parts = Vec::new();
    let start_ms = steps.start_ms();
    let whole = TimeRange::new(from_ms.min(start_ms), steps.end_ms());
    let mut rest = vec![whole];
    for resolution in [Resolution::Hour, Resolution::FiveMinutes] {
        let covered = coverage.of(resolution);
        if covered.is_empty() {
            continue;
        }
        let mut inner = Vec::new();
        for cell in rest.iter().flat_map(|range| cells(*range, steps, length_ms(resolution))) {
            let length_ms = length_ms(resolution);
            let end_ms = floor(cell.end_ms, length_ms);
            let buckets = TimeRange::new(ceil(cell.start_ms, length_ms), end_ms);
            if !buckets.is_empty() {
                inner.push(buckets);
            }
        }
        let taken = intersect(&covered, &inner);
        rest = subtract(&rest, &taken);
        let exact = taken.into_iter().map(|range| Part { resolution, range, is_exact: true });
        parts.extend(exact);
    }
    let expired = intersect(&rest, &[TimeRange::new(i64::MIN, coverage.raw_from_ms)]);
    rest = subtract(&rest, &expired);
    let raw = rest.iter().map(|range| Part {
        resolution: Resolution::Raw,
        range: *range,
        is_exact: true,
    });
    parts.extend(raw);
    let warnings = stand_in(&mut parts, &expired, coverage);
    parts.sort_by_key(|part| part.range);
    Plan { parts, warnings }
}

/// Adds the buckets that begin in stretches whose raw rows are past their age.
fn stand_in(parts: &mut Vec<Part>, expired: &[TimeRange], coverage: &Coverage) -> Vec<String> {
    for resolution in [Resolution::FiveMinutes, Resolution::Hour] {
        let length_ms = length_ms(resolution);
        let begun: Vec<TimeRange> = expired
            .iter()
            .map(|r| TimeRange::new(ceil(r.start_ms, length_ms), ceil(r.end_ms, length_ms)))
            .filter(|range| !range.is_empty())
            .collect();
        let mut taken = intersect(&coverage.of(resolution), &begun);
        // A bucket must not say again what another part says.
        let said: Vec<TimeRange> = parts
            .iter()
            .map(|part| {
                let range = part.range;
                TimeRange::new(floor(range.start_ms, length_ms), ceil(range.end_ms, length_ms))
            })
            .collect();
        taken = subtract(&taken, &normal(said));
        parts.extend(taken.into_iter().map(|range| Part { resolution, range, is_exact: false }));
    }
    let inexact = parts.iter().filter(|part| !part.is_exact);
    inexact
        .clone()
        .map(|part| part.range.start_ms)
        .min()
        .zip(inexact.map(|part| part.range.end_ms).max())
        .map(|(start_ms, end_ms)| {
            format!(
                "raw rows between {start_ms} and {end_ms} ms are past their age: \
                 buckets there count whole for the step in which they begin"
            )
        })
        .into_iter()
        .collect()
}

/// The parts of a range in which no bucket of this length crosses the edge of a step, or, where
/// buckets would, single steps.
fn cells(range: TimeRange, steps: &Steps, length_ms: i64) -> Vec<TimeRange> {
    let (start_ms, step_ms) = (steps.start_ms(), steps.step_ms());
    let mut cells = Vec::new();
    let before = TimeRange::new(range.start_ms, range.end_ms.min(start_ms));
    if !before.is_empty() {
        cells.push(before);
    }
    let inside = TimeRange::new(range.start_ms.max(start_ms), range.end_ms);
    if inside.is_empty() {
        return cells;
    }
    if start_ms.rem_euclid(length_ms) == 0 && step_ms.rem_euclid(length_ms) == 0 {
        cells.push(inside);
        return cells;
    }
    if step_ms < length_ms {
        return cells;
    }
    let mut at = inside.start_ms;
    while let Some((_, end_ms)) = steps.index_of(at).and_then(|index| steps.bounds(index)) {
        cells.push(TimeRange::new(at, end_ms.min(inside.end_ms)));
        at = end_ms;
        if at >= inside.end_ms {
            break;
        }
    }
    cells
}

pub(super) fn floor(time_ms: i64, length_ms: i64) -> i64 {
    time_ms.div_euclid(length_ms.max(1)).saturating_mul(length_ms.max(1))
}

pub(super) fn ceil(time_ms: i64, length_ms: i64) -> i64 {
    let down = floor(time_ms, length_ms);
    if down == time_ms { down } else { down.saturating_add(length_ms) }
}

/// Ranges in order, those that touch joined, empty ones left out.
pub(super) fn normal(mut ranges: Vec<TimeRange>) -> Vec<TimeRange> {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_unstable();
    let mut out: Vec<TimeRange> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match out.last_mut() {
            Some(last) if range.start_ms <= last.end_ms => {
                last.end_ms = last.end_ms.max(range.end_ms);
            }
            _ => out.push(range),
        }
    }
    out
}

/// What both have; both rising and disjoint. Ranges stay cut where either is cut.
pub(super) fn intersect(left: &[TimeRange], right: &[TimeRange]) -> Vec<TimeRange> {
    let mut out = Vec::new();
    let (mut lefts, mut rights) = (left.iter().peekable(), right.iter().peekable());
    while let (Some(a), Some(b)) = (lefts.peek(), rights.peek()) {
        let common = TimeRange::new(a.start_ms.max(b.start_ms), a.end_ms.min(b.end_ms));
        if !common.is_empty() {
            out.push(common);
        }
        if a.end_ms <= b.end_ms {
            lefts.next();
        } else {
            rights.next();
        }
    }
    out
}

/// What `from` has and `holes` have not; both rising and disjoint.
pub(super) fn subtract(from: &[TimeRange], holes: &[TimeRange]) -> Vec<TimeRange> {
    let mut out = Vec::new();
    let mut first = 0_usize;
    for range in from {
        let mut at = range.start_ms;
        while holes.get(first).is_some_and(|hole| hole.end_ms <= range.start_ms) {
            first = first.saturating_add(1);
        }
        for hole in holes.get(first..).unwrap_or(&[]) {
            if hole.start_ms >= range.end_ms {
                break;
            }
            out.push(TimeRange::new(at, hole.start_ms));
            at = at.max(hole.end_ms);
        }
        out.push(TimeRange::new(at, range.end_ms));
    }
    out.retain(|range| !range.is_empty());
    out
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "tests add small numbers")]
#[path = "plan_tests.rs"]
mod tests;
