//! The HTTP API of Prometheus over the stored rows, so that Grafana and other clients of it work.
//!
//! Paths, parameters, envelopes, status codes and texts are Prometheus's; parameters nobody knows
//! are ignored, as it does. GET and POST (a form) are alike where Prometheus takes both.
//! Not here: the language (`query::promql`), which series there are (`query::series`).

mod answer;
pub(crate) mod federate;
pub(crate) mod find;
mod parameters;
pub(crate) mod query;
pub(crate) mod read;
mod status;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use plimsoll_model::{Clock, ErrorClass, chain};
use plimsoll_query::promql::{Interrupt, Limits, QueryError, SourceError, Stop};
use plimsoll_query::series::StoreSource;
use plimsoll_store::{Scan, ScanError, ScanRequest, Store};

use crate::error::ApiError;
use crate::state::{ServeLimits, Server};

/// The routes.
pub(crate) fn routes() -> Router<Server> {
    Router::new()
        .route("/api/v1/query", get(query::instant).post(query::instant))
        .route("/api/v1/query_range", get(query::range).post(query::range))
        .route("/api/v1/format_query", get(query::format_query).post(query::format_query))
        .route("/api/v1/query_exemplars", get(status::no_list).post(status::no_list))
        .route("/api/v1/labels", get(find::labels).post(find::labels))
        .route("/api/v1/label/{name}/values", get(find::label_values))
        .route("/api/v1/series", get(find::series).post(find::series))
        .route("/api/v1/metadata", get(find::metadata))
        .route("/api/v1/rules", get(status::rules))
        .route("/api/v1/alerts", get(status::alerts))
        .route("/api/v1/targets", get(status::targets))
        .route("/api/v1/status/buildinfo", get(status::buildinfo))
        .route("/api/v1/status/runtimeinfo", get(status::runtimeinfo))
        .route("/api/v1/status/config", get(status::config))
        .route("/api/v1/status/flags", get(status::flags))
        .route("/api/v1/status/tsdb", get(status::tsdb))
        .route("/api/v1/read", post(read::read))
        .route("/federate", get(federate::federate))
        .route("/-/healthy", get(status::healthy))
        .route("/-/ready", get(status::ready))
}

/// Who asks and until when: told to a running question.
#[derive(Debug, Clone)]
struct Patience {
    clock: Arc<dyn Clock>,
    /// On the clock's monotonic time.
    deadline: Duration,
    /// Set when nobody waits any more.
    stop: Arc<AtomicBool>,
}

impl Interrupt for Patience {
    fn stop(&self) -> Option<Stop> {
        if self.clock.monotonic() >= self.deadline {
            return Some(Stop::TimedOut);
        }
        self.stop.load(Ordering::Relaxed).then_some(Stop::Cancelled)
    }
}

/// What a question works with while it blocks.
struct Work {
    store: Store,
    limits: Limits,
    patience: Patience,
    cache: Arc<plimsoll_query::series::SeriesCache>,
}

/// The series of the store.
type Source = StoreSource<Box<dyn Fn(&ScanRequest) -> Result<Scan, ScanError>>>;

impl Work {
    fn source(&self) -> Source {
        let store = self.store.clone();
        let scan = Box::new(move |request: &ScanRequest| store.scan(request));
        StoreSource::new(scan as Box<_>, self.patience.stop.clone()).with_cache(self.cache.clone())
    }
}

/// Runs a question where blocking is allowed, for at most `timeout` and the server's own limit.
async fn ask<T: Send + 'static>(
    server: &Server,
    timeout: Option<Duration>,
    work: impl FnOnce(&Work) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let limits = &server.parts.limits;
    let timeout = timeout.map_or(limits.query_timeout, |asked| asked.min(limits.query_timeout));
    let clock = server.parts.clock.clone();
    let deadline = clock.monotonic().saturating_add(timeout);
    let (store, cache) = (server.parts.store.clone(), server.series.clone());
    let limits = query_limits(limits);
    let asked = server.gate.ask(move |stop| {
        let patience = Patience { clock, deadline, stop };
        work(&Work { store, limits, patience, cache })
    });
    match tokio::time::timeout(timeout, asked).await {
        Ok(answer) => answer,
        Err(_) => Err(timed_out()),
    }
}

fn timed_out() -> ApiError {
    let message = "query timed out in expression evaluation";
    ApiError::http(StatusCode::SERVICE_UNAVAILABLE, "timeout", message)
}

fn query_limits(limits: &ServeLimits) -> Limits {
    Limits {
        series_max: limits.query_series_max,
        samples_max: usize::try_from(limits.query_rows_max).unwrap_or(usize::MAX),
        ..Limits::default()
    }
}

fn bad_data(message: impl Into<String>) -> ApiError {
    ApiError::http(StatusCode::BAD_REQUEST, "bad_data", message)
}

/// A parameter that cannot be read, in Prometheus's words.
fn invalid(parameter: &str, why: impl std::fmt::Display) -> ApiError {
    bad_data(format!("invalid parameter \"{parameter}\": {why}"))
}

fn execution(message: String) -> ApiError {
    ApiError::http(StatusCode::UNPROCESSABLE_ENTITY, "execution", message)
}

fn stopped(stop: Stop) -> ApiError {
    match stop {
        Stop::TimedOut => timed_out(),
        // 499: nobody is there to read it; the log of a proxy is.
        Stop::Cancelled => {
            let status = StatusCode::from_u16(499).unwrap_or(StatusCode::REQUEST_TIMEOUT);
            ApiError::http(status, "canceled", "query was canceled in expression evaluation")
        }
    }
}

fn of_source(error: &SourceError) -> ApiError {
    match error {
        SourceError::Stopped { stop } => stopped(*stop),
        SourceError::Store { class, .. } if *class != ErrorClass::Limited => {
            ApiError::http(StatusCode::INTERNAL_SERVER_ERROR, "internal", chain(error))
        }
        other => execution(chain(other)),
    }
}

fn of_query(error: &QueryError) -> ApiError {
    match error {
        QueryError::Parse(error) => invalid("query", error),
        QueryError::Source(error) => of_source(error),
        QueryError::Stopped { stop } => stopped(*stop),
        QueryError::RangeKind { .. } => invalid("query", error),
        QueryError::Points { .. } | QueryError::Step { .. } | QueryError::Range { .. } => {
            bad_data(error.to_string())
        }
        QueryError::Unchecked { .. } => {
            ApiError::http(StatusCode::INTERNAL_SERVER_ERROR, "internal", error.to_string())
        }
        other => execution(chain(other)),
    }
}

#[cfg(test)]
mod tests {
    use plimsoll_model::time::ManualClock;

    use super::*;

    #[test]
    fn questions_stop_at_their_deadline_or_when_nobody_waits() {
        let clock = Arc::new(ManualClock::new(1_000));
        let stop = Arc::new(AtomicBool::new(false));
        let deadline = Duration::from_secs(2);
        let patience = Patience { clock: clock.clone(), deadline, stop: stop.clone() };
        assert_eq!(patience.stop(), None);
        stop.store(true, Ordering::Relaxed);
        assert_eq!(patience.stop(), Some(Stop::Cancelled));
        clock.set_ms(2_000);
        assert_eq!(patience.stop(), Some(Stop::TimedOut));
    }
}
