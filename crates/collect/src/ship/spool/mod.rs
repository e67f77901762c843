//! Frames that wait on disk while the server is away.
//!
//! A folder of small files. New frames go into the journal, which has no identities yet: nothing
//! in it was ever sent. When it is full, or its turn has come, the frames of its ticks are merged
//! into few, get their identities and are sealed into a file that never changes; only sealed
//! frames are sent. A frame that may have been sent already is sealed as it is. A sealed file
//! appears by a rename and replaces the journal of the same number, so that a crash leaves the
//! one or the other.
//!
//! Holds ACK for what [`Spool::sync`] returned for, ONCE by the identities, LIMIT (past
//! `bytes_max` the oldest file goes and is counted) and CORRUPT (`record`).
//! Not here: when to spool and when to send (`ship`). All of it blocks.

mod file;
pub(super) mod merge;
mod record;

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::queue::Waiting;
use super::sender::Ids;
use file::{Journal, SealedFile};

/// Rows in a journal before it is sealed: about ten minutes of a hundred containers.
const JOURNAL_ROWS_MAX: u64 = 24_000;
/// Bytes in a journal before it is sealed.
const JOURNAL_BYTES_MAX: u64 = 4 << 20;
/// Bytes in a file of frames that are sealed as they are.
const SEALED_BYTES_MAX: u64 = 1 << 20;

/// Sealed files, however small: a server that comes and goes makes many.
const FILES_MAX: usize = 8_192;

/// What was thrown away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) frames: u64,
    pub(super) rows: u64,
    pub(super) from_ms: i64,
    pub(super) to_ms: i64,
}

impl Lost {
    /// Adds frames of a stretch of time.
    pub(super) fn add(&mut self, frames: u64, rows: u64, from_ms: i64, to_ms: i64) {
        if self.frames == 0 {
            (self.from_ms, self.to_ms) = (from_ms, to_ms);
        }
        self.from_ms = self.from_ms.min(from_ms);
        self.to_ms = self.to_ms.max(to_ms);
        self.frames += frames;
        self.rows += rows;
    }
}

/// The frames on disk.
#[derive(Debug)]
pub(super) struct Spool {
    folder: PathBuf,
    bytes_max: u64,
    /// Oldest first.
    sealed: VecDeque<SealedFile>,
    journal: Option<Journal>,
    /// What is left of the oldest sealed file, once it was read.
    front: Option<VecDeque<Waiting>>,
    next_number: u64,
    /// Numbers of journals that could not be written on; they still have to be sealed.
    left: Vec<u64>,
    lost: Lost,
    /// The same since [`Spool::lost_was_told`]; stands in a file, so that a crash keeps it.
    untold: Lost,
}

