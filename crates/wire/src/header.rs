//! The fixed part of a frame: its layout, its checks, its identity.
//!
//! Keeps true: no length is believed before the checksum over all bytes holds.
//! Not here: the body (`body`, `decode`, `encode`).

use std::fmt;

use plimsoll_model::{Batch, Table};

use crate::FrameError;

/// First bytes of every frame. The high bit shows text-mode damage, as in PNG.
pub(crate) const MAGIC: [u8; 4] = [0x89, b'P', b'L', b'F'];
/// The format this program writes and reads.
pub(crate) const FORMAT: u16 = 1;
/// Bytes before the table's name.
pub(crate) const FIXED_BYTES: usize = 52;
/// Bytes of the checksum at the end.
pub(crate) const CRC_BYTES: usize = 4;
/// Where the frame's length stands.
const LENGTH_AT: usize = 8;
/// Fewest bytes of any frame: a name of one byte, no body.
const FRAME_BYTES_MIN: usize = FIXED_BYTES.saturating_add(1).saturating_add(CRC_BYTES);

/// Who sends: random, made once per installation of a sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct SenderId(pub [u8; 16]);

impl SenderId {
    /// Reads the 32 hexadecimal digits that [`Display`](fmt::Display) writes; `None` for anything
    /// else.
    pub fn from_hex(text: &str) -> Option<Self> {
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        u128::from_str_radix(text, 16).ok().map(|bits| Self(bits.to_be_bytes()))
    }
}

impl fmt::Display for SenderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// The identity of one frame. A frame that comes again with the same identity changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FrameId {
    /// Who sends.
    pub sender: SenderId,
    /// Start of the sending process in Unix milliseconds; grows from start to start.
    pub epoch: u64,
    /// Counts the frames of one epoch, from 1.
    pub sequence: u64,
}

impl fmt::Display for FrameId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.sender, self.epoch, self.sequence)
    }
}

/// What a frame says about itself.
#[derive(Debug, Clone, Copy)]
pub struct FrameHeader {
    /// Which frame it is.
    pub id: FrameId,
    /// The table its rows belong to.
    pub table: &'static Table,
    /// Number of rows.
    pub rows: u32,
    /// Bytes of the whole frame, checksum included.
    pub frame_bytes: usize,
    /// Bytes of the body once decompressed.
    pub body_bytes: usize,
}

/// How large a frame may be. Checked before memory is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameLimits {
    /// Bytes of a whole frame.
    pub frame_bytes_max: usize,
    /// Bytes of a body once decompressed.
    pub body_bytes_max: usize,
    /// Rows of a frame.
    pub rows_max: u32,
}

impl Default for FrameLimits {
    fn default() -> Self {
        Self { frame_bytes_max: 8 << 20, body_bytes_max: 32 << 20, rows_max: 1 << 17 }
    }
}

impl FrameLimits {
    pub(crate) fn check_frame(&self, bytes: usize) -> Result<(), FrameError> {
        check("bytes", bytes, self.frame_bytes_max)
    }

    pub(crate) fn check_body(&self, bytes: usize) -> Result<(), FrameError> {
        check("bytes of body", bytes, self.body_bytes_max)
    }

    pub(crate) fn check_rows(&self, rows: u32) -> Result<(), FrameError> {
        if rows > self.rows_max {
            let (found, max) = (u64::from(rows), u64::from(self.rows_max));
            return Err(FrameError::Limit { what: "rows", found, max });
        }
        Ok(())
    }
}

fn check(what: &'static str, found: usize, max: usize) -> Result<(), FrameError> {
    if found > max {
        return Err(FrameError::Limit { what, found: wide(found), max: wide(max) });
    }
    Ok(())
}

/// A length as the errors show it.
pub(crate) fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// Reads how long the frame at the start of `bytes` says it is, checking only magic and format.
///
/// The length is a claim until the checksum is checked; it is at least [`FRAME_BYTES_MIN`].
pub(crate) fn claimed_bytes(bytes: &[u8]) -> Result<usize, FrameError> {
    let short = || FrameError::Short { expected: wide(FRAME_BYTES_MIN), found: wide(bytes.len()) };
    let magic = bytes.first_chunk::<4>().ok_or_else(short)?;
    if *magic != MAGIC {
        return Err(FrameError::Magic { found: *magic });
    }
    let rest = bytes.get(LENGTH_AT..).ok_or_else(short)?;
    let length = rest.first_chunk::<4>().ok_or_else(short)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    if length < FRAME_BYTES_MIN {
        return Err(FrameError::Header { what: "its length is below that of any frame" });
    }
    Ok(length)
}

