//! Writes groups of records and makes each group durable with one sync.
//!
//! Keeps true: no entry is placed before the sync after it succeeded, and never in a file in which
//! anything failed.
//! Not here: threads and callers (`engine::commit`).

use std::path::PathBuf;

use super::record::{HEADER_BYTES, RECORD_HEAD_BYTES, file_header, put_record};
use super::{PAYLOAD_BYTES_MAX, Position, WalError, file_path};
use crate::disk::{Disk, DiskFile};
use crate::sabotage::{Bug, is_planted};

/// One frame on its way into the WAL.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// When it was received, Unix milliseconds UTC; replay judges its rows by this moment.
    pub received_ms: i64,
    /// The frame's bytes.
    pub payload: &'a [u8],
}

/// Where an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// Its first byte.
    pub start: Position,
    /// The byte after its last.
    pub end: Position,
}

/// What became of one group.
#[derive(Debug)]
pub struct Group {
    /// Where each entry stands, in order.
    pub placed: Vec<Placed>,
    /// The failure of an earlier file that was left, if any.
    pub left: Option<WalError>,
}

/// The end of the WAL.
#[derive(Debug)]
pub struct Writer {
    disk: Disk,
    folder: PathBuf,
    file_bytes_max: u64,
    next_id: u64,
    open: Option<OpenFile>,
    buffer: Vec<u8>,
    left: Vec<u64>,
}

#[derive(Debug)]
struct OpenFile {
    id: u64,
    bytes: u64,
    file: DiskFile,
}

impl Writer {
    /// A writer whose first file will be `next_id`, above every id ever used in `folder`.
    pub fn new(disk: Disk, folder: PathBuf, file_bytes_max: u64, next_id: u64) -> Self {
        Self {
            disk,
            folder,
            file_bytes_max,
            next_id,
            open: None,
            buffer: Vec::new(),
            left: Vec::new(),
        }
    }

    /// Number of the file that is written to; files below it are closed.
    pub fn current_id(&self) -> u64 {
        self.open.as_ref().map_or(self.next_id, |open| open.id)
    }

    /// Bytes of the file that is written to.
    pub fn current_bytes(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.bytes)
    }

    /// Numbers of files that were left after a failure, since this was last asked.
    pub fn take_left(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.left)
    }

    /// Writes all entries and makes them durable.
    ///
    /// When a file fails it is left for good and everything is tried once more in a new file.
    ///
    /// # Errors
    ///
    /// [`WalError`] when the new file failed too: then no entry is safe, though any may come back
    /// after a restart.
    pub fn append(&mut self, entries: &[Entry<'_>]) -> Result<Group, WalError> {
        if let Some(entry) = entries.iter().find(|entry| entry.payload.len() > PAYLOAD_BYTES_MAX) {
            let (bytes, max) = (entry.payload.len(), PAYLOAD_BYTES_MAX);
            return Err(WalError::Record { bytes, max });
        }
        match self.try_append(entries) {
            Ok(placed) => Ok(Group { placed, left: None }),
            Err(left) => {
                let second = self.try_append(entries);
                second.map(|placed| Group { placed, left: Some(left) })
            }
        }
    }

    fn try_append(&mut self, entries: &[Entry<'_>]) -> Result<Vec<Placed>, WalError> {
        if self.open.as_ref().is_some_and(|open| open.bytes >= self.file_bytes_max) {
            self.open = None;
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.create()?,
        };
        self.buffer.clear();
        let mut placed = Vec::with_capacity(entries.len());
        let mut at = open.bytes;
        for entry in entries {
            let start = Position { file: open.id, offset: at };
            put_record(&mut self.buffer, open.id, at, entry.received_ms, entry.payload).map_err(
                |_| WalError::Record { bytes: entry.payload.len(), max: PAYLOAD_BYTES_MAX },
            )?;
            let length = RECORD_HEAD_BYTES.saturating_add(entry.payload.len());
            at = at.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
            placed.push(Placed { start, end: Position { file: open.id, offset: at } });
        }
        let is_late = is_planted(Bug::AckBeforeSync);
        let before = if is_late { open.file.sync() } else { Ok(()) };
        let written = before.and_then(|()| open.file.write(&self.buffer));
        let done = written.and_then(|()| if is_late { Ok(()) } else { open.file.sync() });
        if let Err(error) = done {
            self.left.push(open.id);
            return Err(error.into());
        }
        open.bytes = at;
        self.open = Some(open);
        Ok(placed)
    }

    // The number is used up even when the file cannot be made: a name never has two lives.
    fn create(&mut self) -> Result<OpenFile, WalError> {
        let id = self.next_id;
        self.next_id = id.saturating_add(1);
        let created = self.disk.create(&file_path(&self.folder, id)).and_then(|mut file| {
            file.write(&file_header(id))?;
            file.sync()?;
            self.disk.sync_folder(&self.folder)?;
            Ok(file)
        });
        if created.is_err() {
            self.left.push(id);
        }
        let file = created?;
        let bytes = u64::try_from(HEADER_BYTES).unwrap_or(u64::MAX);
        Ok(OpenFile { id, bytes, file })
    }
}
