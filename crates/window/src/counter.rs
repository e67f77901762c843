//! The mergeable window of a counter.
//!
//! A counter is cumulative and starts again from zero. A window keeps its first and last sample
//! and the sums over its *pairs* of consecutive samples. Everything a pair gives (growth, rate,
//! reset, gap) is a function of its two samples alone ([`Pair::between`]), and merging makes the
//! one pair that spans the cut from the same two samples. So where a stretch is cut cannot be
//! seen in the result, bit by bit.
//!
//! Sums saturate at `i64::MAX`; a sum of numbers that are not negative is associative even then.
//!
//! Holds GROW: growth is never negative; cutting a window loses none.
//! Not here: growth per step with what came before it ([`crate::CounterStep`]), loops over
//! columns with nulls and steps (`fold`).

use crate::column::EPOCH_UNKNOWN;
use crate::{GAP_MAX_MS, number};

/// One value of a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CounterSample {
    /// Unix milliseconds.
    pub time_ms: i64,
    /// Cumulative value in the metric's stored unit. A negative value is read as it stands, but
    /// never adds growth by itself.
    pub value: i64,
    /// When the counter's owner started, in Unix milliseconds (a container's `started_at`);
    /// `None` when unknown. [`EPOCH_UNKNOWN`] means the same.
    pub epoch: Option<i64>,
}

impl CounterSample {
    /// The epoch as a column holds it.
    fn epoch_raw(&self) -> i64 {
        self.epoch.unwrap_or(EPOCH_UNKNOWN)
    }
}

/// What two consecutive samples of a counter give.
///
/// Attribution: a pair belongs to the stretch that holds its *later* sample. Sums over adjoining
/// stretches therefore equal the whole, exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// How much the counter grew; never negative.
    pub growth: i64,
    /// Time between the samples; never negative.
    pub elapsed_ms: i64,
    /// Whether the counter started again in between.
    pub reset: bool,
}

impl Pair {
    /// Compares two consecutive samples.
    ///
    /// The counter started again when its value is lower than before, or when both epochs are
    /// known and differ. It then grew by its whole later value, otherwise by the difference.
    ///
    /// # Source
    ///
    /// The reset rule of PromQL's `increase`; the epoch adds restarts after which the counter had
    /// already passed its old value when it was next read.
    #[must_use]
    pub fn between(earlier: &CounterSample, later: &CounterSample) -> Self {
        let (from, to) = (earlier.epoch_raw(), later.epoch_raw());
        let restarted = from != to && from != EPOCH_UNKNOWN && to != EPOCH_UNKNOWN;
        let reset = restarted || later.value < earlier.value;
        let growth = if reset { later.value } else { later.value.saturating_sub(earlier.value) };
        let elapsed_ms = number::elapsed_ms(earlier.time_ms, later.time_ms);
        Self { growth: growth.max(0), elapsed_ms, reset }
    }

    /// Growth per second; `None` when no time passed.
    pub fn rate_per_s(&self) -> Option<f64> {
        (self.elapsed_ms > 0).then(|| number::per_second(self.growth, self.elapsed_ms))
    }

    /// Time of this pair that counts as not covered: all of it past [`GAP_MAX_MS`], else 0.
    pub fn gap_ms(&self) -> i64 {
        if self.elapsed_ms > GAP_MAX_MS { self.elapsed_ms } else { 0 }
    }
}

/// What a stretch of samples of one counter amounts to.
///
/// The empty window is the identity of [`merge`](Self::merge); it answers `None` or 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CounterWindow {
    pub(crate) first: CounterSample,
    pub(crate) last: CounterSample,
    /// Number of samples; 0 makes every other field meaningless (and zero).
    pub(crate) count: u64,
    pub(crate) increase: i64,
    pub(crate) resets: u64,
    pub(crate) gap_ms: i64,
    /// Fastest pair; negative when there is none.
    pub(crate) rate_max_per_s: f64,
}

impl Default for CounterWindow {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl CounterWindow {
    /// The window of no samples.
    pub const EMPTY: Self = Self {
        first: CounterSample { time_ms: 0, value: 0, epoch: None },
        last: CounterSample { time_ms: 0, value: 0, epoch: None },
        count: 0,
        increase: 0,
        resets: 0,
        gap_ms: 0,
        rate_max_per_s: -1.0,
    };

    /// The window of one sample.
    #[must_use]
    pub fn of(sample: CounterSample) -> Self {
        let epoch = sample.epoch.filter(|epoch| *epoch != EPOCH_UNKNOWN);
        let sample = CounterSample { epoch, ..sample };
        Self { first: sample, last: sample, count: 1, ..Self::EMPTY }
    }

    /// The window of `self`'s stretch followed by `later`'s, which starts where or after `self`
    /// ends. The pair that spans the cut is accounted here.
    ///
    /// Associative, with [`EMPTY`](Self::EMPTY) as identity. Not commutative: time has an order,
    /// see [`precedes`](Self::precedes).
    #[must_use]
    pub fn merge(&self, later: &Self) -> Self {
        if self.count == 0 {
            return *later;
        }
        if later.count == 0 {
            return *self;
        }
        let mut merged = *self;
        merged.take_pair(&Pair::between(&self.last, &later.first));
        merged.last = later.last;
        merged.count = self.count.saturating_add(later.count);
        merged.increase = merged.increase.saturating_add(later.increase);
        merged.resets = merged.resets.saturating_add(later.resets);
        merged.gap_ms = merged.gap_ms.saturating_add(later.gap_ms);
        merged.rate_max_per_s = merged.rate_max_per_s.max(later.rate_max_per_s);
        merged
    }

