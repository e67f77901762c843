//! Writes answers as Prometheus does: `resultType` before `result`, values as texts.

use std::io::Write as _;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use plimsoll_query::promql::{Labels, Value};

/// The content type of all answers.
const JSON: &str = "application/json";

/// Notes beside the data of an answer.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) warnings: Vec<String>,
    pub(super) infos: Vec<String>,
}

/// A success with data that is JSON already.
pub(super) fn success(data: &[u8], notes: &Notes) -> Response {
    let mut body = Vec::with_capacity(data.len() + 64);
    body.extend_from_slice(b"{\"status\":\"success\",\"data\":");
    body.extend_from_slice(data);
    for (name, texts) in [("warnings", &notes.warnings), ("infos", &notes.infos)] {
        if !texts.is_empty() {
            body.extend_from_slice(b",\"");
            body.extend_from_slice(name.as_bytes());
            body.extend_from_slice(b"\":");
            list(&mut body, texts.iter().map(String::as_str));
        }
    }
    body.push(b'}');
    ([(header::CONTENT_TYPE, JSON)], body).into_response()
}

/// The data of a query's answer; `stats` is JSON to put beside the result.
pub(super) fn result(value: &Value, stats: Option<&serde_json::Value>) -> Vec<u8> {
    let mut out = Vec::new();
    let kind = match value {
        Value::Scalar { .. } => "scalar",
        Value::String { .. } => "string",
        Value::Vector(_) => "vector",
        Value::Matrix(_) => "matrix",
    };
    out.extend_from_slice(b"{\"resultType\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\",\"result\":");
    match value {
        Value::Scalar { time_ms, value } => sample(&mut out, *time_ms, *value),
        Value::String { time_ms, value } => {
            out.push(b'[');
            time(&mut out, *time_ms);
            out.push(b',');
            string(&mut out, value);
            out.push(b']');
        }
        Value::Vector(all) => each(&mut out, all, |out, one| {
            out.extend_from_slice(b"{\"metric\":");
            labels(out, &one.labels);
            out.extend_from_slice(b",\"value\":");
            sample(out, one.time_ms, one.value);
            out.push(b'}');
        }),
        Value::Matrix(all) => each(&mut out, all, |out, one| {
            out.extend_from_slice(b"{\"metric\":");
            labels(out, &one.labels);
            out.extend_from_slice(b",\"values\":");
            let samples: Vec<(i64, f64)> =
                one.times.iter().copied().zip(one.values.iter().copied()).collect();
            each(out, &samples, |out, (time_ms, value)| sample(out, *time_ms, *value));
            out.push(b'}');
        }),
    }
    if let Some(stats) = stats {
        out.extend_from_slice(b",\"stats\":");
        out.extend_from_slice(stats.to_string().as_bytes());
    }
    out.push(b'}');
    out
}

/// A JSON list.
fn each<T>(out: &mut Vec<u8>, all: &[T], mut one: impl FnMut(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (index, item) in all.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        one(out, item);
    }
    out.push(b']');
}

/// A JSON list of texts.
pub(super) fn list<'a>(out: &mut Vec<u8>, texts: impl Iterator<Item = &'a str>) {
    out.push(b'[');
    for (index, text) in texts.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        string(out, text);
    }
    out.push(b']');
}

/// A JSON list of label sets.
pub(super) fn label_sets(out: &mut Vec<u8>, all: &[Labels]) {
    each(out, all, labels);
}

fn labels(out: &mut Vec<u8>, labels: &Labels) {
    out.push(b'{');
    for (index, (name, value)) in labels.pairs().iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        string(out, name);
        out.push(b':');
        string(out, value);
    }
    out.push(b'}');
}

fn sample(out: &mut Vec<u8>, time_ms: i64, value: f64) {
    out.push(b'[');
    time(out, time_ms);
    out.extend_from_slice(b",\"");
    number(out, value);
    out.extend_from_slice(b"\"]");
}

/// Seconds with three decimals where there are milliseconds.
fn time(out: &mut Vec<u8>, time_ms: i64) {
    let sign = if time_ms < 0 { "-" } else { "" };
    let (seconds, rest) = (time_ms.unsigned_abs() / 1_000, time_ms.unsigned_abs() % 1_000);
    // Writing to a vector cannot fail.
    let _ = if rest == 0 {
        write!(out, "{sign}{seconds}")
    } else {
        write!(out, "{sign}{seconds}.{rest:03}")
    };
}

/// A value: plain decimals, and an exponent where it is tiny or huge.
pub(super) fn number(out: &mut Vec<u8>, value: f64) {
    let size = value.abs();
    // Writing to a vector cannot fail.
    let _ = if value.is_nan() {
        write!(out, "NaN")
    } else if value.is_infinite() {
        write!(out, "{}Inf", if value > 0.0 { '+' } else { '-' })
    } else if size > 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{value:e}");
        let (mantissa, power) = text.split_once('e').unwrap_or((&text, "0"));
        let power: i32 = power.parse().unwrap_or(0);
        let sign = if power < 0 { '-' } else { '+' };
        write!(out, "{mantissa}e{sign}{:02}", power.abs())
    } else {
        write!(out, "{value}")
    };
}

fn string(out: &mut Vec<u8>, text: &str) {
    let is_plain = |byte: &u8| *byte >= 0x20 && *byte != b'"' && *byte != b'\\' && *byte != 0x7f;
    if text.as_bytes().iter().all(is_plain) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        // Writing a text to a vector cannot fail.
        let _ = serde_json::to_writer(out, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_prometheus_writes_them() {
        for (value, text) in [
            (2.0, "2"),
            (-0.5, "-0.5"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1e-6, "0.000001"),
            (1.5e-7, "1.5e-07"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            let mut out = Vec::new();
            number(&mut out, value);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }

    #[test]
    fn times_have_three_decimals_or_none() {
        for (time_ms, text) in
            [(4_000, "4"), (1_435_781_451_781, "1435781451.781"), (-1_005, "-1.005")]
        {
            let mut out = Vec::new();
            time(&mut out, time_ms);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }
}
