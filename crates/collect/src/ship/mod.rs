//! Sends batches to a server as frames, in order, until the server says it has them.
//!
//! A frame waits in memory until it is acknowledged; the server tells repeated ones by their
//! identity. While the server is away frames wait up to a bound in bytes; past it the oldest go,
//! they are counted, and a `gap` event says so once the server is back.
//! Holds ACK's sending half (an unacknowledged frame is sent again) and LIMIT.
//! Not here: the bytes of a frame (`wire`).

mod post;
mod queue;
mod sender;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use plimsoll_model::{Batch, BatchBuilder, Clock, ErrorClass, Subject, chain};
use plimsoll_wire::{FrameId, SenderId};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::collector::Gauges;
use crate::engine::event::EngineEvent;
use crate::rows::write_event;

use post::{Door, Verdict};
use queue::{Queue, Waiting};

/// How to send.
#[derive(Debug, Clone)]
pub struct ShipOptions {
    /// Address of the server, such as `http://plimsoll.example.org:7117`.
    pub server: String,
    /// Token to send with.
    pub token: Option<String>,
    /// Folder that keeps the identity of this sender.
    pub state: PathBuf,
    /// Bytes of frames that may wait in memory.
    pub queue_bytes_max: usize,
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

/// A request in progress: how many frames it holds from the front of the queue.
type Posting = BoxFuture<'static, Verdict>;

/// Sends batches to one server.
#[derive(Debug)]
pub struct Shipper {
    options: ShipOptions,
    clock: Arc<dyn Clock>,
    door: Door,
    sender: SenderId,
    epoch: u64,
    sequence: u64,
    queue: Queue,
    /// Frames still to be sent one by one, to find the one the server refuses.
    singly: usize,
    /// Rows and time of the first frame thrown away since the last `gap` event.
    gap: Option<Gap>,
    backoff: Backoff,
    status: watch::Sender<ShipStatus>,
    totals: ShipStatus,
    /// Whether the last failure was logged.
    failing: bool,
}

#[derive(Debug, Clone, Copy)]
struct Gap {
    from_ms: i64,
    to_ms: i64,
    frames: u64,
    rows: u64,
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
        Ok(Self {
            queue: Queue::new(options.queue_bytes_max),
            options,
            clock,
            door,
            sender,
            epoch,
            sequence: 0,
            singly: 0,
            gap: None,
            backoff: Backoff::new(seed),
            status: watch::Sender::new(ShipStatus::default()),
            totals: ShipStatus::default(),
            failing: false,
        })
    }

    /// How sending fares.
    pub fn status(&self) -> watch::Receiver<ShipStatus> {
        self.status.subscribe()
    }

    /// Sends until the other end of `batches` is dropped, then for at most
    /// [`ShipOptions::last_flush`] what is left.
    pub async fn run(mut self, mut batches: mpsc::Receiver<Batch>) {
        let mut posting: Option<(usize, Posting)> = None;
        let mut wait_until: Option<Instant> = None;
        let mut end: Option<Instant> = None;
        loop {
            if posting.is_none() && wait_until.is_none() && !self.queue.is_empty() {
                posting = Some(self.post());
            }
            if end.is_some() && posting.is_none() && self.queue.is_empty() {
                break;
            }
            let sent = posting.as_ref().map_or(0, |(frames, _)| *frames);
            tokio::select! {
                batch = batches.recv(), if end.is_none() => if let Some(batch) = batch {
                    self.enqueue(&batch, sent);
                } else {
                    end = Some(Instant::now() + self.options.last_flush);
                    // The last chance is taken at once.
                    wait_until = None;
                },
                verdict = next(&mut posting) => {
                    posting = None;
                    let pause = self.judge(sent, verdict);
                    wait_until = pause.map(|pause| Instant::now() + pause);
                }
                () = until(wait_until), if wait_until.is_some() => wait_until = None,
                () = until(end), if end.is_some() => {
                    if !self.queue.is_empty() {
                        tracing::error!(frames = self.queue.frames(), "ended with unsent frames");
                    }
                    break;
                }
            }
            self.publish();
        }
        self.publish();
    }

