//! One record for each run of a container that ended: how, after how long, and with what.
//!
//! The engine's word on a death comes in pieces and not always: a `die` event, signals and `oom`
//! events around it, an inspection that shows the end, or only a container that runs anew. All
//! of it is gathered for some seconds and written once. Two ends within two seconds of each
//! other are the same end. Holds NULL: what nobody said is absent.
//! Not here: the row (`rows`), what the numbers were read from (`usage`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use plimsoll_model::Subject;

use crate::engine::container::ContainerFacts;
use crate::engine::event::EngineEvent;
use crate::known::Known;

/// How long more is waited for, in milliseconds.
const GATHER_MS: i64 = 3_000;
/// How far apart two words on the same end may be, in milliseconds.
const SAME_END_MS: i64 = 2_000;
/// Containers that are remembered between their events.
const RUNS_MAX: usize = 8_192;
/// The signal that cannot be caught.
const SIGKILL: i64 = 9;
/// The highest number of a signal.
const SIGNAL_MAX: i64 = 64;
/// What a shell adds to the number of the signal that ended a process.
const SIGNAL_EXIT: i64 = 128;

/// What a container used in one run, as far as it was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RunUsage {
    pub(crate) memory_last_bytes: Option<u64>,
    pub(crate) memory_peak_bytes: Option<u64>,
    pub(crate) memory_limit_bytes: Option<u64>,
    pub(crate) cpu_us: Option<u64>,
}

/// What events say of the current run.
#[derive(Debug, Clone, Copy, Default)]
struct Run {
    started_ms: Option<i64>,
    signal: Option<i64>,
    oom_events: u64,
}

/// What says that memory was short.
#[expect(clippy::struct_excessive_bools, reason = "independent witnesses")]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Evidence {
    event: bool,
    kernel: bool,
    state: bool,
    exit: bool,
}

/// An end that is still gathered.
#[derive(Debug, Clone)]
pub(crate) struct Death {
    pub(crate) subject: Subject,
    id: Arc<str>,
    ended_ms: i64,
    time_nano: Option<i64>,
    started_ms: Option<i64>,
    exit_code: Option<i64>,
    signal: Option<i64>,
    duration_ms: Option<i64>,
    restarts: Option<u64>,
    usage: RunUsage,
    evidence: Evidence,
    inferred: bool,
    due_ms: i64,
}

/// All ends that are still gathered, and what is known of runs that go on.
#[derive(Debug, Default)]
pub(crate) struct Deaths {
    runs: HashMap<Arc<str>, Run>,
    pending: HashMap<Arc<str>, Death>,
    ready: Vec<Death>,
}

impl Deaths {
    /// Takes an event of a container. `known`: the container, if it was inspected.
    pub(crate) fn event(
        &mut self,
        event: &EngineEvent,
        known: Option<&mut Known>,
        subject: &Subject,
        now_ms: i64,
    ) {
        let id = &event.actor_id;
        if self.runs.len() >= RUNS_MAX && !self.runs.contains_key(id) {
            self.runs.clear();
        }
        match event.action.as_str() {
            "start" => {
                let started_ms = Some(event.time_ms);
                self.runs.insert(id.clone(), Run { started_ms, ..Run::default() });
            }
            "kill" => self.runs.entry(id.clone()).or_default().signal = event.signal,
            "oom" => match self.pending.get_mut(id) {
                Some(death) => death.evidence.event = true,
                None => self.runs.entry(id.clone()).or_default().oom_events += 1,
            },
            "die" => self.died(event, known, subject, now_ms),
            "destroy" => self.gone(id),
            _ => {}
        }
    }

