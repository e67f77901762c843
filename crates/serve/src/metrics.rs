//! `/metrics`: what the server says about itself, in the Prometheus text format.
//!
//! Names, kinds and helps stand in `schemas/metrics/plimsoll.toml`; code names only what it sets.
//! Not here: metrics of containers (PromQL answers those).

use std::fmt::Write as _;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use plimsoll_model::{Kind, Registry};
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::run::ROUTES;
use crate::state::Server;

/// The declaration of our own metrics.
pub(crate) const DECLARED: &str = include_str!("../../../schemas/metrics/plimsoll.toml");

static REGISTRY: LazyLock<Option<Registry>> =
    LazyLock::new(|| Registry::parse(&[("plimsoll", DECLARED)]).ok());

/// Why a request was not worked on to its end.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Dropped {
    Full,
    Timeout,
    Panic,
}

const DROPPED: [&str; 3] = ["full", "timeout", "panic"];
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

/// Counts requests, and bounds those in progress.
#[derive(Debug)]
pub(crate) struct Requests {
    slots: Semaphore,
    ending: AtomicBool,
    in_progress: AtomicUsize,
    dropped: [AtomicU64; DROPPED.len()],
    /// One per route, and one for everything else.
    routes: Vec<RouteCount>,
}

#[derive(Debug, Default)]
struct RouteCount {
    classes: [AtomicU64; CLASSES.len()],
    took_us: AtomicU64,
}

/// A request in progress; done when dropped.
pub(crate) struct InProgress<'a>(&'a AtomicUsize);

impl Drop for InProgress<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Requests {
    pub(crate) fn new(requests_max: usize) -> Self {
        Self {
            slots: Semaphore::new(requests_max.clamp(1, Semaphore::MAX_PERMITS)),
            ending: AtomicBool::new(false),
            in_progress: AtomicUsize::new(0),
            dropped: Default::default(),
            routes: (0..=ROUTES.len()).map(|_| RouteCount::default()).collect(),
        }
    }

    /// Room for requests.
    pub(crate) fn slots(&self) -> &Semaphore {
        &self.slots
    }

    pub(crate) fn begin(&self) -> InProgress<'_> {
        self.in_progress.fetch_add(1, Ordering::Relaxed);
        InProgress(&self.in_progress)
    }

    pub(crate) fn done(&self, route: Option<usize>, status: StatusCode, took: Duration) {
        let Some(count) = self.routes.get(route.unwrap_or(ROUTES.len())) else { return };
        let class = usize::from(status.as_u16() / 100).saturating_sub(2).min(CLASSES.len() - 1);
        if let Some(class) = count.classes.get(class) {
            class.fetch_add(1, Ordering::Relaxed);
        }
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        count.took_us.fetch_add(took_us, Ordering::Relaxed);
    }

    pub(crate) fn dropped(&self, why: Dropped) {
        let index = match why {
            Dropped::Full => 0,
            Dropped::Timeout => 1,
            Dropped::Panic => 2,
        };
        if let Some(count) = self.dropped.get(index) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Says that the server was told to end.
    pub(crate) fn end(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    pub(crate) fn ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }
}

/// The server's own metrics
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "operations",
    responses(
        (
            status = 200,
            description = "Prometheus text format 0.0.4",
            body = String,
            content_type = "text/plain"
        ),
    )
)]
pub(crate) async fn metrics(State(server): State<Server>) -> Response {
    let content_type = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], exposition(&server)).into_response()
}

fn exposition(server: &Server) -> String {
    let mut text = Exposition::default();
    text.family("plimsoll_build_info", [(vec![("version", env!("CARGO_PKG_VERSION"))], 1.0)]);
    text.one("plimsoll_start_time_seconds", number(server.started_ms.unsigned_abs()) / 1_000.0);
    ingest(server, &mut text);
    requests(server, &mut text);
    let broken = plimsoll_model::invariant::broken_total();
    text.one("plimsoll_invariants_broken_total", number(broken));
    let status = serde_json::to_value(server.parts.store.status()).unwrap_or(Value::Null);
    let mut numbers = Vec::new();
    flatten(&status, String::new(), &mut numbers);
    let numbers = numbers.iter().map(|(name, value)| (vec![("number", name.as_str())], *value));
    text.family("plimsoll_store_status", numbers);
    text.text
}

