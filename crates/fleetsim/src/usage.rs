//! What one running container used, tick after tick.
//!
//! Owns the value patterns: load around a day pattern with slow and fast noise, health checks of
//! idle containers, throttling at a CPU limit, page-aligned memory, a page cache that fills and
//! is dropped, leaks, packets and disk operations.
//!
//! Keeps true: counters never fall within a run; usage never passes the memory limit; a state
//! after a tick is a function of the run and the ticks since its start.
//!
//! Not here: when runs start and end (`life`).

use crate::config::{Cgroup, ServiceKind};
use crate::life::Run;
use crate::profile::{PAGE, Profile, Slot};
use crate::rng::{Draws, child, normal_of};
use crate::rows::{BLKIO_AT, NETWORK_AT, VALUES, is_counter_at};

// Positions among the values of a container.
const CPU: usize = 0;
const USER: usize = 1;
const SYSTEM: usize = 2;
const PERIODS: usize = 3;
const THROTTLED: usize = 4;
const THROTTLED_US: usize = 5;
pub(crate) const USAGE: usize = 6;
pub(crate) const WORKING_SET: usize = 7;
pub(crate) const RSS: usize = 8;
pub(crate) const CACHE: usize = 9;
pub(crate) const LIMIT: usize = 10;
const PGFAULT: usize = 11;
const PGMAJFAULT: usize = 12;
pub(crate) const PIDS: usize = 13;
const RX_BYTES: usize = NETWORK_AT;
const TX_BYTES: usize = NETWORK_AT + 1;
const RX_PACKETS: usize = NETWORK_AT + 2;
const TX_PACKETS: usize = NETWORK_AT + 3;
const RX_DROPPED: usize = NETWORK_AT + 6;
const READ_BYTES: usize = BLKIO_AT;
const WRITE_BYTES: usize = BLKIO_AT + 1;
pub(crate) const READ_OPS: usize = BLKIO_AT + 2;
pub(crate) const WRITE_OPS: usize = BLKIO_AT + 3;

/// How long after its start a container first reads from disk.
const BOOT_READ_AFTER_MS: i64 = 2_000;

/// All values of a running container at one moment.
#[derive(Debug, Clone)]
pub(crate) struct RunState {
    pub(crate) run: u32,
    pub(crate) at_ms: i64,
    pub(crate) values: [i64; VALUES],
    user_us: f64,
    system_us: f64,
    rss_drift: f64,
    cache_bytes: f64,
    booted: bool,
}

/// Everything a step depends on besides the state.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    pub(crate) slot: &'a Slot,
    pub(crate) run: &'a Run,
    pub(crate) cgroup: Cgroup,
    pub(crate) node_cores: f64,
}

impl RunState {
    /// The state in which a run begins: all counters zero, unless it had already run when the
    /// fleet began; then they hold what its mean load would have left.
    pub(crate) fn begin(index: u32, around: &Surroundings<'_>, fleet_start_ms: i64) -> Self {
        let profile = &around.slot.profile;
        let started_ms = around.run.started_ms;
        let mut state = Self {
            run: index,
            at_ms: started_ms.max(fleet_start_ms),
            values: [0; VALUES],
            user_us: 0.0,
            system_us: 0.0,
            rss_drift: 0.0,
            cache_bytes: 0.0,
            booted: false,
        };
        let before_s = (state.at_ms - started_ms) as f64 / 1_000.0;
        if before_s > 0.0 {
            state.boot(profile);
            state.past(profile, before_s);
        }
        let mut draws = Draws::new(around.slot.seed, started_ms as u64);
        state.memory(around, 0.0, &mut draws);
        state.values[PIDS] = profile.pids;
        state.split_cpu(around.cgroup);
        state
    }

