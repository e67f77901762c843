//! The routes and the life of the server: from a bound listener to the last answer.
//!
//! Not here: what routes do (their modules), layers around them (`layers`).

use std::future::Future;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, post};
use tokio::net::TcpListener;

use crate::state::Server;
use crate::{
    frames, health, history, inventory, layers, metrics, openapi, page, prometheus, retention,
    status, ui,
};

/// Paths the server answers, for counting: anything else counts as `other`.
pub(crate) const ROUTES: &[&str] = &[
    "/",
    "/-/healthy",
    "/-/ready",
    "/api/v1/alerts",
    "/api/v1/format_query",
    "/api/v1/frames",
    "/api/v1/history",
    "/api/v1/inventory",
    "/api/v1/label/{name}/values",
    "/api/v1/labels",
    "/api/v1/metadata",
    "/api/v1/query",
    "/api/v1/query_exemplars",
    "/api/v1/query_range",
    "/api/v1/read",
    "/api/v1/retention",
    "/api/v1/rules",
    "/api/v1/series",
    "/api/v1/status",
    "/api/v1/status/buildinfo",
    "/api/v1/status/config",
    "/api/v1/status/flags",
    "/api/v1/status/runtimeinfo",
    "/api/v1/status/tsdb",
    "/api/v1/targets",
    "/assets/{*path}",
    "/container",
    "/explore",
    "/federate",
    "/healthz",
    "/icon.svg",
    "/metrics",
    "/node",
    "/openapi.json",
    "/page.css",
    "/plain",
    "/readyz",
    "/service",
    "/status",
];

impl Server {
    /// The service, with all its layers.
    pub fn router(&self) -> Router {
        let router = Router::new()
            .merge(ui::routes())
            .route("/plain", get(page::page))
            .route("/page.css", get(page::css))
            .route("/api/v1/frames", post(frames::frames))
            .route("/api/v1/history", get(history::history))
            .route("/api/v1/inventory", get(inventory::inventory))
            .route("/api/v1/retention", get(retention::retention))
            .route("/api/v1/series", delete(retention::delete))
            .route("/api/v1/status", get(status::status))
            .route("/healthz", get(health::healthz))
            .route("/readyz", get(health::readyz))
            .route("/metrics", get(metrics::metrics))
            .route("/openapi.json", get(openapi::openapi))
            .merge(prometheus::routes())
            .fallback(layers::no_such_path)
            .method_not_allowed_fallback(layers::no_such_method)
            .layer(DefaultBodyLimit::max(self.parts.limits.body_bytes_max))
            .with_state(self.clone());
        layers::around(router, self)
    }

    /// Serves connections until `end` is done, then lets requests in progress finish for at most
    /// the shutdown timeout.
    ///
    /// # Errors
    ///
    /// The operating system's error when the listener breaks.
    pub async fn run(
        &self,
        listener: TcpListener,
        end: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        let (told, mut ending) = tokio::sync::watch::channel(false);
        let requests = self.requests.clone();
        let end = async move {
            end.await;
            requests.end();
            let _ = told.send(true);
        };
        let serving = axum::serve(listener, self.router()).with_graceful_shutdown(end);
        let timeout = self.parts.limits.shutdown_timeout;
        let late = async move {
            // A dropped sender means that serving is over, which the other branch reports.
            if ending.wait_for(|ending| *ending).await.is_err() {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(timeout).await;
        };
        tokio::select! {
            result = serving => result,
            () = late => {
                tracing::warn!(timeout_ms = timeout.as_millis(), "requests in progress were cut");
                Ok(())
            }
        }
    }
}
