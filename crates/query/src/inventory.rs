//! What containers, services and nodes there were in a range of time.
//!
//! Read from the rows themselves: whoever has rows in the range was there. Descriptions come from
//! `container_info`, the newest one up to the range's end.
//! Not here: how an inventory is written (`serve`), text search.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use plimsoll_model::{Batch, BatchError, ErrorClass, Filter, Subject, Table, TimeRange};
use plimsoll_store::{Scan, ScanError, ScanLimits, ScanRequest, SeriesRows, Store};

use crate::container_labels::{ContainerLabels, container_labels, newest_text};
use crate::parameters::{ParameterError, filters, range};

/// What the range may end before now, and a container still counts as running: five minutes.
const FRESH_MS: i64 = 300_000;

/// Parameters of an inventory that are not filters.
pub const PARAMETERS: &[&str] = &["from", "to"];

/// What inventory is asked for.
#[derive(Debug, Clone)]
pub struct InventoryRequest {
    /// When things must have been there, half open.
    pub range: TimeRange,
    /// Over dimensions of containers.
    pub filter: Filter,
    /// Over labels of containers.
    pub label_filters: Filter,
}

/// Why there is no inventory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InventoryError {
    /// A table of the registry is missing.
    #[error("the inventory has no table to read")]
    Table(#[from] BatchError),
    /// The store cannot read what is asked for.
    #[error("cannot read the inventory")]
    Scan(#[from] ScanError),
}

impl InventoryError {
    /// Whether asking for less may help.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Table(_) => ErrorClass::Bug,
            Self::Scan(source) => source.class(),
        }
    }
}

/// One container incarnation.
#[derive(Debug, Clone)]
pub struct InventoryContainer {
    /// Who it is.
    pub subject: Subject,
    /// Its labels; empty when it was not described.
    pub labels: ContainerLabels,
    /// Newest state the engine gave (`running`, `exited`, ...); none if no row has one.
    pub state: Option<String>,
    /// Newest health the engine gave; none if it has no health check.
    pub health: Option<String>,
    /// Start of the newest run, Unix milliseconds.
    pub started_at_ms: Option<i64>,
    /// First row in the range, Unix milliseconds.
    pub first_seen_ms: i64,
    /// Last row in the range, Unix milliseconds.
    pub last_seen_ms: i64,
    /// Whether it was running at the range's end: it had a row in the last five minutes, and
    /// that did not say otherwise.
    pub running: bool,
}

/// One service: what its containers have in common.
#[derive(Debug, Clone)]
pub struct InventoryService {
    /// The fleet.
    pub cluster: String,
    /// Swarm stack or Compose project; empty if none.
    pub stack: String,
    /// Its name.
    pub service: String,
    /// Containers in the range.
    pub containers: u64,
    /// Those running at the range's end.
    pub running: u64,
    /// Nodes it had containers on, sorted.
    pub nodes: BTreeSet<String>,
    /// Images of its containers, sorted.
    pub images: BTreeSet<String>,
    /// First row of any of its containers, Unix milliseconds.
    pub first_seen_ms: i64,
    /// Last row of any of its containers, Unix milliseconds.
    pub last_seen_ms: i64,
}

/// One machine.
#[derive(Debug, Clone)]
pub struct InventoryNode {
    /// The fleet.
    pub cluster: String,
    /// Its host name.
    pub node: String,
    /// Version of its engine; none if its own rows do not say.
    pub engine_version: Option<String>,
    /// Its cores.
    pub cpu_cores: Option<i64>,
    /// Its memory in bytes.
    pub memory_total_bytes: Option<i64>,
    /// Containers running on it at the range's end.
    pub running: u64,
    /// First row of it or its containers, Unix milliseconds.
    pub first_seen_ms: i64,
    /// Last row of it or its containers, Unix milliseconds.
    pub last_seen_ms: i64,
}

