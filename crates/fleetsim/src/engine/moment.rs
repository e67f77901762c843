//! The state of an engine at a moment: which containers it has and what they show.
//!
//! Keeps true: a clock that goes back gives the same answers as before, but for `max_usage`
//! (version 1), which is the largest usage shown so far.
//!
//! Not here: JSON.

use super::faults::Faults;
use super::request::{Query, RecordedRequest};
use super::{EngineClock, NodeView, locked};
use crate::config::{Cgroup, Orchestrator};
use crate::fleet::Fleet;
use crate::life::{Container, DeathCause};
use crate::node::Node;
use crate::rows::VALUES;
use crate::service::Service;
use crate::ticks::{NodeCursor, carry};
use crate::usage;
use std::collections::HashMap;
use std::sync::Mutex;

/// A time further back than this means that the clock was set back.
const SLOW_REQUEST_MS: i64 = 10_000;

/// Everything the connections share.
pub(super) struct Core {
    pub(super) view: NodeView,
    pub(super) faults: Faults,
    pub(super) requests: Mutex<Vec<RecordedRequest>>,
    clock: EngineClock,
    walk: Mutex<Walk>,
}

struct Walk {
    begin: NodeCursor,
    cursor: NodeCursor,
    at_ms: i64,
    /// Largest memory usage shown so far, by run.
    peaks: HashMap<u32, i64>,
}

/// What a running container shows.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    pub(super) values: [i64; VALUES],
    pub(super) memory_peak_bytes: i64,
}

/// How far a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It never started.
    Created,
    /// This run is under way.
    Running(u32),
    /// This run was the last; the engine waits to start it again when `again`.
    Ended { run: u32, again: bool },
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").field("node", &self.view.node).finish_non_exhaustive()
    }
}

impl Core {
    pub(super) fn new(view: NodeView, clock: EngineClock, cursor: NodeCursor) -> Self {
        let walk = Walk { begin: cursor.clone(), cursor, at_ms: i64::MIN, peaks: HashMap::new() };
        Self {
            view,
            clock,
            faults: Faults::default(),
            requests: Mutex::new(Vec::new()),
            walk: Mutex::new(walk),
        }
    }

    /// Now, by the node's own clock.
    pub(super) fn now_ms(&self) -> i64 {
        (self.clock)() + self.node().clock_offset_ms
    }

    pub(super) fn fleet(&self) -> &Fleet {
        &self.view.fleet
    }

    pub(super) fn node(&self) -> &Node {
        &self.view.fleet.nodes()[self.view.node]
    }

    pub(super) fn cgroup(&self) -> Cgroup {
        self.fleet().config().cgroup
    }

    pub(super) fn service_of(&self, container: &Container) -> &Service {
        self.fleet().service_of(container)
    }

    /// Whether the fleet uses Swarm at all.
    pub(super) fn in_swarm(&self) -> bool {
        let mut services = self.fleet().services().iter();
        services.any(|service| service.orchestrator == Orchestrator::Swarm)
    }

    /// Whether this engine is the Swarm manager.
    pub(super) fn is_manager(&self) -> bool {
        self.view.node == 0 && self.in_swarm()
    }

    /// The containers of this node that exist at a time, newest first.
    pub(super) fn containers(&self, now_ms: i64) -> Vec<&Container> {
        let all = self.fleet().containers().iter();
        let mut here: Vec<&Container> =
            all.filter(|c| c.node == self.view.node && exists(c, now_ms)).collect();
        here.sort_by_key(|c| (std::cmp::Reverse(c.created_ms), c.index));
        here
    }

    /// The container with an id, a unique beginning of one, or a name.
    pub(super) fn find(&self, wanted: &str, now_ms: i64) -> Option<&Container> {
        let here = self.containers(now_ms);
        let named = wanted.trim_start_matches('/');
        let exact = here.iter().find(|c| c.id == wanted || c.name == named);
        let begins = || here.iter().find(|c| wanted.len() >= 4 && c.id.starts_with(wanted));
        exact.or_else(begins).copied()
    }

    pub(super) fn phase(&self, container: &Container, now_ms: i64) -> Phase {
        let runs = self.fleet().runs();
        let begun = |&&run: &&u32| runs[run as usize].started_ms <= now_ms;
        let Some(&run) = container.runs.iter().take_while(begun).last() else {
            return Phase::Created;
        };
        if now_ms < runs[run as usize].ended_ms {
            return Phase::Running(run);
        }
        let by_policy = self.service_of(container).orchestrator != Orchestrator::Swarm;
        let failed =
            matches!(runs[run as usize].cause, Some(DeathCause::Oom | DeathCause::Crash { .. }));
        Phase::Ended { run, again: by_policy && failed }
    }

    /// How often the engine's policy restarted a container since its last start by hand.
    pub(super) fn restarts(&self, container: &Container, now_ms: i64) -> u32 {
        if self.service_of(container).orchestrator == Orchestrator::Swarm {
            return 0;
        }
        let mut count = 0;
        for pair in container.runs.windows(2) {
            let (before, after) =
                (&self.fleet().runs()[pair[0] as usize], &self.fleet().runs()[pair[1] as usize]);
            if after.started_ms > now_ms {
                break;
            }
            let failed = matches!(before.cause, Some(DeathCause::Oom | DeathCause::Crash { .. }));
            count = if failed { count + 1 } else { 0 };
        }
        count
    }

    /// What a run shows at a time; none when it does not cover it.
    pub(super) fn shown(&self, run: u32, now_ms: i64) -> Option<Shown> {
        let mut walk = locked(&self.walk);
        let fleet = self.fleet();
        let values = if !walk.cursor.is_past(fleet, now_ms) {
            walk.cursor.seek(fleet, now_ms);
            walk.cursor.values_at(fleet, run, now_ms)?
        } else if walk.at_ms - now_ms < SLOW_REQUEST_MS {
            // A request that read the clock before one that was served first.
            carry(fleet, run, None, 0, now_ms)?
        } else {
            walk.cursor = walk.begin.clone();
            walk.peaks.clear();
            walk.cursor.seek(fleet, now_ms);
            walk.at_ms = now_ms;
            walk.cursor.values_at(fleet, run, now_ms)?
        };
        walk.at_ms = walk.at_ms.max(now_ms);
        let peak = walk.peaks.entry(run).or_default();
        *peak = (*peak).max(values[usage::USAGE]);
        Some(Shown { values, memory_peak_bytes: *peak })
    }

    /// Whether a container passes the filters of a list.
    pub(super) fn listed(&self, container: &Container, query: &Query, now_ms: i64) -> bool {
        let phase = self.phase(container, now_ms);
        let state = state_word(phase);
        let all = query.flag("all", false) || query.has_filter("status");
        (all || matches!(phase, Phase::Running(_)))
            && query.passes("status", |wanted| wanted == state)
            && query.passes("id", |wanted| container.id.starts_with(wanted))
            && query.passes("name", |wanted| container.name.contains(wanted.trim_matches('/')))
            && query.labelled(&self.fleet().labels(container))
    }
}

pub(super) fn exists(container: &Container, now_ms: i64) -> bool {
    container.created_ms <= now_ms && container.removed_ms.is_none_or(|removed| now_ms < removed)
}

pub(super) fn state_word(phase: Phase) -> &'static str {
    match phase {
        Phase::Created => "created",
        Phase::Running(_) => "running",
        Phase::Ended { again: true, .. } => "restarting",
        Phase::Ended { again: false, .. } => "exited",
    }
}
