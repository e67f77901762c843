//! What must happen on a disk for bytes to survive: the only place that creates, syncs and renames.
//!
//! A file exists after a power cut once its data and its folder are synced, and not before.
//!
//! Keeps true: a file that is swapped in is whole under its name or absent.
//! Not here: what the bytes mean (`wal`, `manifest`, `segment`).

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

#[cfg(any(test, feature = "sabotage"))]
pub mod faults;
mod lock;
#[cfg(any(test, feature = "sabotage"))]
pub mod trace;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use plimsoll_model::ErrorClass;

#[cfg(any(test, feature = "sabotage"))]
use faults::Faults;
pub use lock::Lock;
#[cfg(any(test, feature = "sabotage"))]
use trace::Event;

use crate::sabotage::{Bug, is_planted};

/// What was tried on a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Make a file or folder.
    Create,
    /// Open a file or list a folder.
    Read,
    /// Write bytes.
    Write,
    /// Make the bytes of a file durable.
    Sync,
    /// Make the names in a folder durable.
    SyncFolder,
    /// Give a file another name.
    Rename,
    /// Take a name away.
    Remove,
    /// Take the lock of a data directory.
    Lock,
}

/// The operating system refused.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation:?} {path}", path = path.display())]
pub struct DiskError {
    /// What was tried.
    pub operation: Operation,
    /// On which path.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

impl DiskError {
    /// A full disk may be freed; anything else is the machine's fault.
    pub fn class(&self) -> ErrorClass {
        match self.source.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::WouldBlock => ErrorClass::Busy,
            io::ErrorKind::NotFound => ErrorClass::Missing,
            _ => ErrorClass::Bug,
        }
    }
}

/// The disk below a data directory.
///
/// A type of its own so that tests can make it fail; see `faults`.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    #[cfg(any(test, feature = "sabotage"))]
    faults: Faults,
}

/// A file that is being written.
#[derive(Debug)]
pub struct DiskFile {
    path: PathBuf,
    file: File,
    #[cfg(any(test, feature = "sabotage"))]
    faults: Faults,
    #[cfg(any(test, feature = "sabotage"))]
    number: u64,
    /// Length that survives a failed sync.
    #[cfg(any(test, feature = "sabotage"))]
    synced_bytes: u64,
}

impl Disk {
    /// The machine's disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// A disk that fails as `faults` says.
    #[cfg(any(test, feature = "sabotage"))]
    pub fn with_faults(faults: Faults) -> Self {
        Self { faults }
    }

    /// Makes a new file that must not exist yet. Its name is durable after
    /// [`Disk::sync_folder`] of its folder.
    ///
    /// # Errors
    ///
    /// [`DiskError`].
    pub fn create(&self, path: &Path) -> Result<DiskFile, DiskError> {
        let file = self.tried(Operation::Create, path, || {
            OpenOptions::new().write(true).create_new(true).open(path)
        })?;
        #[cfg(any(test, feature = "sabotage"))]
        let number = self.faults.next_file();
        #[cfg(any(test, feature = "sabotage"))]
        self.faults.trace(|| Event::Create { file: number, path: path.to_owned() });
        Ok(DiskFile {
            path: path.to_owned(),
            file,
            #[cfg(any(test, feature = "sabotage"))]
            faults: self.faults.clone(),
            #[cfg(any(test, feature = "sabotage"))]
            number,
            #[cfg(any(test, feature = "sabotage"))]
            synced_bytes: 0,
        })
    }

