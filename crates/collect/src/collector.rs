//! The doorway of this crate: connect to an engine, then run until told to stop.
//!
//! Not here: where batches go (`ship`, or whoever holds the other end of the channel).

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Duration;

use plimsoll_model::{Batch, BatchError, Clock, ErrorClass, Subject, chain};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::engine::watch::{WatchOptions, Watcher, connect};
use crate::engine::{Engine, EngineError, EngineFacts, Timeouts, resolve};
use crate::names::Names;
use crate::proc::NodeReader;
use crate::reader::Machine;
use crate::rows::Tables;
use crate::sampler::{Parts, Sampler};

/// Shortest interval between two samples.
pub const INTERVAL_MIN: Duration = Duration::from_secs(1);
/// Longest interval between two samples.
pub const INTERVAL_MAX: Duration = Duration::from_mins(5);
/// Notices that may wait for the sampler.
const NOTICES_MAX: usize = 1_024;

/// Where a container's numbers come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SourceChoice {
    /// Control group files where they are found, the engine otherwise.
    #[default]
    Auto,
    /// Control group files only.
    Cgroup,
    /// The engine only.
    Engine,
}

/// Numbers of the sending side that belong into the rows of the node.
#[derive(Debug)]
pub struct Gauges {
    /// Bytes of frames that wait to be sent.
    pub queue_bytes: AtomicU64,
    /// Rows that were thrown away on the way to the server.
    pub rows_dropped: AtomicU64,
    /// The server's clock less ours in milliseconds; `i64::MIN` while unknown.
    pub time_offset_ms: AtomicI64,
}

impl Default for Gauges {
    fn default() -> Self {
        Self {
            queue_bytes: AtomicU64::new(0),
            rows_dropped: AtomicU64::new(0),
            time_offset_ms: AtomicI64::new(i64::MIN),
        }
    }
}

/// How to collect.
#[derive(Debug, Clone)]
pub struct CollectOptions {
    /// Address of the engine; `None`: `DOCKER_HOST`, else the usual socket.
    pub docker_host: Option<String>,
    /// Whether an engine on another machine may be reached without encryption.
    pub docker_insecure: bool,
    /// Time between two samples, [`INTERVAL_MIN`] to [`INTERVAL_MAX`]; others are brought within.
    pub interval: Duration,
    /// Where numbers come from.
    pub source: SourceChoice,
    /// Name of the fleet.
    pub cluster: String,
    /// Name of the machine; `None`: as the engine reports it.
    pub node: Option<String>,
    /// Where the machine's root folder is; `/host` or such in a container.
    pub root: PathBuf,
    /// Questions to the engine in progress at once; more where an engine lets questions for
    /// numbers wait for each other anyway.
    pub concurrency: usize,
    /// Containers that are collected; more are counted and left out.
    pub containers_max: usize,
    /// Time between two full lists of containers.
    pub list_interval: Duration,
    /// Time after which a row of `container_info` is repeated.
    pub info_interval: Duration,
    /// Folder that keeps the containers known last; `None`: nothing is kept, and an engine has to
    /// answer at the start.
    pub state: Option<PathBuf>,
    /// Whether to end after one round.
    pub once: bool,
    /// Numbers of the sending side.
    pub gauges: Arc<Gauges>,
}

impl Default for CollectOptions {
    fn default() -> Self {
        Self {
            docker_host: None,
            docker_insecure: false,
            interval: Duration::from_secs(10),
            source: SourceChoice::Auto,
            cluster: "default".to_owned(),
            node: None,
            root: PathBuf::from("/"),
            concurrency: 4,
            containers_max: 2_000,
            list_interval: Duration::from_secs(30),
            info_interval: Duration::from_hours(1),
            state: None,
            once: false,
            gauges: Arc::default(),
        }
    }
}

/// How the collector fares.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct CollectStatus {
    /// The machine, as rows name it.
    pub node: String,
    /// Whether the engine answers.
    pub engine_up: bool,
    /// What the engine is.
    pub engine_name: String,
    /// Its version.
    pub engine_version: String,
    /// Where the last round's numbers came from: `cgroup` or `engine`; empty before the first.
    pub source: String,
    /// Containers that run and are sampled.
    pub containers: usize,
    /// Containers known, running or not.
    pub containers_known: usize,
    /// Containers past the limit.
    pub containers_left_out: u64,
    /// Samples of the last round per second of the interval.
    pub samples_per_second: f64,
    /// Samples handed on since the start.
    pub samples_total: u64,
    /// Rows thrown away since the start.
    pub rows_dropped: u64,
    /// Reads and questions that failed since the start.
    pub errors: u64,
    /// How long the last round took.
    pub round_took_ms: u64,
}

/// Why collecting cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectError {
    /// No engine answers.
    #[error(
        "no Docker Engine answers at {host}; start it, or name another with --docker-host, \
         and make sure that this user may read its socket"
    )]
    NoEngine {
        /// Where it was looked for.
        host: String,
        /// What happened there.
        source: EngineError,
    },
    /// The address cannot be used.
    #[error("the address of the engine cannot be used")]
    Host {
        /// What is wrong with it.
        source: EngineError,
    },
    /// This program was built without a table it writes to.
    #[error("the registry lacks a table of the collector")]
    Registry {
        /// Which one.
        source: BatchError,
    },
}

