//! Takes connections and hands their requests to `route`.
//!
//! Keeps true: connections end when the server does.

use super::faults::LOOK_EVERY;
use super::moment::Core;
use super::route;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use tokio::net::UnixListener;
use tokio::task::JoinSet;

/// Serves until it is aborted.
pub(super) async fn run(listener: UnixListener, core: Arc<Core>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else {
                    // Out of file handles, or a client that left at once: look again shortly.
                    tokio::time::sleep(LOOK_EVERY).await;
                    continue;
                };
                let core = Arc::clone(&core);
                connections.spawn(async move {
                    let service = service_fn(|request| route::answer(Arc::clone(&core), request));
                    let connection = http1::Builder::new();
                    // An error here is a client that went away.
                    let _ = connection.serve_connection(TokioIo::new(stream), service).await;
                });
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}