    /// Adds one sample at the end; it is not older than [`last`](Self::last).
    pub fn push(&mut self, sample: CounterSample) {
        *self = self.merge(&Self::of(sample));
    }

    /// Adds samples at the end: sorted by time, not older than [`last`](Self::last), one entry
    /// per sample in each slice (what goes past the shortest slice is left out).
    ///
    /// The same as [`push`](Self::push) for each, but fast.
    pub fn extend(&mut self, times_ms: &[i64], values: &[i64], epochs: Option<&[i64]>) {
        match epochs {
            Some(epochs) => self.extend_from(times_ms, values, epochs.iter().copied()),
            None => {
                self.extend_from(
                    times_ms,
                    values,
                    std::iter::repeat_n(EPOCH_UNKNOWN, values.len()),
                );
            }
        }
    }

    /// Whether `later` may follow `self` in [`merge`](Self::merge): one of them is empty, or
    /// `later` starts at or after the last sample of `self`.
    pub fn precedes(&self, later: &Self) -> bool {
        self.count == 0 || later.count == 0 || self.last.time_ms <= later.first.time_ms
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Number of samples.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The oldest sample.
    pub fn first(&self) -> Option<CounterSample> {
        (self.count > 0).then_some(self.first)
    }

    /// The newest sample.
    pub fn last(&self) -> Option<CounterSample> {
        (self.count > 0).then_some(self.last)
    }

    /// Growth between the first and the last sample with resets accounted, in the metric's stored
    /// unit; 0 for fewer than two samples. What led to the first sample is not in it.
    pub fn increase(&self) -> i64 {
        self.increase
    }

    /// How often the counter started again between its samples.
    pub fn resets(&self) -> u64 {
        self.resets
    }

    /// Time from the first to the last sample.
    pub fn span_ms(&self) -> i64 {
        number::elapsed_ms(self.first.time_ms, self.last.time_ms)
    }

    /// Time between consecutive samples further apart than [`GAP_MAX_MS`].
    pub fn gap_ms(&self) -> i64 {
        self.gap_ms
    }

    /// Time from the first to the last sample without the gaps.
    pub fn covered_ms(&self) -> i64 {
        number::elapsed_ms(self.gap_ms, self.span_ms())
    }

    /// Growth per second of real time from the first to the last sample; `None` when no time
    /// passed between them.
    pub fn rate_avg_per_s(&self) -> Option<f64> {
        let span_ms = self.span_ms();
        (span_ms > 0).then(|| number::per_second(self.increase, span_ms))
    }

    /// The highest growth per second between two consecutive samples; `None` when there are no
    /// two samples with time between them.
    pub fn rate_max_per_s(&self) -> Option<f64> {
        (self.rate_max_per_s >= 0.0).then_some(self.rate_max_per_s)
    }

    fn take_pair(&mut self, pair: &Pair) {
        self.increase = self.increase.saturating_add(pair.growth);
        self.resets = self.resets.saturating_add(u64::from(pair.reset));
        self.gap_ms = self.gap_ms.saturating_add(pair.gap_ms());
        if let Some(rate) = pair.rate_per_s() {
            self.rate_max_per_s = self.rate_max_per_s.max(rate);
        }
    }

    /// The inner loop of every query over counters: one branch per sample for the ordinary pair,
    /// everything else through [`Pair::between`].
    #[inline]
    fn extend_from(&mut self, times: &[i64], values: &[i64], epochs: impl Iterator<Item = i64>) {
        let mut rows = times.iter().copied().zip(values.iter().copied()).zip(epochs);
        let mut window = *self;
        if window.count == 0 {
            let Some(((time_ms, value), epoch)) = rows.next() else { return };
            window = Self::of(CounterSample { time_ms, value, epoch: Some(epoch) });
        }
        let mut last = (window.last.time_ms, window.last.value, window.last.epoch_raw());
        let (mut rows_added, mut rate_max) = (0_u64, window.rate_max_per_s);
        for ((time_ms, value), epoch) in rows {
            let elapsed_ms = time_ms.wrapping_sub(last.0);
            let growth = value.wrapping_sub(last.1);
            let ordinary = last.1 >= 0
                && value >= last.1
                && epoch == last.2
                && elapsed_ms > 0
                && elapsed_ms <= GAP_MAX_MS;
            if ordinary {
                window.increase = window.increase.saturating_add(growth);
                let rate = number::per_second(growth, elapsed_ms);
                rate_max = if rate > rate_max { rate } else { rate_max };
            } else {
                window.rate_max_per_s = rate_max;
                window.take_unusual(last, (time_ms, value, epoch));
                rate_max = window.rate_max_per_s;
            }
            last = (time_ms, value, epoch);
            rows_added = rows_added.wrapping_add(1);
        }
        window.rate_max_per_s = rate_max;
        window.count = window.count.saturating_add(rows_added);
        window.last = sample_of(last);
        *self = window;
    }

    #[cold]
    fn take_unusual(&mut self, earlier: (i64, i64, i64), later: (i64, i64, i64)) {
        self.take_pair(&Pair::between(&sample_of(earlier), &sample_of(later)));
    }
}

fn sample_of((time_ms, value, epoch): (i64, i64, i64)) -> CounterSample {
    let epoch = (epoch != EPOCH_UNKNOWN).then_some(epoch);
    CounterSample { time_ms, value, epoch }
}
