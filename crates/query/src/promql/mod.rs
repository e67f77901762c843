//! The PromQL language over float samples.
//!
//! A query goes through four steps: [`parse()`] reads it, the planner says which series and times
//! it needs, one [`SeriesSource::select`] call fetches them all, and the evaluator computes every
//! step of every expression at once. Results, warnings and infos follow Prometheus 3.
//!
//! Holds LIMIT: memory and time are bounded by [`Limits`], whatever is asked.
//! Not here: JSON and HTTP (`serve`), where series come from (`store`).

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "PromQL is arithmetic on 64-bit floats; times and counts are far below 2^53"
)]
#![expect(
    clippy::float_cmp,
    reason = "PromQL's comparisons are exact, as are the rules it has for zero and equal values"
)]

mod annotations;
pub mod ast;
mod engine;
mod error;
mod eval;
pub mod functions;
mod labels;
mod matcher;
mod memory;
pub mod operators;
pub mod parse;
mod plan;
mod print;
mod source;
pub mod testlang;
pub mod text;
mod token;
mod value;
mod xxh64;

pub use annotations::{Note, NoteLevel};
pub use engine::{Engine, EngineOptions, Interrupt, Limits, RangeTimes, Stop};
pub use error::QueryError;
pub use labels::{BUCKET, Labels, METRIC_NAME, Pair};
pub use matcher::{MatchOp, Matcher};
pub use memory::MemorySource;
pub use parse::{ParseError, ParseFault, Query, parse, parse_selector};
pub use source::{Hints, Selection, Series, SeriesSource, SourceError};
pub use token::parse_duration_ms;
pub use value::{Answer, InstantSample, Stats, Value};

/// The value that ends a series: a scrape that no longer found it. It is a NaN with these bits,
/// which no arithmetic produces.
pub const STALE_BITS: u64 = 0x7ff0_0000_0000_0002;

/// Whether a sample says that its series ended.
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_BITS
}
