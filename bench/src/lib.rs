//! What benchmarks share: made-up frames, what a process cost, and results as files.

pub mod cost;
pub mod crash;
pub mod frames;
pub mod ingest;
pub mod limit;
pub mod peers;
pub mod result;
pub mod scenario;