    fn next_id(&mut self) -> FrameId {
        self.sequence = self.sequence.saturating_add(1);
        FrameId { sender: self.sender, epoch: self.epoch, sequence: self.sequence }
    }

    /// Puts a batch in line; `sent` frames at the front are on their way and stay.
    fn enqueue(&mut self, batch: &Batch, sent: usize) {
        let id = self.next_id();
        let rows = u64::try_from(batch.num_rows()).unwrap_or(u64::MAX);
        let time_ms = batch.times_ms().iter().copied().min().unwrap_or_default();
        match plimsoll_wire::encode(batch, id) {
            Ok(frame) => {
                let waiting = Waiting { frame: Bytes::from(frame), rows, time_ms };
                for dropped in self.queue.push(waiting, sent) {
                    self.dropped(&dropped, "queue is full");
                }
            }
            Err(error) => {
                self.totals.frames_dropped += 1;
                self.totals.rows_dropped += rows;
                let table = batch.table().name();
                tracing::error!(table, rows, error = %chain(&error), "batch was not encoded");
            }
        }
    }

    fn dropped(&mut self, waiting: &Waiting, reason: &'static str) {
        self.totals.frames_dropped += 1;
        self.totals.rows_dropped += waiting.rows;
        let gap = self.gap.get_or_insert_with(|| {
            tracing::error!(reason, "frames dropped");
            Gap { from_ms: waiting.time_ms, to_ms: waiting.time_ms, frames: 0, rows: 0 }
        });
        gap.to_ms = gap.to_ms.max(waiting.time_ms);
        gap.frames += 1;
        gap.rows += waiting.rows;
    }

    fn post(&mut self) -> (usize, Posting) {
        let bytes_max = if self.singly > 0 { 0 } else { self.options.post_bytes_max };
        let (frames, body) = self.queue.front(bytes_max);
        let door = self.door.clone();
        let clock = self.clock.clone();
        (frames, async move { door.post(body, &*clock).await }.boxed())
    }

    /// Acts on what came of a request with `sent` frames; returns how long to wait before the
    /// next one.
    fn judge(&mut self, sent: usize, verdict: Verdict) -> Option<Duration> {
        match verdict {
            Verdict::Taken { rejected, offset_ms } => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!(server = %self.options.server, "server takes frames again");
                }
                self.totals.server_up = true;
                self.backoff.reset();
                self.queue.remove(sent);
                self.singly = self.singly.saturating_sub(sent);
                let count = |frames: usize| u64::try_from(frames).unwrap_or(u64::MAX);
                self.totals.frames_acknowledged += count(sent);
                if rejected > 0 {
                    self.totals.frames_dropped += count(rejected);
                    tracing::error!(frames = rejected, "server rejected frames");
                }
                if let Some(offset_ms) = offset_ms {
                    self.options.gauges.time_offset_ms.store(offset_ms, Ordering::Relaxed);
                }
                self.tell_gap();
                None
            }
            Verdict::Refused { status } if sent > 1 => {
                tracing::debug!(status, frames = sent, "server refused a request, trying singly");
                self.singly = sent;
                None
            }
            Verdict::Refused { status } => {
                tracing::error!(status, "server refused a frame");
                self.singly = self.singly.saturating_sub(1);
                for dropped in self.queue.remove(sent) {
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

    /// Says what was thrown away, in the data itself.
    fn tell_gap(&mut self) {
        let Some(gap) = self.gap.take() else { return };
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
        }
    }

    fn publish(&mut self) {
        self.totals.queue_frames = self.queue.frames();
        self.totals.queue_bytes = self.queue.bytes();
        let gauges = &self.options.gauges;
        let bytes = u64::try_from(self.queue.bytes()).unwrap_or(u64::MAX);
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

async fn next(posting: &mut Option<(usize, Posting)>) -> Verdict {
    match posting {
        Some((_, posting)) => posting.await,
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
