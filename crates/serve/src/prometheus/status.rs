//! What Prometheus says about itself, as far as it has a meaning here, and its health checks.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use plimsoll_model::{Registry, TimeRange};
use plimsoll_query::time::format_time_ms;
use plimsoll_store::ScanLimits;
use plimsoll_store::scan::SeriesRequest;
use serde_json::{Value, json};

use super::answer::{Notes, success};
use super::ask;
use super::parameters::Parameters;
use crate::error::ApiError;
use crate::state::Server;

/// The version of Prometheus whose API this is; clients decide by it what they may ask.
const API_VERSION: &str = "3.0.0";
/// How much of the past counts as present, in milliseconds.
const PRESENT_MS: i64 = 3_600_000;
/// Most entries of a list of the largest.
const TOP: usize = 10;

fn data(value: &Value) -> Response {
    success(value.to_string().as_bytes(), &Notes::default())
}

/// Exemplars: there are none.
pub(super) async fn no_list(_: Parameters) -> Response {
    data(&json!([]))
}

/// Rules: there are none.
pub(super) async fn rules() -> Response {
    data(&json!({ "groups": [] }))
}

/// Alerts: there are none.
pub(super) async fn alerts() -> Response {
    data(&json!({ "alerts": [] }))
}

/// Targets: nothing is scraped.
pub(super) async fn targets() -> Response {
    data(&json!({ "activeTargets": [], "droppedTargets": [], "droppedTargetCounts": {} }))
}

/// The version. Without `features`, because clients take what lists them for another program.
pub(super) async fn buildinfo() -> Response {
    data(&json!({
        "version": API_VERSION,
        "revision": concat!("plimsoll-", env!("CARGO_PKG_VERSION")),
        "branch": "plimsoll",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    }))
}

pub(super) async fn runtimeinfo(State(server): State<Server>) -> Response {
    let now_ms = server.parts.clock.now_ms();
    data(&json!({
        "startTime": format_time_ms(server.started_ms),
        "serverTime": format_time_ms(now_ms),
        "CWD": "",
        "reloadConfigSuccess": true,
        "lastConfigTime": format_time_ms(server.started_ms),
        "corruptionCount": 0,
        "goroutineCount": 0,
        "GOMAXPROCS": std::thread::available_parallelism().map_or(1, usize::from),
        "GOMEMLIMIT": 0,
        "GOGC": "",
        "GODEBUG": "",
        "storageRetention": "",
    }))
}

/// The configuration: that of a scraper, which this is not.
pub(super) async fn config() -> Response {
    data(&json!({ "yaml": "" }))
}

/// Flags: there are none of Prometheus's.
pub(super) async fn flags() -> Response {
    data(&json!({}))
}

/// How many series there are, counted over the last hour.
pub(super) async fn tsdb(State(server): State<Server>) -> Result<Response, ApiError> {
    let now_ms = server.parts.clock.now_ms();
    let range = TimeRange::new(now_ms.saturating_sub(PRESENT_MS), now_ms.saturating_add(1));
    let answer = ask(&server, None, move |work| {
        let mut metrics: Vec<(&str, usize)> = Vec::new();
        for table in Registry::embedded().tables().iter().filter(|of| of.name() != "event") {
            let mut limits = ScanLimits::new(u64::MAX, work.limits.series_max);
            limits.stop = work.patience.stop.clone();
            let request =
                SeriesRequest { table, range, filter: plimsoll_model::Filter::default(), limits };
            let keys = work.store.series(&request);
            let keys = keys.map_err(|error| ApiError::of(error.class(), &error))?.len();
            metrics.extend(table.metrics().iter().map(|metric| (metric.name.as_str(), keys)));
        }
        let series: usize = metrics.iter().map(|(_, count)| count).sum();
        metrics.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
        metrics.dedup_by_key(|(name, _)| *name);
        let top = metrics.iter().take(TOP);
        let top: Vec<Value> =
            top.map(|(name, count)| json!({ "name": name, "value": count })).collect();
        Ok(json!({
            "headStats": {
                "numSeries": series,
                "numLabelPairs": 0,
                "chunkCount": 0,
                "minTime": range.start_ms,
                "maxTime": range.end_ms,
            },
            "seriesCountByMetricName": top,
            "labelValueCountByLabelName": [],
            "memoryInBytesByLabelName": [],
            "seriesCountByLabelValuePair": [],
        }))
    });
    Ok(data(&answer.await?))
}

fn plain(text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}

/// Whether the process answers at all.
pub(super) async fn healthy() -> Response {
    plain("Prometheus Server is Healthy.\n")
}

/// Whether it should be asked.
pub(super) async fn ready(State(server): State<Server>) -> Result<Response, ApiError> {
    crate::health::readyz(State(server)).await?;
    Ok(plain("Prometheus Server is Ready.\n"))
}
