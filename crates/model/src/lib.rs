//! The nouns of Plimsoll: metric registry, tables, batches, subjects, filters, time, error classes.
//!
//! Every crate speaks in these types; none of them does IO.
//!
//! Holds NAME (a metric never changes meaning, kind or unit: `registry::lock`) and
//! NULL (a value that was not reported is null, never 0).
//! Not here: how bytes look on the wire (`wire`) or on disk (`store`).

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

pub mod batch;
pub mod class;
pub mod filter;
pub mod invariant;
pub mod registry;
pub mod subject;
pub mod time;

pub use batch::{Batch, BatchBuilder, BatchError};
pub use class::{ErrorClass, chain};
pub use filter::{Filter, Matcher, MatcherError};
pub use registry::{Column, ColumnType, Kind, Metric, Registry, Table};
pub use subject::{Dimension, Subject};
pub use time::{Clock, SystemClock, TimeRange};
