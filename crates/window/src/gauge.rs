//! The mergeable window of a gauge, over integers or floating point.
//!
//! The sum of integers is exact (128 bits). The sum of floating point carries its rounding error
//! along (Neumaier's compensated sum), so a stretch cut differently gives the same sum within
//! 1e-9 of the sum of the magnitudes, and far closer in practice; all else is exact. Sums whose
//! magnitude passes the range of `f64` are infinite. An infinite value is a value like any other;
//! `NaN` is a value that was not reported and enters no window.
//!
//! Not here: standard deviation and quantiles (raw rows, [`crate::Sketch`]), loops over columns
//! with nulls and steps (`fold`).

use std::fmt::Debug;

use crate::{GAP_MAX_MS, number};

mod value {
    //! Closes [`super::GaugeValue`].
    pub trait Closed {}
    impl Closed for i64 {}
    impl Closed for f64 {}
}

/// What a gauge may hold: `i64` or `f64`.
pub trait GaugeValue: value::Closed + Copy + PartialOrd + Debug + Default + 'static {
    /// The sum of any number of values.
    type Sum: Copy + PartialEq + Debug + Default;

    /// Whether this is a value at all (`NaN` is not).
    fn is_reported(self) -> bool;
    /// The nearest `f64`.
    fn to_f64(self) -> f64;
    /// `self - earlier`, rounded once.
    fn minus(self, earlier: Self) -> f64;
    /// `sum` with `self` added.
    #[must_use]
    fn added_to(self, sum: Self::Sum) -> Self::Sum;
    /// The sum of two sums.
    #[must_use]
    fn add_sums(sum: Self::Sum, other: Self::Sum) -> Self::Sum;
    /// The nearest `f64` of a sum.
    fn sum_to_f64(sum: Self::Sum) -> f64;
    /// A sum as the two columns that store it: the sum as far as one column can say it, and the
    /// rest (integers: what to add times 2^64, 0 unless the sum leaves 64 bits; floating point:
    /// the rounding error to add).
    fn sum_into_parts(sum: Self::Sum) -> (Self, Self);
    /// The sum of [`sum_into_parts`](Self::sum_into_parts).
    fn sum_from_parts(sum: Self, rest: Self) -> Self::Sum;
    /// Whether `sum` can be the sum of `count` values from `min` to `max`.
    fn sum_fits(sum: Self::Sum, count: u64, min: Self, max: Self) -> bool;
}

impl GaugeValue for i64 {
    type Sum = i128;

    fn is_reported(self) -> bool {
        true
    }

    fn to_f64(self) -> f64 {
        number::from_i64(self)
    }

    fn minus(self, earlier: Self) -> f64 {
        number::from_i128(i128::from(self).saturating_sub(i128::from(earlier)))
    }

    fn added_to(self, sum: i128) -> i128 {
        sum.saturating_add(i128::from(self))
    }

    fn add_sums(sum: i128, other: i128) -> i128 {
        sum.saturating_add(other)
    }

    fn sum_to_f64(sum: i128) -> f64 {
        number::from_i128(sum)
    }

    #[expect(
        clippy::as_conversions,
        clippy::cast_possible_truncation,
        reason = "the low 64 bits are the wish; the rest fits, for up to 2^63 values were added"
    )]
    fn sum_into_parts(sum: i128) -> (i64, i64) {
        let low = sum as i64;
        (low, (sum.wrapping_sub(i128::from(low)) >> 64) as i64)
    }

    fn sum_from_parts(sum: i64, rest: i64) -> i128 {
        (i128::from(rest) << 64).saturating_add(i128::from(sum))
    }

    fn sum_fits(sum: i128, count: u64, min: i64, max: i64) -> bool {
        let times = |value: i64| i128::from(value).saturating_mul(i128::from(count));
        times(min) <= sum && sum <= times(max)
    }
}

/// A sum of floating point and the rounding error made so far.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct FloatSum {
    sum: f64,
    error: f64,
}

impl FloatSum {
    /// Adds `value`, keeping what rounding loses.
    fn plus(self, value: f64) -> Self {
        let sum = self.sum + value;
        if !sum.is_finite() {
            return Self { sum, error: 0.0 };
        }
        let lost = if self.sum.abs() >= value.abs() {
            (self.sum - sum) + value
        } else {
            (value - sum) + self.sum
        };
        Self { sum, error: self.error + lost }
    }
}

impl GaugeValue for f64 {
    type Sum = FloatSum;

    fn is_reported(self) -> bool {
        !self.is_nan()
    }

    fn to_f64(self) -> f64 {
        self
    }

    fn minus(self, earlier: Self) -> f64 {
        self - earlier
    }

    fn added_to(self, sum: FloatSum) -> FloatSum {
        sum.plus(self)
    }

    fn add_sums(sum: FloatSum, other: FloatSum) -> FloatSum {
        let both = sum.plus(other.sum);
        let error = if both.sum.is_finite() { both.error + other.error } else { 0.0 };
        FloatSum { error, ..both }
    }

    fn sum_to_f64(sum: FloatSum) -> f64 {
        sum.sum + sum.error
    }

    fn sum_into_parts(sum: FloatSum) -> (f64, f64) {
        (sum.sum, sum.error)
    }

    fn sum_from_parts(sum: f64, rest: f64) -> FloatSum {
        FloatSum { sum, error: rest }
    }

    fn sum_fits(sum: FloatSum, _count: u64, min: f64, max: f64) -> bool {
        // Infinities of both signs add up to `NaN`; nothing else does. A finite sum is not
        // bounded here, because rounding may leave the bounds.
        let opposed = min == Self::NEG_INFINITY && max == Self::INFINITY;
        sum.error.is_finite() && (!sum.sum.is_nan() || opposed)
    }
}

