//! Switches that make a fake engine misbehave as real ones do.
//!
//! Keeps true: a switch works on requests that are already waiting, too.
//!
//! Not here: the answers of a well-behaved engine.

use super::locked;
use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// How often a held request looks whether it may go on.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What is broken at the moment.
#[derive(Debug, Default)]
pub struct Faults {
    hung: Mutex<HashSet<String>>,
    failing: Mutex<HashSet<String>>,
    silent: AtomicBool,
    delay_ms: AtomicU64,
    closings: AtomicU64,
}

impl Faults {
    /// Stats of the container with this 64-hex id do not answer, as for a locked container.
    pub fn hang_stats(&self, id: &str) {
        locked(&self.hung).insert(id.to_owned());
    }

    /// Stats of that container answer again, also those that wait.
    pub fn unhang_stats(&self, id: &str) {
        locked(&self.hung).remove(id);
    }

    /// Paths that contain this text answer with status 500. The empty text is in all paths.
    pub fn fail(&self, path_part: &str) {
        locked(&self.failing).insert(path_part.to_owned());
    }

    /// Undoes [`Faults::fail`] for this text.
    pub fn unfail(&self, path_part: &str) {
        locked(&self.failing).remove(path_part);
    }

    /// Ends all event streams that are open now; new ones may be opened.
    pub fn close_event_streams(&self) {
        self.closings.fetch_add(1, Ordering::SeqCst);
    }

    /// Whether requests are taken but not answered.
    pub fn stop_answering(&self, silent: bool) {
        self.silent.store(silent, Ordering::SeqCst);
    }

    /// Real milliseconds to wait before each answer; 0 is none.
    pub fn delay_ms(&self, delay_ms: u64) {
        self.delay_ms.store(delay_ms, Ordering::SeqCst);
    }

    /// Everything works again.
    pub fn clear(&self) {
        locked(&self.hung).clear();
        locked(&self.failing).clear();
        self.stop_answering(false);
        self.delay_ms(0);
    }

    pub(super) fn closings(&self) -> u64 {
        self.closings.load(Ordering::SeqCst)
    }

    pub(super) fn fails(&self, path: &str) -> bool {
        locked(&self.failing).iter().any(|part| path.contains(part.as_str()))
    }

    /// Holds a request back for as long as the switches want.
    pub(super) async fn hold(&self) {
        let delay_ms = self.delay_ms.load(Ordering::SeqCst);
        if delay_ms > 0 {
            tokio::time::sleep(Duration::from_millis(delay_ms)).await;
        }
        while self.silent.load(Ordering::SeqCst) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Holds the stats of a container back while it hangs.
    pub(super) async fn hold_stats(&self, id: &str) {
        while self.hangs(id) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn hangs(&self, id: &str) -> bool {
        locked(&self.hung).contains(id)
    }
}
