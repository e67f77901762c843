//! A store without an engine, for tests: a list of segments, files, heads and a clock that moves.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use plimsoll_model::{Batch, Filter, Table, TimeRange};
use tempfile::TempDir;

use super::{Choice, Outcome, Policy, Survey, Workshop, apply, choose, is_possible, perform};
use crate::head::Head;
use crate::manifest::{Lineage, SegmentEntry};
use crate::retention::{Ages, Hidden, Removed, Rule, Rules};
use crate::rollup::{RawPart, RollupPart, TableView};
use crate::scan::{Scan, ScanLimits, ScanRequest, View, scan};
use crate::segment::{Resolution, Segment, write};

pub(crate) const DAY_MS: i64 = 86_400_000;

pub(crate) struct Bed {
    pub(crate) dir: TempDir,
    pub(crate) entries: Vec<SegmentEntry>,
    pub(crate) segments: RefCell<BTreeMap<u64, Arc<Segment>>>,
    pub(crate) heads: BTreeMap<usize, Head>,
    next_id: Cell<u64>,
    pub(crate) now_ms: i64,
    pub(crate) rules: Rules,
    pub(crate) removed: Removed,
    pub(crate) spent: BTreeSet<(usize, i64, i64)>,
    pub(crate) policy: Policy,
}

impl Bed {
    pub(crate) fn new(now_ms: i64) -> Self {
        let ages =
            Ages { raw_ms: 14 * DAY_MS, five_minute_ms: 180 * DAY_MS, hour_ms: 1095 * DAY_MS };
        Self {
            dir: TempDir::new().unwrap(),
            entries: Vec::new(),
            segments: RefCell::default(),
            heads: BTreeMap::new(),
            next_id: Cell::new(1),
            now_ms,
            rules: Rules { ages, rules: Vec::new() },
            removed: Removed::default(),
            spent: BTreeSet::new(),
            policy: Policy::default(),
        }
    }

    pub(crate) fn rule(&mut self, text: &str) {
        self.rules.rules.push(Rule::parse(text).unwrap());
    }

    pub(crate) fn hidden(&self) -> Hidden {
        Hidden::new(self.rules.clone(), &self.removed, self.now_ms)
    }

    fn id(&self) -> u64 {
        self.next_id.replace(self.next_id.get() + 1)
    }

    pub(crate) fn push(&mut self, batch: &Batch) {
        let table = batch.table();
        self.heads.entry(table.index()).or_insert_with(|| Head::new(table)).push(batch);
    }

    pub(crate) fn flush(&mut self) {
        for head in std::mem::take(&mut self.heads).into_values() {
            for rows in head.seal().days() {
                let id = self.id();
                let path = self.dir.path().join(format!("{id:016x}.parquet"));
                let meta = write(&rows, Resolution::Raw, &path).unwrap();
                self.entries.push(SegmentEntry {
                    id,
                    table: rows.table().name().to_owned(),
                    resolution: Resolution::Raw,
                    date: format!("day{}", rows.day()),
                    meta: meta.clone(),
                    lineage: Lineage::default(),
                });
                let segment = Arc::new(Segment::open(&path, meta).unwrap());
                self.segments.borrow_mut().insert(id, segment);
            }
        }
    }

    pub(crate) fn next_choice(&self) -> Choice {
        let heads_from_ms: BTreeMap<String, i64> = self
            .heads
            .values()
            .filter_map(|head| Some((head.table().name().to_owned(), head.time_range()?.start_ms)))
            .collect();
        let survey = Survey {
            segments: &self.entries,
            heads_from_ms: &heads_from_ms,
            hidden: &self.hidden(),
            suspects: &BTreeSet::new(),
            spent: &self.spent,
        };
        choose(&survey, &self.policy)
    }