fn ingest(server: &Server, text: &mut Exposition) {
    let counts = server.parts.ingest.counts();
    let result = |result, count| (vec![("result", result)], number(count));
    let reason = |reason, count| (vec![("reason", reason)], number(count));
    text.family(
        "plimsoll_ingest_frames_total",
        [result("new", counts.frames_new), result("duplicate", counts.frames_duplicate)],
    );
    text.family(
        "plimsoll_ingest_frames_dropped_total",
        [reason("rejected", counts.frames_rejected)],
    );
    text.one("plimsoll_ingest_rows_total", number(counts.rows));
    text.one("plimsoll_ingest_samples_total", number(counts.samples));
    text.one("plimsoll_ingest_bytes_total", number(counts.bytes));
    text.family(
        "plimsoll_ingest_bodies_refused_total",
        [
            reason("busy", counts.bodies_busy),
            reason("bad", counts.bodies_bad),
            reason("failed", counts.bodies_failed),
        ],
    );
}

fn requests(server: &Server, text: &mut Exposition) {
    let requests = &server.requests;
    let routes = || ROUTES.iter().copied().chain(["other"]).zip(&requests.routes);
    let read = |count: &AtomicU64| number(count.load(Ordering::Relaxed));
    let by_class = routes().flat_map(|(route, count)| {
        let classes = CLASSES.iter().zip(&count.classes);
        classes.map(move |(class, count)| (vec![("route", route), ("class", *class)], read(count)))
    });
    text.family("plimsoll_http_requests_total", by_class);
    let took = routes().map(|(route, count)| (vec![("route", route)], read(&count.took_us) / 1e6));
    text.family("plimsoll_http_request_seconds_total", took);
    let in_progress = requests.in_progress.load(Ordering::Relaxed);
    let in_progress = number(u64::try_from(in_progress).unwrap_or(u64::MAX));
    text.one("plimsoll_http_requests_in_progress", in_progress);
    let dropped = DROPPED.iter().zip(&requests.dropped);
    let dropped = dropped.map(|(reason, count)| (vec![("reason", *reason)], read(count)));
    text.family("plimsoll_http_requests_dropped_total", dropped);
    let questions = number(server.gate.dropped());
    text.family("plimsoll_query_questions_dropped_total", [(vec![("reason", "full")], questions)]);
}

#[expect(clippy::cast_precision_loss, reason = "the format holds floats")]
fn number(count: u64) -> f64 {
    count as f64
}

/// The numbers and flags of a JSON value, named by their path.
fn flatten(value: &Value, path: String, out: &mut Vec<(String, f64)>) {
    let below = |name: &str| {
        if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
    };
    match value {
        Value::Number(number) => out.extend(number.as_f64().map(|number| (path, number))),
        Value::Bool(flag) => out.push((path, f64::from(u8::from(*flag)))),
        Value::Object(fields) => {
            for (name, field) in fields {
                flatten(field, below(name), out);
            }
        }
        Value::Array(items) => {
            let count = number(u64::try_from(items.len()).unwrap_or(u64::MAX));
            out.push((below("count"), count));
        }
        Value::Null | Value::String(_) => {}
    }
}

/// Writes metric families with the help and type of their declaration.
#[derive(Default)]
struct Exposition {
    text: String,
}

impl Exposition {
    fn one(&mut self, name: &str, value: f64) {
        self.family(name, [(Vec::new(), value)]);
    }

    fn family<'a>(
        &mut self,
        name: &str,
        samples: impl IntoIterator<Item = (Vec<(&'a str, &'a str)>, f64)>,
    ) {
        let mut declared = REGISTRY.iter().flat_map(|registry| registry.metrics_named(name));
        let declared = declared.next();
        debug_assert!(declared.is_some(), "metric {name} is not declared");
        let Some((_, metric)) = declared else { return };
        let kind = if metric.kind == Kind::Counter { "counter" } else { "gauge" };
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {}\n# TYPE {name} {kind}", metric.help);
        for (labels, value) in samples {
            self.text.push_str(name);
            let mut separator = '{';
            for (label, of) in &labels {
                let of = of.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
                let _ = write!(self.text, "{separator}{label}=\"{of}\"");
                separator = ',';
            }
            let close = if labels.is_empty() { "" } else { "}" };
            let _ = writeln!(self.text, "{close} {value}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_declaration_is_read() {
        let registry = Registry::parse(&[("plimsoll", DECLARED)]).unwrap();
        assert!(registry.metrics_named("plimsoll_build_info").next().is_some());
    }

    #[test]
    fn numbers_of_a_status_are_named_by_path() {
        let status = serde_json::json!({"wal": {"bytes": 7}, "read_only": null, "ok": true});
        let mut numbers = Vec::new();
        flatten(&status, String::new(), &mut numbers);
        assert_eq!(numbers, [("ok".to_owned(), 1.0), ("wal.bytes".to_owned(), 7.0)]);
    }
}
