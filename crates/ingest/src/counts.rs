//! What came through the doorway since the start of the process.
//!
//! Not here: names and texts of the metrics (`schemas/metrics/plimsoll.toml`, `serve`).

use std::sync::atomic::{AtomicU64, Ordering};

use plimsoll_model::ErrorClass;

use crate::FramesAnswer;

/// Counts since the start of the process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IngestCounts {
    /// Frames that were new.
    pub frames_new: u64,
    /// Frames that were known already.
    pub frames_duplicate: u64,
    /// Frames that were refused.
    pub frames_rejected: u64,
    /// Rows of new frames.
    pub rows: u64,
    /// Samples of new frames.
    pub samples: u64,
    /// Bytes of bodies that reached the store.
    pub bytes: u64,
    /// Bodies that were told to come back later.
    pub bodies_busy: u64,
    /// Bodies that were not frames, damaged or too large.
    pub bodies_bad: u64,
    /// Bodies that the store or this program failed on.
    pub bodies_failed: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    frames_new: AtomicU64,
    frames_duplicate: AtomicU64,
    frames_rejected: AtomicU64,
    rows: AtomicU64,
    samples: AtomicU64,
    bytes: AtomicU64,
    bodies_busy: AtomicU64,
    bodies_bad: AtomicU64,
    bodies_failed: AtomicU64,
}

impl Counters {
    pub(crate) fn answered(&self, answer: &FramesAnswer) {
        let rejected = u64::try_from(answer.rejected.len()).unwrap_or(u64::MAX);
        add(&self.frames_new, answer.new);
        add(&self.frames_duplicate, answer.duplicate);
        add(&self.frames_rejected, rejected);
        add(&self.rows, answer.rows);
        add(&self.samples, answer.samples);
    }

    pub(crate) fn stored(&self, bytes: u64) {
        add(&self.bytes, bytes);
    }

    pub(crate) fn failed(&self, class: ErrorClass) {
        let counter = match class {
            ErrorClass::Busy => &self.bodies_busy,
            ErrorClass::Invalid
            | ErrorClass::Limited
            | ErrorClass::Corrupt
            | ErrorClass::Missing => &self.bodies_bad,
            ErrorClass::Bug => &self.bodies_failed,
        };
        add(counter, 1);
    }

    pub(crate) fn read(&self) -> IngestCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        IngestCounts {
            frames_new: read(&self.frames_new),
            frames_duplicate: read(&self.frames_duplicate),
            frames_rejected: read(&self.frames_rejected),
            rows: read(&self.rows),
            samples: read(&self.samples),
            bytes: read(&self.bytes),
            bodies_busy: read(&self.bodies_busy),
            bodies_bad: read(&self.bodies_bad),
            bodies_failed: read(&self.bodies_failed),
        }
    }
}

fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}
