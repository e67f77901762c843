//! Follows one engine for as long as the collector runs: events, lists, inspections, pings.
//!
//! Events are asked for before the list, with an overlap after every break, so that nothing falls
//! between the two; what comes twice is told once. An engine that no longer has the last event seen
//! has forgotten others, too, and that is told as a gap. A broken connection is taken up again with
//! growing pauses. Holds ALONE: nothing here ever waits for one container.
//! Not here: what follows from a notice (`sampler`).

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use bollard::models::{ContainerSummary, EventMessage};
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use plimsoll_model::{Clock, chain};
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::container::ContainerFacts;
use super::event::EngineEvent;
use super::inventory::{Counts, Inventory};
use super::{Engine, EngineError, EngineFacts, Timeouts};
use crate::backoff::Backoff;

/// How much earlier than the last event seen the stream is taken up again, in nanoseconds.
const OVERLAP_NANO: i64 = 2_000_000_000;
/// The same where it has to be seen whether the engine still has the events of before.
const PROOF_OVERLAP_NANO: i64 = 3_600_000_000_000;
/// Events that are remembered to tell repeated ones.
const REMEMBERED_EVENTS_MAX: usize = 2_048;
/// Pings in a row that may fail before the connection is made anew.
const FAILED_PINGS_MAX: u32 = 3;
/// How long an engine has to show that it still has the last event seen.
const PROOF_WAIT: Duration = Duration::from_secs(2);
/// Lists between two looks at the engine's own facts.
const LISTS_PER_FACTS: u32 = 10;

/// What the watcher tells.
#[derive(Debug)]
pub(crate) enum Notice {
    /// The engine answers; these are its facts.
    Up { engine: Engine, facts: Arc<EngineFacts> },
    /// The engine forgot events of this stretch of time before they could be read.
    Gap { from_ms: i64, to_ms: i64 },
    /// The engine stopped answering.
    Down,
    /// A container as it is now.
    Container(Box<ContainerFacts>),
    /// A container was removed.
    Gone(Arc<str>),
    /// Something happened.
    Event(Box<EngineEvent>),
    /// A full list was compared.
    Counts(Counts),
    /// Everything listed at the start has been inspected.
    Settled,
    /// A question about a container failed.
    Failed,
}

/// What the watcher is told.
#[derive(Debug, Clone)]
pub(crate) struct WatchOptions {
    pub(crate) host: String,
    pub(crate) timeouts: Timeouts,
    pub(crate) concurrency: usize,
    pub(crate) containers_max: usize,
    pub(crate) list_interval: Duration,
    pub(crate) ping_interval: Duration,
}

enum Done {
    Listed(Result<Vec<ContainerSummary>, EngineError>),
    Inspected(Arc<str>, Result<Box<ContainerFacts>, EngineError>),
    Pinged(Result<(), EngineError>),
    Facts(Result<Arc<EngineFacts>, EngineError>),
}

enum End {
    Stopped,
    Lost,
}

/// Follows an engine.
pub(crate) struct Watcher {
    options: WatchOptions,
    notices: mpsc::Sender<Notice>,
    clock: Arc<dyn Clock>,
    inventory: Inventory,
    seen: Seen,
    /// Newest event, engine's clock.
    last_nano: Option<i64>,
    was_lost: bool,
    settled: bool,
    unproven: Option<Unproven>,
    /// Whether no event was ever asked for.
    is_new: bool,
    /// Events up to here were told before; engine's clock.
    skip_until_nano: i64,
}

/// The engine has not shown yet that it still has the events since the last one seen. It does so
/// by sending that one, or an earlier one, again.
#[derive(Debug, Clone, Copy)]
struct Unproven {
    last_nano: i64,
    until: Instant,
}

impl Watcher {
    pub(crate) fn new(
        options: WatchOptions,
        notices: mpsc::Sender<Notice>,
        clock: Arc<dyn Clock>,
        last_nano: Option<i64>,
    ) -> Self {
        let inventory = Inventory::new(options.containers_max);
        Self {
            options,
            notices,
            clock,
            inventory,
            seen: Seen::default(),
            is_new: last_nano.is_none(),
            skip_until_nano: i64::MIN,
            was_lost: last_nano.is_some(),
            last_nano,
            settled: false,
            unproven: None,
        }
    }

