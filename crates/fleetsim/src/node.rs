//! Nodes: when their ticks are, and what the machine itself used.
//!
//! Keeps true: the CPU time of all modes grows by cores x elapsed time; ticks of a node are in
//! order.
//!
//! Not here: what its containers used (`usage`).

use crate::config::FleetConfig;
use crate::names::{engine_id, swarm_id};
use crate::rng::{Draws, child};
use crate::rows::{NODE_METRICS, NodeRow};

/// One machine.
#[derive(Debug, Clone)]
pub struct Node {
    /// Position in [`crate::Fleet::nodes`].
    pub index: usize,
    /// Host name.
    pub hostname: String,
    /// Swarm node id, 25 characters.
    pub swarm_id: String,
    /// Engine id as `/info` shows it.
    pub engine_id: String,
    /// Number of cores.
    pub cores: u32,
    /// Memory in bytes.
    pub memory_bytes: i64,
    /// Its clock minus true time, milliseconds.
    pub clock_offset_ms: i64,
    /// When it booted, Unix milliseconds of its own clock.
    pub booted_ms: i64,
    phase_ms: i64,
    seed: u64,
}

impl Node {
    pub(crate) fn draw(config: &FleetConfig, index: usize) -> Self {
        let seed = child(config.seed, 0x0D0E_0000_0000 + index as u64);
        let mut draws = Draws::new(seed, 0);
        let most = config.clock.offset_ms_max.max(0);
        let clock_offset_ms = draws.ms(-most, most + 1);
        Self {
            index,
            hostname: format!("node-{:03}", index + 1),
            swarm_id: swarm_id(child(seed, 1)),
            engine_id: engine_id(child(seed, 2)),
            cores: config.node_cores,
            memory_bytes: config.node_memory_bytes,
            clock_offset_ms,
            booted_ms: config.start_ms - draws.ms(40, 60) * 86_400_000,
            phase_ms: draws.ms(0, config.interval_ms),
            seed,
        }
    }

    /// When tick `tick` of this node is, Unix milliseconds of its own clock.
    pub fn tick_ms(&self, config: &FleetConfig, tick: u64) -> i64 {
        let mut draws = Draws::new(self.seed, tick.wrapping_add(0x71C4));
        let mut late_ms = (draws.normal().abs() * config.clock.jitter_ms).round() as i64;
        if draws.chance(config.clock.late_share) {
            late_ms += draws.ms(5, 120);
        }
        let late_ms = late_ms.min(config.interval_ms / 4);
        let true_ms = config.start_ms + self.phase_ms + tick as i64 * config.interval_ms + late_ms;
        true_ms + self.clock_offset_ms
    }

    /// The last tick at or before a time of this node's clock.
    pub fn tick_at(&self, config: &FleetConfig, time_ms: i64) -> Option<u64> {
        let since = time_ms - config.start_ms - self.phase_ms - self.clock_offset_ms;
        if since < 0 {
            return None;
        }
        let tick = (since / config.interval_ms) as u64;
        if self.tick_ms(config, tick) <= time_ms { Some(tick) } else { tick.checked_sub(1) }
    }

    /// Whether nobody looked at this node at tick `tick`.
    pub fn misses(&self, config: &FleetConfig, tick: u64) -> bool {
        Draws::new(self.seed, tick.wrapping_add(0x3155_0000_0000)).chance(config.clock.missed_share)
    }

    /// Microseconds of CPU time all modes but steal had at a time of this node's clock: what
    /// the engine calls `system_cpu_usage`.
    pub(crate) fn system_cpu_us(&self, time_ms: i64) -> i64 {
        let all = (time_ms - self.booted_ms) * 1_000 * i64::from(self.cores);
        all - steal_us(all)
    }
}

/// Of this much CPU time, 1 in 2,000 is stolen.
fn steal_us(all_us: i64) -> i64 {
    all_us / 2_000
}

/// What the containers of one node used between two ticks.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct NodeLoad {
    pub(crate) user_us: i64,
    pub(crate) system_us: i64,
    pub(crate) io_ops: i64,
    pub(crate) packets: i64,
    pub(crate) memory_bytes: i64,
    pub(crate) cache_bytes: i64,
    pub(crate) processes: i64,
}

/// The machine's own counters.
#[derive(Debug, Clone)]
pub(crate) struct NodeState {
    at_ms: i64,
    /// user, nice, system, idle, iowait, irq, softirq, steal; microseconds.
    modes_us: [i64; 8],
    loads: [f64; 3],
}

impl NodeState {
    pub(crate) fn begin(node: &Node, start_ms: i64) -> Self {
        let all = (start_ms - node.booted_ms) * 1_000 * i64::from(node.cores);
        let steal = steal_us(all);
        let mut modes_us = [all / 5, all / 1_000, all / 20, 0, all / 200, 0, all / 500, steal];
        modes_us[3] = all - modes_us.iter().sum::<i64>();
        Self { at_ms: start_ms, modes_us, loads: [f64::from(node.cores) * 0.25; 3] }
    }

    /// Brings the counters to `time_ms`, given what the containers did meanwhile.
    pub(crate) fn advance(&mut self, node: &Node, time_ms: i64, load: &NodeLoad) {
        // Jitter may put a tick before the one ahead of it: counters stay as they are.
        if time_ms <= self.at_ms {
            return;
        }
        let cores = i64::from(node.cores);
        let before = (self.at_ms - node.booted_ms) * 1_000 * cores;
        let after = (time_ms - node.booted_ms) * 1_000 * cores;
        let mut left = after - before;
        let mut take = |mode: &mut i64, wanted: i64| {
            let taken = wanted.clamp(0, left);
            *mode += taken;
            left -= taken;
        };
        let [user, nice, system, idle, iowait, irq, softirq, steal] = &mut self.modes_us;
        take(steal, steal_us(after) - steal_us(before));
        let engine_us = (time_ms - self.at_ms) * 12;
        take(system, load.system_us + engine_us);
        take(user, load.user_us + engine_us / 2);
        take(softirq, load.packets / 2);
        take(irq, load.packets / 40);
        take(nice, 0);
        take(iowait, load.io_ops * 180);
        *idle += left;
        let seconds = (time_ms - self.at_ms) as f64 / 1_000.0;
        if seconds > 0.0 {
            let running = (load.user_us + load.system_us) as f64 / 1e6 / seconds;
            for (average, over_s) in self.loads.iter_mut().zip([60.0, 300.0, 900.0]) {
                *average += (running - *average) * (1.0 - f64::exp(-seconds / over_s));
            }
        }
        self.at_ms = time_ms;
    }

    /// The row of the node, in the order of [`NODE_METRICS`].
    pub(crate) fn row(&self, node: &Node, load: &NodeLoad) -> NodeRow {
        let total = node.memory_bytes;
        let used = (load.memory_bytes + total / 16).min(total - total / 64);
        let cached = load.cache_bytes.min(total - used);
        let milli = |load: f64| (load * 1_000.0) as i64;
        let mut values = [0; NODE_METRICS.len()];
        values[..8].copy_from_slice(&self.modes_us);
        values[8..].copy_from_slice(&[
            milli(self.loads[0]),
            milli(self.loads[1]),
            milli(self.loads[2]),
            total,
            total - used,
            total - used - cached,
            cached,
            load.processes + 90,
        ]);
        NodeRow { time_ms: self.at_ms, values }
    }
}
