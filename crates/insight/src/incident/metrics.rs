//! Which metrics an incident looks at, and what each says about cause and effect.
//!
//! Metrics that measure one thing twice (bytes and operations, use and pressure) are of one
//! family, and only the loudest of a family counts: agreeing with oneself is no evidence.
//!
//! Weights are priors about cause and effect. CPU and memory are a container's own doing and
//! count whole; traffic and IO are work that others bring and count half. What falls counts half
//! of what rises: what breaks burns, spins or swells, and those around it run out of work.

use super::change::Direction;

/// What a metric says something about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// CPU used, and waiting for it.
    Cpu,
    /// Memory held, and waiting for it.
    Memory,
    /// Block IO read.
    Read,
    /// Block IO written.
    Write,
    /// Network in.
    Receive,
    /// Network out.
    Transmit,
    /// Tasks.
    Tasks,
}

impl Family {
    /// How much a change of this family counts; see the module's head.
    pub fn weight(self, direction: Direction) -> f64 {
        let own = match self {
            Self::Cpu | Self::Memory => 1.0,
            Self::Read | Self::Write | Self::Receive | Self::Transmit | Self::Tasks => 0.5,
        };
        match direction {
            Direction::Up => own,
            Direction::Down => own * 0.5,
        }
    }
}

/// One metric that is looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Watched {
    /// Name in answers.
    pub name: &'static str,
    /// What it is called in a sentence.
    pub words: &'static str,
    /// Table.
    pub table: &'static str,
    /// Column.
    pub column: &'static str,
    /// A counter, read as growth per second.
    pub is_rate: bool,
    /// Stored unit per shown unit.
    pub divide_by: f64,
    /// Unit of the shown value.
    pub unit: &'static str,
    /// Shown value below which a container is as good as idle.
    pub quiet: f64,
    /// What it says something about.
    pub family: Family,
}

const fn rate(
    name: &'static str,
    words: &'static str,
    place: (&'static str, &'static str),
    shown: (f64, &'static str, f64),
    family: Family,
) -> Watched {
    let (table, column) = place;
    let (divide_by, unit, quiet) = shown;
    Watched { name, words, table, column, is_rate: true, divide_by, unit, quiet, family }
}

const MIB: f64 = 1_048_576.0;
/// Microseconds of CPU or waiting per second, shown as a share or cores; idle below 1 ‰.
const TIME: (f64, &str, f64) = (1e6, "cores", 0.001);
const SHARE: (f64, &str, f64) = (1e6, "share", 0.01);
const BYTES: (f64, &str, f64) = (1.0, "bytes_per_second", 1000.0);
const OPERATIONS: (f64, &str, f64) = (1.0, "per_second", 0.5);

/// Everything an incident looks at.
pub const WATCHED: &[Watched] = &[
    rate("cpu", "CPU", ("container", "cpu_usage_us"), TIME, Family::Cpu),
    rate("cpu_throttled", "CPU throttling", ("container", "cpu_throttled_us"), SHARE, Family::Cpu),
    rate(
        "cpu_waiting",
        "waiting for CPU",
        ("container", "cpu_pressure_some_us"),
        SHARE,
        Family::Cpu,
    ),
    Watched {
        name: "memory",
        words: "memory",
        table: "container",
        column: "memory_working_set_bytes",
        is_rate: false,
        divide_by: 1.0,
        unit: "bytes",
        quiet: 4.0 * MIB,
        family: Family::Memory,
    },
    rate(
        "memory_waiting",
        "waiting for memory",
        ("container", "memory_pressure_some_us"),
        SHARE,
        Family::Memory,
    ),
    rate("io_waiting", "waiting for IO", ("container", "io_pressure_some_us"), SHARE, Family::Read),
    Watched {
        name: "tasks",
        words: "tasks",
        table: "container",
        column: "pids",
        is_rate: false,
        divide_by: 1.0,
        unit: "count",
        quiet: 2.0,
        family: Family::Tasks,
    },
    rate("read", "bytes read", ("container_blkio", "read_bytes"), BYTES, Family::Read),
    rate("read_ops", "reads", ("container_blkio", "read_ops"), OPERATIONS, Family::Read),
    rate("write", "bytes written", ("container_blkio", "write_bytes"), BYTES, Family::Write),
    rate("write_ops", "writes", ("container_blkio", "write_ops"), OPERATIONS, Family::Write),
    rate("receive", "bytes received", ("container_network", "rx_bytes"), BYTES, Family::Receive),
    rate("transmit", "bytes sent", ("container_network", "tx_bytes"), BYTES, Family::Transmit),
    rate(
        "receive_dropped",
        "packets dropped on arrival",
        ("container_network", "rx_dropped"),
        OPERATIONS,
        Family::Receive,
    ),
    rate(
        "transmit_dropped",
        "packets dropped on sending",
        ("container_network", "tx_dropped"),
        OPERATIONS,
        Family::Transmit,
    ),
];
