//! What one step of a grid amounts to for a counter, with what led to its first sample.
//!
//! A pair of consecutive samples that straddles a step boundary belongs to the step of its later
//! sample. A window cannot hold that pair, because merging makes it anew from the two samples at
//! the cut; so the step carries it beside the window, as `lead`. Merging keeps the lead of the
//! earlier step and drops that of the later, whose pair the merged window now holds. Hence:
//!
//! - merging steps is associative, with the empty step as identity;
//! - nothing counts twice: the growths of adjoining steps add up to the growth of their merge;
//! - steps of different grids over the same samples add up to the same whole.
//!
//! A lead is never stored: a row that arrives late would make it stale. A reader makes it from
//! the last sample before the step, which the window before it keeps.

use crate::counter::{CounterSample, CounterWindow, Pair};
use crate::number;

/// A window of a counter and the pair that leads into it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CounterStep {
    window: CounterWindow,
    lead: Option<Pair>,
}

impl CounterStep {
    /// The step without samples.
    pub const EMPTY: Self = Self { window: CounterWindow::EMPTY, lead: None };

    /// The step of `window` after `before`, the newest sample older than the window; `None` when
    /// the series starts in this step. An empty window has no lead: growth belongs to the step of
    /// the later sample, which is not here.
    #[must_use]
    pub fn new(window: CounterWindow, before: Option<&CounterSample>) -> Self {
        let lead = match (before, window.first()) {
            (Some(before), Some(first)) => Some(Pair::between(before, &first)),
            _ => None,
        };
        Self { window, lead }
    }

    /// This step followed by `later`; the rules of [`CounterWindow::merge`].
    #[must_use]
    pub fn merge(&self, later: &Self) -> Self {
        let lead = if self.window.is_empty() { later.lead } else { self.lead };
        Self { window: self.window.merge(&later.window), lead }
    }

    /// The samples of the step alone.
    pub fn window(&self) -> &CounterWindow {
        &self.window
    }

    /// The pair of the last sample before the step and its first sample.
    pub fn lead(&self) -> Option<&Pair> {
        self.lead.as_ref()
    }

    /// Whether there are no samples in the step.
    pub fn is_empty(&self) -> bool {
        self.window.is_empty()
    }

    /// Growth from the last sample before the step to the last sample in it, resets accounted;
    /// 0 for an empty step. Saturates at `i64::MAX`.
    pub fn growth(&self) -> i64 {
        self.lead.map_or(0, |lead| lead.growth).saturating_add(self.window.increase())
    }

    /// The real time over which [`growth`](Self::growth) happened.
    pub fn elapsed_ms(&self) -> i64 {
        self.lead.map_or(0, |lead| lead.elapsed_ms).saturating_add(self.window.span_ms())
    }

    /// The part of [`elapsed_ms`](Self::elapsed_ms) that lies in gaps.
    pub fn gap_ms(&self) -> i64 {
        self.lead.map_or(0, |lead| lead.gap_ms()).saturating_add(self.window.gap_ms())
    }

    /// The part of [`elapsed_ms`](Self::elapsed_ms) that does not lie in gaps.
    pub fn covered_ms(&self) -> i64 {
        number::elapsed_ms(self.gap_ms(), self.elapsed_ms())
    }

    /// How often the counter started again, lead included.
    pub fn resets(&self) -> u64 {
        u64::from(self.lead.is_some_and(|lead| lead.reset)).saturating_add(self.window.resets())
    }

    /// [`growth`](Self::growth) per second of real time; `None` when no time passed.
    pub fn rate_avg_per_s(&self) -> Option<f64> {
        let elapsed_ms = self.elapsed_ms();
        (elapsed_ms > 0).then(|| number::per_second(self.growth(), elapsed_ms))
    }

    /// The highest growth per second between two consecutive samples, lead included.
    pub fn rate_max_per_s(&self) -> Option<f64> {
        let lead = self.lead.and_then(|lead| lead.rate_per_s());
        match (lead, self.window.rate_max_per_s()) {
            (Some(lead), Some(inside)) => Some(lead.max(inside)),
            (one, other) => one.or(other),
        }
    }
}
