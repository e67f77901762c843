//! A mergeable sketch of a distribution, for quantiles over long ranges.
//!
//! The buckets of `DDSketch`: bucket `k` holds the magnitudes in `(gamma^(k-1), gamma^k]` and
//! answers with the value whose relative distance to both ends is the same. Negative values have
//! buckets of their own, magnitudes below 1e-9 count as zero, magnitudes above 1e19 share the
//! last bucket. So there are at most [`Sketch::BUCKETS_MAX`] buckets and they never have to be
//! collapsed; a sketch is then only counts, and merging is associative and commutative exactly.
//!
//! Error: within 1 % of the true value for magnitudes from 1e-9 to 1e19, absolutely within 1e-9
//! below. The accuracy of the buckets is 0.999 %; the remainder covers the rounding of `ln`.
//! Minimum and maximum are exact.
//!
//! Our own and not a library's: `sketches-ddsketch` 0.4 collapses the lowest buckets past 2,048,
//! which 1e-9 to 1e15 exceeds (among 1e-8 to 1e15 it answers 1.6e-3 for 3e-8), and its bytes have
//! no checksum (of all changes of one byte it reads three in four as another sketch).
//!
//! Not here: the byte format (`sketch::bytes`).
//!
//! # Source
//!
//! Masson, Rim, Lee: `DDSketch`, a fast and fully-mergeable quantile sketch with relative-error
//! guarantees (VLDB 2019).

use std::cmp::Ordering;

use crate::number;

mod bytes;
#[cfg(test)]
mod tests;

pub use bytes::SketchError;

/// The width of a bucket: `(1 + a) / (1 - a)` for the accuracy `a` = 0.00999.
const GAMMA: f64 = 1.020_181_614_327_128;
/// The natural logarithm of [`GAMMA`].
const GAMMA_LN: f64 = 0.019_980_664_708_469_237;
/// Magnitudes below count as zero.
const SMALLEST: f64 = 1e-9;
/// The bucket of [`SMALLEST`].
const KEY_MIN: i32 = -1037;
/// The bucket of 1e19, and of everything above.
const KEY_MAX: i32 = 2190;

/// A bucket and how many values it holds, at least one.
type Bucket = (i32, u64);

/// Counts of values by magnitude, with exact minimum and maximum.
#[derive(Debug, Clone, PartialEq)]
pub struct Sketch {
    /// Ascending by key, each key once.
    negative: Vec<Bucket>,
    /// Ascending by key, each key once.
    positive: Vec<Bucket>,
    zeros: u64,
    /// Sum of all counts, saturating.
    count: u64,
    min: f64,
    max: f64,
}

impl Default for Sketch {
    fn default() -> Self {
        Self::new()
    }
}

impl Sketch {
    /// The stated relative error of a quantile.
    pub const RELATIVE_ERROR: f64 = 0.01;

    /// The most buckets a sketch can have; each takes 16 bytes of memory.
    pub const BUCKETS_MAX: usize = 2 * 3228;

    /// The sketch of no values; the identity of [`merge`](Self::merge).
    #[must_use]
    pub const fn new() -> Self {
        Self {
            negative: Vec::new(),
            positive: Vec::new(),
            zeros: 0,
            count: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        }
    }

    /// Counts `value`. `NaN` is not a value and is left out; infinities count in the last bucket.
    pub fn insert(&mut self, value: f64) {
        self.insert_n(value, 1);
    }

    /// Counts `value` as often as `times`.
    pub fn insert_n(&mut self, value: f64, times: u64) {
        if value.is_nan() || times == 0 {
            return;
        }
        // Minus zero becomes zero, so that equal sketches have equal bytes.
        let value = value + 0.0;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.count = self.count.saturating_add(times);
        if value.abs() < SMALLEST {
            self.zeros = self.zeros.saturating_add(times);
        } else {
            let side = if value < 0.0 { &mut self.negative } else { &mut self.positive };
            let key = key_of(value.abs());
            match side.binary_search_by_key(&key, |bucket| bucket.0) {
                Ok(index) => {
                    if let Some(bucket) = side.get_mut(index) {
                        bucket.1 = bucket.1.saturating_add(times);
                    }
                }
                Err(index) => side.insert(index, (key, times)),
            }
        }
    }

