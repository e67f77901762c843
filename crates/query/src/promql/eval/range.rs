//! Functions of ranges: slides a window over the samples of each series.

use std::borrow::Cow;
use std::collections::VecDeque;

use super::extended::{allowed, extended_samples, extended_value};
use super::window::{Resets, Window};
use super::{ABSENT, Evaluator, Grid, Row, is_absent, merge_same_labels};
use crate::promql::annotations::Note;
use crate::promql::ast::{Call, Expr, Extension, Span};
use crate::promql::error::QueryError;
use crate::promql::functions::WindowFunction;
use crate::promql::is_stale;
use crate::promql::labels::Labels;
use crate::promql::plan::Reach;
use crate::promql::source::Series;

/// Endings of names that counters have.
const COUNTER_ENDINGS: [&str; 4] = ["_total", "_sum", "_count", "_bucket"];

/// Samples of one series, without stale ones.
pub(super) struct Samples<'s> {
    pub(super) labels: &'s Labels,
    pub(super) drops_name: bool,
    pub(super) times: &'s [i64],
    pub(super) values: &'s [f64],
    /// When each sample began to count; empty where not known.
    pub(super) starts_ms: &'s [i64],
}

impl Evaluator<'_> {
    /// Evaluates a function of ranges.
    pub(super) fn window_call(
        &mut self,
        call: &Call,
        function: WindowFunction,
        grid: Grid,
    ) -> Result<Vec<Row>, QueryError> {
        let Some(range) = range_argument(call) else {
            return Err(QueryError::Unchecked { span: call.span });
        };
        check_extension(call, function, range)?;
        let mut params = Vec::new();
        for arg in call.args.iter().filter(|arg| !std::ptr::eq(arg.bare(), range)) {
            params.push((self.scalar(arg, grid)?, arg.bare().span()));
        }
        // Functions that are like an offset keep the name.
        let keeps = matches!(function, WindowFunction::First | WindowFunction::Last);
        let mut rows = Vec::new();
        self.each_series(range, grid, |evaluator, reach, samples| {
            let values = series_values(reach, &samples, function, &params, grid);
            let drops_name = samples.drops_name || !keeps;
            let row = Row { labels: samples.labels.clone(), drops_name, values };
            if !row.is_empty() {
                evaluator.check_counter(function, &row.labels, range.span());
                rows.push(row);
            }
            Ok(())
        })?;
        if !rows.is_empty() {
            self.check_params(function, &params)?;
        }
        Ok(rows)
    }

    /// Evaluates `absent_over_time`.
    pub(super) fn absent_over_time(
        &mut self,
        call: &Call,
        grid: Grid,
    ) -> Result<Vec<Row>, QueryError> {
        let Some(range) = range_argument(call) else {
            return Err(QueryError::Unchecked { span: call.span });
        };
        if !matches!(extension_of(range), Extension::None) {
            check_extension(call, WindowFunction::Present, range)?;
        }
        let mut values = vec![1.0; grid.steps];
        self.each_series(range, grid, |_, reach, samples| {
            slide(reach, &samples, grid, |step, window| {
                if !window.values.is_empty() {
                    values[step] = ABSENT;
                }
            });
            Ok(())
        })?;
        let labels = super::instant::absent_labels(range);
        Ok(vec![Row { labels, drops_name: true, values }])
    }

    /// The samples of a range vector at one time, sorted by labels.
    pub(in crate::promql) fn matrix(
        &mut self,
        range: &Expr,
        grid: Grid,
    ) -> Result<Vec<Series>, QueryError> {
        let mut out = Vec::new();
        self.each_series(range, grid, |_, reach, samples| {
            slide(reach, &samples, grid, |_, window| {
                let pairs: Vec<(i64, f64)> = match reach.extension {
                    Extension::None => {
                        window.times.iter().copied().zip(window.values.iter().copied()).collect()
                    }
                    extension => extended_samples(window, extension),
                };
                let (times, values): (Vec<i64>, Vec<f64>) = pairs.into_iter().unzip();
                let labels = if samples.drops_name {
                    samples.labels.without_metadata()
                } else {
                    samples.labels.clone()
                };
                if !times.is_empty() {
                    out.push(Series::new(labels, times, values));
                }
            });
            Ok(())
        })?;
        out.sort_by(|a, b| a.labels.cmp(&b.labels));
        if out.array_windows::<2>().any(|pair| pair[0].labels == pair[1].labels) {
            return Err(QueryError::SameLabels);
        }
        Ok(out)
    }

    /// Hands over the samples of each series of a range selector or subquery.
    fn each_series(
        &mut self,
        range: &Expr,
        grid: Grid,
        mut visit: impl FnMut(&mut Self, Reach, Samples<'_>) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        match range {
            Expr::Matrix(matrix) => {
                let reach = self.times.ranged(&matrix.selector, &matrix.range)?;
                let slot = matrix.selector.slot;
                let all = self.data.get_mut(slot).map(std::mem::take).unwrap_or_default();
                for series in &all {
                    self.charge(grid.steps)?;
                    let series = without_stale(series);
                    visit(self, reach, Samples::of(&series))?;
                }
                if let Some(place) = self.data.get_mut(slot) {
                    *place = all;
                }
                Ok(())
            }
            Expr::Subquery(subquery) => {
                let (reach, inner) = self.times.subquery(subquery, grid)?;
                let rows = self.vector(&subquery.expr, inner)?;
                for row in merge_same_labels(rows)? {
                    self.charge(grid.steps)?;
                    let there = row.values.iter().enumerate().filter(|(_, v)| !is_absent(**v));
                    let (times, values): (Vec<i64>, Vec<f64>) =
                        there.map(|(step, value)| (inner.time_ms(step), *value)).unzip();
                    let series = Series::new(row.labels, times, values);
                    let drops_name = row.drops_name;
                    visit(self, reach, Samples { drops_name, ..Samples::of(&series) })?;
                }
                Ok(())
            }
            _ => Err(QueryError::Unchecked { span: range.span() }),
        }
    }

    fn check_counter(&mut self, function: WindowFunction, labels: &Labels, span: Span) {
        let name = labels.metric_name();
        let counted = matches!(function, WindowFunction::Rate | WindowFunction::Increase);
        if counted && !name.is_empty() && !COUNTER_ENDINGS.iter().any(|end| name.ends_with(end)) {
            self.note(&Note::NotCounter { metric: name.to_owned() }, span);
        }
    }

    fn check_params(
        &mut self,
        function: WindowFunction,
        params: &[(Vec<f64>, Span)],
    ) -> Result<(), QueryError> {
        if function == WindowFunction::Quantile {
            for (values, span) in params {
                self.check_quantiles(values, *span);
            }
        }
        if function == WindowFunction::DoubleExponentialSmoothing {
            for ((values, _), (what, letter)) in
                params.iter().zip([("smoothing", 's'), ("trend", 't')])
            {
                if let Some(found) = values.iter().find(|value| **value <= 0.0 || **value >= 1.0) {
                    return Err(QueryError::Smoothing { what, letter, found: *found });
                }
            }
        }
        Ok(())
    }

    /// Notes quantiles outside `[0, 1]`.
    pub(super) fn check_quantiles(&mut self, values: &[f64], span: Span) {
        for found in values {
            if !(0.0..=1.0).contains(found) {
                self.note(&Note::Quantile { found: *found }, span);
            }
        }
    }
}

