//! Windows of stretches of raw rows.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, Int64Array, StringArray};
use plimsoll_window::{
    Bits, CounterColumn, CounterWindow, EPOCH_UNKNOWN, GaugeColumn, GaugeWindow,
};

use super::cells::value;
use super::state::{StateValue, StateWindow};

/// One metric of consecutive raw rows of any number of series.
#[derive(Clone, Copy)]
pub(super) struct RawColumn<'a> {
    pub(super) times_ms: &'a [i64],
    pub(super) values: &'a ArrayRef,
    /// Of counters; as long as the times, empty when no row knows its epoch.
    pub(super) epochs: &'a [i64],
}

/// Epochs as a fold takes them: null is not known.
pub(super) fn epochs_of(array: &ArrayRef) -> Vec<i64> {
    let Some(ints) = array.as_primitive_opt::<Int64Type>() else { return Vec::new() };
    match ints.nulls() {
        None => ints.values().to_vec(),
        Some(nulls) => {
            let values = ints.values().iter().zip(nulls.iter());
            values.map(|(epoch, valid)| if valid { *epoch } else { EPOCH_UNKNOWN }).collect()
        }
    }
}

/// A window that raw rows can be folded into.
pub(super) trait Fold: Sized {
    /// The window of these rows, which are of one series and in time order; `None` when none of
    /// them has a value.
    fn fold(column: &RawColumn<'_>, rows: Range<usize>) -> Option<Self>;
}

fn bits<'a>(array: &'a ArrayRef, rows: &Range<usize>) -> Option<Bits<'a>> {
    let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0)?;
    let buffer = nulls.inner();
    let offset = buffer.offset().saturating_add(rows.start);
    Bits::new(buffer.values(), offset, rows.len()).ok()
}

/// The rows as a counter, for whoever needs its samples.
pub(super) fn with_counter<R>(
    column: &RawColumn<'_>,
    rows: &Range<usize>,
    read: impl FnOnce(CounterColumn<'_>) -> R,
) -> Option<R> {
    let ints: &Int64Array = column.values.as_primitive_opt::<Int64Type>()?;
    let times = column.times_ms.get(rows.clone())?;
    let values = ints.values().get(rows.clone())?;
    let epochs = column.epochs.get(rows.clone());
    CounterColumn::new(times, values, bits(column.values, rows), epochs).ok().map(read)
}

impl Fold for CounterWindow {
    fn fold(column: &RawColumn<'_>, rows: Range<usize>) -> Option<Self> {
        let window = with_counter(column, &rows, |counter| counter.window(i64::MIN, i64::MAX))?;
        (!window.is_empty()).then_some(window)
    }
}

impl Fold for GaugeWindow<i64> {
    fn fold(column: &RawColumn<'_>, rows: Range<usize>) -> Option<Self> {
        let ints: &Int64Array = column.values.as_primitive_opt::<Int64Type>()?;
        let times = column.times_ms.get(rows.clone())?;
        let values = ints.values().get(rows.clone())?;
        let gauge = GaugeColumn::new(times, values, bits(column.values, &rows)).ok()?;
        let window = gauge.window(i64::MIN, i64::MAX);
        (!window.is_empty()).then_some(window)
    }
}

impl Fold for GaugeWindow<f64> {
    fn fold(column: &RawColumn<'_>, rows: Range<usize>) -> Option<Self> {
        let floats = column.values.as_primitive_opt::<Float64Type>()?;
        let times = column.times_ms.get(rows.clone())?;
        let values = floats.values().get(rows.clone())?;
        let gauge = GaugeColumn::new(times, values, bits(column.values, &rows)).ok()?;
        let window = gauge.window(i64::MIN, i64::MAX);
        (!window.is_empty()).then_some(window)
    }
}

impl Fold for StateWindow {
    fn fold(column: &RawColumn<'_>, rows: Range<usize>) -> Option<Self> {
        if let Some(ints) = column.values.as_primitive_opt::<Int64Type>() {
            return fold_state(column, rows, |row| value(Some(ints), row), |v| StateValue::Int(*v));
        }
        let texts = column.values.as_dictionary_opt::<Int32Type>()?;
        let words = texts.values().as_any().downcast_ref::<StringArray>()?;
        let word = |row| {
            let key = usize::try_from(value(Some(texts.keys()), row)?).ok()?;
            (key < words.len()).then(|| words.value(key))
        };
        fold_state(column, rows, word, |word| StateValue::Text(Arc::from(*word)))
    }
}

/// Counts runs of equal values; makes a state only where one begins.
fn fold_state<T: PartialEq>(
    column: &RawColumn<'_>,
    rows: Range<usize>,
    value_of: impl Fn(usize) -> Option<T>,
    state_of: impl Fn(&T) -> StateValue,
) -> Option<StateWindow> {
    let mut window: Option<(StateWindow, T)> = None;
    for row in rows {
        let (Some(value), Some(time_ms)) = (value_of(row), column.times_ms.get(row)) else {
            continue;
        };
        match &mut window {
            None => window = Some((StateWindow::of(*time_ms, state_of(&value)), value)),
            Some((window, last)) => {
                if value == *last {
                    window.last_time_ms = *time_ms;
                    window.count = window.count.saturating_add(1);
                } else {
                    window.push(*time_ms, &state_of(&value));
                    *last = value;
                }
            }
        }
    }
    window.map(|(window, _)| window)
}
