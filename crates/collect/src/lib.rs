//! Watches a Docker Engine and its machine, makes batches, and ships them as frames.
//!
//! Containers come from the engine (list, inspect, events); their numbers from control group
//! files where those are on this machine, else from the engine's statistics; the machine's own
//! from `/proc`. What was known last is kept on disk, for a start without an engine. [`Collector`]
//! is the doorway, [`Shipper`] sends what it makes to a server.
//!
//! Holds NULL (what was not reported is null), ALONE (an engine, container or server that hangs
//! delays its own data only) and LIMIT (queues have bounds; what is dropped is counted).
//! Not here: the bytes of frames (`wire`), keeping them (`store`).

mod backoff;
#[cfg(test)]
mod cases;
mod cgroup;
mod collector;
mod deaths;
mod engine;
mod fields;
mod folder;
mod identity;
mod known;
mod names;
mod proc;
mod reader;
mod redact;
mod rows;
mod sampler;
pub mod ship;
mod usage;

pub use collector::{
    CollectError, CollectOptions, CollectStatus, Collector, Gauges, INTERVAL_MAX, INTERVAL_MIN,
    SourceChoice,
};
pub use engine::EngineError;
pub use ship::{ShipError, ShipOptions, ShipStatus, Shipper};
