//! Requests as the Vertical Pod Autoscaler recommends them.
//!
//! Target: 90th percentile; lower bound: 50th; upper bound: 95th; each with a margin of 15 %,
//! bounds widened while history is short, and floors of 25 mCPU and 250 MiB.
//!
//! # Source
//!
//! kubernetes/autoscaler, `pkg/recommender/logic` (`recommender.go`, `estimator.go`) and
//! `pkg/recommender/model` (`aggregate_container_state.go`, `container.go`).

use serde::Serialize;

use super::Point;
use super::histogram::DecayingHistogram;
use crate::robust::{real, real_i64};

/// Weight of a CPU sample.
const CPU_WEIGHT: f64 = 0.1;
/// Weight of a memory peak.
const MEMORY_WEIGHT: f64 = 1.0;
/// Length of an interval that gives one memory peak, milliseconds.
const MEMORY_INTERVAL_MS: i64 = 86_400_000;
/// Memory intervals that count.
const MEMORY_INTERVALS: i64 = 8;
/// Added to what was in use at an out-of-memory kill, bytes.
const OOM_BUMP_BYTES: f64 = 100.0 * 1_048_576.0;
/// What was in use at an out-of-memory kill is multiplied by this, if that is more.
const OOM_BUMP_RATIO: f64 = 1.2;

/// What a recommendation may be told to do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VpaOptions {
    /// Percentile of the target, 0 to 1.
    pub target: f64,
    /// Percentile of the lower bound.
    pub lower: f64,
    /// Percentile of the upper bound.
    pub upper: f64,
    /// Added to all, as a share.
    pub margin: f64,
    /// Least CPU, cores.
    pub cpu_cores_min: f64,
    /// Least memory, bytes.
    pub memory_bytes_min: f64,
}

impl Default for VpaOptions {
    fn default() -> Self {
        Self {
            target: 0.9,
            lower: 0.5,
            upper: 0.95,
            margin: 0.15,
            cpu_cores_min: 0.025,
            memory_bytes_min: 250.0 * 1_048_576.0,
        }
    }
}

/// An out-of-memory kill.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OutOfMemory {
    /// Unix milliseconds.
    pub time_ms: i64,
    /// Memory the container had reserved then, bytes; 0 when none.
    pub request_bytes: f64,
}

/// A recommended amount and its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bounds {
    /// What to reserve.
    pub target: f64,
    /// Less than this is too little.
    pub lower: f64,
    /// More than this is waste; `None` while history is too short to say.
    pub upper: Option<f64>,
}

/// A recommendation for one container of a service.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct VpaRecommendation {
    /// CPU, cores.
    pub cpu_cores: Bounds,
    /// Memory, bytes.
    pub memory_bytes: Bounds,
    /// Days of history that count as seen: the lesser of life span and samples / 1440.
    pub confidence_days: f64,
}

/// Recommends by CPU samples (cores, one a minute) and memory samples (bytes), each oldest first.
/// `None` without samples of either.
pub fn recommend(
    cpu: &[Point],
    memory: &[Point],
    kills: &[OutOfMemory],
    options: &VpaOptions,
) -> Option<VpaRecommendation> {
    let (first, last) = (cpu.first()?, cpu.last()?);
    let mut cpu_histogram = DecayingHistogram::cpu();
    for of in cpu {
        cpu_histogram.add(of.value, CPU_WEIGHT, real_i64(of.time_ms));
    }
    let memory_histogram = memory_peaks(memory, kills)?;
    let days = real_i64(last.time_ms.saturating_sub(first.time_ms)) / 86_400_000.0;
    let confidence_days = days.min(real(cpu.len()) / 1_440.0);
    let bounds = |histogram: &DecayingHistogram, floor: f64| {
        let at = |share: f64| histogram.percentile(share) * (1.0 + options.margin);
        let widened = 1.0 + 1.0 / confidence_days;
        let narrowed = (1.0 + 0.001 / confidence_days).powi(-2);
        let upper = at(options.upper) * widened;
        Bounds {
            target: at(options.target).max(floor),
            lower: (at(options.lower) * narrowed).max(floor),
            upper: upper.is_finite().then(|| upper.max(floor)),
        }
    };
    Some(VpaRecommendation {
        cpu_cores: bounds(&cpu_histogram, options.cpu_cores_min),
        memory_bytes: bounds(&memory_histogram, options.memory_bytes_min),
        confidence_days,
    })
}

/// One peak per interval of 24 h from the first sample on, the last eight of them. A kill adds
/// a peak of its own to the interval it falls in.
fn memory_peaks(memory: &[Point], kills: &[OutOfMemory]) -> Option<DecayingHistogram> {
    let first_ms = memory.first()?.time_ms;
    let interval = |time_ms: i64| time_ms.saturating_sub(first_ms).div_euclid(MEMORY_INTERVAL_MS);
    let mut peaks = std::collections::BTreeMap::<i64, f64>::new();
    let mut pending: Vec<&OutOfMemory> = kills.iter().collect();
    pending.sort_by_key(|kill| kill.time_ms);
    let mut pending = pending.into_iter().peekable();
    let mut raise = |at: i64, value: f64| {
        let held = peaks.entry(at).or_insert(value);
        *held = held.max(value);
    };
    // The peak of samples alone in the interval of the newest one: what a kill builds on.
    let mut recent = (i64::MIN, 0.0_f64);
    for of in memory {
        while let Some(kill) = pending.next_if(|kill| kill.time_ms <= of.time_ms) {
            raise(interval(kill.time_ms), after_kill(kill, recent.1));
        }
        let at = interval(of.time_ms);
        recent = (at, if recent.0 == at { recent.1.max(of.value) } else { of.value });
        raise(at, of.value);
    }
    for kill in pending {
        raise(interval(kill.time_ms), after_kill(kill, recent.1));
    }
    let newest = peaks.keys().next_back().copied()?;
    let mut histogram = DecayingHistogram::memory();
    for (at, peak) in peaks.range(newest - MEMORY_INTERVALS + 1..) {
        let end_ms = first_ms.saturating_add(MEMORY_INTERVAL_MS.saturating_mul(at + 1));
        histogram.add(*peak, MEMORY_WEIGHT, real_i64(end_ms));
    }
    Some(histogram)
}

fn after_kill(kill: &OutOfMemory, recent_peak: f64) -> f64 {
    let used = kill.request_bytes.max(recent_peak);
    (used + OOM_BUMP_BYTES).max(used * OOM_BUMP_RATIO)
}
