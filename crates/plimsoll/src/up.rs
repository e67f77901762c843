//! Puts store, doorway, server and collector together and runs them until told to end.
//!
//! Keeps true: what was acknowledged is on disk when the program ends; ending takes at most ten
//! seconds or so.
//! Not here: the parts themselves.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use plimsoll_collect::{CollectError, CollectOptions, Collector, SourceChoice};
use plimsoll_fleetsim::ConfigError;
use plimsoll_ingest::{Ingest, IngestLimits};
use plimsoll_model::{Batch, BatchError, Clock, SystemClock};
use plimsoll_serve::{CollectorProbe, CollectorStatus, ServeLimits, Server, ServerParts};
use plimsoll_store::retention::Rule;
use plimsoll_store::{RetentionOptions, Store, StoreError, StoreOptions};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::live;
use crate::local::{Local, LocalError};
use crate::settings::Settings;
use crate::simulate::Simulation;
use crate::terminal::Terminal;

/// What to collect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Collect {
    /// This machine's containers.
    Machine,
    /// A made-up fleet.
    Simulated,
    /// Nothing: agents send.
    Nothing,
}

/// What to run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// What to collect.
    pub(crate) collect: Collect,
}

/// Why the server cannot run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpError {
    /// The address is none.
    #[error(
        "setting `server.listen`: found {found:?}, allowed is an address and a port such as \
         127.0.0.1:7117"
    )]
    Address { found: String },
    /// Anyone could connect.
    #[error(
        "{address} is not a loopback address, so anyone who can connect could read and write \
         everything: listen on 127.0.0.1, or say --insecure-no-auth if that is wanted"
    )]
    Exposed { address: SocketAddr },
    /// Another program listens there.
    #[error(
        "cannot listen on {address}: the port is in use by another program; choose another with \
         --listen"
    )]
    PortInUse { address: SocketAddr },
    /// The operating system refused.
    #[error("cannot listen on {address}")]
    Listen { address: SocketAddr, source: std::io::Error },
    /// Another process has the data.
    #[error(
        "the data folder {dir} is in use by another plimsoll; end that one, or choose another \
         with --data",
        dir = dir.display()
    )]
    DataInUse { dir: PathBuf },
    /// The data cannot be used.
    #[error("cannot open the data folder {dir}", dir = dir.display())]
    Data { dir: PathBuf, source: StoreError },
    /// No engine answers.
    #[error(
        "no Docker Engine answers at {host} ({cause}): start it, give --docker-host, or try \
         `plimsoll up --simulate`"
    )]
    NoEngine { host: String, cause: String },
    /// Collecting cannot start.
    #[error("cannot collect from this machine")]
    Collect { source: CollectError },
    /// The made-up fleet cannot be made.
    #[error("cannot make up a fleet")]
    Simulate(#[from] ConfigError),
    /// A table is missing.
    #[error("cannot make up rows")]
    Table(#[from] BatchError),
    /// The sender cannot remember who it is.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// The server broke.
    #[error("the server ended by a fault")]
    Serve { source: std::io::Error },
    /// The data could not be closed.
    #[error("the last rows could not be written; they are in the write-ahead log")]
    Close { source: StoreError },
    /// Nothing can be written to the terminal.
    #[error("cannot write to the terminal")]
    Terminal { source: std::io::Error },
    /// The operating system gives no signals.
    #[error("cannot listen for the signal to end")]
    Signals { source: std::io::Error },
}

/// How long the last rows may take to be written.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);
/// Batches between collector and sender.
const BATCHES_MAX: usize = 64;

/// Runs until SIGINT or SIGTERM.
pub(crate) async fn run(
    settings: &Settings,
    plan: Plan,
    terminal: &mut Terminal,
) -> Result<(), UpError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let end = end_signal()?;
    let listener = listen(settings, terminal).await?;
    // The engine is looked for before anything is made on disk.
    let feed = Feed::find(settings, plan.collect, &clock).await?;
    let store = open(settings, &clock).await?;
    let ingest = Ingest::new(store.clone(), IngestLimits::default());
    let probe = feed.probe();
    let parts = ServerParts {
        store: store.clone(),
        ingest: ingest.clone(),
        clock: clock.clone(),
        limits: serve_limits(settings),
        collector: probe.clone(),
    };
    let server = Server::new(parts);
    let address = listener.local_addr().map_err(|source| UpError::Serve { source })?;
    say(terminal, &format!("Plimsoll {} answers at http://{address}/", env!("CARGO_PKG_VERSION")))?;
    let serving = {
        let (server, end) = (server.clone(), end.clone());
        tokio::spawn(async move { server.run(listener, end.cancelled_owned()).await })
    };
    let dir = PathBuf::from(settings.text("server", "data"));
    let feeding = feed.start(&dir, ingest.clone(), clock.clone(), end.clone())?;
    live::watch(terminal, &store, &ingest, probe.as_ref(), &end)
        .await
        .map_err(|source| UpError::Terminal { source })?;
    let sent = tokio::time::timeout(CLOSE_TIMEOUT, feeding).await;
    if !matches!(sent, Ok(Ok(()))) {
        tracing::warn!("the collector did not end in time");
    }
    match serving.await {
        Ok(result) => result.map_err(|source| UpError::Serve { source })?,
        Err(error) => return Err(UpError::Serve { source: std::io::Error::other(error) }),
    }
    drop((server, ingest));
    let Ok(closed) = tokio::time::timeout(CLOSE_TIMEOUT, store.close()).await else {
        tracing::warn!("the last rows stay in the write-ahead log");
        return say(terminal, "Plimsoll has ended");
    };
    closed.map_err(|source| UpError::Close { source })?;
    say(terminal, "Plimsoll has ended; everything is on disk")
}

