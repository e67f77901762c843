//! `/federate`: the newest samples of series, in the text format that Prometheus scrapes.

use std::io::Write as _;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use plimsoll_query::promql::{Hints, Labels, METRIC_NAME, Selection, SeriesSource, is_stale};
use plimsoll_query::series::series_help;

use super::answer::number;
use super::parameters::Parameters;
use super::{ask, bad_data, of_source};
use crate::error::{ApiError, ErrorBody};
use crate::state::Server;

/// How old a sample may be, in milliseconds.
const LOOKBACK_MS: i64 = 300_000;

/// The newest samples of series, for a Prometheus to scrape
#[utoipa::path(
    get,
    path = "/federate",
    tag = "prometheus",
    params(("match[]" = Vec<String>, Query, example = "{job=\"cadvisor\"}")),
    responses(
        (status = 200, description = "The text format", body = String, content_type = "text/plain"),
        (status = 400, description = "A selector is wrong", body = ErrorBody),
    )
)]
pub(crate) async fn federate(
    State(server): State<Server>,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let selectors = parameters.selectors()?;
    if selectors.is_empty() {
        return Err(bad_data("no match[] parameter provided"));
    }
    let now_ms = server.parts.clock.now_ms();
    let body = ask(&server, None, move |work| {
        let selection = |matchers| Selection {
            matchers,
            first_ms: now_ms.saturating_sub(LOOKBACK_MS).saturating_add(1),
            last_ms: now_ms,
            hints: Hints::default(),
        };
        let selections: Vec<Selection> = selectors.into_iter().map(selection).collect();
        let found = work.source().select(&selections, &work.limits, &work.patience);
        let mut newest: Vec<(Labels, i64, f64)> = Vec::new();
        for series in found.map_err(|error| of_source(&error))?.into_iter().flatten() {
            let last = series.times.last().copied().zip(series.values.last().copied());
            if let Some((time_ms, value)) = last.filter(|(_, value)| !is_stale(*value)) {
                newest.push((series.labels, time_ms, value));
            }
        }
        newest.sort_by(|one, other| {
            (one.0.metric_name(), &one.0).cmp(&(other.0.metric_name(), &other.0))
        });
        newest.dedup_by(|one, other| one.0 == other.0);
        Ok(exposed(&newest))
    });
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], body.await?).into_response())
}

fn exposed(samples: &[(Labels, i64, f64)]) -> Vec<u8> {
    let helps = series_help();
    let mut out = Vec::new();
    let mut before = "";
    for (labels, time_ms, value) in samples {
        let name = labels.metric_name();
        if name != before {
            let help = helps.binary_search_by_key(&name, |help| help.name);
            let kind = help.ok().and_then(|at| helps.get(at)).map_or("untyped", |help| help.kind);
            // Writing to a vector cannot fail.
            let _ = writeln!(out, "# TYPE {name} {kind}");
            before = name;
        }
        out.extend_from_slice(name.as_bytes());
        let mut sign = '{';
        for (label, value) in labels.pairs().iter().filter(|(label, _)| &**label != METRIC_NAME) {
            let value = value.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"");
            let _ = write!(out, "{sign}{label}=\"{value}\"");
            sign = ',';
        }
        if sign == ',' {
            out.push(b'}');
        }
        out.push(b' ');
        number(&mut out, *value);
        let _ = writeln!(out, " {time_ms}");
    }
    out
}
