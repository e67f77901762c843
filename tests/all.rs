//! The one binary of all tests that span crates.

mod e2e;
mod tidy;
