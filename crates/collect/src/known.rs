//! What the sampler remembers of one container between samples.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use plimsoll_model::Subject;

use crate::deaths::RunUsage;
use crate::engine::container::ContainerFacts;
use crate::identity;
use crate::names::Name;
use crate::reader::{ContainerReader, Job};
use crate::usage::Sample;

/// Rounds in which a container's control group is looked for in vain before the engine is asked
/// for good.
const TRIES_MAX: u8 = 3;
/// How long after the end of a run an `oom` event may still come, in milliseconds.
const OOM_EVENT_LATE_MS: i64 = 5_000;

/// One container.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) facts: ContainerFacts,
    pub(crate) subject: Subject,
    /// Starts after the first one; never falls.
    pub(crate) restarts: u64,
    pub(crate) reader: Option<Arc<ContainerReader>>,
    tries: u8,
    /// `oom` events of this run.
    oom_events: u64,
    /// Kills the kernel had counted at the last sample of this run.
    oom_kills: Option<u64>,
    /// When to conclude that the engine forgot to tell of a kill.
    oom_check_at_ms: Option<i64>,
    info_hash: Option<u64>,
    info_at_ms: i64,
    pub(crate) state_row_at_ms: i64,
    pub(crate) last_sample_ms: i64,
    /// What this run used so far.
    pub(crate) run: RunUsage,
    /// End of the run that was recorded last.
    pub(crate) told_end_ms: Option<i64>,
    /// Whether it is known from disk only; the engine has not spoken of it yet.
    pub(crate) from_disk: bool,
}

/// What new facts mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    /// A run began that has no sample yet.
    pub(crate) started: bool,
    /// It does not run, and something about that is new.
    pub(crate) stopped: bool,
}

impl Known {
    pub(crate) fn new(facts: ContainerFacts, node: &Subject) -> Self {
        let subject = identity::subject(node, &facts.id, &facts.name, &facts.image, &facts.labels);
        Self {
            restarts: facts.restart_count,
            facts,
            subject,
            reader: None,
            tries: 0,
            oom_events: 0,
            oom_kills: None,
            oom_check_at_ms: None,
            info_hash: None,
            info_at_ms: 0,
            state_row_at_ms: 0,
            last_sample_ms: 0,
            run: RunUsage::default(),
            told_end_ms: None,
            from_disk: false,
        }
    }

    /// A container as an earlier process knew it.
    pub(crate) fn from_disk(name: Name, node: &Subject) -> Self {
        let (restarts, told_end_ms) = (name.restarts, name.told_end_ms);
        let known = Self::new(name.into_facts(), node);
        Self { restarts: restarts.max(known.restarts), told_end_ms, from_disk: true, ..known }
    }

    /// Whether the run known last has no record of its end yet.
    pub(crate) fn unrecorded(&self) -> bool {
        match (self.told_end_ms, self.facts.started_at_ms) {
            (Some(end_ms), Some(started_ms)) => end_ms < started_ms,
            (Some(_), None) => false,
            (None, _) => true,
        }
    }

    /// Kills of this run that the kernel counted.
    pub(crate) fn kernel_oom_kills(&self) -> u64 {
        self.oom_kills.unwrap_or(0)
    }

    /// Takes newer facts.
    pub(crate) fn update(&mut self, facts: ContainerFacts, node: &Subject, now_ms: i64) -> Change {
        let old = &self.facts;
        let started = facts.started_at_ms != old.started_at_ms && facts.started_at_ms.is_some();
        let pid_changed = facts.pid != old.pid;
        let first = old.started_at_ms.is_none();
        let state_changed = facts.state != old.state
            || facts.exit_code != old.exit_code
            || facts.finished_at_ms != old.finished_at_ms
            || facts.oom_killed != old.oom_killed;
        if started {
            if !first {
                self.restarts = self.restarts.saturating_add(1);
            }
            self.begin_run();
        }
        self.restarts = self.restarts.max(facts.restart_count);
        if !facts.is_alive() {
            self.reader = None;
            if facts.oom_killed && state_changed && self.oom_events == 0 {
                self.oom_check_at_ms = Some(now_ms.saturating_add(OOM_EVENT_LATE_MS));
            }
        }
        if pid_changed {
            self.reader = None;
        }
        let change = Change {
            started: started && facts.is_alive(),
            stopped: !facts.is_alive() && state_changed,
        };
        self.subject = identity::subject(node, &facts.id, &facts.name, &facts.image, &facts.labels);
        self.facts = facts;
        self.from_disk = false;
        change
    }

    fn begin_run(&mut self) {
        self.reader = None;
        self.tries = 0;
        self.oom_events = 0;
        self.oom_kills = None;
        self.oom_check_at_ms = None;
        self.run = RunUsage::default();
    }