    fn died(
        &mut self,
        event: &EngineEvent,
        known: Option<&mut Known>,
        subject: &Subject,
        now_ms: i64,
    ) {
        let id = &event.actor_id;
        let run = self.runs.remove(id).unwrap_or_default();
        let same = |death: &Death| death.inferred && is_same(Some(death.ended_ms), event.time_ms);
        let inferred = if self.pending.get(id).is_some_and(same) {
            self.pending.remove(id)
        } else if known.as_ref().is_some_and(|known| is_same(known.told_end_ms, event.time_ms)) {
            return;
        } else {
            None
        };
        // What an inspection let conclude, or else what is known without one.
        let mut death = inferred.unwrap_or_else(|| {
            let mut death = Death::new(subject.clone(), id.clone(), event.time_ms, now_ms);
            death.started_ms = run.started_ms;
            if let Some(known) = known {
                death.take(known);
            }
            death
        });
        let from_exit = event.exit_code.map(|code| code - SIGNAL_EXIT);
        let from_exit = from_exit.filter(|signal| (1..=SIGNAL_MAX).contains(signal));
        death.inferred = false;
        death.ended_ms = event.time_ms;
        death.time_nano = event.time_nano;
        death.exit_code = event.exit_code;
        death.signal = run.signal.or(from_exit);
        death.evidence.event |= run.oom_events > 0;
        death.evidence.exit = run.signal.is_none() && from_exit == Some(SIGKILL);
        death.duration_ms = death.duration().or(event.duration_ms);
        self.put(death);
    }

    /// Takes what an inspection says, before the container takes it.
    pub(crate) fn inspected(&mut self, known: &mut Known, facts: &ContainerFacts, now_ms: i64) {
        let Some(ended_ms) = facts.finished_at_ms else { return };
        let is_over = !facts.is_alive();
        if let Some(death) = self.pending.get_mut(&facts.id)
            && is_same(Some(death.ended_ms), ended_ms)
        {
            if is_over {
                death.evidence.state |= facts.oom_killed;
                death.exit_code = death.exit_code.or(facts.exit_code);
                death.started_ms = facts.started_at_ms.or(death.started_ms);
                death.duration_ms = death.duration().or(death.duration_ms);
            }
            return;
        }
        let is_old = known.facts.finished_at_ms.is_some_and(|old_ms| ended_ms <= old_ms);
        if is_old || is_same(known.told_end_ms, ended_ms) {
            return;
        }
        let id = facts.id.clone();
        let mut death = Death::new(known.subject.clone(), id, ended_ms, now_ms);
        death.inferred = true;
        death.take(known);
        let starts = [facts.started_at_ms, known.facts.started_at_ms];
        death.started_ms = starts.into_iter().flatten().find(|started_ms| *started_ms <= ended_ms);
        death.duration_ms = death.duration();
        if is_over {
            death.exit_code = facts.exit_code;
            death.evidence.state = facts.oom_killed;
        }
        self.put(death);
    }

    /// A container is inspected for the first time; its events may have come before.
    pub(crate) fn inspected_first(&mut self, known: &mut Known, now_ms: i64) {
        let facts = &known.facts;
        let ended_ms = facts.finished_at_ms.filter(|_| !facts.is_alive());
        let began_here = self.runs.get(&facts.id).is_some_and(|run| run.started_ms.is_some());
        // What had ended before anything was heard of it is no news.
        known.told_end_ms = facts.finished_at_ms;
        if let Some(death) = self.pending.get_mut(&facts.id) {
            death.subject = known.subject.clone();
            known.told_end_ms = known.told_end_ms.max(Some(death.ended_ms));
        } else if let Some(ended_ms) = ended_ms.filter(|_| began_here) {
            let id = facts.id.clone();
            let mut death = Death::new(known.subject.clone(), id.clone(), ended_ms, now_ms);
            death.inferred = true;
            self.pending.insert(id, death);
        }
        if let Some(death) = self.pending.get_mut(&facts.id).filter(|_| ended_ms.is_some()) {
            death.evidence.state |= facts.oom_killed;
            death.exit_code = death.exit_code.or(facts.exit_code);
            death.started_ms = facts.started_at_ms.or(death.started_ms);
            death.duration_ms = death.duration().or(death.duration_ms);
            death.restarts = Some(known.restarts);
            death.usage.memory_limit_bytes = facts.limits.memory_bytes;
        }
    }

    /// A container that ran when it was last heard of is no more.
    pub(crate) fn vanished(&mut self, known: &mut Known, now_ms: i64) {
        let id = known.facts.id.clone();
        if known.facts.is_alive() && !self.pending.contains_key(&id) && known.unrecorded() {
            let mut death = Death::new(known.subject.clone(), id.clone(), now_ms, now_ms);
            death.inferred = true;
            death.take(known);
            death.duration_ms = death.duration();
            self.put(death);
        }
        self.gone(&id);
    }