    /// Makes a folder and those above it, and makes their names durable.
    ///
    /// # Errors
    ///
    /// [`DiskError`].
    pub fn create_folder(&self, path: &Path) -> Result<(), DiskError> {
        if path.is_dir() {
            return Ok(());
        }
        let above = path.parent().filter(|above| !above.as_os_str().is_empty());
        if let Some(above) = above {
            self.create_folder(above)?;
        }
        self.tried(Operation::Create, path, || match std::fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        })?;
        #[cfg(any(test, feature = "sabotage"))]
        self.faults.trace(|| Event::CreateFolder(path.to_owned()));
        above.map_or(Ok(()), |above| self.sync_folder(above))
    }

    /// Makes the names in a folder durable.
    ///
    /// # Errors
    ///
    /// [`DiskError`].
    pub fn sync_folder(&self, path: &Path) -> Result<(), DiskError> {
        if is_planted(Bug::NoDirSync) {
            return Ok(());
        }
        self.tried(Operation::SyncFolder, path, || File::open(path)?.sync_all())?;
        #[cfg(any(test, feature = "sabotage"))]
        self.faults.trace(|| Event::SyncFolder(path.to_owned()));
        Ok(())
    }

    /// Makes the bytes of a file durable that something else wrote.
    ///
    /// # Errors
    ///
    /// [`DiskError`]; then the file must not be used, because a second try would say nothing.
    pub fn sync_file(&self, path: &Path) -> Result<(), DiskError> {
        #[cfg(any(test, feature = "sabotage"))]
        self.faults.trace_foreign(path);
        if is_planted(Bug::NoSync) {
            return Ok(());
        }
        self.tried(Operation::Sync, path, || File::open(path)?.sync_all())?;
        #[cfg(any(test, feature = "sabotage"))]
        self.faults.trace(|| Event::SyncPath(path.to_owned()));
        Ok(())
    }

    /// Gives a file another name, replacing what had it, and makes both names durable.
    ///
    /// # Errors
    ///
    /// [`DiskError`].
    pub fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        self.tried(Operation::Rename, to, || std::fs::rename(from, to))?;
        #[cfg(any(test, feature = "sabotage"))]
        self.faults.trace(|| Event::Rename { from: from.to_owned(), to: to.to_owned() });
        for folder in [to.parent(), from.parent()].into_iter().flatten() {
            self.sync_folder(folder)?;
            if from.parent() == to.parent() {
                break;
            }
        }
        Ok(())
    }

    /// Writes a whole file aside, makes it durable and swaps it in under its name.
    ///
    /// # Errors
    ///
    /// [`DiskError`]; the file under `path` is then the old one or, after a failed folder sync,
    /// possibly the new one, but always whole.
    pub fn swap(&self, aside: &Path, path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
        self.remove(aside)?;
        let mut file = self.create(aside)?;
        file.write(bytes)?;
        if is_planted(Bug::RenameBeforeSync) {
            self.rename(aside, path)?;
            return file.sync();
        }
        file.sync()?;
        self.rename(aside, path)
    }

    /// Takes a file away; one that is not there is no error. Not synced: a file that comes back
    /// after a power cut is taken away again.
    ///
    /// # Errors
    ///
    /// [`DiskError`].
    pub fn remove(&self, path: &Path) -> Result<(), DiskError> {
        self.tried(Operation::Remove, path, || match std::fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        })?;
        #[cfg(any(test, feature = "sabotage"))]
        self.faults.trace(|| Event::Remove(path.to_owned()));
        Ok(())
    }

    /// The files in a folder with their lengths, sorted by name; none when there is no folder.
    ///
    /// # Errors
    ///
    /// [`DiskError`].
    pub fn list(&self, folder: &Path) -> Result<Vec<Listed>, DiskError> {
        self.tried(Operation::Read, folder, || {
            let mut files = Vec::new();
            let entries = match std::fs::read_dir(folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(files),
                other => other?,
            };
            for entry in entries {
                let entry = entry?;
                let metadata = entry.metadata()?;
                files.push(Listed {
                    path: entry.path(),
                    bytes: metadata.len(),
                    is_folder: metadata.is_dir(),
                });
            }
            files.sort_by(|left, right| left.path.cmp(&right.path));
            Ok(files)
        })
    }

    /// Reads a whole file of at most `bytes_max` bytes.
    ///
    /// # Errors
    ///
    /// [`DiskError`]; a longer file is one of kind `FileTooLarge`.
    pub fn read(&self, path: &Path, bytes_max: u64) -> Result<Vec<u8>, DiskError> {
        self.tried(Operation::Read, path, || {
            if std::fs::metadata(path)?.len() > bytes_max {
                return Err(io::Error::from(io::ErrorKind::FileTooLarge));
            }
            std::fs::read(path)
        })
    }

    /// Bytes an unprivileged process may still write below `path`.
    ///
    /// # Errors
    ///
    /// [`DiskError`].
    pub fn free_bytes(&self, path: &Path) -> Result<u64, DiskError> {
        #[cfg(any(test, feature = "sabotage"))]
        if let Some(free) = self.faults.free_bytes() {
            return Ok(free);
        }
        self.tried(Operation::Read, path, || {
            let space = rustix::fs::statvfs(path)?;
            Ok(space.f_bavail.saturating_mul(space.f_frsize))
        })
    }

    #[cfg_attr(
        not(any(test, feature = "sabotage")),
        expect(clippy::unused_self, reason = "only a disk with faults looks at itself")
    )]
    fn tried<T>(
        &self,
        operation: Operation,
        path: &Path,
        act: impl FnOnce() -> io::Result<T>,
    ) -> Result<T, DiskError> {
        #[cfg(any(test, feature = "sabotage"))]
        let done = self.faults.strike(operation, path).and_then(|()| act());
        #[cfg(not(any(test, feature = "sabotage")))]
        let done = act();
        done.map_err(|source| DiskError { operation, path: path.to_owned(), source })
    }
}