/// Checks the checksum and all header fields of exactly one frame.
///
/// Returns the header and the compressed body.
pub(crate) fn read<'a>(
    bytes: &'a [u8],
    limits: &FrameLimits,
) -> Result<(FrameHeader, &'a [u8]), FrameError> {
    limits.check_frame(bytes.len())?;
    let claimed = claimed_bytes(bytes)?;
    if claimed > bytes.len() {
        return Err(FrameError::Short { expected: wide(claimed), found: wide(bytes.len()) });
    }
    if claimed < bytes.len() {
        return Err(FrameError::Trailing { bytes: wide(bytes.len().saturating_sub(claimed)) });
    }
    let short = || FrameError::Short { expected: wide(claimed), found: wide(bytes.len()) };
    let (covered, crc) = bytes.split_last_chunk::<CRC_BYTES>().ok_or_else(short)?;
    let (wrote, found) = (u32::from_le_bytes(*crc), crc32c::crc32c(covered));
    if wrote != found {
        return Err(FrameError::Checksum { found, wrote });
    }
    fields(covered, claimed, limits)
}

fn fields<'a>(
    covered: &'a [u8],
    frame_bytes: usize,
    limits: &FrameLimits,
) -> Result<(FrameHeader, &'a [u8]), FrameError> {
    let short = FrameError::Header { what: "a field is cut" };
    let parsed = (|| {
        let (_magic, rest) = covered.split_first_chunk::<4>()?;
        let (format, rest) = rest.split_first_chunk::<2>()?;
        let (name_bytes, rest) = rest.split_first()?;
        let (flags, rest) = rest.split_first()?;
        let (_length, rest) = rest.split_first_chunk::<4>()?;
        let (rows, rest) = rest.split_first_chunk::<4>()?;
        let (sender, rest) = rest.split_first_chunk::<16>()?;
        let (epoch, rest) = rest.split_first_chunk::<8>()?;
        let (sequence, rest) = rest.split_first_chunk::<8>()?;
        let (body_bytes, rest) = rest.split_first_chunk::<4>()?;
        let (name, body) = rest.split_at_checked(usize::from(*name_bytes))?;
        let id = FrameId {
            sender: SenderId(*sender),
            epoch: u64::from_le_bytes(*epoch),
            sequence: u64::from_le_bytes(*sequence),
        };
        let rows = u32::from_le_bytes(*rows);
        let body_bytes = u32::from_le_bytes(*body_bytes);
        Some((u16::from_le_bytes(*format), *flags, rows, id, body_bytes, name, body))
    })();
    let (format, flags, rows, id, body_bytes, name, body) = parsed.ok_or(short)?;
    if format != FORMAT {
        return Err(FrameError::Format { found: format, expected: FORMAT });
    }
    if flags != 0 {
        return Err(FrameError::Header { what: "unknown flags are set" });
    }
    let name = std::str::from_utf8(name)
        .map_err(|_| FrameError::Header { what: "the table's name is not text" })?;
    let body_bytes = usize::try_from(body_bytes).unwrap_or(usize::MAX);
    limits.check_rows(rows)?;
    limits.check_body(body_bytes)?;
    let table = Batch::find_table(name)?;
    Ok((FrameHeader { id, table, rows, frame_bytes, body_bytes }, body))
}

/// Writes everything before the body. The frame's length is put in by [`close`].
pub(crate) fn open(
    out: &mut Vec<u8>,
    table: &str,
    rows: u32,
    id: FrameId,
    body_bytes: u32,
) -> Result<(), FrameError> {
    let name_bytes = u8::try_from(table.len())
        .map_err(|_| FrameError::Header { what: "the table's name is too long" })?;
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&FORMAT.to_le_bytes());
    out.extend_from_slice(&[name_bytes, 0]);
    out.extend_from_slice(&0_u32.to_le_bytes());
    out.extend_from_slice(&rows.to_le_bytes());
    out.extend_from_slice(&id.sender.0);
    out.extend_from_slice(&id.epoch.to_le_bytes());
    out.extend_from_slice(&id.sequence.to_le_bytes());
    out.extend_from_slice(&body_bytes.to_le_bytes());
    out.extend_from_slice(table.as_bytes());
    Ok(())
}

/// Puts the frame's length into its header and the checksum at its end.
pub(crate) fn close(out: &mut Vec<u8>, limits: &FrameLimits) -> Result<(), FrameError> {
    let frame_bytes = out.len().saturating_add(CRC_BYTES);
    limits.check_frame(frame_bytes)?;
    let length = u32::try_from(frame_bytes)
        .map_err(|_| FrameError::Header { what: "the frame is longer than its length field" })?;
    if let Some(place) = out.get_mut(LENGTH_AT..).and_then(|rest| rest.first_chunk_mut::<4>()) {
        *place = length.to_le_bytes();
    }
    let crc = crc32c::crc32c(out);
    out.extend_from_slice(&crc.to_le_bytes());
    Ok(())
}
