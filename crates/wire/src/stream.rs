//! Plain Arrow IPC streams, for readers that are not Plimsoll.
//!
//! Not here: frames.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::Schema;

use crate::FrameError;

/// Writes batches of one schema as an uncompressed Arrow IPC stream.
///
/// No batch makes a stream with an empty schema.
///
/// # Errors
///
/// [`FrameError::Body`] when the batches have different schemas.
pub fn arrow_stream(batches: &[RecordBatch]) -> Result<Vec<u8>, FrameError> {
    let schema = batches.first().map_or_else(|| Arc::new(Schema::empty()), RecordBatch::schema);
    let mut writer = StreamWriter::try_new(Vec::new(), &schema)?;
    for batch in batches {
        if batch.schema_ref() != &schema {
            return Err(FrameError::Body { what: "batches have different schemas" });
        }
        writer.write(batch)?;
    }
    writer.finish()?;
    Ok(writer.into_inner()?)
}
