//! How unusual one metric of one subject was in a window: pure arithmetic on its samples.
//!
//! Values are compared as logarithms, so that doubling counts alike for small and large users,
//! and a window is judged by what windows of its own length did before: a metric that often
//! moves needs to move more. The median of the window less the median of the baseline, divided by
//! the spread of that difference over all baseline windows, is the *shift* `z`.
//!
//! Not here: which metrics are looked at (`metrics`), how subjects come together (`rank`).

use serde::Serialize;

use crate::robust::{
    KolmogorovSmirnov, interquartile_range, kolmogorov_smirnov, median, real, sigma,
};

/// Baseline samples that must be there before a change is judged.
pub const BASELINE_SAMPLES_MIN: usize = 3;
/// Changes smaller than about this share are never unusual, however steady the past was.
const SHARE_FLOOR: f64 = 0.03;
/// Samples on one side of the window that make a level of their own.
const SIDE_SAMPLES_MIN: usize = 8;
/// Shift of the level after against the level before from which the past alone is the baseline.
const RETURNED_Z_MAX: f64 = 3.0;
/// How much of the window's own change the level after must keep to count as not returned.
const RETURNED_SHARE_MAX: f64 = 0.5;
/// Most baseline windows that are looked at.
const WINDOWS_MAX: usize = 64;
/// Slack of the change-point search, in standard deviations.
const CUSUM_SLACK: f64 = 0.5;
/// Sum at which the change-point search is sure, in standard deviations.
const CUSUM_ALARM: f64 = 4.0;

/// Samples of one metric of one subject, each side in time order.
#[derive(Debug, Clone, Copy)]
pub struct Samples<'a> {
    /// Values before the window.
    pub before: &'a [f64],
    /// Unix milliseconds and values inside.
    pub window: &'a [(i64, f64)],
    /// Values after the window, as far as time has passed since; may be empty.
    pub after: &'a [f64],
}

/// Which way a metric went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// More than before.
    Up,
    /// Less than before.
    Down,
}

/// How one metric of one subject differed, and the numbers that say so.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// Median over the baseline, in the metric's unit.
    pub baseline_median: f64,
    /// Median in the window.
    pub window_median: f64,
    /// Which way.
    pub direction: Direction,
    /// Shift of the median, in spreads of the subject's own windows of this length; signed.
    pub z: f64,
    /// Largest distance of a sample from the baseline's median, in interquartile ranges.
    pub iqr_distance: f64,
    /// Two-sample test of window against baseline.
    pub ks: KolmogorovSmirnov,
    /// Change of the mean, as a share of the baseline's mean (0.5: half more); `None` when the
    /// baseline's mean is 0.
    pub volume_change: Option<f64>,
    /// When it began, Unix milliseconds; `None` when no moment stands out.
    pub onset_ms: Option<i64>,
    /// Samples in the baseline.
    pub baseline_samples: usize,
    /// Samples in the window.
    pub window_samples: usize,
    /// Whether samples after the window were part of the baseline.
    pub after_used: bool,
}

/// Judges one metric. `quiet`: a level, in the metric's unit, below which values are as good as
/// nothing; must be above 0. `None` when there are too few samples.
pub fn change_of(samples: &Samples<'_>, quiet: f64) -> Option<Change> {
    let log = |value: f64| (value.max(0.0) + quiet).ln();
    let inside: Vec<f64> = samples.window.iter().map(|(_, value)| *value).collect();
    let inside_log: Vec<f64> = inside.iter().map(|value| log(*value)).collect();
    let before: Vec<f64> = samples.before.iter().map(|value| log(*value)).collect();
    let after: Vec<f64> = samples.after.iter().map(|value| log(*value)).collect();
    let length = inside.len();
    let middle = median(&inside_log)?;
    let after_used = !after.is_empty() && came_back(&before, middle, &after, length);
    let mut baseline = samples.before.to_vec();
    let mut baseline_log = before;
    if after_used {
        baseline.extend_from_slice(samples.after);
        baseline_log.extend(after);
    }
    if baseline.len() < BASELINE_SAMPLES_MIN {
        return None;
    }
    let usual = median(&baseline_log)?;
    let shift = middle - usual;
    let z = shift / spread_of_windows(&baseline_log, length, usual)?.hypot(SHARE_FLOOR);
    let baseline_median = median(&baseline)?;
    let iqr = interquartile_range(&baseline)? + 0.01 * baseline_median.abs() + f64::MIN_POSITIVE;
    let farthest = inside.iter().map(|value| (value - baseline_median).abs()).fold(0.0, f64::max);
    let mean = |values: &[f64]| values.iter().sum::<f64>() / real(values.len().max(1));
    let (mean_before, mean_inside) = (mean(&baseline), mean(&inside));
    Some(Change {
        baseline_median,
        window_median: median(&inside)?,
        direction: if shift >= 0.0 { Direction::Up } else { Direction::Down },
        z,
        iqr_distance: (farthest / iqr).min(1e6),
        ks: kolmogorov_smirnov(&baseline, &inside)?,
        volume_change: (mean_before > 0.0).then(|| mean_inside / mean_before - 1.0),
        onset_ms: onset(samples.window, &inside_log, usual, sigma(&baseline_log)?, shift),
        baseline_samples: baseline.len(),
        window_samples: length,
        after_used,
    })
}

