//! Merging, rolling up, shedding and deleting: carries out what `compact` chooses.
//!
//! One thing at a time, outside all locks but its own; the ledger is held only to take numbers and
//! to commit. The order: write aside, sync, move into place, commit, install, bury. Readers keep
//! the segments they hold; a stop anywhere leaves files that recovery sweeps.
//!
//! Holds SEG, KEEP and ROLL together with `compact`, `retention` and `rollup`.
//! Not here: what to do (`compact::choose`), doing it (`compact::perform`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::Duration;

use plimsoll_model::{ErrorClass, Registry, Table, TimeRange, chain};

use super::flush::{flush, take_out};
use super::shared::{LiveSegment, Shared};
use super::{Store, StoreError};
use crate::compact::{
    Choice, Edit, Outcome, Policy, Survey, Workshop, apply, choose, is_possible, perform,
};
use crate::manifest::SegmentEntry;
use crate::retention::{
    AuditLine, Budget, DELETIONS_MAX, Deletion, DryRun, Hidden, Rules, audit, dry_run, shed,
};
use crate::rollup::{
    RawPart, RollupError, RollupPart, TableView, WindowsAnswer, WindowsRequest, windows,
};
use crate::segment::{Resolution, Segment};

/// Name of the audit log in the data directory.
const AUDIT_LOG: &str = "audit.log";

/// What the work remembers between two things.
#[derive(Debug, Default)]
pub(super) struct Upkeep {
    spent: BTreeSet<(usize, i64, i64)>,
    /// Segments that could not be merged.
    failed: BTreeSet<u64>,
}

/// What to delete.
#[derive(Debug, Clone)]
pub struct DeleteRequest {
    /// Only this table; `None`: all.
    pub table: Option<&'static Table>,
    /// `{label="value",...}`.
    pub selector: String,
    /// Times; the end is cut to now.
    pub range: TimeRange,
    /// Who asks, for the audit log.
    pub who: String,
}

/// Works until its stop channel is closed.
pub(super) fn run(shared: &Arc<Shared>, interval: Duration, stop: &Receiver<()>) {
    loop {
        match stop.recv_timeout(interval) {
            Err(RecvTimeoutError::Timeout) | Ok(()) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        loop {
            let started = shared.clock.monotonic();
            let pace = |_: u64| {
                // Half of the time is left to others.
                let took = shared.clock.monotonic().saturating_sub(started);
                let rest = took.min(Duration::from_millis(20));
                match stop.recv_timeout(rest) {
                    Err(RecvTimeoutError::Timeout) | Ok(()) => true,
                    Err(RecvTimeoutError::Disconnected) => false,
                }
            };
            match once(shared, &pace) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::error!(error = %chain(&error), "segments not merged");
                    break;
                }
            }
            if stop.try_recv() == Err(TryRecvError::Disconnected) {
                return;
            }
        }
    }
}

impl Shared {
    /// What is hidden now.
    pub(super) fn hidden(&self) -> Hidden {
        let manifest = Arc::clone(&self.published.lock());
        Hidden::new(self.options.rules(), &manifest.removed, self.clock.now_ms())
    }

    /// Everything live of a table, at one moment.
    fn table_view(&self, table: &'static Table) -> TableView {
        let hidden = Arc::new(self.hidden());
        let (mut raw_parts, mut rollups) = (Vec::new(), Vec::new());
        let raw = self.view_with(table, |live| {
            let segment = Arc::clone(&live.segment);
            match live.resolution {
                Resolution::Raw => raw_parts.push(RawPart { id: live.id, segment }),
                resolution => {
                    let lineage = live.lineage.clone();
                    rollups.push(RollupPart { resolution, segment, lineage });
                }
            }
        });
        TableView { table, raw, raw_parts, rollups, hidden }
    }

    fn budget(&self) -> Budget {
        Budget { bytes_max: self.options.bytes_max }
    }
}

/// Chooses the next thing and does it; `false` when there was nothing.
fn once(shared: &Shared, pace: &dyn Fn(u64) -> bool) -> Result<bool, StoreError> {
    let mut upkeep = shared.upkeep.lock();
    shed_now(shared)?;
    let hidden = shared.hidden();
    let entries = shared.published.lock().segments.clone();
    let mut suspects = upkeep.failed.clone();
    suspects.extend(shared.suspects.lock().iter().copied());
    let survey = Survey {
        segments: &entries,
        heads_from_ms: &heads_from_ms(shared),
        hidden: &hidden,
        suspects: &suspects,
        spent: &upkeep.spent,
    };
    let choice = choose(&survey, &Policy::default());
    if choice == Choice::Nothing {
        shared.ledger.lock().dig(shared);
        return Ok(false);
    }
    let shop = Workshop {
        entries: &entries,
        segment: &|id| shared.live(id),
        new_id: &|| shared.ledger.lock().take_segment_id(),
        aside: &shared.paths.tmp,
        hidden: &hidden,
        zstd_level: shared.options.zstd_level_compact,
        pace,
    };
    match perform(&choice, &shop) {
        Ok(Outcome::Edit(edit)) => commit(shared, &edit)?,
        Ok(Outcome::Stopped) => return Ok(false),
        Ok(Outcome::Spent) => {
            if let Choice::Rollup { table, day, range, .. } = &choice {
                upkeep.spent.insert((table.index(), *day, range.end_ms));
            }
        }
        Err(error) if error.class() == ErrorClass::Bug => return Err(error.into()),
        Err(error) => {
            tracing::error!(error = %chain(&error), "damaged segment left out of merges");
            let inputs = inputs_of(&choice);
            let damaged = inputs.iter().copied().filter(|id| {
                shared.live(*id).is_some_and(|segment| segment.path() == error.path())
            });
            let damaged: Vec<u64> = damaged.collect();
            shared.suspects.lock().extend(damaged.iter().copied());
            upkeep.failed.extend(if damaged.is_empty() { inputs } else { damaged });
        }
    }
    Ok(true)
}

