//! Quantiles and fractions of classic histograms: series whose label `le` is an upper bound.

use rustc_hash::FxHashMap;

use super::call::{argument, text_argument};
use super::{ABSENT, Evaluator, Grid, Row, is_absent};
use crate::promql::annotations::Note;
use crate::promql::ast::{Call, Expr, Span};
use crate::promql::error::QueryError;
use crate::promql::labels::{BUCKET, Labels, METRIC_NAME};
use crate::promql::text::{label_number, quoted};

/// Relative difference of counts that is taken for rounding.
const ROUNDING: f64 = 1e-12;

/// One histogram: its labels without `le`, and its buckets as (upper bound, row).
struct Histogram {
    labels: Labels,
    buckets: Vec<(f64, usize)>,
}

/// Upper bound and cumulative count.
type Bucket = (f64, f64);

/// Where counts were raised to what lower buckets have.
#[derive(Clone, Copy)]
struct Raised {
    lowest: f64,
    highest: f64,
    difference: f64,
}

impl Evaluator<'_> {
    /// `histogram_quantile(q, buckets)`
    pub(super) fn histogram_quantile(
        &mut self,
        call: &Call,
        grid: Grid,
    ) -> Result<Vec<Row>, QueryError> {
        let quantiles = self.scalar(argument(call, 0)?, grid)?;
        let arg = argument(call, 1)?;
        let rows = self.vector(arg, grid)?;
        self.check_quantiles(&quantiles, argument(call, 0)?.span());
        let histograms = self.histograms(&rows, arg);
        self.charge(grid.steps.saturating_mul(histograms.len()))?;
        let mut out = Vec::with_capacity(histograms.len());
        for histogram in histograms {
            out.push(self.quantile_row(&histogram, &rows, &quantiles, (grid, arg.span())));
        }
        Ok(out)
    }

    /// `histogram_quantiles(buckets, label, q, ...)`
    pub(super) fn histogram_quantiles(
        &mut self,
        call: &Call,
        grid: Grid,
    ) -> Result<Vec<Row>, QueryError> {
        let arg = argument(call, 0)?;
        let label = text_argument(call, 1)?;
        let Some(label) = label.as_str().filter(|label| !label.is_empty()) else {
            return Err(QueryError::LabelName { name: quoted(label.lossy().as_bytes()) });
        };
        let rows = self.vector(arg, grid)?;
        let histograms = self.histograms(&rows, arg);
        let place = arg.span();
        let mut out = Vec::new();
        for index in 2..call.args.len() {
            let quantile_arg = argument(call, index)?;
            let quantiles = self.scalar(quantile_arg, grid)?;
            self.check_quantiles(&quantiles, quantile_arg.span());
            for histogram in &histograms {
                self.charge(grid.steps)?;
                let row = self.quantile_row(histogram, &rows, &quantiles, (grid, place));
                out.extend(split_by_quantile(&row, &quantiles, label));
            }
        }
        Ok(out)
    }

    /// `histogram_fraction(lower, upper, buckets)`
    pub(super) fn histogram_fraction(
        &mut self,
        call: &Call,
        grid: Grid,
    ) -> Result<Vec<Row>, QueryError> {
        let lower = self.scalar(argument(call, 0)?, grid)?;
        let upper = self.scalar(argument(call, 1)?, grid)?;
        let arg = argument(call, 2)?;
        let rows = self.vector(arg, grid)?;
        let histograms = self.histograms(&rows, arg);
        self.charge(grid.steps.saturating_mul(histograms.len()))?;
        let mut out = Vec::with_capacity(histograms.len());
        for histogram in histograms {
            let mut values = vec![ABSENT; grid.steps];
            for (step, value) in values.iter_mut().enumerate() {
                let buckets = buckets_at(&histogram, &rows, step);
                if !buckets.is_empty() {
                    *value = fraction(lower[step], upper[step], &buckets);
                }
            }
            out.push(Row { labels: histogram.labels, drops_name: true, values });
        }
        Ok(out)
    }

    /// Sorts rows into histograms; notes those without a usable bound.
    fn histograms(&mut self, rows: &[Row], arg: &Expr) -> Vec<Histogram> {
        let mut index_of: FxHashMap<Labels, usize> = FxHashMap::default();
        let mut out: Vec<Histogram> = Vec::new();
        for (index, row) in rows.iter().enumerate() {
            let text = row.labels.value(BUCKET);
            let Ok(bound) = text.parse::<f64>() else {
                let metric = row.labels.metric_name().to_owned();
                let note = Note::BucketLabel { metric, found: text.to_owned() };
                self.note(&note, arg.span());
                continue;
            };
            let labels = row.labels.retain(|name| name != BUCKET);
            let place = *index_of.entry(labels.clone()).or_insert_with(|| {
                out.push(Histogram { labels, buckets: Vec::new() });
                out.len() - 1
            });
            out[place].buckets.push((bound, index));
        }
        out
    }

    fn quantile_row(
        &mut self,
        histogram: &Histogram,
        rows: &[Row],
        quantiles: &[f64],
        (grid, span): (Grid, Span),
    ) -> Row {
        let mut values = vec![ABSENT; quantiles.len()];
        for (step, value) in values.iter_mut().enumerate() {
            let buckets = buckets_at(histogram, rows, step);
            if buckets.is_empty() {
                continue;
            }
            let (quantile, raised) = bucket_quantile(quantiles[step], buckets);
            *value = quantile;
            if let Some(Raised { lowest, highest, difference }) = raised {
                let note = Note::Monotonicity {
                    metric: histogram.labels.value(METRIC_NAME).to_owned(),
                    lowest,
                    highest,
                    difference,
                    count: 1,
                    first_ms: grid.time_ms(step),
                    last_ms: grid.time_ms(step),
                };
                self.note(&note, span);
            }
        }
        Row { labels: histogram.labels.clone(), drops_name: true, values }
    }
}

