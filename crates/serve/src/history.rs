//! `GET /api/v1/history`: one metric in steps and groups.
//!
//! Not here: reading the parameters and computing (`query::history`), writing (`format`).

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use plimsoll_query::history::{HistoryLimits, HistoryRequest, history as evaluate};

use crate::error::{ApiError, ErrorBody};
use crate::format::{Format, HistoryBody};
use crate::parameters::Pairs;
use crate::state::Server;

/// How one metric went over time
///
/// Besides the parameters below, any dimension (`cluster`, `node`, `stack`, `service`, `slot`,
/// `container`, `container_id`, `image`), key of the metric's table (`interface`, `device`) or
/// container label (`label.<name>`) filters: `service=web`, `node=~db.*`, `stack!=ops`.
#[utoipa::path(
    get,
    path = "/api/v1/history",
    tag = "history",
    params(
        ("metric" = String, Query, example = "cpu",
            description = "`cpu`, `memory`, `io`, `network`, or a metric of the registry by series \
             name, column or `table.column`"),
        ("by" = Option<String>, Query, example = "stack,service",
            description = "Comma list of labels to group by; empty for one group of everything. \
             Default: `service`, or `node` for metrics of nodes"),
        ("from" = Option<String>, Query, example = "-6h",
            description = "Start: RFC 3339, Unix seconds, `now` or relative to now. Default: an \
             hour before `to`"),
        ("to" = Option<String>, Query, description = "End, exclusive. Default: now"),
        ("step" = Option<String>, Query, example = "1m",
            description = "Length of a step, 1s to 365d. Default: about 240 steps"),
        ("stat" = Option<String>, Query,
            description = "What samples of one series become in a step: `avg`, `min`, `max`, \
             `sum`, `p50`, `p90`, `p95` or `p99`. Default: `avg`"),
        ("across" = Option<String>, Query,
            description = "How the series of a group come together: `sum`, `avg` or `max`. \
             Default: `sum`"),
        ("format" = Option<String>, Query,
            description = "`json`, `csv`, `arrow` or `parquet`. Default: by `Accept`, else json"),
    ),
    responses(
        (status = 200, description = "The history", content(
            (HistoryBody = "application/json"),
            (String = "text/csv"),
            (Vec<u8> = "application/vnd.apache.arrow.stream"),
            (Vec<u8> = "application/vnd.apache.parquet"),
        )),
        (status = 400, description = "A parameter is wrong", body = ErrorBody),
        (status = 406, description = "None of the accepted types is there", body = ErrorBody),
        (status = 422, description = "The question costs too much", body = ErrorBody),
        (status = 503, description = "Not now, or it took too long", body = ErrorBody),
    )
)]
pub(crate) async fn history(
    State(server): State<Server>,
    headers: HeaderMap,
    Pairs(pairs): Pairs,
) -> Result<Response, ApiError> {
    let request = HistoryRequest::parse(&pairs, server.parts.clock.now_ms())?;
    let format = Format::chosen(&pairs, &headers)?;
    let parts = server.parts.clone();
    let answer = server.gate.ask(move |stop| {
        let limits = HistoryLimits {
            series_max: parts.limits.query_series_max,
            rows_max: parts.limits.query_rows_max,
            points_max: parts.limits.query_points_max,
            stop,
        };
        let answer = evaluate(&parts.store, &request, &limits)
            .map_err(|error| ApiError::of(error.class(), &error))?;
        format.write(&answer, request.range)
    });
    answer.await
}
