//! Fewer, larger, better encoded segments: what to do next, and doing it.
//!
//! [`choose`] looks at the list of segments and says what to do; it is pure. [`merge`] makes one
//! segment of many, series by series, with one column of one batch of series in memory. Both leave
//! the manifest to the engine: a result counts only when it is listed, so a stop at any step
//! changes nothing.
//!
//! Holds SORT, KEEP and LIMIT. Merging changes no answer but for rows that are hidden already.
//! Not here: building rollups (`rollup`), committing and installing results (`engine`).

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

mod choose;
mod gather;
mod merge;
mod order;
mod perform;
mod tiers;
mod trial;

pub use choose::{Choice, Policy, SEGMENTS_MAX, Survey, choose};
pub(crate) use gather::Rows;
pub use merge::{MergeJob, Merged, merge};
pub(crate) use order::MergeOrder;
pub use perform::{Edit, Outcome, Workshop, apply, is_possible, perform};
pub use trial::{TRIAL_ROWS, trial};

#[cfg(test)]
#[expect(
    clippy::arithmetic_side_effects,
    clippy::format_push_string,
    reason = "tests count small things"
)]
pub(crate) mod bed;
#[cfg(test)]
mod tests;
