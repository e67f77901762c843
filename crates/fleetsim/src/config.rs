//! What a fleet is made from, and two ready fleets.
//!
//! Keeps true: a [`FleetConfig`] that [`FleetConfig::checked`] accepts always makes a fleet.
//!
//! Not here: how the drawn things behave (`profile`, `usage`).

/// Which control group version the nodes run; decides the shape of engine answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cgroup {
    /// Version 1, as a Docker Engine 20.10 shows it.
    V1,
    /// Version 2, as a Docker Engine 26.1 shows it.
    V2,
}

/// Who started the containers of a service; decides names and labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Orchestrator {
    /// `stack_service.slot.task`; a dead container is replaced by one with a new id.
    Swarm,
    /// `project-service-number`, on each node for itself; a dead container starts again.
    Compose,
    /// A bare name; a dead container starts again.
    Plain,
}

/// How the containers of a service behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServiceKind {
    /// Serves requests all day, at its full size.
    Busy,
    /// Serves a fifth of that.
    Moderate,
    /// Only its health check works, every third tick.
    Idle,
    /// Does next to nothing.
    DeadIdle,
    /// Moderate, and its memory grows until it is OOM killed. Needs a memory limit.
    Leaky,
    /// Dies seconds after each start.
    CrashLoop,
    /// Works hard for a minute every few minutes and exits with 0.
    Batch,
}

/// One service that is listed by hand.
#[derive(Debug, Clone)]
pub struct ServiceConfig {
    /// Swarm stack or Compose project; none for plain containers.
    pub stack: Option<String>,
    /// Name without the stack.
    pub name: String,
    /// Behaviour of all its containers.
    pub kind: ServiceKind,
    /// Containers at the start: 1 to 10,000.
    pub replicas: u32,
    /// Who started it.
    pub orchestrator: Orchestrator,
    /// CPU limit in thousandths of a core; none is unlimited.
    pub cpu_limit_millis: Option<i64>,
    /// Memory limit in bytes; none is unlimited.
    pub memory_limit_bytes: Option<i64>,
    /// Process limit; none is unlimited.
    pub pids_limit: Option<i64>,
    /// Uses the network of the host, so the engine reports no interfaces.
    pub host_network: bool,
}

impl ServiceConfig {
    /// A Swarm service without limits.
    pub fn swarm(stack: &str, name: &str, kind: ServiceKind, replicas: u32) -> Self {
        Self {
            stack: Some(stack.to_owned()),
            name: name.to_owned(),
            kind,
            replicas,
            orchestrator: Orchestrator::Swarm,
            cpu_limit_millis: None,
            memory_limit_bytes: None,
            pids_limit: None,
            host_network: false,
        }
    }

    /// A Compose service without limits.
    pub fn compose(project: &str, name: &str, kind: ServiceKind, replicas: u32) -> Self {
        Self { orchestrator: Orchestrator::Compose, ..Self::swarm(project, name, kind, replicas) }
    }

    /// Plain containers without limits.
    pub fn plain(name: &str, kind: ServiceKind, replicas: u32) -> Self {
        Self {
            stack: None,
            orchestrator: Orchestrator::Plain,
            ..Self::swarm("", name, kind, replicas)
        }
    }

    /// With a CPU limit in thousandths of a core and a memory limit in MiB.
    #[must_use]
    pub fn limited(mut self, cpu_millis: i64, memory_mib: i64) -> Self {
        self.cpu_limit_millis = Some(cpu_millis);
        self.memory_limit_bytes = Some(memory_mib << 20);
        self
    }
}

/// Which containers there are.
#[derive(Debug, Clone)]
pub enum Layout {
    /// This many Swarm containers on every node; 35 % busy, 30 % moderate, 25 % idle and
    /// 10 % dead idle, of 32 services, some popular and some rare.
    PerNode {
        /// Containers on each node: 1 to 1,000.
        containers: u32,
    },
    /// Exactly these services, spread over the nodes in turn.
    Services(Vec<ServiceConfig>),
}