    /// Counts an `oom` event of this run.
    pub(crate) fn oom_event(&mut self) {
        self.oom_events = self.oom_events.saturating_add(1);
        self.oom_check_at_ms = None;
    }

    /// Whether the engine had its time to tell of a kill and did not. True once.
    pub(crate) fn oom_was_not_told(&mut self, now_ms: i64) -> bool {
        let due = self.oom_check_at_ms.is_some_and(|at| now_ms >= at);
        if due {
            self.oom_event();
        }
        due
    }

    /// Kills of this run by the best source there is.
    pub(crate) fn oom_kills(&self) -> u64 {
        self.oom_kills.unwrap_or(0).max(self.oom_events)
    }

    /// Whether its files may be here.
    pub(crate) fn may_have_files(&self) -> bool {
        self.reader.is_some() || self.tries < TRIES_MAX
    }

    /// Its files were not found.
    pub(crate) fn files_missing(&mut self) {
        self.reader = None;
        self.tries = self.tries.saturating_add(1);
    }

    /// How to read its files.
    pub(crate) fn job(&self) -> Job {
        Job {
            id: self.facts.id.clone(),
            cgroup_parent: self.facts.cgroup_parent.clone(),
            pid: self.facts.pid,
            owns_network: self.facts.owns_network(),
            reader: self.reader.clone(),
        }
    }

    /// Completes a sample with what only the engine knows, and makes limits that are none null.
    pub(crate) fn complete(&mut self, sample: &mut Sample, machine_bytes: Option<u64>) {
        let usage = &mut sample.usage;
        let limits = &self.facts.limits;
        let own_limit = limits.memory_bytes;
        let is_limit = |bytes: &u64| {
            own_limit.is_some() || machine_bytes.is_some_and(|machine| *bytes < machine)
        };
        usage.memory_limit_bytes = usage.memory_limit_bytes.filter(is_limit).or(own_limit);
        usage.memory_swap_limit_bytes = usage
            .memory_swap_limit_bytes
            .filter(|_| usage.memory_limit_bytes.is_some())
            .or(limits.memory_swap_bytes);
        usage.memory_reservation_bytes =
            usage.memory_reservation_bytes.or(limits.memory_reservation_bytes);
        usage.cpu_limit_nano = usage.cpu_limit_nano.or(limits.cpu_nano);
        usage.cpu_quota_us = usage.cpu_quota_us.or(limits.cpu_quota_us);
        usage.cpu_period_us = usage.cpu_period_us.or(limits.cpu_period_us);
        usage.cpu_shares = limits.cpu_shares.or(usage.cpu_shares);
        usage.pids_limit = usage.pids_limit.or(limits.pids);
        match usage.oom_kills {
            Some(kills) => self.oom_kills = Some(kills),
            None => usage.oom_kills = Some(self.oom_events),
        }
        if !self.facts.owns_network() {
            sample.networks.clear();
        }
        self.last_sample_ms = sample.time_ms;
        let run = &mut self.run;
        run.memory_last_bytes = usage.memory_working_set_bytes.or(usage.memory_usage_bytes);
        let peak = usage.memory_peak_bytes.or(usage.memory_usage_bytes);
        run.memory_peak_bytes = run.memory_peak_bytes.max(peak);
        run.memory_limit_bytes = usage.memory_limit_bytes;
        run.cpu_us = usage.cpu_usage_us.or(run.cpu_us);
    }

    /// Whether its row of `container_info` is due: it changed, or `every_ms` passed.
    pub(crate) fn info_is_due(&mut self, now_ms: i64, every_ms: i64) -> bool {
        let mut hasher = DefaultHasher::new();
        let facts = &self.facts;
        (&self.subject, facts.created_at_ms, facts.started_at_ms).hash(&mut hasher);
        (&facts.labels, &facts.image_id, &facts.command, &facts.restart_policy).hash(&mut hasher);
        (&facts.network_mode, &facts.ports, &facts.mounts, facts.health_check).hash(&mut hasher);
        let limits = &facts.limits;
        (limits.cpu_nano, limits.cpu_shares, &limits.cpuset, limits.pids).hash(&mut hasher);
        (limits.memory_bytes, limits.memory_reservation_bytes).hash(&mut hasher);
        limits.memory_swap_bytes.hash(&mut hasher);
        let hash = Some(hasher.finish());
        let due = hash != self.info_hash || now_ms.saturating_sub(self.info_at_ms) >= every_ms;
        if due {
            self.info_hash = hash;
            self.info_at_ms = now_ms;
        }
        due
    }
}

#[cfg(test)]
mod tests;
