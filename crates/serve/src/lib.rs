//! Speaks HTTP: routes, limits, error class to status, the `OpenAPI` document.
//!
//! [`Server`] holds what the routes need; [`Server::router`] makes the service and
//! [`Server::run`] serves it until it is told to end.
//!
//! Holds LIMIT (requests in progress, bodies, questions and their time are bounded) and GUARD
//! (nothing here reaches an engine). Nothing here computes numbers: `ingest`, `query` and
//! `store` do.
//! Not here: authentication, the files of the web page (`plimsoll_ui`).

mod ask;
mod error;
mod format;
mod frames;
mod health;
mod history;
mod inventory;
mod layers;
mod metrics;
mod openapi;
mod page;
mod parameters;
mod prometheus;
mod retention;
mod run;
mod state;
mod status;
mod ui;

pub use openapi::openapi_json;
pub use state::{CollectorProbe, CollectorStatus, ServeLimits, Server, ServerParts};
