//! What the engines would tell about the lives of containers and the plans of services.
//!
//! Keeps true: events are sorted by time; every start, end and removal inside the plan has its
//! events, in the order an engine sends them.
//!
//! Not here: their JSON (`engine::events`).

use crate::config::{Cgroup, FleetConfig, Orchestrator};
use crate::life::{Container, DeathCause, Run};
use crate::service::Service;
use std::sync::Arc;

/// Whom an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// A container, by its position in [`crate::Fleet::containers`].
    Container(usize),
    /// A service, by its position in [`crate::Fleet::services`].
    Service(usize),
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventKind {
    /// A container was created.
    Create,
    /// A container started.
    Start,
    /// The kernel killed a process of a container for memory.
    Oom,
    /// The engine sent a signal to a container.
    Kill {
        /// Signal number.
        signal: i64,
    },
    /// A container ended.
    Die {
        /// Its exit code.
        exit_code: i64,
        /// How long it had run, milliseconds.
        ran_ms: i64,
    },
    /// The engine finished stopping a container it was asked to stop.
    Stop,
    /// The engine finished restarting a container it was asked to restart.
    Restart,
    /// A container was removed.
    Destroy,
    /// A service got another image: a deploy.
    Deploy {
        /// Image before.
        image_old: Arc<str>,
        /// Image from now on.
        image_new: Arc<str>,
    },
    /// A service got another number of desired replicas.
    Scale {
        /// Replicas before.
        replicas_old: u32,
        /// Replicas from now on.
        replicas_new: u32,
    },
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When, Unix milliseconds of the node that tells it.
    pub time_ms: i64,
    /// The node that tells it: the container's, or the manager (0) for services.
    pub node: usize,
    /// Whom it is about.
    pub subject: Subject,
    /// What happened.
    pub kind: EventKind,
}

/// All events inside the fleet's plan, oldest first.
pub(crate) fn all(
    config: &FleetConfig,
    services: &[Service],
    containers: &[Container],
    runs: &[Run],
) -> Vec<Event> {
    let mut events = Vec::new();
    for service in services.iter().filter(|s| s.orchestrator == Orchestrator::Swarm) {
        of_service(service, &mut events);
    }
    for container in containers {
        of_container(config, container, runs, &mut events);
    }
    events.retain(|event| (config.start_ms..config.end_ms).contains(&event.time_ms));
    // Stable: events of one moment keep the order in which an engine sends them.
    events.sort_by_key(|event| event.time_ms);
    events
}

fn of_service(service: &Service, events: &mut Vec<Event>) {
    let mut tell = |time_ms, kind| {
        let subject = Subject::Service(service.index);
        events.push(Event { time_ms, node: 0, subject, kind });
    };
    for pair in service.versions.windows(2) {
        let (image_old, image_new) = (Arc::clone(&pair[0].image), Arc::clone(&pair[1].image));
        tell(pair[1].at_ms, EventKind::Deploy { image_old, image_new });
    }
    for pair in service.desired.windows(2) {
        let (replicas_old, replicas_new) = (pair[0].replicas, pair[1].replicas);
        tell(pair[1].at_ms, EventKind::Scale { replicas_old, replicas_new });
    }
}

fn of_container(config: &FleetConfig, of: &Container, runs: &[Run], events: &mut Vec<Event>) {
    let mut tell = |time_ms, kind| {
        let subject = Subject::Container(of.index);
        events.push(Event { time_ms, node: of.node, subject, kind });
    };
    tell(of.created_ms, EventKind::Create);
    let mut restarted = false;
    for run in of.runs.iter().map(|&index| &runs[index as usize]) {
        tell(run.started_ms, EventKind::Start);
        if restarted {
            tell(run.started_ms + 1, EventKind::Restart);
        }
        let Some(cause) = run.cause else { break };
        restarted = cause == DeathCause::Restarted;
        let (end, ran_ms) = (run.ended_ms, run.ended_ms - run.started_ms);
        let die = EventKind::Die { exit_code: cause.exit_code(), ran_ms };
        match cause {
            // Engine 26.1 tells of the OOM before the death, 20.10 after it.
            DeathCause::Oom if config.cgroup == Cgroup::V2 => {
                tell(end - 5, EventKind::Oom);
                tell(end, die);
            }
            DeathCause::Oom => {
                tell(end, die);
                tell(end + 15, EventKind::Oom);
            }
            _ if cause.is_asked() => {
                tell(end - 300, EventKind::Kill { signal: 15 });
                tell(end, die);
                tell(end + 1, EventKind::Stop);
            }
            _ => tell(end, die),
        }
    }
    if let Some(removed_ms) = of.removed_ms {
        tell(removed_ms, EventKind::Destroy);
    }
}
