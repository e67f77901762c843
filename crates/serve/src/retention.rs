//! `GET /api/v1/retention`: what retention would take now; `DELETE /api/v1/series`: deletes a
//! range of time of what selectors choose.
//!
//! Not here: ages, rules and how rows go (`store::retention`).

use axum::Json;
use axum::extract::State;
use plimsoll_model::{Batch, ErrorClass};
use plimsoll_query::parameters::{range, single};
use plimsoll_store::DeleteRequest;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::{ApiError, ErrorBody};
use crate::parameters::Pairs;
use crate::state::Server;

/// Most selectors one request may have.
const SELECTORS_MAX: usize = 32;

/// What retention would take.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RetentionBody {
    /// Always `success`.
    #[schema(example = "success")]
    status: &'static str,
    /// Segments that would go or shrink, with rows, bytes and why; and the totals.
    #[schema(value_type = Object)]
    data: serde_json::Value,
}

/// What was deleted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeletedBody {
    /// Always `success`.
    #[schema(example = "success")]
    status: &'static str,
    data: DeletedData,
}

/// The deletions that are in force from now on.
#[derive(Debug, Serialize, ToSchema)]
struct DeletedData {
    /// Number of each, as the audit log names it.
    deletions: Vec<u64>,
    /// First millisecond that is gone.
    from_ms: i64,
    /// First millisecond that is kept again.
    to_ms: i64,
}

/// What retention would take now
#[utoipa::path(
    get,
    path = "/api/v1/retention",
    tag = "operations",
    responses((status = 200, description = "Segments, rows and bytes", body = RetentionBody))
)]
pub(crate) async fn retention(
    State(server): State<Server>,
) -> Result<Json<RetentionBody>, ApiError> {
    let parts = server.parts.clone();
    let found = server.gate.ask(move |_| Ok(parts.store.retention_dry_run(None, None))).await?;
    let data =
        serde_json::to_value(found).map_err(|error| ApiError::of(ErrorClass::Bug, &error))?;
    Ok(Json(RetentionBody { status: "success", data }))
}

/// Delete a range of time of what selectors choose
///
/// At once nothing returns these rows any more; their bytes go when segments are merged next.
#[utoipa::path(
    delete,
    path = "/api/v1/series",
    tag = "operations",
    params(
        ("match[]" = Vec<String>, Query, example = json!(["{stack=\"batch\"}"]),
            description = "Which rows, by dimensions and keys; at least one"),
        ("from" = String, Query, description = "Start: RFC 3339, Unix seconds or relative"),
        ("to" = Option<String>, Query, description = "End, exclusive. Default: now"),
        ("table" = Option<String>, Query, description = "Only this table. Default: all"),
    ),
    responses(
        (status = 200, description = "In force", body = DeletedBody),
        (status = 400, description = "A parameter is wrong", body = ErrorBody),
        (status = 503, description = "Not now", body = ErrorBody),
    )
)]
pub(crate) async fn delete(
    State(server): State<Server>,
    Pairs(pairs): Pairs,
) -> Result<Json<DeletedBody>, ApiError> {
    let allowed = ["match[]", "from", "to", "table"];
    let invalid = |message: String| ApiError::new(ErrorClass::Invalid, message);
    if let Some((name, _)) = pairs.iter().find(|(name, _)| !allowed.contains(&name.as_str())) {
        return Err(invalid(format!("there is no parameter `{name}`, allowed are {allowed:?}")));
    }
    let selectors: Vec<String> = pairs
        .iter()
        .filter(|(name, _)| name == "match[]")
        .map(|(_, selector)| selector.clone())
        .collect();
    if selectors.is_empty() || selectors.len() > SELECTORS_MAX {
        let found = selectors.len();
        return Err(invalid(format!(
            "parameter `match[]`: found {found} selectors, allowed are 1 to {SELECTORS_MAX}"
        )));
    }
    if single(&pairs, "from")?.is_none() {
        return Err(invalid("parameter `from` is missing: say what is to be deleted".to_owned()));
    }
    let times = range(&pairs, server.parts.clock.now_ms())?;
    let table = match single(&pairs, "table")? {
        Some(name) => {
            Some(Batch::find_table(name).map_err(|error| ApiError::of(error.class(), &error))?)
        }
        None => None,
    };
    let parts = server.parts.clone();
    let deletions = server.gate.ask(move |_| {
        let delete = |selector: String| {
            let who = "api".to_owned();
            parts.store.delete(&DeleteRequest { table, selector, range: times, who })
        };
        let numbers: Result<Vec<u64>, _> = selectors.into_iter().map(delete).collect();
        numbers.map_err(|error| ApiError::of(error.class(), &error))
    });
    let deletions = deletions.await?;
    let data = DeletedData { deletions, from_ms: times.start_ms, to_ms: times.end_ms };
    Ok(Json(DeletedBody { status: "success", data }))
}