    /// Adds all that `other` counted. Associative and commutative.
    pub fn merge(&mut self, other: &Self) {
        self.negative = merged(&self.negative, &other.negative);
        self.positive = merged(&self.positive, &other.positive);
        self.zeros = self.zeros.saturating_add(other.zeros);
        self.count = self.count.saturating_add(other.count);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// Number of values.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The lowest value, exactly.
    pub fn min(&self) -> Option<f64> {
        (self.count > 0).then_some(self.min)
    }

    /// The highest value, exactly.
    pub fn max(&self) -> Option<f64> {
        (self.count > 0).then_some(self.max)
    }

    /// The `q`-quantile, `q` from 0 to 1; `None` for no values or another `q`.
    ///
    /// The value at position `q * (count - 1)` of the sorted values, linear between neighbours
    /// as PromQL's `quantile_over_time`. Each neighbour is within 1 % of the true one, so for
    /// neighbours of one sign the result is, too.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        if self.count == 0 || !(0.0..=1.0).contains(&q) {
            return None;
        }
        let rank_max = self.count.saturating_sub(1);
        let position = q * number::from_u64(rank_max);
        let lower = number::to_u64(position).min(rank_max);
        let weight = position - number::from_u64(lower);
        let low = self.value_at(lower);
        if weight <= 0.0 || lower == rank_max {
            return Some(low);
        }
        let high = self.value_at(lower.saturating_add(1));
        Some(if low < high { low * (1.0 - weight) + high * weight } else { low })
    }

    /// The value at `rank` of the sorted values, within the error of its bucket.
    fn value_at(&self, rank: u64) -> f64 {
        if rank == 0 {
            return self.min;
        }
        if rank >= self.count.saturating_sub(1) {
            return self.max;
        }
        let negative = self.negative.iter().rev().map(|(key, times)| (-value_of(*key), *times));
        let positive = self.positive.iter().map(|(key, times)| (value_of(*key), *times));
        let mut passed = 0_u64;
        let found = negative.chain([(0.0, self.zeros)]).chain(positive).find(|(_, times)| {
            passed = passed.saturating_add(*times);
            passed > rank
        });
        found.map_or(self.max, |(value, _)| value).clamp(self.min, self.max)
    }
}

/// The bucket of a magnitude of at least [`SMALLEST`].
fn key_of(magnitude: f64) -> i32 {
    number::to_i32((magnitude.ln() / GAMMA_LN).ceil()).clamp(KEY_MIN, KEY_MAX)
}

/// The magnitude a bucket answers with.
fn value_of(key: i32) -> f64 {
    (f64::from(key) * GAMMA_LN).exp() * (2.0 / (1.0 + GAMMA))
}

/// The counts of both, ascending by key.
fn merged(left: &[Bucket], right: &[Bucket]) -> Vec<Bucket> {
    let mut out = Vec::with_capacity(left.len().max(right.len()));
    let (mut left, mut right) = (left.iter().copied(), right.iter().copied());
    let (mut one, mut other) = (left.next(), right.next());
    loop {
        match (one, other) {
            (Some(a), Some(b)) => match a.0.cmp(&b.0) {
                Ordering::Less => {
                    out.push(a);
                    one = left.next();
                }
                Ordering::Greater => {
                    out.push(b);
                    other = right.next();
                }
                Ordering::Equal => {
                    out.push((a.0, a.1.saturating_add(b.1)));
                    (one, other) = (left.next(), right.next());
                }
            },
            (Some(a), None) => {
                out.push(a);
                out.extend(left);
                return out;
            }
            (None, Some(b)) => {
                out.push(b);
                out.extend(right);
                return out;
            }
            (None, None) => return out,
        }
    }
}
