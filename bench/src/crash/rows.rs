//! The rows of frame number `n`: a pure function, so that the judge knows what must be there.

use plimsoll_model::{Batch, BatchBuilder, Dimension, Subject};
use plimsoll_wire::{FrameEncoder, FrameId, SenderId};

/// Rows in each frame, one per container.
pub const ROWS: u64 = 5;
/// The time of frame 0, Unix milliseconds.
pub const START_MS: i64 = 1_790_000_000_000;
/// The clock of every store in a crash run: long after all frames of any run.
pub const NOW_MS: i64 = START_MS + 86_400_000;

/// The sender of all frames.
pub const SENDER: SenderId = SenderId(*b"crash-rig-writer");

/// Time of frame `n`.
pub fn time_ms(n: u64) -> i64 {
    START_MS + n as i64
}

/// The value of the counter of container `container` in frame `n`.
pub fn value(n: u64, container: u64) -> i64 {
    (n * 1_000 + container * 7 + (n * n) % 13) as i64
}

/// Name of container `container`.
pub fn name(container: u64) -> String {
    format!("{container:064x}")
}

/// The bytes of frame `n`.
///
/// # Errors
///
/// A sentence that says what the registry or the encoder refused.
pub fn frame(encoder: &mut FrameEncoder, n: u64) -> Result<Vec<u8>, String> {
    let table = Batch::find_table("container").map_err(|error| error.to_string())?;
    let mut builder = BatchBuilder::new(table);
    for container in 0..ROWS {
        let mut subject = Subject::node("crash", "n1");
        subject.set(Dimension::Service, format!("s{}", container % 2).into());
        subject.set(Dimension::ContainerId, name(container).into());
        builder.row(time_ms(n), &subject, &[]);
        builder
            .int("cpu_usage_us", Some(value(n, container)))
            .map_err(|error| error.to_string())?;
    }
    let batch = builder.finish().map_err(|error| error.to_string())?;
    let id = FrameId { sender: SENDER, epoch: 1, sequence: n + 1 };
    encoder.encode(&batch, id).map_err(|error| error.to_string())
}
