//! Frames: the self-checking bytes of one batch of rows, as agents send them and the WAL keeps.
//!
//! A frame names its table, its sender and its place in that sender's sequence, carries the rows as
//! a compressed Arrow IPC stream, and ends in a checksum of everything before it.
//!
//! Holds CORRUPT: cut or changed bytes are an error, never another batch; and LIMIT: what is
//! allocated is bounded by [`FrameLimits`] before it is allocated.
//! Not here: who sends frames (`collect`), who keeps them (`store`). The byte diagram is
//! `docs/formats/frame.md`.

#![deny(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

mod body;
mod columns;
mod decode;
mod encode;
mod error;
mod header;
pub mod pack;
pub mod stream;

pub use decode::{FrameDecoder, decode, peek, split};
pub use encode::{FrameEncoder, encode};
pub use error::FrameError;
pub use header::{FrameHeader, FrameId, FrameLimits, SenderId};
pub use pack::{PackError, pack, unpack};

#[cfg(test)]
#[expect(
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    reason = "made-up rows and byte positions in tests"
)]
mod tests;
