//! Ranges that reach over their edges: `anchored` and `smoothed`.
//!
//! An anchored range takes the last sample before it as its first value. A smoothed one
//! interpolates its values at both edges. Neither extrapolates.

use super::window::{Window, changes};
use crate::promql::ast::Extension;
use crate::promql::functions::WindowFunction;

/// The value of a function over an extended range.
///
/// `window` holds the samples of the look-back before the range too, and for smoothed ranges those
/// of the look-back after it.
pub(super) fn extended_value(
    window: &Window<'_>,
    function: WindowFunction,
    extension: Extension,
) -> Option<f64> {
    let smoothed = extension == Extension::Smoothed;
    match function {
        WindowFunction::Rate => change(window, smoothed, true)
            .map(|change| change / ((window.end_ms - window.start_ms) as f64 / 1000.0)),
        WindowFunction::Increase => change(window, smoothed, true),
        WindowFunction::Delta => change(window, smoothed, false),
        WindowFunction::Changes => inside(window).map(changes),
        WindowFunction::Resets => inside(window).map(|values| {
            values.array_windows::<2>().filter(|pair| pair[1] < pair[0]).count() as f64
        }),
        _ => None,
    }
}

/// The functions that an extension works with, for messages.
pub(super) fn allowed(function: WindowFunction, extension: Extension) -> bool {
    use WindowFunction as F;
    match extension {
        Extension::None => true,
        Extension::Anchored => {
            matches!(function, F::Rate | F::Increase | F::Delta | F::Changes | F::Resets)
        }
        Extension::Smoothed => matches!(function, F::Rate | F::Increase | F::Delta),
    }
}

/// Value at `time_ms` on the line between two samples; a counter that restarted between them
/// starts from zero.
pub(super) fn interpolate(
    before: (i64, f64),
    after: (i64, f64),
    time_ms: i64,
    counter: bool,
) -> f64 {
    let from = if counter && after.1 < before.1 { 0.0 } else { before.1 };
    let part = (time_ms - before.0) as f64 / (after.0 - before.0) as f64;
    from + (after.1 - from) * part
}

/// Index of the last sample at or before the range's start, or of the first sample.
fn first_index(window: &Window<'_>) -> usize {
    let last = window.times.len() - 1;
    window.times[..last].partition_point(|time| *time <= window.start_ms).saturating_sub(1)
}

/// The values of an anchored range: from the last sample before it on.
fn inside<'s>(window: &Window<'s>) -> Option<&'s [f64]> {
    let last = window.times.last()?;
    (*last > window.start_ms).then(|| &window.values[first_index(window)..])
}

fn change(window: &Window<'_>, smoothed: bool, counter: bool) -> Option<f64> {
    let (times, values) = (window.times, window.values);
    let mut last = times.len().checked_sub(1)?;
    let mut first = first_index(window);
    if smoothed {
        last = times[..last].partition_point(|time| *time < window.end_ms);
    }
    if times[last] <= window.start_ms {
        return None;
    }
    let sample = |index: usize| (times[index], values[index]);
    let left = if smoothed && times[first] < window.start_ms {
        interpolate(sample(first), sample(first + 1), window.start_ms, counter)
    } else {
        values[first]
    };
    let right = if smoothed && last > 0 && times[last] > window.end_ms {
        interpolate(sample(last - 1), sample(last), window.end_ms, counter)
    } else {
        values[last]
    };
    let mut change = right - left;
    if counter {
        // Resets at the edges are already part of the interpolation.
        first += usize::from(times[first] <= window.start_ms);
        let end = last + usize::from(times[last] < window.end_ms);
        let mut before = left;
        for value in values.get(first..end).unwrap_or_default() {
            if *value < before {
                change += before;
            }
            before = *value;
        }
        if right < before {
            change += before;
        }
    }
    Some(change)
}

/// The samples of an extended range as a range vector shows them: the edges are samples too.
pub(super) fn extended_samples(window: &Window<'_>, extension: Extension) -> Vec<(i64, f64)> {
    let (times, values) = (window.times, window.values);
    let smoothed = extension == Extension::Smoothed;
    let Some(mut last) = times.len().checked_sub(1) else {
        return Vec::new();
    };
    let mut first = first_index(window);
    if smoothed {
        last = times[..last].partition_point(|time| *time < window.end_ms);
    }
    if times[last] <= window.start_ms {
        return Vec::new();
    }
    let sample = |index: usize| (times[index], values[index]);
    let left = if smoothed && times[first] < window.start_ms {
        interpolate(sample(first), sample(first + 1), window.start_ms, false)
    } else {
        values[first]
    };
    let right = if smoothed && last > 0 && times[last] > window.end_ms {
        interpolate(sample(last - 1), sample(last), window.end_ms, false)
    } else {
        values[last]
    };
    first += usize::from(times[first] <= window.start_ms);
    let end = last + usize::from(times[last] < window.end_ms);
    let mut out = vec![(window.start_ms, left)];
    out.extend((first..end).map(sample));
    out.push((window.end_ms, right));
    out
}
