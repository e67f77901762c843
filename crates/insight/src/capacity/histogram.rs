//! The decaying histogram of the Vertical Pod Autoscaler.
//!
//! Buckets grow exponentially: bucket `n` begins at `first * (ratio^n - 1) / (ratio - 1)`. A
//! sample weighs twice as much as one a half-life older. A percentile is the upper edge of the
//! bucket in which the cumulative weight reaches it.
//!
//! # Source
//!
//! `pkg/recommender/util` of kubernetes/autoscaler: `histogram.go`, `histogram_options.go`,
//! `decaying_histogram.go`.

use crate::robust::{index_of, real};

/// Weight below which a bucket counts as empty: 0.001 of the smallest sample weight.
const EPSILON: f64 = 0.001 * 0.1;
/// Growth of bucket sizes.
const RATIO: f64 = 1.05;
/// Half-lives after which the weights are scaled back.
const DECAY_EXPONENT_MAX: f64 = 100.0;

/// A histogram whose samples lose half their weight every half-life.
#[derive(Debug, Clone, PartialEq)]
pub struct DecayingHistogram {
    first: f64,
    half_life_ms: f64,
    weights: Vec<f64>,
    total: f64,
    lowest: usize,
    highest: usize,
    reference_ms: Option<f64>,
}

impl DecayingHistogram {
    /// An empty histogram whose first bucket is `first` wide and whose last one holds `max`.
    pub fn new(first: f64, max: f64, half_life_ms: f64) -> Self {
        let buckets = ((max * (RATIO - 1.0) / first + 1.0).ln() / RATIO.ln()).ceil() + 1.0;
        let buckets = index_of(buckets, 1 << 16).max(2);
        Self {
            first,
            half_life_ms,
            weights: vec![0.0; buckets],
            total: 0.0,
            lowest: buckets - 1,
            highest: 0,
            reference_ms: None,
        }
    }

    /// For CPU: first bucket 0.01 cores, up to 1000 cores, half-life 24 h.
    pub fn cpu() -> Self {
        Self::new(0.01, 1_000.0, 86_400_000.0)
    }

    /// For memory: first bucket 10 MB, up to 1 TB, half-life 24 h.
    pub fn memory() -> Self {
        Self::new(1e7, 1e12, 86_400_000.0)
    }

    /// Adds a sample.
    pub fn add(&mut self, value: f64, weight: f64, time_ms: f64) {
        let weight = weight * self.decay(time_ms);
        let bucket = self.bucket(value);
        if let Some(held) = self.weights.get_mut(bucket) {
            *held += weight;
            self.total += weight;
            if *held >= EPSILON {
                self.lowest = self.lowest.min(bucket);
                self.highest = self.highest.max(bucket);
            }
        }
    }

    /// Takes back a sample that was added with the same value, weight and time.
    pub fn subtract(&mut self, value: f64, weight: f64, time_ms: f64) {
        let weight = weight * self.decay(time_ms);
        let bucket = self.bucket(value);
        if let Some(held) = self.weights.get_mut(bucket) {
            self.total = (self.total - weight).max(0.0);
            *held = (*held - weight).max(0.0);
        }
        self.find_edges();
    }

    /// Whether no bucket holds weight.
    pub fn is_empty(&self) -> bool {
        self.weights.get(self.lowest).is_none_or(|weight| *weight < EPSILON)
    }

    /// The value below which `share` (0 to 1) of the weight lies: a bucket's upper edge; 0 when
    /// empty.
    pub fn percentile(&self, share: f64) -> f64 {
        if self.is_empty() {
            return 0.0;
        }
        let threshold = share * self.total;
        let mut sum = 0.0;
        let mut bucket = self.lowest;
        while bucket < self.highest {
            sum += self.weights.get(bucket).copied().unwrap_or(0.0);
            if sum >= threshold {
                break;
            }
            bucket += 1;
        }
        let last = self.weights.len() - 1;
        self.start_of(if bucket < last { bucket + 1 } else { bucket })
    }

    fn bucket(&self, value: f64) -> usize {
        if value < self.first {
            return 0;
        }
        let place = (value * (RATIO - 1.0) / self.first + 1.0).ln() / RATIO.ln();
        index_of(place.floor(), self.weights.len() - 1)
    }

    fn start_of(&self, bucket: usize) -> f64 {
        self.first * (RATIO.powf(real(bucket)) - 1.0) / (RATIO - 1.0)
    }

    fn decay(&mut self, time_ms: f64) -> f64 {
        let rounded = (time_ms / self.half_life_ms).round() * self.half_life_ms;
        let reference_ms = *self.reference_ms.get_or_insert(rounded);
        let mut age = (time_ms - reference_ms) / self.half_life_ms;
        if age > DECAY_EXPONENT_MAX {
            let factor = ((reference_ms - rounded) / self.half_life_ms).round().exp2();
            for weight in &mut self.weights {
                *weight *= factor;
            }
            self.total *= factor;
            self.reference_ms = Some(rounded);
            age = (time_ms - rounded) / self.half_life_ms;
            self.find_edges();
        }
        age.exp2()
    }

    fn find_edges(&mut self) {
        let full = |weight: &f64| *weight >= EPSILON;
        let last = self.weights.len() - 1;
        self.lowest = self.weights.iter().position(full).unwrap_or(last);
        self.highest = self.weights.iter().rposition(full).unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_by_hand() {
        // Buckets begin at 0, 0.01, 0.0205, 0.031525, ...
        let mut histogram = DecayingHistogram::cpu();
        assert!(histogram.percentile(0.5).abs() < 1e-12);
        histogram.add(0.005, 1.0, 0.0);
        assert!((histogram.percentile(0.5) - 0.01).abs() < 1e-12);
        for _ in 0..3 {
            histogram.add(0.015, 1.0, 0.0);
        }
        // A quarter of the weight lies in the first bucket.
        assert!((histogram.percentile(0.25) - 0.01).abs() < 1e-12);
        assert!((histogram.percentile(0.26) - 0.0205).abs() < 1e-12);
        histogram.add(0.025, 4.0, 0.0);
        assert!((histogram.percentile(0.9) - 0.031_525).abs() < 1e-12);
    }

    #[test]
    fn a_sample_a_half_life_younger_weighs_twice() {
        let mut histogram = DecayingHistogram::cpu();
        histogram.add(0.005, 2.0, 0.0);
        histogram.add(0.015, 1.0, 86_400_000.0);
        assert!((histogram.percentile(0.5) - 0.01).abs() < 1e-12);
        assert!((histogram.percentile(0.51) - 0.0205).abs() < 1e-12);
    }

    #[test]
    fn what_is_taken_back_was_never_there() {
        let mut histogram = DecayingHistogram::memory();
        histogram.add(5e8, 1.0, 0.0);
        histogram.subtract(5e8, 1.0, 0.0);
        assert!(histogram.is_empty());
    }

    #[test]
    fn very_old_samples_fade_without_overflow() {
        let mut histogram = DecayingHistogram::cpu();
        histogram.add(10.0, 1.0, 0.0);
        histogram.add(0.005, 1.0, 86_400_000.0 * 2_000.0);
        assert!((histogram.percentile(0.99) - 0.01).abs() < 1e-12);
    }
}