/// Whether segments are being merged or rolled up now, or there is something to do.
pub(super) fn is_due(shared: &Shared) -> bool {
    let Some(upkeep) = shared.upkeep.try_lock() else {
        return true;
    };
    let entries = shared.published.lock().segments.clone();
    let mut suspects = upkeep.failed.clone();
    suspects.extend(shared.suspects.lock().iter().copied());
    let survey = Survey {
        segments: &entries,
        heads_from_ms: &heads_from_ms(shared),
        hidden: &shared.hidden(),
        suspects: &suspects,
        spent: &upkeep.spent,
    };
    choose(&survey, &Policy::default()) != Choice::Nothing
}

fn inputs_of(choice: &Choice) -> Vec<u64> {
    match choice {
        Choice::Nothing => Vec::new(),
        Choice::Drop { ids } => ids.clone(),
        Choice::Merge { inputs, .. } => inputs.clone(),
        Choice::Rollup { inputs, replaces, .. } => [inputs.as_slice(), replaces].concat(),
        Choice::Rewrite { input, .. } => vec![*input],
    }
}

fn heads_from_ms(shared: &Shared) -> BTreeMap<String, i64> {
    let tables = shared.tables().filter_map(|(table, state)| {
        let from_ms = state.lock().head_from_ms()?;
        Some((table.name().to_owned(), from_ms))
    });
    tables.collect()
}

/// Moves new files into place, commits the list, and swaps segments in memory.
fn commit(shared: &Shared, edit: &Edit) -> Result<(), StoreError> {
    let mut installed: Vec<(SegmentEntry, Arc<Segment>)> = Vec::new();
    for (entry, aside) in &edit.adds {
        let path = shared.paths.segments.join(entry.path());
        shared.disk.sync_file(aside)?;
        if let Some(folder) = path.parent() {
            shared.disk.create_folder(folder)?;
        }
        shared.disk.rename(aside, &path)?;
        let segment = Segment::open(&path, entry.meta.clone())?;
        installed.push((entry.clone(), Arc::new(segment)));
    }
    let mut ledger = shared.ledger.lock();
    if !is_possible(&ledger.manifest().segments, edit) {
        // A segment was set aside meanwhile; nobody names the new files.
        drop(ledger);
        for (_, segment) in &installed {
            shared.disk.remove(segment.path())?;
        }
        return Ok(());
    }
    ledger.commit(shared, |manifest| apply(&mut manifest.segments, edit))?;
    let entries = ledger.manifest().segments.clone();
    let dead = swap(shared, edit, &installed, &entries);
    ledger.bury(dead.into_iter().map(|segment| {
        let path = segment.path().to_owned();
        (segment, path)
    }));
    ledger.dig(shared);
    Ok(())
}

/// Readers see the old segments before and the new ones after, under one lock.
fn swap(
    shared: &Shared,
    edit: &Edit,
    installed: &[(SegmentEntry, Arc<Segment>)],
    entries: &[SegmentEntry],
) -> Vec<Arc<Segment>> {
    let touched = installed.first().and_then(|(entry, _)| Registry::embedded().table(&entry.table));
    let Some(state) = touched.and_then(|table| shared.table(table)) else {
        return take_out(shared, &edit.removes);
    };
    let mut state = state.lock();
    let mut dead = Vec::new();
    state.segments.retain(|live| {
        let goes = edit.removes.contains(&live.id);
        if goes {
            dead.push(Arc::clone(&live.segment));
        }
        !goes
    });
    let new = installed.iter().map(|(entry, segment)| LiveSegment::new(entry, segment.clone()));
    state.segments.extend(new);
    for live in &mut state.segments {
        if let Some(entry) = entries.iter().find(|entry| entry.id == live.id) {
            live.lineage.clone_from(&entry.lineage);
        }
    }
    state.segments.sort_by_key(|live| (live.order(), live.id));
    dead
}