/// The argument that is a range.
fn range_argument(call: &Call) -> Option<&Expr> {
    call.args.iter().map(Expr::bare).find(|arg| matches!(arg, Expr::Matrix(_) | Expr::Subquery(_)))
}

fn extension_of(range: &Expr) -> Extension {
    match range {
        Expr::Matrix(matrix) => matrix.selector.extension,
        _ => Extension::None,
    }
}

fn check_extension(call: &Call, function: WindowFunction, range: &Expr) -> Result<(), QueryError> {
    let extension = extension_of(range);
    if allowed(function, extension) {
        return Ok(());
    }
    let (modifier, allowed) = match extension {
        Extension::Smoothed => ("smoothed", "delta, increase, rate"),
        _ => ("anchored", "changes, delta, increase, rate, resets"),
    };
    Err(QueryError::Extension { modifier, allowed, function: call.function.name })
}

/// A series without the samples that end it.
pub(super) fn without_stale(series: &Series) -> Cow<'_, Series> {
    if !series.values.iter().any(|value| is_stale(*value)) {
        return Cow::Borrowed(series);
    }
    let mut left = Series::new(series.labels.clone(), Vec::new(), Vec::new());
    for (index, (time, value)) in series.times.iter().zip(&series.values).enumerate() {
        if !is_stale(*value) {
            left.times.push(*time);
            left.values.push(*value);
            left.starts_ms.extend(series.starts_ms.get(index));
        }
    }
    Cow::Owned(left)
}

impl<'s> Samples<'s> {
    fn of(series: &'s Series) -> Self {
        let Series { labels, times, values, starts_ms } = series;
        Self { labels, drops_name: false, times, values, starts_ms }
    }

