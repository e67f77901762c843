//! What the shipper does with its spool: file work leaves the async thread, and a spool that
//! fails is left alone for a while, during which frames wait in memory as without one.
//!
//! Not here: the files (`spool`).

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use plimsoll_model::{Batch, chain};
use tokio::time::Instant;

use super::Shipper;
use super::queue::Waiting;
use super::sender::Ids;
use super::spool::{Spool, merge};

/// Longest time until a spooled frame is safe; a promise is a second.
const SYNC_AFTER: Duration = Duration::from_millis(500);
/// How long a spool that failed is left alone.
const REST: Duration = Duration::from_secs(30);
/// Identities that are skipped when nobody knows which of them were given.
const IDS_SKIPPED: u64 = 1 << 20;

impl Shipper {
    /// Runs work on the spool off the async threads; `None` where there is no spool.
    async fn on_spool<R: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Spool, &mut Ids) -> R + Send + 'static,
    ) -> Option<R> {
        let mut spool = self.spool.take()?;
        let mut ids = self.ids;
        let done = tokio::task::spawn_blocking(move || {
            let result = work(&mut spool, &mut ids);
            (spool, ids, result)
        });
        if let Ok((spool, ids, result)) = done.await {
            self.ids = ids;
            self.spool = Some(spool);
            self.note_spool();
            Some(result)
        } else {
            tracing::error!("spool ended by a fault; frames wait in memory from now on");
            self.ids.sequence = self.ids.sequence.saturating_add(IDS_SKIPPED);
            (self.totals.spool_frames, self.totals.spool_bytes) = (0, 0);
            None
        }
    }

    /// Counts what the spool threw away, and how much it holds.
    pub(super) fn note_spool(&mut self) {
        let Some(spool) = &mut self.spool else { return };
        let lost = spool.take_lost();
        self.totals.spool_frames = spool.frames();
        self.totals.spool_bytes = spool.bytes();
        self.lost(lost, "spool is full or damaged");
    }

    fn spool_failed(&mut self, error: &std::io::Error) {
        self.spool_rest = Some(Instant::now() + REST);
        tracing::error!(error = %chain(error), "spool could not be used");
    }

    fn may_spool(&self) -> bool {
        let rests = self.spool_rest.is_some_and(|until| Instant::now() < until);
        self.spool.is_some() && !rests
    }

    /// Takes a new batch: into memory while the server takes frames, else on disk.
    pub(super) async fn take(&mut self, batch: &Batch, sent: usize, busy: bool) {
        if !self.failing || !self.may_spool() {
            self.enqueue(batch, sent);
            return;
        }
        let none = self.ids.none();
        let Some(waiting) = merge::framed(batch, &mut || none) else {
            self.not_encoded(batch);
            return;
        };
        let kept = self.on_spool(move |spool, ids| spool.append(&waiting, ids, busy)).await;
        match kept {
            Some(Ok(())) => {
                self.sync_at.get_or_insert_with(|| Instant::now() + SYNC_AFTER);
            }
            failed => {
                if let Some(Err(error)) = failed {
                    self.spool_failed(&error);
                }
                self.rescue().await;
                self.enqueue(batch, sent);
            }
        }
    }

    /// Makes what was spooled safe.
    pub(super) async fn sync(&mut self) {
        self.sync_at = None;
        if let Some(Err(error)) = self.on_spool(|spool, _| spool.sync()).await {
            self.spool_failed(&error);
            self.rescue().await;
        }
    }

    /// Takes back into memory what the spool could not make safe.
    async fn rescue(&mut self) {
        let back = self.on_spool(|spool, ids| {
            let frames = spool.take_unsafe();
            merge::merged(&frames, &mut || ids.next()).0
        });
        for waiting in back.await.unwrap_or_default() {
            self.push(waiting, 0);
        }
    }

    /// Puts what waits in memory on disk, as it is: some of it may have been sent.
    pub(super) async fn spill(&mut self) {
        if self.queue.is_empty() || !self.may_spool() {
            return;
        }
        let frames = self.queue.remove(self.queue.frames());
        self.singly_from_disk = self.singly_from_disk.max(std::mem::take(&mut self.singly));
        let kept = self.on_spool(move |spool, _| {
            let kept = spool.keep(&frames, false);
            (kept, frames)
        });
        if let Some((Err(error), frames)) = kept.await {
            self.spool_failed(&error);
            // Those that did get there are sent twice, under the same identities.
            for waiting in frames {
                self.push(waiting, 0);
            }
        }
    }

    /// Whether frames on disk are sent next: as a trial while the server is away, else beside
    /// new frames, two rows for each new one. At the end only what is little.
    pub(super) fn disk_has_its_turn(&self, ending: bool) -> bool {
        let Some(spool) = self.spool.as_ref().filter(|spool| !spool.is_empty()) else {
            return false;
        };
        if self.failing {
            return self.may_spool();
        }
        let bytes_max = u64::try_from(self.options.post_bytes_max).unwrap_or(u64::MAX);
        let last = ending && spool.bytes() <= bytes_max;
        self.queue.is_empty() && self.may_spool() && (self.credit_rows > 0 || last)
    }

    /// How many frames and rows from disk go into the next request, and its body.
    pub(super) async fn front_of_disk(&mut self) -> Option<(usize, u64, Bytes)> {
        let bytes_max = if self.singly_from_disk > 0 { 0 } else { self.options.post_bytes_max };
        let frames = match self.on_spool(move |spool, ids| spool.front(bytes_max, ids)).await? {
            Ok(frames) => frames,
            Err(error) => {
                self.spool_failed(&error);
                return None;
            }
        };
        if frames.is_empty() {
            return None;
        }
        let rows = frames.iter().map(|frame| frame.rows).sum();
        let body = match &frames[..] {
            [only] => only.frame.clone(),
            several => {
                let mut body = BytesMut::new();
                for frame in several {
                    body.extend_from_slice(&frame.frame);
                }
                body.freeze()
            }
        };
        Some((frames.len(), rows, body))
    }

    pub(super) async fn remove_from_disk(&mut self, frames: usize, rows: u64) -> Vec<Waiting> {
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        self.credit_rows = self.credit_rows.saturating_sub(rows);
        self.on_spool(move |spool, _| spool.remove(frames)).await.unwrap_or_default()
    }
}
