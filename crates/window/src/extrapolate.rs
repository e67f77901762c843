//! PromQL's extrapolation of growth from the samples in a range to the whole range.
//!
//! A window keeps what the formula needs (count, first and last time, first value, increase), so
//! the answer from merged windows is the answer from the samples. Where the formula works in
//! seconds, so does this, to round as it rounds.
//!
//! Not here: which range an expression asks for, and the scaling of stored units (`query`).
//!
//! # Source
//!
//! `extrapolatedRate` in `promql/functions.go` of Prometheus 3.

use crate::counter::CounterWindow;
use crate::gauge::{GaugeValue, GaugeWindow};
use crate::number;

/// The samples of a range, as the formula sees them.
struct Sampled {
    count: u64,
    first_time_ms: i64,
    last_time_ms: i64,
    /// Where the counter would have to stop falling, backwards; `None` for a gauge.
    first_value: Option<f64>,
}

impl CounterWindow {
    /// PromQL's `increase` over `[start_ms, end_ms]`, in the metric's stored unit; `None` for
    /// fewer than two samples or when no time passed between them. The window holds the samples
    /// of that range and no others.
    pub fn extrapolated_increase(&self, start_ms: i64, end_ms: i64) -> Option<f64> {
        Some(number::from_i64(self.increase) * self.factor(start_ms, end_ms)?)
    }

    /// PromQL's `rate` over `[start_ms, end_ms]`: the increase per second of the range.
    pub fn extrapolated_rate_per_s(&self, start_ms: i64, end_ms: i64) -> Option<f64> {
        let range_s = seconds(number::elapsed_ms(start_ms, end_ms));
        let factor = self.factor(start_ms, end_ms).filter(|_| range_s > 0.0)?;
        Some(number::from_i64(self.increase) * (factor / range_s))
    }

    fn factor(&self, start_ms: i64, end_ms: i64) -> Option<f64> {
        let sampled = Sampled {
            count: self.count,
            first_time_ms: self.first.time_ms,
            last_time_ms: self.last.time_ms,
            first_value: Some(number::from_i64(self.first.value)),
        };
        sampled.factor(number::from_i64(self.increase), start_ms, end_ms)
    }
}

impl<V: GaugeValue> GaugeWindow<V> {
    /// PromQL's `delta` over `[start_ms, end_ms]`; `None` for fewer than two samples or when no
    /// time passed between them. The window holds the samples of that range and no others.
    pub fn extrapolated_delta(&self, start_ms: i64, end_ms: i64) -> Option<f64> {
        let (first, last) = (self.first()?, self.last()?);
        let sampled = Sampled {
            count: self.count(),
            first_time_ms: first.time_ms,
            last_time_ms: last.time_ms,
            first_value: None,
        };
        let delta = self.delta()?;
        Some(delta * sampled.factor(delta, start_ms, end_ms)?)
    }
}

impl Sampled {
    /// What the sampled growth is multiplied with.
    fn factor(&self, growth: f64, start_ms: i64, end_ms: i64) -> Option<f64> {
        let pairs = self.count.checked_sub(1).filter(|pairs| *pairs > 0)?;
        let sampled_s = seconds(number::elapsed_ms(self.first_time_ms, self.last_time_ms));
        if sampled_s <= 0.0 {
            return None;
        }
        let between_s = sampled_s / number::from_u64(pairs);
        let threshold_s = between_s * 1.1;
        let reach = |edge_s: f64| if edge_s >= threshold_s { between_s / 2.0 } else { edge_s };
        let mut to_start_s = reach(seconds(number::elapsed_ms(start_ms, self.first_time_ms)));
        let to_end_s = reach(seconds(number::elapsed_ms(self.last_time_ms, end_ms)));
        if let Some(first) = self.first_value.filter(|first| growth > 0.0 && *first >= 0.0) {
            // A counter is never negative: do not extrapolate past where it was zero.
            to_start_s = to_start_s.min(sampled_s * (first / growth));
        }
        Some((sampled_s + to_start_s + to_end_s) / sampled_s)
    }
}

fn seconds(ms: i64) -> f64 {
    number::from_i64(ms) / 1000.0
}
