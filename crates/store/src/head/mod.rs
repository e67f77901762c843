//! The rows of one table that are not in a segment yet, in memory.
//!
//! A head takes batches in any order of series and time. It stores them as they come, in
//! blocks of columns; sorting waits until the head is sealed or scanned. A row with the subject,
//! keys and time of an earlier row replaces that row whole (if both are equal, nothing changes).
//!
//! Holds NULL and LIMIT: [`Head::bytes`] accounts for what is kept; the caller seals in time.
//! Not here: durability (`wal`), when to seal (`engine`), what a segment looks like (`segment`).

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

mod arrange;
mod block;
mod names;
mod snapshot;
mod sorted;

use std::sync::Arc;

use parking_lot::Mutex;
use plimsoll_model::{Batch, Table, TimeRange, holds};

pub(crate) use arrange::Arrangement;
use block::{BLOCK_ROWS, Block, Incoming};
use names::Names;
pub use snapshot::HeadSnapshot;
pub use sorted::{Days, SeriesSpan, SortedRows};

/// Milliseconds of one UTC day.
pub const DAY_MS: i64 = 86_400_000;

/// Rows of one table, as they came.
#[derive(Debug)]
pub struct Head {
    table: &'static Table,
    names: Names,
    finished: Vec<Arc<Block>>,
    finished_bytes: usize,
    open: Block,
    rows: usize,
    samples: u64,
    range: Option<TimeRange>,
    /// The latest snapshot, until the next push.
    latest: Mutex<Option<Arc<HeadSnapshot>>>,
}

impl Head {
    /// An empty head of `table`.
    pub fn new(table: &'static Table) -> Self {
        Self {
            table,
            names: Names::new(table),
            finished: Vec::new(),
            finished_bytes: 0,
            open: Block::new(table.metrics().len()),
            rows: 0,
            samples: 0,
            range: None,
            latest: Mutex::new(None),
        }
    }

    /// The table these are rows of.
    pub fn table(&self) -> &'static Table {
        self.table
    }

    /// Rows pushed, repeated ones included.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Samples pushed: metric values that are not null.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// Whether nothing was pushed.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Bytes of memory kept, estimated from capacities.
    pub fn bytes(&self) -> usize {
        self.finished_bytes.saturating_add(self.open.bytes()).saturating_add(self.names.bytes())
    }

    /// From the earliest row to just after the latest; `None` when empty.
    pub fn time_range(&self) -> Option<TimeRange> {
        self.range
    }

    /// Adds the rows of a batch. A batch of another table is not taken.
    pub fn push(&mut self, batch: &Batch) {
        holds!(NAME, std::ptr::eq(batch.table(), self.table));
        if batch.num_rows() == 0 || !std::ptr::eq(batch.table(), self.table) {
            return;
        }
        *self.latest.get_mut() = None;
        let incoming = Incoming::new(batch, &mut self.names);
        let mut from = 0;
        while from < incoming.rows() {
            let room = BLOCK_ROWS.saturating_sub(self.open.rows());
            let rows = room.min(incoming.rows().saturating_sub(from));
            self.open.append(&incoming, from, rows);
            from = from.saturating_add(rows);
            if self.open.rows() >= BLOCK_ROWS {
                self.finish_block();
            }
        }
        self.rows = self.rows.saturating_add(incoming.rows());
        let samples = u64::try_from(batch.samples()).unwrap_or(u64::MAX);
        self.samples = self.samples.saturating_add(samples);
        self.widen(batch.times_ms());
    }

    fn finish_block(&mut self) {
        let block = std::mem::replace(&mut self.open, Block::new(self.table.metrics().len()));
        self.finished_bytes = self.finished_bytes.saturating_add(block.bytes());
        self.finished.push(Arc::new(block));
    }

    fn widen(&mut self, times_ms: &[i64]) {
        for time in times_ms {
            let range = self.range.get_or_insert(TimeRange::new(*time, time.saturating_add(1)));
            range.start_ms = range.start_ms.min(*time);
            range.end_ms = range.end_ms.max(time.saturating_add(1));
        }
    }

    /// What the head holds now, unchanging. Finished blocks are shared; at most one open block
    /// is copied, and only once between two pushes.
    pub fn snapshot(&self) -> Arc<HeadSnapshot> {
        let mut latest = self.latest.lock();
        if let Some(snapshot) = latest.as_ref() {
            return snapshot.clone();
        }
        let snapshot = Arc::new(self.snapshot_with(self.open.clone()));
        *latest = Some(snapshot.clone());
        snapshot
    }

    fn snapshot_with(&self, open: Block) -> HeadSnapshot {
        let mut blocks = self.finished.clone();
        if open.rows() > 0 {
            blocks.push(Arc::new(open));
        }
        HeadSnapshot::new(&self.names, blocks, self.range)
    }

    /// Ends this head: its rows can be read and sorted but no more can be added.
    pub fn seal(mut self) -> SealedHead {
        let open = std::mem::replace(&mut self.open, Block::new(0));
        let bytes = self.finished_bytes.saturating_add(open.bytes());
        let bytes = bytes.saturating_add(self.names.bytes());
        let snapshot = Arc::new(self.snapshot_with(open));
        SealedHead { snapshot, samples: self.samples, bytes }
    }
}

/// A head that takes no more rows and waits to be written.
#[derive(Debug, Clone)]
pub struct SealedHead {
    snapshot: Arc<HeadSnapshot>,
    samples: u64,
    bytes: usize,
}

impl SealedHead {
    /// The table these are rows of.
    pub fn table(&self) -> &'static Table {
        self.snapshot.table()
    }

    /// The rows, for scans.
    pub fn snapshot(&self) -> Arc<HeadSnapshot> {
        self.snapshot.clone()
    }

    /// Rows, repeated ones included.
    pub fn rows(&self) -> usize {
        self.snapshot.rows()
    }

    /// Samples, those of repeated rows included.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// Bytes of memory kept.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// From the earliest row to just after the latest; `None` when empty.
    pub fn time_range(&self) -> Option<TimeRange> {
        self.snapshot.time_range()
    }

    /// The rows of each UTC day, earliest day first: sorted, each subject and time once.
    ///
    /// Days are sorted one at a time as the iterator moves, columns when they are asked for.
    pub fn days(&self) -> Days {
        Days::new(self.snapshot.clone())
    }
}

#[cfg(test)]
mod tests;
