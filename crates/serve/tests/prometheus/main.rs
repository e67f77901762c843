//! The Prometheus API as its clients use it: envelopes and refusals, label endpoints, and the
//! queries of dashboards people have.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail by panicking")]

mod dashboards;
mod routes;
mod support;