/// Moves the floors that the byte budget asks for, and forgets deletions that are done.
fn shed_now(shared: &Shared) -> Result<(), StoreError> {
    let mut ledger = shared.ledger.lock();
    let manifest = Arc::clone(ledger.manifest());
    let entries: Vec<&SegmentEntry> = manifest.segments.iter().collect();
    let until = shed(&entries, shared.budget());
    let admitted_from_ms =
        shared.options.retention.start_ms(Resolution::Raw, shared.clock.now_ms());
    let mut removed = manifest.removed.clone();
    for (resolution, until_ms) in &until {
        let place = removed.shed_until_ms.entry(*resolution).or_insert(i64::MIN);
        *place = (*place).max(*until_ms);
    }
    removed.forget(admitted_from_ms, |deletion| {
        let touched = entries.iter().filter(|entry| {
            let range = entry.meta.time_range();
            TimeRange::new(range.start_ms, range.end_ms.saturating_add(3_600_000))
                .overlaps(&deletion.range())
        });
        let mark = deletion.mark();
        touched.into_iter().all(|entry| entry.lineage.clean_of.contains(&mark))
    });
    if removed == manifest.removed {
        return Ok(());
    }
    for (resolution, until_ms) in &until {
        let line = AuditLine {
            at_ms: shared.clock.now_ms(),
            who: "byte budget",
            action: "shed",
            table: None,
            selector: Some(resolution.name()),
            start_ms: i64::MIN,
            end_ms: *until_ms,
        };
        audit(&shared.options.dir.join(AUDIT_LOG), &line)?;
    }
    ledger.commit(shared, |manifest| manifest.removed = removed)
}

impl Store {
    /// Does the next thing there is to do: drops, merges, rolls up or rewrites segments. `false`
    /// when there is nothing to do. Blocks, for as long as a merge takes.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; then nothing changed.
    pub fn compact_once(&self) -> Result<bool, StoreError> {
        once(&self.shared, &|_| true)
    }

    /// Windows of one metric on a grid of steps, from the coarsest sources that are exact. Blocks.
    ///
    /// # Errors
    ///
    /// [`RollupError`] when a limit is reached or rows cannot be read.
    pub fn windows(
        &self,
        table: &'static Table,
        request: &WindowsRequest,
    ) -> Result<WindowsAnswer, RollupError> {
        windows(&self.shared.table_view(table), request)
    }

    /// First time of which rows of a table may still be there as collected; older ones are past
    /// their age.
    pub fn raw_from_ms(&self, table: &Table) -> i64 {
        self.shared.hidden().table_floor_ms(table, Resolution::Raw)
    }

    /// Deletes a time range of some series: at once for readers, from disk by and by. Gives the
    /// deletion's number. Blocks.
    ///
    /// # Errors
    ///
    /// [`StoreError::Selector`] when the selector does not parse, [`StoreError::Busy`] when too
    /// many deletions are in force, [`StoreError::Audit`] when the audit line cannot be written.
    /// The rows are then all there.
    pub fn delete(&self, request: &DeleteRequest) -> Result<u64, StoreError> {
        let shared = &self.shared;
        let now_ms = shared.clock.now_ms();
        let range = request.range;
        let deletion = Deletion {
            id: 0,
            table: request.table.map(|table| table.name().to_owned()),
            selector: request.selector.clone(),
            start_ms: range.start_ms,
            end_ms: range.end_ms.min(now_ms),
            who: request.who.clone(),
            at_ms: now_ms,
        };
        deletion.compiled()?;
        let mut ledger = shared.ledger.lock();
        let found = ledger.manifest().removed.deletions.len();
        if found >= DELETIONS_MAX {
            let (found, max) = (super::wide(found), super::wide(DELETIONS_MAX));
            return Err(StoreError::Busy { what: "list of deletions", found, max });
        }
        let line = AuditLine {
            at_ms: now_ms,
            who: &request.who,
            action: "delete",
            table: deletion.table.as_deref(),
            selector: Some(&request.selector),
            start_ms: deletion.start_ms,
            end_ms: deletion.end_ms,
        };
        audit(&shared.options.dir.join(AUDIT_LOG), &line)?;
        let mut id = 0;
        ledger.commit(shared, |manifest| id = manifest.removed.add(deletion))?;
        Ok(id)
    }

    /// What retention would take now, with these ages, rules and limit or those in force.
    pub fn retention_dry_run(&self, rules: Option<Rules>, budget: Option<Budget>) -> DryRun {
        let shared = &self.shared;
        let manifest = Arc::clone(&shared.published.lock());
        let rules = rules.unwrap_or_else(|| shared.options.rules());
        let hidden = Hidden::new(rules, &manifest.removed, shared.clock.now_ms());
        dry_run(&manifest.segments, &hidden, budget.unwrap_or_else(|| shared.budget()))
    }

    /// Flushes, then does everything there is to do; says how many things. Blocks.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub fn compact(&self) -> Result<usize, StoreError> {
        flush(&self.shared, |_| true)?;
        let mut things = 0_usize;
        while self.compact_once()? {
            things = things.saturating_add(1);
        }
        Ok(things)
    }
}
