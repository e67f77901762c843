//! The lives of containers: when each started and what it died of.
//!
//! Walks every replica slot from the fleet's start to the end of its plan. The earliest of a
//! deploy, a scaling and the container's own end decides what happens next.
//!
//! Keeps true: runs of one container do not overlap, nor do the runs of one slot; a container
//! keeps its node and image for life.
//!
//! Not here: what a running container uses (`usage`), or how its end is told (`event`).

use crate::config::{FleetConfig, Orchestrator, ServiceKind};
use crate::names::{hex_id, swarm_id};
use crate::profile::Slot;
use crate::rng::{Draws, child};
use crate::service::Service;
use std::sync::Arc;

/// One container: one 64-hex id.
#[derive(Debug, Clone)]
pub struct Container {
    /// Position in [`crate::Fleet::containers`].
    pub index: usize,
    /// 64 hexadecimal digits.
    pub id: String,
    /// Name without the leading slash.
    pub name: String,
    /// Position of its node in [`crate::Fleet::nodes`].
    pub node: usize,
    /// Position of its service in [`crate::Fleet::services`].
    pub service: usize,
    /// Slot in Swarm, container number else, from 1.
    pub slot_number: u32,
    /// Swarm task id.
    pub task_id: Option<String>,
    /// Image reference with tag.
    pub image: Arc<str>,
    /// When it was created, Unix milliseconds of its node.
    pub created_ms: i64,
    /// When it was removed; none while the plan keeps it.
    pub removed_ms: Option<i64>,
    /// Its runs, positions in [`crate::Fleet::runs`], oldest first.
    pub runs: Vec<u32>,
    /// Version of its service.
    pub(crate) version: usize,
}

/// One stretch from a start of a container to its end.
#[derive(Debug, Clone)]
pub struct Run {
    /// Position of its container in [`crate::Fleet::containers`].
    pub container: u32,
    /// Start, Unix milliseconds of its node.
    pub started_ms: i64,
    /// End, exclusive; `i64::MAX` when the plan knows none.
    pub ended_ms: i64,
    /// What it ended of; none when the plan knows no end.
    pub cause: Option<DeathCause>,
    /// Replica slot.
    pub(crate) slot: u32,
    /// When its memory reaches the limit.
    pub(crate) full_at_ms: Option<i64>,
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeathCause {
    /// The kernel killed it at its memory limit.
    Oom,
    /// It gave up with this exit code.
    Crash {
        /// The exit code.
        exit_code: i64,
    },
    /// It had done its work.
    Finished,
    /// Somebody restarted it.
    Restarted,
    /// A deploy replaced it.
    Deployed,
    /// Its service was scaled down.
    ScaledDown,
}

impl DeathCause {
    /// The exit code the engine reports.
    pub fn exit_code(self) -> i64 {
        match self {
            Self::Oom => 137,
            Self::Crash { exit_code } => exit_code,
            Self::Finished => 0,
            Self::Restarted | Self::Deployed | Self::ScaledDown => 143,
        }
    }

    /// Whether the engine was asked to end it, with signal 15.
    pub fn is_asked(self) -> bool {
        matches!(self, Self::Restarted | Self::Deployed | Self::ScaledDown)
    }
}

/// The containers and runs of a fleet while they are drawn.
#[derive(Debug, Default)]
pub(crate) struct Lives {
    pub(crate) containers: Vec<Container>,
    pub(crate) runs: Vec<Run>,
}

/// A slot while its life is walked.
struct Walk<'a> {
    config: &'a FleetConfig,
    service: &'a Service,
    slot: &'a Slot,
    slot_index: u32,
    draws: Draws,
    incarnation: u64,
    failures: u32,
}

