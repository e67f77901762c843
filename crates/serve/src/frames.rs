//! `POST /api/v1/frames`: takes what agents send.
//!
//! Not here: what becomes of the frames (`ingest`).

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use plimsoll_model::ErrorClass;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::{ApiError, ErrorBody};
use crate::state::Server;

/// What became of the frames of a body.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FramesBody {
    /// Always `success`.
    #[schema(example = "success")]
    status: &'static str,
    data: FramesData,
}

/// Frames by what became of them.
#[derive(Debug, Serialize, ToSchema)]
struct FramesData {
    /// Frames that were not known before and are safe now.
    new: u64,
    /// Frames that were safe already.
    duplicate: u64,
    /// Frames that will never be taken as they are.
    rejected: Vec<RejectedData>,
}

/// A frame that was refused.
#[derive(Debug, Serialize, ToSchema)]
struct RejectedData {
    /// Position in the body, from 0.
    index: usize,
    /// Why.
    reason: String,
}

/// Takes frames
///
/// The body is one frame after the other. The answer comes when all new ones are on disk. A frame
/// that is sent again changes nothing. A sender tries again after 429, 500 and 503.
#[utoipa::path(
    post,
    path = "/api/v1/frames",
    tag = "ingest",
    request_body(
        content = Vec<u8>,
        content_type = "application/vnd.plimsoll.frames",
        description = "Concatenated frames"
    ),
    responses(
        (status = 200, description = "What became of each frame", body = FramesBody),
        (status = 400, description = "The body is not frames", body = ErrorBody),
        (status = 413, description = "The body is too large", body = ErrorBody),
        (status = 422, description = "The body has too many frames", body = ErrorBody),
        (status = 503, description = "Not now, see Retry-After", body = ErrorBody),
    )
)]
pub(crate) async fn frames(
    State(server): State<Server>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<FramesBody>, ApiError> {
    let body = body.map_err(|rejection| refused(&rejection, server.parts.limits.body_bytes_max))?;
    let answer = server.parts.ingest.frames(body).await.map_err(|error| {
        // Damage of what was received is the sender's to repair, not ours.
        let class = match error.class() {
            ErrorClass::Corrupt => ErrorClass::Invalid,
            class => class,
        };
        ApiError::of(class, &error)
    })?;
    let rejected = answer.rejected.into_iter();
    let rejected = rejected.map(|frame| RejectedData { index: frame.index, reason: frame.reason });
    let data =
        FramesData { new: answer.new, duplicate: answer.duplicate, rejected: rejected.collect() };
    Ok(Json(FramesBody { status: "success", data }))
}

fn refused(rejection: &BytesRejection, body_bytes_max: usize) -> ApiError {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        let message = format!("the body has more than {body_bytes_max} bytes: send fewer frames");
        return ApiError::http(StatusCode::PAYLOAD_TOO_LARGE, "too_many", message);
    }
    ApiError::new(ErrorClass::Invalid, "the body ended early")
}
