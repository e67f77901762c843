//! What end-to-end tests share: a running server, a real engine, waiting for a state.
//!
//! Nothing here sleeps for a result: waits poll a condition and give up at a deadline.

pub mod cgroup;
pub mod engine;
pub mod paths;
pub mod server;
pub mod wait;

/// Whether two numbers differ by at most `percent` of the larger one.
pub fn within_percent(left: f64, right: f64, percent: f64) -> bool {
    (left - right).abs() <= left.abs().max(right.abs()) * percent / 100.0
}