    /// Runs until `stop`, or until nobody listens any more.
    pub(crate) async fn run(
        mut self,
        mut connected: Option<(Engine, EngineFacts)>,
        stop: CancellationToken,
    ) {
        let seed = self.clock.now_ms().unsigned_abs();
        // An engine that is back is to be seen within about one interval.
        let mut backoff = Backoff::new(seed).up_to(self.options.ping_interval);
        loop {
            if let Some((engine, facts)) = connected.take() {
                backoff.reset();
                match self.follow(engine, facts, &stop).await {
                    End::Stopped => return,
                    End::Lost => {
                        self.was_lost = true;
                        self.inventory.disconnected();
                        if self.tell(Notice::Down).await.is_none() {
                            return;
                        }
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(backoff.next()) => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                found = connect(&self.options) => match found {
                    Ok(found) => connected = Some(found),
                    Err(error) => tracing::debug!(error = %chain(&error), "engine did not answer"),
                },
            }
        }
    }

    async fn tell(&self, notice: Notice) -> Option<()> {
        self.notices.send(notice).await.ok()
    }

    async fn follow(
        &mut self,
        engine: Engine,
        facts: EngineFacts,
        stop: &CancellationToken,
    ) -> End {
        let now_nano = self.clock.now_ms().saturating_mul(1_000_000);
        let last = self.last_nano.or(facts.time_nano).unwrap_or(now_nano);
        // From the start on, so that another start can take up where this one ended.
        self.last_nano = Some(last);
        self.skip_until_nano = last.saturating_sub(OVERLAP_NANO);
        let overlap = if self.was_lost { PROOF_OVERLAP_NANO } else { OVERLAP_NANO };
        let since = if self.is_new { last } else { last.saturating_sub(overlap) };
        self.is_new = false;
        let mut events = Box::pin(engine.events(since));
        self.unproven =
            self.was_lost.then(|| Unproven { last_nano: last, until: Instant::now() + PROOF_WAIT });
        let mut session = Session::new(engine, Arc::new(facts));
        if self.tell(session.up()).await.is_none() {
            return End::Stopped;
        }
        let mut list_ticks = ticks(self.options.list_interval);
        let mut ping_ticks = ticks(self.options.ping_interval);
        loop {
            while let Some(id) = self.inventory.next(self.options.concurrency) {
                session.inspect(id);
            }
            let proof_until = self.unproven.map_or_else(Instant::now, |proof| proof.until);
            let end = tokio::select! {
                () = stop.cancelled() => Err(End::Stopped),
                () = tokio::time::sleep_until(proof_until), if self.unproven.is_some() => {
                    self.lost_events(None).await.ok_or(End::Stopped)
                }
                event = events.next() => match event {
                    Some(Ok(message)) => self.event(message).await.ok_or(End::Stopped),
                    Some(Err(error)) => Err(self.stream_broke(&error)),
                    None => Err(End::Lost),
                },
                _ = list_ticks.tick() => {
                    session.list();
                    Ok(())
                }
                _ = ping_ticks.tick(), if !session.pings.open => {
                    session.ping();
                    Ok(())
                }
                Some(done) = session.work.next() => self.react(&mut session, done).await,
            };
            if let Err(end) = end {
                return end;
            }
        }
    }

    fn stream_broke(&mut self, error: &EngineError) -> End {
        tracing::warn!(error = %chain(error), "event stream broke");
        if error.is_unreadable() {
            // What cannot be read now could not be read again either.
            self.last_nano = Some(self.clock.now_ms().saturating_mul(1_000_000));
        }
        End::Lost
    }

    async fn react(&mut self, session: &mut Session, done: Done) -> Result<(), End> {
        let notice = match done {
            Done::Facts(Ok(facts)) => {
                session.facts = facts;
                session.up()
            }
            Done::Facts(Err(_)) => return Ok(()),
            Done::Pinged(answer) => match session.pings.answered(&answer) {
                Pinged::Same => return Ok(()),
                Pinged::Lost => return Err(End::Lost),
                Pinged::Down => Notice::Down,
                Pinged::Up => {
                    session.list();
                    session.up()
                }
            },
            done => return self.done(done).await.ok_or(End::Stopped),
        };
        self.tell(notice).await.ok_or(End::Stopped)
    }

    async fn done(&mut self, done: Done) -> Option<()> {
        match done {
            Done::Listed(Ok(list)) => {
                let (gone, counts) = self.inventory.listed(list);
                for id in gone {
                    self.tell(Notice::Gone(id)).await?;
                }
                self.tell(Notice::Counts(counts)).await?;
            }
            Done::Inspected(_, Ok(facts)) => {
                self.inventory.inspected(&facts);
                self.tell(Notice::Container(facts)).await?;
            }
            Done::Inspected(id, Err(EngineError::Gone { .. })) => {
                self.inventory.gone(&id);
                self.tell(Notice::Gone(id)).await?;
            }
            Done::Inspected(id, Err(error)) => {
                tracing::debug!(container_id = %id, error = %chain(&error), "inspection failed");
                self.inventory.failed(&id);
                self.tell(Notice::Failed).await?;
            }
            Done::Listed(Err(error)) => {
                tracing::debug!(error = %chain(&error), "list failed");
                return self.tell(Notice::Failed).await;
            }
            Done::Pinged(_) | Done::Facts(_) => {}
        }
        if !self.settled && self.inventory.is_settled() {
            self.settled = true;
            self.tell(Notice::Settled).await?;
        }
        Some(())
    }

    /// The engine no longer has all events since the last one seen.
    async fn lost_events(&mut self, next_nano: Option<i64>) -> Option<()> {
        let Some(unproven) = self.unproven.take() else { return Some(()) };
        let next_ms = next_nano.map(|nano| nano.div_euclid(1_000_000));
        let to_ms = next_ms.unwrap_or_else(|| self.clock.now_ms());
        let from_ms = unproven.last_nano.div_euclid(1_000_000);
        self.tell(Notice::Gap { from_ms, to_ms }).await
    }

    async fn event(&mut self, message: EventMessage) -> Option<()> {
        let last_nano = self.unproven.map(|unproven| unproven.last_nano);
        if message.time_nano.zip(last_nano).is_some_and(|(nano, last)| nano <= last) {
            self.unproven = None;
        } else {
            self.lost_events(message.time_nano).await?;
        }
        if message.time_nano.is_some_and(|nano| nano < self.skip_until_nano) {
            return Some(());
        }
        if let Some(nano) = message.time_nano {
            self.last_nano = Some(self.last_nano.map_or(nano, |last| last.max(nano)));
        }
        if !self.seen.is_new(&message) {
            return Some(());
        }
        let Some(event) = EngineEvent::read(message) else { return Some(()) };
        if event.is_container() {
            let id = event.actor_id.clone();
            if event.action == "destroy" {
                self.inventory.gone(&id);
                self.tell(Notice::Event(Box::new(event))).await?;
                return self.tell(Notice::Gone(id)).await;
            }
            self.inventory.look(&id);
        }
        self.tell(Notice::Event(Box::new(event))).await
    }
}

/// Connects and asks the engine for its facts.
pub(crate) async fn connect(options: &WatchOptions) -> Result<(Engine, EngineFacts), EngineError> {
    let engine = Engine::connect(&options.host, options.timeouts).await?;
    let facts = engine.facts().await?;
    Ok((engine, facts))
}

fn ticks(every: Duration) -> Interval {
    let mut ticks = tokio::time::interval(every.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// One connection and the questions that are open on it.
struct Session {
    engine: Engine,
    facts: Arc<EngineFacts>,
    work: FuturesUnordered<BoxFuture<'static, Done>>,
    pings: Pings,
    lists: u32,
}

impl Session {
    fn new(engine: Engine, facts: Arc<EngineFacts>) -> Self {
        Self { engine, facts, work: FuturesUnordered::new(), pings: Pings::default(), lists: 0 }
    }

    fn up(&self) -> Notice {
        Notice::Up { engine: self.engine.clone(), facts: self.facts.clone() }
    }

    fn list(&mut self) {
        let engine = self.engine.clone();
        self.work.push(async move { Done::Listed(engine.list().await) }.boxed());
        self.lists = self.lists.wrapping_add(1);
        if self.lists.is_multiple_of(LISTS_PER_FACTS) {
            let engine = self.engine.clone();
            self.work.push(async move { Done::Facts(engine.facts().await.map(Arc::new)) }.boxed());
        }
    }

    fn ping(&mut self) {
        self.pings.open = true;
        let engine = self.engine.clone();
        self.work.push(async move { Done::Pinged(engine.ping().await) }.boxed());
    }

    fn inspect(&mut self, id: Arc<str>) {
        let engine = self.engine.clone();
        let question = async move {
            let answer = engine.inspect(&id).await.map(Box::new);
            Done::Inspected(id, answer)
        };
        self.work.push(question.boxed());
    }
}

#[derive(Debug, Default)]
struct Pings {
    open: bool,
    failed: u32,
}

enum Pinged {
    Same,
    Down,
    Up,
    Lost,
}

impl Pings {
    fn answered(&mut self, answer: &Result<(), EngineError>) -> Pinged {
        self.open = false;
        let before = self.failed;
        if answer.is_ok() {
            self.failed = 0;
            return if before > 0 { Pinged::Up } else { Pinged::Same };
        }
        self.failed += 1;
        match self.failed {
            1 => Pinged::Down,
            FAILED_PINGS_MAX.. => Pinged::Lost,
            _ => Pinged::Same,
        }
    }
}

/// Remembers the newest events.
#[derive(Debug, Default)]
struct Seen {
    order: VecDeque<u64>,
    hashes: HashSet<u64>,
}

impl Seen {
    fn is_new(&mut self, message: &EventMessage) -> bool {
        let mut hasher = DefaultHasher::new();
        message.time_nano.hash(&mut hasher);
        message.typ.map(|typ| typ.to_string()).hash(&mut hasher);
        message.action.hash(&mut hasher);
        message.actor.as_ref().and_then(|actor| actor.id.as_ref()).hash(&mut hasher);
        let hash = hasher.finish();
        if !self.hashes.insert(hash) {
            return false;
        }
        self.order.push_back(hash);
        if self.order.len() > REMEMBERED_EVENTS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.hashes.remove(&oldest);
        }
        true
    }
}
