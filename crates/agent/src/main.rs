//! The node binary: collects from one Docker Engine and ships frames to a Plimsoll server.
//!
//! It needs the engine's socket and a folder of its own, opens no port, and only reads.
//! Not here: collecting and shipping themselves (`plimsoll_collect`).

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use plimsoll_collect::{
    CollectError, CollectOptions, Collector, Gauges, INTERVAL_MAX, INTERVAL_MIN, ShipError,
    ShipOptions, Shipper, SourceChoice,
};
use plimsoll_model::{Clock, SystemClock, chain};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// Batches that may wait for the shipper.
const BATCHES_MAX: usize = 64;
/// Pauses between attempts to reach an engine at the start.
const ENGINE_PAUSE_MIN: Duration = Duration::from_secs(1);
const ENGINE_PAUSE_MAX: Duration = Duration::from_secs(30);

/// Collects from the Docker Engine of this machine and ships to a Plimsoll server.
#[derive(Debug, Parser)]
#[command(name = "plimsoll-agent", version)]
struct Arguments {
    /// Address of the server, such as `http://plimsoll.example.org:7117`.
    #[arg(long, env = "PLIMSOLL_SERVER")]
    server: String,
    /// File with the token to send with.
    #[arg(long, env = "PLIMSOLL_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// Address of the engine [default: `DOCKER_HOST`, else `unix:///var/run/docker.sock`].
    #[arg(long)]
    docker_host: Option<String>,
    /// Allow an engine on another machine to be reached without encryption.
    #[arg(long)]
    docker_insecure: bool,
    /// Time between two samples: 1s to 5m.
    #[arg(long, default_value = "10s", value_parser = parse_interval)]
    interval: Duration,
    /// Where numbers of containers come from.
    #[arg(long, value_enum, default_value_t = Source::Auto)]
    source: Source,
    /// Name of the fleet the machine belongs to.
    #[arg(long, default_value = "default", env = "PLIMSOLL_CLUSTER")]
    cluster: String,
    /// Name of the machine [default: as the engine reports it].
    #[arg(long, env = "PLIMSOLL_NODE")]
    node: Option<String>,
    /// Where the machine's root folder is; /host or such in a container.
    #[arg(long, default_value = "/", env = "PLIMSOLL_ROOT")]
    root: PathBuf,
    /// Folder for the identity of this agent, the containers it knows, and the frames that wait for
    /// the server.
    #[arg(long, default_value = "plimsoll-agent", env = "PLIMSOLL_STATE")]
    state: PathBuf,
    /// Bytes of frames that may wait in memory.
    #[arg(long, default_value_t = 64 << 20)]
    queue_bytes_max: usize,
    /// Bytes of frames that may wait on disk while the server is away, the oldest go first; 0:
    /// they wait in memory only.
    #[arg(long, default_value_t = 1 << 30, env = "PLIMSOLL_SPOOL_BYTES_MAX")]
    spool_bytes_max: u64,
    /// Collect and ship once, then end.
    #[arg(long)]
    once: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Source {
    /// Control group files where they are found, the engine otherwise.
    Auto,
    /// Control group files only.
    Cgroup,
    /// The engine only.
    Engine,
}

/// Why the agent cannot run.
#[derive(Debug, thiserror::Error)]
enum AgentError {
    #[error("cannot read token file {path}", path = path.display())]
    Token { path: PathBuf, source: io::Error },
    #[error("token file {path} is empty", path = path.display())]
    NoToken { path: PathBuf },
    #[error("cannot collect")]
    Collect { source: CollectError },
    #[error("cannot ship")]
    Ship { source: ShipError },
    #[error("cannot set up the process")]
    Process { source: io::Error },
    #[error("frames were not taken by the server: {frames} left, {dropped} dropped")]
    Unsent { frames: u64, dropped: u64 },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_env("PLIMSOLL_LOG");
    let filter = filter.unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    // One thread for everything that waits, one for files: the agent is a guest on its machine.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(4)
        .build()
        .map_err(|source| AgentError::Process { source });
    match runtime.and_then(|runtime| runtime.block_on(run(arguments))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = %chain(&error), "agent could not go on");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), AgentError> {
    let stop = CancellationToken::new();
    stop_on_signals(&stop)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let gauges = Arc::new(Gauges::default());
    let token = read_token(arguments.token_file.as_ref())?;
    let Some(collector) = connect(&arguments, &gauges, &clock, &stop).await? else {
        return Ok(());
    };
    let mut options = ShipOptions::new(&arguments.server, arguments.state.clone());
    options.token = token;
    options.queue_bytes_max = arguments.queue_bytes_max;
    options.spool_bytes_max = Some(arguments.spool_bytes_max).filter(|bytes| *bytes > 0);
    options.node = collector.node().clone();
    options.gauges = gauges;
    let sending = Shipper::open(options, clock).map_err(|source| AgentError::Ship { source })?;
    let status = collector.status().borrow().clone();
    tracing::info!(
        node = %status.node,
        engine = %status.engine_name,
        engine_version = %status.engine_version,
        docker_host = %collector.docker_host(),
        interval_ms = u64::try_from(arguments.interval.as_millis()).unwrap_or(u64::MAX),
        server = %arguments.server,
        "watching"
    );
    let progress = sending.status();
    let (out, batches) = mpsc::channel(BATCHES_MAX);
    let shipping = tokio::spawn(sending.run(batches));
    collector.run(out, stop).await;
    if shipping.await.is_err() {
        tracing::error!("shipper ended by a fault");
    }
    let shipped = progress.borrow().clone();
    let spool_frames = shipped.spool_frames;
    tracing::info!(frames = shipped.frames_acknowledged, spool_frames, "agent ended");
    let left = u64::try_from(shipped.queue_frames).unwrap_or(u64::MAX).saturating_add(spool_frames);
    if arguments.once && (left > 0 || shipped.frames_dropped > 0) {
        return Err(AgentError::Unsent { frames: left, dropped: shipped.frames_dropped });
    }
    Ok(())
}

/// Connects to the engine, however long that takes; `None` when told to stop before. With
/// `--once`, or when waiting cannot help, an engine that does not answer is an error.
async fn connect(
    arguments: &Arguments,
    gauges: &Arc<Gauges>,
    clock: &Arc<dyn Clock>,
    stop: &CancellationToken,
) -> Result<Option<Collector>, AgentError> {
    let options = CollectOptions {
        docker_host: arguments.docker_host.clone(),
        docker_insecure: arguments.docker_insecure,
        interval: arguments.interval,
        source: match arguments.source {
            Source::Auto => SourceChoice::Auto,
            Source::Cgroup => SourceChoice::Cgroup,
            Source::Engine => SourceChoice::Engine,
        },
        cluster: arguments.cluster.clone(),
        node: arguments.node.clone(),
        root: arguments.root.clone(),
        state: Some(arguments.state.clone()),
        once: arguments.once,
        gauges: gauges.clone(),
        ..CollectOptions::default()
    };
    let mut pause = ENGINE_PAUSE_MIN;
    loop {
        let error = match Collector::connect(options.clone(), clock.clone()).await {
            Ok(collector) => return Ok(Some(collector)),
            Err(error) => error,
        };
        if arguments.once || !matches!(error, CollectError::NoEngine { .. }) {
            return Err(AgentError::Collect { source: error });
        }
        if pause == ENGINE_PAUSE_MIN {
            tracing::warn!(error = %chain(&error), "engine did not answer, trying on");
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(None),
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(ENGINE_PAUSE_MAX),
        }
    }
}

fn stop_on_signals(stop: &CancellationToken) -> Result<(), AgentError> {
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut signals = signal(kind).map_err(|source| AgentError::Process { source })?;
        let stop = stop.clone();
        tokio::spawn(async move {
            if signals.recv().await.is_some() {
                stop.cancel();
            }
        });
    }
    Ok(())
}

