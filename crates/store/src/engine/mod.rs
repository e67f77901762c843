//! The store: takes frames, keeps them, gives back rows.
//!
//! One thread writes the WAL (`commit`), one works in the background (`worker`); both belong to the
//! store and end with it. Decoding happens on the caller's blocking threads.
//!
//! Holds ACK, ONCE, KEEP and LIMIT.
//! Not here: file formats (`wal`, `manifest`, `segment`), row storage (`head`), scans (`scan`).

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

mod admit;
mod commit;
mod error;
mod flush;
mod options;
mod quarantine;
mod recovery;
mod shared;
mod status;
mod upkeep;
mod worker;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use bytes::Bytes;
use parking_lot::Mutex;
use plimsoll_model::{Clock, ErrorClass, TimeRange};
use tokio::sync::{Semaphore, oneshot};

pub use error::{Appended, ReadOnly, Rejection, StoreError};
pub use options::{RetentionOptions, StoreOptions};
pub use status::{SenderStatus, StoreStatus, TableStatus};
pub use upkeep::DeleteRequest;

use crate::disk::Disk;
use crate::scan::{self, Scan, ScanError, ScanRequest, SeriesKey, SeriesRequest};
use crate::segment::Resolution;
use crate::wal::Writer;
use admit::{admit, wide};
use commit::{Pending, Request};
use shared::Shared;

/// Requests that may wait for their commit.
const QUEUE_REQUESTS_MAX: usize = 4096;

/// A data directory in use by this process. Cloning is cheap; all clones are one store.
///
/// Dropping the last clone without [`Store::close`] ends its threads but flushes nothing: what was
/// acknowledged is in the WAL.
#[derive(Debug, Clone)]
pub struct Store {
    shared: Arc<Shared>,
    threads: Arc<Threads>,
    queue: Arc<Semaphore>,
}

#[derive(Debug)]
struct Threads {
    requests: Mutex<Option<SyncSender<Request>>>,
    wake: Mutex<Option<SyncSender<()>>>,
    /// Lives as long as merges may go on.
    alive: Mutex<Option<SyncSender<()>>>,
    handles: Mutex<Vec<JoinHandle<()>>>,
}

impl Threads {
    // Ends both threads and waits for them; what was sent before is still written.
    fn stop(&self) -> Result<(), StoreError> {
        drop(self.requests.lock().take());
        drop(self.wake.lock().take());
        drop(self.alive.lock().take());
        let handles = std::mem::take(&mut *self.handles.lock());
        let mut ended = Ok(());
        for handle in handles {
            if handle.join().is_err() {
                ended = Err(StoreError::Thread { what: "write-ahead log or background worker" });
            }
        }
        ended
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            tracing::error!(%error, "store stopped after a fault");
        }
    }
}

impl Store {
    /// Opens a data directory, making it if needed, and puts back what the WAL holds.
    ///
    /// Blocks while it reads the WAL.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`] when another process has it; [`StoreError::Disk`] when folders cannot
    /// be made or listed. Damaged files are no error: they are set aside and reported.
    pub fn open(options: StoreOptions, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        Self::open_with(Disk::new(), options, clock)
    }

    /// Opens a data directory on a disk that fails as planned.
    ///
    /// # Errors
    ///
    /// As [`Store::open`].
    #[cfg(any(test, feature = "sabotage"))]
    pub fn open_on(
        disk: Disk,
        options: StoreOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        Self::open_with(disk, options, clock)
    }

