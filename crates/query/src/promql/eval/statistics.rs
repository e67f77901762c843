//! Sums, means, variances, quantiles and regressions, as exact as Prometheus computes them.
//!
//! Sums are compensated (Kahan's method with Neumaier's improvement).

use std::cmp::Ordering;

/// A compensated sum.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct KahanSum {
    pub(super) sum: f64,
    pub(super) rest: f64,
}

impl KahanSum {
    /// The sum with one more value.
    pub(super) fn plus(self, value: f64) -> Self {
        let sum = self.sum + value;
        let rest = if sum.is_infinite() {
            0.0
        } else if self.sum.abs() >= value.abs() {
            self.rest + ((self.sum - sum) + value)
        } else {
            self.rest + ((value - sum) + self.sum)
        };
        Self { sum, rest }
    }

    /// The sum.
    pub(super) fn total(self) -> f64 {
        self.sum + self.rest
    }
}

/// The sum of values.
pub(super) fn sum(values: &[f64]) -> f64 {
    let sum = values.iter().fold(KahanSum::default(), |sum, value| sum.plus(*value));
    if sum.sum.is_infinite() { sum.sum } else { sum.total() }
}

/// A mean that is a plain division until the sum would overflow, then incremental.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mean {
    count: f64,
    sum: KahanSum,
    incremental: bool,
}

impl Mean {
    /// The mean of one value.
    pub(super) fn of(value: f64) -> Self {
        let sum = KahanSum { sum: value, rest: 0.0 };
        Self { count: 1.0, sum, incremental: false }
    }

    /// Adds a value.
    pub(super) fn add(&mut self, value: f64) {
        self.count += 1.0;
        if !self.incremental {
            let next = self.sum.plus(value);
            if !next.sum.is_infinite() {
                self.sum = next;
                return;
            }
            self.incremental = true;
            self.sum.sum /= self.count - 1.0;
            self.sum.rest /= self.count - 1.0;
        }
        let keep = (self.count - 1.0) / self.count;
        let scaled = KahanSum { sum: keep * self.sum.sum, rest: keep * self.sum.rest };
        self.sum = scaled.plus(value / self.count);
    }

    /// The mean.
    pub(super) fn value(self) -> f64 {
        if self.incremental {
            self.sum.total()
        } else {
            self.sum.sum / self.count + self.sum.rest / self.count
        }
    }
}

/// The mean of at least one value.
pub(super) fn mean(values: &[f64]) -> f64 {
    let mut mean = Mean::of(values[0]);
    values[1..].iter().for_each(|value| mean.add(*value));
    mean.value()
}

/// The population variance of at least one value.
pub(super) fn variance(values: &[f64]) -> f64 {
    let (mut mean, mut squares) = (KahanSum::default(), KahanSum::default());
    let mut count = 0.0;
    for value in values {
        count += 1.0;
        let delta = value - mean.total();
        mean = mean.plus(delta / count);
        squares = squares.plus(delta * (value - mean.total()));
    }
    squares.total() / count
}

/// Orders values with NaN first.
pub(super) fn nan_first(a: f64, b: f64) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
    }
}

/// The quantile of values: linear between the two nearest ranks. NaN values count as smallest.
///
/// `q` below 0 gives -Inf, above 1 gives +Inf; no values or a NaN `q` give NaN.
pub(super) fn quantile(q: f64, values: &[f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let mut sorted = values.to_vec();
    let rank = q * (sorted.len() - 1) as f64;
    let lower = rank.floor() as usize;
    let upper = (lower + 1).min(sorted.len() - 1);
    let weight = rank - rank.floor();
    let (_, low, above) = sorted.select_nth_unstable_by(lower, |a, b| nan_first(*a, *b));
    let low = *low;
    let high = if upper == lower {
        low
    } else {
        above.iter().copied().min_by(|a, b| nan_first(*a, *b)).unwrap_or(low)
    };
    low * (1.0 - weight) + high * weight
}

/// The median of the distances from the median; NaN if any value is NaN.
pub(super) fn median_deviation(values: &[f64]) -> f64 {
    if values.iter().any(|value| value.is_nan()) {
        return f64::NAN;
    }
    let median = quantile(0.5, values);
    let distances: Vec<f64> = values.iter().map(|value| (value - median).abs()).collect();
    quantile(0.5, &distances)
}

/// Slope per second, and level at `at_ms`, of the line closest to the samples.
pub(super) fn regression(times: &[i64], values: &[f64], at_ms: i64) -> (f64, f64) {
    let first = values[0];
    if values.iter().skip(1).all(|value| *value == first) {
        let value = if first.is_infinite() { f64::NAN } else { first };
        return (if first.is_infinite() { f64::NAN } else { 0.0 }, value);
    }
    let mut sums = [KahanSum::default(); 4];
    for (time_ms, y) in times.iter().zip(values) {
        let x = time_ms.saturating_sub(at_ms) as f64 / 1000.0;
        for (sum, value) in sums.iter_mut().zip([x, *y, x * y, x * x]) {
            *sum = sum.plus(value);
        }
    }
    let n = values.len() as f64;
    let [x, y, xy, xx] = sums.map(KahanSum::total);
    let slope = (xy - x * y / n) / (xx - x * x / n);
    (slope, y / n - slope * x / n)
}