    /// Whether a counter restarted between a sample and the one before it.
    fn restarts(&self, index: usize) -> bool {
        self.values[index] < self.values[index - 1] || self.begins_anew(index)
    }

    /// Whether a sample began to count after the one before it was taken.
    ///
    /// A start at the time of the sample before means growth since then; it is only believed where
    /// that sample has a start too, because OpenTelemetry also writes it for an unknown one. A
    /// start that is not before its own sample is not believed at all.
    fn begins_anew(&self, index: usize) -> bool {
        let start_of = |index: usize| {
            let start_ms = self.starts_ms.get(index).copied().unwrap_or(0);
            Some(start_ms).filter(|start_ms| *start_ms != 0 && *start_ms < self.times[index])
        };
        let Some(start_ms) = start_of(index) else {
            return false;
        };
        let before_ms = self.times[index - 1];
        start_ms > before_ms || (start_ms == before_ms && start_of(index - 1).is_some())
    }
}

fn series_values(
    reach: Reach,
    samples: &Samples<'_>,
    function: WindowFunction,
    params: &[(Vec<f64>, Span)],
    grid: Grid,
) -> Vec<f64> {
    if let (Extension::None, WindowFunction::Min | WindowFunction::Max) =
        (reach.extension, function)
    {
        return extreme_values(reach, samples, function == WindowFunction::Max, grid);
    }
    let mut values = vec![ABSENT; grid.steps];
    let param = |index: usize, step: usize| {
        params.get(index).and_then(|(values, _)| values.get(step)).copied().unwrap_or(f64::NAN)
    };
    slide(reach, samples, grid, |step, window| {
        if window.values.is_empty() {
            return;
        }
        window.params = [param(0, step), param(1, step)];
        let value = match reach.extension {
            Extension::None => window.value(function),
            extension => extended_value(window, function, extension),
        };
        if let Some(value) = value {
            values[step] = value;
        }
    });
    values
}

/// The smallest or largest value of each range, in one pass however long the ranges are.
///
/// Keeps the indices of values that no later value of the range beats; the first is the best. NaN
/// is only the result where there is nothing else.
fn extreme_values(reach: Reach, samples: &Samples<'_>, largest: bool, grid: Grid) -> Vec<f64> {
    let mut values = vec![ABSENT; grid.steps];
    let mut kept: VecDeque<usize> = VecDeque::new();
    let mut seen = 0;
    slide(reach, samples, grid, |step, window| {
        let (from, until) = (window.resets.base, window.resets.base + window.values.len());
        for index in seen.max(from)..until {
            let value = samples.values[index];
            if value.is_nan() {
                continue;
            }
            let beaten = |other: &usize| {
                let other = samples.values[*other];
                if largest { other <= value } else { other >= value }
            };
            while kept.back().is_some_and(beaten) {
                kept.pop_back();
            }
            kept.push_back(index);
        }
        seen = seen.max(until);
        while kept.front().is_some_and(|index| *index < from) {
            kept.pop_front();
        }
        if until > from {
            values[step] = kept.front().map_or(f64::NAN, |index| samples.values[*index]);
        }
    });
    values
}

/// Slides a window over the samples of a series, step by step.
fn slide(
    reach: Reach,
    samples: &Samples<'_>,
    grid: Grid,
    mut visit: impl FnMut(usize, &mut Window<'_>),
) {
    let (times, values) = (samples.times, samples.values);
    let resets: Vec<usize> = (1..values.len()).filter(|i| samples.restarts(*i)).collect();
    let (before_ms, after_ms) = (reach.before_ms, reach.after_ms);
    let (mut from, mut until) = (0, 0);
    for step in 0..grid.steps {
        let now_ms = grid.time_ms(step);
        let end_ms = reach.end_ms(now_ms);
        let start_ms = end_ms.saturating_sub(reach.range_ms);
        let last_ms = end_ms.saturating_add(after_ms);
        while times.get(until).is_some_and(|time| *time <= last_ms) {
            until += 1;
        }
        let open_ms = start_ms.saturating_sub(before_ms);
        while from < until && times[from] <= open_ms {
            from += 1;
        }
        let first_reset = resets.partition_point(|at| *at <= from);
        let last_reset = resets.partition_point(|at| *at < until).max(first_reset);
        let mut window = Window {
            times: &times[from..until],
            values: &values[from..until],
            first_start_ms: samples.starts_ms.get(from).copied().unwrap_or(0),
            resets: Resets { at: &resets[first_reset..last_reset], base: from },
            start_ms,
            end_ms,
            now_ms,
            params: [f64::NAN; 2],
        };
        visit(step, &mut window);
    }
}
