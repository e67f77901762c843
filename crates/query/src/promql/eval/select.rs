//! Instant selectors: the newest sample of each series that is not too old.

use super::{ABSENT, Evaluator, Grid, Row};
use crate::promql::ast::{Extension, VectorSelector};
use crate::promql::error::QueryError;
use crate::promql::is_stale;
use crate::promql::plan::Reach;
use crate::promql::source::Series;

impl Evaluator<'_> {
    /// The value of each series at each step. Series without any are left out.
    pub(super) fn select(
        &mut self,
        selector: &VectorSelector,
        grid: Grid,
    ) -> Result<Vec<Row>, QueryError> {
        let reach = self.times.selector(selector)?;
        let lookback_ms = self.times.lookback_ms;
        self.select_rows(selector.slot, grid, |series, grid| match reach.extension {
            Extension::None => newest_values(series, grid, reach, lookback_ms),
            Extension::Anchored | Extension::Smoothed => {
                smoothed_values(series, grid, reach, lookback_ms)
            }
        })
    }

    /// The time in seconds of the sample that [`Self::select`] would take.
    pub(super) fn select_times(
        &mut self,
        selector: &VectorSelector,
        grid: Grid,
    ) -> Result<Vec<Row>, QueryError> {
        let reach = self.times.selector(selector)?;
        let lookback_ms = self.times.lookback_ms;
        self.select_rows(selector.slot, grid, |series, grid| {
            let time = |index: usize| series.times[index] as f64 / 1000.0;
            newest(series, grid, reach, lookback_ms, time)
        })
    }

    /// The sample times of info series, in milliseconds, looked up at the steps themselves.
    pub(super) fn select_info_times(
        &mut self,
        slot: usize,
        grid: Grid,
    ) -> Result<Vec<Row>, QueryError> {
        let lookback_ms = self.times.lookback_ms;
        self.select_rows(slot, grid, |series, grid| {
            newest(series, grid, Reach::PLAIN, lookback_ms, |index| series.times[index] as f64)
        })
    }

    fn select_rows(
        &mut self,
        slot: usize,
        grid: Grid,
        values_of: impl Fn(&Series, Grid) -> Vec<f64>,
    ) -> Result<Vec<Row>, QueryError> {
        let count = self.take_series(slot).len();
        let mut rows = Vec::with_capacity(count);
        for index in 0..count {
            self.charge(grid.steps)?;
            let Some(series) = self.take_series(slot).get(index) else {
                continue;
            };
            let row = Row {
                labels: series.labels.clone(),
                drops_name: false,
                values: values_of(series, grid),
            };
            if !row.is_empty() {
                rows.push(row);
            }
        }
        Ok(rows)
    }
}

fn newest_values(series: &Series, grid: Grid, reach: Reach, lookback_ms: i64) -> Vec<f64> {
    newest(series, grid, reach, lookback_ms, |index| series.values[index])
}

/// What `value_of` says about the newest sample that is younger than the look-back, per step.
fn newest(
    series: &Series,
    grid: Grid,
    reach: Reach,
    lookback_ms: i64,
    value_of: impl Fn(usize) -> f64,
) -> Vec<f64> {
    let mut values = Vec::with_capacity(grid.steps);
    // How many samples are not after the step.
    let mut until = 0;
    for step in 0..grid.steps {
        let time_ms = reach.end_ms(grid.time_ms(step));
        while series.times.get(until).is_some_and(|sample_ms| *sample_ms <= time_ms) {
            until += 1;
        }
        let found = until.checked_sub(1).filter(|index| {
            series.times[*index] > time_ms.saturating_sub(lookback_ms)
                && !is_stale(series.values[*index])
        });
        values.push(found.map_or(ABSENT, &value_of));
    }
    values
}

/// Values interpolated between the samples around each step.
fn smoothed_values(series: &Series, grid: Grid, reach: Reach, lookback_ms: i64) -> Vec<f64> {
    let series = super::range::without_stale(series);
    let (times, samples) = (&series.times, &series.values);
    let mut values = Vec::with_capacity(grid.steps);
    for step in 0..grid.steps {
        let time_ms = reach.end_ms(grid.time_ms(step));
        let at = times.partition_point(|sample_ms| *sample_ms < time_ms);
        let next = times
            .get(at)
            .filter(|sample_ms| **sample_ms <= time_ms.saturating_add(lookback_ms))
            .map(|sample_ms| (*sample_ms, samples[at]));
        let last = at
            .checked_sub(1)
            .filter(|index| times[*index] > time_ms.saturating_sub(lookback_ms))
            .map(|index| (times[index], samples[index]));
        values.push(match (last, next) {
            (_, Some((sample_ms, value))) if sample_ms == time_ms => value,
            (Some(last), Some(next)) => super::extended::interpolate(last, next, time_ms, false),
            (Some((_, value)), None) => value,
            (None, _) => ABSENT,
        });
    }
    values
}
