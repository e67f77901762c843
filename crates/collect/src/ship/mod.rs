//! Sends batches to a server as frames, in order, until the server says it has them.
//!
//! A frame waits in memory until it is acknowledged; the server tells repeated ones by their
//! identity. While the server is away frames wait on disk up to a bound in bytes; past it the
//! oldest go, they are counted, and a `gap` event says so once the server is back. What waited is
//! then sent in order beside new frames, at most two rows of it for each new one.
//! Holds ACK's sending half (an unacknowledged frame is sent again), ONCE's (one identity for one
//! content) and LIMIT.
//! Not here: the bytes of a frame (`wire`).

mod post;
mod queue;
mod sender;
mod spool;
mod spooling;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use plimsoll_model::{Batch, BatchBuilder, Clock, ErrorClass, Subject};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::collector::Gauges;
use crate::engine::event::EngineEvent;
use crate::rows::write_event;

use post::{Door, Verdict};
use queue::{Queue, Waiting};
use sender::Ids;
use spool::{Lost, Spool};

/// Rows from disk that may be sent at once, however long nothing was.
const CREDIT_ROWS_MAX: i64 = 60_000;

/// How to send.
#[derive(Debug, Clone)]
pub struct ShipOptions {
    /// Address of the server, such as `http://plimsoll.example.org:7117`.
    pub server: String,
    /// Token to send with.
    pub token: Option<String>,
    /// Folder that keeps the identity of this sender and the frames that wait on disk.
    pub state: PathBuf,
    /// Bytes of frames that may wait in memory.
    pub queue_bytes_max: usize,
    /// Bytes of frames that may wait on disk, in the state folder, while the server is away;
    /// `None`: they wait in memory only.
    pub spool_bytes_max: Option<u64>,
    /// Bytes of frames in one request, unless a single frame is larger.
    pub post_bytes_max: usize,
    /// How long one request may take.
    pub timeout: Duration,
    /// How long the last frames may take after the last batch.
    pub last_flush: Duration,
    /// The machine, for `gap` events.
    pub node: Subject,
    /// Where the collector reads how sending fares.
    pub gauges: Arc<Gauges>,
}

impl ShipOptions {
    /// The usual options for a server and a state folder.
    pub fn new(server: &str, state: PathBuf) -> Self {
        Self {
            server: server.to_owned(),
            token: None,
            state,
            queue_bytes_max: 64 << 20,
            spool_bytes_max: Some(1 << 30),
            post_bytes_max: 1 << 20,
            timeout: Duration::from_secs(15),
            last_flush: Duration::from_secs(5),
            node: Subject::default(),
            gauges: Arc::default(),
        }
    }
}

/// How sending fares.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct ShipStatus {
    /// Whether the last request succeeded; false before the first.
    pub server_up: bool,
    /// Frames the server has.
    pub frames_acknowledged: u64,
    /// Frames thrown away because the queue was full or the server refused them.
    pub frames_dropped: u64,
    /// Rows in them.
    pub rows_dropped: u64,
    /// Frames that wait.
    pub queue_frames: usize,
    /// Bytes that wait.
    pub queue_bytes: usize,
    /// Frames that wait on disk.
    pub spool_frames: u64,
    /// Bytes that wait on disk.
    pub spool_bytes: u64,
}

/// Why sending cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShipError {
    /// The address of the server cannot be used.
    #[error("server address {server:?} is not http://host:port")]
    Server {
        /// The address.
        server: String,
    },
    /// The state folder cannot be read or written.
    #[error("cannot use state file {path}", path = path.display())]
    State {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The state file holds something else than was written.
    #[error(
        "state file {path} is damaged; remove it to send as a new sender",
        path = path.display()
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
    },
    /// The HTTP client cannot be made.
    #[error("cannot make an HTTP client")]
    Client {
        /// What it said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl ShipError {
    /// What a caller can do about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Server { .. } => ErrorClass::Invalid,
            Self::Damaged { .. } => ErrorClass::Corrupt,
            Self::State { .. } | Self::Client { .. } => ErrorClass::Bug,
        }
    }
}

