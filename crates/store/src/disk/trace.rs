//! What was done to a disk, in order, for tests that ask what a power cut would leave of it.
//!
//! Not in a release build: behind `cfg(test)` or the feature `sabotage`. What may be lost at which
//! moment is decided by the test that reads the trace.

use std::path::PathBuf;

/// One change of a disk. A file keeps its number when it is renamed.
#[derive(Debug, Clone)]
pub enum Event {
    /// A folder was made; its name is durable after [`Event::SyncFolder`] of the one above.
    CreateFolder(PathBuf),
    /// A new, empty file was made.
    Create {
        /// Its number.
        file: u64,
        /// Its name.
        path: PathBuf,
    },
    /// Bytes were added at the end of a file.
    Write {
        /// Its number.
        file: u64,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// What was written to a file so far is durable.
    Sync {
        /// Its number.
        file: u64,
    },
    /// A sync failed: the system forgot what was not durable.
    Forget {
        /// Its number.
        file: u64,
    },
    /// The file of this name, written by somebody else, has these bytes; not durable yet.
    Found {
        /// Its name.
        path: PathBuf,
        /// All of its bytes.
        bytes: Vec<u8>,
    },
    /// What was written to the file of this name is durable.
    SyncPath(PathBuf),
    /// The names in a folder are durable.
    SyncFolder(PathBuf),
    /// A file got another name, replacing what had it.
    Rename {
        /// The old name.
        from: PathBuf,
        /// The new name.
        to: PathBuf,
    },
    /// A name was taken away.
    Remove(PathBuf),
    /// The test noted something, for example that a frame was acknowledged.
    Note(u64),
}
