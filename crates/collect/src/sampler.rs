//! Decides when which container is read, and turns what comes back into batches.
//!
//! One task owns everything here. It learns of containers from the watcher's notices, samples all
//! of them on ticks aligned to the clock, a new one at once, and one that is being killed once
//! more. Holds ALONE: while the engine is away, files are read on under the names known last, and
//! a container whose numbers do not come is left behind by the round, not waited for.
//! Not here: one round (`round`), what outlives this process (`keeping`), reading (`reader`,
//! `engine`), rows (`rows`).

mod keeping;
mod round;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use plimsoll_model::{Batch, Clock, Subject, chain};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::collector::{CollectOptions, CollectStatus, SourceChoice};
use crate::deaths::Deaths;
use crate::engine::breaker::Breaker;
use crate::engine::container::ContainerFacts;
use crate::engine::event::EngineEvent;
use crate::engine::inventory::Counts;
use crate::engine::watch::Notice;
use crate::engine::{Engine, EngineError, EngineFacts};
use crate::known::Known;
use crate::names::{Names, texts};
use crate::proc::{DeviceNames, NodeReader};
use crate::reader::Machine;
use crate::rows::{Rows, Tables};
use crate::usage::Sample;

/// Notices that are taken before the containers they name are read.
const NOTICES_AT_ONCE: usize = 64;
/// How long rows outside of rounds wait for others.
const LINGER: Duration = Duration::from_secs(1);
/// Longest time a round waits for the engine's answers before it sends what it has.
const ROUND_WAIT_MAX: Duration = Duration::from_secs(5);

type Answer = (Arc<str>, Result<Option<Sample>, EngineError>);

/// What counts since the collector started.
#[derive(Debug, Default)]
struct Totals {
    errors: u64,
    rows_dropped: u64,
    samples: u64,
}

/// The state of a running collector.
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each asked for by itself")]
pub(crate) struct Sampler {
    options: CollectOptions,
    clock: Arc<dyn Clock>,
    out: mpsc::Sender<Batch>,
    status: watch::Sender<CollectStatus>,
    rows: Rows,
    tables: Tables,
    machine: Arc<Machine>,
    node_reader: Option<NodeReader>,
    devices: Arc<DeviceNames>,
    node: Subject,
    /// `None` until the engine answered once.
    engine: Option<Engine>,
    facts: Arc<EngineFacts>,
    engine_up: bool,
    counts: Counts,
    known: HashMap<Arc<str>, Known>,
    fresh: Vec<Arc<str>>,
    answers: FuturesUnordered<BoxFuture<'static, Answer>>,
    permits: Arc<Semaphore>,
    breaker: Breaker,
    flush_at: Option<Instant>,
    round_open: bool,
    settled: bool,
    source: &'static str,
    round_took: Duration,
    round_samples: u64,
    /// Containers this round read or asked for.
    round_containers: u64,
    started_at_ms: i64,
    totals: Totals,
    deaths: Deaths,
    /// The newest event, engine's clock.
    last_event_nano: Option<i64>,
    /// Whether the names on disk are old, and when they were written.
    names_are_old: bool,
    names_at_ms: i64,
}

/// What a sampler is made of beside its options.
pub(crate) struct Parts {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) out: mpsc::Sender<Batch>,
    pub(crate) status: watch::Sender<CollectStatus>,
    pub(crate) tables: Tables,
    /// `None`: the engine is away.
    pub(crate) engine: Option<Engine>,
    pub(crate) facts: EngineFacts,
    /// What an earlier process knew.
    pub(crate) names: Option<Names>,
    pub(crate) node: Subject,
    pub(crate) machine: Machine,
    /// The machine's own files, if the engine runs on this machine.
    pub(crate) node_reader: Option<NodeReader>,
}

