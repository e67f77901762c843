//! One process per data directory.

use std::fs::{File, OpenOptions};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use super::{DiskError, Operation};

/// Holds a data directory for this process until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock file at `path`, making it if needed.
    ///
    /// # Errors
    ///
    /// [`DiskError`] of kind `WouldBlock` when another process (or store) holds it.
    pub fn take(path: &Path) -> Result<Self, DiskError> {
        let refused =
            |source| DiskError { operation: Operation::Lock, path: path.to_owned(), source };
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(refused)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)
            .map_err(|error| refused(error.into()))?;
        Ok(Self { _file: file })
    }
}
