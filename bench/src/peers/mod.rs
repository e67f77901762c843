//! Plimsoll beside Prometheus, `VictoriaMetrics`, `ClickHouse` and `DuckDB`: the same made-up
//! rows, the same questions, one table, in one run.
//!
//! All data is made into files first ([`dataset`]), so that making it is not measured. Systems
//! are fed and asked in turn ([`run`]); what they cost is the CPU time of their whole process
//! ([`process`]). What was promised is in `bench/budgets.toml` ([`budget`]).

pub mod answer;
pub mod budget;
pub mod columns;
pub mod dataset;
pub mod frames;
pub mod get;
pub mod http;
pub mod lines;
pub mod metric;
pub mod physical;
pub mod process;
pub mod question;
pub mod recorded;
pub mod recording;
pub mod remote_write;
pub mod requests;
pub mod rows;
pub mod run;
pub mod server;
pub mod sql;
pub mod system;
pub mod table;

#[cfg(test)]
mod tests;
