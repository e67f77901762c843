//! Reads parameters as Prometheus does: from the form of a POST, then from the URL.
//!
//! Not here: selectors and durations as such (`query::promql`).

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{Method, StatusCode, header};
use plimsoll_query::promql::{Matcher, parse_duration_ms, parse_selector};
use plimsoll_query::time::parse_time_ms;

use super::{bad_data, invalid};
use crate::error::ApiError;

/// Most bytes of a URL's query.
const QUERY_BYTES_MAX: usize = 256 << 10;
/// Most parameters of a request.
const PARAMETERS_MAX: usize = 10_000;
/// The text of the warning that an answer was cut.
pub(super) const TRUNCATED: &str = "results truncated due to limit";

/// The parameters of a request; unknown ones are kept and ignored.
#[derive(Debug, Default)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Parameters {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let url = request.uri().query().unwrap_or("").to_owned();
        if url.len() > QUERY_BYTES_MAX {
            let message = format!("the URL has more than {QUERY_BYTES_MAX} bytes; POST a form");
            return Err(ApiError::http(StatusCode::URI_TOO_LONG, "bad_data", message));
        }
        let content = request.headers().get(header::CONTENT_TYPE);
        let content = content.and_then(|value| value.to_str().ok()).unwrap_or("");
        let is_form =
            content.is_empty() || content.starts_with("application/x-www-form-urlencoded");
        let mut pairs = Vec::new();
        if request.method() == Method::POST && is_form {
            let body = Bytes::from_request(request, state).await.map_err(|rejection| {
                ApiError::http(rejection.status(), "bad_data", rejection.body_text())
            })?;
            pairs = pairs_of(&body);
        }
        pairs.extend(pairs_of(url.as_bytes()));
        if pairs.len() > PARAMETERS_MAX {
            return Err(bad_data(format!("more than {PARAMETERS_MAX} parameters")));
        }
        Ok(Self(pairs))
    }
}

impl Parameters {
    /// The first value of a parameter; none when it is empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        found.filter(|value| !value.is_empty())
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A time in Unix milliseconds.
    pub(super) fn time_ms(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        time_ms(text).map(Some).ok_or_else(|| {
            invalid(name, format_args!("cannot parse \"{text}\" to a valid timestamp"))
        })
    }

    /// A duration in milliseconds.
    pub(super) fn duration_ms(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let seconds = || text.parse::<f64>().ok().and_then(milliseconds);
        seconds().or_else(|| parse_duration_ms(text)).map(Some).ok_or_else(|| {
            invalid(name, format_args!("cannot parse \"{text}\" to a valid duration"))
        })
    }

    /// How long the asker wants to wait.
    pub(super) fn timeout(&self) -> Result<Option<Duration>, ApiError> {
        let timeout_ms = self.duration_ms("timeout")?;
        Ok(timeout_ms.map(|timeout_ms| Duration::from_millis(timeout_ms.max(0).unsigned_abs())))
    }

    /// How many results are wanted; none when all are.
    pub(super) fn limit(&self) -> Result<Option<usize>, ApiError> {
        let Some(text) = self.get("limit") else { return Ok(None) };
        let limit: i64 = text.parse().map_err(|_| {
            invalid("limit", format_args!("cannot parse \"{text}\" to a whole number"))
        })?;
        let limit =
            usize::try_from(limit).map_err(|_| invalid("limit", "limit must be non-negative"))?;
        Ok(Some(limit).filter(|limit| *limit > 0))
    }

    /// The selectors of `match[]`.
    pub(super) fn selectors(&self) -> Result<Vec<Vec<Matcher>>, ApiError> {
        let read = |text| parse_selector(text).map_err(|error| invalid("match[]", error));
        self.all("match[]").map(read).collect()
    }
}

/// A time as Prometheus reads it: seconds since 1970, or RFC 3339.
fn time_ms(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        return milliseconds(seconds);
    }
    // What reads the rest knows more forms than Prometheus, which are no harm.
    text.contains('T').then(|| parse_time_ms(text, 0).ok()).flatten()
}

#[expect(clippy::cast_possible_truncation, reason = "the bound is checked on the same line")]
fn milliseconds(seconds: f64) -> Option<i64> {
    let milliseconds = (seconds * 1_000.0).round();
    (milliseconds.abs() < 9.0e15).then_some(milliseconds as i64)
}

/// Takes a form apart: `name=value` with `&` between, `+` for a blank, `%` and two hex digits.
fn pairs_of(form: &[u8]) -> Vec<(String, String)> {
    let parts = form.split(|byte| *byte == b'&').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let mut halves = part.splitn(2, |byte| *byte == b'=');
            let mut half = || decoded(halves.next().unwrap_or(&[]));
            (half(), half())
        })
        .collect()
}

fn decoded(text: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let hex = |at: usize| after.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        match (first, hex(0), hex(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                rest = after.get(2..).unwrap_or(&[]);
            }
            (b'+', _, _) => bytes.push(b' '),
            (byte, _, _) => bytes.push(*byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A label name in a path: `U__` stands before names that had to be escaped, with `_` and hex
/// digits and `_` for a character and `__` for `_`.
///
/// Source: Prometheus's `UnescapeName`: what cannot be read so is the name itself.
pub(super) fn label_name(path: &str) -> String {
    let Some(escaped) = path.strip_prefix("U__") else { return path.to_owned() };
    unescaped(escaped).unwrap_or_else(|| path.to_owned())
}

fn unescaped(escaped: &str) -> Option<String> {
    let mut name = String::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some(at) = rest.find('_') {
        name.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let end = after.find('_')?;
        let code = &after[..end];
        if code.is_empty() {
            name.push('_');
        } else {
            name.push(char::from_u32(u32::from_str_radix(code, 16).ok().filter(|_| end <= 6)?)?);
        }
        rest = &after[end + 1..];
    }
    name.push_str(rest);
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_taken_apart() {
        let pairs = pairs_of(b"query=sum+by(a)%28x%7B%7D%29&time=4&match[]=%zz&flag&e=a=b");
        let values: Vec<&str> = pairs.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(values, ["sum by(a)(x{})", "4", "%zz", "", "a=b"]);
    }

    #[test]
    fn escaped_names_are_read() {
        for (path, name) in [
            ("job", "job"),
            ("U__my_2e_label", "my.label"),
            ("U__a__b", "a_b"),
            ("U__x_1F600_", "x\u{1f600}"),
            ("U__bad_zz_", "U__bad_zz_"),
            ("U__open_2e", "U__open_2e"),
        ] {
            assert_eq!(label_name(path), name, "{path}");
        }
    }

    #[test]
    fn times_are_seconds_or_rfc_3339() {
        assert_eq!(time_ms("4"), Some(4_000));
        assert_eq!(time_ms("1435781451.781"), Some(1_435_781_451_781));
        assert_eq!(time_ms("2015-07-01T20:10:51.781Z"), Some(1_435_781_451_781));
        assert_eq!((time_ms("soon"), time_ms("1e30"), time_ms("NaN")), (None, None, None));
    }
}
