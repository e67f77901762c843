//! Frames in, durable, flushed to segments: what the server pays per sample.

use std::path::Path;
use std::sync::Arc;

use plimsoll_model::time::ManualClock;
use plimsoll_store::{Appended, Store, StoreOptions};
use serde::{Deserialize, Serialize};

use crate::cost;
use crate::frames::{FrameFile, Requests};

/// Requests that wait for their acknowledgement at the same time, as from that many agents.
const IN_FLIGHT: usize = 8;

/// What one run cost.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measured {
    /// Samples that were acknowledged.
    pub samples: u64,
    /// CPU seconds of the process, user and system, from the first frame to the closed store.
    pub cpu_s: f64,
    /// Million samples per CPU second.
    pub million_samples_per_cpu_s: f64,
    /// Peak resident memory of the process.
    pub peak_memory_bytes: u64,
    /// Bytes of all segments.
    pub segment_bytes: u64,
    /// Segment bytes per sample.
    pub bytes_per_sample: f64,
}

/// Feeds a frame file to a new store in `folder`, closes it, and says what that cost.
///
/// `now_ms`: what the store's clock shows, so that made-up rows are neither too old nor in
/// the future.
///
/// # Errors
///
/// A sentence that says what failed; a rejected frame is a failure too.
pub fn run(frames: &FrameFile, folder: &Path, now_ms: i64) -> Result<Measured, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let before_s = cost::cpu_seconds();
    runtime.block_on(feed(frames, folder, now_ms))?;
    let cpu_s = cost::cpu_seconds() - before_s;
    let segment_bytes = cost::folder_bytes(&folder.join("segments"));
    let samples = frames.samples;
    Ok(Measured {
        samples,
        cpu_s,
        million_samples_per_cpu_s: samples as f64 / 1e6 / cpu_s.max(1e-9),
        peak_memory_bytes: cost::peak_memory_bytes(),
        segment_bytes,
        bytes_per_sample: segment_bytes as f64 / samples.max(1) as f64,
    })
}

async fn feed(frames: &FrameFile, folder: &Path, now_ms: i64) -> Result<(), String> {
    let clock = Arc::new(ManualClock::new(now_ms));
    let store = Store::open(StoreOptions::new(folder), clock).map_err(|error| error.to_string())?;
    let mut waiting = tokio::task::JoinSet::new();
    let mut rows = 0;
    for request in Requests::open(&frames.path)? {
        if waiting.len() >= IN_FLIGHT {
            rows += finished(waiting.join_next().await)?;
        }
        let store = store.clone();
        waiting.spawn(async move { send(&store, request).await });
    }
    while let Some(result) = waiting.join_next().await {
        rows += finished(Some(result))?;
    }
    store.close().await.map_err(|error| error.to_string())?;
    if rows == frames.rows { Ok(()) } else { Err(format!("{rows} rows of {} stored", frames.rows)) }
}

fn finished(
    result: Option<Result<Result<u64, String>, tokio::task::JoinError>>,
) -> Result<u64, String> {
    match result {
        Some(Ok(rows)) => rows,
        Some(Err(error)) => Err(error.to_string()),
        None => Ok(0),
    }
}

/// Sends one request; as a client would, it waits and sends again when the store is busy.
async fn send(store: &Store, request: bytes::Bytes) -> Result<u64, String> {
    let frames: Vec<_> = plimsoll_wire::split(&request)
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())?;
    for _ in 0..10_000 {
        match store.append(frames.clone()).await {
            Ok(answers) => {
                return answers
                    .into_iter()
                    .map(|answer| match answer {
                        Appended::New { rows, .. } => Ok(rows),
                        other => Err(format!("a frame was not new: {other:?}")),
                    })
                    .sum();
            }
            Err(error) if error.class() == plimsoll_model::ErrorClass::Busy => {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            Err(error) => return Err(error.to_string()),
        }
    }
    Err("the store stayed busy".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{frames, scenario};

    /// The benchmark itself works, with a tiny fleet.
    #[test]
    fn tiny_fleet_is_stored_whole() {
        let folder = tempfile::tempdir().unwrap();
        let scenario = scenario::read("tiny").unwrap();
        let file = frames::file("tiny", &scenario, folder.path()).unwrap();
        let measured = run(&file, &folder.path().join("data"), frames::end_ms(&scenario)).unwrap();
        assert!(measured.samples > 10_000);
        assert!(measured.segment_bytes > 0);
    }
}
