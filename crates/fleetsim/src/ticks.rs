//! Walks a fleet through its ticks.
//!
//! Keeps true: rows of a tick depend on the fleet and the tick only, not on where the walk
//! began; buffers are reused from tick to tick.
//!
//! Not here: the values themselves (`usage`, `node`).

use crate::fleet::{Fleet, Track};
use crate::life::{Container, Run};
use crate::node::{NodeLoad, NodeState};
use crate::rows::{
    BLKIO_AT, BLKIO_METRICS, CONTAINER_METRICS, DEVICE, INTERFACE, NETWORK_AT, NETWORK_METRICS,
    RowKey, TickRows, VALUES,
};
use crate::usage::{self, RunState, Surroundings};
use std::collections::BTreeMap;

/// Rows of a range of ticks, made one node and tick at a time.
#[derive(Debug, Clone)]
pub struct Ticks<'a> {
    fleet: &'a Fleet,
    cursors: Vec<NodeCursor>,
    turn: usize,
    end_tick: u64,
    from_ms: i64,
    to_ms: i64,
    rows: TickRows,
}

impl<'a> Ticks<'a> {
    pub(crate) fn new(
        fleet: &'a Fleet,
        cursors: Vec<NodeCursor>,
        from_ms: i64,
        to_ms: i64,
    ) -> Self {
        let config = fleet.config();
        let last = to_ms.saturating_sub(config.start_ms) + config.clock.offset_ms_max;
        let end_tick = if last < 0 { 0 } else { (last / config.interval_ms) as u64 + 1 };
        let rows = TickRows::empty(0);
        Self { fleet, cursors, turn: 0, end_tick, from_ms, to_ms, rows }
    }

    /// The rows of the next node, or of the first node at the next tick; none at the end.
    ///
    /// A missed tick gives empty rows.
    pub fn next_rows(&mut self) -> Option<&TickRows> {
        loop {
            let turns = self.cursors.len();
            let cursor = self.cursors.get_mut(self.turn)?;
            if cursor.next_tick >= self.end_tick {
                return None;
            }
            self.turn = (self.turn + 1) % turns;
            let node = &self.fleet.nodes()[cursor.node];
            let time_ms = node.tick_ms(self.fleet.config(), cursor.next_tick);
            if (self.from_ms..self.to_ms).contains(&time_ms) {
                cursor.step(self.fleet, Some(&mut self.rows));
                return Some(&self.rows);
            }
            cursor.step(self.fleet, None);
        }
    }
}

/// Where one node is between its ticks.
#[derive(Debug, Clone)]
pub(crate) struct NodeCursor {
    pub(crate) node: usize,
    /// The tick that [`NodeCursor::step`] makes next.
    pub(crate) next_tick: u64,
    tracks: Vec<TrackCursor>,
    host: NodeState,
}

/// Where one track is between its ticks.
#[derive(Debug, Clone, Default)]
struct TrackCursor {
    /// Runs before this one are over.
    run_index: usize,
    state: Option<RunState>,
}

impl NodeCursor {
    pub(crate) fn new(fleet: &Fleet, node: usize) -> Self {
        let host = NodeState::begin(&fleet.nodes()[node], fleet.config().start_ms);
        let tracks = vec![TrackCursor::default(); fleet.tracks(node).len()];
        Self { node, next_tick: 0, tracks, host }
    }

    /// Makes the next tick, and its rows when they are asked for.
    pub(crate) fn step(&mut self, fleet: &Fleet, mut rows: Option<&mut TickRows>) {
        let (config, node) = (fleet.config(), &fleet.nodes()[self.node]);
        let tick = self.next_tick;
        let tick_ms = node.tick_ms(config, tick);
        if let Some(rows) = rows.as_deref_mut() {
            rows.node = self.node;
            rows.restart(tick);
        }
        let shown = !node.misses(config, tick);
        let mut load = NodeLoad::default();
        for (cursor, track) in self.tracks.iter_mut().zip(fleet.tracks(self.node)) {
            let time_ms = tick_ms + track.spread_ms;
            let Some(state) = cursor.step(fleet, track, tick, time_ms, &mut load) else {
                continue;
            };
            if let Some(rows) = rows.as_deref_mut().filter(|_| shown) {
                show(fleet, state, rows);
            }
        }
        self.host.advance(node, tick_ms, &load);
        if let Some(rows) = rows.filter(|_| shown) {
            rows.host = Some(self.host.row(node, &load));
        }
        self.next_tick += 1;
    }

    /// Steps through all ticks that every container has behind it at a time of the node's
    /// clock.
    pub(crate) fn seek(&mut self, fleet: &Fleet, time_ms: i64) {
        let wanted = self.tick_due(fleet, time_ms);
        while self.next_tick < wanted {
            self.step(fleet, None);
        }
    }

    /// Whether it stepped past a time of the node's clock, so that it cannot tell of it.
    pub(crate) fn is_past(&self, fleet: &Fleet, time_ms: i64) -> bool {
        self.next_tick > self.tick_due(fleet, time_ms)
    }

    /// The first tick that some container may still have before it.
    fn tick_due(&self, fleet: &Fleet, time_ms: i64) -> u64 {
        let config = fleet.config();
        let spread_ms = config.clock.spread_ms.clamp(0, config.interval_ms / 4);
        let passed = fleet.nodes()[self.node].tick_at(config, time_ms - spread_ms);
        passed.map_or(0, |tick| tick + 1)
    }

