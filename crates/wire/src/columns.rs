//! Turns the buffers of an Arrow IPC record batch into arrays of the four types tables use.
//!
//! Arrays refer to the body's one buffer: nothing is copied.
//!
//! Keeps true: lengths, null counts, alignment, text offsets, UTF-8 and dictionary keys are checked
//! before an array exists, so that reading it later cannot fail.
//! Not here: messages and schemas (`body`).

use std::mem::size_of;
use std::sync::Arc;

use arrow_array::types::{
    ArrowPrimitiveType, Float64Type, Int32Type, Int64Type, TimestampMillisecondType,
};
use arrow_array::{ArrayRef, DictionaryArray, PrimitiveArray, StringArray};
use arrow_buffer::{
    ArrowNativeType, BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer,
};
use arrow_ipc::{FieldNode, RecordBatch};

use crate::FrameError;
use crate::body::Dictionaries;

/// How the values of a column are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Values {
    /// Unix milliseconds UTC.
    Time,
    /// 64-bit integers.
    Int,
    /// 64-bit floats.
    Float,
    /// 32-bit keys into the dictionary with this id.
    Text {
        /// The dictionary's id in this schema.
        dictionary: i64,
    },
}

/// Reads the columns of one record batch in order.
pub(crate) struct Columns<'a> {
    nodes: std::vec::IntoIter<FieldNode>,
    buffers: std::vec::IntoIter<arrow_ipc::Buffer>,
    data: &'a Buffer,
    rows: usize,
}

impl<'a> Columns<'a> {
    /// The columns of `batch`, whose buffers lie in `data`; each must have `rows` rows.
    pub(crate) fn new(
        batch: RecordBatch<'_>,
        data: &'a Buffer,
        rows: usize,
    ) -> Result<Self, FrameError> {
        let extras = batch.variadicBufferCounts().is_some_and(|counts| !counts.is_empty());
        if batch.compression().is_some() || extras {
            return Err(FrameError::Body { what: "rows are compressed or of view types" });
        }
        if usize::try_from(batch.length()).ok() != Some(rows) {
            return Err(FrameError::Body { what: "it has another number of rows than declared" });
        }
        let cut = FrameError::Body { what: "rows have no buffers" };
        let (Some(nodes), Some(buffers)) = (batch.nodes(), batch.buffers()) else {
            return Err(cut);
        };
        let nodes: Vec<FieldNode> = nodes.iter().copied().collect();
        let buffers: Vec<arrow_ipc::Buffer> = buffers.iter().copied().collect();
        Ok(Self { nodes: nodes.into_iter(), buffers: buffers.into_iter(), data, rows })
    }

    /// Reads the next column.
    pub(crate) fn column(
        &mut self,
        values: Values,
        dictionaries: &Dictionaries,
    ) -> Result<ArrayRef, FrameError> {
        Ok(match values {
            Values::Time => {
                Arc::new(self.numbers::<TimestampMillisecondType>()?.with_timezone("UTC"))
            }
            Values::Int => Arc::new(self.numbers::<Int64Type>()?),
            Values::Float => Arc::new(self.numbers::<Float64Type>()?),
            Values::Text { dictionary } => {
                let keys = self.numbers::<Int32Type>()?;
                let texts = dictionaries
                    .find(dictionary)
                    .unwrap_or_else(|| Arc::new(StringArray::new_null(0)));
                Arc::new(DictionaryArray::<Int32Type>::try_new(keys, texts)?)
            }
        })
    }

    /// Reads the next column as plain texts without nulls: the values of a dictionary.
    pub(crate) fn texts(&mut self) -> Result<StringArray, FrameError> {
        let nulls = self.nulls()?;
        if nulls.is_some() {
            return Err(FrameError::Body { what: "a dictionary holds a null" });
        }
        let offsets = self.buffer()?;
        let bytes = self.buffer()?;
        if self.rows == 0 {
            return Ok(StringArray::new_null(0));
        }
        let offsets: ScalarBuffer<i32> = scalars(offsets, self.rows.saturating_add(1))?;
        let first_is_sane = offsets.first().is_some_and(|first| *first >= 0);
        let rising = offsets.windows(2).all(|pair| pair.first() <= pair.last());
        if !first_is_sane || !rising {
            return Err(FrameError::Body { what: "a dictionary has falling offsets" });
        }
        Ok(StringArray::try_new(OffsetBuffer::new(offsets), bytes, None)?)
    }

    /// Checks that no column is left.
    pub(crate) fn end(mut self) -> Result<(), FrameError> {
        if self.nodes.next().is_some() || self.buffers.next().is_some() {
            return Err(FrameError::Body { what: "rows have more buffers than columns need" });
        }
        Ok(())
    }

    fn numbers<T: ArrowPrimitiveType>(&mut self) -> Result<PrimitiveArray<T>, FrameError> {
        let nulls = self.nulls()?;
        let values = scalars(self.buffer()?, self.rows)?;
        Ok(PrimitiveArray::try_new(values, nulls)?)
    }

    fn nulls(&mut self) -> Result<Option<NullBuffer>, FrameError> {
        let node = self.nodes.next().ok_or(MISSING)?;
        if usize::try_from(node.length()).ok() != Some(self.rows) {
            return Err(FrameError::Body { what: "a column has another number of rows" });
        }
        let bits = self.buffer()?;
        if node.null_count() == 0 {
            return Ok(None);
        }
        if bits.len() < self.rows.div_ceil(8) {
            return Err(FrameError::Body { what: "a column's null bits are cut" });
        }
        let nulls = NullBuffer::new(BooleanBuffer::new(bits, 0, self.rows));
        if i64::try_from(nulls.null_count()).ok() != Some(node.null_count()) {
            return Err(FrameError::Body { what: "a column has another number of nulls" });
        }
        Ok(Some(nulls))
    }

    fn buffer(&mut self) -> Result<Buffer, FrameError> {
        let buffer = self.buffers.next().ok_or(MISSING)?;
        let range =
            usize::try_from(buffer.offset()).ok().zip(usize::try_from(buffer.length()).ok());
        let outside = FrameError::Body { what: "a buffer lies outside the body" };
        let (offset, length) = range
            .filter(|(offset, length)| {
                offset.checked_add(*length).is_some_and(|end| end <= self.data.len())
            })
            .ok_or(outside)?;
        Ok(self.data.slice_with_length(offset, length))
    }
}

const MISSING: FrameError = FrameError::Body { what: "rows have fewer buffers than columns need" };

fn scalars<T: ArrowNativeType>(
    buffer: Buffer,
    count: usize,
) -> Result<ScalarBuffer<T>, FrameError> {
    let needed = count.saturating_mul(size_of::<T>());
    if buffer.len() < needed {
        return Err(FrameError::Body { what: "a column's values are cut" });
    }
    if count == 0 {
        return Ok(ScalarBuffer::from(Vec::<T>::new()));
    }
    if buffer.as_ptr().align_offset(align_of::<T>()) != 0 {
        return Err(FrameError::Body { what: "a buffer is not aligned" });
    }
    Ok(ScalarBuffer::new(buffer, 0, count))
}