fn say(terminal: &mut Terminal, line: &str) -> Result<(), UpError> {
    terminal.line(line).map_err(|source| UpError::Terminal { source })
}

/// Done when the program is asked to end; the second time, the program ends at once.
fn end_signal() -> Result<CancellationToken, UpError> {
    use tokio::signal::unix::{SignalKind, signal};
    let refused = |source| UpError::Signals { source };
    let mut interrupt = signal(SignalKind::interrupt()).map_err(refused)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(refused)?;
    let end = CancellationToken::new();
    let told = end.clone();
    tokio::spawn(async move {
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        told.cancel();
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        std::process::exit(130);
    });
    Ok(end)
}

async fn listen(settings: &Settings, terminal: &mut Terminal) -> Result<TcpListener, UpError> {
    let found = settings.text("server", "listen");
    let resolved = found.to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
    let address = resolved.ok_or_else(|| UpError::Address { found: found.to_owned() })?;
    if !address.ip().is_loopback() {
        if !settings.flag("auth", "insecure") {
            return Err(UpError::Exposed { address });
        }
        let warning =
            format!("WARNING: anyone who can connect to {address} can read and write everything");
        terminal.complain(&warning).map_err(|source| UpError::Terminal { source })?;
    }
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        std::io::ErrorKind::AddrInUse => UpError::PortInUse { address },
        _ => UpError::Listen { address, source },
    })
}

async fn open(settings: &Settings, clock: &Arc<dyn Clock>) -> Result<Store, UpError> {
    let options = store_options(settings);
    let (dir, clock) = (options.dir.clone(), clock.clone());
    let opened = tokio::task::spawn_blocking(move || Store::open(options, clock)).await;
    match opened {
        Ok(Ok(store)) => Ok(store),
        Ok(Err(StoreError::InUse { .. })) => Err(UpError::DataInUse { dir }),
        Ok(Err(source)) => Err(UpError::Data { dir, source }),
        Err(_) => Err(UpError::Data { dir, source: StoreError::Thread { what: "opening" } }),
    }
}

fn store_options(settings: &Settings) -> StoreOptions {
    let storage = |key| settings.int("storage", key).unsigned_abs();
    let days = |key| Duration::from_secs(settings.int("retention", key).unsigned_abs() * 86_400);
    StoreOptions {
        wal_segment_bytes: storage("wal_segment_bytes"),
        wal_bytes_max: storage("wal_bytes_max"),
        head_bytes_max: settings.count("storage", "head_bytes_max"),
        flush_age: Duration::from_secs(storage("flush_age_s")),
        group_commit_max_delay: Duration::from_millis(storage("group_commit_ms")),
        future_max: Duration::from_secs(storage("future_max_s")),
        disk_free_bytes_min: storage("disk_free_bytes_min"),
        retention: RetentionOptions {
            raw: days("raw_days"),
            five_minute: days("five_minute_days"),
            hour: days("hour_days"),
        },
        retention_rules: settings
            .list("retention", "rules")
            .filter_map(|rule| Rule::parse(rule).ok())
            .collect(),
        bytes_max: settings.is_given("storage", "bytes_max").then(|| storage("bytes_max")),
        zstd_level_compact: i32::try_from(settings.int("storage", "zstd_level_compact"))
            .unwrap_or(9),
        compact_interval: Some(Duration::from_secs(storage("compact_interval_s"))),
        ..StoreOptions::new(settings.text("server", "data"))
    }
}