impl CollectError {
    /// What a caller can do about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NoEngine { .. } => ErrorClass::Busy,
            Self::Host { source } => source.class(),
            Self::Registry { .. } => ErrorClass::Bug,
        }
    }
}

/// A collector that is connected and has not begun yet.
#[derive(Debug)]
pub struct Collector {
    options: CollectOptions,
    clock: Arc<dyn Clock>,
    watch: WatchOptions,
    tables: Tables,
    /// `None`: the engine is away, and the facts are those known last.
    engine: Option<Engine>,
    facts: EngineFacts,
    names: Option<Names>,
    node: Subject,
    status: watch::Sender<CollectStatus>,
}

impl Collector {
    /// Connects to the engine and asks who it is. While nothing answers there, goes on with what
    /// an earlier collector left in [`CollectOptions::state`].
    ///
    /// # Errors
    ///
    /// [`CollectError::NoEngine`] when nothing answers at the address, and nothing was left.
    pub async fn connect(
        mut options: CollectOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, CollectError> {
        let tables = Tables::find().map_err(|source| CollectError::Registry { source })?;
        let host = resolve(options.docker_host.as_deref(), options.docker_insecure)
            .map_err(|source| CollectError::Host { source })?;
        options.interval = options.interval.clamp(INTERVAL_MIN, INTERVAL_MAX);
        let watch = WatchOptions {
            host,
            timeouts: Timeouts::default(),
            concurrency: options.concurrency.max(1),
            containers_max: options.containers_max,
            list_interval: options.list_interval,
            ping_interval: options.interval.min(Duration::from_secs(10)),
        };
        let state = options.state.clone();
        let load = move || state.as_deref().and_then(Names::load);
        let names = tokio::task::spawn_blocking(load).await.unwrap_or_default();
        let (engine, facts) = match (connect(&watch).await, &names) {
            (Ok((engine, facts)), _) => (Some(engine), facts),
            (Err(error), Some(names)) if options.source != SourceChoice::Engine => {
                let error = chain(&error);
                tracing::warn!(%error, "engine did not answer, names are from disk");
                (None, names.engine.clone())
            }
            (Err(source), _) => {
                return Err(CollectError::NoEngine { host: watch.host.clone(), source });
            }
        };
        let names = names.filter(|names| names.engine.node == facts.node);
        let name = options.node.as_deref().unwrap_or(&facts.node);
        let node = Subject::node(&options.cluster, name);
        let status = watch::Sender::new(CollectStatus {
            node: name.to_owned(),
            engine_up: engine.is_some(),
            engine_name: facts.engine_name.clone().unwrap_or_default(),
            engine_version: facts.engine_version.clone().unwrap_or_default(),
            ..CollectStatus::default()
        });
        Ok(Self { options, clock, watch, tables, engine, facts, names, node, status })
    }

    /// How the collector fares, updated after every round.
    pub fn status(&self) -> watch::Receiver<CollectStatus> {
        self.status.subscribe()
    }

    /// The subject of the machine's own rows.
    pub fn node(&self) -> &Subject {
        &self.node
    }

    /// The address of the engine.
    pub fn docker_host(&self) -> &str {
        &self.watch.host
    }

    /// Collects until `stop`, or until the other end of `out` is dropped, or for one round with
    /// [`CollectOptions::once`]. Sends what it has before it returns.
    ///
    /// A full channel is waited for during one interval; then the batch is dropped and counted.
    pub async fn run(self, out: mpsc::Sender<Batch>, stop: CancellationToken) {
        let (notices, inbox) = mpsc::channel(NOTICES_MAX);
        let last_nano = self.names.as_ref().and_then(|names| names.last_event_nano);
        let watcher = Watcher::new(self.watch, notices, self.clock.clone(), last_nano);
        let (root, facts) = (self.options.root.clone(), self.facts.clone());
        let look = move || {
            let reader = NodeReader::open(&root).filter(|reader| is_same_machine(reader, &facts));
            (Machine::find(&root), reader)
        };
        let Ok((machine, node_reader)) = tokio::task::spawn_blocking(look).await else { return };
        let parts = Parts {
            clock: self.clock,
            out,
            status: self.status,
            tables: self.tables,
            engine: self.engine.clone(),
            facts: self.facts.clone(),
            names: self.names,
            node: self.node,
            machine,
            node_reader,
        };
        let watch_stop = stop.child_token();
        let facts = self.facts;
        let connected = self.engine.map(|engine| (engine, facts));
        let watching = tokio::spawn(watcher.run(connected, watch_stop.clone()));
        Sampler::new(self.options, parts).run(inbox, stop).await;
        watch_stop.cancel();
        if watching.await.is_err() {
            tracing::error!("watcher ended by a fault");
        }
    }
}

/// Whether the engine runs on the machine whose files are read: a socket may lead anywhere.
fn is_same_machine(reader: &NodeReader, facts: &EngineFacts) -> bool {
    let (memory_bytes, kernel) = reader.fingerprint();
    memory_bytes.is_some()
        && memory_bytes == facts.memory_total_bytes
        && kernel.is_some()
        && kernel == facts.kernel_version
}
