//! Hands the Parquet library only bytes that were checked.

use std::fs::File;
use std::io::{self, Cursor};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

/// Column chunks of one file whose checksums were right: some in memory, others only known to
/// be good and read page by page when asked for.
#[derive(Debug)]
pub(super) struct CheckedChunks {
    file: Arc<File>,
    bytes: u64,
    loaded: Vec<(u64, Bytes)>,
    good: Vec<Range<u64>>,
}

impl CheckedChunks {
    pub(super) fn new(file: Arc<File>, bytes: u64) -> Self {
        Self { file, bytes, loaded: Vec::new(), good: Vec::new() }
    }

    /// Adds a chunk in memory that starts at `offset` of the file.
    pub(super) fn add_loaded(&mut self, offset: u64, bytes: Bytes) {
        self.loaded.push((offset, bytes));
    }

    /// Adds a chunk that stays in the file.
    pub(super) fn add_good(&mut self, range: Range<u64>) {
        self.good.push(range);
    }

    fn in_memory(&self, start: u64, length: usize) -> Option<Bytes> {
        self.loaded.iter().find_map(|(offset, bytes)| {
            let from = usize::try_from(start.checked_sub(*offset)?).ok()?;
            let until = from.checked_add(length)?;
            (until <= bytes.len()).then(|| bytes.slice(from..until))
        })
    }
}

/// Reads exactly `length` bytes at `offset`.
pub(super) fn read_at(file: &File, offset: u64, length: usize) -> io::Result<Bytes> {
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes.into())
}

impl Length for CheckedChunks {
    fn len(&self) -> u64 {
        self.bytes
    }
}

impl ChunkReader for CheckedChunks {
    type T = Cursor<Bytes>;

    fn get_read(&self, start: u64) -> Result<Cursor<Bytes>> {
        let in_memory = self.loaded.iter().find_map(|(offset, bytes)| {
            let from = usize::try_from(start.checked_sub(*offset)?).ok()?;
            (from < bytes.len()).then(|| bytes.slice(from..))
        });
        if let Some(bytes) = in_memory {
            return Ok(Cursor::new(bytes));
        }
        let range = self.good.iter().find(|range| range.contains(&start));
        let end = range.map_or(start, |range| range.end);
        let length = usize::try_from(end.saturating_sub(start)).unwrap_or(usize::MAX);
        Ok(Cursor::new(self.get_bytes(start, length)?))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        if let Some(bytes) = self.in_memory(start, length) {
            return Ok(bytes);
        }
        let end = u64::try_from(length).ok().and_then(|length| start.checked_add(length));
        let good = end.is_some_and(|end| {
            self.good.iter().any(|range| range.start <= start && end <= range.end)
        });
        if !good {
            let text = format!("{length} bytes at {start} are in no checked column chunk");
            return Err(ParquetError::General(text));
        }
        read_at(&self.file, start, length).map_err(|error| ParquetError::External(error.into()))
    }
}
