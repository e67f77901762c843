//! `/api/v1/read`: Prometheus's remote read, answered with samples.
//!
//! Body and answer are protobuf in one block of snappy; only the fields that are needed are read.
//! Source: `prompb/remote.proto` and `types.proto` of Prometheus.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use plimsoll_query::promql::{Hints, MatchOp, Matcher, Selection, Series, SeriesSource};

use super::{ask, bad_data, of_source};
use crate::error::{ApiError, ErrorBody};
use crate::state::Server;

/// Largest request, unpacked, in bytes.
const REQUEST_BYTES_MAX: usize = 1 << 20;
/// The number of the answer that is samples, among those a client accepts.
const SAMPLES: u64 = 0;

/// The samples of series, for a Prometheus that reads from here
#[utoipa::path(
    post,
    path = "/api/v1/read",
    tag = "prometheus",
    request_body(content = Vec<u8>, content_type = "application/x-protobuf"),
    responses(
        (status = 200, description = "Samples", content_type = "application/x-protobuf"),
        (status = 400, description = "The body is not a read request", body = ErrorBody),
        (status = 422, description = "The question costs too much", body = ErrorBody),
    )
)]
pub(crate) async fn read(State(server): State<Server>, body: Bytes) -> Result<Response, ApiError> {
    let selections = requested(&body).ok_or_else(|| bad_data("the body is no read request"))??;
    let packed = ask(&server, None, move |work| {
        let found = work.source().select(&selections, &work.limits, &work.patience);
        let found = found.map_err(|error| of_source(&error))?;
        let mut answer = Vec::new();
        for (selection, all) in selections.iter().zip(&found) {
            let mut result = Vec::new();
            for series in all {
                let one = written(series, selection);
                field(&mut result, 1, &one);
            }
            field(&mut answer, 1, &result);
        }
        snap::raw::Encoder::new()
            .compress_vec(&answer)
            .map_err(|error| ApiError::of(plimsoll_model::ErrorClass::Bug, &error))
    });
    let headers =
        [(header::CONTENT_TYPE, "application/x-protobuf"), (header::CONTENT_ENCODING, "snappy")];
    Ok((headers, packed.await?).into_response())
}

/// What a request asks for; none when its bytes are no request.
fn requested(body: &[u8]) -> Option<Result<Vec<Selection>, ApiError>> {
    if snap::raw::decompress_len(body).ok()? > REQUEST_BYTES_MAX {
        return Some(Err(bad_data(format!(
            "a read request has at most {REQUEST_BYTES_MAX} bytes"
        ))));
    }
    let message = snap::raw::Decoder::new().decompress_vec(body).ok()?;
    let (mut selections, mut accepted) = (Vec::new(), Vec::new());
    for part in Fields(&message) {
        match part? {
            (1, Value::Bytes(query)) => selections.push(selection(query)?),
            (2, Value::Number(kind)) => accepted.push(kind),
            (2, Value::Bytes(mut packed)) => {
                while !packed.is_empty() {
                    accepted.push(varint(&mut packed)?);
                }
            }
            _ => {}
        }
    }
    if !accepted.is_empty() && !accepted.contains(&SAMPLES) {
        return Some(Err(bad_data("only the response type SAMPLES is supported")));
    }
    Some(selections.into_iter().collect())
}

fn selection(message: &[u8]) -> Option<Result<Selection, ApiError>> {
    let (mut first_ms, mut last_ms, mut matchers) = (0, 0, Vec::new());
    for part in Fields(message) {
        match part? {
            (1, Value::Number(number)) => first_ms = number.cast_signed(),
            (2, Value::Number(number)) => last_ms = number.cast_signed(),
            (3, Value::Bytes(bytes)) => matchers.push(matcher(bytes)?),
            _ => {}
        }
    }
    let matchers: Result<Vec<Matcher>, ApiError> = matchers.into_iter().collect();
    let hints = Hints::default();
    Some(matchers.map(|matchers| Selection { matchers, first_ms, last_ms, hints }))
}

fn matcher(message: &[u8]) -> Option<Result<Matcher, ApiError>> {
    let (mut op, mut name, mut value) = (MatchOp::Equal, "", "");
    for part in Fields(message) {
        match part? {
            (1, Value::Number(number)) => {
                let ops = [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex];
                op = *ops.get(usize::try_from(number).ok()?)?;
            }
            (2, Value::Bytes(bytes)) => name = std::str::from_utf8(bytes).ok()?,
            (3, Value::Bytes(bytes)) => value = std::str::from_utf8(bytes).ok()?,
            _ => {}
        }
    }
    Some(Matcher::new(name, op, value).map_err(|error| bad_data(error.to_string())))
}

/// A series as a `TimeSeries` message; samples outside the asked times are left out.
fn written(series: &Series, selection: &Selection) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in series.labels.pairs() {
        let mut label = Vec::new();
        field(&mut label, 1, name.as_bytes());
        field(&mut label, 2, value.as_bytes());
        field(&mut out, 1, &label);
    }
    for (time_ms, value) in series.times.iter().zip(&series.values) {
        if (selection.first_ms..=selection.last_ms).contains(time_ms) {
            let mut sample = vec![0x09];
            sample.extend_from_slice(&value.to_le_bytes());
            sample.push(0x10);
            put_varint(&mut sample, time_ms.cast_unsigned());
            field(&mut out, 2, &sample);
        }
    }
    out
}

/// Appends a field that holds bytes.
fn field(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    put_varint(out, u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    out.extend_from_slice(bytes);
}

fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// Takes a number off the front.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// What a field holds.
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// A fixed-width number, which no field needed here is.
    Other,
}

/// The fields of a message: number and value; an item that is none is where it breaks.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(u64, Value<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let found = self.field();
        if found.is_none() {
            self.0 = &[];
        }
        Some(found)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u64, Value<'a>)> {
        let tag = varint(&mut self.0)?;
        let value = match tag & 7 {
            0 => Value::Number(varint(&mut self.0)?),
            1 => self.take(8).map(|_| Value::Other)?,
            2 => {
                let length = usize::try_from(varint(&mut self.0)?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Other)?,
            _ => return None,
        };
        Some((tag >> 3, value))
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_back() {
        for number in [0, 1, 127, 128, 300, u64::MAX] {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, number);
            let mut rest = bytes.as_slice();
            assert_eq!((varint(&mut rest), rest.len()), (Some(number), 0));
        }
    }

    #[test]
    fn broken_messages_are_no_requests() {
        let packed = |bytes: &[u8]| snap::raw::Encoder::new().compress_vec(bytes).unwrap();
        assert!(requested(b"no snappy at all").is_none());
        assert!(requested(&packed(&[0x0a, 0x7f, 1])).is_none(), "a length past the end");
        assert!(requested(&packed(&[0xff; 12])).is_none(), "an endless number");
        assert!(requested(&packed(&[0x10, 0x01])).is_some_and(|of| of.is_err()), "chunks only");
        assert!(requested(&packed(&[])).is_some_and(|of| of.is_ok_and(|all| all.is_empty())));
    }
}
