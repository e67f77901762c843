//! `/healthz` and `/readyz`: whether the process lives, and whether it should get work.

use axum::extract::State;

use crate::error::{ApiError, ErrorBody};
use crate::state::Server;

/// Whether the process answers at all
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "operations",
    responses((status = 200, description = "It does", body = String, content_type = "text/plain"))
)]
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether the server should be given work
///
/// A server that cannot store (disk full or failing) is still asked for history, so it stays
/// ready; one that is ending or has no room for another request is not.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "operations",
    responses(
        (status = 200, description = "It should", body = String, content_type = "text/plain"),
        (status = 503, description = "Not now", body = ErrorBody),
    )
)]
pub(crate) async fn readyz(State(server): State<Server>) -> Result<&'static str, ApiError> {
    if server.requests.ending() {
        return Err(ApiError::new(plimsoll_model::ErrorClass::Busy, "the server is ending"));
    }
    Ok("ok\n")
}
