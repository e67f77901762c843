//! Folds the rows of one subject into one value per step.
//!
//! A subject's rows may be several series (one per device, interface, CPU). They are brought
//! together before the statistic is taken: growth and levels add up, states give the largest.
//!
//! A counter's value comes from pairs of consecutive samples. A pair belongs to the step of its
//! later sample, and a rate is growth over the real time of its pairs, so every value is right in
//! itself. Three rules for pairs that reach back before their step:
//!
//! - across a gap ([`GAP_MAX_MS`]) they count for the sum, not for rates: what happened before
//!   the step would drown what happened in it;
//! - a series whose owner started within [`GAP_MAX_MS`] before its first sample grew from zero
//!   since then; so short-lived containers count from their first moment;
//! - such a first pair shorter than one second counts for the sum only: starting a container
//!   costs time that the engine books before it says the container started.
//!
//! Holds NULL: a step without a value has none. Holds GROW.
//! Not here: statistics of single points (`history::points`), window arithmetic (`window`).

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef};
use plimsoll_model::Kind;
use plimsoll_store::{Chunk, SeriesRows};
use plimsoll_window::{
    Bits, CounterColumn, CounterSample, CounterStep, EPOCH_UNKNOWN, GAP_MAX_MS, GaugeColumn,
    GaugeFold, GaugeValue, GaugeWindow, Pair, Steps, fold_counter,
};

use super::points::{Join, Point, each_step, joined};
use super::{Reading, Stat};

/// Shortest time from an owner's start to its first sample that makes a rate, in milliseconds.
const BIRTH_MS_MIN: i64 = 1_000;

/// What to make of one metric column of a subject.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fold<'a> {
    pub(super) steps: &'a Steps,
    pub(super) stat: Stat,
    pub(super) reading: Reading,
    pub(super) kind: Kind,
    /// Position of the metric among the scanned columns.
    pub(super) position: usize,
    /// Position of the column that says when the counters' owner started.
    pub(super) epoch_position: Option<usize>,
    /// Whether a first sample may count from the start of its owner.
    pub(super) count_births: bool,
}

