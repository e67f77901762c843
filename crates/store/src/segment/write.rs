//! Writes sorted rows as one Parquet file.
//!
//! Columns are put together, encoded and let go one after the other; only encoded pages stay in
//! memory until the file is laid out row group by row group.
//! The caller syncs and renames the file.

use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    Array, ArrayRef, DictionaryArray, PrimitiveArray, StringArray, TimestampMillisecondArray,
    new_null_array,
};
use arrow_buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowWriterOptions, compute_leaves,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, RowGroupMetaData};
use parquet::file::writer::SerializedFileWriter;
use plimsoll_model::{Column, Dimension, Table, TimeRange};
use rustc_hash::FxHashMap;

use super::{
    EncodingPlan, FORMAT, IndexedSpan, Resolution, SegmentError, SegmentMeta, index, keys,
};
use crate::head::{SeriesSpan, SortedRows};

/// Writes `rows` to a new file at `path` with the encodings of a flush.
///
/// # Errors
///
/// [`SegmentError::Write`] when the system refuses, [`SegmentError::Encode`] when the rows
/// contradict their table. The file may be left behind half written.
pub fn write(
    rows: &SortedRows,
    resolution: Resolution,
    path: &Path,
) -> Result<SegmentMeta, SegmentError> {
    write_with(rows, resolution, &EncodingPlan::flush(rows.table()), path)
}

/// Writes `rows` to a new file at `path` as planned.
///
/// # Errors
///
/// As [`write`].
pub fn write_with(
    rows: &SortedRows,
    resolution: Resolution,
    plan: &EncodingPlan,
    path: &Path,
) -> Result<SegmentMeta, SegmentError> {
    let file = File::create(path).map_err(|source| SegmentError::write(path, source))?;
    let table = rows.table();
    let encode = |source| SegmentError::encode(path, source);
    let options = ArrowWriterOptions::new()
        .with_properties(plan.properties(table))
        .with_skip_arrow_metadata(true)
        .with_schema_root(table.name().to_owned());
    let writer =
        ArrowWriter::try_new_with_options(Sink::new(file), table.schema().clone(), options)
            .map_err(encode)?;
    let (mut writer, factory) = writer.into_serialized_writer().map_err(encode)?;

    let groups = groups(rows.rows(), plan.group_rows.max(1));
    let mut encoders = Vec::with_capacity(groups.len());
    for (group, _) in groups.iter().enumerate() {
        encoders.push(factory.create_column_writers(group).map_err(encode)?.into_iter());
    }
    let mut chunks: Vec<Vec<ArrowColumnChunk>> = groups.iter().map(|_| Vec::new()).collect();
    let mut samples = Samples::new(table);
    for (index, column) in table.columns().iter().enumerate() {
        let array = match column {
            Column::Metric(metric) => rows.metric(*metric),
            _ => fixed_column(rows.spans(), rows.times_ms(), column),
        };
        let array = array.unwrap_or_else(|| {
            new_null_array(table.schema().field(index).data_type(), rows.rows())
        });
        if let Column::Metric(metric) = column {
            samples.add(*metric, &array);
        }
        for ((group, encoders), chunks) in groups.iter().zip(&mut encoders).zip(&mut chunks) {
            let Some(encoder) = encoders.next() else { continue };
            let array = array.slice(group.start, group.len());
            let field = table.schema().field(index);
            chunks.push(encode_chunk(encoder, field, &array).map_err(encode)?);
        }
    }
    let metadata = lay_out(&mut writer, chunks, path)?;
    let facts = Facts { table, resolution, spans: &index::spans_of(rows), samples: &samples };
    finish(writer, &facts, &metadata, path)
}

fn groups(rows: usize, group_rows: usize) -> Vec<Range<usize>> {
    (0..rows)
        .step_by(group_rows)
        .map(|start| start..start.saturating_add(group_rows).min(rows))
        .collect()
}