/// Whether the level after the window is the level before it, so that both sides are "usual".
/// What never came back (a new release, an outage that lasts) must not dilute its own baseline.
fn came_back(before: &[f64], middle: f64, after: &[f64], length: usize) -> bool {
    if before.len() < SIDE_SAMPLES_MIN || after.len() < SIDE_SAMPLES_MIN {
        return true;
    }
    let (Some(was), Some(is)) = (median(before), median(after)) else { return true };
    let spread = spread_of_windows(before, length, was).unwrap_or(0.0);
    let moved = (is - was).abs();
    moved <= RETURNED_Z_MAX * spread.hypot(0.05)
        || moved <= RETURNED_SHARE_MAX * (middle - was).abs()
}

/// Spread of the medians of all stretches of `length` samples around the median of all.
fn spread_of_windows(baseline: &[f64], length: usize, usual: f64) -> Option<f64> {
    if length == 0 || baseline.len() < 2 * length + 4 {
        let away: Vec<f64> = baseline.iter().map(|value| value - usual).collect();
        return sigma(&away);
    }
    let windows = baseline.len() - length + 1;
    let stride = windows.div_ceil(WINDOWS_MAX).max(1);
    let moved = baseline.windows(length).step_by(stride);
    let moved: Vec<f64> = moved.filter_map(median).map(|value| value - usual).collect();
    sigma(&moved)
}

/// Page's one-sided CUSUM: the sample after the last moment at which nothing had changed yet.
fn onset(window: &[(i64, f64)], logs: &[f64], usual: f64, spread: f64, shift: f64) -> Option<i64> {
    let sign = shift.signum();
    let spread = spread.hypot(SHARE_FLOOR);
    let mut sum = 0.0;
    let mut since = None;
    for ((time_ms, _), value) in window.iter().zip(logs) {
        let next: f64 = sum + sign * (value - usual) / spread - CUSUM_SLACK;
        if next <= 0.0 {
            since = None;
            sum = 0.0;
            continue;
        }
        since = since.or(Some(*time_ms));
        sum = next;
        if sum >= CUSUM_ALARM {
            return since;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(samples: usize) -> Vec<f64> {
        (0..samples).map(|index| 100.0 + real(index % 5)).collect()
    }

    fn change(before: &[f64], window: &[f64], after: &[f64]) -> Change {
        let window: Vec<(i64, f64)> = (0..).step_by(1_000).zip(window.iter().copied()).collect();
        change_of(&Samples { before, window: &window, after }, 1.0).unwrap()
    }

    #[test]
    fn a_doubled_metric_stands_out_and_begins_where_it_doubled() {
        let found = change(&wave(60), &[101.0, 103.0, 200.0, 204.0, 201.0, 205.0], &[]);
        assert!(found.z > 10.0, "{found:?}");
        assert_eq!(found.direction, Direction::Up);
        assert_eq!(found.onset_ms, Some(2_000));
        assert!(found.volume_change.unwrap() > 0.5);
    }

    #[test]
    fn more_of_the_same_does_not_stand_out() {
        let found = change(&wave(60), &wave(10), &wave(60));
        assert!(found.z.abs() < 1.0, "{found:?}");
        assert_eq!(found.onset_ms, None);
        assert!(found.after_used);
    }

    #[test]
    fn a_level_that_never_came_back_is_compared_with_the_past_only() {
        let found = change(&wave(60), &[300.0; 6], &[300.0; 60]);
        assert!(!found.after_used);
        assert!(found.z > 10.0);
    }

    #[test]
    fn too_little_past_says_nothing() {
        let window = [(0, 1.0)];
        assert_eq!(
            change_of(&Samples { before: &[1.0, 2.0], window: &window, after: &[] }, 1.0),
            None
        );
    }

    proptest::proptest! {
        #[test]
        fn scaling_all_values_changes_no_z(factor in 10.0..1000.0_f64, level in 1.0..9.0_f64) {
            let scaled =
                |values: &[f64]| -> Vec<f64> { values.iter().map(|v| v * factor).collect() };
            let window = [(0, 100.0 * level), (1, 101.0 * level)];
            let large = [(0, 100.0 * level * factor), (1, 101.0 * level * factor)];
            let one = change_of(&Samples { before: &wave(40), window: &window, after: &[] }, 1e-9);
            let other = change_of(
                &Samples { before: &scaled(&wave(40)), window: &large, after: &[] },
                1e-9,
            );
            proptest::prop_assert!((one.unwrap().z - other.unwrap().z).abs() < 1e-6);
        }
    }
}
