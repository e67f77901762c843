//! What every route needs, and the limits the server keeps.
//!
//! Not here: where the parts come from (`plimsoll::main` builds them).

use std::sync::Arc;
use std::time::Duration;

use plimsoll_ingest::Ingest;
use plimsoll_model::Clock;
use plimsoll_query::series::SeriesCache;
use plimsoll_store::Store;
use serde::Serialize;
use utoipa::ToSchema;

use crate::ask::Gate;
use crate::metrics::Requests;

/// What one server does at once, and how long it takes for it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ServeLimits {
    /// Largest request body, bytes.
    pub body_bytes_max: usize,
    /// Requests in progress at once.
    pub requests_max: usize,
    /// How long a request may take, milliseconds.
    #[serde(rename = "request_timeout_ms", serialize_with = "as_ms")]
    #[schema(value_type = u64)]
    pub request_timeout: Duration,
    /// How long requests in progress may take once the server is told to end, milliseconds.
    #[serde(rename = "shutdown_timeout_ms", serialize_with = "as_ms")]
    #[schema(value_type = u64)]
    pub shutdown_timeout: Duration,
    /// Questions answered at once.
    pub query_concurrency: usize,
    /// Questions that may wait.
    pub query_queue: usize,
    /// How long a question may take, milliseconds.
    #[serde(rename = "query_timeout_ms", serialize_with = "as_ms")]
    #[schema(value_type = u64)]
    pub query_timeout: Duration,
    /// Series one question may read.
    pub query_series_max: usize,
    /// Rows one question may read.
    pub query_rows_max: u64,
    /// Values one answer may have.
    pub query_points_max: usize,
}

fn as_ms<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self {
            body_bytes_max: 16 << 20,
            requests_max: 512,
            request_timeout: Duration::from_mins(1),
            shutdown_timeout: Duration::from_secs(8),
            query_concurrency: 4,
            query_queue: 64,
            query_timeout: Duration::from_secs(30),
            query_series_max: 50_000,
            query_rows_max: 50_000_000,
            query_points_max: 5_000_000,
        }
    }
}

/// How the collector of this process is doing.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct CollectorStatus {
    /// What it collects from: the engine's address, or that the fleet is made up.
    pub source: String,
    /// The machine; empty for a made-up fleet.
    pub node: String,
    /// The engine and its version; empty for a made-up fleet.
    pub engine: String,
    /// Containers its last round has rows of.
    pub containers: u64,
    /// Samples it made since the start.
    pub samples: u64,
    /// Rows it had to throw away since the start.
    pub rows_dropped: u64,
    /// Reads and questions that failed since the start.
    pub errors: u64,
    /// What went wrong last, if that has not passed.
    pub error: Option<String>,
}

/// Asks the collector of this process how it is doing; must not block.
pub type CollectorProbe = Arc<dyn Fn() -> CollectorStatus + Send + Sync>;

/// What a server is built from.
pub struct ServerParts {
    /// Where rows are.
    pub store: Store,
    /// The doorway of frames.
    pub ingest: Ingest,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// What may be in progress.
    pub limits: ServeLimits,
    /// The collector of this process, if it has one.
    pub collector: Option<CollectorProbe>,
}

impl std::fmt::Debug for ServerParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerParts").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// The HTTP server. Cloning is cheap; clones share everything.
#[derive(Debug, Clone)]
pub struct Server {
    pub(crate) parts: Arc<ServerParts>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) requests: Arc<Requests>,
    pub(crate) series: Arc<SeriesCache>,
    pub(crate) started_ms: i64,
}

impl Server {
    /// A server of these parts.
    pub fn new(parts: ServerParts) -> Self {
        let gate = Gate::new(&parts.limits);
        let started_ms = parts.clock.now_ms();
        Self {
            gate: Arc::new(gate),
            requests: Arc::new(Requests::new(parts.limits.requests_max)),
            series: Arc::default(),
            started_ms,
            parts: Arc::new(parts),
        }
    }
}