    fn open_with(
        disk: Disk,
        options: StoreOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        let (shared, next_wal) = recovery::recover(disk, options, clock)?;
        let shared = Arc::new(shared);
        let options = &shared.options;
        let folder = shared.paths.wal.clone();
        let writer = Writer::new(shared.disk.clone(), folder, options.wal_segment_bytes, next_wal);
        let queue = Arc::new(Semaphore::new(options.queue_bytes_max.min(Semaphore::MAX_PERMITS)));
        let (requests, inbox) = sync_channel(QUEUE_REQUESTS_MAX);
        let (wake, woken) = sync_channel(1);
        let threads = Threads {
            requests: Mutex::new(Some(requests)),
            wake: Mutex::new(Some(wake.clone())),
            alive: Mutex::default(),
            handles: Mutex::default(),
        };
        let commits = {
            let shared = Arc::clone(&shared);
            move || commit::run(&shared, writer, &inbox, &wake)
        };
        let works = {
            let shared = Arc::clone(&shared);
            move || worker::run(&shared, &woken)
        };
        for handle in [spawn("plimsoll-wal", commits)?, spawn("plimsoll-worker", works)?] {
            threads.handles.lock().push(handle);
        }
        if let Some(interval) = shared.options.compact_interval {
            let (alive, stop) = sync_channel(0);
            *threads.alive.lock() = Some(alive);
            let shared = Arc::clone(&shared);
            let upkeep = spawn("plimsoll-upkeep", move || upkeep::run(&shared, interval, &stop))?;
            threads.handles.lock().push(upkeep);
        }
        Ok(Self { shared, threads: Arc::new(threads), queue })
    }

    /// Keeps frames. Resolves when those answered `New` or `Duplicate` are durable and visible to
    /// scans; one answer per frame, in order.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of class `Busy` when nothing was looked at and all may be sent again later;
    /// [`StoreError::Wal`] when the disk failed: frames may be kept or not, send them again.
    pub async fn append(&self, frames: Vec<Bytes>) -> Result<Vec<Appended>, StoreError> {
        self.check_room()?;
        let bytes: usize = frames.iter().map(Bytes::len).sum();
        let max = self.shared.options.queue_bytes_max;
        let permits = u32::try_from(bytes.min(max)).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.queue).try_acquire_many_owned(permits).map_err(|_| {
            let found = wide(max.saturating_sub(self.queue.available_permits()));
            StoreError::Busy { what: "queue of frames", found, max: wide(max) }
        })?;
        let shared = Arc::clone(&self.shared);
        let decoded = tokio::task::spawn_blocking(move || decode(&shared, frames));
        let frames = decoded.await.map_err(|_| StoreError::Thread { what: "decoding" })?;
        let (reply, answer) = oneshot::channel();
        self.send(Request { frames, bytes, _permit: permit, reply })?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    fn send(&self, request: Request) -> Result<(), StoreError> {
        let requests = self.threads.requests.lock();
        let Some(requests) = requests.as_ref() else {
            return Err(StoreError::Closed);
        };
        requests.try_send(request).map_err(|error| match error {
            TrySendError::Full(_) => {
                let max = wide(QUEUE_REQUESTS_MAX);
                StoreError::Busy { what: "queue of requests", found: max, max }
            }
            TrySendError::Disconnected(_) => StoreError::Thread { what: "write-ahead log" },
        })
    }

    fn check_room(&self) -> Result<(), StoreError> {
        if self.shared.closed.load(Ordering::Acquire) {
            return Err(StoreError::Closed);
        }
        if let Some(source) = self.shared.refuses() {
            return Err(StoreError::ReadOnly { source });
        }
        let options = &self.shared.options;
        let (found, max) =
            (wide(self.shared.head_bytes()), wide(options.head_bytes_max).saturating_mul(2));
        if found > max {
            return Err(StoreError::Busy { what: "memory of heads", found, max });
        }
        let (found, max) = (self.shared.wal_bytes(), options.wal_bytes_max.saturating_mul(2));
        if found > max {
            return Err(StoreError::Busy { what: "write-ahead log", found, max });
        }
        Ok(())
    }

