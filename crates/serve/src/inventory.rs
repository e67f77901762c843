//! `GET /api/v1/inventory`: what containers, services and nodes there are and were.
//!
//! Not here: finding them (`query::inventory`).

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use plimsoll_query::inventory::{
    Inventory, InventoryContainer, InventoryNode, InventoryRequest, InventoryService,
    inventory as find,
};
use plimsoll_store::ScanLimits;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::{ApiError, ErrorBody};
use crate::parameters::Pairs;
use crate::state::Server;

/// What there was in a range of time.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InventoryBody {
    /// Always `success`.
    #[schema(example = "success")]
    status: &'static str,
    data: InventoryData,
    /// What a reader should know.
    warnings: Vec<String>,
}

/// Containers, services and nodes.
#[derive(Debug, Serialize, ToSchema)]
struct InventoryData {
    containers: Vec<ContainerData>,
    services: Vec<ServiceData>,
    nodes: Vec<NodeData>,
}

/// One container.
#[derive(Debug, Serialize, ToSchema)]
struct ContainerData {
    name: String,
    /// 64 hexadecimal digits.
    id: String,
    cluster: String,
    node: String,
    /// Swarm stack or Compose project; empty if none.
    stack: String,
    /// What outlives the container: the service, or its name where there is none.
    service: String,
    /// Replica: Swarm slot or Compose number; empty if none.
    slot: String,
    image: String,
    labels: BTreeMap<String, String>,
    /// Newest state the engine gave; null if none was seen.
    state: Option<String>,
    /// Newest health; null if it has no health check.
    health: Option<String>,
    /// Start of the newest run, Unix milliseconds.
    started_at_ms: Option<i64>,
    /// First row in the range, Unix milliseconds.
    first_seen_ms: i64,
    /// Last row in the range, Unix milliseconds.
    last_seen_ms: i64,
    /// Whether it was running at the range's end.
    running: bool,
}

/// One service.
#[derive(Debug, Serialize, ToSchema)]
struct ServiceData {
    cluster: String,
    /// Swarm stack or Compose project; empty if none.
    stack: String,
    service: String,
    /// Containers in the range.
    containers: u64,
    /// Those running at the range's end.
    running: u64,
    nodes: BTreeSet<String>,
    images: BTreeSet<String>,
    /// First row in the range, Unix milliseconds.
    first_seen_ms: i64,
    /// Last row in the range, Unix milliseconds.
    last_seen_ms: i64,
}

/// One node.
#[derive(Debug, Serialize, ToSchema)]
struct NodeData {
    cluster: String,
    node: String,
    engine_version: Option<String>,
    cpu_cores: Option<i64>,
    memory_total_bytes: Option<i64>,
    /// Containers running on it at the range's end.
    running: u64,
    /// First row in the range, Unix milliseconds.
    first_seen_ms: i64,
    /// Last row in the range, Unix milliseconds.
    last_seen_ms: i64,
}

impl From<InventoryContainer> for ContainerData {
    fn from(of: InventoryContainer) -> Self {
        Self {
            name: of.subject.container.to_string(),
            id: of.subject.container_id.to_string(),
            cluster: of.subject.cluster.to_string(),
            node: of.subject.node.to_string(),
            stack: of.subject.stack.to_string(),
            service: of.subject.service.to_string(),
            slot: of.subject.slot.to_string(),
            image: of.subject.image.to_string(),
            labels: of.labels,
            state: of.state,
            health: of.health,
            started_at_ms: of.started_at_ms,
            first_seen_ms: of.first_seen_ms,
            last_seen_ms: of.last_seen_ms,
            running: of.running,
        }
    }
}

impl From<InventoryService> for ServiceData {
    fn from(of: InventoryService) -> Self {
        Self {
            cluster: of.cluster,
            stack: of.stack,
            service: of.service,
            containers: of.containers,
            running: of.running,
            nodes: of.nodes,
            images: of.images,
            first_seen_ms: of.first_seen_ms,
            last_seen_ms: of.last_seen_ms,
        }
    }
}

impl From<InventoryNode> for NodeData {
    fn from(of: InventoryNode) -> Self {
        Self {
            cluster: of.cluster,
            node: of.node,
            engine_version: of.engine_version,
            cpu_cores: of.cpu_cores,
            memory_total_bytes: of.memory_total_bytes,
            running: of.running,
            first_seen_ms: of.first_seen_ms,
            last_seen_ms: of.last_seen_ms,
        }
    }
}

/// What containers, services and nodes there are and were
///
/// Filters are those of `/api/v1/history`: any dimension or `label.<name>`.
#[utoipa::path(
    get,
    path = "/api/v1/inventory",
    tag = "inventory",
    params(
        ("from" = Option<String>, Query, example = "-1d",
            description = "Start: RFC 3339, Unix seconds, `now` or relative to now. Default: an \
             hour before `to`"),
        ("to" = Option<String>, Query, description = "End, exclusive. Default: now"),
    ),
    responses(
        (status = 200, description = "The inventory", body = InventoryBody),
        (status = 400, description = "A parameter is wrong", body = ErrorBody),
        (status = 422, description = "The question costs too much", body = ErrorBody),
        (status = 503, description = "Not now, or it took too long", body = ErrorBody),
    )
)]
pub(crate) async fn inventory(
    State(server): State<Server>,
    Pairs(pairs): Pairs,
) -> Result<Json<InventoryBody>, ApiError> {
    let request = InventoryRequest::parse(&pairs, server.parts.clock.now_ms())
        .map_err(|error| ApiError::of(error.class(), &error))?;
    let found = ask(&server, request).await?;
    let data = InventoryData {
        containers: found.containers.into_iter().map(Into::into).collect(),
        services: found.services.into_iter().map(Into::into).collect(),
        nodes: found.nodes.into_iter().map(Into::into).collect(),
    };
    Ok(Json(InventoryBody { status: "success", data, warnings: found.warnings }))
}

/// Finds an inventory off the async threads.
pub(crate) async fn ask(server: &Server, request: InventoryRequest) -> Result<Inventory, ApiError> {
    let parts = server.parts.clone();
    let found = server.gate.ask(move |stop| {
        let limits = ScanLimits {
            rows_max: parts.limits.query_rows_max,
            series_max: parts.limits.query_series_max,
            stop,
        };
        find(&parts.store, &request, &limits).map_err(|error| ApiError::of(error.class(), &error))
    });
    found.await
}
