//! The stored components of windows: what a rollup keeps in columns of `i64` and `f64`.
//!
//! `FIELDS` names the components in their order; `into_parts` and `from_parts` convert without
//! loss. Reading checks what every window keeps true, so that damaged columns are reported and
//! never become numbers. The empty window is stored as no row.
//!
//! Not here: column names of rollup tables, which add the metric (`store`).

use crate::column::EPOCH_UNKNOWN;
use crate::counter::{CounterSample, CounterWindow};
use crate::gauge::{GaugeSample, GaugeValue, GaugeWindow};
use crate::number;

/// Why stored components are not those of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PartsError {
    /// A component lies outside what the others allow.
    #[error("{field} is {found}, which is not from {least} to {most}")]
    Outside {
        /// The component.
        field: &'static str,
        /// What was stored.
        found: i64,
        /// The least it can be.
        least: i64,
        /// The most it can be.
        most: i64,
    },
    /// A component is not a number that samples can give, or contradicts the others.
    #[error("{field} cannot come from samples")]
    Impossible {
        /// The component.
        field: &'static str,
    },
}

/// The stored components of a [`CounterWindow`] that is not empty.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CounterParts {
    /// Time of the oldest sample.
    pub first_time_ms: i64,
    /// Its value.
    pub first: i64,
    /// Its epoch, if known.
    pub first_epoch: Option<i64>,
    /// Time of the newest sample.
    pub last_time_ms: i64,
    /// Its value.
    pub last: i64,
    /// Its epoch, if known.
    pub last_epoch: Option<i64>,
    /// Number of samples, at least 1.
    pub count: i64,
    /// [`CounterWindow::increase`].
    pub increase: i64,
    /// [`CounterWindow::resets`].
    pub resets: i64,
    /// [`CounterWindow::gap_ms`].
    pub gap_ms: i64,
    /// [`CounterWindow::rate_max_per_s`].
    pub rate_max_per_s: Option<f64>,
}

impl CounterWindow {
    /// Names of the stored components, in the order of [`CounterParts`].
    pub const FIELDS: [&str; 11] = [
        "first_time_ms",
        "first",
        "first_epoch",
        "last_time_ms",
        "last",
        "last_epoch",
        "count",
        "increase",
        "resets",
        "gap_ms",
        "rate_max_per_s",
    ];

    /// The components to store; `None` for the empty window.
    pub fn into_parts(self) -> Option<CounterParts> {
        (self.count > 0).then(|| CounterParts {
            first_time_ms: self.first.time_ms,
            first: self.first.value,
            first_epoch: self.first.epoch,
            last_time_ms: self.last.time_ms,
            last: self.last.value,
            last_epoch: self.last.epoch,
            count: number::stored(self.count),
            increase: self.increase,
            resets: number::stored(self.resets),
            gap_ms: self.gap_ms,
            rate_max_per_s: self.rate_max_per_s(),
        })
    }

    /// The window of stored components.
    ///
    /// # Errors
    ///
    /// [`PartsError`] when no samples can give these components.
    pub fn from_parts(parts: &CounterParts) -> Result<Self, PartsError> {
        let sample = |time_ms, value, epoch: Option<i64>| CounterSample {
            time_ms,
            value,
            epoch: epoch.filter(|epoch| *epoch != EPOCH_UNKNOWN),
        };
        let first = sample(parts.first_time_ms, parts.first, parts.first_epoch);
        let last = sample(parts.last_time_ms, parts.last, parts.last_epoch);
        let (count, span_ms) = count_and_span(parts.count, first.time_ms, last.time_ms)?;
        let pairs = parts.count.saturating_sub(1);
        let resets = within("resets", parts.resets, 0, pairs)?;
        let increase_most = if pairs == 0 { 0 } else { i64::MAX };
        within("increase", parts.increase, 0, increase_most)?;
        within("gap_ms", parts.gap_ms, 0, span_ms)?;
        if pairs == 0 && first != last {
            return Err(PartsError::Impossible { field: "last" });
        }
        let grew = last.value.saturating_sub(first.value).max(0);
        if resets == 0 && (parts.increase != grew || last.value < first.value) {
            return Err(PartsError::Impossible { field: "increase" });
        }
        let rate_fits = parts.rate_max_per_s.is_none_or(|rate| rate.is_finite() && rate >= 0.0);
        if !rate_fits || parts.rate_max_per_s.is_some() != (span_ms > 0) {
            return Err(PartsError::Impossible { field: "rate_max_per_s" });
        }
        let rate_max_per_s = parts.rate_max_per_s.unwrap_or(Self::EMPTY.rate_max_per_s);
        let (increase, gap_ms) = (parts.increase, parts.gap_ms);
        Ok(Self { first, last, count, increase, resets, gap_ms, rate_max_per_s })
    }
}

