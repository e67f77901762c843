//! Reads segments: the index once, then only the column chunks and pages a scan needs.
//!
//! The index (footer, page locations, series) is read at first use and kept; the store can let go
//! of it with [`Segment::forget_index`]. A column chunk is checked against its CRC32C whenever it
//! is read whole, and it is read whole the first time; single pages are read only after that.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use parking_lot::RwLock;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use plimsoll_model::{Registry, Table};
use rustc_hash::FxHashSet;

use super::chunks::{CheckedChunks, read_at};
use super::{FORMAT, IndexedSpan, Resolution, SegmentError, SegmentMeta, index, keys};
use crate::sabotage::{Bug, is_planted};

/// Unpacked bytes a series index may have: far above what any day of a fleet needs.
const INDEX_BYTES_MAX: usize = 1 << 30;
/// Piece in which a whole file is checked.
const VERIFY_BYTES: usize = 1 << 20;

/// One segment file.
#[derive(Debug)]
pub struct Segment {
    path: PathBuf,
    meta: SegmentMeta,
    index: RwLock<Option<Arc<SegmentIndex>>>,
}

/// What is known of a segment's content.
#[derive(Debug)]
pub(crate) struct SegmentIndex {
    table: &'static Table,
    reader: ArrowReaderMetadata,
    spans: Vec<IndexedSpan>,
    /// Rows of each row group.
    groups: Vec<Range<u64>>,
    time: usize,
    /// For each metric of the table, its column in the file; `None` also when it has no value.
    metrics: Vec<Option<usize>>,
    /// Row group by row group: CRC32C of the column chunk, and whether it was found right.
    checksums: Vec<(u32, AtomicBool)>,
}

impl Segment {
    /// A segment with the facts its manifest holds. Looks at the file's length only.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Read`] when there is no such file, [`SegmentError::Length`].
    pub fn open(path: &Path, meta: SegmentMeta) -> Result<Self, SegmentError> {
        let found =
            std::fs::metadata(path).map_err(|source| SegmentError::read(path, source))?.len();
        if found != meta.bytes || meta.index_offset > meta.bytes {
            return Err(SegmentError::Length { path: path.to_owned(), found, wrote: meta.bytes });
        }
        Ok(Self { path: path.to_owned(), meta, index: RwLock::new(None) })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the manifest says of it.
    pub fn meta(&self) -> &SegmentMeta {
        &self.meta
    }

    /// The series and where their rows are, in key order.
    ///
    /// # Errors
    ///
    /// [`SegmentError`] when the footer cannot be read or is damaged.
    pub fn spans(&self) -> Result<Vec<IndexedSpan>, SegmentError> {
        Ok(self.index()?.spans.clone())
    }

    /// Lets go of the index; the next reader reads it again.
    pub fn forget_index(&self) {
        *self.index.write() = None;
    }

    /// Whether the index is in memory.
    pub fn has_index(&self) -> bool {
        self.index.read().is_some()
    }

    /// Checks every byte of the file against the manifest.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Checksum`] with part `file`, or [`SegmentError::Read`].
    pub fn verify(&self) -> Result<(), SegmentError> {
        let file = self.file()?;
        let mut crc = 0;
        let mut offset = 0_u64;
        while offset < self.meta.bytes {
            let left = usize::try_from(self.meta.bytes.saturating_sub(offset));
            let length = left.unwrap_or(usize::MAX).min(VERIFY_BYTES);
            let bytes = read_at(&file, offset, length)
                .map_err(|source| SegmentError::read(&self.path, source))?;
            crc = crc32c::crc32c_append(crc, &bytes);
            offset = offset.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        }
        self.check("file", 0..self.meta.bytes, crc, self.meta.crc32c)
    }

    pub(crate) fn index(&self) -> Result<Arc<SegmentIndex>, SegmentError> {
        if let Some(index) = self.index.read().as_ref() {
            return Ok(index.clone());
        }
        let index = Arc::new(self.load_index()?);
        *self.index.write() = Some(index.clone());
        Ok(index)
    }

    pub(crate) fn reader(&self) -> Result<SegmentReader<'_>, SegmentError> {
        let index = self.index()?;
        Ok(SegmentReader { segment: self, index, file: Arc::new(self.file()?) })
    }

    fn file(&self) -> Result<File, SegmentError> {
        File::open(&self.path).map_err(|source| SegmentError::read(&self.path, source))
    }

    fn check(
        &self,
        part: &str,
        range: Range<u64>,
        found: u32,
        wrote: u32,
    ) -> Result<(), SegmentError> {
        if found == wrote || is_planted(Bug::SkipCrc) {
            return Ok(());
        }
        Err(SegmentError::Checksum {
            path: self.path.clone(),
            part: part.to_owned(),
            offset: range.start,
            bytes: range.end.saturating_sub(range.start),
            found,
            wrote,
        })
    }

