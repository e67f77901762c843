//! Makes a disk fail on purpose, for tests.
//!
//! Not in a release build: behind `cfg(test)` or the feature `sabotage`.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Operation;

/// A plan of failures, shared by everything that uses one disk.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    plan: Arc<Mutex<Plan>>,
}

#[derive(Debug, Default)]
struct Plan {
    free_bytes: Option<u64>,
    seen: u64,
    fail_at: Option<u64>,
    fails_left: u64,
    only: Option<Operation>,
}

impl Faults {
    /// Says how much space is free from now on; `None`: ask the machine.
    pub fn set_free_bytes(&self, free_bytes: Option<u64>) {
        self.plan.lock().free_bytes = free_bytes;
    }

    /// Fails the `nth` next operation that changes the disk (0: the very next), and those after
    /// it until `times` have failed.
    pub fn fail(&self, nth: u64, times: u64) {
        let mut plan = self.plan.lock();
        (plan.seen, plan.fail_at, plan.fails_left, plan.only) = (0, Some(nth), times, None);
    }

    /// Fails the next `times` operations of one kind.
    pub fn fail_only(&self, operation: Operation, times: u64) {
        let mut plan = self.plan.lock();
        (plan.seen, plan.fail_at, plan.fails_left) = (0, Some(0), times);
        plan.only = Some(operation);
    }

    /// Fails nothing from now on. Returns whether a planned failure was not reached.
    pub fn heal(&self) -> bool {
        let mut plan = self.plan.lock();
        plan.only = None;
        plan.fails_left = 0;
        plan.fail_at.take().is_some_and(|nth| plan.seen <= nth)
    }

    pub(super) fn free_bytes(&self) -> Option<u64> {
        self.plan.lock().free_bytes
    }

    pub(super) fn strike(&self, operation: Operation) -> io::Result<()> {
        let mut plan = self.plan.lock();
        if matches!(operation, Operation::Read | Operation::Lock)
            || plan.only.is_some_and(|only| only != operation)
        {
            return Ok(());
        }
        let now = plan.seen;
        plan.seen = now.saturating_add(1);
        if plan.fail_at.is_some_and(|nth| now >= nth) && plan.fails_left > 0 {
            plan.fails_left = plan.fails_left.saturating_sub(1);
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        Ok(())
    }
}
