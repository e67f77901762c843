//! The rows of one node at one tick, as plain columns.
//!
//! Keeps true: all columns of a [`Rows`] have the same length.
//!
//! Not here: how values come about (`usage`, `node`).

/// Metrics of a container, in the order of [`TickRows::containers`]' value columns.
pub const CONTAINER_METRICS: &[&str] = &[
    "cpu_usage_us",
    "cpu_user_us",
    "cpu_system_us",
    "cpu_periods",
    "cpu_throttled_periods",
    "cpu_throttled_us",
    "memory_usage_bytes",
    "memory_working_set_bytes",
    "memory_rss_bytes",
    "memory_cache_bytes",
    "memory_limit_bytes",
    "memory_pgfault",
    "memory_pgmajfault",
    "pids",
];

/// Metrics of a network interface of a container, in the order of [`TickRows::networks`].
pub const NETWORK_METRICS: &[&str] = &[
    "rx_bytes",
    "tx_bytes",
    "rx_packets",
    "tx_packets",
    "rx_errors",
    "tx_errors",
    "rx_dropped",
    "tx_dropped",
];

/// Metrics of a block device of a container, in the order of [`TickRows::devices`].
pub const BLKIO_METRICS: &[&str] = &["read_bytes", "write_bytes", "read_ops", "write_ops"];

/// Metrics of a node, in the order of [`NodeRow::values`]. Load averages are thousandths.
pub const NODE_METRICS: &[&str] = &[
    "cpu_user_us",
    "cpu_nice_us",
    "cpu_system_us",
    "cpu_idle_us",
    "cpu_iowait_us",
    "cpu_irq_us",
    "cpu_softirq_us",
    "cpu_steal_us",
    "load1_milli",
    "load5_milli",
    "load15_milli",
    "memory_total_bytes",
    "memory_available_bytes",
    "memory_free_bytes",
    "memory_cached_bytes",
    "processes",
];

pub(crate) const NETWORK_AT: usize = CONTAINER_METRICS.len();
pub(crate) const BLKIO_AT: usize = NETWORK_AT + NETWORK_METRICS.len();
/// Values of one container at one moment, over all three tables.
pub(crate) const VALUES: usize = BLKIO_AT + BLKIO_METRICS.len();

/// The interface every container with a network of its own has.
pub(crate) const INTERFACE: &str = "eth0";
/// The block device of every node.
pub(crate) const DEVICE: &str = "8:0";

/// Whether a metric of [`CONTAINER_METRICS`], [`NETWORK_METRICS`] or [`BLKIO_METRICS`] only
/// grows while its container runs. False for gauges and for unknown names.
pub fn is_counter(metric: &str) -> bool {
    position(metric).is_some_and(is_counter_at)
}

/// Where a metric is among all values of a container.
pub(crate) fn position(metric: &str) -> Option<usize> {
    let all = CONTAINER_METRICS.iter().chain(NETWORK_METRICS).chain(BLKIO_METRICS);
    all.into_iter().position(|name| *name == metric)
}

pub(crate) fn is_counter_at(position: usize) -> bool {
    !matches!(position, 6..=10 | 13)
}

/// Rows of one table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// When, Unix milliseconds of the node's clock.
    pub time_ms: Vec<i64>,
    /// Which container, positions in [`crate::Fleet::containers`].
    pub container: Vec<u32>,
    /// When that container's current run started, Unix milliseconds.
    pub started_at_ms: Vec<i64>,
    /// The interface or device; empty text in the table of containers.
    pub part: Vec<&'static str>,
    /// One column per metric; none where nothing is reported, as for the limit of a container
    /// without one.
    pub values: Vec<Vec<Option<i64>>>,
}

impl Rows {
    pub(crate) fn with_columns(columns: usize) -> Self {
        Self { values: vec![Vec::new(); columns], ..Self::default() }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.time_ms.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.time_ms.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.time_ms.clear();
        self.container.clear();
        self.started_at_ms.clear();
        self.part.clear();
        self.values.iter_mut().for_each(Vec::clear);
    }

    pub(crate) fn push(&mut self, key: RowKey, part: &'static str, values: &[i64]) {
        self.time_ms.push(key.time_ms);
        self.container.push(key.container);
        self.started_at_ms.push(key.started_at_ms);
        self.part.push(part);
        for (column, value) in self.values.iter_mut().zip(values) {
            column.push(Some(*value));
        }
    }
}

/// When and whose a row is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowKey {
    pub(crate) time_ms: i64,
    pub(crate) container: u32,
    pub(crate) started_at_ms: i64,
}

/// What the machine itself used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRow {
    /// When, Unix milliseconds of the node's clock.
    pub time_ms: i64,
    /// In the order of [`NODE_METRICS`].
    pub values: [i64; NODE_METRICS.len()],
}

/// Everything one node shows at one tick. Containers that do not run have no row; a tick that
/// was missed has no rows at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TickRows {
    /// Position of the node in [`crate::Fleet::nodes`].
    pub node: usize,
    /// Number of the tick, from 0 at the fleet's start.
    pub tick: u64,
    /// One row per running container, columns [`CONTAINER_METRICS`].
    pub containers: Rows,
    /// One row per interface, columns [`NETWORK_METRICS`]; none for a host network.
    pub networks: Rows,
    /// One row per device, columns [`BLKIO_METRICS`]; none before the first IO of a run.
    pub devices: Rows,
    /// The machine; none when the tick was missed.
    pub host: Option<NodeRow>,
}

impl TickRows {
    pub(crate) fn empty(node: usize) -> Self {
        Self {
            node,
            tick: 0,
            containers: Rows::with_columns(CONTAINER_METRICS.len()),
            networks: Rows::with_columns(NETWORK_METRICS.len()),
            devices: Rows::with_columns(BLKIO_METRICS.len()),
            host: None,
        }
    }

    pub(crate) fn restart(&mut self, tick: u64) {
        self.tick = tick;
        self.containers.clear();
        self.networks.clear();
        self.devices.clear();
        self.host = None;
    }

    /// Number of values, absent ones included, of all tables.
    pub fn values(&self) -> usize {
        self.containers.len() * CONTAINER_METRICS.len()
            + self.networks.len() * NETWORK_METRICS.len()
            + self.devices.len() * BLKIO_METRICS.len()
            + self.host.as_ref().map_or(0, |row| row.values.len())
    }
}