/// Everything that was there.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    /// Sorted as rows are: by service, then id.
    pub containers: Vec<InventoryContainer>,
    /// Sorted by (cluster, stack, service).
    pub services: Vec<InventoryService>,
    /// Sorted by (cluster, node).
    pub nodes: Vec<InventoryNode>,
    /// What a reader should know, one sentence each.
    pub warnings: Vec<String>,
}

impl InventoryRequest {
    /// Reads the decoded (name, value) pairs of a URL's query: `from`, `to` and filters.
    ///
    /// # Errors
    ///
    /// [`ParameterError`] says which parameter is wrong and what it may be.
    pub fn parse(pairs: &[(String, String)], now_ms: i64) -> Result<Self, InventoryAsked> {
        let table = Batch::find_table("container").map_err(InventoryError::Table)?;
        let (filter, label_filters) = filters(pairs, table, PARAMETERS)?;
        Ok(Self { range: range(pairs, now_ms)?, filter, label_filters })
    }
}

/// Why a question for inventory cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InventoryAsked {
    /// A parameter is wrong.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// There is nothing to ask.
    #[error(transparent)]
    Inventory(#[from] InventoryError),
}

impl InventoryAsked {
    /// Whose mistake it is.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Parameter(error) => error.class(),
            Self::Inventory(error) => error.class(),
        }
    }
}

/// Answers what was there. Blocks: call it where blocking is allowed.
///
/// # Errors
///
/// [`InventoryError`] when a limit is reached or the store cannot read.
pub fn inventory(
    store: &Store,
    request: &InventoryRequest,
    limits: &ScanLimits,
) -> Result<Inventory, InventoryError> {
    let scan = columns(store, "container", CONTAINER_COLUMNS, request, limits)?;
    let labels = container_labels(store, request.range, limits.clone())?;
    let mut found = Inventory { warnings: scan.warnings, ..Inventory::default() };
    for series in &scan.series {
        let of_it = labels.get(&series.key.subject.container_id).cloned().unwrap_or_default();
        let label = |name: &str| of_it.get(name).map_or("", String::as_str);
        if request.label_filters.accepts(label) {
            found.containers.extend(container(series, of_it, request.range));
        }
    }
    found.services = services(&found.containers);
    found.nodes = nodes(store, request, limits, &found.containers)?;
    Ok(found)
}

const CONTAINER_COLUMNS: &[&str] = &["state", "health", "started_at_ms"];
const NODE_COLUMNS: &[&str] = &["engine_version", "cpu_cores", "memory_total_bytes"];

fn columns(
    store: &Store,
    table: &str,
    columns: &[&str],
    request: &InventoryRequest,
    limits: &ScanLimits,
) -> Result<Scan, InventoryError> {
    let table: &'static Table = Batch::find_table(table)?;
    let metrics = columns.iter().filter_map(|column| table.metric_index(column)).collect();
    let of_nodes = |matcher: &&plimsoll_model::Matcher| {
        table.dimensions().iter().any(|dimension| dimension.name() == matcher.label())
    };
    let filter = request.filter.matchers().iter().filter(of_nodes).cloned().collect();
    Ok(store.scan(&ScanRequest {
        table,
        metrics,
        range: request.range,
        filter: Filter::new(filter),
        limits: limits.clone(),
    })?)
}

fn seen(series: &SeriesRows) -> Option<(i64, i64)> {
    let (first, last) = (series.chunks.first()?, series.chunks.last()?);
    Some((*first.times_ms.first()?, *last.times_ms.last()?))
}

fn newest_int(series: &SeriesRows, position: usize) -> Option<i64> {
    series.chunks.iter().rev().find_map(|chunk| {
        let column = chunk.columns.get(position)?.as_primitive_opt::<Int64Type>()?;
        let row = (0..column.len()).rev().find(|row| !column.is_null(*row))?;
        column.values().get(row).copied()
    })
}

