//! A Docker Engine API that tells the story of one node of a fleet.
//!
//! [`FakeEngine::serve`] answers the read-only part of the API on a Unix socket, in the shape of
//! an Engine 20.10 (version 1 control groups) or 26.1 (version 2), with their quirks. It records
//! every request and can be told to misbehave ([`Faults`]).
//!
//! Keeps true: at a tick of the node, a stats answer holds the very values of that tick's row.
//!
//! Not here: what is told (the rest of this crate). Nothing here writes: all but GET is refused.

mod containers;
mod events;
mod faults;
mod moment;
mod request;
mod route;
mod server;
mod stats;
mod swarm;
mod system;
mod time;

pub use faults::Faults;
pub use request::RecordedRequest;

use crate::fleet::Fleet;
use crate::ticks::NodeCursor;
use moment::Core;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::UnixListener;
use tokio::task::JoinHandle;

/// Tells true time in Unix milliseconds. Each node adds its own clock offset.
pub type EngineClock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The node whose engine is played.
#[derive(Debug, Clone)]
pub struct NodeView {
    /// The whole fleet.
    pub fleet: Arc<Fleet>,
    /// Position of the node in [`Fleet::nodes`].
    pub node: usize,
}

/// Why an engine cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The fleet has no such node.
    #[error("fleet has no node {node}, only {nodes}")]
    NoNode {
        /// What was asked for.
        node: usize,
        /// How many there are.
        nodes: usize,
    },
    /// The socket cannot be made.
    #[error("cannot listen on {path}")]
    Listen {
        /// Path of the socket.
        path: std::path::PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
}

/// A served fake engine. Dropping it stops the server and its connections.
#[derive(Debug)]
pub struct FakeEngine {
    core: Arc<Core>,
    server: JoinHandle<()>,
}

impl FakeEngine {
    /// Serves the engine of a node on a Unix socket. Call it inside a tokio runtime.
    ///
    /// A socket left at `path` by an earlier process is replaced.
    ///
    /// # Errors
    ///
    /// [`ServeError`] when there is no such node or the socket cannot be made.
    pub fn serve(path: &Path, view: NodeView, clock: EngineClock) -> Result<Self, ServeError> {
        let nodes = view.fleet.nodes().len();
        if view.node >= nodes {
            return Err(ServeError::NoNode { node: view.node, nodes });
        }
        let listen = |source| ServeError::Listen { path: path.to_owned(), source };
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(listen(error));
            }
            _ => {}
        }
        let listener = UnixListener::bind(path).map_err(listen)?;
        let cursor = NodeCursor::new(&view.fleet, view.node);
        let core = Arc::new(Core::new(view, clock, cursor));
        let server = tokio::spawn(server::run(listener, Arc::clone(&core)));
        Ok(Self { core, server })
    }

    /// All requests so far, oldest first; beyond 100,000 the newest are dropped.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        locked(&self.core.requests).clone()
    }

    /// Forgets the requests so far.
    pub fn forget_requests(&self) {
        locked(&self.core.requests).clear();
    }

    /// The switches that make it misbehave.
    pub fn faults(&self) -> &Faults {
        &self.core.faults
    }
}

impl Drop for FakeEngine {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Locks whatever a panicked holder may have left; nothing here is left half done.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
