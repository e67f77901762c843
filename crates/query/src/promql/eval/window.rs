//! The samples of one range of one series, and functions of them.
//!
//! Not here: functions that keep sums over many values (`super::statistics`), and ranges that reach
//! over their edges (`super::extended`).

use super::statistics;
use crate::promql::functions::WindowFunction;

/// The samples in a range `(start, end]` of one series.
#[derive(Clone, Copy)]
pub(super) struct Window<'s> {
    /// Sample times, oldest first.
    pub(super) times: &'s [i64],
    /// Sample values, none of them stale.
    pub(super) values: &'s [f64],
    /// When what the first sample counts began, milliseconds; 0 where not known.
    pub(super) first_start_ms: i64,
    /// Where a counter restarted between two samples of the range.
    pub(super) resets: Resets<'s>,
    /// When the range opens, milliseconds.
    pub(super) start_ms: i64,
    /// When the range ends, milliseconds.
    pub(super) end_ms: i64,
    /// When the function is evaluated, milliseconds.
    pub(super) now_ms: i64,
    /// The function's other arguments.
    pub(super) params: [f64; 2],
}

/// Where a counter restarts inside a window.
#[derive(Clone, Copy)]
pub(super) struct Resets<'s> {
    /// Indices, into the whole series, of the first samples after each restart.
    pub(super) at: &'s [usize],
    /// Index of the window's first sample in the series.
    pub(super) base: usize,
}

impl Window<'_> {
    /// The value of a function; `None` where it has none.
    pub(super) fn value(&self, function: WindowFunction) -> Option<f64> {
        use WindowFunction as F;
        let (times, values) = (self.times, self.values);
        let last = values.len().checked_sub(1)?;
        match function {
            F::Rate => self.extrapolated(true, true),
            F::Increase => self.extrapolated(true, false),
            F::Delta => self.extrapolated(false, false),
            F::Irate => self.latest_change(true),
            F::Idelta => self.latest_change(false),
            F::Changes => Some(changes(values)),
            F::Resets => Some(self.resets.at.len() as f64),
            F::Count => Some(values.len() as f64),
            F::Present => Some(1.0),
            F::First => Some(values[0]),
            F::Last => Some(values[last]),
            F::TimeOfFirst => Some(times[0] as f64 / 1000.0),
            F::TimeOfLast => Some(times[last] as f64 / 1000.0),
            F::Min => Some(extreme(values, |value, best| value < best).1),
            F::Max => Some(extreme(values, |value, best| value > best).1),
            F::TimeOfMin => Some(self.time_of(|value, best| value <= best)),
            F::TimeOfMax => Some(self.time_of(|value, best| value >= best)),
            F::Sum => Some(statistics::sum(values)),
            F::Avg => Some(statistics::mean(values)),
            F::Stdvar => Some(statistics::variance(values)),
            F::Stddev => Some(statistics::variance(values).sqrt()),
            F::Quantile => Some(statistics::quantile(self.params[0], values)),
            F::Mad => Some(statistics::median_deviation(values)),
            F::Deriv => {
                let line = statistics::regression(times, values, times[0]);
                (last > 0).then_some(line.0)
            }
            F::PredictLinear => {
                let (slope, level) = statistics::regression(times, values, self.now_ms);
                (last > 0).then_some(slope * self.params[0] + level)
            }
            F::DoubleExponentialSmoothing => self.smoothed(),
        }
    }

    /// Change over the range, extended to its edges where samples suggest that the series goes on.
    ///
    /// Source: Prometheus's `extrapolatedRate`: samples within 1.1 average intervals of an edge are
    /// extended to it, others by half an interval; counters never below zero. A counter that began
    /// inside the range counts from zero there.
    fn extrapolated(&self, counter: bool, per_second: bool) -> Option<f64> {
        let gaps = self.values.len().checked_sub(1)?;
        let begin = Some(self.first_start_ms)
            .filter(|start| counter && *start > self.start_ms && *start < self.times[0]);
        if gaps == 0 && begin.is_none() {
            return None;
        }
        let (first, last) = (self.values[0], self.values[gaps]);
        let mut change = if begin.is_some() { last } else { last - first };
        if counter {
            for reset in self.resets.at {
                change += self.values[reset - self.resets.base - 1];
            }
        }
        let seconds = |from: i64, to: i64| to.saturating_sub(from) as f64 / 1000.0;
        let mut to_start = seconds(self.start_ms, self.times[0]);
        let mut to_end = seconds(self.times[gaps], self.end_ms);
        let mut sampled = seconds(self.times[0], self.times[gaps]);
        let average = if gaps == 0 { 0.0 } else { sampled / gaps as f64 };
        let threshold = average * 1.1;
        if let Some(begin) = begin {
            sampled = seconds(begin, self.times[gaps]);
            to_start = 0.0;
        } else if to_start >= threshold {
            to_start = average / 2.0;
        }
        if counter {
            let mut to_zero = to_start;
            if change > 0.0 && first >= 0.0 {
                to_zero = sampled * (first / change);
            }
            if to_zero < to_start {
                to_start = to_zero;
            }
        }
        if to_end >= threshold {
            to_end = average / 2.0;
        }
        let mut factor = (sampled + to_start + to_end) / sampled;
        if per_second {
            factor /= seconds(self.start_ms, self.end_ms);
        }
        Some(change * factor)
    }

    /// Change between the last two samples.
    fn latest_change(&self, per_second: bool) -> Option<f64> {
        let last = self.values.len().checked_sub(1).filter(|last| *last > 0)?;
        let (before, value) = (self.values[last - 1], self.values[last]);
        let restarted = self.resets.at.last() == Some(&(self.resets.base + last));
        let change = if per_second && restarted { value } else { value - before };
        let seconds = self.times[last].saturating_sub(self.times[last - 1]) as f64 / 1000.0;
        Some(if per_second { change / seconds } else { change })
    }

    fn time_of(&self, better: impl Fn(f64, f64) -> bool) -> f64 {
        self.times[extreme(self.values, better).0] as f64 / 1000.0
    }

    /// Double exponential smoothing with the smoothing and trend factors in `params`.
    fn smoothed(&self) -> Option<f64> {
        let [smoothing, trend_factor] = self.params;
        let second = self.values.get(1)?;
        let (mut before, mut level) = (0.0, self.values[0]);
        let mut trend = second - self.values[0];
        for (index, value) in self.values.iter().enumerate().skip(1) {
            if index > 1 {
                trend = trend_factor * (level - before) + (1.0 - trend_factor) * trend;
            }
            let next = smoothing * value + (1.0 - smoothing) * (level + trend);
            before = level;
            level = next;
        }
        Some(level)
    }
}

/// How often values differ from their predecessors; NaN does not differ from NaN.
pub(super) fn changes(values: &[f64]) -> f64 {
    let differs = |pair: &&[f64; 2]| pair[0] != pair[1] && !(pair[0].is_nan() && pair[1].is_nan());
    values.array_windows::<2>().filter(differs).count() as f64
}

/// Index and value of the best value; NaN only when there is nothing else.
fn extreme(values: &[f64], better: impl Fn(f64, f64) -> bool) -> (usize, f64) {
    let mut best = (0, values[0]);
    for (index, value) in values.iter().enumerate() {
        if better(*value, best.1) || best.1.is_nan() {
            best = (index, *value);
        }
    }
    best
}
