//! Rows as one Parquet file in memory, for answers that leave the program.
//!
//! Not here: segments, which have a layout of their own (`segment`).

use arrow_array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use plimsoll_model::ErrorClass;

/// Why rows did not become a file.
#[derive(Debug, thiserror::Error)]
#[error("the rows cannot be written as Parquet")]
pub struct ExportError {
    #[from]
    source: ParquetError,
}

impl ExportError {
    /// Rows in memory that do not become a file are our fault.
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Bug
    }
}

/// Writes a batch, schema metadata included, as a Parquet file compressed with zstd.
///
/// # Errors
///
/// [`ExportError`] when a column has a type Parquet does not have.
pub fn parquet_file(rows: &RecordBatch) -> Result<Vec<u8>, ExportError> {
    let compression = Compression::ZSTD(ZstdLevel::default());
    let properties = WriterProperties::builder().set_compression(compression).build();
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, rows.schema(), Some(properties))?;
    writer.write(rows)?;
    writer.close()?;
    Ok(file)
}