impl Sampler {
    pub(crate) fn new(options: CollectOptions, parts: Parts) -> Self {
        let started_at_ms = parts.clock.now_ms();
        let permits = Arc::new(Semaphore::new(parts.facts.stats_concurrency(options.concurrency)));
        let names = parts.names.unwrap_or_default();
        let started_nano = parts.facts.time_nano;
        let known = names.containers.into_iter().map(|name| {
            let known = Known::from_disk(name, &parts.node);
            (known.facts.id.clone(), known)
        });
        let known = known.collect();
        Self {
            options,
            clock: parts.clock,
            out: parts.out,
            status: parts.status,
            rows: Rows::new(parts.tables),
            tables: parts.tables,
            machine: Arc::new(parts.machine),
            node_reader: parts.node_reader,
            devices: Arc::default(),
            node: parts.node,
            engine_up: parts.engine.is_some(),
            // Nothing more is learned before the engine is back.
            settled: parts.engine.is_none(),
            engine: parts.engine,
            facts: Arc::new(parts.facts),
            counts: Counts::default(),
            known,
            fresh: Vec::new(),
            answers: FuturesUnordered::new(),
            permits,
            breaker: Breaker::default(),
            flush_at: None,
            round_open: false,
            source: "",
            round_took: Duration::ZERO,
            round_samples: 0,
            round_containers: 0,
            started_at_ms,
            totals: Totals::default(),
            deaths: Deaths::default(),
            // Events are asked for from the start on, even if none ever comes.
            last_event_nano: names.last_event_nano.or(started_nano),
            names_are_old: true,
            names_at_ms: 0,
        }
    }

    /// Runs until `stop`, until nobody takes batches any more, or for one round if so asked.
    pub(crate) async fn run(
        mut self,
        mut notices: mpsc::Receiver<Notice>,
        stop: CancellationToken,
    ) {
        self.note("collector", "start", None, BTreeMap::new());
        if !self.engine_up {
            self.note("engine", "down", None, BTreeMap::new());
        }
        let mut inbox = Vec::with_capacity(NOTICES_AT_ONCE);
        let mut next_round = self.next_tick();
        loop {
            let flush_at = self.flush_at;
            let flush = async move {
                match flush_at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let alive = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = tokio::time::sleep_until(next_round) => {
                    next_round = self.next_tick();
                    self.round().await
                }
                taken = notices.recv_many(&mut inbox, NOTICES_AT_ONCE) => {
                    if taken == 0 {
                        break;
                    }
                    for notice in inbox.drain(..) {
                        self.notice(notice);
                    }
                    self.read_fresh().await;
                    !(self.settled && self.options.once) || self.round().await
                }
                Some(answer) = self.answers.next() => self.answer(answer).await,
                () = flush => self.flush().await,
            };
            let done = self.options.once && self.settled && !self.round_open;
            if !alive || done {
                break;
            }
            if self.flush_at.is_none() && !self.rows.is_empty() {
                self.flush_at = Some(Instant::now() + LINGER);
            }
        }
        self.record_deaths(true);
        self.note("collector", "stop", None, BTreeMap::new());
        self.flush().await;
        self.remember(true).await;
    }

    /// The next moment whose Unix time is a multiple of the interval.
    fn next_tick(&self) -> Instant {
        let interval_ms = i64::try_from(self.options.interval.as_millis()).unwrap_or(i64::MAX);
        let past_ms = self.clock.now_ms().rem_euclid(interval_ms.max(1));
        let left_ms = u64::try_from(interval_ms.saturating_sub(past_ms)).unwrap_or(1);
        Instant::now() + Duration::from_millis(left_ms)
    }

    fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::Up { engine, facts } => self.engine_is_up(engine, facts),
            Notice::Gap { from_ms, to_ms } => {
                let attributes = texts([
                    ("from_ms", from_ms.to_string()),
                    ("to_ms", to_ms.to_string()),
                    ("what", "events".to_owned()),
                ]);
                self.note("collector", "gap", None, attributes);
            }
            Notice::Down => {
                if std::mem::replace(&mut self.engine_up, false) {
                    tracing::warn!(source = self.source, "engine stopped answering");
                    self.note("engine", "down", None, BTreeMap::new());
                }
            }
            Notice::Container(facts) => self.container(*facts),
            Notice::Gone(id) => self.gone(&id),
            Notice::Event(event) => self.event(&event),
            Notice::Counts(counts) => {
                if counts.left_out > 0 && self.counts.left_out == 0 {
                    tracing::error!(left_out = counts.left_out, "containers past the limit");
                }
                self.counts = counts;
            }
            Notice::Settled => {
                self.settled = true;
                let known = self.known.values().filter(|known| known.from_disk);
                let gone: Vec<_> = known.map(|known| known.facts.id.clone()).collect();
                for id in &gone {
                    self.gone(id);
                }
            }
            Notice::Failed => self.totals.errors += 1,
        }
    }

    /// Takes what an inspection says.
    fn container(&mut self, facts: ContainerFacts) {
        let now_ms = self.clock.now_ms();
        let id = facts.id.clone();
        self.names_are_old = true;
        let change = if let Some(known) = self.known.get_mut(&id) {
            self.deaths.inspected(known, &facts, now_ms);
            known.update(facts, &self.node, now_ms)
        } else {
            let mut known = Known::new(facts, &self.node);
            let alive = known.facts.is_alive();
            self.deaths.inspected_first(&mut known, now_ms);
            self.known.insert(id.clone(), known);
            crate::known::Change { started: alive, stopped: !alive }
        };
        if change.started {
            self.fresh.push(id.clone());
        }
        if change.stopped {
            self.state_row(&id, now_ms);
        }
        self.info_row(&id, now_ms);
    }

    fn gone(&mut self, id: &str) {
        self.names_are_old = true;
        if let Some(mut known) = self.known.remove(id) {
            self.deaths.vanished(&mut known, self.clock.now_ms());
        }
        self.breaker.forget(id);
    }

    fn engine_is_up(&mut self, engine: Engine, facts: Arc<EngineFacts>) {
        if !std::mem::replace(&mut self.engine_up, true) {
            tracing::info!("engine answered again");
            self.note("engine", "up", None, BTreeMap::new());
        }
        if facts.engine_version != self.facts.engine_version {
            let attributes = [
                ("version.old", &self.facts.engine_version),
                ("version.new", &facts.engine_version),
            ];
            let attributes = attributes
                .into_iter()
                .filter_map(|(key, value)| Some((key.to_owned(), value.clone()?)));
            let attributes = attributes.collect();
            self.note("engine", "upgrade", None, attributes);
            let permits = facts.stats_concurrency(self.options.concurrency);
            self.permits = Arc::new(Semaphore::new(permits));
        }
        self.engine = Some(engine);
        self.facts = facts;
        self.names_are_old = true;
    }

    fn event(&mut self, event: &EngineEvent) {
        self.last_event_nano = self.last_event_nano.max(event.time_nano);
        self.names_are_old = true;
        let now_ms = self.clock.now_ms();
        let own = event.is_container().then(|| event.actor_id.to_string());
        let id = own.or_else(|| event.container_id.clone());
        if let Some(known) = id.as_deref().and_then(|id| self.known.get_mut(id)) {
            let subject = known.subject.clone();
            let mut result = self.rows.event(event, &subject);
            if event.is_container() {
                match event.action.as_str() {
                    "oom" => known.oom_event(),
                    // Its control group is still there; when it has died it is not.
                    "kill" => self.fresh.push(event.actor_id.clone()),
                    "die" => result = result.and_then(|()| self.rows.died(known, event)),
                    _ => {}
                }
                self.deaths.event(event, Some(known), &subject, now_ms);
            }
            self.check(result);
            return;
        }
        let subject = if event.is_container() {
            let name = event.actor_name.as_deref().unwrap_or("");
            let image = event.attributes.get("image").map_or("", String::as_str);
            let subject =
                crate::identity::subject(&self.node, &event.actor_id, name, image, &event.labels);
            self.deaths.event(event, None, &subject, now_ms);
            subject
        } else {
            self.node.clone()
        };
        let result = self.rows.event(event, &subject);
        self.check(result);
    }

    /// Writes an event that the collector found out by itself.
    fn note(
        &mut self,
        kind: &str,
        action: &str,
        detail: Option<String>,
        attributes: BTreeMap<String, String>,
    ) {
        let event = EngineEvent::inferred(self.clock.now_ms(), kind, action, detail, attributes);
        let result = self.rows.event(&event, &self.node.clone());
        self.check(result);
    }

    fn state_row(&mut self, id: &str, now_ms: i64) {
        let Some(known) = self.known.get_mut(id) else { return };
        known.state_row_at_ms = now_ms;
        let result = self.rows.state(known, now_ms, now_ms);
        self.check(result);
    }

    fn info_row(&mut self, id: &str, now_ms: i64) {
        let every_ms = i64::try_from(self.options.info_interval.as_millis()).unwrap_or(i64::MAX);
        let Some(known) = self.known.get_mut(id) else { return };
        if known.info_is_due(now_ms, every_ms) {
            let result = self.rows.info(known, &self.facts, now_ms);
            self.check(result);
        }
    }

    /// Whether a container's numbers come from files.
    fn reads_files(&self, known: &Known) -> bool {
        match self.options.source {
            SourceChoice::Cgroup => true,
            SourceChoice::Engine => false,
            SourceChoice::Auto => self.machine.cgroup_version().is_some() && known.may_have_files(),
        }
    }

    fn check<E: std::error::Error + 'static>(&mut self, result: Result<(), E>) {
        if let Err(error) = result {
            self.totals.errors += 1;
            tracing::error!(error = %chain(&error), "row could not be written");
        }
    }
}
