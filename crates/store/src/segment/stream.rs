//! Writes a segment row group by row group, column by column, with one column in memory.
//!
//! For whoever makes more rows than memory holds: merges and rollups. Every row group holds whole
//! series unless one series alone is larger.
//!
//! Not here: rows that stand ready (`segment::write`); syncing and renaming (`engine`).

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow_array::{ArrayRef, new_null_array};
use arrow_buffer::ScalarBuffer;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowRowGroupWriterFactory, ArrowWriterOptions};
use parquet::file::writer::SerializedFileWriter;
use plimsoll_model::{Column, Table};

use super::write::{Facts, Samples, Sink, encode_chunk, finish, fixed_column, lay_out};
use super::{EncodingPlan, IndexedSpan, Resolution, SegmentError, SegmentMeta};
use crate::head::SeriesSpan;

/// A segment that is being written.
pub(crate) struct SegmentWriter {
    path: PathBuf,
    table: &'static Table,
    resolution: Resolution,
    writer: SerializedFileWriter<Sink>,
    factory: ArrowRowGroupWriterFactory,
    groups: usize,
    spans: Vec<IndexedSpan>,
    checksums: Vec<u8>,
    rows: u64,
    samples: Samples,
}

impl SegmentWriter {
    /// Starts a file at `path`.
    ///
    /// # Errors
    ///
    /// [`SegmentError`] when the file cannot be made.
    pub(crate) fn create(
        table: &'static Table,
        resolution: Resolution,
        plan: &EncodingPlan,
        path: &Path,
    ) -> Result<Self, SegmentError> {
        let file = File::create(path).map_err(|source| SegmentError::write(path, source))?;
        let (writer, factory) = open(table, plan, file, path)?;
        Ok(Self {
            path: path.to_owned(),
            table,
            resolution,
            writer,
            factory,
            groups: 0,
            spans: Vec::new(),
            checksums: Vec::new(),
            rows: 0,
            samples: Samples::new(table),
        })
    }

    /// Rows written so far.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Writes one row group: `spans` cover `times_ms` in order and follow what was written;
    /// `metric_of` gives one metric of all these rows, `None` when every row is null.
    ///
    /// # Errors
    ///
    /// [`SegmentError`], or what `metric_of` fails with. The file is then useless.
    pub(crate) fn group<E: From<SegmentError>>(
        &mut self,
        spans: &[SeriesSpan],
        times_ms: &ScalarBuffer<i64>,
        mut metric_of: impl FnMut(usize) -> Result<Option<ArrayRef>, E>,
    ) -> Result<(), E> {
        if times_ms.is_empty() {
            return Ok(());
        }
        let encode = |source| SegmentError::encode(&self.path, source);
        let encoders = self.factory.create_column_writers(self.groups).map_err(encode)?;
        let mut chunks = Vec::with_capacity(encoders.len());
        let columns = self.table.columns().iter().zip(self.table.schema().fields());
        for ((column, field), encoder) in columns.zip(encoders) {
            let array = match column {
                Column::Metric(metric) => metric_of(*metric)?,
                _ => fixed_column(spans, times_ms, column),
            };
            let array = array.unwrap_or_else(|| new_null_array(field.data_type(), times_ms.len()));
            if let Column::Metric(metric) = column {
                self.samples.add(*metric, &array);
            }
            let encode = |source| SegmentError::encode(&self.path, source);
            chunks.push(encode_chunk(encoder, field, &array).map_err(encode)?);
        }
        self.groups = self.groups.saturating_add(1);
        let checksums = lay_out(&mut self.writer, vec![chunks], &self.path)?;
        self.checksums.extend(checksums);
        self.note(spans, times_ms);
        Ok(())
    }

    fn note(&mut self, spans: &[SeriesSpan], times_ms: &ScalarBuffer<i64>) {
        for span in spans {
            let end = span.start.saturating_add(span.rows);
            let times = times_ms.get(span.start..end).unwrap_or(&[]);
            let (Some(first), Some(last)) = (times.first(), times.last()) else { continue };
            let rows = u64::try_from(span.rows).unwrap_or(u64::MAX);
            match self.spans.last_mut() {
                // A series too long for one row group goes on in the next.
                Some(before) if before.key == span.key => {
                    before.rows = before.rows.saturating_add(rows);
                    before.last_ms = *last;
                }
                _ => self.spans.push(IndexedSpan {
                    key: span.key.clone(),
                    start: self.rows,
                    rows,
                    first_ms: *first,
                    last_ms: *last,
                }),
            }
            self.rows = self.rows.saturating_add(rows);
        }
    }

    /// Ends the file. It is not synced.
    ///
    /// # Errors
    ///
    /// [`SegmentError`].
    pub(crate) fn finish(self) -> Result<SegmentMeta, SegmentError> {
        let facts = Facts {
            table: self.table,
            resolution: self.resolution,
            spans: &self.spans,
            samples: &self.samples,
        };
        finish(self.writer, &facts, &self.checksums, &self.path)
    }
}

fn open(
    table: &'static Table,
    plan: &EncodingPlan,
    file: File,
    path: &Path,
) -> Result<(SerializedFileWriter<Sink>, ArrowRowGroupWriterFactory), SegmentError> {
    let encode = |source| SegmentError::encode(path, source);
    let options = ArrowWriterOptions::new()
        .with_properties(plan.properties(table))
        .with_skip_arrow_metadata(true)
        .with_schema_root(table.name().to_owned());
    let writer =
        ArrowWriter::try_new_with_options(Sink::new(file), table.schema().clone(), options)
            .map_err(encode)?;
    writer.into_serialized_writer().map_err(encode)
}

/// Bytes that the times and each metric take when encoded as planned, with page headers and
/// dictionary: what a trial of encodings compares. `None` is a metric without values and takes
/// nothing.
///
/// # Errors
///
/// [`SegmentError`]; `path` only names the file in it.
pub(crate) fn encoded_bytes(
    table: &'static Table,
    plan: &EncodingPlan,
    times: &ArrayRef,
    metrics: &[Option<ArrayRef>],
    path: &Path,
) -> Result<(u64, Vec<u64>), SegmentError> {
    let encode = |source| SegmentError::encode(path, source);
    let scratch = File::open("/dev/null").map_err(|source| SegmentError::read(path, source))?;
    let (_, factory) = open(table, plan, scratch, path)?;
    let encoders = factory.create_column_writers(0).map_err(encode)?;
    let mut encoders = encoders.into_iter();
    let fields = table.schema().fields();
    let time = match (encoders.next(), fields.first()) {
        (Some(encoder), Some(field)) => {
            encode_chunk(encoder, field, times).map_err(encode)?.close().bytes_written
        }
        _ => 0,
    };
    let skipped = table.metrics_start();
    let columns = fields.iter().skip(skipped).zip(encoders.skip(skipped.saturating_sub(1)));
    let columns = columns.zip(metrics);
    let mut sizes = Vec::with_capacity(metrics.len());
    for ((field, encoder), values) in columns {
        let Some(values) = values else {
            sizes.push(0);
            continue;
        };
        let chunk = encode_chunk(encoder, field, values).map_err(encode)?;
        sizes.push(chunk.close().bytes_written);
    }
    Ok((time, sizes))
}
