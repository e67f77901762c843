//! Turns what arrives into admitted batches; answers only when they are safe.
//!
//! A body of concatenated frames is cut apart, bounded, and handed to the store, which decodes,
//! admits and makes durable. The answer says for each frame whether it was new, known or refused.
//!
//! Holds ACK (an answer means the frames survive power loss), ONCE (a frame that came before
//! changes nothing) and LIMIT (bodies in progress are bounded; more are told to come back).
//! Not here: HTTP (`serve`), decoding and admission (`wire`, `store`), foreign protocols.

mod counts;

use std::sync::Arc;

use bytes::Bytes;
use plimsoll_model::{ErrorClass, chain};
use plimsoll_store::{Appended, Store, StoreError};
use plimsoll_wire::FrameError;
use tokio::sync::Semaphore;

use counts::Counters;
pub use counts::IngestCounts;

/// How much may be in progress at once.
#[derive(Debug, Clone, Copy)]
pub struct IngestLimits {
    /// Bodies in progress; more get [`IngestError::Busy`].
    pub bodies_max: usize,
    /// Frames of one body.
    pub frames_max: usize,
}

impl Default for IngestLimits {
    fn default() -> Self {
        Self { bodies_max: 64, frames_max: 4_096 }
    }
}

/// What became of a body of frames.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FramesAnswer {
    /// Frames that were not known before and are durable now.
    pub new: u64,
    /// Frames that were durable already.
    pub duplicate: u64,
    /// Frames that will never be taken as they are.
    pub rejected: Vec<RejectedFrame>,
    /// Rows of the new frames.
    pub rows: u64,
    /// Samples of the new frames.
    pub samples: u64,
}

/// A frame that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedFrame {
    /// Position in the body, from 0.
    pub index: usize,
    /// Why, in one line.
    pub reason: String,
}

/// Why a body was not taken. Nothing of it was, unless the store failed half way.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IngestError {
    /// The body cannot be cut into frames.
    #[error("the body is not a sequence of frames: frame {index} is not one")]
    Split {
        /// Position of the first frame that is not one, from 0.
        index: usize,
        /// What is wrong with it.
        source: FrameError,
    },
    /// The body has more frames than allowed.
    #[error("the body has more than {max} frames")]
    Frames {
        /// The limit.
        max: usize,
    },
    /// As many bodies as allowed are in progress.
    #[error("{max} bodies of frames are in progress already, try again")]
    Busy {
        /// The limit.
        max: usize,
    },
    /// The store did not take the frames.
    #[error("the frames cannot be stored")]
    Store {
        /// What the store said.
        source: StoreError,
    },
}

impl IngestError {
    /// Whether to send again, to send less, or to correct the sender.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Split { source, .. } => source.class(),
            Self::Frames { .. } => ErrorClass::Limited,
            Self::Busy { .. } => ErrorClass::Busy,
            Self::Store { source } => source.class(),
        }
    }
}

/// The doorway of all samples. Cloning is cheap; clones share limits and counts.
#[derive(Debug, Clone)]
pub struct Ingest {
    store: Store,
    limits: IngestLimits,
    bodies: Arc<Semaphore>,
    counters: Arc<Counters>,
}

impl Ingest {
    /// A doorway to `store`.
    pub fn new(store: Store, limits: IngestLimits) -> Self {
        let bodies = Arc::new(Semaphore::new(limits.bodies_max.min(Semaphore::MAX_PERMITS)));
        Self { store, limits, bodies, counters: Arc::default() }
    }

    /// Takes a body of concatenated frames.
    ///
    /// Returns when the new frames are durable. An empty body is an empty answer.
    ///
    /// # Errors
    ///
    /// [`IngestError`]; a sender tries again later when its class is `Busy` or `Corrupt`.
    pub async fn frames(&self, body: Bytes) -> Result<FramesAnswer, IngestError> {
        let result = self.take(body).await;
        match &result {
            Ok(answer) => self.counters.answered(answer),
            Err(error) => self.counters.failed(error.class()),
        }
        result
    }

    /// What was counted since the start of the process.
    pub fn counts(&self) -> IngestCounts {
        self.counters.read()
    }

    async fn take(&self, body: Bytes) -> Result<FramesAnswer, IngestError> {
        let busy = IngestError::Busy { max: self.limits.bodies_max };
        let _permit = self.bodies.try_acquire().map_err(|_| busy)?;
        let frames = self.split(&body)?;
        if frames.is_empty() {
            return Ok(FramesAnswer::default());
        }
        let body_bytes = u64::try_from(body.len()).unwrap_or(u64::MAX);
        drop(body);
        let appended =
            self.store.append(frames).await.map_err(|source| IngestError::Store { source })?;
        self.counters.stored(body_bytes);
        let mut answer = FramesAnswer::default();
        for (index, appended) in appended.into_iter().enumerate() {
            match appended {
                Appended::New { rows, samples } => {
                    answer.new += 1;
                    answer.rows += rows;
                    answer.samples += samples;
                }
                Appended::Duplicate => answer.duplicate += 1,
                Appended::Rejected { reason } => {
                    answer.rejected.push(RejectedFrame { index, reason: chain(&reason) });
                }
            }
        }
        Ok(answer)
    }

    fn split(&self, body: &Bytes) -> Result<Vec<Bytes>, IngestError> {
        let mut frames = Vec::new();
        for (index, frame) in plimsoll_wire::split(body).enumerate() {
            if index >= self.limits.frames_max {
                return Err(IngestError::Frames { max: self.limits.frames_max });
            }
            frames.push(frame.map_err(|source| IngestError::Split { index, source })?);
        }
        Ok(frames)
    }
}
