//! The 24 metrics every system is fed, and what each system calls them.
//!
//! Keeps true: the order of [`METRICS`] is the order of values in a [`super::rows::Row`].

use plimsoll_fleetsim::{BLKIO_METRICS, CONTAINER_METRICS, NETWORK_METRICS};

/// Where a metric comes from in a made-up fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Table {
    /// `container`.
    Container,
    /// `container_network`.
    Network,
    /// `container_blkio`.
    Blkio,
}

impl Table {
    /// All of them, in the order of their frames.
    pub const ALL: [Self; 3] = [Self::Container, Self::Network, Self::Blkio];

    /// The table's name in the registry.
    pub fn name(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Network => "container_network",
            Self::Blkio => "container_blkio",
        }
    }

    /// The columns a made-up fleet has of it, in their order.
    pub fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Container => CONTAINER_METRICS,
            Self::Network => NETWORK_METRICS,
            Self::Blkio => BLKIO_METRICS,
        }
    }
}

/// One of the 24.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its table.
    pub table: Table,
    /// Its column there.
    pub column: &'static str,
    /// Its name in the other systems, without [`PREFIX`].
    pub field: &'static str,
    /// Its series in Plimsoll.
    pub series: &'static str,
    /// A label that series of that name differ in.
    pub label: Option<(&'static str, &'static str)>,
    /// How many of the stored unit make one of the unit Plimsoll shows.
    pub divide_by: f64,
}

/// What every name in the other systems begins with.
pub const PREFIX: &str = "container_";

impl Metric {
    /// Its whole name in the other systems.
    pub fn peer_name(&self) -> String {
        format!("{PREFIX}{}", self.field)
    }
}

const fn of(
    table: Table,
    column: &'static str,
    field: &'static str,
    series: &'static str,
) -> Metric {
    Metric { table, column, field, series, label: None, divide_by: 1.0 }
}

const fn cpu(column: &'static str, field: &'static str, series: &'static str) -> Metric {
    let plain = of(Table::Container, column, field, series);
    Metric { divide_by: 1e6, ..plain }
}

const fn faults(column: &'static str, field: &'static str, kind: &'static str) -> Metric {
    let plain = of(Table::Container, column, field, "container_memory_failures_total");
    Metric { label: Some(("failure_type", kind)), ..plain }
}

use Table::{Blkio, Container, Network};

/// The 24, CPU and memory of a container first.
pub const METRICS: [Metric; 24] = [
    cpu("cpu_usage_us", "cpu_usage_us_total", "container_cpu_usage_seconds_total"),
    cpu("cpu_user_us", "cpu_user_us_total", "container_cpu_user_seconds_total"),
    cpu("cpu_system_us", "cpu_system_us_total", "container_cpu_system_seconds_total"),
    of(Container, "cpu_periods", "cpu_periods_total", "container_cpu_cfs_periods_total"),
    of(
        Container,
        "cpu_throttled_periods",
        "cpu_throttled_periods_total",
        "container_cpu_cfs_throttled_periods_total",
    ),
    cpu("cpu_throttled_us", "cpu_throttled_us_total", "container_cpu_cfs_throttled_seconds_total"),
    of(Container, "memory_usage_bytes", "memory_usage_bytes", "container_memory_usage_bytes"),
    of(Container, "memory_rss_bytes", "memory_rss_bytes", "container_memory_rss"),
    of(Container, "memory_cache_bytes", "memory_cache_bytes", "container_memory_cache"),
    of(Container, "memory_limit_bytes", "memory_limit_bytes", "container_spec_memory_limit_bytes"),
    faults("memory_pgfault", "memory_pgfault_total", "pgfault"),
    faults("memory_pgmajfault", "memory_pgmajfault_total", "pgmajfault"),
    of(Blkio, "read_bytes", "blkio_read_bytes_total", "container_fs_reads_bytes_total"),
    of(Blkio, "write_bytes", "blkio_write_bytes_total", "container_fs_writes_bytes_total"),
    of(Blkio, "read_ops", "blkio_read_ops_total", "container_fs_reads_total"),
    of(Blkio, "write_ops", "blkio_write_ops_total", "container_fs_writes_total"),
    of(Network, "rx_bytes", "net_rx_bytes_total", "container_network_receive_bytes_total"),
    of(Network, "tx_bytes", "net_tx_bytes_total", "container_network_transmit_bytes_total"),
    of(Network, "rx_packets", "net_rx_packets_total", "container_network_receive_packets_total"),
    of(Network, "tx_packets", "net_tx_packets_total", "container_network_transmit_packets_total"),
    of(Network, "rx_errors", "net_rx_errors_total", "container_network_receive_errors_total"),
    of(
        Network,
        "tx_dropped",
        "net_tx_dropped_total",
        "container_network_transmit_packets_dropped_total",
    ),
    of(
        Network,
        "rx_dropped",
        "net_rx_dropped_total",
        "container_network_receive_packets_dropped_total",
    ),
    of(Container, "pids", "pids", "container_threads"),
];

/// Position of CPU time among [`METRICS`].
pub const CPU: usize = 0;
/// Position of memory usage among [`METRICS`].
pub const MEMORY: usize = 6;

#[cfg(test)]
mod tests {
    use plimsoll_model::Batch;

    use super::*;

    /// Every one is a column of the registry under the series name that queries use.
    #[test]
    fn names_are_those_of_the_registry() {
        for metric in METRICS {
            let table = Batch::find_table(metric.table.name()).unwrap();
            let known = table.metrics().iter().find(|known| &*known.column == metric.column);
            assert_eq!(&*known.unwrap().name, metric.series, "{}", metric.column);
            assert!(metric.table.columns().contains(&metric.column), "{}", metric.column);
        }
    }
}