    /// What `seconds` of mean load leave in the counters.
    fn past(&mut self, profile: &Profile, seconds: f64) {
        let v = &mut self.values;
        let cpu_us = if profile.is_active() {
            let load = profile.scale;
            let limit = profile.limit_cores.unwrap_or(f64::INFINITY);
            v[RX_PACKETS] = (profile.requests * load * seconds) as i64;
            v[TX_PACKETS] = (profile.requests * load * 0.9 * seconds) as i64;
            v[PGFAULT] = (load * 90.0 * seconds) as i64;
            v[WRITE_OPS] = ((6.0 + 40.0 * load) * 0.035 * seconds) as i64;
            v[WRITE_BYTES] = v[WRITE_OPS] * 18_432;
            (profile.cores * load).min(limit) * seconds * 1e6
        } else if profile.kind == ServiceKind::Idle {
            v[RX_PACKETS] = (0.22 * seconds) as i64;
            v[TX_PACKETS] = (0.2 * seconds) as i64;
            v[PGFAULT] = (7.3 * seconds) as i64;
            1_270.0 * seconds
        } else {
            1.0 * seconds
        };
        v[RX_BYTES] = v[RX_PACKETS] * if profile.is_active() { 420 } else { 74 };
        v[TX_BYTES] = v[TX_PACKETS] * if profile.is_active() { 910 } else { 85 };
        v[CPU] = cpu_us as i64;
        if profile.limit_cores.is_some() {
            v[PERIODS] = (v[CPU] / 20_000).min((seconds * 10.0) as i64);
        }
        self.user_us = v[CPU] as f64 * 0.78;
        self.system_us = v[CPU] as f64 * 0.22;
    }

    fn boot(&mut self, profile: &Profile) {
        if !self.booted {
            self.booted = true;
            self.values[READ_BYTES] += profile.boot_read_bytes;
            self.values[READ_OPS] += profile.boot_read_bytes / (4 * PAGE);
            self.cache_bytes += profile.boot_read_bytes as f64;
        }
    }

    /// Brings the state to `time_ms`, which is tick `tick`.
    pub(crate) fn advance(&mut self, around: &Surroundings<'_>, tick: u64, time_ms: i64) {
        let slot = around.slot;
        let seconds = (time_ms - self.at_ms).max(0) as f64 / 1_000.0;
        let mut draws = Draws::new(slot.seed, tick);
        if time_ms - around.run.started_ms >= BOOT_READ_AFTER_MS {
            self.boot(&slot.profile);
        }
        let (cpu_us, written) = match slot.profile.kind {
            ServiceKind::Idle => (self.idle(slot, tick, &mut draws), 0.0),
            ServiceKind::DeadIdle => {
                (if draws.chance(0.01) { draws.exponential(1_000.0) } else { 0.0 }, 0.0)
            }
            _ => self.work(around, tick, time_ms, seconds, &mut draws),
        };
        self.spend(around, tick, cpu_us as i64, seconds);
        self.at_ms = time_ms;
        self.memory(around, written, &mut draws);
    }

    /// A health check every third tick, and little else. Returns CPU microseconds.
    fn idle(&mut self, slot: &Slot, tick: u64, draws: &mut Draws) -> f64 {
        let v = &mut self.values;
        if tick.wrapping_add(slot.seed).is_multiple_of(3) {
            let packets = 5 + draws.below(4) as i64;
            v[RX_PACKETS] += packets;
            v[TX_PACKETS] += 6;
            v[RX_BYTES] += packets * 74 + draws.below(3) as i64;
            v[TX_BYTES] += 512;
            v[PGFAULT] += 180 + draws.below(80) as i64;
            return (38_000.0 + 6_000.0 * draws.normal()).max(0.0);
        }
        let stray = i64::from(draws.chance(0.1));
        v[RX_PACKETS] += stray;
        v[RX_BYTES] += stray * 42;
        if draws.chance(0.3) { draws.exponential(200.0) } else { 0.0 }
    }