/// One value of a gauge.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct GaugeSample<V> {
    /// Unix milliseconds.
    pub time_ms: i64,
    /// The value, in the metric's stored unit.
    pub value: V,
}

/// What a stretch of samples of one gauge amounts to.
///
/// The empty window is the identity of [`merge`](Self::merge); it answers `None` or 0.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct GaugeWindow<V: GaugeValue> {
    pub(crate) first: GaugeSample<V>,
    pub(crate) last: GaugeSample<V>,
    pub(crate) count: u64,
    pub(crate) min: V,
    pub(crate) max: V,
    pub(crate) sum: V::Sum,
    pub(crate) changes: u64,
    pub(crate) gap_ms: i64,
}

impl<V: GaugeValue> GaugeWindow<V> {
    /// The window of one sample; empty when the value is `NaN`.
    #[must_use]
    pub fn of(sample: GaugeSample<V>) -> Self {
        if !sample.value.is_reported() {
            return Self::default();
        }
        Self {
            first: sample,
            last: sample,
            count: 1,
            min: sample.value,
            max: sample.value,
            sum: sample.value.added_to(V::Sum::default()),
            changes: 0,
            gap_ms: 0,
        }
    }

    /// The window of `self`'s stretch followed by `later`'s, which starts where or after `self`
    /// ends.
    ///
    /// Associative, with the empty window as identity (for `f64` sums within the error the
    /// module states).
    #[must_use]
    pub fn merge(&self, later: &Self) -> Self {
        if self.count == 0 {
            return *later;
        }
        if later.count == 0 {
            return *self;
        }
        let elapsed_ms = number::elapsed_ms(self.last.time_ms, later.first.time_ms);
        let gap_ms = if elapsed_ms > GAP_MAX_MS { elapsed_ms } else { 0 };
        let changed = u64::from(self.last.value != later.first.value);
        Self {
            first: self.first,
            last: later.last,
            count: self.count.saturating_add(later.count),
            min: if later.min < self.min { later.min } else { self.min },
            max: if later.max > self.max { later.max } else { self.max },
            sum: V::add_sums(self.sum, later.sum),
            changes: self.changes.saturating_add(changed).saturating_add(later.changes),
            gap_ms: self.gap_ms.saturating_add(gap_ms).saturating_add(later.gap_ms),
        }
    }

    /// Adds one sample at the end; it is not older than [`last`](Self::last).
    pub fn push(&mut self, sample: GaugeSample<V>) {
        *self = self.merge(&Self::of(sample));
    }

    /// Adds samples at the end: sorted by time, not older than [`last`](Self::last), one value
    /// per time (what goes past the shorter slice is left out).
    pub fn extend(&mut self, times_ms: &[i64], values: &[V]) {
        let mut rows = times_ms.iter().copied().zip(values.iter().copied());
        let mut window = *self;
        if window.count == 0 {
            let Some((at_ms, value)) = rows.find(|(_, value)| value.is_reported()) else {
                return;
            };
            window = Self::of(GaugeSample { time_ms: at_ms, value });
        }
        let (mut last, mut rows_added, mut changes) = (window.last, 0_u64, 0_u64);
        for (at_ms, value) in rows {
            if !value.is_reported() {
                continue;
            }
            let elapsed_ms = number::elapsed_ms(last.time_ms, at_ms);
            if elapsed_ms > GAP_MAX_MS {
                window.gap_ms = window.gap_ms.saturating_add(elapsed_ms);
            }
            changes = changes.wrapping_add(u64::from(value != last.value));
            window.min = if value < window.min { value } else { window.min };
            window.max = if value > window.max { value } else { window.max };
            window.sum = value.added_to(window.sum);
            last = GaugeSample { time_ms: at_ms, value };
            rows_added = rows_added.wrapping_add(1);
        }
        window.count = window.count.saturating_add(rows_added);
        window.changes = window.changes.saturating_add(changes);
        window.last = last;
        *self = window;
    }

    /// Whether `later` may follow `self` in [`merge`](Self::merge).
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
    pub fn first(&self) -> Option<GaugeSample<V>> {
        (self.count > 0).then_some(self.first)
    }

    /// The newest sample.
    pub fn last(&self) -> Option<GaugeSample<V>> {
        (self.count > 0).then_some(self.last)
    }

    /// The lowest value.
    pub fn min(&self) -> Option<V> {
        (self.count > 0).then_some(self.min)
    }

    /// The highest value.
    pub fn max(&self) -> Option<V> {
        (self.count > 0).then_some(self.max)
    }

    /// The sum of all values; `None` for no samples. Exact for integers.
    pub fn sum(&self) -> Option<V::Sum> {
        (self.count > 0).then_some(self.sum)
    }

    /// The sum of all values, rounded once; `None` for no samples.
    pub fn sum_f64(&self) -> Option<f64> {
        self.sum().map(V::sum_to_f64)
    }

    /// The mean of all values, each sample weighing the same however long it stood.
    pub fn avg(&self) -> Option<f64> {
        self.sum_f64().map(|sum| sum / number::from_u64(self.count))
    }

    /// The last value less the first; `None` for no samples.
    pub fn delta(&self) -> Option<f64> {
        (self.count > 0).then(|| self.last.value.minus(self.first.value))
    }

    /// How often a value differed from the one before it.
    pub fn changes(&self) -> u64 {
        self.changes
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
}
