//! What stands around every route: limits, panics, headers, counting.
//!
//! From the outside in: security headers, compression, counting, panics, the limit of requests
//! in progress, the time limit.
//! Not here: the body limit (set with the routes), error texts (`error`).

use std::any::Any;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use plimsoll_model::ErrorClass;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

use crate::error::ApiError;
use crate::metrics::Dropped;
use crate::run::ROUTES;
use crate::state::Server;

/// Headers of every answer.
const SECURITY: [(HeaderName, HeaderValue); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
             object-src 'none'",
        ),
    ),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
];

/// Puts all layers around the routes.
pub(crate) fn around(router: Router, server: &Server) -> Router {
    let panics = server.clone();
    router
        .layer(from_fn_with_state(server.clone(), in_time))
        .layer(from_fn_with_state(server.clone(), one_of_many))
        .layer(CatchPanicLayer::custom(move |panic: Box<dyn Any + Send>| broke(&panics, &panic)))
        .layer(from_fn_with_state(server.clone(), counted))
        .layer(CompressionLayer::new())
        .layer(from_fn(with_headers))
}

async fn with_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in SECURITY {
        response.headers_mut().insert(name, value);
    }
    let headers = response.headers_mut();
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

async fn counted(State(server): State<Server>, request: Request, next: Next) -> Response {
    let matched = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let route = matched.and_then(|path| ROUTES.iter().position(|route| *route == path));
    let method = request.method().clone();
    let _in_progress = server.requests.begin();
    let started = server.parts.clock.monotonic();
    let response = next.run(request).await;
    let took = server.parts.clock.monotonic().saturating_sub(started);
    server.requests.done(route, response.status(), took);
    let took_ms = took.as_millis();
    let route = route.and_then(|route| ROUTES.get(route)).copied().unwrap_or("other");
    tracing::debug!(%method, route, status = response.status().as_u16(), took_ms, "request done");
    response
}

async fn one_of_many(State(server): State<Server>, request: Request, next: Next) -> Response {
    // Health must be seen in particular when there is no room.
    if matches!(request.uri().path(), "/healthz" | "/metrics") {
        return next.run(request).await;
    }
    let Ok(_permit) = server.requests.slots().try_acquire() else {
        server.requests.dropped(Dropped::Full);
        let most = server.parts.limits.requests_max;
        let message = format!("{most} requests are in progress already, try again");
        return ApiError::new(ErrorClass::Busy, message).into_response();
    };
    next.run(request).await
}

async fn in_time(State(server): State<Server>, request: Request, next: Next) -> Response {
    let timeout = server.parts.limits.request_timeout;
    if let Ok(response) = tokio::time::timeout(timeout, next.run(request)).await {
        return response;
    }
    server.requests.dropped(Dropped::Timeout);
    ApiError::timeout("the request", timeout).into_response()
}

fn broke(server: &Server, panic: &(dyn Any + Send)) -> Response {
    server.requests.dropped(Dropped::Panic);
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(panic = text.unwrap_or("without a text"), "request panicked");
    let message = "the server broke on this request; its log says more";
    ApiError::new(ErrorClass::Bug, message).into_response()
}

/// Answers paths nobody has.
pub(crate) async fn no_such_path(uri: Uri) -> ApiError {
    let message = format!("there is no {}; GET /openapi.json lists what there is", uri.path());
    ApiError::new(ErrorClass::Missing, message)
}

/// Answers methods a path does not have; the `Allow` header says which it has.
pub(crate) async fn no_such_method(method: Method, uri: Uri) -> ApiError {
    let message =
        format!("{} does not take {method}; GET /openapi.json lists what it takes", uri.path());
    ApiError::http(StatusCode::METHOD_NOT_ALLOWED, "bad_data", message)
}
