//! `/proc/stat` and `/proc/cpuinfo`.

use std::collections::HashSet;

use plimsoll_model::batch::RowError;
use plimsoll_model::{BatchBuilder, Subject};

use super::NodeBuilders;
use crate::fields;

/// One tick of `/proc/stat` in microseconds: `USER_HZ` is 100 on every Linux that runs Docker.
pub(super) const TICK_US: u64 = 10_000;

/// Columns of `node_cpu`, in the order of a `cpuN` line.
const MODES: [&str; 10] = [
    "user_us",
    "nice_us",
    "system_us",
    "idle_us",
    "iowait_us",
    "irq_us",
    "softirq_us",
    "steal_us",
    "guest_us",
    "guest_nice_us",
];

/// How many cores and sockets a machine has; absent where the kernel does not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Topology {
    physical_cores: Option<u64>,
    sockets: Option<u64>,
}

impl Topology {
    /// Counts the different sockets and (socket, core) pairs of `/proc/cpuinfo`.
    pub(crate) fn parse(text: &[u8]) -> Self {
        let mut sockets = HashSet::new();
        let mut cores = HashSet::new();
        let mut socket = None;
        for line in fields::lines(text) {
            let Some((key, value)) = fields::split_at(line, b':') else { continue };
            match key.trim_ascii() {
                b"physical id" => {
                    socket = fields::number(value);
                    sockets.extend(socket);
                }
                b"core id" => {
                    cores.extend(socket.zip(fields::number(value)));
                }
                _ => {}
            }
        }
        let count = |set: usize| u64::try_from(set).ok().filter(|count| *count > 0);
        Self { physical_cores: count(cores.len()), sockets: count(sockets.len()) }
    }

    pub(super) fn write(self, node: &mut BatchBuilder) -> Result<(), RowError> {
        node.unsigned("cpu_physical_cores", self.physical_cores)?;
        node.unsigned("cpu_sockets", self.sockets)
    }
}

/// Writes a row of `node_cpu` per CPU, and the totals of `/proc/stat` into the row of `node`.
pub(super) fn write(
    text: &[u8],
    time_ms: i64,
    subject: &Subject,
    rows: &mut NodeBuilders<'_>,
) -> Result<(), RowError> {
    let mut cores = 0;
    for line in fields::lines(text) {
        let mut words = fields::words(line);
        let Some(key) = words.next() else { continue };
        if let Some(cpu) = key.strip_prefix(b"cpu").filter(|cpu| !cpu.is_empty()) {
            cores += 1;
            let cpu = String::from_utf8_lossy(cpu);
            rows.cpu.row(time_ms, subject, &[&cpu]);
            for (mode, word) in MODES.iter().zip(words) {
                let spent_us = fields::number(word).and_then(|ticks| ticks.checked_mul(TICK_US));
                rows.cpu.unsigned(mode, spent_us)?;
            }
            continue;
        }
        let value = words.next().and_then(fields::number);
        match key {
            b"ctxt" => rows.node.unsigned("context_switches", value)?,
            b"intr" => rows.node.unsigned("interrupts", value)?,
            b"processes" => rows.node.unsigned("forks", value)?,
            b"procs_running" => rows.node.unsigned("procs_running", value)?,
            b"procs_blocked" => rows.node.unsigned("procs_blocked", value)?,
            b"btime" => {
                let boot_at_ms = value.and_then(|seconds| seconds.checked_mul(1_000));
                rows.node.unsigned("boot_at_ms", boot_at_ms)?;
            }
            _ => {}
        }
    }
    rows.node.unsigned("cpu_cores", (cores > 0).then_some(cores))
}
