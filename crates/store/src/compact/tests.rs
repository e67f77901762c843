//! Laws of choosing and merging: few files, each row once, answers unchanged.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "tests count small things"
)]

use std::collections::{BTreeMap, BTreeSet};

use plimsoll_model::registry::RollupRules;
use plimsoll_model::{BatchBuilder, Registry, Subject, Table, TimeRange};

use super::bed::{Bed, DAY_MS};
use super::*;
use crate::manifest::{Lineage, SegmentEntry};
use crate::retention::{Ages, Hidden, Removed, Rules};
use crate::segment::{Resolution, SegmentMeta};

/// 2026-03-02 00:00 UTC.
const START_MS: i64 = 20_514 * DAY_MS;

fn table(name: &str) -> &'static Table {
    Registry::embedded().table(name).unwrap()
}

fn entry(
    id: u64,
    table: &str,
    resolution: Resolution,
    range: TimeRange,
    rows: u64,
) -> SegmentEntry {
    let meta = SegmentMeta {
        bytes: rows * 20,
        rows,
        samples: rows * 20,
        series: 1,
        start_ms: range.start_ms,
        end_ms: range.end_ms,
        crc32c: 0,
        index_offset: 0,
        index_crc32c: 0,
    };
    let date = format!("day{}", range.start_ms.div_euclid(DAY_MS));
    SegmentEntry {
        id,
        table: table.to_owned(),
        resolution,
        date,
        meta,
        lineage: Lineage::default(),
    }
}

/// Lists of segments without files: choices are taken to have been done.
struct Fleet {
    entries: Vec<SegmentEntry>,
    next_id: u64,
    now_ms: i64,
    rewritten_rows: u64,
}

impl Fleet {
    fn add(&mut self, mut entry: SegmentEntry) {
        entry.id = self.next_id;
        self.next_id += 1;
        self.entries.push(entry);
    }

    fn step(&mut self) -> bool {
        let ages =
            Ages { raw_ms: 14 * DAY_MS, five_minute_ms: 180 * DAY_MS, hour_ms: 1095 * DAY_MS };
        let rules = Rules { ages, rules: Vec::new() };
        let hidden = Hidden::new(rules, &Removed::default(), self.now_ms);
        let survey = Survey {
            segments: &self.entries,
            heads_from_ms: &BTreeMap::new(),
            hidden: &hidden,
            suspects: &BTreeSet::new(),
            spent: &BTreeSet::new(),
        };
        let mut edit = Edit::default();
        match choose(&survey, &Policy::default()) {
            Choice::Nothing => return false,
            Choice::Drop { ids } => edit.removes = ids,
            Choice::Merge { inputs, .. } => {
                let of = |id: &u64| self.entries.iter().find(|entry| entry.id == *id).unwrap();
                let parts: Vec<&SegmentEntry> = inputs.iter().map(of).collect();
                let mut merged = parts[0].clone();
                merged.id = self.next_id;
                merged.meta.rows = parts.iter().map(|entry| entry.meta.rows).sum();
                merged.meta.start_ms = parts.iter().map(|e| e.meta.start_ms).min().unwrap();
                merged.meta.end_ms = parts.iter().map(|e| e.meta.end_ms).max().unwrap();
                merged.lineage.order = parts.iter().map(|e| e.order()).max().unwrap();
                merged.lineage.from_ms = parts.iter().map(|e| e.lineage.from_ms).min().unwrap();
                merged.lineage.until_ms = parts.iter().map(|e| e.lineage.until_ms).max().unwrap();
                merged.lineage.made_from =
                    parts.iter().flat_map(|e| e.lineage.made_from.clone()).collect();
                merged.lineage.made_ms = self.now_ms;
                self.rewritten_rows += merged.meta.rows;
                self.next_id += 1;
                edit.removes = inputs;
                edit.adds.push((merged, "".into()));
            }
            Choice::Rollup { table, range, inputs, replaces, .. } => {
                for (resolution, length_ms) in
                    [(Resolution::FiveMinutes, 300_000_u64), (Resolution::Hour, 3_600_000)]
                {
                    let rows = range.len_ms().unsigned_abs() / length_ms * 10;
                    let mut rollup = entry(self.next_id, table.name(), resolution, range, rows);
                    self.next_id += 1;
                    rollup.lineage.from_ms = range.start_ms;
                    rollup.lineage.until_ms = range.end_ms;
                    rollup.lineage.made_from.clone_from(&inputs);
                    rollup.lineage.made_ms = self.now_ms;
                    edit.adds.push((rollup, "".into()));
                }
                edit.removes = replaces;
            }
            Choice::Rewrite { .. } => panic!("nothing is hidden in part"),
        }
        assert!(is_possible(&self.entries, &edit));
        apply(&mut self.entries, &edit);
        true
    }

    /// Segments of each table, resolution and day.
    fn files(&self) -> BTreeMap<(String, Resolution, i64), usize> {
        let mut files = BTreeMap::new();
        for entry in &self.entries {
            let day = entry.meta.start_ms.div_euclid(DAY_MS);
            *files.entry((entry.table.clone(), entry.resolution, day)).or_default() += 1;
        }
        files
    }
}