    /// What a run shows at a time that [`NodeCursor::seek`] went to; none when the run does
    /// not cover that time.
    pub(crate) fn values_at(
        &self,
        fleet: &Fleet,
        run_index: u32,
        time_ms: i64,
    ) -> Option<[i64; VALUES]> {
        let run = &fleet.runs()[run_index as usize];
        let tracks = fleet.tracks(self.node);
        let position = tracks.binary_search_by_key(&run.slot, |track| track.slot).ok()?;
        let known = self.tracks[position].state.clone().filter(|state| state.run == run_index);
        carry(fleet, run_index, known, self.next_tick, time_ms)
    }
}

impl Fleet {
    /// What a container shows at a time of its node's clock, by metric name: counters on a
    /// straight line between two ticks, gauges and disk counters as at the last tick. None when
    /// it does not run.
    ///
    /// Costs as much as its run has ticks before that time.
    pub fn values_at(
        &self,
        container: &Container,
        time_ms: i64,
    ) -> Option<BTreeMap<&'static str, i64>> {
        let run_index = self.run_index_at(&container.runs, time_ms)?;
        let values = carry(self, run_index, None, 0, time_ms)?;
        let names = CONTAINER_METRICS.iter().chain(NETWORK_METRICS).chain(BLKIO_METRICS);
        Some(names.copied().zip(values).collect())
    }
}

/// Brings the state of a run, or else its beginning, through the ticks from `tick` on to a time.
pub(crate) fn carry(
    fleet: &Fleet,
    run_index: u32,
    known: Option<RunState>,
    tick: u64,
    time_ms: i64,
) -> Option<[i64; VALUES]> {
    let run = &fleet.runs()[run_index as usize];
    if !(run.started_ms..run.ended_ms).contains(&time_ms) {
        return None;
    }
    let config = fleet.config();
    let node = &fleet.nodes()[fleet.containers()[run.container as usize].node];
    let tracks = fleet.tracks(node.index);
    let position = tracks.binary_search_by_key(&run.slot, |track| track.slot).ok()?;
    let around = surroundings(fleet, run);
    let mut state = known.unwrap_or_else(|| RunState::begin(run_index, &around, config.start_ms));
    for tick in tick.. {
        let tick_ms = node.tick_ms(config, tick) + tracks[position].spread_ms;
        if tick_ms > time_ms {
            let mut later = state.clone();
            later.advance(&around, tick, tick_ms);
            return Some(state.toward(&later, time_ms));
        }
        if tick_ms >= run.started_ms {
            state.advance(&around, tick, tick_ms);
        }
    }
    None
}

impl TrackCursor {
    fn step(
        &mut self,
        fleet: &Fleet,
        track: &Track,
        tick: u64,
        time_ms: i64,
        load: &mut NodeLoad,
    ) -> Option<&RunState> {
        let runs = fleet.runs();
        while runs[*track.runs.get(self.run_index)? as usize].ended_ms <= time_ms {
            self.run_index += 1;
            self.state = None;
        }
        let run_index = track.runs[self.run_index];
        let run = &runs[run_index as usize];
        if run.started_ms > time_ms {
            return None;
        }
        let around = surroundings(fleet, run);
        let start_ms = fleet.config().start_ms;
        let state = self.state.get_or_insert_with(|| RunState::begin(run_index, &around, start_ms));
        let before = state.values;
        state.advance(&around, tick, time_ms);
        let grew = |position: usize| state.values[position] - before[position];
        load.user_us += grew(1);
        load.system_us += grew(2);
        load.io_ops += grew(usage::READ_OPS) + grew(usage::WRITE_OPS);
        load.packets += grew(NETWORK_AT + 2) + grew(NETWORK_AT + 3);
        load.memory_bytes += state.values[usage::RSS];
        load.cache_bytes += state.values[usage::CACHE];
        load.processes += state.values[usage::PIDS];
        Some(state)
    }
}

fn surroundings<'a>(fleet: &'a Fleet, run: &'a Run) -> Surroundings<'a> {
    let config = fleet.config();
    Surroundings {
        slot: fleet.slot(run.slot),
        run,
        cgroup: config.cgroup,
        node_cores: f64::from(config.node_cores),
    }
}

fn show(fleet: &Fleet, state: &RunState, rows: &mut TickRows) {
    let run = &fleet.runs()[state.run as usize];
    let service = &fleet.services()[fleet.slot(run.slot).place.service];
    let key =
        RowKey { time_ms: state.at_ms, container: run.container, started_at_ms: run.started_ms };
    let values = &state.values;
    rows.containers.push(key, "", &values[..CONTAINER_METRICS.len()]);
    if service.memory_limit_bytes.is_none()
        && let Some(limit) = rows.containers.values[usage::LIMIT].last_mut()
    {
        *limit = None;
    }
    if !service.host_network {
        rows.networks.push(key, INTERFACE, &values[NETWORK_AT..BLKIO_AT]);
    }
    if RunState::has_io(values) {
        rows.devices.push(key, DEVICE, &values[BLKIO_AT..]);
    }
}
