//! Turns a frame back into a batch.
//!
//! Nothing is believed before the checksum over the whole frame holds, and nothing after that is
//! trusted either: every offset is checked against the bytes that are there.
//!
//! Not here: messages and column plans inside the body (`body`), arrays (`columns`).

use std::cell::RefCell;
use std::fmt;
use std::io;

use arrow_buffer::{Buffer, MutableBuffer};
use bytes::Bytes;
use plimsoll_model::Batch;
use zstd::bulk::Decompressor;

use crate::body::Plans;
use crate::header::{self, wide};
use crate::{FrameError, FrameHeader, FrameLimits};

/// Largest window a body may ask for: 2^23 bytes.
const WINDOW_LOG_MAX: u32 = 23;

/// Reads frames; keeps the decompressor and what it learned about schemas between frames.
pub struct FrameDecoder {
    limits: FrameLimits,
    decompressor: Decompressor<'static>,
    plans: Plans,
}

impl fmt::Debug for FrameDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameDecoder").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl FrameDecoder {
    /// A decoder that takes frames within `limits`.
    ///
    /// # Errors
    ///
    /// [`FrameError::Decompress`] when the machine has no memory for a decompressor.
    pub fn new(limits: FrameLimits) -> Result<Self, FrameError> {
        let mut decompressor =
            Decompressor::new().map_err(|source| FrameError::Decompress { source })?;
        decompressor
            .window_log_max(WINDOW_LOG_MAX)
            .map_err(|source| FrameError::Decompress { source })?;
        Ok(Self { limits, decompressor, plans: Plans::default() })
    }

    /// Reads exactly one frame; bytes after it are an error.
    ///
    /// The batch shares one buffer; it does not refer to `bytes`.
    ///
    /// # Errors
    ///
    /// [`FrameError`]; its class says whether to resend, to correct the sender, or to send less.
    pub fn decode(&mut self, bytes: &[u8]) -> Result<(FrameHeader, Batch), FrameError> {
        let (header, packed) = header::read(bytes, &self.limits)?;
        let body = self.unpack(packed, header.body_bytes)?;
        let rows = self.plans.read(&header, &body)?;
        Ok((header, Batch::try_new(header.table, rows)?))
    }

    fn unpack(&mut self, packed: &[u8], body_bytes: usize) -> Result<Buffer, FrameError> {
        let mut body = MutableBuffer::from_len_zeroed(body_bytes);
        let written = self
            .decompressor
            .decompress_to_buffer(packed, body.as_slice_mut())
            .map_err(|source| FrameError::Decompress { source })?;
        if written != body_bytes {
            let source = io::Error::from(io::ErrorKind::UnexpectedEof);
            return Err(FrameError::Decompress { source });
        }
        Ok(body.into())
    }
}

thread_local! {
    static DECODER: RefCell<Option<FrameDecoder>> = const { RefCell::new(None) };
}

/// Reads exactly one frame within the default limits, with a decoder kept per thread.
///
/// # Errors
///
/// As [`FrameDecoder::decode`].
pub fn decode(bytes: &[u8]) -> Result<(FrameHeader, Batch), FrameError> {
    DECODER.with_borrow_mut(|slot| match slot {
        Some(decoder) => decoder.decode(bytes),
        None => slot.insert(FrameDecoder::new(FrameLimits::default())?).decode(bytes),
    })
}

/// Checks the checksum and the header of exactly one frame, without reading its rows.
///
/// # Errors
///
/// As [`FrameDecoder::decode`], except for what only the body can be wrong about.
pub fn peek(bytes: &[u8], limits: &FrameLimits) -> Result<FrameHeader, FrameError> {
    header::read(bytes, limits).map(|(header, _)| header)
}

/// Cuts concatenated frames apart by the lengths they claim; no copy.
///
/// Only magic and length are looked at: each piece still has to be decoded. The first error ends
/// the iteration, because what follows it has no known start.
pub fn split(bytes: &Bytes) -> impl Iterator<Item = Result<Bytes, FrameError>> + use<> {
    let mut rest = bytes.clone();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let cut = header::claimed_bytes(&rest).and_then(|claimed| {
            if claimed > rest.len() {
                let (expected, found) = (wide(claimed), wide(rest.len()));
                return Err(FrameError::Short { expected, found });
            }
            Ok(rest.split_to(claimed))
        });
        if cut.is_err() {
            rest.clear();
        }
        Some(cut)
    })
}
