//! What outlives runs and processes: records of deaths, and the names on disk.

use std::path::PathBuf;

use plimsoll_model::chain;

use super::Sampler;
use crate::names::{Name, Names};

/// How often the names on disk may be written, in milliseconds.
const NAMES_EVERY_MS: i64 = 10_000;

impl Sampler {
    /// Writes the records of deaths that are complete; `all`: of those that are not, too.
    pub(super) fn record_deaths(&mut self, all: bool) {
        if self.deaths.is_empty() {
            return;
        }
        for death in self.deaths.take_due(self.clock.now_ms(), all) {
            let result = self.rows.event(&death.record(), &death.subject);
            self.check(result);
        }
    }

    /// Writes the names on disk if they are old; `now`: however short ago that was done.
    pub(super) async fn remember(&mut self, now: bool) {
        let now_ms = self.clock.now_ms();
        let is_due = now || now_ms.saturating_sub(self.names_at_ms) >= NAMES_EVERY_MS;
        let Some(state) = self.options.state.clone() else { return };
        // Before the engine has told all, the file knows more than this process.
        if !self.names_are_old || !is_due || !self.settled || self.engine.is_none() {
            return;
        }
        self.names_are_old = false;
        self.names_at_ms = now_ms;
        let mut names = Names::new((*self.facts).clone(), self.last_event_nano);
        names.containers = self
            .known
            .values()
            .map(|known| Name::new(&known.facts, known.restarts, known.told_end_ms))
            .collect();
        self.save(names, state).await;
    }

    async fn save(&mut self, names: Names, state: PathBuf) {
        let saved = tokio::task::spawn_blocking(move || names.save(&state)).await;
        if let Ok(Err(error)) = saved {
            self.totals.errors += 1;
            tracing::error!(error = %chain(&error), "known containers could not be written down");
        }
    }
}
