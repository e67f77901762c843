//! `/api/v1/labels`, `/api/v1/label/<name>/values`, `/api/v1/series`, `/api/v1/metadata`.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use plimsoll_model::TimeRange;
use plimsoll_query::promql::{Limits, Matcher, SourceError};
use plimsoll_query::series::{Find, series_help};
use serde_json::{Map, Value, json};

use super::answer::{Notes, label_sets, list, success};
use super::parameters::{Parameters, TRUNCATED, label_name};
use super::{Work, ask, bad_data, invalid, of_source};
use crate::error::{ApiError, ErrorBody};
use crate::state::Server;

/// How much of the past is looked at when a request names no start, in milliseconds: a day.
const RANGE_DEFAULT_MS: i64 = 86_400_000;

/// What a request looks for.
struct Wanted {
    matchers: Vec<Vec<Matcher>>,
    range: TimeRange,
    limit: Option<usize>,
}

impl Wanted {
    fn of(parameters: &Parameters, server: &Server) -> Result<Self, ApiError> {
        let now_ms = server.parts.clock.now_ms();
        let end_ms = parameters.time_ms("end")?.unwrap_or(now_ms);
        let start_ms = parameters.time_ms("start")?;
        let start_ms = start_ms.unwrap_or_else(|| end_ms.saturating_sub(RANGE_DEFAULT_MS));
        if end_ms < start_ms {
            return Err(invalid("end", "end timestamp must not be before start time"));
        }
        Ok(Self {
            matchers: parameters.selectors()?,
            range: TimeRange::new(start_ms, end_ms.saturating_add(1)),
            limit: parameters.limit()?,
        })
    }

    fn find<'a>(&'a self, limits: &'a Limits) -> Find<'a> {
        Find { matchers: &self.matchers, range: self.range, limits }
    }
}

type Texts = Result<BTreeSet<Arc<str>>, SourceError>;

async fn texts(
    server: &Server,
    parameters: &Parameters,
    read: impl FnOnce(&Work, &Find<'_>) -> Texts + Send + 'static,
) -> Result<Response, ApiError> {
    let wanted = Wanted::of(parameters, server)?;
    let timeout = parameters.timeout()?;
    let answer = ask(server, timeout, move |work| {
        let found = read(work, &wanted.find(&work.limits)).map_err(|error| of_source(&error))?;
        let mut notes = Notes::default();
        let limit = wanted.limit.unwrap_or(usize::MAX);
        if found.len() > limit {
            notes.warnings.push(TRUNCATED.to_owned());
        }
        let mut data = Vec::new();
        list(&mut data, found.iter().take(limit).map(AsRef::as_ref));
        Ok((data, notes))
    });
    let (data, notes) = answer.await?;
    Ok(success(&data, &notes))
}

/// The names of labels
#[utoipa::path(
    get,
    path = "/api/v1/labels",
    tag = "prometheus",
    params(
        ("match[]" = Option<Vec<String>>, Query, description = "Only of series that match"),
        ("start" = Option<String>, Query, description = "Default: a day before `end`"),
        ("end" = Option<String>, Query, description = "Default: now"),
        ("limit" = Option<u64>, Query),
    ),
    responses(
        (status = 200, description = "As Prometheus answers", body = Object),
        (status = 400, description = "A parameter is wrong", body = ErrorBody),
    )
)]
pub(crate) async fn labels(
    State(server): State<Server>,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    texts(&server, &parameters, |work, find| {
        work.source().label_names(find, &work.patience, &|request| work.store.series(request))
    })
    .await
}

/// The values of a label
#[utoipa::path(
    get,
    path = "/api/v1/label/{name}/values",
    tag = "prometheus",
    params(
        ("name" = String, Path, description = "The label; `U__` escapes any character"),
        ("match[]" = Option<Vec<String>>, Query, description = "Only of series that match"),
        ("start" = Option<String>, Query, description = "Default: a day before `end`"),
        ("end" = Option<String>, Query, description = "Default: now"),
        ("limit" = Option<u64>, Query),
    ),
    responses(
        (status = 200, description = "As Prometheus answers", body = Object),
        (status = 400, description = "A parameter is wrong", body = ErrorBody),
    )
)]
pub(crate) async fn label_values(
    State(server): State<Server>,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let label = label_name(&name);
    if label.is_empty() {
        return Err(bad_data(format!("invalid label name: \"{name}\"")));
    }
    texts(&server, &parameters, move |work, find| {
        let keys = |request: &_| work.store.series(request);
        work.source().label_values(find, &label, &work.patience, &keys)
    })
    .await
}

/// The label sets of series
#[utoipa::path(
    get,
    path = "/api/v1/series",
    tag = "prometheus",
    params(
        ("match[]" = Vec<String>, Query, example = "container_last_seen"),
        ("start" = Option<String>, Query, description = "Default: a day before `end`"),
        ("end" = Option<String>, Query, description = "Default: now"),
        ("limit" = Option<u64>, Query),
    ),
    responses(
        (status = 200, description = "As Prometheus answers", body = Object),
        (status = 400, description = "A parameter is wrong", body = ErrorBody),
    )
)]
pub(crate) async fn series(
    State(server): State<Server>,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let wanted = Wanted::of(&parameters, &server)?;
    if wanted.matchers.is_empty() {
        return Err(bad_data("no match[] parameter provided"));
    }
    let timeout = parameters.timeout()?;
    let answer = ask(&server, timeout, move |work| {
        let most = wanted.limit.unwrap_or(work.limits.series_max);
        let keys = |request: &_| work.store.series(request);
        let found =
            work.source().label_sets(&wanted.find(&work.limits), most, &work.patience, &keys);
        let (sets, more) = found.map_err(|error| of_source(&error))?;
        let mut notes = Notes::default();
        if more {
            notes.warnings.push(TRUNCATED.to_owned());
        }
        let mut data = Vec::new();
        label_sets(&mut data, &sets);
        Ok((data, notes))
    });
    let (data, notes) = answer.await?;
    Ok(success(&data, &notes))
}

/// What metrics mean
#[utoipa::path(
    get,
    path = "/api/v1/metadata",
    tag = "prometheus",
    params(
        ("metric" = Option<String>, Query, description = "Only this one"),
        ("limit" = Option<u64>, Query),
        ("limit_per_metric" = Option<u64>, Query),
    ),
    responses((status = 200, description = "As Prometheus answers", body = Object))
)]
pub(crate) async fn metadata(parameters: Parameters) -> Result<Response, ApiError> {
    let limit = parameters.limit()?.unwrap_or(usize::MAX);
    let metric = parameters.get("metric");
    let wanted = series_help().into_iter().filter(|help| metric.is_none_or(|of| of == help.name));
    let entry = |help: plimsoll_query::series::SeriesHelp| {
        let meaning = json!([{ "type": help.kind, "help": help.help, "unit": help.unit }]);
        (help.name.to_owned(), meaning)
    };
    let all: Map<String, Value> = wanted.take(limit).map(entry).collect();
    Ok(success(Value::Object(all).to_string().as_bytes(), &Notes::default()))
}
