//! Leaves a container that hangs alone for a while, so that it cannot hold up the others.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// First pause after a time-out; each further one doubles it.
const PAUSE_MIN: Duration = Duration::from_secs(30);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_mins(5);

#[derive(Debug, Clone, Copy)]
struct Failures {
    pause: Duration,
    until: Duration,
}

/// Which containers are being asked and which are left alone. Times are monotonic.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    asked: HashSet<Arc<str>>,
    failing: HashMap<Arc<str>, Failures>,
}

impl Breaker {
    /// Whether this container may be asked now; if so it counts as being asked.
    pub(crate) fn ask(&mut self, id: &Arc<str>, now: Duration) -> bool {
        let paused = self.failing.get(id).is_some_and(|failures| now < failures.until);
        !paused && self.asked.insert(id.clone())
    }

    /// The answer came, or a refusal in time.
    pub(crate) fn answered(&mut self, id: &str) {
        self.asked.remove(id);
        self.failing.remove(id);
    }

    /// The answer did not come in time.
    pub(crate) fn timed_out(&mut self, id: &Arc<str>, now: Duration) {
        self.asked.remove(id);
        let pause = self.failing.get(id).map_or(PAUSE_MIN, |f| (f.pause * 2).min(PAUSE_MAX));
        self.failing.insert(id.clone(), Failures { pause, until: now + pause });
    }

    /// The container is gone.
    pub(crate) fn forget(&mut self, id: &str) {
        self.asked.remove(id);
        self.failing.remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hanging_container_is_asked_less_and_less_often() {
        let mut breaker = Breaker::default();
        let id: Arc<str> = Arc::from("a");
        let at = Duration::from_secs;
        assert!(breaker.ask(&id, at(0)));
        assert!(!breaker.ask(&id, at(5)), "the first question is still open");
        breaker.timed_out(&id, at(10));
        assert!(!breaker.ask(&id, at(39)));
        assert!(breaker.ask(&id, at(40)));
        breaker.timed_out(&id, at(50));
        assert!(!breaker.ask(&id, at(109)));
        assert!(breaker.ask(&id, at(110)));
        breaker.answered(&id);
        assert!(breaker.ask(&id, at(111)));
    }
}
