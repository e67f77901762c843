//! Bodies of frames through the doorway: new, known, refused, and what is not frames at all.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::sync::Arc;

use bytes::Bytes;
use plimsoll_ingest::{FramesAnswer, Ingest, IngestError, IngestLimits};
use plimsoll_model::{Batch, BatchBuilder, ErrorClass, Subject, time::ManualClock};
use plimsoll_store::{Store, StoreOptions};
use plimsoll_wire::{FrameId, SenderId, encode};

/// 2026-11-20T08:00:00Z.
const NOW_MS: i64 = 1_795_161_600_000;

fn frame(sequence: u64) -> Vec<u8> {
    let table = Batch::find_table("container").unwrap();
    let mut builder = BatchBuilder::new(table);
    let subject =
        Subject { service: Arc::from("web"), container_id: Arc::from("c1"), ..Subject::default() };
    let time_ms = NOW_MS - 60_000 + i64::try_from(sequence).unwrap() * 1_000;
    builder.row(time_ms, &subject, &[]);
    builder.int("cpu_usage_us", Some(5)).unwrap();
    builder.int("memory_usage_bytes", Some(7)).unwrap();
    let id = FrameId { sender: SenderId([1; 16]), epoch: 1, sequence };
    encode(&builder.finish().unwrap(), id).unwrap()
}

fn ingest(limits: IngestLimits) -> (tempfile::TempDir, Ingest) {
    let dir = tempfile::tempdir().unwrap();
    let mut options = StoreOptions::new(dir.path());
    options.disk_free_bytes_min = 0;
    let store = Store::open(options, Arc::new(ManualClock::new(NOW_MS))).unwrap();
    (dir, Ingest::new(store, limits))
}

#[tokio::test(flavor = "multi_thread")]
async fn once_a_frame_sent_again_changes_nothing() {
    let (_dir, ingest) = ingest(IngestLimits::default());
    let body = Bytes::from([frame(1), frame(2)].concat());
    let first = ingest.frames(body.clone()).await.unwrap();
    assert_eq!(first, FramesAnswer { new: 2, rows: 2, samples: 4, ..FramesAnswer::default() });
    let second = ingest.frames(body).await.unwrap();
    assert_eq!(second, FramesAnswer { duplicate: 2, ..FramesAnswer::default() });
    let counts = ingest.counts();
    assert_eq!((counts.frames_new, counts.frames_duplicate, counts.samples), (2, 2, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_frame_is_refused_and_the_others_are_taken() {
    let (_dir, ingest) = ingest(IngestLimits::default());
    let mut damaged = frame(1);
    let last = damaged.len() - 6;
    damaged[last] ^= 1;
    let answer = ingest.frames(Bytes::from([damaged, frame(2)].concat())).await.unwrap();
    assert_eq!((answer.new, answer.rejected.len()), (1, 1));
    assert_eq!(answer.rejected[0].index, 0);
    assert!(answer.rejected[0].reason.contains("corrupt"), "{}", answer.rejected[0].reason);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_frames_is_an_error_that_names_the_place() {
    let (_dir, ingest) = ingest(IngestLimits { bodies_max: 1, frames_max: 2 });
    let junk = [frame(1), b"hello, this is not a frame".to_vec()].concat();
    let error = ingest.frames(Bytes::from(junk)).await.unwrap_err();
    assert!(matches!(error, IngestError::Split { index: 1, .. }), "{error}");
    assert_eq!(error.class(), ErrorClass::Corrupt);
    let many = Bytes::from([frame(1), frame(2), frame(3)].concat());
    let error = ingest.frames(many).await.unwrap_err();
    assert!(matches!(error, IngestError::Frames { max: 2 }), "{error}");
    assert_eq!(ingest.frames(Bytes::new()).await.unwrap(), FramesAnswer::default());
    assert_eq!(ingest.counts().bodies_bad, 2);
}
