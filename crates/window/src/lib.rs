//! Owns the arithmetic of stretches of samples: how counters grow, how windows merge.
//!
//! A *window* is what a stretch of samples of one series amounts to. [`CounterWindow`] and
//! [`GaugeWindow`] merge: `merge(earlier, later)` is associative, the empty window is its
//! identity, and a stretch cut anywhere and merged again is the same window. So rollups, history
//! steps, PromQL's `*_over_time` and partial results of other machines are one type, and an
//! aggregate over rollups is what the raw rows alone would have given.
//!
//! Which part answers what:
//!
//! | question | answer |
//! | --- | --- |
//! | growth inside one stretch of a counter | [`CounterWindow::increase`] |
//! | growth of a counter per step of a query, nothing lost between steps | [`CounterStep`] |
//! | one window per step from sorted columns | [`fold_counter`], [`fold_gauge`], [`CounterFold`] |
//! | PromQL's extrapolated `rate`, `increase`, `delta` | [`CounterWindow::extrapolated_increase`] |
//! | a grid of half-open steps | [`Steps`] |
//! | quantiles over long ranges, within 1 % | [`Sketch`] |
//!
//! Holds GROW: growth of a counter is never negative; cutting a window loses none.
//! Carries ROLL: what a window answers does not depend on how its stretch was cut.
//!
//! Pure: no IO, no clock, no arrow. Its errors have no class of their own, because this crate
//! uses no other: a reader of stored parts or bytes reports them as corrupt.
//! Not here: reading and writing rows and rollups (`store`), labels and grouping (`query`).

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

mod column;
mod counter;
mod extrapolate;
mod fold;
mod gauge;
mod number;
mod parts;
mod sketch;
mod step;
mod steps;

pub use column::{Bits, ColumnError, CounterColumn, EPOCH_UNKNOWN, GaugeColumn};
pub use counter::{CounterSample, CounterWindow, Pair};
pub use fold::{CounterFold, GaugeFold, each_rate, fold_counter, fold_gauge};
pub use gauge::{GaugeSample, GaugeValue, GaugeWindow};
pub use parts::{CounterParts, GaugeParts, PartsError};
pub use sketch::{Sketch, SketchError};
pub use step::CounterStep;
pub use steps::{STEPS_MAX, Steps, StepsError};

/// Two consecutive samples further apart than this leave a gap, in milliseconds: five minutes.
///
/// Growth across a gap still counts (the counter did grow); the time of the gap counts as not
/// covered. The limit is a constant and not a setting because stored windows carry its result
/// for years: windows made under two limits would not merge to anything that can be stated.
pub const GAP_MAX_MS: i64 = 300_000;
