//! Growing pauses between attempts, with jitter so that a fleet does not come back all at once.

use std::time::Duration;

/// First pause.
const PAUSE_MIN: Duration = Duration::from_millis(500);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Pauses from half a second to half a minute; each is between half and the whole of its step.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    step: Duration,
    pause_max: Duration,
    state: u64,
}

impl Backoff {
    /// Starts at the shortest pause. `seed` decides the jitter.
    pub(crate) fn new(seed: u64) -> Self {
        Self { step: PAUSE_MIN, pause_max: PAUSE_MAX, state: seed | 1 }
    }

    /// The same with another longest pause.
    pub(crate) fn up_to(self, pause_max: Duration) -> Self {
        Self { pause_max: pause_max.max(PAUSE_MIN), ..self }
    }

    /// The next pause.
    pub(crate) fn next(&mut self) -> Duration {
        // xorshift64: good enough to spread agents, and needs no source of randomness.
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        let half_ms = u64::try_from(self.step.as_millis() / 2).unwrap_or(u64::MAX);
        let pause = Duration::from_millis(half_ms + self.state % half_ms.max(1));
        self.step = (self.step * 2).min(self.pause_max);
        pause
    }

    /// Goes back to the shortest pause.
    pub(crate) fn reset(&mut self) {
        self.step = PAUSE_MIN;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_limit_and_start_again() {
        let mut backoff = Backoff::new(7);
        let mut longest = PAUSE_MIN;
        for _ in 0..12 {
            let pause = backoff.next();
            assert!(pause >= longest / 2 && pause <= longest);
            longest = (longest * 2).min(PAUSE_MAX);
        }
        backoff.reset();
        assert!(backoff.next() <= PAUSE_MIN);
    }
}
