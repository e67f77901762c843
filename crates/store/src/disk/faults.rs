//! Makes a disk fail on purpose, and writes down what was done to it, for tests.
//!
//! Not in a release build: behind `cfg(test)` or the feature `sabotage`.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Operation;
use super::trace::Event;

/// A plan of failures, shared by everything that uses one disk.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    plan: Arc<Mutex<Plan>>,
}

#[derive(Debug)]
struct Plan {
    free_bytes: Option<u64>,
    seen: u64,
    fail_at: Option<u64>,
    fails_left: u64,
    only: Option<Operation>,
    /// Only changes at this point; see [`point`].
    at_point: Option<String>,
    kind: io::ErrorKind,
    /// How often each point was passed.
    points: BTreeMap<String, u64>,
    trace: Option<Vec<Event>>,
    files: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            free_bytes: None,
            seen: 0,
            fail_at: None,
            fails_left: 0,
            only: None,
            at_point: None,
            kind: io::ErrorKind::StorageFull,
            points: BTreeMap::new(),
            trace: None,
            files: 0,
        }
    }
}

/// The name of a place in the program where the disk can fail: what is done to which kind of file,
/// as in `wal-sync` or `manifest-rename`.
pub fn point(operation: Operation, path: &Path) -> String {
    let names: Vec<_> = path.components().filter_map(|part| part.as_os_str().to_str()).collect();
    let name = names.last().copied().unwrap_or_default();
    let holds = |folder: &str| names.contains(&folder);
    let what = if holds("quarantine") {
        "quarantine"
    } else if holds("tmp") {
        if name.starts_with("manifest-") { "manifest-aside" } else { "aside" }
    } else if holds("segments") {
        "segment"
    } else if holds("manifest") {
        if path.extension().is_some_and(|ending| ending == "copy") {
            "manifest-copy"
        } else {
            "manifest"
        }
    } else if holds("wal") {
        "wal"
    } else {
        "folder"
    };
    format!("{what}-{}", format!("{operation:?}").to_lowercase())
}

impl Faults {
    /// Says how much space is free from now on; `None`: ask the machine.
    pub fn set_free_bytes(&self, free_bytes: Option<u64>) {
        self.plan.lock().free_bytes = free_bytes;
    }

    /// Says as what operations fail from now on; [`io::ErrorKind::StorageFull`] at first.
    pub fn set_kind(&self, kind: io::ErrorKind) {
        self.plan.lock().kind = kind;
    }

    /// Fails the `nth` next operation that changes the disk (0: the very next), and those after
    /// it until `times` have failed.
    pub fn fail(&self, nth: u64, times: u64) {
        self.set_plan(nth, times, None, None);
    }

    /// Fails the next `times` operations of one kind.
    pub fn fail_only(&self, operation: Operation, times: u64) {
        self.set_plan(0, times, Some(operation), None);
    }

    /// Fails `times` operations at one [`point`], from the `nth` next on.
    pub fn fail_point(&self, point: &str, nth: u64, times: u64) {
        self.set_plan(nth, times, None, Some(point.to_owned()));
    }

    fn set_plan(&self, nth: u64, times: u64, only: Option<Operation>, at: Option<String>) {
        let mut plan = self.plan.lock();
        (plan.seen, plan.fail_at, plan.fails_left) = (0, Some(nth), times);
        (plan.only, plan.at_point) = (only, at);
    }

    /// Fails nothing from now on. Returns whether a planned failure was not reached.
    pub fn heal(&self) -> bool {
        let mut plan = self.plan.lock();
        (plan.only, plan.at_point) = (None, None);
        plan.fails_left = 0;
        plan.fail_at.take().is_some_and(|nth| plan.seen <= nth)
    }

    /// The points passed so far, and how often.
    pub fn points(&self) -> BTreeMap<String, u64> {
        self.plan.lock().points.clone()
    }

    /// Writes down what is done from now on.
    pub fn record(&self) {
        self.plan.lock().trace = Some(Vec::new());
    }

    /// Notes a number between what is done, for example an acknowledged frame.
    pub fn note(&self, number: u64) {
        self.trace(|| Event::Note(number));
    }

    /// What was done since [`Faults::record`].
    pub fn events(&self) -> Vec<Event> {
        self.plan.lock().trace.clone().unwrap_or_default()
    }

    pub(super) fn trace(&self, event: impl FnOnce() -> Event) {
        if let Some(trace) = &mut self.plan.lock().trace {
            trace.push(event());
        }
    }

    /// Notes the bytes of a file that was not written through this disk.
    pub(super) fn trace_foreign(&self, path: &Path) {
        self.trace(|| Event::Found {
            path: path.to_owned(),
            bytes: std::fs::read(path).unwrap_or_default(),
        });
    }

    pub(super) fn next_file(&self) -> u64 {
        let mut plan = self.plan.lock();
        plan.files = plan.files.saturating_add(1);
        plan.files
    }

    pub(super) fn free_bytes(&self) -> Option<u64> {
        self.plan.lock().free_bytes
    }

    pub(super) fn strike(&self, operation: Operation, path: &Path) -> io::Result<()> {
        if matches!(operation, Operation::Read | Operation::Lock) {
            return Ok(());
        }
        let point = point(operation, path);
        let mut plan = self.plan.lock();
        let is_spared = plan.only.is_some_and(|only| only != operation)
            || plan.at_point.as_ref().is_some_and(|at| *at != point);
        let passed = plan.points.entry(point).or_default();
        *passed = passed.saturating_add(1);
        if is_spared {
            return Ok(());
        }
        let now = plan.seen;
        plan.seen = now.saturating_add(1);
        if plan.fail_at.is_some_and(|nth| now >= nth) && plan.fails_left > 0 {
            plan.fails_left = plan.fails_left.saturating_sub(1);
            return Err(io::Error::from(plan.kind));
        }
        Ok(())
    }
}
