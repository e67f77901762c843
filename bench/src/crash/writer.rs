//! The process that is killed: appends frames and prints the number of each acknowledged one.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use plimsoll_model::ErrorClass;
use plimsoll_model::time::ManualClock;
use plimsoll_store::{Appended, Store, StoreOptions};
use plimsoll_wire::{FrameEncoder, FrameLimits};

use crate::crash::process::Orders;
use crate::crash::rows;

/// Frames that wait for their acknowledgement at the same time.
const IN_FLIGHT: u64 = 4;

/// A store that flushes, rotates and compacts all the time, so that a kill hits those too.
pub fn options(folder: &Path) -> StoreOptions {
    let mut options = StoreOptions::new(folder);
    options.wal_segment_bytes = 64 << 10;
    options.head_bytes_max = 64 << 10;
    options.flush_age = Duration::from_millis(150);
    options.disk_free_bytes_min = 0;
    options.compact_interval = Some(Duration::from_millis(100));
    options
}

/// Writes frames as ordered until it is killed, or `frames_max` are written.
///
/// Prints `ready`, the number of each acknowledged frame, `twice` for a frame sent again that was
/// kept again, and `refused` for each time the store had no room.
///
/// # Errors
///
/// A sentence that says what the store refused for good.
pub fn run(folder: &Path, orders: &Orders, frames_max: u64) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(write(folder, orders, frames_max))
}

async fn write(folder: &Path, orders: &Orders, frames_max: u64) -> Result<(), String> {
    let clock = Arc::new(ManualClock::new(rows::NOW_MS));
    let mut options = options(folder);
    options.disk_free_bytes_min = orders.disk_free_bytes_min;
    let store = Store::open(options, clock).map_err(|error| error.to_string())?;
    let mut encoder =
        FrameEncoder::new(FrameLimits::default()).map_err(|error| error.to_string())?;
    say("ready")?;
    for n in &orders.again {
        let frame = Bytes::from(rows::frame(&mut encoder, *n)?);
        if append(&store, frame).await? == Kept::Now {
            say("twice")?;
        }
    }
    let mut next = orders.first;
    while next < orders.first + frames_max {
        let mut waiting = tokio::task::JoinSet::new();
        for n in next..next + IN_FLIGHT {
            let frame = Bytes::from(rows::frame(&mut encoder, n)?);
            let store = store.clone();
            waiting.spawn(async move { append(&store, frame).await.map(|_| n) });
        }
        while let Some(result) = waiting.join_next().await {
            let n = result.map_err(|error| error.to_string())??;
            say(&n.to_string())?;
        }
        next += IN_FLIGHT;
    }
    store.close().await.map_err(|error| error.to_string())
}

/// When a frame was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    Now,
    Before,
}

async fn append(store: &Store, frame: Bytes) -> Result<Kept, String> {
    for _ in 0..10_000 {
        match store.append(vec![frame.clone()]).await {
            Ok(answers) => match answers.first() {
                Some(Appended::New { .. }) => return Ok(Kept::Now),
                Some(Appended::Duplicate) => return Ok(Kept::Before),
                other => return Err(format!("a frame was refused: {other:?}")),
            },
            Err(error) if error.class() == ErrorClass::Busy => {
                say("refused")?;
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            Err(error) => return Err(error.to_string()),
        }
    }
    Err("the store stayed busy".to_owned())
}

/// Prints a line at once. It is in the pipe before the next frame is sent: a kill cannot take
/// it back.
fn say(text: &str) -> Result<(), String> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|error| error.to_string())
}
