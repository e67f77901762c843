//! The `OpenAPI` document, made from the routes and their types.
//!
//! It is checked in as `schemas/api/openapi.json`; a test compares the two, and `UPDATE_API=1`
//! writes the file anew.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa::OpenApi;

use crate::{frames, health, history, inventory, metrics, page, prometheus, retention, status};

/// Everything the server answers.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Plimsoll",
        description = "History of container fleets: what every container, service and node used.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(
        page::page,
        page::css,
        frames::frames,
        history::history,
        inventory::inventory,
        status::status,
        retention::retention,
        retention::delete,
        health::healthz,
        health::readyz,
        metrics::metrics,
        prometheus::query::instant,
        prometheus::query::range,
        prometheus::query::format_query,
        prometheus::find::labels,
        prometheus::find::label_values,
        prometheus::find::series,
        prometheus::find::metadata,
        prometheus::federate::federate,
        prometheus::read::read,
        openapi,
    ),
    tags(
        (name = "history", description = "How things went over time"),
        (name = "inventory", description = "What there is and was"),
        (name = "ingest", description = "How samples come in"),
        (name = "prometheus", description = "The HTTP API of Prometheus, for Grafana and others"),
        (name = "operations", description = "How the server is doing"),
    )
)]
struct Document;

/// The `OpenAPI` document as JSON with line breaks and a final one.
///
/// # Errors
///
/// The serializer's error, which the test of the document rules out.
pub fn openapi_json() -> Result<String, serde_json::Error> {
    let mut text = Document::openapi().to_pretty_json()?;
    text.push('\n');
    Ok(text)
}

/// This document
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "operations",
    responses((status = 200, description = "OpenAPI 3.1", body = Object))
)]
pub(crate) async fn openapi() -> Result<Response, crate::error::ApiError> {
    let text = openapi_json()
        .map_err(|error| crate::error::ApiError::of(plimsoll_model::ErrorClass::Bug, &error))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response())
}