fn serve_limits(settings: &Settings) -> ServeLimits {
    let ms = |section, key| Duration::from_millis(settings.int(section, key).unsigned_abs());
    ServeLimits {
        body_bytes_max: settings.count("server", "body_bytes_max"),
        requests_max: settings.count("server", "requests_max"),
        request_timeout: ms("server", "request_timeout_ms"),
        shutdown_timeout: ms("server", "shutdown_timeout_ms"),
        query_concurrency: settings.count("query", "concurrency"),
        query_queue: settings.count("query", "queue"),
        query_timeout: ms("query", "timeout_ms"),
        query_series_max: settings.count("query", "series_max"),
        query_rows_max: settings.int("query", "rows_max").unsigned_abs(),
        query_points_max: settings.count("query", "points_max"),
    }
}

/// Where rows of this process come from.
enum Feed {
    Machine(Box<Collector>),
    Simulated(Box<Simulation>),
    Nothing,
}

impl Feed {
    async fn find(
        settings: &Settings,
        collect: Collect,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, UpError> {
        match collect {
            Collect::Nothing => Ok(Self::Nothing),
            Collect::Machine if !settings.flag("collect", "enabled") => Ok(Self::Nothing),
            Collect::Simulated => {
                let cluster = settings.is_given("agent", "cluster").then(|| cluster(settings));
                let interval_ms = settings.int("collect", "interval_s") * 1_000;
                let dir = PathBuf::from(settings.text("server", "data"));
                Ok(Self::Simulated(Box::new(Simulation::new(&dir, cluster, interval_ms, clock)?)))
            }
            Collect::Machine => {
                let connected = Collector::connect(collect_options(settings), clock.clone()).await;
                match connected {
                    Ok(collector) => Ok(Self::Machine(Box::new(collector))),
                    Err(CollectError::NoEngine { host, source }) => {
                        Err(UpError::NoEngine { host, cause: plimsoll_model::chain(&source) })
                    }
                    Err(source) => Err(UpError::Collect { source }),
                }
            }
        }
    }

    /// How the collector can be asked for its state.
    fn probe(&self) -> Option<CollectorProbe> {
        match self {
            Self::Nothing => None,
            Self::Simulated(simulation) => Some(simulation.probe()),
            Self::Machine(collector) => {
                let (status, host) = (collector.status(), collector.docker_host().to_owned());
                Some(Arc::new(move || {
                    let status = status.borrow().clone();
                    let down = (!status.engine_up).then(|| "the engine does not answer".to_owned());
                    CollectorStatus {
                        source: host.clone(),
                        node: status.node,
                        engine: format!("{} {}", status.engine_name, status.engine_version),
                        containers: u64::try_from(status.containers).unwrap_or(u64::MAX),
                        samples: status.samples_total,
                        rows_dropped: status.rows_dropped,
                        errors: status.errors,
                        error: down,
                    }
                }))
            }
        }
    }

    /// Starts collecting and sending; done when all is sent after `end`.
    fn start(
        self,
        dir: &std::path::Path,
        ingest: Ingest,
        clock: Arc<dyn Clock>,
        end: CancellationToken,
    ) -> Result<tokio::task::JoinHandle<()>, UpError> {
        if matches!(self, Self::Nothing) {
            return Ok(tokio::spawn(async {}));
        }
        let local = Local::new(dir, ingest, &clock)?;
        let (out, batches) = mpsc::channel::<Batch>(BATCHES_MAX);
        Ok(tokio::spawn(async move {
            let sending = tokio::spawn(local.run(batches, end.clone()));
            match self {
                Self::Machine(collector) => collector.run(out, end).await,
                Self::Simulated(simulation) => simulation.run(out, clock, end).await,
                Self::Nothing => {}
            }
            if sending.await.is_err() {
                tracing::error!("the sender ended by a fault");
            }
        }))
    }
}

fn cluster(settings: &Settings) -> String {
    settings.text("agent", "cluster").to_owned()
}

fn collect_options(settings: &Settings) -> CollectOptions {
    let seconds = |key| Duration::from_secs(settings.int("collect", key).unsigned_abs());
    let host = settings.text("collect", "docker_host").to_owned();
    let node = settings.text("agent", "node").to_owned();
    CollectOptions {
        // Not given means `DOCKER_HOST`, and then the usual socket.
        docker_host: settings.is_given("collect", "docker_host").then_some(host),
        docker_insecure: settings.flag("collect", "docker_insecure"),
        interval: seconds("interval_s"),
        source: match settings.text("collect", "source") {
            "cgroup" => SourceChoice::Cgroup,
            "engine" => SourceChoice::Engine,
            _ => SourceChoice::Auto,
        },
        cluster: cluster(settings),
        node: (!node.is_empty()).then_some(node),
        concurrency: settings.count("collect", "concurrency"),
        containers_max: settings.count("collect", "containers_max"),
        list_interval: seconds("list_interval_s"),
        info_interval: seconds("info_interval_s"),
        state: Some(PathBuf::from(settings.text("server", "data")).join("collector")),
        ..CollectOptions::default()
    }
}