impl Fold<'_> {
    /// One value per step, in stored units (per second where counters are read as rates).
    pub(super) fn values(&self, series: &[&SeriesRows]) -> Vec<Option<f64>> {
        match (self.reading, self.stat) {
            (Reading::Rate, Stat::Avg | Stat::Sum) => self.growth(series),
            (Reading::Rate, _) => {
                let rates = series.iter().map(|of| self.rates(of)).collect();
                each_step(joined(rates, Join::Sum), self.steps, self.stat)
            }
            (Reading::Level, Stat::Quantile(_)) => self.level_points(series),
            (Reading::Level, _) => match series {
                [only] => self.level(only),
                _ => self.level_points(series),
            },
        }
    }

    fn growth(&self, series: &[&SeriesRows]) -> Vec<Option<f64>> {
        let mut cells = vec![Growth::default(); self.steps.len()];
        for of in series {
            self.add_growth(of, &mut cells);
        }
        cells.iter().map(|cell| cell.value(self.stat)).collect()
    }

    fn add_growth(&self, series: &SeriesRows, cells: &mut [Growth]) {
        let mut previous = self.birth(series);
        let mut open: Option<(usize, CounterStep)> = None;
        let mut close = |done: Option<(usize, CounterStep)>| {
            if let Some((index, step)) = done
                && let Some(cell) = cells.get_mut(index)
            {
                cell.add(&step);
            }
        };
        for rows in self.counters(series) {
            let Some(column) = rows.column() else { continue };
            fold_counter(&column, self.steps, &mut previous, |index, step| match &mut open {
                Some((at, held)) if *at == index => *held = held.merge(&step),
                _ => close(open.replace((index, step))),
            });
        }
        close(open);
    }

    /// The rate of every pair that counts for rates, at the time of its later sample.
    fn rates(&self, series: &SeriesRows) -> Vec<Point> {
        let mut rates = Vec::new();
        let mut previous = self.birth(series);
        let mut is_birth = previous.is_some();
        let mut step = (i64::MIN, i64::MIN);
        for sample in self.counters(series).flat_map(CounterRows::samples) {
            if sample.time_ms >= step.1 {
                let index = self.steps.index_of(sample.time_ms);
                step = index.and_then(|at| self.steps.bounds(at)).unwrap_or(step);
            }
            if let Some(before) = previous.replace(sample)
                && sample.time_ms >= self.steps.start_ms()
            {
                let pair = Pair::between(&before, &sample);
                let inside = before.time_ms >= step.0 && !is_birth;
                let pair = if inside { Some(pair) } else { usable_lead(pair, &sample) };
                if let Some(rate) = pair.and_then(|pair| pair.rate_per_s()) {
                    rates.push(Point { time_ms: sample.time_ms, value: rate });
                }
            }
            is_birth = false;
        }
        rates
    }

    /// The start of the owner as a sample, where growth counts from it.
    fn birth(&self, series: &SeriesRows) -> Option<CounterSample> {
        if !self.count_births {
            return None;
        }
        let first = self.counters(series).flat_map(CounterRows::samples).next()?;
        birth_of(&first)
    }

    fn counters<'s>(&self, series: &'s SeriesRows) -> impl Iterator<Item = CounterRows<'s>> {
        let (position, epochs) = (self.position, self.epoch_position);
        series.chunks.iter().filter_map(move |chunk| CounterRows::of(chunk, position, epochs))
    }

    fn level(&self, series: &SeriesRows) -> Vec<Option<f64>> {
        let mut columns = columns_of(series, self.position);
        if columns.any(|(_, column)| column.as_primitive_opt::<Float64Type>().is_some()) {
            let mut fold = GaugeFold::<f64>::new(*self.steps);
            for (chunk, column) in columns_of(series, self.position) {
                if let Some(values) = column.as_primitive_opt::<Float64Type>() {
                    push(&mut fold, chunk, values.values(), column);
                }
            }
            return fold.finish().iter().map(|window| level_of(window, self.stat)).collect();
        }
        let mut fold = GaugeFold::<i64>::new(*self.steps);
        for (chunk, column) in columns_of(series, self.position) {
            if let Some(values) = column.as_primitive_opt::<Int64Type>() {
                push(&mut fold, chunk, values.values(), column);
            }
        }
        fold.finish().iter().map(|window| level_of(window, self.stat)).collect()
    }

    fn level_points(&self, series: &[&SeriesRows]) -> Vec<Option<f64>> {
        let join = if self.kind == Kind::State { Join::Max } else { Join::Sum };
        let points = series.iter().map(|of| self.levels(of)).collect();
        each_step(joined(points, join), self.steps, self.stat)
    }

    fn levels(&self, series: &SeriesRows) -> Vec<Point> {
        let mut points = Vec::with_capacity(series.rows());
        for (chunk, column) in columns_of(series, self.position) {
            let ints = column.as_primitive_opt::<Int64Type>();
            let floats = column.as_primitive_opt::<Float64Type>();
            for (row, time_ms) in chunk.times_ms.iter().enumerate() {
                let int = ints.and_then(|ints| ints.values().get(row)).map(|int| int.to_f64());
                let value = int.or_else(|| floats.and_then(|f| f.values().get(row)).copied());
                if let Some(value) = value.filter(|value| !value.is_nan() && column.is_valid(row)) {
                    points.push(Point { time_ms: *time_ms, value });
                }
            }
        }
        points
    }
}

/// The start of the owner of a series as a sample, when it lies shortly before the first one.
pub(super) fn birth_of(first: &CounterSample) -> Option<CounterSample> {
    let started_ms = first.epoch?;
    let age_ms = first.time_ms.saturating_sub(started_ms);
    let born = age_ms > 0 && age_ms <= GAP_MAX_MS;
    born.then_some(CounterSample { time_ms: started_ms, value: 0, epoch: first.epoch })
}

/// The pair that leads into a step, as far as it counts for rates.
pub(super) fn usable_lead(lead: Pair, first: &CounterSample) -> Option<Pair> {
    let age_ms = first.epoch.map(|started_ms| first.time_ms.saturating_sub(started_ms));
    let grew_since_start = lead.reset && lead.elapsed_ms > GAP_MAX_MS;
    let lead = match age_ms {
        Some(age_ms) if grew_since_start && age_ms > 0 => Pair { elapsed_ms: age_ms, ..lead },
        _ => lead,
    };
    let too_short = age_ms == Some(lead.elapsed_ms) && lead.elapsed_ms < BIRTH_MS_MIN;
    (lead.elapsed_ms <= GAP_MAX_MS && !too_short).then_some(lead)
}