    /// Requests or work. Returns CPU microseconds and bytes that went through the page cache.
    fn work(
        &mut self,
        around: &Surroundings<'_>,
        tick: u64,
        time_ms: i64,
        seconds: f64,
        d: &mut Draws,
    ) -> (f64, f64) {
        let (profile, seed) = (&around.slot.profile, around.slot.seed);
        let noise = knots(seed, tick, 30) * 0.25 + d.normal() * 0.12;
        let mut load = profile.pattern(time_ms) * noise.exp() * profile.scale;
        let rare = d.unit();
        if rare < 0.002 {
            load *= d.between(1.5, 4.0);
        }
        let v = &mut self.values;
        let requests = profile.requests * load * seconds;
        let (rx, tx) = (d.poisson(requests), d.poisson(requests * 0.9));
        v[RX_PACKETS] += rx;
        v[TX_PACKETS] += tx;
        v[RX_BYTES] += (rx as f64 * (420.0 + 30.0 * d.normal())) as i64;
        v[TX_BYTES] += (tx as f64 * (910.0 + 60.0 * d.normal())) as i64;
        v[PGFAULT] += d.poisson(load * 90.0 * seconds);
        v[PGMAJFAULT] += i64::from((0.4..0.4005).contains(&rare));
        if (0.5..0.5008).contains(&rare) {
            v[RX_DROPPED] += 1 + d.below(4) as i64;
        }
        let mut cached = 0.0;
        let writes = if profile.kind == ServiceKind::Moderate { 0.2 } else { 0.5 };
        if d.chance(writes) {
            let ops = d.poisson(6.0 + 40.0 * load);
            let bytes = ops * PAGE * (1 + d.below(8) as i64);
            v[WRITE_OPS] += ops;
            v[WRITE_BYTES] += bytes;
            cached += bytes as f64 * 0.6;
        }
        if d.chance(0.02) {
            let ops = d.poisson(8.0);
            let bytes = ops * PAGE * (1 + d.below(16) as i64);
            v[READ_OPS] += ops;
            v[READ_BYTES] += bytes;
            cached += bytes as f64 * 0.9;
        }
        let mut cores = profile.cores * load;
        if let Some(limit) = profile.limit_cores {
            let share = ((cores / limit - 0.55) * 1.6).clamp(0.0, 1.0);
            let periods = (10.0 * seconds) as i64;
            let throttled = d.poisson(periods as f64 * share).min(periods);
            v[THROTTLED] += throttled;
            v[THROTTLED_US] += (throttled as f64 * d.between(5_000.0, 60_000.0)) as i64;
            cores = cores.min(limit);
        }
        (cores * seconds * 1e6, cached)
    }

    fn spend(&mut self, around: &Surroundings<'_>, tick: u64, cpu_us: i64, seconds: f64) {
        let most = (seconds * 1e6 * around.node_cores) as i64;
        let cpu_us = cpu_us.clamp(0, most);
        if around.slot.profile.limit_cores.is_some() && cpu_us > 0 {
            let periods = (10.0 * seconds) as i64;
            let busy = (cpu_us / 10_000).max(1);
            let least = self.values[THROTTLED] - self.values[PERIODS];
            self.values[PERIODS] += busy.min(periods).max(least);
        }
        let share = if cpu_us > 0 {
            (0.78 + 0.05 * knots(child(around.slot.seed, 3), tick, 60)).clamp(0.3, 0.97)
        } else {
            0.0
        };
        self.values[CPU] += cpu_us;
        self.user_us += cpu_us as f64 * share;
        self.system_us += cpu_us as f64 * (1.0 - share);
        self.split_cpu(around.cgroup);
    }

    /// Version 1 counts user and system time in clock ticks of 10 ms; in version 2 they add
    /// up to the total.
    fn split_cpu(&mut self, cgroup: Cgroup) {
        let v = &mut self.values;
        match cgroup {
            Cgroup::V1 => {
                v[USER] = self.user_us as i64 / 10_000 * 10_000;
                v[SYSTEM] = self.system_us as i64 / 10_000 * 10_000;
            }
            Cgroup::V2 => {
                v[USER] = (self.user_us as i64).clamp(v[USER], v[CPU] - v[SYSTEM]);
                v[SYSTEM] = v[CPU] - v[USER];
            }
        }
    }