/// A request in progress: what it holds.
struct Posting {
    part: Part,
    verdict: BoxFuture<'static, Verdict>,
}

/// The frames at the front of where they wait.
#[derive(Debug, Clone, Copy)]
struct Part {
    from: From,
    frames: usize,
    rows: u64,
}

/// Where the frames of a request wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    Memory,
    Disk,
}

/// Sends batches to one server.
#[derive(Debug)]
pub struct Shipper {
    options: ShipOptions,
    clock: Arc<dyn Clock>,
    door: Door,
    ids: Ids,
    queue: Queue,
    spool: Option<Spool>,
    /// Until when the spool is not tried again after it failed.
    spool_rest: Option<Instant>,
    /// When what was spooled is to be made safe.
    sync_at: Option<Instant>,
    /// Rows from disk that may be sent; below 0 after a large frame.
    credit_rows: i64,
    /// Frames still to be sent one by one, to find the one the server refuses.
    singly: usize,
    /// The same of frames on disk.
    singly_from_disk: usize,
    /// What was thrown away since the last `gap` event.
    gap: Lost,
    backoff: Backoff,
    status: watch::Sender<ShipStatus>,
    totals: ShipStatus,
    /// Whether the last request failed.
    failing: bool,
}

impl Shipper {
    /// Reads or makes the identity of this sender.
    ///
    /// # Errors
    ///
    /// [`ShipError`] when the state folder or the address cannot be used.
    pub fn open(options: ShipOptions, clock: Arc<dyn Clock>) -> Result<Self, ShipError> {
        let door = Door::new(&options)?;
        let now_ms = u64::try_from(clock.now_ms()).unwrap_or(1);
        let (sender, epoch) = sender::begin(&options.state, now_ms)?;
        let seed = u64::from_le_bytes(sender.0[..8].try_into().unwrap_or([7; 8])) ^ epoch;
        let mut ids = Ids { sender, epoch, sequence: 0 };
        let folder = options.state.join("spool");
        let spool = options.spool_bytes_max.map(|bytes_max| {
            Spool::open(&folder, bytes_max, &mut ids)
                .map_err(|source| ShipError::State { path: folder.clone(), source })
        });
        let mut shipper = Self {
            queue: Queue::new(options.queue_bytes_max),
            spool: spool.transpose()?,
            spool_rest: None,
            sync_at: None,
            credit_rows: 0,
            options,
            clock,
            door,
            ids,
            singly: 0,
            singly_from_disk: 0,
            gap: Lost::default(),
            backoff: Backoff::new(seed),
            status: watch::Sender::new(ShipStatus::default()),
            totals: ShipStatus::default(),
            failing: false,
        };
        shipper.note_spool();
        Ok(shipper)
    }

    /// How sending fares.
    pub fn status(&self) -> watch::Receiver<ShipStatus> {
        self.status.subscribe()
    }

    /// Sends until the other end of `batches` is dropped, then for at most
    /// [`ShipOptions::last_flush`] what is left. What still waits then is put on disk.
    pub async fn run(mut self, mut batches: mpsc::Receiver<Batch>) {
        let mut posting: Option<Posting> = None;
        let mut wait_until: Option<Instant> = None;
        let mut end: Option<Instant> = None;
        loop {
            if posting.is_none() && self.failing {
                self.spill().await;
            }
            if posting.is_none() && wait_until.is_none() {
                posting = self.post(end.is_some()).await;
            }
            self.publish();
            let waits = wait_until.is_some() && !self.is_empty();
            if end.is_some() && posting.is_none() && !waits {
                break;
            }
            let (sent, busy) = on_the_way(posting.as_ref());
            tokio::select! {
                batch = batches.recv(), if end.is_none() => if let Some(batch) = batch {
                    self.take(&batch, sent, busy).await;
                } else {
                    end = Some(Instant::now() + self.options.last_flush);
                    // The last chance is taken at once.
                    wait_until = None;
                },
                verdict = next(&mut posting) => if let Some(done) = posting.take() {
                    let pause = self.judge(done.part, verdict).await;
                    wait_until = pause.map(|pause| Instant::now() + pause);
                },
                () = until(self.sync_at), if self.sync_at.is_some() => self.sync().await,
                () = until(wait_until), if wait_until.is_some() => wait_until = None,
                () = until(end), if end.is_some() => break,
            }
        }
        self.spill().await;
        self.sync().await;
        if !self.queue.is_empty() {
            tracing::error!(frames = self.queue.frames(), "ended with unsent frames");
        }
        self.publish();
    }

    fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.spool.as_ref().is_none_or(Spool::is_empty)
    }

    /// Puts a batch in line; `sent` frames at the front are on their way and stay.
    fn enqueue(&mut self, batch: &Batch, sent: usize) {
        let ids = &mut self.ids;
        let Some(waiting) = spool::merge::framed(batch, &mut || ids.next()) else {
            self.not_encoded(batch);
            return;
        };
        if self.totals.spool_frames > 0 {
            let new = i64::try_from(waiting.rows).unwrap_or(i64::MAX).saturating_mul(2);
            self.credit_rows = self.credit_rows.saturating_add(new).min(CREDIT_ROWS_MAX);
        }
        self.push(waiting, sent);
    }

    fn push(&mut self, waiting: Waiting, sent: usize) {
        for dropped in self.queue.push(waiting, sent) {
            self.dropped(&dropped, "queue is full");
        }
    }

    fn not_encoded(&mut self, batch: &Batch) {
        self.totals.frames_dropped += 1;
        self.totals.rows_dropped += u64::try_from(batch.num_rows()).unwrap_or(u64::MAX);
    }

    fn dropped(&mut self, waiting: &Waiting, reason: &'static str) {
        let mut lost = Lost::default();
        lost.add(1, waiting.rows, waiting.from_ms, waiting.to_ms);
        self.lost(lost, reason);
    }

    fn lost(&mut self, lost: Lost, reason: &'static str) {
        if lost == Lost::default() {
            return;
        }
        self.totals.frames_dropped += lost.frames;
        self.totals.rows_dropped += lost.rows;
        if self.gap == Lost::default() {
            tracing::error!(reason, "frames dropped");
        }
        self.gap.add(lost.frames, lost.rows, lost.from_ms, lost.to_ms);
    }

    /// Begins a request, if there is something to send now.
    async fn post(&mut self, ending: bool) -> Option<Posting> {
        let (from, frames, rows, body) = if self.disk_has_its_turn(ending) {
            let (frames, rows, body) = self.front_of_disk().await?;
            (From::Disk, frames, rows, body)
        } else if self.queue.is_empty() {
            return None;
        } else {
            let bytes_max = if self.singly > 0 { 0 } else { self.options.post_bytes_max };
            let (frames, body) = self.queue.front(bytes_max);
            (From::Memory, frames, 0, body)
        };
        let (door, clock) = (self.door.clone(), self.clock.clone());
        let verdict = async move { door.post(body, &*clock).await }.boxed();
        Some(Posting { part: Part { from, frames, rows }, verdict })
    }

    /// Acts on what came of a request; returns how long to wait before the next one.
    async fn judge(&mut self, done: Part, verdict: Verdict) -> Option<Duration> {
        let sent = done.frames;
        match verdict {
            Verdict::Taken { rejected, offset_ms } => {
                self.taken(rejected, sent, offset_ms);
                self.remove(done).await;
                self.tell_gap();
                None
            }
            Verdict::Refused { status } if sent > 1 => {
                tracing::debug!(status, frames = sent, "server refused a request, trying singly");
                *self.singly_of(done.from) = sent;
                None
            }
            Verdict::Refused { status } => {
                tracing::error!(status, "server refused a frame");
                for dropped in self.remove(done).await {
                    self.dropped(&dropped, "refused by the server");
                }
                None
            }
            Verdict::Later { why, after } => {
                self.totals.server_up = false;
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(server = %self.options.server, why, "server took no frames");
                }
                let pause = self.backoff.next();
                Some(after.map_or(pause, |after| after.max(pause)))
            }
        }
    }

    fn taken(&mut self, rejected: usize, sent: usize, offset_ms: Option<i64>) {
        if std::mem::take(&mut self.failing) {
            tracing::info!(server = %self.options.server, "server takes frames again");
        }
        self.totals.server_up = true;
        self.backoff.reset();
        let count = |frames: usize| u64::try_from(frames).unwrap_or(u64::MAX);
        self.totals.frames_acknowledged += count(sent);
        if rejected > 0 {
            self.totals.frames_dropped += count(rejected);
            tracing::error!(frames = rejected, "server rejected frames");
        }
        if let Some(offset_ms) = offset_ms {
            self.options.gauges.time_offset_ms.store(offset_ms, Ordering::Relaxed);
        }
    }

    fn singly_of(&mut self, from: From) -> &mut usize {
        match from {
            From::Memory => &mut self.singly,
            From::Disk => &mut self.singly_from_disk,
        }
    }

    /// Takes the frames of a request out of where they waited.
    async fn remove(&mut self, done: Part) -> Vec<Waiting> {
        let singly = self.singly_of(done.from);
        *singly = singly.saturating_sub(done.frames);
        match done.from {
            From::Memory => self.queue.remove(done.frames),
            From::Disk => self.remove_from_disk(done.frames, done.rows).await,
        }
    }

    /// Says what was thrown away, in the data itself.
    fn tell_gap(&mut self) {
        let gap = std::mem::take(&mut self.gap);
        if gap == Lost::default() {
            return;
        }
        let attributes = BTreeMap::from([
            ("from_ms".to_owned(), gap.from_ms.to_string()),
            ("to_ms".to_owned(), gap.to_ms.to_string()),
            ("frames".to_owned(), gap.frames.to_string()),
            ("rows".to_owned(), gap.rows.to_string()),
            ("what".to_owned(), "samples".to_owned()),
        ]);
        let now_ms = self.clock.now_ms();
        let event = EngineEvent::inferred(now_ms, "collector", "gap", None, attributes);
        let Ok(table) = Batch::find_table("event") else { return };
        let mut builder = BatchBuilder::new(table);
        if write_event(&mut builder, &event, &self.options.node).is_ok()
            && let Ok(batch) = builder.finish()
        {
            self.enqueue(&batch, 0);
            if let Some(spool) = &mut self.spool {
                spool.lost_was_told();
            }
        }
    }

    fn publish(&mut self) {
        self.totals.queue_frames = self.queue.frames();
        self.totals.queue_bytes = self.queue.bytes();
        let gauges = &self.options.gauges;
        let bytes = u64::try_from(self.queue.bytes()).unwrap_or(u64::MAX);
        if let Some(spool) = &self.spool {
            self.totals.spool_frames = spool.frames();
            self.totals.spool_bytes = spool.bytes();
        }
        let bytes = bytes.saturating_add(self.totals.spool_bytes);
        gauges.queue_bytes.store(bytes, Ordering::Relaxed);
        gauges.rows_dropped.store(self.totals.rows_dropped, Ordering::Relaxed);
        self.status.send_if_modified(|status| {
            let changed = *status != self.totals;
            if changed {
                *status = self.totals.clone();
            }
            changed
        });
    }
}

/// Frames at the front of the queue that are on their way, and whether those of the spool are.
fn on_the_way(posting: Option<&Posting>) -> (usize, bool) {
    match posting.map(|posting| posting.part) {
        Some(Part { from: From::Memory, frames, .. }) => (frames, false),
        Some(Part { from: From::Disk, .. }) => (0, true),
        None => (0, false),
    }
}

async fn next(posting: &mut Option<Posting>) -> Verdict {
    match posting {
        Some(posting) => (&mut posting.verdict).await,
        None => std::future::pending().await,
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
