//! From a request to its answer.
//!
//! Keeps true: every request is recorded before anything else happens to it; nothing but GET
//! is served.
//!
//! Not here: the bodies (`containers`, `stats`, `swarm`, `system`, `events`).

use super::events::Follow;
use super::faults::LOOK_EVERY;
use super::moment::Core;
use super::request::{Query, RECORDED_MAX, RecordedRequest, decoded};
use super::stats::{self, Before};
use super::{containers, locked, swarm, system};
use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;

/// A whole or streamed body.
pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Time between two messages of a stats stream, by the engine's clock.
const STREAM_EVERY_MS: i64 = 1_000;
/// A stats answer that needs two readings waits for the second for at most this many looks.
const LOOKS_MAX: u32 = 400;

pub(super) async fn answer(
    core: Arc<Core>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let query_text = uri.query().unwrap_or_default();
    {
        let mut requests = locked(&core.requests);
        if requests.len() < RECORDED_MAX {
            requests.push(RecordedRequest {
                method: method.to_string(),
                path: uri.path().to_owned(),
                query: query_text.to_owned(),
            });
        }
    }
    core.faults.hold().await;
    if core.faults.fails(uri.path()) {
        return Ok(refusal(StatusCode::INTERNAL_SERVER_ERROR, "made to fail"));
    }
    if method != Method::GET {
        return Ok(refusal(StatusCode::METHOD_NOT_ALLOWED, "only GET is served"));
    }
    Ok(match without_version(&core, uri.path()) {
        Ok(path) => get(core, path, Query::parse(query_text)).await,
        Err(message) => refusal(StatusCode::BAD_REQUEST, &message),
    })
}

/// The path without its `/v1.41`, or why that version is refused.
fn without_version<'a>(core: &Core, path: &'a str) -> Result<&'a str, String> {
    let Some((first, _)) = path.strip_prefix("/v").and_then(|rest| rest.split_once('/')) else {
        return Ok(path);
    };
    let parse = |text: &str| -> Option<(u32, u32)> {
        let (major, minor) = text.split_once('.')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    };
    let Some(asked) = parse(first) else { return Ok(path) };
    let release = system::release(core.cgroup());
    if Some(asked) > parse(release.api) {
        return Err(format!(
            "client version {first} is too new. Maximum supported API version is {}",
            release.api
        ));
    }
    if Some(asked) < parse(release.api_least) {
        return Err(format!(
            "client version {first} is too old. Minimum supported API version is {}",
            release.api_least
        ));
    }
    Ok(&path[2 + first.len()..])
}

async fn get(core: Arc<Core>, path: &str, query: Query) -> Response<Body> {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match parts[..] {
        ["_ping"] => ping(&core),
        ["version"] => whole(&system::version(&core)),
        ["info"] => whole(&system::info(&core)),
        ["events"] => events(core, query),
        ["containers", "json"] => whole(&containers::list(&core, &query)),
        ["containers", id, "json"] => match core.find(&decoded(id), core.now_ms()) {
            Some(container) => whole(&containers::inspect(&core, container)),
            None => no_container(id),
        },
        ["containers", id, "stats"] => container_stats(core, id, &query).await,
        ["services" | "tasks" | "nodes", ..] if !core.is_manager() => {
            let message = "This node is not a swarm manager. Use \"docker swarm init\" or \
                \"docker swarm join\" to connect this node to swarm and try again.";
            refusal(StatusCode::SERVICE_UNAVAILABLE, message)
        }
        ["services"] => whole(&swarm::services(&core, &query)),
        ["services", id] => match swarm::service(&core, &decoded(id)) {
            Some(service) => whole(&service),
            None => refusal(StatusCode::NOT_FOUND, &format!("service {id} not found")),
        },
        ["tasks"] => whole(&swarm::tasks(&core, &query)),
        ["nodes"] => whole(&swarm::nodes(&core)),
        _ => refusal(StatusCode::NOT_FOUND, "page not found"),
    }
}

async fn container_stats(core: Arc<Core>, wanted: &str, query: &Query) -> Response<Body> {
    let Some(container) = core.find(&decoded(wanted), core.now_ms()) else {
        return no_container(wanted);
    };
    let (index, id) = (container.index, container.id.clone());
    core.faults.hold_stats(&id).await;
    if query.flag("stream", true) {
        return stats_stream(core, index);
    }
    let container = &core.fleet().containers()[index];
    let first_ms = core.now_ms();
    let (message, before) = stats::message(&core, container, first_ms, None);
    if query.flag("one-shot", false) {
        return whole(&message);
    }
    // Without one-shot an engine reads twice and answers with the second reading.
    let mut looks = 0;
    while core.now_ms() < first_ms + STREAM_EVERY_MS && looks < LOOKS_MAX {
        looks += 1;
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let container = &core.fleet().containers()[index];
    whole(&stats::message(&core, container, core.now_ms(), Some(&before)).0)
}

/// A message at once and one per second of the engine's clock, until the container is removed.
fn stats_stream(core: Arc<Core>, index: usize) -> Response<Body> {
    struct Stream {
        core: Arc<Core>,
        index: usize,
        before: Option<Before>,
        next_ms: i64,
    }
    let begin = Stream { core, index, before: None, next_ms: i64::MIN };
    let messages = stream::unfold(begin, |mut state| async move {
        loop {
            let now_ms = state.core.now_ms();
            let container = &state.core.fleet().containers()[state.index];
            if container.removed_ms.is_some_and(|removed| removed <= now_ms) {
                return None;
            }
            if now_ms < state.next_ms {
                tokio::time::sleep(LOOK_EVERY).await;
                continue;
            }
            state.core.faults.hold_stats(&container.id).await;
            let (message, before) =
                stats::message(&state.core, container, now_ms, state.before.as_ref());
            state.before = Some(before);
            state.next_ms = now_ms + STREAM_EVERY_MS;
            let line = Bytes::from(format!("{message}\n"));
            return Some((Ok::<_, Infallible>(Frame::data(line)), state));
        }
    });
    answered(StatusCode::OK, StreamBody::new(messages).boxed_unsync())
}

fn events(core: Arc<Core>, query: Query) -> Response<Body> {
    let follow = Follow::new(core, query);
    let lines = stream::unfold(follow, |mut follow| async move {
        let lines = follow.lines().await?;
        Some((Ok::<_, Infallible>(Frame::data(lines)), follow))
    });
    answered(StatusCode::OK, StreamBody::new(lines).boxed_unsync())
}

fn ping(core: &Core) -> Response<Body> {
    let mut response = answered(StatusCode::OK, Full::new(Bytes::from("OK")).boxed_unsync());
    let headers = response.headers_mut();
    let text = |value| hyper::header::HeaderValue::from_static(value);
    headers.insert("content-type", text("text/plain; charset=utf-8"));
    headers.insert("api-version", text(system::release(core.cgroup()).api));
    headers.insert("ostype", text("linux"));
    headers.insert("docker-experimental", text("false"));
    response
}

fn no_container(wanted: &str) -> Response<Body> {
    refusal(StatusCode::NOT_FOUND, &format!("No such container: {wanted}"))
}

fn refusal(status: StatusCode, message: &str) -> Response<Body> {
    let body = format!("{}\n", json!({"message": message}));
    answered(status, Full::new(Bytes::from(body)).boxed_unsync())
}

fn whole(body: &Value) -> Response<Body> {
    answered(StatusCode::OK, Full::new(Bytes::from(format!("{body}\n"))).boxed_unsync())
}

fn answered(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let json = hyper::header::HeaderValue::from_static("application/json");
    response.headers_mut().insert("content-type", json);
    response
}
