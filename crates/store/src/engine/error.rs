//! Why a store refuses a call, and what becomes of one frame.

use std::sync::Arc;

use plimsoll_model::{BatchError, ErrorClass};
use plimsoll_wire::FrameError;
use serde::Serialize;

use crate::disk::DiskError;
use crate::manifest::ManifestError;
use crate::retention::{AuditError, SelectorError};
use crate::segment::SegmentError;
use crate::wal::WalError;

/// Why a store takes no frames at the moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "reason", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReadOnly {
    /// The disk is nearly full.
    #[error("only {free_bytes} bytes are free on disk, below the minimum of {min_bytes}")]
    DiskLow {
        /// Bytes free when it was last looked at.
        free_bytes: u64,
        /// The option `disk_free_bytes_min`.
        min_bytes: u64,
    },
    /// The last group of frames could not be made durable. The next group tries again.
    #[error("the last write to the write-ahead log failed: {error}")]
    WalFailed {
        /// What failed, with its causes.
        error: String,
    },
}

/// Why a call on a store failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process (or another store of this process) uses the directory.
    #[error("the data directory is in use by another process")]
    InUse {
        /// What the lock said.
        source: DiskError,
    },
    /// The disk refused.
    #[error("the data directory cannot be used")]
    Disk(#[from] DiskError),
    /// The frames could not be made durable; none is acknowledged.
    #[error("frames could not be written")]
    Wal {
        /// Shared by all calls of one group.
        source: Arc<WalError>,
    },
    /// The WAL cannot be read.
    #[error("the write-ahead log cannot be read")]
    Replay(#[from] WalError),
    /// The manifest could not be written.
    #[error("the list of segments could not be written")]
    Manifest(#[from] ManifestError),
    /// A segment could not be written or read.
    #[error("a segment could not be written or opened")]
    Segment(#[from] SegmentError),
    /// Frames are refused until the reason is gone.
    #[error("the store takes no frames now")]
    ReadOnly {
        /// Why.
        source: ReadOnly,
    },
    /// Frames come faster than they can be written out.
    #[error("the store is busy: {what} is at {found} bytes, the limit is {max}")]
    Busy {
        /// What is full.
        what: &'static str,
        /// How full.
        found: u64,
        /// Its limit.
        max: u64,
    },
    /// A selector does not parse.
    #[error("the selector cannot be used")]
    Selector(#[from] SelectorError),
    /// What was asked for was not done, because it could not be written down.
    #[error("the audit log could not be written")]
    Audit(#[from] AuditError),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// A thread of the store ended by a fault.
    #[error("a thread of the store has ended: {what}")]
    Thread {
        /// Which.
        what: &'static str,
    },
}

impl StoreError {
    /// What the caller can do.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::InUse { .. } | Self::ReadOnly { .. } | Self::Busy { .. } | Self::Closed => {
                ErrorClass::Busy
            }
            // The store tries a new file with the next frames: later may work.
            Self::Wal { .. } => ErrorClass::Busy,
            Self::Disk(error) => error.class(),
            Self::Replay(error) => error.class(),
            Self::Manifest(error) => error.class(),
            Self::Segment(error) => error.class(),
            Self::Selector(error) => error.class(),
            Self::Audit(error) => error.class(),
            Self::Thread { .. } => ErrorClass::Bug,
        }
    }
}

/// Why one frame was refused for good.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// The bytes are not a frame this store can read.
    #[error("the frame cannot be read")]
    Frame(#[from] FrameError),
    /// Its rows do not form a batch.
    #[error("the rows of the frame cannot be used")]
    Rows(#[from] BatchError),
    /// No row is inside retention and at most `future_max` ahead.
    #[error("none of {rows} rows lies between {oldest_ms} and {newest_ms} ms")]
    Times {
        /// Rows of the frame.
        rows: u64,
        /// Oldest time accepted.
        oldest_ms: i64,
        /// Newest time accepted.
        newest_ms: i64,
    },
    /// The sender has started so often since that nobody knows whether the frame was kept.
    #[error("the sender's epoch {epoch} is too old")]
    Epoch {
        /// The frame's epoch.
        epoch: u64,
    },
}

impl Rejection {
    /// As the frame's error says; the rest is the sender's mistake.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Frame(error) => error.class(),
            Self::Rows(error) => error.class(),
            Self::Times { .. } | Self::Epoch { .. } => ErrorClass::Invalid,
        }
    }
}

/// What became of one frame. `New` and `Duplicate` are durable.
#[derive(Debug)]
pub enum Appended {
    /// It was kept.
    New {
        /// Rows kept; rows outside the accepted times are left out and counted.
        rows: u64,
        /// Samples kept.
        samples: u64,
    },
    /// It had been kept before; nothing changed.
    Duplicate,
    /// It was not kept, and sending it again would change nothing.
    Rejected {
        /// Why.
        reason: Rejection,
    },
}
