//! Makes one frame of many: the rows of several ticks, sorted so that what belongs together
//! stands together, which is what makes them small.
//!
//! Not here: which frames are merged (`spool`).

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::builder::StringDictionaryBuilder;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, RecordBatch, new_null_array};
use arrow_schema::{ArrowError, DataType, Schema};
use bytes::Bytes;
use plimsoll_model::batch::{RowSubjects, TextColumn};
use plimsoll_model::{Batch, BatchError, Dimension, Table, chain};
use plimsoll_wire::FrameId;

use crate::ship::queue::Waiting;

/// The order of a subject's parts when subjects are compared.
const ORDER: [Dimension; 8] = [
    Dimension::Service,
    Dimension::ContainerId,
    Dimension::Cluster,
    Dimension::Node,
    Dimension::Stack,
    Dimension::Slot,
    Dimension::Container,
    Dimension::Image,
];

/// Why batches cannot be made one.
#[derive(Debug, thiserror::Error)]
pub(super) enum MergeError {
    #[error("columns of two batches do not fit together")]
    Columns { source: ArrowError },
    #[error("merged columns are no batch")]
    Batch { source: BatchError },
}

/// Makes as few frames as possible of many, each under a new identity from `next_id`, in the
/// order of their tables' first frames. Frames that cannot be read are left out: second part.
pub(in crate::ship) fn merged(
    all: &[Waiting],
    next_id: &mut dyn FnMut() -> FrameId,
) -> (Vec<Waiting>, Vec<Waiting>) {
    let mut tables: BTreeMap<usize, (&'static Table, Vec<Batch>)> = BTreeMap::new();
    let mut lost = Vec::new();
    for waiting in all {
        match plimsoll_wire::decode(&waiting.frame) {
            Ok((header, batch)) => {
                let entry = tables.entry(header.table.index());
                entry.or_insert_with(|| (header.table, Vec::new())).1.push(batch);
            }
            Err(error) => {
                tracing::error!(error = %chain(&error), "spooled frame could not be read");
                lost.push(waiting.clone());
            }
        }
    }
    let mut frames = Vec::new();
    for (table, batches) in tables.into_values() {
        let whole = merge(table, &batches);
        match whole.map(|batch| framed(&batch, next_id)) {
            Ok(Some(frame)) => frames.push(frame),
            // Too large for one frame, or of columns that do not fit: each on its own.
            _ => frames.extend(batches.iter().filter_map(|batch| framed(batch, next_id))),
        }
    }
    (frames, lost)
}

/// The frame of a batch; `None` where it does not fit into one.
pub(in crate::ship) fn framed(
    batch: &Batch,
    next_id: &mut dyn FnMut() -> FrameId,
) -> Option<Waiting> {
    let frame = match plimsoll_wire::encode(batch, next_id()) {
        Ok(frame) => Bytes::from(frame),
        Err(error) => {
            tracing::error!(error = %chain(&error), "batch was not encoded");
            return None;
        }
    };
    let times = batch.times_ms().iter().copied();
    Some(Waiting {
        frame,
        rows: u64::try_from(batch.num_rows()).unwrap_or(u64::MAX),
        from_ms: times.clone().min().unwrap_or_default(),
        to_ms: times.max().unwrap_or_default(),
    })
}

/// All rows of some batches of one table as one, sorted by (subject, keys, time).
pub(super) fn merge(table: &'static Table, batches: &[Batch]) -> Result<Batch, MergeError> {
    let order = order(table, batches);
    let mut fields = Vec::new();
    let mut arrays: Vec<ArrayRef> = Vec::new();
    for index in 0..table.columns().len() {
        if batches.iter().all(|batch| batch.column(index).is_none()) {
            continue;
        }
        let field = table.schema().field(index);
        let array = if matches!(field.data_type(), DataType::Dictionary(_, _)) {
            texts(batches, index, &order)
        } else {
            numbers(batches, index, field.data_type(), &order)
                .map_err(|source| MergeError::Columns { source })?
        };
        fields.push(field.clone());
        arrays.push(array);
    }
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
        .map_err(|source| MergeError::Columns { source })?;
    Batch::try_new(table, rows).map_err(|source| MergeError::Batch { source })
}

/// Batch and row of every row, in the order they are to stand.
fn order(table: &Table, batches: &[Batch]) -> Vec<(usize, usize)> {
    let subjects: Vec<RowSubjects<'_>> = batches.iter().map(Batch::subjects).collect();
    let times: Vec<&[i64]> = batches.iter().map(Batch::times_ms).collect();
    let keys = table.keys().len();
    let compare = |left: &(usize, usize), right: &(usize, usize)| {
        let (one, other) = (&subjects[left.0], &subjects[right.0]);
        let dimensions = ORDER.iter().map(|dimension| {
            one.dimension(*dimension, left.1).cmp(other.dimension(*dimension, right.1))
        });
        let keys = (0..keys).map(|key| one.key(key, left.1).cmp(other.key(key, right.1)));
        let differs = dimensions.chain(keys).find(|order| *order != Ordering::Equal);
        differs.unwrap_or_else(|| times[left.0].get(left.1).cmp(&times[right.0].get(right.1)))
    };
    let positions = |(at, batch): (usize, &Batch)| {
        let rows = batch.num_rows();
        (0..rows).map(move |row| (at, row))
    };
    let mut order: Vec<_> = batches.iter().enumerate().flat_map(positions).collect();
    order.sort_by(compare);
    order
}

fn texts(batches: &[Batch], index: usize, order: &[(usize, usize)]) -> ArrayRef {
    let columns: Vec<_> = batches.iter().map(|batch| TextColumn::new(batch, Some(index))).collect();
    let mut builder = StringDictionaryBuilder::<Int32Type>::new();
    for (batch, row) in order {
        let value = columns[*batch].value(*row);
        builder.append_option(Some(value).filter(|value| !value.is_empty()));
    }
    Arc::new(builder.finish())
}

fn numbers(
    batches: &[Batch],
    index: usize,
    kind: &DataType,
    order: &[(usize, usize)],
) -> Result<ArrayRef, ArrowError> {
    let column = |batch: &Batch| {
        batch.column(index).cloned().unwrap_or_else(|| new_null_array(kind, batch.num_rows()))
    };
    let columns: Vec<ArrayRef> = batches.iter().map(column).collect();
    let columns: Vec<&dyn Array> = columns.iter().map(AsRef::as_ref).collect();
    arrow_select::interleave::interleave(&columns, order)
}