/// Growth of one or more counters of one subject in one step.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Growth {
    /// All growth; `None` without a pair.
    total: Option<i64>,
    /// Growth of the pairs that count for rates.
    of_pairs: i64,
    /// Time of the pairs that count for rates; the longest of several counters.
    elapsed_ms: i64,
}

impl Growth {
    pub(super) fn add(&mut self, step: &CounterStep) {
        if step.lead().is_some() || step.window().count() > 1 {
            self.total = Some(self.total.unwrap_or(0).saturating_add(step.growth()));
        }
        let first = step.window().first();
        let lead = step.lead().zip(first).and_then(|(lead, first)| usable_lead(*lead, &first));
        let (growth, elapsed_ms) = lead.map_or((0, 0), |lead| (lead.growth, lead.elapsed_ms));
        let growth = growth.saturating_add(step.window().increase());
        let elapsed_ms = elapsed_ms.saturating_add(step.window().span_ms());
        if elapsed_ms > 0 {
            self.of_pairs = self.of_pairs.saturating_add(growth);
            self.elapsed_ms = self.elapsed_ms.max(elapsed_ms);
        }
    }

    pub(super) fn value(&self, stat: Stat) -> Option<f64> {
        if stat == Stat::Sum {
            return self.total.map(GaugeValue::to_f64);
        }
        let pair = Pair { growth: self.of_pairs, elapsed_ms: self.elapsed_ms, reset: false };
        pair.rate_per_s()
    }
}

/// One counter column of a chunk, with the start of its owner for each row.
struct CounterRows<'a> {
    chunk: &'a Chunk,
    array: &'a ArrayRef,
    values: &'a [i64],
    epochs: Option<Vec<i64>>,
}

impl<'a> CounterRows<'a> {
    fn of(chunk: &'a Chunk, position: usize, epoch_position: Option<usize>) -> Option<Self> {
        let array = chunk.columns.get(position)?;
        let values = array.as_primitive_opt::<Int64Type>()?.values();
        let epochs = epoch_position
            .and_then(|position| chunk.columns.get(position)?.as_primitive_opt::<Int64Type>())
            .map(|epochs| epochs.iter().map(|at| at.unwrap_or(EPOCH_UNKNOWN)).collect());
        Some(Self { chunk, array, values, epochs })
    }

    fn column(&self) -> Option<CounterColumn<'_>> {
        let valid = valid_bits(self.array);
        let times_ms = &self.chunk.times_ms;
        CounterColumn::new(times_ms, self.values, valid, self.epochs.as_deref()).ok()
    }

    /// The reported samples, oldest first.
    fn samples(self) -> impl Iterator<Item = CounterSample> {
        let rows = self.chunk.times_ms.iter().copied().zip(self.values.iter().copied());
        rows.enumerate().filter(move |(row, _)| self.array.is_valid(*row)).map(
            move |(row, (time_ms, value))| {
                let epoch = self.epochs.as_ref().and_then(|epochs| epochs.get(row)).copied();
                let epoch = epoch.filter(|epoch| *epoch != EPOCH_UNKNOWN);
                CounterSample { time_ms, value, epoch }
            },
        )
    }
}

/// Which values of an array are reported; `None` when all are.
fn valid_bits(array: &ArrayRef) -> Option<Bits<'_>> {
    let nulls = array.nulls()?;
    Bits::new(nulls.validity(), nulls.offset(), nulls.len()).ok()
}

fn columns_of(series: &SeriesRows, position: usize) -> impl Iterator<Item = (&Chunk, &ArrayRef)> {
    series.chunks.iter().filter_map(move |chunk| Some((chunk, chunk.columns.get(position)?)))
}

fn push<V: GaugeValue>(fold: &mut GaugeFold<V>, chunk: &Chunk, values: &[V], column: &ArrayRef) {
    if let Ok(column) = GaugeColumn::new(&chunk.times_ms, values, valid_bits(column)) {
        fold.push(&column);
    }
}

pub(super) fn level_of<V: GaugeValue>(window: &GaugeWindow<V>, stat: Stat) -> Option<f64> {
    match stat {
        Stat::Min => window.min().map(GaugeValue::to_f64),
        Stat::Max => window.max().map(GaugeValue::to_f64),
        Stat::Sum => window.sum_f64(),
        Stat::Avg | Stat::Quantile(_) => window.avg(),
    }
}
