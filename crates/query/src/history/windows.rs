//! Values of steps and stretches of time from windows of the store.
//!
//! Keeps true: growth and its rates follow the rules of `history::fold`, and so does the fastest
//! rate or the level of a single series; both ways of reading give the same number.
//! Not here: when windows are read (`history::rolled`), their arithmetic (`window`).

use plimsoll_store::StepWindows;
use plimsoll_window::{CounterStep, GAP_MAX_MS, GaugeValue, GaugeWindow};

use super::coverage::{Stretch, merged};
use super::fold::{Growth, birth_of, level_of, usable_lead};
use super::{Reading, Stat};

/// What to make of the windows of one column of a subject.
#[derive(Debug, Clone, Copy)]
pub(super) struct WindowFold {
    pub(super) steps: usize,
    pub(super) stat: Stat,
    pub(super) reading: Reading,
    /// Whether a first sample may count from the start of its owner.
    pub(super) count_births: bool,
}

impl WindowFold {
    /// One value per step, in stored units (per second where counters are read as rates).
    ///
    /// Of several series, whatever is not growth is the sum of what each has.
    pub(super) fn values(&self, series: &[&StepWindows]) -> Vec<Option<f64>> {
        match (self.reading, self.stat) {
            (Reading::Rate, Stat::Avg | Stat::Sum) => self.growth(series),
            (Reading::Rate, Stat::Max) => {
                self.summed(series.iter().map(|of| self.counter_steps(of).map(fastest)))
            }
            (_, Stat::Quantile(_)) | (Reading::Rate, Stat::Min) => vec![None; self.steps],
            (Reading::Level, _) => {
                self.summed(series.iter().map(|of| levels(of, self.stat).into_iter()))
            }
        }
    }

    fn growth(&self, series: &[&StepWindows]) -> Vec<Option<f64>> {
        let mut cells = vec![Growth::default(); self.steps];
        for of in series {
            for (cell, step) in cells.iter_mut().zip(self.counter_steps(of)) {
                if !step.is_empty() {
                    cell.add(&step);
                }
            }
        }
        cells.iter().map(|cell| cell.value(self.stat)).collect()
    }

    /// The steps of a counter, the first one led by the start of the owner where that counts.
    fn counter_steps<'s>(&self, of: &'s StepWindows) -> impl Iterator<Item = CounterStep> + 's {
        let steps: &[CounterStep] = if let StepWindows::Counter(steps) = of { steps } else { &[] };
        let mut is_first = self.count_births;
        steps.iter().map(move |step| {
            let first = step.window().first().filter(|_| std::mem::take(&mut is_first));
            let birth = first.filter(|_| step.lead().is_none()).and_then(|at| birth_of(&at));
            birth.map_or(*step, |birth| CounterStep::new(*step.window(), Some(&birth)))
        })
    }

    fn summed<I: Iterator<Item = Option<f64>>>(
        &self,
        columns: impl Iterator<Item = I>,
    ) -> Vec<Option<f64>> {
        let mut out: Vec<Option<f64>> = vec![None; self.steps];
        for column in columns {
            for (place, value) in out.iter_mut().zip(column) {
                *place = match (*place, value) {
                    (Some(held), Some(value)) => Some(held + value),
                    (one, other) => one.or(other),
                };
            }
        }
        out
    }
}

/// The highest rate of the pairs that count for rates.
fn fastest(step: CounterStep) -> Option<f64> {
    let first = step.window().first()?;
    let lead = step.lead().and_then(|lead| usable_lead(*lead, &first));
    let lead = lead.and_then(|lead| lead.rate_per_s());
    match (lead, step.window().rate_max_per_s()) {
        (Some(lead), Some(inside)) => Some(lead.max(inside)),
        (one, other) => one.or(other),
    }
}

fn levels(of: &StepWindows, stat: Stat) -> Vec<Option<f64>> {
    match of {
        StepWindows::Int(steps) => steps.iter().map(|window| level_of(window, stat)).collect(),
        StepWindows::Float(steps) => steps.iter().map(|window| level_of(window, stat)).collect(),
        StepWindows::Counter(_) | StepWindows::State(_) => Vec::new(),
    }
}

/// Where one window has samples.
#[derive(Debug, Clone, Copy)]
struct Seen {
    first_ms: i64,
    last_ms: i64,
    count: u64,
    gap_ms: i64,
}

