//! One window per step from sorted columns: the inner loop of queries and rollup building.
//!
//! Rows before the grid only serve as what came before its first step; rows after it are not
//! read. A step boundary is found by galloping, the rows between two boundaries go through one
//! straight loop. A series that comes in several columns (row groups, batches) is folded column
//! by column, oldest first; where columns were cut does not show in the result.
//!
//! Not here: the arithmetic of windows (`counter`, `gauge`), choosing a grid (`query`).

use std::ops::Range;

use crate::column::{CounterColumn, GaugeColumn, reported_runs};
use crate::counter::{CounterSample, CounterWindow, Pair};
use crate::gauge::{GaugeValue, GaugeWindow};
use crate::step::CounterStep;
use crate::steps::Steps;

impl CounterColumn<'_> {
    /// The window of the samples in `[start_ms, end_ms)`.
    #[must_use]
    pub fn window(&self, start_ms: i64, end_ms: i64) -> CounterWindow {
        self.window_of(rows_between(self.times_ms, start_ms, end_ms))
    }

    fn window_of(&self, rows: Range<usize>) -> CounterWindow {
        let mut window = CounterWindow::EMPTY;
        for run in reported_runs(self.valid, rows) {
            let times = self.times_ms.get(run.clone()).unwrap_or_default();
            let values = self.values.get(run.clone()).unwrap_or_default();
            let epochs = self.epochs.map(|epochs| epochs.get(run).unwrap_or_default());
            window.extend(times, values, epochs);
        }
        window
    }

    /// The newest reported sample among the first `rows`.
    fn last_before(&self, rows: usize) -> Option<CounterSample> {
        (0..rows).rev().find_map(|row| self.window_of(row..row.saturating_add(1)).last())
    }
}

impl<V: GaugeValue> GaugeColumn<'_, V> {
    /// The window of the samples in `[start_ms, end_ms)`.
    #[must_use]
    pub fn window(&self, start_ms: i64, end_ms: i64) -> GaugeWindow<V> {
        self.window_of(rows_between(self.times_ms, start_ms, end_ms))
    }

    fn window_of(&self, rows: Range<usize>) -> GaugeWindow<V> {
        let mut window = GaugeWindow::default();
        for run in reported_runs(self.valid, rows) {
            let times = self.times_ms.get(run.clone()).unwrap_or_default();
            window.extend(times, self.values.get(run).unwrap_or_default());
        }
        window
    }
}

/// Gives the step of every grid cell that holds samples, oldest first, as (index, step).
///
/// `previous`: the newest sample of the series older than this column, `None` at its start; left
/// at the newest sample read, for the next column. A cell that two columns share is given once
/// by each, and the two [merge](CounterStep::merge).
pub fn fold_counter(
    column: &CounterColumn<'_>,
    steps: &Steps,
    previous: &mut Option<CounterSample>,
    mut emit: impl FnMut(usize, CounterStep),
) {
    let start = column.times_ms.partition_point(|time_ms| *time_ms < steps.start_ms());
    *previous = column.last_before(start).or(*previous);
    each_segment(column.times_ms, start, steps, |index, rows| {
        let window = column.window_of(rows);
        if let Some(last) = window.last() {
            emit(index, CounterStep::new(window, previous.as_ref()));
            *previous = Some(last);
        }
    });
}

/// Gives the window of every grid cell that holds samples, oldest first, as (index, window).
///
/// A cell that two columns share is given once by each, and the two
/// [merge](GaugeWindow::merge).
pub fn fold_gauge<V: GaugeValue>(
    column: &GaugeColumn<'_, V>,
    steps: &Steps,
    mut emit: impl FnMut(usize, GaugeWindow<V>),
) {
    let start = column.times_ms.partition_point(|time_ms| *time_ms < steps.start_ms());
    each_segment(column.times_ms, start, steps, |index, rows| {
        let window = column.window_of(rows);
        if !window.is_empty() {
            emit(index, window);
        }
    });
}