impl Lives {
    /// Walks one slot through all spans in which its service wants it.
    pub(crate) fn walk(
        &mut self,
        config: &FleetConfig,
        service: &Service,
        slot: &Slot,
        index: usize,
    ) {
        let draws = Draws::new(slot.seed, 0x11FE);
        let slot_index = index as u32;
        let mut walk =
            Walk { config, service, slot, slot_index, draws, incarnation: 0, failures: 0 };
        for (from, to) in wanted_spans(service, slot.place.replica, config.end_ms) {
            walk.span(self, from, to);
        }
    }
}

/// When a service wants its replica `replica`.
fn wanted_spans(service: &Service, replica: u32, end_ms: i64) -> Vec<(i64, i64)> {
    let mut spans = Vec::new();
    let mut from = None;
    for step in &service.desired {
        match (step.replicas > replica, from) {
            (true, None) => from = Some(step.at_ms),
            (false, Some(start)) => {
                spans.push((start, step.at_ms));
                from = None;
            }
            _ => {}
        }
    }
    spans.extend(from.map(|start| (start, end_ms)));
    spans
}

impl Walk<'_> {
    fn span(&mut self, lives: &mut Lives, from: i64, to: i64) {
        let mut start = self.first_start(from);
        let mut current = self.create(lives, start, self.slot.place.node);
        while start < to {
            let (end, cause, full_at_ms) = self.end_of(start, to);
            let over = end >= self.config.end_ms;
            let run = lives.runs.len() as u32;
            lives.runs.push(Run {
                container: current as u32,
                started_ms: start,
                ended_ms: if over { i64::MAX } else { end },
                cause: (!over).then_some(cause),
                slot: self.slot_index,
                full_at_ms,
            });
            lives.containers[current].runs.push(run);
            if over {
                return;
            }
            let next = end + self.pause(cause);
            let node = lives.containers[current].node;
            if cause == DeathCause::ScaledDown || next >= to {
                let removed = if cause == DeathCause::ScaledDown { end + 200 } else { to };
                let kept = removed >= self.config.end_ms;
                lives.containers[current].removed_ms = (!kept).then_some(removed.max(end + 1));
                return;
            }
            let outdated = lives.containers[current].version
                != self.service.version_of(self.slot.place.number, next);
            if outdated || self.replaces(cause) {
                let stays_ms = if cause == DeathCause::Deployed { 300 } else { 90_000 };
                lives.containers[current].removed_ms = Some(end + stays_ms);
                let node = self.next_node(node);
                current = self.create(lives, next - 400, node);
            }
            start = next;
        }
    }

    /// Steady containers of the first span ran before the fleet began.
    fn first_start(&mut self, from: i64) -> i64 {
        let steady = !matches!(self.slot.place.kind, ServiceKind::CrashLoop | ServiceKind::Batch);
        if from >= self.config.start_ms {
            return from + self.draws.ms(600, 2_500);
        }
        match (steady, self.slot.place.kind) {
            (true, ServiceKind::Leaky) => {
                self.config.start_ms - self.draws.ms(1_000, self.config.churn.leak_ms / 2)
            }
            (true, _) => self.config.start_ms - self.slot.profile.uptime_ms,
            (false, _) => self.config.start_ms + self.draws.ms(0, 10_000),
        }
    }

    fn create(&mut self, lives: &mut Lives, at_ms: i64, node: usize) -> usize {
        let seed = child(self.slot.seed, 0xC0_0000 + self.incarnation);
        self.incarnation += 1;
        let (service, number) = (self.service, self.slot.place.number);
        let swarm = service.orchestrator == Orchestrator::Swarm;
        let task_id = swarm.then(|| swarm_id(child(seed, 1)));
        let name = match (&service.stack, &task_id) {
            (_, Some(task)) => format!("{}.{number}.{task}", service.name),
            (Some(project), None) => format!("{project}-{}-{number}", service.name),
            (None, None) if number == 1 => service.name.clone(),
            (None, None) => format!("{}-{number}", service.name),
        };
        // A slot looks at its version when it starts, 400 ms after the creation.
        let version = service.version_of(number, at_ms + 400);
        let index = lives.containers.len();
        lives.containers.push(Container {
            index,
            id: hex_id(seed),
            name,
            node,
            service: service.index,
            slot_number: number,
            task_id,
            image: Arc::clone(&service.versions[version].image),
            created_ms: at_ms,
            removed_ms: None,
            runs: Vec::new(),
            version,
        });
        index
    }

    /// When and of what the run started at `start` ends, and when its memory is full.
    fn end_of(&mut self, start: i64, to: i64) -> (i64, DeathCause, Option<i64>) {
        let (own, own_cause) = self.own_end(start.max(self.config.start_ms), start);
        let full_at_ms = (own_cause == DeathCause::Oom).then_some(own);
        let (mut end, mut cause) = (own, own_cause);
        if let Some(deploy) = self.service.next_deploy(self.slot.place.number, start)
            && deploy <= end
        {
            (end, cause) = (deploy, DeathCause::Deployed);
        }
        if to <= end {
            (end, cause) = (to, DeathCause::ScaledDown);
        }
        (end.max(start + 1_000), cause, full_at_ms)
    }

    fn own_end(&mut self, from: i64, start: i64) -> (i64, DeathCause) {
        let churn = &self.config.churn;
        let after = |draws: &mut Draws, per_day: f64| {
            let mean_ms = 86_400_000.0 / per_day.max(1e-6);
            from + 20_000 + draws.exponential(mean_ms).min(1e13) as i64
        };
        let per_day = match self.slot.place.kind {
            ServiceKind::Leaky => {
                let lasts = churn.leak_ms as f64 * self.draws.between(0.7, 1.3);
                return (start + lasts as i64, DeathCause::Oom);
            }
            ServiceKind::CrashLoop => {
                let exit_code = if self.draws.chance(0.7) { 1 } else { 3 };
                return (start + self.draws.ms(4_000, 30_000), DeathCause::Crash { exit_code });
            }
            ServiceKind::Batch => {
                let most = churn.batch_every_ms / 2;
                return (start + self.draws.ms(most / 4, most), DeathCause::Finished);
            }
            ServiceKind::Busy | ServiceKind::Moderate => churn.busy_ends_per_day,
            ServiceKind::Idle | ServiceKind::DeadIdle => churn.idle_ends_per_day,
        };
        let end = after(&mut self.draws, per_day);
        if self.draws.chance(churn.in_place_share) {
            (end, DeathCause::Restarted)
        } else {
            (end, DeathCause::Crash { exit_code: 1 })
        }
    }

    /// Time from an end to the next start.
    fn pause(&mut self, cause: DeathCause) -> i64 {
        let in_loop = self.slot.place.kind == ServiceKind::CrashLoop;
        match cause {
            DeathCause::Crash { .. } if in_loop && !self.replaces(cause) => {
                // The engine doubles its wait from 100 ms up to a minute.
                self.failures += 1;
                (100_i64 << self.failures.min(10)).min(60_000)
            }
            DeathCause::Finished => {
                let every = self.config.churn.batch_every_ms;
                every / 2 + self.draws.ms(0, every / 10)
            }
            DeathCause::Restarted => self.draws.ms(500, 4_000),
            _ => self.draws.ms(2_000, 30_000),
        }
    }

    /// Whether the next start is a new container rather than the same one again.
    fn replaces(&self, cause: DeathCause) -> bool {
        match cause {
            DeathCause::Deployed => true,
            DeathCause::Restarted => false,
            _ => self.service.orchestrator == Orchestrator::Swarm,
        }
    }

    fn next_node(&mut self, node: usize) -> usize {
        let swarm = self.service.orchestrator == Orchestrator::Swarm;
        let moves =
            swarm && self.config.nodes > 1 && self.draws.chance(self.config.churn.move_share);
        if !moves {
            return node;
        }
        let others = u64::from(self.config.nodes) - 1;
        (node + 1 + self.draws.below(others) as usize) % self.config.nodes as usize
    }
}