    /// Nothing more will be heard of this container.
    fn gone(&mut self, id: &str) {
        self.runs.remove(id);
        self.ready.extend(self.pending.remove(id));
    }

    fn put(&mut self, death: Death) {
        // A run that ended before this one is complete: it cannot be heard of any more.
        self.ready.extend(self.pending.insert(death.id.clone(), death));
    }

    /// The ends that are to be written now; at the end of everything, all.
    pub(crate) fn take_due(&mut self, now_ms: i64, all: bool) -> Vec<Death> {
        let due = self.pending.extract_if(|_, death| all || now_ms >= death.due_ms);
        self.ready.extend(due.map(|(_, death)| death));
        std::mem::take(&mut self.ready)
    }

    /// Whether anything is gathered.
    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty() && self.ready.is_empty()
    }
}

fn is_same(known_ms: Option<i64>, ended_ms: i64) -> bool {
    known_ms.is_some_and(|known_ms| (known_ms - ended_ms).abs() <= SAME_END_MS)
}

impl Death {
    fn new(subject: Subject, id: Arc<str>, ended_ms: i64, now_ms: i64) -> Self {
        Self {
            subject,
            id,
            ended_ms,
            time_nano: None,
            started_ms: None,
            exit_code: None,
            signal: None,
            duration_ms: None,
            restarts: None,
            usage: RunUsage::default(),
            evidence: Evidence::default(),
            inferred: false,
            due_ms: now_ms.saturating_add(GATHER_MS),
        }
    }

    /// Takes what was read of the run, and marks it as recorded.
    fn take(&mut self, known: &mut Known) {
        let started_ms =
            known.facts.started_at_ms.filter(|started_ms| *started_ms <= self.ended_ms);
        // After a quick restart the numbers known are those of an earlier run.
        if known.unrecorded() {
            self.started_ms = started_ms.or(self.started_ms);
            self.usage = known.run;
            self.evidence.kernel = known.kernel_oom_kills() > 0;
            if self.usage.memory_limit_bytes.is_none() {
                self.usage.memory_limit_bytes = known.facts.limits.memory_bytes;
            }
        }
        self.restarts = Some(known.restarts);
        known.told_end_ms = Some(self.ended_ms);
    }

    fn duration(&self) -> Option<i64> {
        self.started_ms.map(|started_ms| (self.ended_ms - started_ms).max(0))
    }

    fn oom(&self) -> Vec<&'static str> {
        let Evidence { event, kernel, state, exit } = self.evidence;
        let all = [(event, "event"), (kernel, "kernel"), (state, "state"), (exit, "exit")];
        all.into_iter().filter_map(|(is_so, name)| is_so.then_some(name)).collect()
    }

    /// The record as an event.
    pub(crate) fn record(&self) -> EngineEvent {
        let oom = self.oom();
        let detail = match self.exit_code {
            _ if !oom.is_empty() => Some("oom"),
            Some(0) => None,
            Some(_) if self.signal.is_some() => Some("signal"),
            Some(_) => Some("failed"),
            None => Some("unknown"),
        };
        let mut attributes = BTreeMap::new();
        let mut put = |key: &str, value: Option<String>| {
            attributes.extend(value.map(|value| (key.to_owned(), value)));
        };
        let text = |number: Option<u64>| number.map(|number| number.to_string());
        put("oom_evidence", (!oom.is_empty()).then(|| oom.join(",")));
        put("started_at_ms", self.started_ms.map(|started_ms| started_ms.to_string()));
        put("memory_last_bytes", text(self.usage.memory_last_bytes));
        put("memory_peak_bytes", text(self.usage.memory_peak_bytes));
        put("memory_limit_bytes", text(self.usage.memory_limit_bytes));
        put("cpu_us", text(self.usage.cpu_us));
        put("restarts", text(self.restarts));
        let detail = detail.map(str::to_owned);
        let code = self.exit_code;
        let mut event =
            EngineEvent::concluded(self.ended_ms, "container", "death", detail, code, attributes);
        event.actor_id = self.id.clone();
        event.actor_name = Some(self.subject.container.to_string()).filter(|name| !name.is_empty());
        event.time_nano = self.time_nano;
        event.signal = self.signal;
        event.duration_ms = self.duration_ms;
        event.inferred = self.inferred;
        event
    }
}

#[cfg(test)]
mod tests;
