//! Waiting for a state.

use std::time::{Duration, Instant};

/// Polls `ready` every 50 ms until it gives a value; `None` after `deadline`.
pub fn wait_until<T>(deadline: Duration, mut ready: impl FnMut() -> Option<T>) -> Option<T> {
    let started = Instant::now();
    loop {
        if let Some(value) = ready() {
            return Some(value);
        }
        if started.elapsed() > deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
