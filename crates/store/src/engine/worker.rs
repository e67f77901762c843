//! The background thread of a store: flushes, retention, free space, damaged files.
//!
//! It wakes every [`TICK`] or when the WAL thread says that something is full.
//! Not here: how any of it is done (`flush`, `quarantine`).

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use plimsoll_model::{Table, chain};

use super::flush::{apply_retention, flush};
use super::quarantine::quarantine_suspects;
use super::shared::Shared;

/// How often the worker looks around.
const TICK: Duration = Duration::from_secs(1);

/// Works until every sender of `wake` is gone.
pub(super) fn run(shared: &Arc<Shared>, wake: &Receiver<()>) {
    loop {
        match wake.recv_timeout(TICK) {
            Ok(()) | Err(RecvTimeoutError::Timeout) => tick(shared),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Does what is due.
pub(super) fn tick(shared: &Shared) {
    shared.check_space();
    let is_full = shared.measure() > shared.options.head_bytes_max
        || shared.wal_bytes() > shared.options.wal_bytes_max;
    let due: Vec<usize> = shared
        .tables()
        .filter(|(_, state)| {
            let state = state.lock();
            let age = state.age(shared.clock.monotonic());
            is_full || (state.has_rows() && age >= shared.options.flush_age)
        })
        .map(|(table, _)| table.index())
        .collect();
    if !due.is_empty()
        && let Err(error) = flush(shared, |table: &Table| due.contains(&table.index()))
    {
        tracing::error!(error = %chain(&error), "flush failed, heads kept");
    }
    if let Err(error) = apply_retention(shared) {
        tracing::error!(error = %chain(&error), "retention not applied");
    }
    if let Err(error) = quarantine_suspects(shared) {
        tracing::error!(error = %chain(&error), "damaged segments not set aside");
    }
}