/// Gives the rate per second of every pair of consecutive samples, as (time of the later sample,
/// rate): what a [`crate::Sketch`] of rates is made of. `previous` is as in [`fold_counter`].
pub fn each_rate(
    column: &CounterColumn<'_>,
    previous: &mut Option<CounterSample>,
    mut emit: impl FnMut(i64, f64),
) {
    for row in reported_runs(column.valid, 0..column.times_ms.len()).flatten() {
        let Some(sample) = column.window_of(row..row.saturating_add(1)).last() else { continue };
        let pair = previous.map(|before| Pair::between(&before, &sample));
        if let Some(rate) = pair.and_then(|pair| pair.rate_per_s()) {
            emit(sample.time_ms, rate);
        }
        *previous = Some(sample);
    }
}

/// Folds the columns of one counter into one [`CounterStep`] per step of a grid.
#[derive(Debug, Clone)]
pub struct CounterFold {
    steps: Steps,
    previous: Option<CounterSample>,
    out: Vec<CounterStep>,
}

impl CounterFold {
    /// Starts a fold; `before`: the newest sample older than the first column, if known.
    #[must_use]
    pub fn new(steps: Steps, before: Option<CounterSample>) -> Self {
        Self { steps, previous: before, out: vec![CounterStep::EMPTY; steps.len()] }
    }

    /// Folds the next column, not older than the one before.
    pub fn push(&mut self, column: &CounterColumn<'_>) {
        let out = &mut self.out;
        fold_counter(column, &self.steps, &mut self.previous, |index, step| {
            if let Some(cell) = out.get_mut(index) {
                *cell = cell.merge(&step);
            }
        });
    }

    /// One step per cell of the grid, empty where there were no samples.
    #[must_use]
    pub fn finish(self) -> Vec<CounterStep> {
        self.out
    }
}

/// Folds the columns of one gauge into one [`GaugeWindow`] per step of a grid.
#[derive(Debug, Clone)]
pub struct GaugeFold<V: GaugeValue> {
    steps: Steps,
    out: Vec<GaugeWindow<V>>,
}

impl<V: GaugeValue> GaugeFold<V> {
    /// Starts a fold.
    #[must_use]
    pub fn new(steps: Steps) -> Self {
        Self { steps, out: vec![GaugeWindow::default(); steps.len()] }
    }

    /// Folds the next column, not older than the one before.
    pub fn push(&mut self, column: &GaugeColumn<'_, V>) {
        let out = &mut self.out;
        fold_gauge(column, &self.steps, |index, window| {
            if let Some(cell) = out.get_mut(index) {
                *cell = cell.merge(&window);
            }
        });
    }

    /// One window per cell of the grid, empty where there were no samples.
    #[must_use]
    pub fn finish(self) -> Vec<GaugeWindow<V>> {
        self.out
    }
}

/// The rows of `[start_ms, end_ms)`.
fn rows_between(times_ms: &[i64], start_ms: i64, end_ms: i64) -> Range<usize> {
    let start = times_ms.partition_point(|time_ms| *time_ms < start_ms);
    start..times_ms.partition_point(|time_ms| *time_ms < end_ms).max(start)
}

/// Gives the rows of every cell that has rows, from row `start` on, which is in the grid or past
/// its end.
fn each_segment(
    times_ms: &[i64],
    start: usize,
    steps: &Steps,
    mut emit: impl FnMut(usize, Range<usize>),
) {
    let mut row = start;
    while let Some(time_ms) = times_ms.get(row) {
        let Some(index) = steps.index_of(*time_ms) else { return };
        let Some((_, end_ms)) = steps.bounds(index) else { return };
        let end = gallop(times_ms, row.saturating_add(1), end_ms);
        emit(index, row..end);
        row = end;
    }
}

/// The first row from `row` on whose time is not before `end_ms`: doubles its stride, then
/// halves, so that a short segment costs little and a long one a logarithm.
fn gallop(times_ms: &[i64], row: usize, end_ms: i64) -> usize {
    let (mut low, mut stride) = (row, 1_usize);
    let high = loop {
        let probe = low.saturating_add(stride);
        match times_ms.get(probe) {
            Some(at_ms) if *at_ms < end_ms => low = probe,
            _ => break probe.min(times_ms.len()),
        }
        stride = stride.saturating_mul(2);
    };
    let between = times_ms.get(low..high).unwrap_or_default();
    low.saturating_add(between.partition_point(|at_ms| *at_ms < end_ms))
}