/// How often things change.
#[derive(Debug, Clone)]
pub struct Churn {
    /// Unplanned ends of a busy or moderate container, per day.
    pub busy_ends_per_day: f64,
    /// Unplanned ends of an idle container, per day.
    pub idle_ends_per_day: f64,
    /// Share of unplanned ends that are a restart of the same id, 0 to 1.
    pub in_place_share: f64,
    /// Deploys of each Swarm service, per day.
    pub deploys_per_day: f64,
    /// Scalings of each Swarm service, per day; each adds or removes the extra replicas.
    pub scales_per_day: f64,
    /// Share of Swarm replacements that land on another node, 0 to 1.
    pub move_share: f64,
    /// How long a leaky container lives until it is OOM killed, milliseconds.
    pub leak_ms: i64,
    /// Time between two starts of a batch container, milliseconds.
    pub batch_every_ms: i64,
}

/// How wrong clocks and schedules are.
#[derive(Debug, Clone)]
pub struct ClockNoise {
    /// Largest offset of a node's clock from true time, either way, milliseconds.
    pub offset_ms_max: i64,
    /// Typical lateness of a tick, milliseconds.
    pub jitter_ms: f64,
    /// Share of ticks that are 5 to 120 ms later still, 0 to 1.
    pub late_share: f64,
    /// Share of ticks a node misses, 0 to 1.
    pub missed_share: f64,
    /// Spread of the containers of one tick, milliseconds; 0 reads all at one moment.
    pub spread_ms: i64,
}

/// Everything a fleet is a function of.
#[derive(Debug, Clone)]
pub struct FleetConfig {
    /// Seed of all draws.
    pub seed: u64,
    /// Name of the cluster.
    pub cluster: String,
    /// First moment of the fleet, Unix milliseconds.
    pub start_ms: i64,
    /// Lives are planned up to here, Unix milliseconds, exclusive. What is alive then stays so.
    pub end_ms: i64,
    /// Time between ticks: 1,000 to 3,600,000 milliseconds.
    pub interval_ms: i64,
    /// Control group version of all nodes.
    pub cgroup: Cgroup,
    /// Number of nodes: 1 to 10,000.
    pub nodes: u32,
    /// Cores of each node: at least 1.
    pub node_cores: u32,
    /// Memory of each node in bytes: at least 1 GiB.
    pub node_memory_bytes: i64,
    /// Which containers there are.
    pub layout: Layout,
    /// How often things change.
    pub churn: Churn,
    /// How wrong clocks are.
    pub clock: ClockNoise,
}

/// Why a [`FleetConfig`] makes no fleet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A number is outside its range.
    #[error("{key} is {found}, allowed are {least} to {most}")]
    OutOfRange {
        /// The field.
        key: &'static str,
        /// What it held.
        found: i64,
        /// Smallest allowed value.
        least: i64,
        /// Largest allowed value.
        most: i64,
    },
    /// A leaky service has no memory limit to run into.
    #[error("leaky service {service} has no memory limit")]
    LeakWithoutLimit {
        /// Its name.
        service: String,
    },
}

/// 2026-11-20T00:00:00Z.
const BASE_MS: i64 = 1_795_132_800_000;
const DAY_MS: i64 = 86_400_000;

impl FleetConfig {
    /// A large fleet laid out per node, like the one our measurements of other stores used:
    /// 10 s ticks, version 1, from 2026-11-20T00:00:00Z for `hours`.
    pub fn bench(nodes: u32, containers_per_node: u32, hours: u32) -> Self {
        Self {
            seed: 7,
            cluster: "bench".to_owned(),
            start_ms: BASE_MS,
            end_ms: BASE_MS + i64::from(hours) * 3_600_000,
            interval_ms: 10_000,
            cgroup: Cgroup::V1,
            nodes,
            node_cores: 32,
            node_memory_bytes: 128 << 30,
            layout: Layout::PerNode { containers: containers_per_node },
            churn: Churn {
                busy_ends_per_day: 1.0,
                idle_ends_per_day: 0.2,
                in_place_share: 0.6,
                deploys_per_day: 0.0,
                scales_per_day: 0.0,
                move_share: 0.0,
                leak_ms: 2_400_000,
                batch_every_ms: 300_000,
            },
            clock: ClockNoise {
                offset_ms_max: 0,
                jitter_ms: 1.6,
                late_share: 0.01,
                missed_share: 0.0005,
                spread_ms: 0,
            },
        }
    }