    /// Does the next thing; `false` when there is nothing to do.
    pub(crate) fn step(&mut self) -> bool {
        let choice = self.next_choice();
        if choice == Choice::Nothing {
            return false;
        }
        let hidden = self.hidden();
        let shop = Workshop {
            entries: &self.entries,
            segment: &|id| self.segments.borrow().get(&id).cloned(),
            new_id: &|| self.id(),
            aside: self.dir.path(),
            hidden: &hidden,
            zstd_level: 3,
            pace: &|_| true,
        };
        match perform(&choice, &shop).unwrap() {
            Outcome::Edit(edit) => {
                assert!(is_possible(&self.entries, &edit));
                for (entry, path) in &edit.adds {
                    let segment = Segment::open(path, entry.meta.clone()).unwrap();
                    segment.verify().unwrap();
                    self.segments.borrow_mut().insert(entry.id, Arc::new(segment));
                }
                apply(&mut self.entries, &edit);
                for id in &edit.removes {
                    let dead = self.segments.borrow_mut().remove(id).unwrap();
                    std::fs::remove_file(dead.path()).unwrap();
                }
            }
            Outcome::Spent => {
                let Choice::Rollup { table, day, range, .. } = choice else { panic!("{choice:?}") };
                assert!(self.spent.insert((table.index(), day, range.end_ms)));
            }
            Outcome::Stopped => panic!("nothing stops it"),
        }
        true
    }

    /// Does everything there is to do; says how many things.
    pub(crate) fn settle(&mut self) -> usize {
        let mut steps = 0;
        while self.step() {
            steps += 1;
            assert!(steps < 10_000, "no end: {:?}", self.next_choice());
        }
        steps
    }

    pub(crate) fn view(&self, table: &'static Table) -> TableView {
        let mut entries: Vec<&SegmentEntry> =
            self.entries.iter().filter(|entry| entry.table == table.name()).collect();
        entries.sort_by_key(|entry| (entry.order(), entry.id));
        let segments = self.segments.borrow();
        let mut view = TableView {
            table,
            raw: View::default(),
            raw_parts: Vec::new(),
            rollups: Vec::new(),
            hidden: Arc::new(self.hidden()),
        };
        for entry in entries {
            let segment = segments[&entry.id].clone();
            if entry.resolution == Resolution::Raw {
                view.raw.segments.push(segment.clone());
                view.raw_parts.push(RawPart { id: entry.id, segment });
            } else {
                let lineage = entry.lineage.clone();
                view.rollups.push(RollupPart { resolution: entry.resolution, segment, lineage });
            }
        }
        view.raw.heads.extend(self.heads.get(&table.index()).map(Head::snapshot));
        view
    }

    /// The raw rows that are visible now.
    pub(crate) fn scan(&self, table: &'static Table, metrics: Vec<usize>) -> Scan {
        let view = self.view(table);
        let request = ScanRequest {
            table,
            metrics,
            range: TimeRange::ALL,
            filter: Filter::default(),
            limits: ScanLimits::new(u64::MAX, usize::MAX),
        };
        let mut found = scan(&view.raw, &request).unwrap();
        assert!(found.damaged.is_empty(), "{:?}", found.warnings);
        view.hidden.apply(table, Resolution::Raw, &mut found);
        found
    }

    /// Every visible raw row as text.
    pub(crate) fn content(&self, table: &'static Table) -> Vec<String> {
        use arrow_array::Array;
        use arrow_array::cast::AsArray;
        use arrow_array::types::{Float64Type, Int64Type};

        let metrics: Vec<usize> = (0..table.metrics().len()).collect();
        let mut rows = Vec::new();
        for series in self.scan(table, metrics).series {
            for chunk in &series.chunks {
                for (row, time) in chunk.times_ms.iter().enumerate() {
                    let mut text = format!("{:?} {time}", series.key);
                    for (metric, column) in chunk.columns.iter().enumerate() {
                        if column.is_null(row) {
                            continue;
                        }
                        let value = if let Some(ints) = column.as_primitive_opt::<Int64Type>() {
                            ints.value(row).to_string()
                        } else if let Some(f) = column.as_primitive_opt::<Float64Type>() {
                            f.value(row).to_bits().to_string()
                        } else {
                            let texts = column.as_dictionary::<arrow_array::types::Int32Type>();
                            let key = usize::try_from(texts.keys().value(row)).unwrap();
                            texts.values().as_string::<i32>().value(key).to_owned()
                        };
                        text.push_str(&format!(" {metric}={value}"));
                    }
                    rows.push(text);
                }
            }
        }
        rows
    }
}