/// The stored components of a [`GaugeWindow`] that is not empty.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GaugeParts<V> {
    /// Time of the oldest sample.
    pub first_time_ms: i64,
    /// Its value.
    pub first: V,
    /// Time of the newest sample.
    pub last_time_ms: i64,
    /// Its value.
    pub last: V,
    /// Number of samples, at least 1.
    pub count: i64,
    /// The lowest value.
    pub min: V,
    /// The highest value.
    pub max: V,
    /// The sum. Integers: exact, unless [`sum_rest`](Self::sum_rest) is not 0.
    pub sum: V,
    /// What completes the sum. Integers: this times 2^64 is to be added, and it is 0 for every
    /// sum that fits 64 bits. Floating point: the rounding error, to be added.
    pub sum_rest: V,
    /// [`GaugeWindow::changes`].
    pub changes: i64,
    /// [`GaugeWindow::gap_ms`].
    pub gap_ms: i64,
}

impl<V: GaugeValue> GaugeWindow<V> {
    /// Names of the stored components, in the order of [`GaugeParts`].
    pub const FIELDS: [&str; 11] = [
        "first_time_ms",
        "first",
        "last_time_ms",
        "last",
        "count",
        "min",
        "max",
        "sum",
        "sum_rest",
        "changes",
        "gap_ms",
    ];

    /// The components to store; `None` for the empty window.
    pub fn into_parts(self) -> Option<GaugeParts<V>> {
        let (sum, sum_rest) = V::sum_into_parts(self.sum);
        (self.count > 0).then(|| GaugeParts {
            first_time_ms: self.first.time_ms,
            first: self.first.value,
            last_time_ms: self.last.time_ms,
            last: self.last.value,
            count: number::stored(self.count),
            min: self.min,
            max: self.max,
            sum,
            sum_rest,
            changes: number::stored(self.changes),
            gap_ms: self.gap_ms,
        })
    }

    /// The window of stored components.
    ///
    /// # Errors
    ///
    /// [`PartsError`] when no samples can give these components.
    pub fn from_parts(parts: &GaugeParts<V>) -> Result<Self, PartsError> {
        let first = GaugeSample { time_ms: parts.first_time_ms, value: parts.first };
        let last = GaugeSample { time_ms: parts.last_time_ms, value: parts.last };
        let (count, span_ms) = count_and_span(parts.count, first.time_ms, last.time_ms)?;
        let pairs = parts.count.saturating_sub(1);
        let changes = within("changes", parts.changes, 0, pairs)?;
        within("gap_ms", parts.gap_ms, 0, span_ms)?;
        let (min, max) = (parts.min, parts.max);
        // Comparisons with `NaN` are false, so it passes none of these.
        let inside = |value: V| min <= value && value <= max;
        let sum = V::sum_from_parts(parts.sum, parts.sum_rest);
        let checks = [
            ("min", min <= max),
            ("first", inside(first.value)),
            ("last", inside(last.value) && (pairs > 0 || first == last)),
            ("changes", (changes > 0) == (min < max)),
            ("sum", V::sum_fits(sum, count, min, max)),
        ];
        match checks.iter().find(|(_, holds)| !holds) {
            Some((field, _)) => Err(PartsError::Impossible { field }),
            None => Ok(Self { first, last, count, min, max, sum, changes, gap_ms: parts.gap_ms }),
        }
    }
}

/// The number of samples and the time between the first and the last.
fn count_and_span(count: i64, first_ms: i64, last_ms: i64) -> Result<(u64, i64), PartsError> {
    let samples = within("count", count, 1, i64::MAX)?;
    let most = if count == 1 { first_ms } else { i64::MAX };
    within("last_time_ms", last_ms, first_ms, most)?;
    Ok((samples, number::elapsed_ms(first_ms, last_ms)))
}

/// `found` as a count, when it lies from `least` to `most`; 0 for a negative time.
fn within(field: &'static str, found: i64, least: i64, most: i64) -> Result<u64, PartsError> {
    if found < least || found > most {
        return Err(PartsError::Outside { field, found, least, most });
    }
    Ok(u64::try_from(found).unwrap_or(0))
}
