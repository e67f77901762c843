//! What kind of container a replica slot holds: its size, its day, its memory.
//!
//! Keeps true: a profile is drawn once per slot, so replacements behave like what they replace.
//!
//! Not here: what it used in one tick (`usage`), and its life (`life`).

use crate::config::{FleetConfig, ServiceKind};
use crate::rng::{Draws, child};
use crate::service::{Place, Service};

pub(crate) const PAGE: i64 = 4_096;
const DAY_MS: i64 = 86_400_000;

/// One replica slot.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    pub(crate) place: Place,
    pub(crate) seed: u64,
    pub(crate) profile: Profile,
}

/// The fixed part of a slot's behaviour.
#[derive(Debug, Clone)]
pub(crate) struct Profile {
    pub(crate) kind: ServiceKind,
    /// Factor on the service's load.
    pub(crate) scale: f64,
    /// Cores at load 1.
    pub(crate) cores: f64,
    /// Requests per second at load 1.
    pub(crate) requests: f64,
    /// CPU limit in cores.
    pub(crate) limit_cores: Option<f64>,
    /// Memory it never passes, in bytes; its limit if it has one.
    pub(crate) ceiling_bytes: i64,
    /// Resident memory at rest.
    pub(crate) rss_bytes: f64,
    /// The page cache starts again from nothing at this size.
    pub(crate) cache_bytes_max: f64,
    /// Share of the page cache that is inactive.
    pub(crate) inactive_share: f64,
    pub(crate) pids: i64,
    /// What it reads from disk two seconds after each start; 0 for those that never do.
    pub(crate) boot_read_bytes: i64,
    /// How long it had run when the fleet began.
    pub(crate) uptime_ms: i64,
    phase_hours: f64,
    day_amplitude: f64,
    weekend_factor: f64,
}

impl Slot {
    /// Draws the slot at position `index`.
    pub(crate) fn draw(config: &FleetConfig, index: usize, place: Place, of: &Service) -> Self {
        let seed = child(config.seed, 0x0510_7000_0000 + index as u64);
        let mut d = Draws::new(seed, 0x9F0F);
        let kind = place.kind;
        let share = match kind {
            ServiceKind::Busy => 1.0,
            ServiceKind::Moderate | ServiceKind::Leaky => 0.2,
            ServiceKind::Batch => 1.6,
            ServiceKind::CrashLoop => 0.1,
            ServiceKind::Idle => 0.01,
            ServiceKind::DeadIdle => 0.0,
        };
        let load = of.load;
        let memory = load.memory_bytes;
        let rss_bytes = memory * if kind == ServiceKind::Leaky { 0.5 } else { d.between(0.3, 0.9) };
        let quiet = matches!(kind, ServiceKind::Idle | ServiceKind::DeadIdle);
        let reads = !quiet || d.chance(0.75);
        let profile = Profile {
            kind,
            scale: share * d.lognormal(0.0, 0.4),
            cores: load.cores,
            requests: 500.0 + d.unit() * 2_000.0,
            limit_cores: of.cpu_limit_millis.map(|millis| millis as f64 / 1_000.0),
            ceiling_bytes: of.memory_limit_bytes.unwrap_or(config.node_memory_bytes / 2),
            rss_bytes,
            cache_bytes_max: (rss_bytes * 0.35).max(4_096.0),
            inactive_share: d.between(0.3, 0.8),
            pids: 1 + d.below(59) as i64,
            boot_read_bytes: if reads { PAGE * (10 + d.below(120) as i64) } else { 0 },
            uptime_ms: d.ms(3_600_000, 30 * DAY_MS),
            phase_hours: load.phase_hours,
            day_amplitude: load.day_amplitude,
            weekend_factor: load.weekend_factor,
        };
        Self { place, seed, profile }
    }
}

impl Profile {
    /// The day and week pattern at a time: around 1.
    pub(crate) fn pattern(&self, time_ms: i64) -> f64 {
        let hour = time_ms.rem_euclid(DAY_MS) as f64 / 3_600_000.0;
        let turn = (hour - 9.0 + self.phase_hours) / 24.0;
        let day = 1.0 + self.day_amplitude * (std::f64::consts::TAU * turn).sin();
        // 1970-01-01 was a Thursday.
        let weekend = (time_ms.div_euclid(DAY_MS) + 3).rem_euclid(7) >= 5;
        if weekend { day * self.weekend_factor } else { day }
    }

    /// Whether it serves requests or works, rather than waits.
    pub(crate) fn is_active(&self) -> bool {
        !matches!(self.kind, ServiceKind::Idle | ServiceKind::DeadIdle)
    }
}