impl Seen {
    /// Time between its samples, gaps apart; 0 when nothing tells.
    fn interval_ms(&self) -> i64 {
        let pairs = i64::try_from(self.count.saturating_sub(1)).unwrap_or(i64::MAX);
        let span_ms = self.last_ms.saturating_sub(self.first_ms).saturating_sub(self.gap_ms);
        span_ms.max(0).checked_div(pairs).unwrap_or(0)
    }
}

/// Oldest first. A counter also tells of the last sample before its first step.
fn seen(of: &StepWindows) -> Vec<Seen> {
    match of {
        StepWindows::Counter(steps) => {
            let before = steps.iter().find(|step| !step.is_empty()).and_then(|step| {
                let elapsed_ms = step.lead()?.elapsed_ms;
                let time_ms = step.window().first()?.time_ms.saturating_sub(elapsed_ms);
                Some(Seen { first_ms: time_ms, last_ms: time_ms, count: 1, gap_ms: 0 })
            });
            let windows = steps.iter().map(CounterStep::window).filter_map(|window| {
                let (first_ms, last_ms) = (window.first()?.time_ms, window.last()?.time_ms);
                Some(Seen { first_ms, last_ms, count: window.count(), gap_ms: window.gap_ms() })
            });
            before.into_iter().chain(windows).collect()
        }
        StepWindows::Int(steps) => steps.iter().filter_map(seen_of_gauge).collect(),
        StepWindows::Float(steps) => steps.iter().filter_map(seen_of_gauge).collect(),
        StepWindows::State(_) => Vec::new(),
    }
}

fn seen_of_gauge<V: GaugeValue>(window: &GaugeWindow<V>) -> Option<Seen> {
    let (first_ms, last_ms) = (window.first()?.time_ms, window.last()?.time_ms);
    Some(Seen { first_ms, last_ms, count: window.count(), gap_ms: window.gap_ms() })
}

/// The stretches of the columns of one subject, as far as windows tell, and how much time inside
/// them has no samples in any of them.
///
/// Each column: its windows before the range, if known, and those of the range. A window says how
/// long its gaps are, not where: those stay inside its stretch. A series whose
/// first sample comes within one sampling interval of `start_ms` is taken to have lived there.
pub(super) fn stretches_of(
    columns: &[[Option<&StepWindows>; 2]],
    start_ms: i64,
) -> (Vec<Stretch>, i64) {
    let mut all: Vec<Stretch> = Vec::new();
    let length_ms = |stretches: &[Stretch]| {
        let lengths = stretches.iter().map(|of| of.end_ms.saturating_sub(of.first_ms));
        lengths.fold(0, i64::saturating_add)
    };
    let (mut gap_most_ms, mut covered_most_ms) = (0_i64, 0_i64);
    for column in columns {
        let from = all.len();
        let mut gap_ms = 0_i64;
        for seen in column.iter().flatten().flat_map(|windows| seen(windows)) {
            gap_ms = gap_ms.saturating_add(seen.gap_ms);
            add_seen(&seen, start_ms, from, &mut all);
        }
        let own_ms = length_ms(all.get(from..).unwrap_or(&[]));
        gap_most_ms = gap_most_ms.max(gap_ms);
        covered_most_ms = covered_most_ms.max(own_ms.saturating_sub(gap_ms));
    }
    if columns.len() > 1 {
        all.sort_unstable();
        all = merged(&all, GAP_MAX_MS);
    }
    // What one column covers is covered, and no more is missing than one column misses.
    let gap_ms = length_ms(&all).saturating_sub(covered_most_ms).clamp(0, gap_most_ms);
    (all, gap_ms)
}

fn add_seen(seen: &Seen, start_ms: i64, from: usize, all: &mut Vec<Stretch>) {
    let interval_ms = seen.interval_ms();
    match all.get_mut(from..).and_then(<[_]>::last_mut) {
        Some(held) if seen.first_ms.saturating_sub(held.last_ms) <= GAP_MAX_MS => {
            let apart_ms = seen.first_ms.saturating_sub(held.last_ms);
            let interval_ms = if seen.count > 1 { interval_ms } else { apart_ms };
            held.last_ms = seen.last_ms;
            held.end_ms = seen.last_ms.saturating_add(interval_ms);
        }
        _ => {
            let before_ms = seen.first_ms.saturating_sub(interval_ms.min(GAP_MAX_MS));
            let first_ms = if before_ms <= start_ms { before_ms } else { seen.first_ms };
            let end_ms = seen.last_ms.saturating_add(interval_ms);
            all.push(Stretch { first_ms, last_ms: seen.last_ms, end_ms });
        }
    }
}
