//! Which rows of a series are hidden now, and taking them out of a scan.

use plimsoll_model::{Table, TimeRange, chain};

use super::deletion::CompiledDeletion;
use super::{Removed, Rules};
use crate::manifest::SegmentEntry;
use crate::rollup::length_ms;
use crate::scan::{Chunk, Scan, SeriesKey, SeriesRows};
use crate::segment::Resolution;

/// What is hidden at one moment.
#[derive(Debug, Clone)]
pub struct Hidden {
    rules: Rules,
    deletions: Vec<CompiledDeletion>,
    removed: Removed,
    now_ms: i64,
}

impl Hidden {
    /// What `rules` and `removed` hide at `now_ms`.
    pub fn new(rules: Rules, removed: &Removed, now_ms: i64) -> Self {
        let compiled = removed.deletions.iter().filter_map(|deletion| match deletion.compiled() {
            Ok(compiled) => Some(compiled),
            Err(error) => {
                // It was parsed before it was listed.
                tracing::error!(id = deletion.id, error = %chain(&error), "deletion not in force");
                None
            }
        });
        Self { deletions: compiled.collect(), rules, removed: removed.clone(), now_ms }
    }

    /// Time before which no row of the table is returned at this resolution.
    pub fn table_floor_ms(&self, table: &Table, resolution: Resolution) -> i64 {
        let age_ms = self.rules.age_max_ms(table, resolution);
        self.now_ms.saturating_sub(age_ms).max(self.shed_floor_ms(table, resolution))
    }

    /// Time before which no row of the series is returned at this resolution.
    pub fn floor_ms(&self, table: &Table, resolution: Resolution, key: &SeriesKey) -> i64 {
        let age_ms = self.rules.age_ms(table, resolution, key);
        self.now_ms.saturating_sub(age_ms).max(self.shed_floor_ms(table, resolution))
    }

    pub(crate) fn shed_floor_ms(&self, table: &Table, resolution: Resolution) -> i64 {
        let rolled_up = plimsoll_model::registry::RollupRules::embedded().rolls_up(table);
        self.removed.shed_until_ms(if rolled_up { resolution } else { Resolution::Hour })
    }

    /// Ranges of deletions about the table that `clean` does not name.
    pub(crate) fn deleted_unless<'a>(
        &'a self,
        table: &'a Table,
        clean: &'a [String],
    ) -> impl Iterator<Item = TimeRange> + 'a {
        let about = self.deletions.iter().filter(|deletion| {
            deletion.is_about(table) && !clean.contains(&deletion.deletion.mark())
        });
        about.map(|deletion| deletion.deletion.range())
    }

    /// Row times of a series that are hidden inside `within`: rising, disjoint.
    ///
    /// A rollup row is hidden when its bucket touches deleted time: what it amounts to without
    /// the deleted samples cannot be told from it.
    pub fn ranges(
        &self,
        table: &Table,
        resolution: Resolution,
        key: &SeriesKey,
        within: TimeRange,
    ) -> Vec<TimeRange> {
        self.ranges_unless(table, resolution, key, within, &[])
    }

    /// As [`Hidden::ranges`], for rows that are clean of the deletions `clean` names.
    pub(crate) fn ranges_unless(
        &self,
        table: &Table,
        resolution: Resolution,
        key: &SeriesKey,
        within: TimeRange,
        clean: &[String],
    ) -> Vec<TimeRange> {
        let mut ranges = Vec::new();
        let floor_ms = self.floor_ms(table, resolution, key);
        if floor_ms > within.start_ms {
            ranges.push(TimeRange::new(within.start_ms, floor_ms));
        }
        let reach_ms = length_ms(resolution).saturating_sub(1).max(0);
        for deletion in &self.deletions {
            let range = deletion.deletion.range();
            let touched = TimeRange::new(range.start_ms.saturating_sub(reach_ms), range.end_ms);
            let is_clean = clean.contains(&deletion.deletion.mark());
            if touched.overlaps(&within) && !is_clean && deletion.accepts(table, key) {
                ranges.push(touched);
            }
        }
        ranges.sort_unstable();
        let mut joined: Vec<TimeRange> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match joined.last_mut() {
                Some(last) if range.start_ms <= last.end_ms => {
                    last.end_ms = last.end_ms.max(range.end_ms);
                }
                _ => joined.push(range),
            }
        }
        joined
    }

    /// Takes hidden rows out of what a scan found.
    pub fn apply(&self, table: &Table, resolution: Resolution, scan: &mut Scan) {
        for series in &mut scan.series {
            let (Some(first), Some(last)) = (series.chunks.first(), series.chunks.last()) else {
                continue;
            };
            let within = TimeRange::new(first.first_ms(), last.last_ms().saturating_add(1));
            let hidden = self.ranges(table, resolution, &series.key, within);
            if !hidden.is_empty() {
                series.chunks = visible(&series.chunks, &hidden);
            }
        }
        scan.series.retain(|series| !series.chunks.is_empty());
        let rows: usize = scan.series.iter().map(SeriesRows::rows).sum();
        scan.rows = u64::try_from(rows).unwrap_or(u64::MAX);
    }

    /// What a segment may still hold although it is hidden for good: marks of deletions and rules
    /// that it is not known to be clean of.
    ///
    /// A rule asks for a segment to be rewritten once, when all its rows are past the rule's age.
    pub fn pending(&self, table: &Table, entry: &SegmentEntry) -> Vec<String> {
        let range = entry.meta.time_range();
        let reach_ms = length_ms(entry.resolution).max(1);
        let reach = TimeRange::new(range.start_ms, range.end_ms.saturating_add(reach_ms));
        let deletions = self.deletions.iter().filter(|deletion| {
            deletion.is_about(table) && deletion.deletion.range().overlaps(&reach)
        });
        let rules = self.rules.rules.iter().filter(|rule| {
            rule.age_ms(entry.resolution).is_some_and(|age_ms| {
                age_ms < self.rules.ages.of_table(table, entry.resolution)
                    && range.end_ms <= self.now_ms.saturating_sub(age_ms)
            })
        });
        let marks = deletions.map(|deletion| deletion.deletion.mark());
        let marks = marks.chain(rules.map(|rule| format!("rule:{}", rule.text())));
        marks.filter(|mark| !entry.lineage.clean_of.contains(mark)).collect()
    }

    /// The rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The moment this is about.
    pub fn now_ms(&self) -> i64 {
        self.now_ms
    }
}

/// The parts of chunks that lie in no hidden range: slices, no copies.
fn visible(chunks: &[Chunk], hidden: &[TimeRange]) -> Vec<Chunk> {
    let mut out = Vec::with_capacity(chunks.len());
    for chunk in chunks {
        let mut from = 0_usize;
        let row_at = |time_ms: i64| chunk.times_ms.partition_point(|time| *time < time_ms);
        for range in hidden {
            push_rows(&mut out, chunk, from, row_at(range.start_ms));
            from = from.max(row_at(range.end_ms));
        }
        push_rows(&mut out, chunk, from, chunk.rows());
    }
    out
}

fn push_rows(out: &mut Vec<Chunk>, chunk: &Chunk, from: usize, until: usize) {
    if from >= until {
        return;
    }
    let rows = until.saturating_sub(from);
    let columns = chunk.columns.iter().map(|column| column.slice(from, rows)).collect();
    out.push(Chunk { times_ms: chunk.times_ms.slice(from, rows), columns });
}
