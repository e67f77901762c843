//! Asks questions off the async threads: so many at once, so many waiting, so long each.
//!
//! Holds LIMIT. A question nobody waits for any more is told to stop.
//! Not here: the questions (`history`, `inventory`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use plimsoll_model::ErrorClass;
use tokio::sync::Semaphore;

use crate::error::ApiError;
use crate::state::ServeLimits;

/// The door questions go through.
#[derive(Debug)]
pub(crate) struct Gate {
    slots: Arc<Semaphore>,
    waiting: AtomicUsize,
    queue: usize,
    timeout: Duration,
    dropped: AtomicU64,
}

/// Tells a question to stop when its asker goes away.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Counts one waiting question as long as it lives.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Gate {
    pub(crate) fn new(limits: &ServeLimits) -> Self {
        let slots = limits.query_concurrency.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            slots: Arc::new(Semaphore::new(slots)),
            waiting: AtomicUsize::new(0),
            queue: limits.query_queue,
            timeout: limits.query_timeout,
            dropped: AtomicU64::new(0),
        }
    }

    /// Questions that found the queue full.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Runs `work` where blocking is allowed; it should end soon after its flag is set.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(Arc<AtomicBool>) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        match tokio::time::timeout(self.timeout, self.asked(work)).await {
            Ok(answer) => answer,
            Err(_) => Err(ApiError::timeout("the question", self.timeout)),
        }
    }

    async fn asked<T: Send + 'static>(
        &self,
        work: impl FnOnce(Arc<AtomicBool>) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let permit = if let Ok(permit) = self.slots.clone().try_acquire_owned() {
            permit
        } else {
            let waiting = Waiting(&self.waiting);
            if self.waiting.fetch_add(1, Ordering::AcqRel) >= self.queue {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                let message = format!("{} questions are waiting already, try again", self.queue);
                return Err(ApiError::new(ErrorClass::Busy, message));
            }
            let acquired = self.slots.clone().acquire_owned().await;
            drop(waiting);
            acquired.map_err(|_| ApiError::new(ErrorClass::Busy, "the server is ending"))?
        };
        let stop = Arc::new(AtomicBool::new(false));
        let _stop_on_drop = StopOnDrop(stop.clone());
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work(stop)
        });
        task.await.unwrap_or_else(|_| Err(ApiError::new(ErrorClass::Bug, "the question broke")))
    }
}