    fn load_index(&self) -> Result<SegmentIndex, SegmentError> {
        let layout = |what| SegmentError::layout(&self.path, what);
        let decode = |source| SegmentError::decode(&self.path, source);
        let range = self.meta.index_offset..self.meta.bytes;
        let length = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        let tail = read_at(&self.file()?, range.start, length)
            .map_err(|source| SegmentError::read(&self.path, source))?;
        self.check("footer", range, crc32c::crc32c(&tail), self.meta.index_crc32c)?;

        let mut parser = ParquetMetaDataReader::new()
            .with_offset_index_policy(PageIndexPolicy::Optional)
            .with_column_index_policy(PageIndexPolicy::Skip);
        parser.try_parse_sized(&tail, self.meta.bytes).map_err(decode)?;
        let metadata = Arc::new(parser.finish().map_err(decode)?);
        if text(&metadata, keys::FORMAT) != Some(FORMAT) {
            return Err(layout("format version"));
        }
        let table = table_of(text(&metadata, keys::TABLE), text(&metadata, keys::RESOLUTION))
            .ok_or_else(|| layout("table name"))?;
        let options = ArrowReaderOptions::new().with_schema(self.schema(&metadata)?);
        let reader = ArrowReaderMetadata::try_new(metadata, options).map_err(decode)?;
        self.build_index(table, reader)
    }

    /// The file's columns as Arrow reads them: texts stay dictionaries.
    fn schema(&self, metadata: &Arc<ParquetMetaData>) -> Result<Arc<Schema>, SegmentError> {
        let plain = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let plain = ArrowReaderMetadata::try_new(metadata.clone(), plain)
            .map_err(|source| SegmentError::decode(&self.path, source))?;
        let fields = plain.schema().fields().iter().map(|field| match field.data_type() {
            DataType::Utf8 => {
                let text = DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into());
                Arc::new(Field::new(field.name(), text, field.is_nullable()))
            }
            _ => field.clone(),
        });
        Ok(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
    }

    fn build_index(
        &self,
        table: &'static Table,
        reader: ArrowReaderMetadata,
    ) -> Result<SegmentIndex, SegmentError> {
        let layout = |what| SegmentError::layout(&self.path, what);
        let metadata = reader.metadata();
        let mut groups = Vec::with_capacity(metadata.num_row_groups());
        let mut rows = 0_u64;
        for group in metadata.row_groups() {
            let end = rows.saturating_add(u64::try_from(group.num_rows()).unwrap_or(0));
            groups.push(rows..end);
            rows = end;
        }
        let packed = text(metadata, keys::SERIES)
            .and_then(|text| BASE64.decode(text).ok())
            .ok_or_else(|| layout("series index"))?;
        let unpacked = plimsoll_wire::unpack(&packed, INDEX_BYTES_MAX)
            .map_err(|source| SegmentError::Pack { path: self.path.clone(), source })?;
        let spans = index::decode(&unpacked, table).ok_or_else(|| layout("series index"))?;
        let last = spans.last().map_or(0, |span| span.start.saturating_add(span.rows));
        if last != rows || rows != self.meta.rows {
            return Err(layout("number of rows"));
        }
        let columns = reader.schema().fields().len();
        let checksums: Vec<_> = text(metadata, keys::CHECKSUMS)
            .and_then(|text| BASE64.decode(text).ok())
            .ok_or_else(|| layout("checksums"))?
            .as_chunks::<4>()
            .0
            .iter()
            .map(|bytes| (u32::from_le_bytes(*bytes), AtomicBool::new(false)))
            .collect();
        if checksums.len() != groups.len().saturating_mul(columns) {
            return Err(layout("number of checksums"));
        }
        let column = |name: &str, wanted: &DataType| {
            let (column, field) = reader.schema().column_with_name(name)?;
            (field.data_type() == wanted).then_some(column)
        };
        let time = table.schema().field(0);
        let time = column(time.name(), time.data_type()).ok_or_else(|| layout("time column"))?;
        let empty: FxHashSet<&str> =
            text(metadata, keys::EMPTY).map_or_else(FxHashSet::default, |e| e.split(',').collect());
        let metrics = table.metrics().iter().map(|metric| {
            let named = Some(metric.column.as_str()).filter(|name| !empty.contains(name))?;
            column(named, &metric.column_type.arrow())
        });
        let metrics = metrics.collect();
        Ok(SegmentIndex { table, reader, spans, groups, time, metrics, checksums })
    }
}

/// The table whose columns the file has: rollups have tables of their own.
fn table_of(name: Option<&str>, resolution: Option<&str>) -> Option<&'static Table> {
    let table = Registry::embedded().table(name?)?;
    match resolution?.parse().ok()? {
        Resolution::Raw => Some(table),
        rollup => Registry::rollup(table, rollup.name()),
    }
}

fn text<'a>(metadata: &'a ParquetMetaData, key: &str) -> Option<&'a str> {
    let pairs = metadata.file_metadata().key_value_metadata()?;
    pairs.iter().find(|pair| pair.key == key)?.value.as_deref()
}

