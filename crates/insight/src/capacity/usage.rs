//! What was used over a stretch of time: averages, quantiles, peaks, the week's profile.
//!
//! Not here: reading samples; forecasts (`forecast`).

use std::collections::BTreeMap;

use plimsoll_model::TimeRange;
use serde::Serialize;

use super::{HOUR_MS, Point};
use crate::robust::{quantile_sorted, real, real_i64};

/// Hours of a week.
pub const HOURS_OF_WEEK: usize = 168;
/// Hours from Monday 0:00 UTC of the week to 1970-01-01 0:00, which was a Thursday.
const EPOCH_HOUR_OF_WEEK: i64 = 72;

/// Statistics of one series, or of the sum of several, over a range.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Usage {
    /// Mean of the samples.
    pub avg: f64,
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Largest sample.
    pub max: f64,
    /// When the largest sample was, Unix milliseconds; the first of several.
    pub max_at_ms: i64,
    /// Number of samples.
    pub samples: usize,
    /// Share of the range's intervals that have a sample, 0 to 1.
    pub coverage: f64,
}

/// Sums up samples of one series inside `range`; `interval_ms`: time between two samples when
/// none is missing. `None` without samples. Values that are not finite are left out.
pub fn usage_of(points: &[Point], range: TimeRange, interval_ms: i64) -> Option<Usage> {
    let inside = points.iter().filter(|of| range.contains(of.time_ms) && of.value.is_finite());
    let inside: Vec<Point> = inside.copied().collect();
    let peak =
        inside.iter().copied().reduce(|held, of| if of.value > held.value { of } else { held })?;
    let mut sorted: Vec<f64> = inside.iter().map(|of| of.value).collect();
    sorted.sort_by(f64::total_cmp);
    let at = |share: f64| quantile_sorted(&sorted, share);
    let due = real_i64(range.len_ms()) / real_i64(interval_ms.max(1));
    Some(Usage {
        avg: sorted.iter().sum::<f64>() / real(sorted.len()),
        p50: at(0.5)?,
        p90: at(0.9)?,
        p95: at(0.95)?,
        p99: at(0.99)?,
        max: peak.value,
        max_at_ms: peak.time_ms,
        samples: sorted.len(),
        coverage: if due > 0.0 { (real(sorted.len()) / due).min(1.0) } else { 0.0 },
    })
}

/// Adds up series bucket by bucket: the largest value of the result is the *coincident* peak,
/// which the sum of peaks overstates. Within a bucket each series gives its largest sample.
///
/// A series without samples in a bucket adds nothing to it.
pub fn coincident(series: &[Vec<Point>], bucket_ms: i64) -> Vec<Point> {
    let bucket_ms = bucket_ms.max(1);
    let mut sums: BTreeMap<i64, f64> = BTreeMap::new();
    for points in series {
        let mut largest: BTreeMap<i64, f64> = BTreeMap::new();
        for of in points.iter().filter(|of| of.value.is_finite()) {
            let held = largest.entry(of.time_ms.div_euclid(bucket_ms)).or_insert(of.value);
            *held = held.max(of.value);
        }
        for (bucket, value) in largest {
            *sums.entry(bucket).or_default() += value;
        }
    }
    let point =
        |(bucket, value): (i64, f64)| Point { time_ms: bucket.saturating_mul(bucket_ms), value };
    sums.into_iter().map(point).collect()
}

/// Hour of the week of a moment, 0 being Monday 0:00 to 1:00 UTC.
pub fn hour_of_week(time_ms: i64) -> usize {
    let hours = time_ms.div_euclid(HOUR_MS).saturating_add(EPOCH_HOUR_OF_WEEK);
    usize::try_from(hours.rem_euclid(168)).unwrap_or(0)
}

/// Median and 95th percentile of one hour of the week.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct WeekHour {
    /// Median of the samples in that hour.
    pub p50: f64,
    /// 95th percentile.
    pub p95: f64,
    /// Number of samples.
    pub samples: usize,
}

/// The week's profile: one entry per hour of the week, `None` where there are no samples.
pub fn week_profile(points: &[Point]) -> Vec<Option<WeekHour>> {
    let mut hours: Vec<Vec<f64>> = vec![Vec::new(); HOURS_OF_WEEK];
    for of in points.iter().filter(|of| of.value.is_finite()) {
        if let Some(hour) = hours.get_mut(hour_of_week(of.time_ms)) {
            hour.push(of.value);
        }
    }
    let summed = hours.into_iter().map(|mut values| {
        values.sort_by(f64::total_cmp);
        let (p50, p95) = (quantile_sorted(&values, 0.5)?, quantile_sorted(&values, 0.95)?);
        Some(WeekHour { p50, p95, samples: values.len() })
    });
    summed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(values: &[f64]) -> Vec<Point> {
        (0..)
            .step_by(1_000)
            .zip(values)
            .map(|(time_ms, value)| Point { time_ms, value: *value })
            .collect()
    }

    #[test]
    fn statistics_and_coverage() {
        let found = usage_of(&points(&[1.0, 4.0, 2.0, 4.0]), TimeRange::new(0, 8_000), 1_000);
        let found = found.unwrap();
        assert!((found.avg - 2.75).abs() < 1e-12);
        assert!((found.coverage - 0.5).abs() < 1e-12);
        assert_eq!((found.max_at_ms, found.samples), (1_000, 4));
        assert!(usage_of(&[], TimeRange::new(0, 1), 1).is_none());
    }

    #[test]
    fn peaks_at_different_times_do_not_add_up() {
        let one = points(&[9.0, 1.0, 1.0]);
        let other = points(&[1.0, 1.0, 9.0]);
        let sums = coincident(&[one, other], 1_000);
        assert!((sums.iter().map(|of| of.value).fold(0.0, f64::max) - 10.0).abs() < 1e-12);
    }

    #[test]
    fn the_first_of_january_1970_was_a_thursday() {
        assert_eq!(hour_of_week(0), 72);
        assert_eq!(hour_of_week(4 * 86_400_000), 0);
        assert_eq!(hour_of_week(-1), 71);
    }
}