fn container(
    series: &SeriesRows,
    labels: ContainerLabels,
    range: TimeRange,
) -> Option<InventoryContainer> {
    let (first_seen_ms, last_seen_ms) = seen(series)?;
    let state = newest_text(series, 0);
    let alive = state.as_deref().is_none_or(|state| matches!(state, "running" | "paused"));
    Some(InventoryContainer {
        subject: series.key.subject.clone(),
        labels,
        running: alive && last_seen_ms >= range.end_ms.saturating_sub(FRESH_MS),
        state,
        health: newest_text(series, 1),
        started_at_ms: newest_int(series, 2),
        first_seen_ms,
        last_seen_ms,
    })
}

fn services(containers: &[InventoryContainer]) -> Vec<InventoryService> {
    let mut services: BTreeMap<[&str; 3], InventoryService> = BTreeMap::new();
    for container in containers {
        let of = &container.subject;
        let service = services.entry([&of.cluster, &of.stack, &of.service]).or_insert_with(|| {
            InventoryService {
                cluster: of.cluster.to_string(),
                stack: of.stack.to_string(),
                service: of.service.to_string(),
                containers: 0,
                running: 0,
                nodes: BTreeSet::new(),
                images: BTreeSet::new(),
                first_seen_ms: container.first_seen_ms,
                last_seen_ms: container.last_seen_ms,
            }
        });
        service.containers += 1;
        service.running += u64::from(container.running);
        service.nodes.insert(of.node.to_string());
        service.images.insert(of.image.to_string());
        service.first_seen_ms = service.first_seen_ms.min(container.first_seen_ms);
        service.last_seen_ms = service.last_seen_ms.max(container.last_seen_ms);
    }
    services.into_values().collect()
}

fn nodes(
    store: &Store,
    request: &InventoryRequest,
    limits: &ScanLimits,
    containers: &[InventoryContainer],
) -> Result<Vec<InventoryNode>, InventoryError> {
    let mut nodes: BTreeMap<(Arc<str>, Arc<str>), InventoryNode> = BTreeMap::new();
    let mut add = |subject: &Subject, first_ms: i64, last_ms: i64| {
        let key = (subject.cluster.clone(), subject.node.clone());
        let node = nodes.entry(key).or_insert_with(|| InventoryNode {
            cluster: subject.cluster.to_string(),
            node: subject.node.to_string(),
            engine_version: None,
            cpu_cores: None,
            memory_total_bytes: None,
            running: 0,
            first_seen_ms: first_ms,
            last_seen_ms: last_ms,
        });
        node.first_seen_ms = node.first_seen_ms.min(first_ms);
        node.last_seen_ms = node.last_seen_ms.max(last_ms);
    };
    let scan = columns(store, "node", NODE_COLUMNS, request, limits)?;
    for container in containers {
        add(&container.subject, container.first_seen_ms, container.last_seen_ms);
    }
    // A filter for services or containers asks for the nodes of those, not for all nodes.
    let of_containers = containers_only(request);
    for series in scan.series.iter().filter(|_| !of_containers) {
        if let Some((first_ms, last_ms)) = seen(series) {
            add(&series.key.subject, first_ms, last_ms);
        }
    }
    for series in &scan.series {
        let subject = &series.key.subject;
        let key = (subject.cluster.clone(), subject.node.clone());
        if let Some(node) = nodes.get_mut(&key) {
            node.engine_version = newest_text(series, 0);
            node.cpu_cores = newest_int(series, 1);
            node.memory_total_bytes = newest_int(series, 2);
        }
    }
    for container in containers.iter().filter(|container| container.running) {
        let subject = &container.subject;
        if let Some(node) = nodes.get_mut(&(subject.cluster.clone(), subject.node.clone())) {
            node.running += 1;
        }
    }
    Ok(nodes.into_values().collect())
}

fn containers_only(request: &InventoryRequest) -> bool {
    let of_node = |label: &str| matches!(label, "cluster" | "node");
    !request.label_filters.matchers().is_empty()
        || request.filter.matchers().iter().any(|matcher| !of_node(matcher.label()))
}
