//! `/api/v1/query`, `/api/v1/query_range`, `/api/v1/format_query`.

use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use plimsoll_query::promql::{Answer, Engine, EngineOptions, RangeTimes, Value, parse};
use serde_json::json;

use super::answer::{Notes, result, success};
use super::parameters::{Parameters, TRUNCATED};
use super::{Patience, Source, ask, bad_data, invalid, of_query};
use crate::error::{ApiError, ErrorBody};
use crate::state::Server;

/// Most points of a series of an answer.
const POINTS_MAX: i64 = 11_000;

/// A PromQL query at one time
#[utoipa::path(
    get,
    path = "/api/v1/query",
    tag = "prometheus",
    params(
        ("query" = String, Query, example = "sum by (service) (container_memory_usage_bytes)"),
        ("time" = Option<String>, Query, description = "Unix seconds or RFC 3339. Default: now"),
        ("timeout" = Option<String>, Query, description = "How long it may take"),
        ("limit" = Option<u64>, Query, description = "Most series of the answer"),
        ("lookback_delta" = Option<String>, Query,
            description = "Age at which samples are too old"),
        ("stats" = Option<String>, Query, description = "`all` adds what the query took"),
    ),
    responses(
        (status = 200, description = "As Prometheus answers", body = Object),
        (status = 400, description = "The query or a parameter is wrong", body = ErrorBody),
        (status = 422, description = "The query cannot be evaluated", body = ErrorBody),
        (status = 503, description = "It took too long, or not now", body = ErrorBody),
    )
)]
pub(crate) async fn instant(
    State(server): State<Server>,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let now_ms = server.parts.clock.now_ms();
    let time_ms = parameters.time_ms("time")?.unwrap_or(now_ms);
    answered(&server, &parameters, move |engine, query, source, patience| {
        engine.instant(source, query, time_ms, patience)
    })
    .await
}

/// A PromQL query at every step of a range
#[utoipa::path(
    get,
    path = "/api/v1/query_range",
    tag = "prometheus",
    params(
        ("query" = String, Query, example = "rate(container_cpu_usage_seconds_total[5m])"),
        ("start" = String, Query, description = "Unix seconds or RFC 3339"),
        ("end" = String, Query, description = "Unix seconds or RFC 3339, inclusive"),
        ("step" = String, Query, example = "1m", description = "Seconds or a duration"),
        ("timeout" = Option<String>, Query, description = "How long it may take"),
        ("limit" = Option<u64>, Query, description = "Most series of the answer"),
        ("lookback_delta" = Option<String>, Query,
            description = "Age at which samples are too old"),
        ("stats" = Option<String>, Query, description = "`all` adds what the query took"),
    ),
    responses(
        (status = 200, description = "As Prometheus answers", body = Object),
        (status = 400, description = "The query or a parameter is wrong", body = ErrorBody),
        (status = 422, description = "The query cannot be evaluated", body = ErrorBody),
        (status = 503, description = "It took too long, or not now", body = ErrorBody),
    )
)]
pub(crate) async fn range(
    State(server): State<Server>,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let time = |name| {
        let missing = || invalid(name, "cannot parse \"\" to a valid timestamp");
        parameters.time_ms(name)?.ok_or_else(missing)
    };
    let (start_ms, end_ms) = (time("start")?, time("end")?);
    if end_ms < start_ms {
        return Err(invalid("end", "end timestamp must not be before start time"));
    }
    let missing = || invalid("step", "cannot parse \"\" to a valid duration");
    let step_ms = parameters.duration_ms("step")?.ok_or_else(missing)?;
    if step_ms <= 0 {
        let why = "zero or negative query resolution step widths are not accepted. \
                   Try a positive integer";
        return Err(invalid("step", why));
    }
    if end_ms.saturating_sub(start_ms) / step_ms > POINTS_MAX {
        return Err(bad_data(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the \
             query resolution (?step=XX)",
        ));
    }
    let times = RangeTimes { start_ms, end_ms, step_ms };
    answered(&server, &parameters, move |engine, query, source, patience| {
        engine.range(source, query, times, patience)
    })
    .await
}

type Outcome = Result<Answer, plimsoll_query::promql::QueryError>;

/// Evaluates and writes.
async fn answered(
    server: &Server,
    parameters: &Parameters,
    evaluate: impl FnOnce(&Engine, &str, &Source, &Patience) -> Outcome + Send + 'static,
) -> Result<Response, ApiError> {
    let timeout = parameters.timeout()?;
    let limit = parameters.limit()?;
    let lookback_ms = parameters.duration_ms("lookback_delta")?;
    let wants_stats = parameters.get("stats").is_some();
    let query = parameters.get("query").unwrap_or("").to_owned();
    let written = ask(server, timeout, move |work| {
        let mut options = EngineOptions { limits: work.limits, ..EngineOptions::default() };
        if let Some(lookback_ms) = lookback_ms.filter(|lookback_ms| *lookback_ms > 0) {
            options.lookback_ms = lookback_ms;
        }
        let begun = work.patience.clock.monotonic();
        let source = work.source();
        let answer = evaluate(&Engine::new(options), &query, &source, &work.patience);
        let mut answer = answer.map_err(|error| of_query(&error))?;
        let took = work.patience.clock.monotonic().saturating_sub(begun);
        let mut notes = Notes { warnings: answer.warnings, infos: answer.infos };
        notes.warnings.extend(source.warnings());
        if limit.is_some_and(|limit| truncate(&mut answer.value, limit)) {
            notes.warnings.push(TRUNCATED.to_owned());
        }
        let stats = wants_stats.then(|| stats(answer.stats, took));
        Ok((result(&answer.value, stats.as_ref()), notes))
    });
    let (data, notes) = written.await?;
    Ok(success(&data, &notes))
}

/// Cuts an answer to so many series; says whether it had more.
fn truncate(value: &mut Value, limit: usize) -> bool {
    let count = match value {
        Value::Vector(all) => {
            let count = all.len();
            all.truncate(limit);
            count
        }
        Value::Matrix(all) => {
            let count = all.len();
            all.truncate(limit);
            count
        }
        Value::Scalar { .. } | Value::String { .. } => 0,
    };
    count > limit
}

fn stats(stats: plimsoll_query::promql::Stats, took: Duration) -> serde_json::Value {
    let took_s = took.as_secs_f64();
    json!({
        "timings": {
            "evalTotalTime": took_s,
            "resultSortTime": 0.0,
            "queryPreparationTime": 0.0,
            "innerEvalTime": took_s,
            "execQueueTime": 0.0,
            "execTotalTime": took_s,
        },
        "samples": {
            "totalQueryableSamples": stats.samples,
            "peakSamples": stats.samples,
            "series": stats.series,
        },
    })
}

/// A PromQL query in its usual form
#[utoipa::path(
    get,
    path = "/api/v1/format_query",
    tag = "prometheus",
    params(("query" = String, Query)),
    responses(
        (status = 200, description = "The query", body = Object),
        (status = 400, description = "The query is wrong", body = ErrorBody),
    )
)]
pub(crate) async fn format_query(parameters: Parameters) -> Result<Response, ApiError> {
    let query = parameters.get("query").unwrap_or("");
    let parsed = parse(query).map_err(|error| invalid("query", error))?;
    let text = json!(parsed.expr.to_string()).to_string();
    Ok(success(text.as_bytes(), &Notes::default()))
}
