//! End-to-end tests on a real Docker Engine, run by `cargo xtask test e2e`.

mod agent;
mod crash;
mod docs;
mod fleet;
mod outside;
mod page;
