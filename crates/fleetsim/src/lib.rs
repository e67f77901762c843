//! A made-up container fleet that knows the truth about itself.
//!
//! A [`Fleet`] is a pure function of its [`FleetConfig`]: nodes, stacks, services, replica slots,
//! and the whole life of every container (starts, restarts, OOM kills, crashes, deploys, scaling)
//! are drawn from one seed. From it come three views that agree with each other:
//!
//! - [`Fleet::ticks`]: what every container used, as plain columns, at the speed of a benchmark;
//! - [`FakeEngine`]: a Docker Engine API on a Unix socket that tells the same story;
//! - [`Truth`]: the right answers, evaluated naively over those same rows.
//!
//! Keeps true: the same configuration gives the same bytes; a counter only falls when its
//! container started again, and then `started_at_ms` is new.
//!
//! Not here: anything the product is made of. This crate shares no code with what it tests.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "made-up values stay far below 2^53 and only have to be repeatable"
)]

mod config;
pub mod engine;
mod event;
mod fleet;
mod life;
mod names;
mod node;
mod profile;
mod rng;
mod rows;
mod service;
mod ticks;
mod truth;
mod usage;

pub use config::{
    Cgroup, Churn, ClockNoise, ConfigError, FleetConfig, Layout, Orchestrator, ServiceConfig,
    ServiceKind,
};
pub use engine::FakeEngine;
pub use event::{Event, EventKind, Subject};
pub use fleet::Fleet;
pub use life::{Container, DeathCause, Run};
pub use node::Node;
pub use rows::{
    BLKIO_METRICS, CONTAINER_METRICS, NETWORK_METRICS, NODE_METRICS, NodeRow, Rows, TickRows,
    is_counter,
};
pub use service::{Desired, Service, Version};
pub use ticks::Ticks;
pub use truth::{Death, GaugeTruth, Scope, Truth};
