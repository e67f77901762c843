//! One request to the server and what its answer means.

use std::time::Duration;

use bytes::Bytes;
use plimsoll_model::Clock;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, RETRY_AFTER};
use serde::Deserialize;

use super::{ShipError, ShipOptions};

const FRAMES: &str = "application/vnd.plimsoll.frames";
/// Longest wait a server can ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_mins(5);

/// Where requests go.
#[derive(Debug, Clone)]
pub(super) struct Door {
    client: reqwest::Client,
    url: String,
    token: Option<String>,
}

/// What came of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The server has the frames, but for `rejected` ones that it will never take.
    Taken { rejected: usize, offset_ms: Option<i64> },
    /// Sending the same again will never work.
    Refused { status: u16 },
    /// Not now.
    Later { why: String, after: Option<Duration> },
}

#[derive(Deserialize)]
struct Answer {
    data: AnswerData,
}

#[derive(Deserialize)]
struct AnswerData {
    #[serde(default)]
    rejected: Vec<Rejected>,
}

#[derive(Deserialize)]
struct Rejected {
    #[serde(default)]
    reason: String,
}

impl Door {
    pub(super) fn new(options: &ShipOptions) -> Result<Self, ShipError> {
        let server = options.server.trim_end_matches('/');
        let refused = || ShipError::Server { server: options.server.clone() };
        let url = reqwest::Url::parse(&format!("{server}/api/v1/frames")).map_err(|_| refused())?;
        if url.scheme() != "http" || url.host_str().is_none() {
            return Err(refused());
        }
        let client = reqwest::Client::builder()
            .timeout(options.timeout)
            .connect_timeout(options.timeout.min(Duration::from_secs(5)))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|source| ShipError::Client { source: Box::new(source) })?;
        Ok(Self { client, url: url.to_string(), token: options.token.clone() })
    }

    pub(super) async fn post(&self, body: Bytes, clock: &dyn Clock) -> Verdict {
        let mut request = self.client.post(&self.url).header(CONTENT_TYPE, FRAMES).body(body);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let before_ms = clock.now_ms();
        let later = |error: &reqwest::Error| Verdict::Later {
            why: plimsoll_model::chain(error),
            after: None,
        };
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return later(&error),
        };
        let status = response.status();
        let offset_ms = offset_ms(response.headers(), before_ms, clock.now_ms());
        let after = retry_after(response.headers());
        let text = match response.bytes().await {
            Ok(text) => text,
            Err(error) => return later(&error),
        };
        judge(status, &text, after, offset_ms)
    }
}

/// What a status means. Only an answer about the frames themselves may cost a frame: a wrong
/// token, a wrong path or a busy server is put right by people or by time.
fn judge(
    status: StatusCode,
    body: &[u8],
    after: Option<Duration>,
    offset_ms: Option<i64>,
) -> Verdict {
    if status.is_success() {
        let rejected = serde_json::from_slice::<Answer>(body).map(|answer| answer.data.rejected);
        let rejected = rejected.unwrap_or_default();
        for frame in &rejected {
            tracing::debug!(reason = %frame.reason, "server rejected a frame");
        }
        return Verdict::Taken { rejected: rejected.len(), offset_ms };
    }
    let refused = [
        StatusCode::BAD_REQUEST,
        StatusCode::PAYLOAD_TOO_LARGE,
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        StatusCode::UNPROCESSABLE_ENTITY,
    ];
    if refused.contains(&status) {
        return Verdict::Refused { status: status.as_u16() };
    }
    Verdict::Later { why: format!("status {}", status.as_u16()), after }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

/// The server's clock less ours, from its `Date`, which is cut to whole seconds.
fn offset_ms(headers: &HeaderMap, before_ms: i64, after_ms: i64) -> Option<i64> {
    let date = headers.get(DATE)?.to_str().ok()?;
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date).ok()?;
    let earliest = date.as_millisecond();
    // Any clock within this second agrees with the answer as well as any other.
    if after_ms < earliest {
        Some(earliest - after_ms)
    } else if before_ms > earliest + 999 {
        Some(earliest + 999 - before_ms)
    } else {
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_servers_word_on_a_frame_costs_it() {
        let read = |status: u16, body: &str| {
            judge(StatusCode::from_u16(status).unwrap(), body.as_bytes(), None, None)
        };
        assert_eq!(read(200, "{}"), Verdict::Taken { rejected: 0, offset_ms: None });
        let rejected = r#"{"status":"success","data":{"new":1,"duplicate":0,
            "rejected":[{"index":1,"reason":"too old"}]}}"#;
        assert_eq!(read(200, rejected), Verdict::Taken { rejected: 1, offset_ms: None });
        for status in [400, 413, 415, 422] {
            assert_eq!(read(status, ""), Verdict::Refused { status });
        }
        for status in [401, 403, 404, 408, 429, 500, 502, 503, 504, 301] {
            assert!(matches!(read(status, ""), Verdict::Later { .. }), "{status}");
        }
    }

    #[test]
    fn clocks_are_compared_within_what_a_date_can_tell() {
        let mut headers = HeaderMap::new();
        headers.insert(DATE, "Thu, 01 Jan 1970 00:01:40 GMT".parse().unwrap());
        assert_eq!(offset_ms(&headers, 100_200, 100_300), Some(0));
        assert_eq!(offset_ms(&headers, 90_000, 90_100), Some(9_900));
        assert_eq!(offset_ms(&headers, 105_000, 105_100), Some(-4_001));
    }
}