    fn memory(&mut self, around: &Surroundings<'_>, cached: f64, draws: &mut Draws) {
        let profile = &around.slot.profile;
        let word = draws.word();
        let chance = (word & 0xFFFF) as f64 / 65_536.0;
        let often = match profile.kind {
            ServiceKind::Idle | ServiceKind::DeadIdle => 0.002,
            ServiceKind::Moderate => 0.3,
            _ => 0.7,
        };
        if chance < often {
            let step = if profile.is_active() {
                normal_of(draws.word()) * profile.rss_bytes * 0.002
            } else {
                ((word >> 16) % 7) as f64 * PAGE as f64 - 3.0 * PAGE as f64
            };
            self.rss_drift = self.rss_drift * 0.999 + step;
        }
        let ceiling = profile.ceiling_bytes as f64;
        let mut rss = profile.rss_bytes + self.rss_drift;
        if profile.kind == ServiceKind::Busy {
            rss += profile.rss_bytes * 0.05 * (profile.pattern(self.at_ms) - 1.0);
        }
        if let Some(full_at_ms) = around.run.full_at_ms {
            let life = (full_at_ms - around.run.started_ms).max(1) as f64;
            let spent = (self.at_ms - around.run.started_ms) as f64 / life;
            rss += (ceiling - profile.rss_bytes) * spent.clamp(0.0, 1.0);
        }
        let rss = pages(rss.clamp(1_048_576.0, (ceiling * 0.98).max(1_048_576.0)));
        self.cache_bytes = (self.cache_bytes + cached) % profile.cache_bytes_max;
        let kernel =
            if profile.is_active() { PAGE * (20 + ((word >> 32) & 3) as i64) } else { 20 * PAGE };
        let room = (profile.ceiling_bytes - rss - kernel).max(0);
        let cache = pages(self.cache_bytes.min(room as f64));
        let inactive = pages(cache as f64 * profile.inactive_share);
        let v = &mut self.values;
        v[RSS] = rss;
        v[CACHE] = cache;
        v[USAGE] = rss + cache + kernel;
        v[WORKING_SET] = v[USAGE] - inactive;
        v[LIMIT] = profile.ceiling_bytes;
        if profile.is_active() {
            let tick = (self.at_ms / 1_000) as u64;
            let wobble = knots(child(around.slot.seed, 5), tick, 60);
            let pids = profile.pids as f64;
            v[PIDS] = ((pids + wobble * (1.5 + pids * 0.02)).round() as i64).max(1);
        }
    }

    /// The state between this one and a later one of the same run, at `time_ms`: counters on
    /// a straight line, gauges and disk counters (which move by whole pages) as they were last.
    pub(crate) fn toward(&self, later: &Self, time_ms: i64) -> [i64; VALUES] {
        let span = i128::from((later.at_ms - self.at_ms).max(1));
        let into = i128::from((time_ms - self.at_ms).clamp(0, later.at_ms - self.at_ms));
        let mut values = self.values;
        for (position, value) in values.iter_mut().enumerate() {
            if position < BLKIO_AT && is_counter_at(position) {
                let growth = i128::from(later.values[position] - *value);
                *value += (growth * into / span) as i64;
            }
        }
        values
    }

    /// Whether any IO happened in this run.
    pub(crate) fn has_io(values: &[i64; VALUES]) -> bool {
        values[BLKIO_AT..].iter().any(|&value| value > 0)
    }
}

fn pages(bytes: f64) -> i64 {
    bytes as i64 / PAGE * PAGE
}

/// Noise that moves on straight lines between normal draws `every` ticks apart.
fn knots(seed: u64, tick: u64, every: u64) -> f64 {
    let (knot, into) = (tick / every, (tick % every) as f64 / every as f64);
    let (from, to) = (normal_of(child(seed, knot)), normal_of(child(seed, knot + 1)));
    from + (to - from) * into
}