impl Spool {
    /// Finds what an earlier process left, and seals its journals.
    pub(super) fn open(folder: &Path, bytes_max: u64, ids: &mut Ids) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let (sealed, journals) = file::list(folder)?;
        let last = sealed.back().map(|file| file.number).max(journals.last().copied());
        let mut spool = Self {
            folder: folder.to_owned(),
            bytes_max,
            sealed,
            journal: None,
            front: None,
            next_number: last.map_or(1, |last| last + 1),
            left: journals,
            lost: file::read_lost(folder),
            untold: Lost::default(),
        };
        spool.untold = spool.lost;
        spool.seal_left(ids)?;
        spool.enforce(false);
        Ok(spool)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames() == 0
    }

    pub(super) fn frames(&self) -> u64 {
        let sealed: u64 = self.sealed.iter().map(|file| file.frames).sum();
        sealed + self.journal.as_ref().map_or(0, |journal| journal.frames)
    }

    pub(super) fn bytes(&self) -> u64 {
        let sealed: u64 = self.sealed.iter().map(|file| file.bytes).sum();
        sealed + self.journal.as_ref().map_or(0, |journal| journal.bytes)
    }

    /// What was thrown away since this was asked last.
    pub(super) fn take_lost(&mut self) -> Lost {
        std::mem::take(&mut self.lost)
    }

    /// What was thrown away stands in the data now.
    pub(super) fn lost_was_told(&mut self) {
        self.untold = Lost::default();
        file::remove_lost(&self.folder);
    }

    fn loses(&mut self, frames: u64, rows: u64, from_ms: i64, to_ms: i64) {
        self.lost.add(frames, rows, from_ms, to_ms);
        self.untold.add(frames, rows, from_ms, to_ms);
        if let Err(error) = file::write_lost(&self.folder, self.untold) {
            tracing::warn!(%error, "what was dropped could not be written down");
        }
    }

    /// Keeps a frame that has no identity yet; it is safe once [`Spool::sync`] returned.
    /// `busy`: the frames in front are on their way.
    pub(super) fn append(&mut self, new: &Waiting, ids: &mut Ids, busy: bool) -> io::Result<()> {
        if self.journal.is_none() {
            let number = self.take_number();
            self.journal = Some(Journal::create(&self.folder, number)?);
        }
        let Some(journal) = &mut self.journal else { return Ok(()) };
        if let Err(error) = journal.append(new) {
            // No byte behind a failed write is trusted again; what is not safe yet moves on.
            self.move_on(Some(new)).map_err(|_| error)?;
        }
        let bytes_max = JOURNAL_BYTES_MAX.min(self.bytes_max / 8);
        let full = self
            .journal
            .as_ref()
            .is_some_and(|journal| journal.rows >= JOURNAL_ROWS_MAX || journal.bytes >= bytes_max);
        if full && let Err(error) = self.seal(ids) {
            tracing::error!(%error, "spool journal was not sealed");
        }
        self.enforce(busy);
        Ok(())
    }

    /// Makes everything appended safe. After an error nothing of it may be taken as safe.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        match self.journal.as_mut().map_or(Ok(()), Journal::sync) {
            Ok(()) => Ok(()),
            Err(error) => self.move_on(None).map_err(|_| error),
        }
    }

    /// Frames in the journal that are not safe and could not be made so.
    pub(super) fn take_unsafe(&mut self) -> Vec<Waiting> {
        self.journal
            .as_mut()
            .map(|journal| std::mem::take(&mut journal.unsafe_frames))
            .unwrap_or_default()
    }

    /// Begins a new journal with what the one before could not make safe. That one is sealed
    /// later, as far as it is whole.
    fn move_on(&mut self, new: Option<&Waiting>) -> io::Result<()> {
        let number = self.take_number();
        let Some(old) = &mut self.journal else { return Ok(()) };
        let mut frames = old.abandon();
        frames.extend(new.cloned());
        let made = Journal::create(&self.folder, number).and_then(|mut journal| {
            for frame in &frames {
                journal.append(frame)?;
            }
            journal.sync()?;
            Ok(journal)
        });
        match made {
            Ok(journal) => {
                self.left.push(old.number);
                self.journal = Some(journal);
                Ok(())
            }
            Err(error) => {
                frames.truncate(frames.len() - usize::from(new.is_some()));
                old.unsafe_frames = frames;
                Err(error)
            }
        }
    }

    /// Seals frames as they are, because they may have been sent already.
    pub(super) fn keep(&mut self, frames: &[Waiting], busy: bool) -> io::Result<()> {
        let mut rest = frames;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = |frame: &&Waiting| {
                bytes += record::bytes_of(frame);
                bytes <= SEALED_BYTES_MAX
            };
            let count = rest.iter().take_while(fits).count().max(1);
            let (part, later) = rest.split_at(count);
            let number = self.take_number();
            self.sealed.push_back(SealedFile::write(&self.folder, number, part)?);
            rest = later;
        }
        self.enforce(busy);
        Ok(())
    }

    /// The oldest frames: as many as fit into `bytes_max`, at least one. Empty: there are none.
    pub(super) fn front(&mut self, bytes_max: usize, ids: &mut Ids) -> io::Result<Vec<Waiting>> {
        loop {
            self.seal_left(ids)?;
            if self.sealed.is_empty() {
                if self.journal.is_none() {
                    return Ok(Vec::new());
                }
                self.seal(ids)?;
                if self.sealed.is_empty() {
                    return Ok(Vec::new());
                }
            }
            self.load_front()?;
            let Some(front) = self.front.as_ref().filter(|front| !front.is_empty()) else {
                self.remove_front();
                continue;
            };
            let mut bytes = 0;
            let fits = |frame: &&Waiting| {
                bytes += frame.frame.len();
                bytes <= bytes_max
            };
            let count = front.iter().take_while(fits).count().max(1);
            return Ok(front.iter().take(count).cloned().collect());
        }
    }

    fn load_front(&mut self) -> io::Result<()> {
        if self.front.is_some() {
            return Ok(());
        }
        let Some(file) = self.sealed.front() else { return Ok(()) };
        let bytes = match fs::read(self.folder.join(&file.name)) {
            Ok(bytes) => Bytes::from(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Bytes::new(),
            Err(error) => return Err(error),
        };
        let (frames, damaged) = record::read(&bytes);
        let found = u64::try_from(frames.len()).unwrap_or(u64::MAX);
        if found < file.frames || damaged > 0 {
            tracing::error!(file = %file.name, bytes = damaged, "spool file was damaged");
            let rows: u64 = frames.iter().map(|frame| frame.rows).sum();
            let (lost_frames, lost_rows) =
                (file.frames.saturating_sub(found), file.rows.saturating_sub(rows));
            let (from_ms, to_ms) = (file.from_ms, file.to_ms);
            self.loses(lost_frames, lost_rows, from_ms, to_ms);
        }
        self.front = Some(frames.into());
        Ok(())
    }

    /// The first `frames` frames arrived, or will never be sent again.
    pub(super) fn remove(&mut self, frames: usize) -> Vec<Waiting> {
        let Some(front) = &mut self.front else { return Vec::new() };
        let removed: Vec<Waiting> = front.drain(..frames.min(front.len())).collect();
        if let Some(file) = self.sealed.front_mut() {
            let count = u64::try_from(removed.len()).unwrap_or(u64::MAX);
            file.frames = file.frames.saturating_sub(count);
            for frame in &removed {
                file.rows = file.rows.saturating_sub(frame.rows);
            }
        }
        if front.is_empty() {
            self.remove_front();
        }
        removed
    }

    fn remove_front(&mut self) {
        self.front = None;
        if let Some(file) = self.sealed.pop_front() {
            file.remove(&self.folder);
        }
    }

    /// Seals the journal.
    fn seal(&mut self, ids: &mut Ids) -> io::Result<()> {
        let Some(journal) = &mut self.journal else { return Ok(()) };
        journal.sync()?;
        let number = journal.number;
        self.seal_journal(number, ids)?;
        self.journal = None;
        Ok(())
    }

    fn seal_left(&mut self, ids: &mut Ids) -> io::Result<()> {
        while let Some(number) = self.left.first().copied() {
            self.seal_journal(number, ids)?;
            self.left.remove(0);
        }
        Ok(())
    }

    fn seal_journal(&mut self, number: u64, ids: &mut Ids) -> io::Result<()> {
        let path = file::journal_path(&self.folder, number);
        let (frames, damaged) = record::read(&Bytes::from(fs::read(&path)?));
        if damaged > 0 {
            // The end of a journal that was cut by a crash was never told to be safe.
            tracing::warn!(bytes = damaged, "end of a spool journal was cut");
        }
        let (merged, lost) = merge::merged(&frames, &mut || ids.next());
        for frame in &lost {
            self.loses(1, frame.rows, frame.from_ms, frame.to_ms);
        }
        if !merged.is_empty() {
            let sealed = SealedFile::write(&self.folder, number, &merged)?;
            let at = self.sealed.partition_point(|file| file.number < number);
            self.sealed.insert(at, sealed);
        }
        fs::remove_file(path)?;
        File::open(&self.folder)?.sync_all()
    }

    /// Throws the oldest files away until the rest fits. Frames on their way stay.
    fn enforce(&mut self, busy: bool) {
        let busy_files = usize::from(busy);
        while self.sealed.len() > busy_files
            && (self.bytes() > self.bytes_max || self.sealed.len() > FILES_MAX)
        {
            let Some(file) = self.sealed.remove(busy_files) else { return };
            if busy_files == 0 {
                self.front = None;
            }
            self.loses(file.frames, file.rows, file.from_ms, file.to_ms);
            file.remove(&self.folder);
        }
    }

    fn take_number(&mut self) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        number
    }
}

#[cfg(test)]
mod tests;
