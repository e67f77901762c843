//! Services: what was wanted, and when that changed.
//!
//! Owns the plan of a service: its image versions (deploys) and desired replicas (scaling) over
//! time, and which node each replica slot calls home.
//!
//! Keeps true: both lists start at or before the fleet's start and are sorted by time.
//!
//! Not here: the containers that carry the plan out (`life`).

use crate::config::{FleetConfig, Layout, Orchestrator, ServiceConfig, ServiceKind};
use crate::names::{STACKS, hex_id, swarm_id, text_seed};
use crate::rng::{Draws, child};
use std::sync::Arc;

/// From `at_ms` on, new containers of a service run this image.
#[derive(Debug, Clone)]
pub struct Version {
    /// Since when, Unix milliseconds.
    pub at_ms: i64,
    /// Image reference with tag.
    pub image: Arc<str>,
    /// Image id, `sha256:` and 64 hexadecimal digits.
    pub image_id: String,
}

/// From `at_ms` on, a service wants this many replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Desired {
    /// Since when, Unix milliseconds.
    pub at_ms: i64,
    /// How many containers.
    pub replicas: u32,
}

/// One service.
#[derive(Debug, Clone)]
pub struct Service {
    /// Position in [`crate::Fleet::services`].
    pub index: usize,
    /// Swarm id, 25 characters.
    pub id: String,
    /// Swarm stack or Compose project.
    pub stack: Option<String>,
    /// Name as the engine's labels say it: `stack_service` in Swarm, else without the stack.
    pub name: String,
    /// Behaviour (in a fleet laid out per node each container has its own).
    pub kind: ServiceKind,
    /// Who started it.
    pub orchestrator: Orchestrator,
    /// Images over time; the first one ran before the fleet's start.
    pub versions: Vec<Version>,
    /// Desired replicas over time.
    pub desired: Vec<Desired>,
    /// CPU limit in thousandths of a core.
    pub cpu_limit_millis: Option<i64>,
    /// Memory limit in bytes.
    pub memory_limit_bytes: Option<i64>,
    /// Process limit.
    pub pids_limit: Option<i64>,
    /// Whether it uses the network of the host.
    pub host_network: bool,
    /// How its load behaves.
    pub(crate) load: ServiceLoad,
}

/// What the replicas of a service have in common.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ServiceLoad {
    /// Hours by which its day is shifted.
    pub(crate) phase_hours: f64,
    /// Height of the day pattern, 0 to 1.
    pub(crate) day_amplitude: f64,
    /// Factor on Saturdays and Sundays.
    pub(crate) weekend_factor: f64,
    /// Cores at mean load.
    pub(crate) cores: f64,
    /// Typical memory in bytes.
    pub(crate) memory_bytes: f64,
}

/// One replica slot before its profile is drawn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) service: usize,
    /// Slot number in Swarm, container number else, from 1.
    pub(crate) number: u32,
    /// Replica of its service, from 0: wanted while fewer are desired than this.
    pub(crate) replica: u32,
    pub(crate) node: usize,
    pub(crate) kind: ServiceKind,
}

impl Service {
    /// Desired replicas at `at_ms`; what was wanted first holds for the time before it.
    pub fn desired_at(&self, at_ms: i64) -> u32 {
        let later = self.desired.partition_point(|step| step.at_ms <= at_ms);
        self.desired[later.saturating_sub(1)].replicas
    }

    /// The version that the slot `number` runs at `at_ms`: a deploy reaches the slots one
    /// after the other, 5 s apart.
    pub(crate) fn version_of(&self, number: u32, at_ms: i64) -> usize {
        let reached = self.versions.partition_point(|v| v.at_ms + rollout_ms(number) <= at_ms);
        reached.saturating_sub(1)
    }

    /// When the next deploy after `after_ms` reaches the slot `number`.
    pub(crate) fn next_deploy(&self, number: u32, after_ms: i64) -> Option<i64> {
        let times = self.versions.iter().skip(1).map(|v| v.at_ms + rollout_ms(number));
        times.into_iter().find(|&at| at > after_ms)
    }
}

fn rollout_ms(number: u32) -> i64 {
    1_000 + i64::from(number.saturating_sub(1)) * 5_000
}

/// Draws all services and places of a fleet.
pub(crate) fn plan(config: &FleetConfig) -> (Vec<Service>, Vec<Place>) {
    match &config.layout {
        Layout::PerNode { containers } => per_node(config, *containers),
        Layout::Services(list) => listed(config, list),
    }
}

fn listed(config: &FleetConfig, list: &[ServiceConfig]) -> (Vec<Service>, Vec<Place>) {
    let mut services = Vec::with_capacity(list.len());
    let mut places = Vec::new();
    let nodes = config.nodes as usize;
    for (index, wanted) in list.iter().enumerate() {
        let service = one(config, index, wanted);
        let most = service.desired.iter().map(|step| step.replicas).max().unwrap_or(0);
        for replica in 0..most {
            let swarm = wanted.orchestrator == Orchestrator::Swarm;
            let node = (replica as usize + if swarm { index } else { 0 }) % nodes;
            let number = if swarm { replica + 1 } else { replica / config.nodes + 1 };
            places.push(Place { service: index, number, replica, node, kind: wanted.kind });
        }
        services.push(service);
    }
    (services, places)
}