    /// A fleet to look at: 3 nodes, 12 services, 40 containers at its start, and something
    /// of everything that can happen. Lives are planned for 30 days from 2026-11-20;
    /// [`FleetConfig::around`] moves it to now.
    pub fn demo() -> Self {
        use ServiceKind::{Batch, Busy, CrashLoop, DeadIdle, Idle, Leaky, Moderate};
        let mut exporter = ServiceConfig::plain("nodeexp", DeadIdle, 3);
        exporter.host_network = true;
        let mut token = ServiceConfig::swarm("auth", "token", Idle, 3);
        token.pids_limit = Some(200);
        let services = vec![
            ServiceConfig::swarm("shop", "api", Busy, 6).limited(1_500, 512),
            ServiceConfig::swarm("shop", "web", Busy, 5).limited(1_000, 256),
            ServiceConfig::swarm("shop", "cart", Moderate, 4).limited(500, 256),
            ServiceConfig::swarm("shop", "checkout", Moderate, 3).limited(500, 384),
            ServiceConfig::swarm("shop", "redis", Idle, 2),
            ServiceConfig::swarm("data", "etl", Batch, 2).limited(2_000, 1_024),
            ServiceConfig::swarm("data", "worker", Leaky, 3).limited(500, 192),
            ServiceConfig::swarm("auth", "login", Moderate, 5).limited(400, 128),
            token,
            ServiceConfig::compose("ops", "registry", Idle, 3),
            ServiceConfig::compose("ops", "flaky", CrashLoop, 1).limited(250, 64),
            exporter,
        ];
        let bench = Self::bench(3, 1, 1);
        Self {
            seed: 42,
            cluster: "demo".to_owned(),
            end_ms: BASE_MS + 30 * DAY_MS,
            cgroup: Cgroup::V2,
            node_cores: 8,
            node_memory_bytes: 16 << 30,
            layout: Layout::Services(services),
            churn: Churn {
                deploys_per_day: 2.0,
                scales_per_day: 1.0,
                move_share: 0.3,
                ..bench.churn.clone()
            },
            clock: ClockNoise { offset_ms_max: 40, spread_ms: 60, ..bench.clock.clone() },
            ..bench
        }
    }

    /// The same fleet with its start `past_ms` before `now_ms` and its plan ending
    /// `future_ms` after it, so that it has a past to backfill and a future to live.
    #[must_use]
    pub fn around(mut self, now_ms: i64, past_ms: i64, future_ms: i64) -> Self {
        let aligned = now_ms - past_ms;
        self.start_ms = aligned - aligned.rem_euclid(self.interval_ms.max(1));
        self.end_ms = now_ms + future_ms;
        self
    }

    /// The configuration itself if it makes a fleet.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the first field that is out of its range.
    pub fn checked(self) -> Result<Self, ConfigError> {
        let within = |key, found, least, most| {
            let error = ConfigError::OutOfRange { key, found, least, most };
            if (least..=most).contains(&found) { Ok(()) } else { Err(error) }
        };
        let latest = i64::MAX / 2_000_000;
        within("start_ms", self.start_ms, 0, latest)?;
        within("end_ms", self.end_ms, self.start_ms, latest)?;
        within("interval_ms", self.interval_ms, 1_000, 3_600_000)?;
        within("nodes", i64::from(self.nodes), 1, 10_000)?;
        within("node_cores", i64::from(self.node_cores), 1, 4_096)?;
        within("node_memory_bytes", self.node_memory_bytes, 1 << 30, 1 << 50)?;
        within("leak_ms", self.churn.leak_ms, 10_000, latest)?;
        within("batch_every_ms", self.churn.batch_every_ms, 10_000, latest)?;
        match &self.layout {
            Layout::PerNode { containers } => {
                within("containers", i64::from(*containers), 1, 1_000)?;
            }
            Layout::Services(services) => {
                for service in services {
                    within("replicas", i64::from(service.replicas), 1, 10_000)?;
                    if service.kind == ServiceKind::Leaky && service.memory_limit_bytes.is_none() {
                        let service = service.name.clone();
                        return Err(ConfigError::LeakWithoutLimit { service });
                    }
                }
            }
        }
        Ok(self)
    }
}
