//! Walks a made-up fleet and gives one row per container and moment with all of [`METRICS`].
//!
//! Keeps true: rows of one container come in time order; a value that was not reported is none.
//!
//! Not here: how rows are written for each system (`frames`, `remote_write`, `lines`, `columns`).

use plimsoll_fleetsim::{Fleet, Rows, TickRows};

use super::metric::{METRICS, Table};

/// All values of one container at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// When, Unix milliseconds.
    pub time_ms: i64,
    /// Position in [`Fleet::containers`].
    pub container: usize,
    /// When its current run started, Unix milliseconds.
    pub started_at_ms: i64,
    /// Its interface and its device.
    pub parts: [&'static str; 2],
    /// In the order of [`METRICS`].
    pub values: [Option<i64>; METRICS.len()],
}

/// What is known of a container besides its values; the labels of its series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    /// Sorted by name.
    pub pairs: [(&'static str, String); 6],
}

/// The labels of all containers, by position in [`Fleet::containers`].
pub fn labels(fleet: &Fleet) -> Vec<Labels> {
    let of = |container: &plimsoll_fleetsim::Container| {
        let service = fleet.service_of(container);
        let pairs = [
            ("container", container.name.clone()),
            ("container_id", container.id.clone()),
            ("image", container.image.to_string()),
            ("node", fleet.nodes()[container.node].hostname.clone()),
            ("service", service.name.clone()),
            ("stack", service.stack.clone().unwrap_or_default()),
        ];
        Labels { pairs }
    };
    fleet.containers().iter().map(of).collect()
}

/// Turns the rows of one node and tick into [`Row`]s, with only the first `metrics` of
/// [`METRICS`].
#[derive(Debug)]
pub struct Joiner {
    /// Per metric: its table and its place there.
    places: Vec<(Table, usize)>,
}

impl Joiner {
    /// For the first `metrics` of [`METRICS`].
    pub fn new(metrics: usize) -> Self {
        let place = |metric: &super::metric::Metric| {
            let columns = metric.table.columns();
            let column = columns.iter().position(|column| *column == metric.column);
            (metric.table, column.unwrap_or(usize::MAX))
        };
        Self { places: METRICS.iter().take(metrics).map(place).collect() }
    }

    /// Adds the rows of one node and tick to `out`.
    pub fn add(&self, tick: &TickRows, out: &mut Vec<Row>) {
        let (mut network, mut device) = (0, 0);
        let containers = &tick.containers;
        for at in 0..containers.len() {
            let container = containers.container[at];
            let network_at = next(&tick.networks, container, &mut network);
            let device_at = next(&tick.devices, container, &mut device);
            let part = |rows: &Rows, at: Option<usize>| at.map_or("", |at| rows.part[at]);
            let mut row = Row {
                time_ms: containers.time_ms[at],
                container: container as usize,
                started_at_ms: containers.started_at_ms[at],
                parts: [part(&tick.networks, network_at), part(&tick.devices, device_at)],
                values: [None; METRICS.len()],
            };
            for (value, (table, column)) in row.values.iter_mut().zip(&self.places) {
                let (rows, at) = match table {
                    Table::Container => (containers, Some(at)),
                    Table::Network => (&tick.networks, network_at),
                    Table::Blkio => (&tick.devices, device_at),
                };
                *value = at.and_then(|at| *rows.values.get(*column)?.get(at)?);
            }
            out.push(row);
        }
    }
}

/// Where `container` is in `rows`, which have containers in the same order but not all of them.
fn next(rows: &Rows, container: u32, cursor: &mut usize) -> Option<usize> {
    if rows.container.get(*cursor) == Some(&container) {
        *cursor += 1;
        return Some(*cursor - 1);
    }
    None
}