/// One entry of a folder.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Where it is.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// Whether it is a folder.
    pub is_folder: bool,
}

impl Listed {
    /// Its name, empty when that is not UTF-8.
    pub fn name(&self) -> &str {
        self.path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }
}

impl DiskFile {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes all bytes at the file's end.
    ///
    /// # Errors
    ///
    /// [`DiskError`]; any part of the bytes may be in the file then.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), DiskError> {
        #[cfg(any(test, feature = "sabotage"))]
        let done = match self.faults.strike(Operation::Write, &self.path) {
            Ok(()) => self.put(bytes),
            Err(error) => {
                // A refused write leaves its first half, as a full disk does.
                let half = bytes.len().checked_div(2).unwrap_or(0);
                self.put(bytes.get(..half).unwrap_or_default()).and(Err(error))
            }
        };
        #[cfg(not(any(test, feature = "sabotage")))]
        let done = self.file.write_all(bytes);
        done.map_err(|source| self.error(Operation::Write, source))
    }

    /// Makes what was written durable.
    ///
    /// # Errors
    ///
    /// [`DiskError`]; then nothing in the file is safe, and a second try would say nothing.
    pub fn sync(&mut self) -> Result<(), DiskError> {
        if is_planted(Bug::NoSync) {
            return Ok(());
        }
        #[cfg(any(test, feature = "sabotage"))]
        let done = match self.faults.strike(Operation::Sync, &self.path) {
            Ok(()) => self.file.sync_data().and_then(|()| {
                self.synced_bytes = self.file.metadata()?.len();
                self.faults.trace(|| Event::Sync { file: self.number });
                Ok(())
            }),
            // The system forgets what it could not write, as Linux does; later syncs succeed.
            Err(error) => {
                self.faults.trace(|| Event::Forget { file: self.number });
                self.file.set_len(self.synced_bytes).and(Err(error))
            }
        };
        #[cfg(not(any(test, feature = "sabotage")))]
        let done = self.file.sync_data();
        if is_planted(Bug::IgnoreSyncError) {
            return Ok(());
        }
        done.map_err(|source| self.error(Operation::Sync, source))
    }

    #[cfg(any(test, feature = "sabotage"))]
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.faults.trace(|| Event::Write { file: self.number, bytes: bytes.to_vec() });
        self.file.write_all(bytes)
    }

    fn error(&self, operation: Operation, source: io::Error) -> DiskError {
        DiskError { operation, path: self.path.clone(), source }
    }
}