fn read_token(path: Option<&PathBuf>) -> Result<Option<String>, AgentError> {
    let Some(path) = path else { return Ok(None) };
    let text = std::fs::read_to_string(path)
        .map_err(|source| AgentError::Token { path: path.clone(), source })?;
    let token = text.trim();
    if token.is_empty() {
        return Err(AgentError::NoToken { path: path.clone() });
    }
    Ok(Some(token.to_owned()))
}

/// Reads `500ms`, `10s` or `5m` within the bounds of the collector.
fn parse_interval(text: &str) -> Result<Duration, String> {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let number: u64 = number.parse().map_err(|_| format!("{text:?} has no number"))?;
    let interval = match unit {
        "ms" => Duration::from_millis(number),
        "s" | "" => Duration::from_secs(number),
        "m" => Duration::from_secs(number.saturating_mul(60)),
        _ => return Err(format!("{unit:?} is not one of ms, s, m")),
    };
    if (INTERVAL_MIN..=INTERVAL_MAX).contains(&interval) {
        Ok(interval)
    } else {
        Err("an interval is from 1s to 5m".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_read_within_their_bounds() {
        assert_eq!(parse_interval("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(parse_interval("1500ms"), Ok(Duration::from_millis(1_500)));
        assert_eq!(parse_interval("5m"), Ok(Duration::from_mins(5)));
        for wrong in ["", "s", "0s", "6m", "10h", "999ms", "-1s"] {
            assert!(parse_interval(wrong).is_err(), "{wrong:?}");
        }
    }
}
