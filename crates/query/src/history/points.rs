//! Statistics of single points: joins points of several series by time, takes one value per step.
//!
//! Quantiles are exact and linear between neighbours, as PromQL's `quantile_over_time`.

use plimsoll_window::Steps;

use super::Stat;

/// One value at one time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub(super) time_ms: i64,
    pub(super) value: f64,
}

/// What values of one time become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Join {
    /// Their sum.
    Sum,
    /// The largest.
    Max,
}

/// The points of all series with one point per time; each series is sorted by time.
pub(super) fn joined(mut series: Vec<Vec<Point>>, join: Join) -> Vec<Point> {
    if series.len() < 2 {
        return series.pop().unwrap_or_default();
    }
    let mut all: Vec<Point> = series.into_iter().flatten().collect();
    all.sort_by_key(|point| point.time_ms);
    let mut points: Vec<Point> = Vec::with_capacity(all.len());
    for point in all {
        match points.last_mut() {
            Some(last) if last.time_ms == point.time_ms => match join {
                Join::Sum => last.value += point.value,
                Join::Max => last.value = last.value.max(point.value),
            },
            _ => points.push(point),
        }
    }
    points
}

/// One value per step of points sorted by time.
pub(super) fn each_step(points: Vec<Point>, steps: &Steps, stat: Stat) -> Vec<Option<f64>> {
    let mut out = vec![None; steps.len()];
    let mut points = points.into_iter().peekable();
    let mut cell: Vec<f64> = Vec::new();
    while let Some(first) = points.next() {
        let Some(index) = steps.index_of(first.time_ms) else { continue };
        let end_ms = steps.bounds(index).map_or(i64::MAX, |(_, end_ms)| end_ms);
        cell.clear();
        cell.push(first.value);
        while let Some(point) = points.next_if(|point| point.time_ms < end_ms) {
            cell.push(point.value);
        }
        if let Some(place) = out.get_mut(index) {
            *place = value_of(&mut cell, stat);
        }
    }
    out
}

/// The statistic of values in any order.
#[expect(clippy::cast_precision_loss, reason = "a step has far fewer than 2^53 values")]
fn value_of(values: &mut [f64], stat: Stat) -> Option<f64> {
    let sum = || values.iter().sum::<f64>();
    match stat {
        Stat::Sum => (!values.is_empty()).then(sum),
        Stat::Avg => (!values.is_empty()).then(|| sum() / values.len() as f64),
        Stat::Min => values.iter().copied().reduce(f64::min),
        Stat::Max => values.iter().copied().reduce(f64::max),
        Stat::Quantile(hundredths) => quantile(values, hundredths),
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rank lies between 0 and the number of values of one step"
)]
fn quantile(values: &mut [f64], hundredths: u8) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    let rank = f64::from(hundredths) / 100.0 * last as f64;
    let (below, above) = (*values.get(rank.floor() as usize)?, *values.get(rank.ceil() as usize)?);
    Some(if below < above { below + (above - below) * rank.fract() } else { below })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_linear_between_neighbours() {
        let p50 = Stat::Quantile(50);
        assert_eq!(value_of(&mut [3.0, 1.0, 2.0], p50), Some(2.0));
        assert_eq!(value_of(&mut [1.0, 2.0], p50), Some(1.5));
        assert_eq!(value_of(&mut [4.0], Stat::Quantile(99)), Some(4.0));
        assert_eq!(value_of(&mut [], p50), None);
        assert_eq!(value_of(&mut [f64::INFINITY, f64::INFINITY], p50), Some(f64::INFINITY));
    }

    #[test]
    fn points_of_one_time_are_joined_before_the_statistic() {
        let point = |time_ms, value| Point { time_ms, value };
        let one = vec![point(0, 1.0), point(1, 5.0), point(12, 2.0)];
        let other = vec![point(0, 4.0), point(1, 1.0)];
        let steps = Steps::new(0, 20, 10).unwrap();
        let sums = joined(vec![one.clone(), other.clone()], Join::Sum);
        assert_eq!(each_step(sums.clone(), &steps, Stat::Max), [Some(6.0), Some(2.0)]);
        assert_eq!(each_step(sums, &steps, Stat::Avg), [Some(5.5), Some(2.0)]);
        let most = joined(vec![one, other], Join::Max);
        assert_eq!(each_step(most, &steps, Stat::Sum), [Some(9.0), Some(2.0)]);
    }
}