impl SegmentIndex {
    pub(crate) fn table(&self) -> &'static Table {
        self.table
    }

    pub(crate) fn spans(&self) -> &[IndexedSpan] {
        &self.spans
    }

    /// Rows of each row group, as a range of the file's rows.
    pub(crate) fn groups(&self) -> &[Range<u64>] {
        &self.groups
    }

    pub(crate) fn time(&self) -> usize {
        self.time
    }

    /// Where a column chunk begins.
    #[cfg(test)]
    pub(crate) fn chunk_offset(&self, group: usize, column: usize) -> u64 {
        self.reader.metadata().row_group(group).column(column).byte_range().0
    }

    /// The file's column of a metric, if the file has it with the table's type and a value.
    pub(crate) fn metric(&self, metric: usize) -> Option<usize> {
        self.metrics.get(metric).copied().flatten()
    }
}

/// A segment that is being read.
#[derive(Debug)]
pub(crate) struct SegmentReader<'a> {
    segment: &'a Segment,
    index: Arc<SegmentIndex>,
    file: Arc<File>,
}

impl SegmentReader<'_> {
    pub(crate) fn path(&self) -> &Path {
        &self.segment.path
    }

    pub(crate) fn index(&self) -> &Arc<SegmentIndex> {
        &self.index
    }

    /// Decodes columns of chosen rows of one row group, in the order of `columns`.
    ///
    /// `ranges`: rows inside the group, rising, without overlap. Empty ranges give empty arrays.
    pub(crate) fn read(
        &self,
        group: usize,
        columns: &[usize],
        ranges: &[Range<usize>],
    ) -> Result<Vec<ArrayRef>, SegmentError> {
        let decode = |source| SegmentError::decode(&self.segment.path, source);
        let layout = |what| SegmentError::layout(&self.segment.path, what);
        let rows = self.index.groups.get(group).map(|rows| rows.end.saturating_sub(rows.start));
        let rows = rows.and_then(|rows| usize::try_from(rows).ok());
        let rows = rows.ok_or_else(|| layout("row group"))?;
        let wanted: usize = ranges.iter().map(ExactSizeIterator::len).sum();
        let mut chunks = CheckedChunks::new(self.file.clone(), self.segment.meta.bytes);
        for column in columns {
            let sparse = wanted < rows / 2;
            self.add_chunk(&mut chunks, group, *column, sparse)?;
        }
        let metadata = self.index.reader.clone();
        let schema = metadata.metadata().file_metadata().schema_descr();
        let mask = ProjectionMask::leaves(schema, columns.iter().copied());
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(chunks, metadata)
            .with_projection(mask)
            .with_row_groups(vec![group])
            .with_batch_size(wanted.max(1));
        if wanted < rows {
            let selection = RowSelection::from_consecutive_ranges(ranges.iter().cloned(), rows);
            builder = builder.with_row_selection(selection);
        }
        let mut reader = builder.build().map_err(decode)?;
        let batch = match reader.next() {
            Some(batch) => batch.map_err(|error| decode(error.into()))?,
            None => RecordBatch::new_empty(reader_schema(&self.index, columns)),
        };
        if batch.num_rows() != wanted {
            return Err(layout("number of rows in a column"));
        }
        let arrays = columns.iter().map(|column| {
            let name = self.index.reader.schema().fields().get(*column)?.name();
            batch.column_by_name(name).cloned()
        });
        arrays.collect::<Option<_>>().ok_or_else(|| layout("column"))
    }

    /// Makes one column chunk readable, checking it if that was not done before.
    fn add_chunk(
        &self,
        chunks: &mut CheckedChunks,
        group: usize,
        column: usize,
        sparse: bool,
    ) -> Result<(), SegmentError> {
        let layout = |what| SegmentError::layout(&self.segment.path, what);
        let metadata = self.index.reader.metadata().row_groups().get(group);
        let chunk = metadata.and_then(|group| group.columns().get(column));
        let chunk = chunk.ok_or_else(|| layout("column chunk"))?;
        let (offset, bytes) = chunk.byte_range();
        let end = offset.saturating_add(bytes);
        if end > self.segment.meta.index_offset {
            return Err(layout("column chunk"));
        }
        let columns = self.index.reader.schema().fields().len();
        let place = group.saturating_mul(columns).saturating_add(column);
        let (wrote, good) =
            self.index.checksums.get(place).ok_or_else(|| layout("number of checksums"))?;
        if sparse && good.load(Ordering::Relaxed) {
            chunks.add_good(offset..end);
            return Ok(());
        }
        let length = usize::try_from(bytes).map_err(|_| layout("column chunk"))?;
        let loaded: Bytes = read_at(&self.file, offset, length)
            .map_err(|source| SegmentError::read(&self.segment.path, source))?;
        let name = chunk.column_path().string();
        self.segment.check(&name, offset..end, crc32c::crc32c(&loaded), *wrote)?;
        good.store(true, Ordering::Relaxed);
        chunks.add_loaded(offset, loaded);
        Ok(())
    }
}

fn reader_schema(index: &SegmentIndex, columns: &[usize]) -> Arc<Schema> {
    let fields = index.reader.schema().fields();
    let fields: Vec<_> = columns.iter().filter_map(|column| fields.get(*column).cloned()).collect();
    Arc::new(Schema::new(fields))
}
