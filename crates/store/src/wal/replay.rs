//! Reads a WAL file record by record, whatever state it is in.
//!
//! A record whose checksum does not hold is skipped: the next place where a record holds is
//! searched byte by byte. Memory is bounded by one record and one read.
//!
//! Keeps true: a damaged record costs only itself; nothing damaged is returned.
//! Not here: what to do with the frames (`engine::recovery`).

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::record::{HEADER_BYTES, RECORD_HEAD_BYTES, RECORD_MAGIC, RecordHead, is_file_header};
use super::{PAYLOAD_BYTES_MAX, Position, WalError};
use crate::disk::{DiskError, Operation};
use crate::sabotage::{Bug, is_planted};

/// Bytes read from the file at once.
const READ_BYTES: usize = 1 << 20;

/// One record that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// Its first byte.
    pub start: Position,
    /// The byte after its last.
    pub end: Position,
    /// When its frame was received, Unix milliseconds UTC.
    pub received_ms: i64,
    /// The frame's bytes.
    pub payload: Vec<u8>,
}

/// What was wrong with a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Damage {
    /// Bytes in the middle, or a whole record at the end, that do not hold.
    pub corrupt_bytes: u64,
    /// Bytes of a record that was cut at the end: never acknowledged.
    pub torn_bytes: u64,
}

/// Walks the records of one file.
#[derive(Debug)]
pub struct Reader {
    id: u64,
    path: PathBuf,
    file: File,
    ended: bool,
    /// File bytes from `base` on that were read but not consumed.
    window: Vec<u8>,
    base: u64,
    at: usize,
    damage: Damage,
}

impl Reader {
    /// Opens file `id` at `path`.
    ///
    /// # Errors
    ///
    /// [`WalError::Disk`].
    pub fn open(path: &Path, id: u64) -> Result<Self, WalError> {
        let file = File::open(path).map_err(|source| refused(path, source))?;
        let mut reader = Self {
            id,
            path: path.to_owned(),
            file,
            ended: false,
            window: Vec::new(),
            base: 0,
            at: 0,
            damage: Damage::default(),
        };
        reader.skip_header()?;
        Ok(reader)
    }

    /// What was found damaged so far.
    pub fn damage(&self) -> Damage {
        self.damage
    }

    /// The next record that holds; `None` at the file's end.
    ///
    /// # Errors
    ///
    /// [`WalError::Disk`] when the file cannot be read.
    pub fn next_record(&mut self) -> Result<Option<Replayed>, WalError> {
        let bad_from = self.offset();
        // The head of a whole record that does not hold makes the rest corrupt rather than torn.
        let mut broken = false;
        loop {
            self.fill(RECORD_HEAD_BYTES)?;
            match self.try_record()? {
                Attempt::Record(record) => {
                    let skipped = record.start.offset.saturating_sub(bad_from);
                    self.damage.corrupt_bytes = self.damage.corrupt_bytes.saturating_add(skipped);
                    return Ok(Some(record));
                }
                Attempt::Broken => broken = true,
                Attempt::Cut | Attempt::Nothing => {}
            }
            if is_planted(Bug::ReplayStops) || !self.seek_magic()? {
                let left = self.offset().saturating_sub(bad_from);
                let count = if broken {
                    &mut self.damage.corrupt_bytes
                } else {
                    &mut self.damage.torn_bytes
                };
                *count = count.saturating_add(left);
                return Ok(None);
            }
        }
    }

    fn try_record(&mut self) -> Result<Attempt, WalError> {
        let Some(head) = RecordHead::read(self.rest()) else {
            return Ok(Attempt::Nothing);
        };
        if head.payload_bytes > PAYLOAD_BYTES_MAX {
            return Ok(Attempt::Broken);
        }
        let length = RECORD_HEAD_BYTES.saturating_add(head.payload_bytes);
        self.fill(length)?;
        let offset = self.offset();
        let Some(payload) = self.rest().get(RECORD_HEAD_BYTES..length) else {
            return Ok(Attempt::Cut);
        };
        if !head.holds(self.id, offset, payload) {
            return Ok(Attempt::Broken);
        }
        let payload = payload.to_vec();
        self.at = self.at.saturating_add(length);
        Ok(Attempt::Record(Replayed {
            start: Position { file: self.id, offset },
            end: Position { file: self.id, offset: self.offset() },
            received_ms: head.received_ms,
            payload,
        }))
    }

    // Moves at least one byte on, to the next place that looks like a record; false at the end.
    fn seek_magic(&mut self) -> Result<bool, WalError> {
        loop {
            self.fill(RECORD_HEAD_BYTES)?;
            let rest = self.rest();
            let found = rest
                .windows(RECORD_MAGIC.len())
                .skip(1)
                .position(|bytes| bytes == RECORD_MAGIC)
                .map(|index| index.saturating_add(1));
            if let Some(index) = found {
                self.at = self.at.saturating_add(index);
                return Ok(true);
            }
            // The last place that was looked at stays, so that no place after it is skipped.
            let kept = if self.ended { 0 } else { RECORD_MAGIC.len() };
            let passed = rest.len().saturating_sub(kept);
            let ended = self.ended;
            self.at = self.at.saturating_add(passed);
            if ended {
                return Ok(false);
            }
            self.fill(READ_BYTES)?;
        }
    }

    // A damaged header does not matter: the id is in the name and records prove themselves.
    fn skip_header(&mut self) -> Result<(), WalError> {
        self.fill(HEADER_BYTES)?;
        let is_header =
            self.rest().get(..HEADER_BYTES).is_some_and(|bytes| is_file_header(bytes, self.id));
        if is_header {
            self.at = HEADER_BYTES;
        }
        Ok(())
    }

    fn rest(&self) -> &[u8] {
        self.window.get(self.at..).unwrap_or_default()
    }

    fn offset(&self) -> u64 {
        self.base.saturating_add(u64::try_from(self.at).unwrap_or(u64::MAX))
    }

    // Reads until `bytes` bytes lie ahead or the file ends.
    fn fill(&mut self, bytes: usize) -> Result<(), WalError> {
        if self.ended || self.rest().len() >= bytes {
            return Ok(());
        }
        self.base = self.offset();
        self.window.drain(..self.at);
        self.at = 0;
        let missing = bytes.saturating_sub(self.window.len()).max(READ_BYTES);
        let limit = u64::try_from(missing).unwrap_or(u64::MAX);
        let read = self
            .file
            .by_ref()
            .take(limit)
            .read_to_end(&mut self.window)
            .map_err(|source| refused(&self.path, source))?;
        self.ended = read < missing;
        Ok(())
    }
}

#[derive(Debug)]
enum Attempt {
    Record(Replayed),
    /// A head with all its bytes, whose checksum does not hold.
    Broken,
    /// A head whose bytes go past the file's end.
    Cut,
    /// Not the head of a record.
    Nothing,
}

fn refused(path: &Path, source: std::io::Error) -> WalError {
    DiskError { operation: Operation::Read, path: path.to_owned(), source }.into()
}
