//! `GET /plain`: a page for a person: what this is, and how it is doing now. No script.
//!
//! Keeps true: every text from a container is escaped.
//! Not here: the web user interface (`ui`).

use std::fmt::Write as _;

use axum::extract::State;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use plimsoll_query::history::{HistoryAnswer, HistoryLimits, HistoryRequest, history};
use plimsoll_query::inventory::{Inventory, InventoryRequest};
use plimsoll_query::time::{format_duration_ms, format_time_ms};

use crate::error::ApiError;
use crate::inventory::ask;
use crate::state::Server;

/// A page that says what this is and how it is doing
#[utoipa::path(
    get,
    path = "/plain",
    tag = "operations",
    responses((status = 200, description = "It", body = String, content_type = "text/html"))
)]
pub(crate) async fn page(State(server): State<Server>) -> Result<Html<String>, ApiError> {
    let now_ms = server.parts.clock.now_ms();
    let inventory = match InventoryRequest::parse(&pairs(&[("from", "-5m")]), now_ms) {
        Ok(request) => ask(&server, request).await?,
        Err(error) => return Err(ApiError::of(error.class(), &error)),
    };
    let cpu = newest(&server, "cpu", now_ms).await?;
    let memory = newest(&server, "memory", now_ms).await?;
    Ok(Html(render(&server, now_ms, &inventory, &cpu, &memory)))
}

/// The style of the page
#[utoipa::path(
    get,
    path = "/page.css",
    tag = "operations",
    responses((status = 200, description = "It", body = String, content_type = "text/css"))
)]
pub(crate) async fn css() -> Response {
    let headers =
        [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "max-age=300")];
    (headers, CSS).into_response()
}

const CSS: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;\
padding:0 1rem;color:#1c2733;background:#fff}table{border-collapse:collapse;width:100%}\
th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #d8dee6}\
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}code{background:#f0f3f6;\
padding:0 .2rem}@media(prefers-color-scheme:dark){body{color:#dbe3ec;background:#12181f}\
th,td{border-color:#2c3743}code{background:#1d2630}a{color:#7ab8ff}}";

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// One value per service for the last minute.
async fn newest(server: &Server, metric: &str, now_ms: i64) -> Result<HistoryAnswer, ApiError> {
    let asked = [("metric", metric), ("by", "stack,service"), ("from", "-1m"), ("step", "1m")];
    let request = HistoryRequest::parse(&pairs(&asked), now_ms)?;
    let parts = server.parts.clone();
    let answer = server.gate.ask(move |stop| {
        let limits = HistoryLimits {
            series_max: parts.limits.query_series_max,
            rows_max: parts.limits.query_rows_max,
            points_max: parts.limits.query_points_max,
            stop,
        };
        history(&parts.store, &request, &limits)
            .map_err(|error| ApiError::of(error.class(), &error))
    });
    answer.await
}

fn render(
    server: &Server,
    now_ms: i64,
    inventory: &Inventory,
    cpu: &HistoryAnswer,
    memory: &HistoryAnswer,
) -> String {
    let counts = server.parts.ingest.counts();
    let running = inventory.containers.iter().filter(|container| container.running).count();
    let up = format_duration_ms(now_ms.saturating_sub(server.started_ms) / 1_000 * 1_000);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <title>Plimsoll</title><link rel=\"stylesheet\" href=\"/page.css\"></head><body>\
         <h1>Plimsoll</h1><p>Keeps what every container, service and node used. This is version \
         {version}, up {up}; it is {now}.</p>\
         <p>{running} containers of {services} services run on {nodes} nodes. {samples} samples \
         in {frames} frames came in since the start.</p>",
        version = env!("CARGO_PKG_VERSION"),
        now = format_time_ms(now_ms / 1_000 * 1_000),
        services = inventory.services.iter().filter(|service| service.running > 0).count(),
        nodes = inventory.nodes.len(),
        samples = counts.samples,
        frames = counts.frames_new,
    );
    collector(server, &mut page);
    page.push_str(
        "<h2>Services, last minute</h2><table><tr><th>stack</th><th>service</th>\
         <th class=\"n\">running</th><th class=\"n\">CPU, cores</th>\
         <th class=\"n\">memory, MiB</th></tr>",
    );
    for service in &inventory.services {
        // Writing to a String cannot fail.
        let _ = write!(
            page,
            "<tr><td>{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td></tr>",
            escape(&service.stack),
            escape(&service.service),
            service.running,
            shown(value(cpu, &service.stack, &service.service), 1.0, 3),
            shown(value(memory, &service.stack, &service.service), 1_048_576.0, 1),
        );
    }
    page.push_str(
        "</table><h2>More</h2><ul>\
         <li><a href=\"/api/v1/history?metric=cpu&amp;by=service&amp;from=-1h&amp;step=1m\">history\
         </a>, also as <a href=\"/api/v1/history?metric=cpu&amp;format=csv\">CSV</a>, Arrow and \
         Parquet</li>\
         <li><a href=\"/api/v1/inventory\">inventory</a></li>\
         <li><a href=\"/api/v1/status\">status</a>, <a href=\"/metrics\">metrics</a></li>\
         <li><a href=\"/openapi.json\">all of the API</a> (OpenAPI)</li></ul></body></html>\n",
    );
    page
}

fn collector(server: &Server, page: &mut String) {
    let Some(probe) = &server.parts.collector else { return };
    let status = probe();
    let _ = write!(
        page,
        "<p>The collector reads {}: {} containers in its last round.{}</p>",
        escape(&status.source),
        status.containers,
        status.error.map(|error| format!(" {}", escape(&error))).unwrap_or_default(),
    );
}

/// The newest value of a service.
fn value(answer: &HistoryAnswer, stack: &str, service: &str) -> Option<f64> {
    let group = answer.groups.iter().find(|group| group.labels == [stack, service])?;
    group.values.iter().rev().find_map(|value| *value)
}

fn shown(value: Option<f64>, divide_by: f64, digits: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{:.digits$}", value / divide_by))
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            letter => escaped.push(letter),
        }
    }
    escaped
}