    /// Reads rows as collected. Blocks; rows past their retention are not returned.
    ///
    /// # Errors
    ///
    /// [`ScanError`]. Damaged segments are no error: the answer's warnings name what is missing.
    pub fn scan(&self, request: &ScanRequest) -> Result<Scan, ScanError> {
        let mut request = request.clone();
        let hidden = self.shared.hidden();
        let oldest = hidden.table_floor_ms(request.table, Resolution::Raw);
        request.range = TimeRange::new(request.range.start_ms.max(oldest), request.range.end_ms);
        let view = self.shared.view(request.table);
        let mut scan = scan::scan(&view, &request)?;
        hidden.apply(request.table, Resolution::Raw, &mut scan);
        let suspects = scan.damaged.iter().filter(|d| d.error.class() == ErrorClass::Corrupt);
        let suspects: Vec<&str> =
            suspects.filter_map(|damaged| damaged.segment.path().file_stem()?.to_str()).collect();
        if !suspects.is_empty() {
            let ids = suspects.iter().filter_map(|name| u64::from_str_radix(name, 16).ok());
            self.shared.suspects.lock().extend(ids);
        }
        let lost = Arc::clone(&self.shared.published.lock());
        let table = request.table;
        let missing = quarantine::warnings(&lost.lost, table, Resolution::Raw, request.range);
        scan.warnings.extend(missing);
        Ok(scan)
    }

    /// Which series have rows in a range, sorted. Blocks; reads indexes only.
    ///
    /// # Errors
    ///
    /// [`ScanError`].
    pub fn series(&self, request: &SeriesRequest) -> Result<Vec<Arc<SeriesKey>>, ScanError> {
        let mut request = request.clone();
        let oldest = self.shared.hidden().table_floor_ms(request.table, Resolution::Raw);
        request.range = TimeRange::new(request.range.start_ms.max(oldest), request.range.end_ms);
        scan::series(&self.shared.view(request.table), &request)
    }

    /// Writes all heads into segments.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; the rows stay in memory and in the WAL.
    pub async fn flush(&self) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        let flushed = tokio::task::spawn_blocking(move || flush::flush(&shared, |_| true));
        flushed.await.map_err(|_| StoreError::Thread { what: "flush" })?
    }

    /// Drops segments whose rows are all past their retention; returns how many. Blocks.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the manifest cannot be written; then nothing changed.
    pub fn apply_retention(&self) -> Result<usize, StoreError> {
        flush::apply_retention(&self.shared)
    }

    /// Does at once what the background worker does every second. Blocks.
    pub fn maintain(&self) {
        worker::tick(&self.shared);
    }

    /// What the store says about itself. Blocks for a moment.
    pub fn status(&self) -> StoreStatus {
        status::status(&self.shared)
    }

    /// Takes no more frames, writes what waits, ends the threads, flushes, and gives the directory
    /// back. Scans through other clones still work.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the flush failed: what was acknowledged is in the WAL.
    pub async fn close(self) -> Result<(), StoreError> {
        let closed = tokio::task::spawn_blocking(move || {
            if self.shared.closed.swap(true, Ordering::AcqRel) {
                return Err(StoreError::Closed);
            }
            let stopped = self.threads.stop();
            // No file is written to any more, so every WAL file may go.
            self.shared.wal_current.store(u64::MAX, Ordering::Release);
            let flushed = flush::flush(&self.shared, |_| true);
            // Whoever changes the manifest holds the ledger and looks at the lock first.
            let ledger = self.shared.ledger.lock();
            drop(self.shared.lock.lock().take());
            drop(ledger);
            stopped.and(flushed)
        });
        closed.await.map_err(|_| StoreError::Thread { what: "close" })?
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(|_| StoreError::Thread { what: "starting" })
}

// One answer or one admitted frame for each frame, in order.
fn decode(shared: &Shared, frames: Vec<Bytes>) -> Vec<Pending> {
    let now_ms = shared.clock.now_ms();
    frames
        .into_iter()
        .map(|frame| match admit(&shared.options, frame, now_ms) {
            Ok(admitted) => Pending::Admitted(Box::new(admitted)),
            Err(reason) => Pending::Settled(Appended::Rejected { reason }),
        })
        .collect()
}

#[cfg(test)]
#[expect(
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "tests count frames and bytes they made"
)]
mod tests;