pub(super) fn encode_chunk(
    mut encoder: ArrowColumnWriter,
    field: &arrow_schema::Field,
    array: &ArrayRef,
) -> Result<ArrowColumnChunk, ParquetError> {
    for leaf in compute_leaves(field, array)? {
        encoder.write(&leaf)?;
    }
    encoder.close()
}

/// What the end of a file tells of its rows.
pub(super) struct Facts<'a> {
    pub(super) table: &'static Table,
    pub(super) resolution: Resolution,
    pub(super) spans: &'a [IndexedSpan],
    pub(super) samples: &'a Samples,
}

/// Values of each metric that were written.
pub(super) struct Samples(Vec<usize>);

impl Samples {
    pub(super) fn new(table: &Table) -> Self {
        Self(vec![0; table.metrics().len()])
    }

    pub(super) fn add(&mut self, metric: usize, array: &ArrayRef) {
        if let Some(count) = self.0.get_mut(metric) {
            *count = count.saturating_add(array.len().saturating_sub(array.null_count()));
        }
    }

    fn sum(&self) -> usize {
        self.0.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Columns without a value, separated by commas.
    fn empty(&self, table: &Table) -> String {
        let empty = table.metrics().iter().zip(&self.0).filter(|(_, count)| **count == 0);
        empty.map(|(metric, _)| metric.column.as_str()).collect::<Vec<_>>().join(",")
    }
}

/// Writes the encoded row groups; returns the CRC32C of every column chunk in file order.
pub(super) fn lay_out(
    writer: &mut SerializedFileWriter<Sink>,
    groups: Vec<Vec<ArrowColumnChunk>>,
    path: &Path,
) -> Result<Vec<u8>, SegmentError> {
    let encode = |source| SegmentError::encode(path, source);
    let write = |source| SegmentError::write(path, source);
    let mut checksums = Vec::new();
    for chunks in groups {
        let mut group = writer.next_row_group().map_err(encode)?;
        for chunk in chunks {
            chunk.append_to_row_group(&mut group).map_err(encode)?;
        }
        let group = group.close().map_err(encode)?;
        writer.flush().map_err(write)?;
        writer.inner_mut().settle(Some(&group), &mut checksums).map_err(write)?;
    }
    Ok(checksums)
}

pub(super) fn finish(
    mut writer: SerializedFileWriter<Sink>,
    facts: &Facts<'_>,
    checksums: &[u8],
    path: &Path,
) -> Result<SegmentMeta, SegmentError> {
    let encode = |source| SegmentError::encode(path, source);
    let write = |source| SegmentError::write(path, source);
    let packed = plimsoll_wire::pack(&index::encode(facts.table, facts.spans))
        .map_err(|source| SegmentError::Pack { path: path.to_owned(), source })?;
    let first = facts.spans.iter().map(|span| span.first_ms).min().unwrap_or(0);
    let last = facts.spans.iter().map(|span| span.last_ms.saturating_add(1)).max().unwrap_or(0);
    let range = TimeRange::new(first, last);
    for (key, value) in [
        (keys::FORMAT, FORMAT.to_owned()),
        (keys::TABLE, facts.table.name().to_owned()),
        (keys::RESOLUTION, facts.resolution.to_string()),
        (keys::START_MS, range.start_ms.to_string()),
        (keys::END_MS, range.end_ms.to_string()),
        (keys::EMPTY, facts.samples.empty(facts.table)),
        (keys::CHECKSUMS, BASE64.encode(checksums)),
        (keys::SERIES, BASE64.encode(packed)),
    ] {
        writer.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
    }
    writer.flush().map_err(write)?;
    writer.inner_mut().settle(None, &mut Vec::new()).map_err(write)?;
    let index_offset = writer.inner().written;
    writer.finish().map_err(encode)?;
    let sink = writer.inner_mut();
    let index_crc32c = crc32c::crc32c(&sink.pending);
    sink.settle(None, &mut Vec::new()).map_err(write)?;
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    Ok(SegmentMeta {
        bytes: sink.written,
        rows: facts.spans.iter().fold(0, |rows, span| rows.saturating_add(span.rows)),
        samples: count(facts.samples.sum()),
        series: count(facts.spans.len()),
        start_ms: range.start_ms,
        end_ms: range.end_ms,
        crc32c: sink.crc32c,
        index_offset,
        index_crc32c,
    })
}

/// A column that is no metric; `None` when every row is null.
pub(super) fn fixed_column(
    spans: &[SeriesSpan],
    times_ms: &ScalarBuffer<i64>,
    column: &Column,
) -> Option<ArrayRef> {
    let rows = times_ms.len();
    match column {
        Column::Time => {
            let times = TimestampMillisecondArray::new(times_ms.clone(), None);
            Some(Arc::new(times.with_timezone("UTC")))
        }
        Column::Dimension(dimension) => {
            label_array(spans, rows, |span| dimension_of(span, *dimension))
        }
        Column::Key(key) => {
            label_array(spans, rows, |span| span.key.keys.get(*key).map_or("", AsRef::as_ref))
        }
        Column::Metric(_) => None,
    }
}

fn dimension_of(span: &SeriesSpan, dimension: Dimension) -> &str {
    span.key.subject.get(dimension)
}

fn label_array<'a>(
    spans: &'a [SeriesSpan],
    rows: usize,
    label_of: impl Fn(&'a SeriesSpan) -> &'a str,
) -> Option<ArrayRef> {
    let mut keys_of: FxHashMap<&str, i32> = FxHashMap::default();
    let mut texts: Vec<&str> = Vec::new();
    let mut keys = Vec::with_capacity(rows);
    let mut valid = Vec::with_capacity(rows);
    for span in spans {
        let label = label_of(span);
        let end = keys.len().saturating_add(span.rows);
        valid.resize(end, !label.is_empty());
        if label.is_empty() {
            keys.resize(end, 0);
            continue;
        }
        let next = i32::try_from(texts.len()).unwrap_or(i32::MAX);
        let key = *keys_of.entry(label).or_insert_with(|| {
            texts.push(label);
            next
        });
        keys.resize(end, key);
    }
    if texts.is_empty() {
        return None;
    }
    let nulls = NullBuffer::new(BooleanBuffer::from(valid));
    let nulls = (nulls.null_count() > 0).then_some(nulls);
    let keys = PrimitiveArray::<Int32Type>::new(keys.into(), nulls);
    let array = DictionaryArray::try_new(keys, Arc::new(StringArray::from(texts))).ok()?;
    Some(Arc::new(array))
}

/// Holds back bytes until their checksums are known, then writes them.
#[derive(Debug)]
pub(super) struct Sink {
    file: File,
    pending: Vec<u8>,
    written: u64,
    crc32c: u32,
}

impl Sink {
    pub(super) fn new(file: File) -> Self {
        Self { file, pending: Vec::new(), written: 0, crc32c: 0 }
    }

    /// Writes what is pending; adds the checksums of the column chunks of `group` in it.
    fn settle(
        &mut self,
        group: Option<&RowGroupMetaData>,
        checksums: &mut Vec<u8>,
    ) -> io::Result<()> {
        for chunk in group.into_iter().flat_map(RowGroupMetaData::columns) {
            let (offset, bytes) = chunk.byte_range();
            let start = offset.checked_sub(self.written);
            let start = start.and_then(|start| usize::try_from(start).ok());
            let range = start
                .zip(usize::try_from(bytes).ok())
                .and_then(|(start, bytes)| self.pending.get(start..start.checked_add(bytes)?));
            let range = range.ok_or_else(|| io::Error::other("column chunk is out of place"))?;
            checksums.extend_from_slice(&crc32c::crc32c(range).to_le_bytes());
        }
        self.file.write_all(&self.pending)?;
        self.crc32c = crc32c::crc32c_append(self.crc32c, &self.pending);
        let bytes = u64::try_from(self.pending.len()).unwrap_or(u64::MAX);
        self.written = self.written.saturating_add(bytes);
        self.pending.clear();
        Ok(())
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pending.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
