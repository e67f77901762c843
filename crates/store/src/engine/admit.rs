//! Decides which rows of a frame are kept.
//!
//! The same frame received at the same moment is always judged the same, so that replay keeps
//! exactly what was kept when the frame came.
//! Not here: whether the frame was seen before (`manifest::marks`), durability (`wal`).

use std::ops::Range;

use arrow_array::BooleanArray;
use arrow_select::filter::filter_record_batch;
use bytes::Bytes;
use plimsoll_model::Batch;
use plimsoll_wire::{FrameError, FrameId};

use super::{Rejection, StoreOptions};
use crate::segment::Resolution;

/// A frame whose rows will be kept once it is durable.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) id: FrameId,
    pub(super) payload: Bytes,
    pub(super) received_ms: i64,
    pub(super) batch: Batch,
    pub(super) samples: u64,
    /// Rows left out because of their time.
    pub(super) rows_refused: u64,
}

/// Reads a frame and keeps the rows whose times are acceptable at `received_ms`.
pub(super) fn admit(
    options: &StoreOptions,
    payload: Bytes,
    received_ms: i64,
) -> Result<Admitted, Rejection> {
    let (header, batch) = plimsoll_wire::decode(&payload)?;
    let rows_before = batch.num_rows();
    let batch = in_time(batch, &accepted_times(options, received_ms))?;
    Ok(Admitted {
        id: header.id,
        payload,
        received_ms,
        samples: wide(batch.samples()),
        rows_refused: wide(rows_before.saturating_sub(batch.num_rows())),
        batch,
    })
}

fn accepted_times(options: &StoreOptions, received_ms: i64) -> Range<i64> {
    let future_ms = i64::try_from(options.future_max.as_millis()).unwrap_or(i64::MAX);
    let oldest = options.retention.start_ms(Resolution::Raw, received_ms);
    oldest..received_ms.saturating_add(future_ms).saturating_add(1)
}

fn in_time(batch: Batch, accepted: &Range<i64>) -> Result<Batch, Rejection> {
    let times_ms = batch.times_ms();
    if times_ms.iter().all(|time| accepted.contains(time)) {
        return Ok(batch);
    }
    let kept: BooleanArray = times_ms.iter().map(|time| Some(accepted.contains(time))).collect();
    if kept.true_count() == 0 {
        return Err(Rejection::Times {
            rows: wide(batch.num_rows()),
            oldest_ms: accepted.start,
            newest_ms: accepted.end.saturating_sub(1),
        });
    }
    let rows = filter_record_batch(batch.rows(), &kept).map_err(FrameError::from)?;
    Ok(Batch::try_new(batch.table(), rows)?)
}

pub(super) fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
