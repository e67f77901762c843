//! Serves the engines of the demo fleet on Unix sockets `node-0.sock`, `node-1.sock`, ... in a
//! folder, for clients to be tried against: `serve FOLDER [v1]`.
#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "for a person, in real time")]

use plimsoll_fleetsim::engine::{EngineClock, NodeView};
use plimsoll_fleetsim::{Cgroup, FakeEngine, Fleet, FleetConfig};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

const HOUR_MS: i64 = 3_600_000;

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = std::path::PathBuf::from(arguments.next().ok_or("which folder?")?);
    let mut config = FleetConfig::demo().around(now_ms(), HOUR_MS, 24 * HOUR_MS);
    if arguments.next().as_deref() == Some("v1") {
        config.cgroup = Cgroup::V1;
    }
    let fleet = Arc::new(Fleet::new(config)?);
    let clock: EngineClock = Arc::new(now_ms);
    let mut engines = Vec::new();
    for node in 0..fleet.nodes().len() {
        let path = folder.join(format!("node-{node}.sock"));
        let view = NodeView { fleet: Arc::clone(&fleet), node };
        engines.push(FakeEngine::serve(&path, view, Arc::clone(&clock))?);
        println!("{}", path.display());
    }
    std::future::pending::<()>().await;
    drop(engines);
    Ok(())
}
