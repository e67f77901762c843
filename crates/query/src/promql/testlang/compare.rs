//! Compares answers with what a script expects.

use std::collections::BTreeMap;

use super::script::{Eval, Pattern, When};
use super::sequence::Place;
use crate::promql::is_stale;
use crate::promql::labels::Labels;
use crate::promql::source::Series;
use crate::promql::value::{Answer, InstantSample, Value};

/// Relative difference of values that are still taken for equal.
const TOLERANCE: f64 = 1e-6;

/// Compares an answer; `Err` says what differs.
pub(super) fn compare(eval: &Eval, answer: &Answer) -> Result<(), String> {
    compare_notes("warning", &eval.warnings, eval.no_warnings, &answer.warnings)?;
    compare_notes("info", &eval.infos, eval.no_infos, &answer.infos)?;
    compare_value(eval, &answer.value)
}

fn compare_notes(
    kind: &str,
    expected: &[Pattern],
    none: bool,
    found: &[String],
) -> Result<(), String> {
    if none && !found.is_empty() {
        return Err(format!("expected no {kind}, got {found:?}"));
    }
    for pattern in expected {
        if !found.iter().any(|text| pattern.accepts(text)) {
            return Err(format!("expected {kind} {pattern:?}, got {found:?}"));
        }
    }
    let unexpected = |text: &&String| !expected.iter().any(|pattern| pattern.accepts(text));
    match found.iter().find(unexpected) {
        Some(text) if !expected.is_empty() => Err(format!("unexpected {kind} {text:?}")),
        _ => Ok(()),
    }
}

/// Compares a value.
pub(super) fn compare_value(eval: &Eval, value: &Value) -> Result<(), String> {
    match value {
        Value::Scalar { value, .. } => match eval.scalar {
            Some(expected) if almost_equal(expected, *value) => Ok(()),
            Some(expected) => Err(format!("expected scalar {expected}, got {value}")),
            None => Err(format!("expected series, got scalar {value}")),
        },
        Value::String { value, .. } => match &eval.string {
            Some(expected) if expected == value => Ok(()),
            expected => Err(format!("expected string {expected:?}, got {value:?}")),
        },
        Value::Vector(samples) => compare_vector(eval, samples),
        Value::Matrix(series) => compare_matrix(eval, series),
    }
}

/// Compares the values of an instant vector.
fn compare_vector(eval: &Eval, samples: &[InstantSample]) -> Result<(), String> {
    if eval.scalar.is_some() {
        return Err(format!("expected a scalar, got {} series", samples.len()));
    }
    let mut expected: BTreeMap<&Labels, (usize, f64)> = BTreeMap::new();
    for (position, (labels, places)) in eval.series.iter().enumerate() {
        let Some(Place::Value(value)) = places.first() else {
            return Err(format!("no value is expected for {labels}"));
        };
        expected.insert(labels, (position, *value));
    }
    for (position, sample) in samples.iter().enumerate() {
        let Some((wanted, value)) = expected.remove(&sample.labels) else {
            return Err(format!("unexpected series {} with {}", sample.labels, sample.value));
        };
        if eval.ordered && wanted != position {
            return Err(format!("{} is at position {position}, not {wanted}", sample.labels));
        }
        if !almost_equal(value, sample.value) {
            return Err(format!("expected {value} for {}, got {}", sample.labels, sample.value));
        }
    }
    match expected.first_key_value() {
        Some((labels, (_, value))) => Err(format!("expected {labels} with {value}, got nothing")),
        None => Ok(()),
    }
}

/// Compares many values per series.
fn compare_matrix(eval: &Eval, series: &[Series]) -> Result<(), String> {
    if eval.scalar.is_some() {
        return Err(format!("expected a scalar, got {} series", series.len()));
    }
    let times = match (eval.range_vector, eval.when) {
        (Some(times), _) | (None, When::Range(times)) => times,
        (None, When::Instant(_)) => return Err("got a range vector".to_owned()),
    };
    let mut expected: BTreeMap<&Labels, &[Place]> = BTreeMap::new();
    for (labels, places) in &eval.series {
        expected.insert(labels, places);
    }
    for found in series {
        let Some(places) = expected.remove(&found.labels) else {
            return Err(format!("unexpected series {} with {:?}", found.labels, found.values));
        };
        let mut points = Vec::new();
        for (step, place) in places.iter().enumerate() {
            let step = i64::try_from(step).unwrap_or(i64::MAX);
            let time_ms = times.start_ms.saturating_add(times.step_ms.saturating_mul(step));
            if time_ms > times.end_ms {
                return Err(format!("more points expected for {} than steps", found.labels));
            }
            if let Place::Value(value) = place {
                points.push((time_ms, *value));
            }
        }
        let got: Vec<(i64, f64)> =
            found.times.iter().copied().zip(found.values.iter().copied()).collect();
        let same = points.len() == got.len()
            && points.iter().zip(&got).all(|(a, b)| a.0 == b.0 && almost_equal(a.1, b.1));
        if !same {
            return Err(format!("expected {points:?} for {}, got {got:?}", found.labels));
        }
    }
    match expected.first_key_value() {
        Some((labels, _)) => Err(format!("expected {labels}, got nothing")),
        None => Ok(()),
    }
}

/// Whether two values differ by no more than rounding; NaN equals NaN.
fn almost_equal(a: f64, b: f64) -> bool {
    if is_stale(a) || is_stale(b) {
        return is_stale(a) && is_stale(b);
    }
    if a == b || (a.is_nan() && b.is_nan()) {
        return true;
    }
    let sum = a.abs() + b.abs();
    let difference = (a - b).abs();
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < TOLERANCE * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < TOLERANCE
}
