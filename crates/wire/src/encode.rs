//! Turns a batch into a frame.
//!
//! Not here: the layout of the fixed part (`header`), reading (`decode`).

use std::cell::RefCell;
use std::fmt;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use arrow_ipc::MetadataVersion;
use arrow_ipc::writer::{
    DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions, write_message,
};
use arrow_schema::DataType;
use plimsoll_model::Batch;
use zstd::bulk::Compressor;

use crate::header::{self, wide};
use crate::{FrameError, FrameId, FrameLimits};

/// zstd level of frames: agents pay for it on every batch, so it is the lightest one.
const ZSTD_LEVEL: i32 = 1;
/// Buffers in a body start at multiples of this, so that a reader need not copy them.
const BUFFER_ALIGN_BYTES: usize = 8;
/// The end of an Arrow IPC stream.
const END_OF_STREAM: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

/// Makes frames; keeps the compressor and the buffers between frames.
pub struct FrameEncoder {
    limits: FrameLimits,
    compressor: Compressor<'static>,
    options: IpcWriteOptions,
    generator: IpcDataGenerator,
    context: IpcWriteContext,
    body: Vec<u8>,
}

impl fmt::Debug for FrameEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameEncoder").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl FrameEncoder {
    /// An encoder whose frames stay within `limits`.
    ///
    /// # Errors
    ///
    /// [`FrameError::Compress`] when the machine has no memory for a compressor.
    pub fn new(limits: FrameLimits) -> Result<Self, FrameError> {
        Ok(Self {
            limits,
            compressor: Compressor::new(ZSTD_LEVEL)
                .map_err(|source| FrameError::Compress { source })?,
            options: IpcWriteOptions::try_new(BUFFER_ALIGN_BYTES, false, MetadataVersion::V5)?,
            generator: IpcDataGenerator::default(),
            context: IpcWriteContext::default(),
            body: Vec::new(),
        })
    }

    /// Makes the frame of one batch.
    ///
    /// # Errors
    ///
    /// [`FrameError::Limit`] when the batch is too large for one frame; then split it.
    pub fn encode(&mut self, batch: &Batch, id: FrameId) -> Result<Vec<u8>, FrameError> {
        let rows = u32::try_from(batch.num_rows()).unwrap_or(u32::MAX);
        self.limits.check_rows(rows)?;
        self.write_body(batch.rows())?;
        self.limits.check_body(self.body.len())?;
        let body_bytes = u32::try_from(self.body.len()).map_err(|_| FrameError::Limit {
            what: "bytes of body",
            found: wide(self.body.len()),
            max: u64::from(u32::MAX),
        })?;
        let name = batch.table().name();
        let bound = zstd::zstd_safe::compress_bound(self.body.len());
        let mut out = Vec::with_capacity(
            bound.saturating_add(header::FIXED_BYTES).saturating_add(name.len()).saturating_add(8),
        );
        header::open(&mut out, name, rows, id, body_bytes)?;
        let packed = self
            .compressor
            .compress(&self.body)
            .map_err(|source| FrameError::Compress { source })?;
        out.extend_from_slice(&packed);
        header::close(&mut out, &self.limits)?;
        out.shrink_to_fit();
        Ok(out)
    }

    fn write_body(&mut self, rows: &RecordBatch) -> Result<(), FrameError> {
        for column in rows.columns() {
            check_text(column.as_ref())?;
        }
        self.body.clear();
        let mut tracker = DictionaryTracker::new(false);
        let schema = self.generator.schema_to_bytes_with_dictionary_tracker(
            rows.schema_ref(),
            &mut tracker,
            &self.options,
        );
        write_message(&mut self.body, schema, &self.options)?;
        let (dictionaries, batch) =
            self.generator.encode(rows, &mut tracker, &self.options, &mut self.context)?;
        for dictionary in dictionaries {
            write_message(&mut self.body, dictionary, &self.options)?;
        }
        write_message(&mut self.body, batch, &self.options)?;
        self.body.extend_from_slice(&END_OF_STREAM);
        Ok(())
    }
}

// A null inside a dictionary would be a second way to say null; readers know one.
fn check_text(column: &dyn Array) -> Result<(), FrameError> {
    if !matches!(column.data_type(), DataType::Dictionary(_, _)) {
        return Ok(());
    }
    match column.as_any_dictionary_opt() {
        Some(dictionary) if dictionary.values().null_count() > 0 => {
            Err(FrameError::Body { what: "a dictionary holds a null" })
        }
        _ => Ok(()),
    }
}

thread_local! {
    static ENCODER: RefCell<Option<FrameEncoder>> = const { RefCell::new(None) };
}

/// Makes the frame of one batch within the default limits, with an encoder kept per thread.
///
/// # Errors
///
/// As [`FrameEncoder::encode`].
pub fn encode(batch: &Batch, id: FrameId) -> Result<Vec<u8>, FrameError> {
    ENCODER.with_borrow_mut(|slot| match slot {
        Some(encoder) => encoder.encode(batch, id),
        None => slot.insert(FrameEncoder::new(FrameLimits::default())?).encode(batch, id),
    })
}
