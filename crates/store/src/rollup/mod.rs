//! Rows of windows at 5m and 1h: building, reading, and answering from them exactly.
//!
//! A rollup row holds what a bucket's samples of one series amount to, in the parts that
//! `plimsoll_window` merges. Rollups are made from the raw segments of a day; each knows which, so
//! that raw rows it does not know make its buckets stale there, and a reader takes raw rows for
//! those. [`windows`] answers a grid of steps from the coarsest source that is exact.
//!
//! Holds ROLL.
//! Not here: which columns there are (`plimsoll_model::registry`), when rollups are made
//! (`compact::choose`).

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

mod build;
mod cells;
mod coverage;
mod decode;
mod epochs;
mod fold;
mod kinds;
mod out;
mod plan;
mod state;
mod windows;

use plimsoll_model::TimeRange;

pub(crate) use build::complete_from_ms;
pub use build::{Built, RollupJob, build};
pub use coverage::{RawPart, RollupPart, TableView};
pub use plan::{Coverage, Part, Plan, plan};
pub use state::{StateValue, StateWindow};
pub use windows::{
    RollupError, SeriesWindows, StepWindows, Used, WindowsAnswer, WindowsRequest, windows,
};

use crate::manifest::SegmentEntry;
use crate::segment::Resolution;

/// Milliseconds of one hour.
pub const HOUR_MS: i64 = 3_600_000;
/// Milliseconds of five minutes.
pub const FIVE_MINUTES_MS: i64 = 300_000;

/// Length of a bucket; 0 for raw.
pub fn length_ms(resolution: Resolution) -> i64 {
    match resolution {
        Resolution::Raw => 0,
        Resolution::FiveMinutes => FIVE_MINUTES_MS,
        Resolution::Hour => HOUR_MS,
    }
}

/// Whether a rollup knows all raw rows of its buckets.
///
/// `raw`: the live raw segments of its table and day.
pub fn is_fresh(rollup: &SegmentEntry, raw: &[&SegmentEntry]) -> bool {
    let covered = TimeRange::new(rollup.lineage.from_ms, rollup.lineage.until_ms);
    raw.iter().all(|raw| {
        !raw.meta.time_range().overlaps(&covered) || rollup.lineage.made_from.contains(&raw.id)
    })
}

#[cfg(test)]
mod tests;
