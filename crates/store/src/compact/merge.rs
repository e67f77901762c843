//! Makes one segment of several.
//!
//! Memory: times of one batch of series, one column of it, and its encoded row group; a batch is
//! about [`BATCH_VALUES`] values or one series.

use std::path::Path;
use std::sync::Arc;

use plimsoll_model::{Table, TimeRange};

use super::gather::Rows;
use super::order::MergeOrder;
use super::trial::{TRIAL_ROWS, trial_of};
use crate::scan::SeriesKey;
use crate::segment::{EncodingPlan, Resolution, Segment, SegmentError, SegmentMeta, SegmentWriter};

/// Values of a row group of a merged segment, unless one series has more.
const BATCH_VALUES: u64 = 8_000_000;
/// Rows a segment must have for a trial of encodings to be worth its time.
const TRIAL_WORTH_ROWS: u64 = 8 * TRIAL_ROWS;
/// Rows of a page of a segment of a closed day: zstd finds what repeats from series to series only
/// inside a page, and a page is what a reader of one series decodes at least.
const FINAL_PAGE_ROWS: usize = 65_536;
/// zstd level of segments of closed days.
const FINAL_LEVEL: i32 = 9;
/// zstd level of segments that will be merged again.
const INTERIM_LEVEL: i32 = 1;

/// What to merge.
pub struct MergeJob<'a> {
    /// Table whose columns the inputs have: of rollups, the rollup's.
    pub table: &'static Table,
    /// Resolution.
    pub resolution: Resolution,
    /// Earliest arrival first.
    pub inputs: &'a [Arc<Segment>],
    /// Which rows of a series in an input, by index, are left out, of those in a range.
    pub hidden: &'a dyn Fn(usize, &SeriesKey, TimeRange) -> Vec<TimeRange>,
    /// Whether the day is closed.
    pub is_final: bool,
    /// zstd level of raw rows when the day is closed.
    pub zstd_level: i32,
    /// Called between batches: waits as long as others need the machine, `false` ends the merge.
    pub pace: &'a dyn Fn(u64) -> bool,
}

/// What became of a merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merged {
    /// A new segment file, not synced.
    Written(Box<SegmentMeta>),
    /// No row was left; there is no file.
    Empty,
    /// `pace` ended it; the file may be there half written.
    Stopped,
}

/// Merges segments into a new file at `path`.
///
/// # Errors
///
/// [`SegmentError`] when an input cannot be read or the file cannot be written; the file may be
/// left behind half written.
pub fn merge(job: &MergeJob<'_>, path: &Path) -> Result<Merged, SegmentError> {
    let order = MergeOrder::new(job.inputs)?;
    let plan = plan(job, &order, path)?;
    let mut writer: Option<SegmentWriter> = None;
    for batch in order.batches(batch_rows(job.table)) {
        let rows = Rows::new(&order, batch, job.hidden)?;
        if rows.times_ms.is_empty() {
            continue;
        }
        if writer.is_none() {
            writer = Some(SegmentWriter::create(job.table, job.resolution, &plan, path)?);
        }
        if let Some(writer) = &mut writer {
            writer.group(&rows.spans, &rows.times_ms, |metric| rows.metric(metric))?;
            if !(job.pace)(writer.rows()) {
                return Ok(Merged::Stopped);
            }
        }
    }
    match writer {
        Some(writer) => Ok(Merged::Written(Box::new(writer.finish()?))),
        None => Ok(Merged::Empty),
    }
}

fn batch_rows(table: &Table) -> u64 {
    let columns = u64::try_from(table.columns().len()).unwrap_or(u64::MAX).max(1);
    BATCH_VALUES.checked_div(columns).unwrap_or(1)
}

fn plan(
    job: &MergeJob<'_>,
    order: &MergeOrder<'_>,
    path: &Path,
) -> Result<EncodingPlan, SegmentError> {
    if job.resolution != Resolution::Raw {
        return Ok(EncodingPlan::rollup(job.table));
    }
    let mut base = EncodingPlan::flush(job.table);
    if !job.is_final {
        base.zstd_level = INTERIM_LEVEL;
        return Ok(base);
    }
    base.zstd_level = job.zstd_level.clamp(1, 19);
    base.page_rows = FINAL_PAGE_ROWS;
    if order.rows() < TRIAL_WORTH_ROWS {
        return Ok(base);
    }
    trial_of(order, job.table, &base, path)
}

impl MergeJob<'_> {
    /// The zstd level used for closed days unless configured.
    pub const ZSTD_LEVEL: i32 = FINAL_LEVEL;
}