/// One row per value that the quantile takes; nearly always one.
fn split_by_quantile(row: &Row, quantiles: &[f64], label: &str) -> Vec<Row> {
    let mut out: Vec<(u64, Row)> = Vec::new();
    for (step, quantile) in quantiles.iter().enumerate() {
        let bits = quantile.to_bits();
        let place = out.iter().position(|(found, _)| *found == bits).unwrap_or_else(|| {
            let labels = row.labels.with(label, &label_number(*quantile));
            let values = vec![ABSENT; row.values.len()];
            out.push((bits, Row { labels, drops_name: row.drops_name, values }));
            out.len() - 1
        });
        out[place].1.values[step] = row.values[step];
    }
    out.into_iter().map(|(_, row)| row).collect()
}

/// The buckets that have a value at a step, sorted, those with the same bound joined.
fn buckets_at(histogram: &Histogram, rows: &[Row], step: usize) -> Vec<Bucket> {
    let all = histogram.buckets.iter().map(|(bound, row)| (*bound, rows[*row].values[step]));
    let mut buckets: Vec<Bucket> = all.filter(|(_, count)| !is_absent(*count)).collect();
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut joined: Vec<Bucket> = Vec::with_capacity(buckets.len());
    for bucket in buckets {
        match joined.last_mut() {
            Some(last) if last.0 == bucket.0 => last.1 += bucket.1,
            _ => joined.push(bucket),
        }
    }
    joined
}

/// The quantile of a classic histogram, linear within buckets, and where counts had to be raised.
///
/// Source: Prometheus's `BucketQuantile`. Without a bucket for `+Inf`, with fewer than two buckets
/// or without observations the result is NaN.
fn bucket_quantile(q: f64, mut buckets: Vec<Bucket>) -> (f64, Option<Raised>) {
    if q.is_nan() {
        return (f64::NAN, None);
    }
    if !(0.0..=1.0).contains(&q) {
        return (if q < 0.0 { f64::NEG_INFINITY } else { f64::INFINITY }, None);
    }
    if buckets.last().is_none_or(|bucket| bucket.0 != f64::INFINITY) {
        return (f64::NAN, None);
    }
    let raised = make_monotonic(&mut buckets);
    let last = buckets.len() - 1;
    if last == 0 || buckets[last].1 == 0.0 {
        return (f64::NAN, raised);
    }
    let mut rank = q * buckets[last].1;
    let found = buckets[..last].partition_point(|bucket| {
        bucket.1.partial_cmp(&rank).is_none_or(std::cmp::Ordering::is_lt)
    });
    if found == last {
        return (buckets[last - 1].0, raised);
    }
    if found == 0 && buckets[0].0 <= 0.0 {
        return (buckets[0].0, raised);
    }
    let (end, mut count) = buckets[found];
    let mut start = 0.0;
    if found > 0 {
        start = buckets[found - 1].0;
        count -= buckets[found - 1].1;
        rank -= buckets[found - 1].1;
    }
    (start + (end - start) * (rank / count), raised)
}

/// Raises counts to those of lower buckets; differences that are only rounding go unmentioned.
fn make_monotonic(buckets: &mut [Bucket]) -> Option<Raised> {
    let mut raised: Option<Raised> = None;
    let mut before = buckets.first().map_or(0.0, |bucket| bucket.1);
    for (bound, count) in buckets.iter_mut().skip(1) {
        if *count == before {
            continue;
        }
        let difference = (before - *count).abs();
        let rounding = difference / (before.abs() + count.abs()) < ROUNDING;
        if rounding {
            *count = before;
        } else if *count < before {
            *count = before;
            let known =
                raised.get_or_insert(Raised { lowest: *bound, highest: *bound, difference });
            known.highest = *bound;
            known.difference = known.difference.max(difference);
        } else {
            before = *count;
        }
    }
    raised
}

/// The part of observations between two values.
///
/// Source: Prometheus's `BucketFraction`.
fn fraction(lower: f64, upper: f64, buckets: &[Bucket]) -> f64 {
    let Some((bound, count)) = buckets.last().copied() else {
        return f64::NAN;
    };
    if bound != f64::INFINITY || count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let below = |value: f64| {
        let mut rank = 0.0;
        for (index, (end, total)) in buckets.iter().enumerate() {
            let start = match index {
                0 if *end > 0.0 => 0.0,
                0 => f64::NEG_INFINITY,
                _ => buckets[index - 1].0,
            };
            if start >= value {
                return rank;
            }
            if *end > value {
                if start == f64::NEG_INFINITY {
                    return *total;
                }
                return rank + (total - rank) * (value - start) / (end - start);
            }
            rank = *total;
        }
        rank
    };
    (below(upper).min(count) - below(lower).min(count)) / count
}
