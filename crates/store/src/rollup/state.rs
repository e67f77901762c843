//! The mergeable window of a state: a word or code that holds until it changes.

use std::sync::Arc;

/// A state's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateValue {
    /// A code.
    Int(i64),
    /// A word.
    Text(Arc<str>),
}

/// What a stretch of samples of one state amounts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateWindow {
    /// Time of the oldest sample, Unix milliseconds.
    pub first_time_ms: i64,
    /// Its value.
    pub first: StateValue,
    /// Time of the newest sample.
    pub last_time_ms: i64,
    /// Its value.
    pub last: StateValue,
    /// Number of samples, at least 1.
    pub count: i64,
    /// How often a value differs from the one before.
    pub changes: i64,
}

impl StateWindow {
    /// The window of one sample.
    pub fn of(time_ms: i64, value: StateValue) -> Self {
        Self {
            first_time_ms: time_ms,
            first: value.clone(),
            last_time_ms: time_ms,
            last: value,
            count: 1,
            changes: 0,
        }
    }

    /// This stretch followed by `later`, which starts after it ends.
    #[must_use]
    pub fn merge(&self, later: &Self) -> Self {
        let changed = i64::from(self.last != later.first);
        Self {
            first_time_ms: self.first_time_ms,
            first: self.first.clone(),
            last_time_ms: later.last_time_ms,
            last: later.last.clone(),
            count: self.count.saturating_add(later.count),
            changes: self.changes.saturating_add(changed).saturating_add(later.changes),
        }
    }

    /// Adds a newer sample.
    pub fn push(&mut self, time_ms: i64, value: &StateValue) {
        self.changes = self.changes.saturating_add(i64::from(self.last != *value));
        if self.last != *value {
            self.last = value.clone();
        }
        self.last_time_ms = time_ms;
        self.count = self.count.saturating_add(1);
    }
}
