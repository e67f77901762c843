//! `GET /api/v1/status`: how the server, its store and its collector are doing.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::state::{CollectorStatus, ServeLimits, Server};

/// How the server is doing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StatusBody {
    /// Always `success`.
    #[schema(example = "success")]
    status: &'static str,
    data: StatusData,
}

/// The parts of the server.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StatusData {
    /// Version of the program.
    version: &'static str,
    /// When the server started, Unix milliseconds.
    started_at_ms: i64,
    /// How long it has run, seconds.
    uptime_s: i64,
    /// Rows, samples, bytes, files and health of the store.
    #[schema(value_type = Object)]
    store: serde_json::Value,
    /// What came in since the start.
    ingest: IngestData,
    /// The collector of this process; none if it has none.
    collector: Option<CollectorStatus>,
    /// What may be in progress at once.
    limits: ServeLimits,
}

/// What came in since the start.
#[derive(Debug, Serialize, ToSchema)]
struct IngestData {
    /// Frames that were new.
    frames_new: u64,
    /// Frames that were known already.
    frames_duplicate: u64,
    /// Frames that were refused.
    frames_rejected: u64,
    /// Rows of new frames.
    rows: u64,
    /// Samples of new frames.
    samples: u64,
    /// Bytes of frames that reached the store.
    bytes: u64,
}

/// How the server is doing
#[utoipa::path(
    get,
    path = "/api/v1/status",
    tag = "operations",
    responses((status = 200, description = "Store, ingest, collector, limits", body = StatusBody))
)]
pub(crate) async fn status(State(server): State<Server>) -> Result<Json<StatusBody>, ApiError> {
    let counts = server.parts.ingest.counts();
    let store = serde_json::to_value(server.parts.store.status())
        .map_err(|error| ApiError::of(plimsoll_model::ErrorClass::Bug, &error))?;
    let now_ms = server.parts.clock.now_ms();
    let data = StatusData {
        version: env!("CARGO_PKG_VERSION"),
        started_at_ms: server.started_ms,
        uptime_s: now_ms.saturating_sub(server.started_ms) / 1_000,
        store,
        ingest: IngestData {
            frames_new: counts.frames_new,
            frames_duplicate: counts.frames_duplicate,
            frames_rejected: counts.frames_rejected,
            rows: counts.rows,
            samples: counts.samples,
            bytes: counts.bytes,
        },
        collector: server.parts.collector.as_ref().map(|probe| probe()),
        limits: server.parts.limits.clone(),
    };
    Ok(Json(StatusBody { status: "success", data }))
}