fn per_node(config: &FleetConfig, containers: u32) -> (Vec<Service>, Vec<Place>) {
    let names: Vec<(&str, &str)> = STACKS
        .iter()
        .flat_map(|(stack, services)| services.iter().map(move |service| (*stack, *service)))
        .collect();
    let mut draws = Draws::new(config.seed, 0x9E4E);
    let mut weights: Vec<f64> = (1..=names.len()).map(|i| (i as f64).powf(-0.7)).collect();
    for i in (1..weights.len()).rev() {
        weights.swap(i, draws.below(i as u64 + 1) as usize);
    }
    let total: f64 = weights.iter().sum();
    let mut replicas = vec![0_u32; names.len()];
    let mut places = Vec::new();
    for node in 0..config.nodes as usize {
        for _ in 0..containers {
            let mut left = draws.unit() * total;
            let picked = weights.iter().position(|weight| {
                left -= weight;
                left < 0.0
            });
            let service = picked.unwrap_or(names.len() - 1);
            let kind = match draws.unit() {
                u if u < 0.35 => ServiceKind::Busy,
                u if u < 0.65 => ServiceKind::Moderate,
                u if u < 0.90 => ServiceKind::Idle,
                _ => ServiceKind::DeadIdle,
            };
            let replica = replicas[service];
            replicas[service] += 1;
            places.push(Place { service, number: replica + 1, replica, node, kind });
        }
    }
    let services = names.iter().zip(&replicas).enumerate().map(|(index, (name, &replicas))| {
        let wanted = ServiceConfig::swarm(name.0, name.1, ServiceKind::Busy, replicas);
        let mut service = one(config, index, &wanted);
        // As the earlier generator did: under half of the services limit their CPU, all
        // limit their memory to a power of two.
        if Draws::new(config.seed, 0x11A + index as u64).chance(0.45) {
            let tenths = (service.load.cores * 22.0).round().max(1.0);
            service.cpu_limit_millis = Some(tenths as i64 * 100);
        }
        let limit = (service.load.memory_bytes * 1.6).log2().ceil().exp2();
        service.memory_limit_bytes = Some(limit as i64);
        service.desired.truncate(1);
        service
    });
    (services.collect(), places)
}

fn one(config: &FleetConfig, index: usize, wanted: &ServiceConfig) -> Service {
    let mut draws = Draws::new(config.seed, 0x5E41_0000 + index as u64);
    let swarm = wanted.orchestrator == Orchestrator::Swarm;
    let name = match &wanted.stack {
        Some(stack) if swarm => format!("{stack}_{}", wanted.name),
        _ => wanted.name.clone(),
    };
    let folder = wanted.stack.as_deref().unwrap_or("lib");
    let repository = format!("registry.local:5000/{folder}/{}", wanted.name);
    let drawn_cores = draws.lognormal(-1.6, 1.0);
    let drawn_memory = draws.between(25.0, 32.0).exp2();
    let load = ServiceLoad {
        phase_hours: draws.between(-3.0, 3.0),
        day_amplitude: draws.between(0.2, 0.8),
        weekend_factor: draws.between(0.6, 1.0),
        cores: wanted.cpu_limit_millis.map_or(drawn_cores, |millis| millis as f64 / 2_200.0),
        memory_bytes: wanted.memory_limit_bytes.map_or(drawn_memory, |limit| limit as f64 * 0.45),
    };
    let often = |per_day: f64| if swarm { per_day } else { 0.0 };
    let versions = versions(config, &mut draws, &repository, often(config.churn.deploys_per_day));
    let scales_per_day = often(config.churn.scales_per_day);
    Service {
        index,
        id: swarm_id(child(config.seed, 0x1D5E + index as u64)),
        stack: wanted.stack.clone(),
        name,
        kind: wanted.kind,
        orchestrator: wanted.orchestrator,
        versions,
        desired: desired(config, &mut draws, wanted.replicas, scales_per_day),
        cpu_limit_millis: wanted.cpu_limit_millis,
        memory_limit_bytes: wanted.memory_limit_bytes,
        pids_limit: wanted.pids_limit,
        host_network: wanted.host_network,
        load,
    }
}

/// Times at which something happens `per_day` times a day, at least ten minutes apart.
fn times(config: &FleetConfig, draws: &mut Draws, per_day: f64) -> Vec<i64> {
    let mut at = config.start_ms;
    let mut times = Vec::new();
    if per_day <= 0.0 {
        return times;
    }
    loop {
        at += 600_000 + draws.exponential(86_400_000.0 / per_day).min(1e15) as i64;
        if at >= config.end_ms {
            break;
        }
        times.push(at);
    }
    times
}

fn versions(
    config: &FleetConfig,
    draws: &mut Draws,
    repository: &str,
    per_day: f64,
) -> Vec<Version> {
    let (minor, mut patch) = (draws.below(9), draws.below(20));
    let starts = std::iter::once(i64::MIN / 2).chain(times(config, draws, per_day));
    let make = |at_ms| {
        let image = format!("{repository}:1.{minor}.{patch}");
        patch += 1;
        let image_id = format!("sha256:{}", hex_id(text_seed(&image)));
        Version { at_ms, image: image.into(), image_id }
    };
    starts.map(make).collect()
}

fn desired(config: &FleetConfig, draws: &mut Draws, base: u32, per_day: f64) -> Vec<Desired> {
    let mut steps = vec![Desired { at_ms: i64::MIN / 2, replicas: base }];
    let extra = (base / 3).max(1);
    for (turn, at_ms) in times(config, draws, per_day).into_iter().enumerate() {
        let replicas = if turn % 2 == 0 { base + extra } else { base };
        steps.push(Desired { at_ms, replicas });
    }
    steps
}
