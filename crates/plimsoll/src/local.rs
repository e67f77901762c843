//! Sends what this process collects through the same doorway as everybody else's frames.
//!
//! Holds ONCE and ACK: a frame keeps its number until it is acknowledged, and is sent again until
//! then, with growing pauses.
//! Not here: making batches (`collect`, `simulate`).

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use plimsoll_ingest::Ingest;
use plimsoll_model::{Batch, Clock, ErrorClass, chain};
use plimsoll_wire::{FrameId, SenderId};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// File in the data folder that holds this sender's identity.
const SENDER_FILE: &str = "sender";
/// Batches sent at once.
const BATCHES_MAX: usize = 32;
const PAUSE_MIN: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(15);
/// How often the last frames are tried once the program is asked to end.
const TRIES_AT_END: u32 = 3;

/// Why the sender has no identity.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum LocalError {
    /// The file cannot be read or written.
    #[error("cannot keep the identity of the sender in {path}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
}

/// Sends batches of this process.
#[derive(Debug)]
pub(crate) struct Local {
    ingest: Ingest,
    next: FrameId,
}

impl Local {
    /// A sender with the identity kept in the data folder; made when it is new.
    pub(crate) fn new(
        dir: &Path,
        ingest: Ingest,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, LocalError> {
        let sender = identity(&dir.join(SENDER_FILE))?;
        let epoch = u64::try_from(clock.now_ms()).unwrap_or(0);
        Ok(Self { ingest, next: FrameId { sender, epoch, sequence: 1 } })
    }

    /// Sends until the other end of `batches` is dropped.
    pub(crate) async fn run(mut self, mut batches: mpsc::Receiver<Batch>, end: CancellationToken) {
        let mut waiting = Vec::new();
        while batches.recv_many(&mut waiting, BATCHES_MAX).await > 0 {
            let frames: Vec<Vec<u8>> =
                waiting.drain(..).filter_map(|batch| self.frame(&batch)).collect();
            self.send(Bytes::from(frames.concat()), &end).await;
        }
    }

    fn frame(&mut self, batch: &Batch) -> Option<Vec<u8>> {
        if batch.num_rows() == 0 {
            return None;
        }
        match plimsoll_wire::encode(batch, self.next) {
            Ok(frame) => {
                self.next.sequence = self.next.sequence.saturating_add(1);
                Some(frame)
            }
            Err(error) => {
                let table = batch.table().name();
                tracing::error!(table, error = %chain(&error), "batch dropped");
                None
            }
        }
    }

    async fn send(&self, body: Bytes, end: &CancellationToken) {
        let (mut pause, mut tries_at_end) = (PAUSE_MIN, 0);
        loop {
            let error = match self.ingest.frames(body.clone()).await {
                Ok(answer) => {
                    for rejected in &answer.rejected {
                        tracing::error!(reason = %rejected.reason, "own frame rejected");
                    }
                    return;
                }
                Err(error) => error,
            };
            let later = matches!(error.class(), ErrorClass::Busy | ErrorClass::Bug);
            tries_at_end += u32::from(end.is_cancelled());
            if !later || tries_at_end >= TRIES_AT_END {
                tracing::error!(error = %chain(&error), "own frames dropped");
                return;
            }
            tracing::warn!(error = %chain(&error), "own frames wait");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

fn identity(path: &Path) -> Result<SenderId, LocalError> {
    let failed = |source| LocalError::File { path: path.to_owned(), source };
    match std::fs::read_to_string(path) {
        Ok(text) => {
            if let Some(sender) = SenderId::from_hex(text.trim()) {
                return Ok(sender);
            }
            tracing::warn!("the identity of the sender was unreadable and is made anew");
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(source) => return Err(failed(source)),
    }
    let sender = SenderId(*uuid::Uuid::new_v4().as_bytes());
    std::fs::write(path, format!("{sender}\n")).map_err(failed)?;
    Ok(sender)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_made_once_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(SENDER_FILE);
        let first = identity(&path).unwrap();
        assert_eq!(identity(&path).unwrap(), first);
        std::fs::write(&path, "nonsense").unwrap();
        assert_ne!(identity(&path).unwrap(), first);
    }
}