/// A month of flushes every ten minutes, with late rows in one of twenty, four tables.
#[test]
fn the_number_of_files_is_bounded_through_a_month() {
    let tables = ["container", "container_network", "node", "container_info"].map(table);
    let mut fleet = Fleet { entries: Vec::new(), next_id: 1, now_ms: 0, rewritten_rows: 0 };
    let (days, flush_ms) = (30, 900_000);
    let mut flushed_rows = 0;
    for flush in 1..=(days * DAY_MS / flush_ms) {
        fleet.now_ms = START_MS + flush * flush_ms;
        for table in &tables {
            let range = TimeRange::new(fleet.now_ms - flush_ms, fleet.now_ms);
            fleet.add(entry(0, table.name(), Resolution::Raw, range, 1000));
            flushed_rows += 1000;
            if flush % 20 == 0 && flush > 200 {
                let late = TimeRange::new(range.start_ms - DAY_MS, range.end_ms - DAY_MS);
                fleet.add(entry(0, table.name(), Resolution::Raw, late, 10));
            }
        }
        let mut steps = 0;
        while fleet.step() {
            steps += 1;
            assert!(steps < 1000, "work has no end");
        }
        if flush % 36 == 0 {
            let today = (fleet.now_ms - 1).div_euclid(DAY_MS);
            for ((table, resolution, day), files) in fleet.files() {
                let is_closed = fleet.now_ms >= (day + 1) * DAY_MS + Policy::default().lateness_ms;
                let stale = if day + 2 >= today { SEGMENTS_MAX } else { 1 };
                let max = if is_closed { stale } else { SEGMENTS_MAX };
                assert!(files <= max, "{files} files of {table} {resolution} day {day} of {today}");
            }
        }
    }
    fleet.now_ms += DAY_MS;
    while fleet.step() {}
    for ((table, resolution, day), files) in fleet.files() {
        assert_eq!(files, 1, "{table} {resolution} {day}");
    }
    let raw = fleet.entries.iter().filter(|entry| entry.resolution == Resolution::Raw);
    let raw = raw.filter(|entry| RollupRules::embedded().rolls_up(table(&entry.table)));
    let oldest = raw.map(|entry| entry.meta.end_ms).min().unwrap();
    assert!(oldest > fleet.now_ms - 14 * DAY_MS);
    assert!(
        fleet.rewritten_rows < flushed_rows * 8,
        "{} times",
        fleet.rewritten_rows / flushed_rows
    );
}

fn subject(series: i64) -> Subject {
    let mut subject = Subject::node("default", "node-1");
    subject.service = format!("web{}", series % 3).into();
    subject.container_id = format!("{series:064x}").into();
    subject
}

fn push(bed: &mut Bed, rows: &[(i64, i64, i64)]) {
    let mut builder = BatchBuilder::new(table("container"));
    for (series, time_ms, value) in rows {
        builder.row(*time_ms, &subject(*series), &[]);
        builder.int("cpu_usage_us", Some(*value)).unwrap();
        builder.text("state", (value % 3 > 0).then_some("running")).unwrap();
    }
    bed.push(&builder.finish().unwrap());
}

#[test]
fn of_repeated_rows_the_latest_stays_through_any_order_of_merges() {
    let mut bed = Bed::new(START_MS + 3_600_000);
    for round in 0..40_i64 {
        let rows: Vec<_> =
            (0..30).map(|at| (at % 5, START_MS + (at + round % 7) * 1000, round)).collect();
        push(&mut bed, &rows);
        bed.flush();
        let before = bed.content(table("container"));
        bed.step();
        assert_eq!(before, bed.content(table("container")));
    }
    bed.now_ms += 2 * DAY_MS;
    let before = bed.content(table("container"));
    bed.settle();
    assert_eq!(before, bed.content(table("container")));
    let raw = bed.entries.iter().filter(|entry| entry.resolution == Resolution::Raw);
    assert_eq!(raw.map(|entry| entry.meta.rows).collect::<Vec<_>>(), [before.len() as u64]);
}

#[test]
fn a_merge_that_is_ended_changes_nothing() {
    let mut bed = Bed::new(START_MS + 3_600_000);
    for round in 0..9 {
        push(&mut bed, &[(1, START_MS + round * 1000, round)]);
        bed.flush();
    }
    let choice = bed.next_choice();
    let hidden = bed.hidden();
    let shop = Workshop {
        entries: &bed.entries,
        segment: &|id| bed.segments.borrow().get(&id).cloned(),
        new_id: &|| 999,
        aside: bed.dir.path(),
        hidden: &hidden,
        zstd_level: 3,
        pace: &|_| false,
    };
    assert!(matches!(choice, Choice::Merge { .. }), "{choice:?}");
    assert_eq!(perform(&choice, &shop).unwrap(), Outcome::Stopped);
    let before = bed.content(table("container"));
    bed.settle();
    assert_eq!(before, bed.content(table("container")));
}

#[test]
fn a_rollup_that_knew_the_inputs_of_a_merge_knows_its_output() {
    let hour = TimeRange::new(START_MS, START_MS + 3_600_000);
    let mut rollup = entry(3, "node", Resolution::Hour, hour, 1);
    rollup.lineage.from_ms = hour.start_ms;
    rollup.lineage.until_ms = hour.end_ms;
    rollup.lineage.made_from = vec![1, 2];
    let raw = |id| entry(id, "node", Resolution::Raw, hour, 1);
    let edit = |adds| Edit { removes: vec![1, 2], adds: vec![(adds, "".into())], cleans: vec![] };
    let mut entries = vec![raw(1), raw(2), rollup.clone()];
    apply(&mut entries, &edit(raw(4)));
    assert_eq!(entries[0].lineage.made_from, [4]);
    rollup.lineage.made_from = vec![1];
    let mut entries = vec![raw(1), raw(2), rollup];
    apply(&mut entries, &edit(raw(4)));
    assert_eq!(entries[0].lineage.made_from, Vec::<u64>::new(), "2 was not known");
}
