//! The bytes of one WAL file: a header, then records.
//!
//! The checksum of a record also covers its file's id and its own offset, so that bytes which stand
//! in a wrong place, or a record inside another record's payload, never pass for a record.
//! The byte diagram is `docs/formats/wal.md`.
//!
//! Not here: files and folders (`wal::writer`, `wal::replay`).

use crate::sabotage::{Bug, is_planted};

/// First bytes of every WAL file.
pub(super) const FILE_MAGIC: [u8; 8] = *b"\x89PLWAL\r\n";
/// The format this program writes and reads.
pub(super) const FORMAT: u32 = 1;
/// Bytes of a file's header.
pub(super) const HEADER_BYTES: usize = 24;
/// First bytes of every record.
pub(super) const RECORD_MAGIC: [u8; 4] = [0xd7, b'R', b'E', b'C'];
/// Bytes of a record before its payload.
pub(super) const RECORD_HEAD_BYTES: usize = 20;

/// The header of file `id`.
pub(super) fn file_header(id: u64) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    let mut put = |at: usize, bytes: &[u8]| {
        for (place, byte) in header.iter_mut().skip(at).zip(bytes) {
            *place = *byte;
        }
    };
    put(0, &FILE_MAGIC);
    put(8, &FORMAT.to_le_bytes());
    put(12, &id.to_le_bytes());
    let crc = crc32c::crc32c(header.first_chunk::<20>().map_or(&[], |covered| covered));
    for (place, byte) in header.iter_mut().skip(20).zip(crc.to_le_bytes()) {
        *place = byte;
    }
    header
}

/// Whether these are the first bytes of file `id`.
pub(super) fn is_file_header(bytes: &[u8], id: u64) -> bool {
    bytes == file_header(id)
}

/// Appends one record that will stand at `offset` of file `id`.
pub(super) fn put_record(
    out: &mut Vec<u8>,
    id: u64,
    offset: u64,
    received_ms: i64,
    payload: &[u8],
) -> Result<(), std::num::TryFromIntError> {
    let length = u32::try_from(payload.len())?;
    let crc = checksum(id, offset, length, received_ms, payload);
    out.extend_from_slice(&RECORD_MAGIC);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(&received_ms.to_le_bytes());
    out.extend_from_slice(payload);
    Ok(())
}

/// The head of a record, not yet believed.
#[derive(Debug, Clone, Copy)]
pub(super) struct RecordHead {
    pub(super) payload_bytes: usize,
    pub(super) received_ms: i64,
    crc: u32,
}

impl RecordHead {
    /// Reads a head; `None` when the bytes do not start with a record's magic or are too few.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk::<4>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (crc, rest) = rest.split_first_chunk::<4>()?;
        let (received_ms, _) = rest.split_first_chunk::<8>()?;
        (*magic == RECORD_MAGIC).then_some(Self {
            payload_bytes: usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX),
            received_ms: i64::from_le_bytes(*received_ms),
            crc: u32::from_le_bytes(*crc),
        })
    }

    /// Whether this is the head of `payload` at this place.
    pub(super) fn holds(&self, id: u64, offset: u64, payload: &[u8]) -> bool {
        if is_planted(Bug::SkipCrc) {
            return true;
        }
        u32::try_from(payload.len())
            .is_ok_and(|length| checksum(id, offset, length, self.received_ms, payload) == self.crc)
    }
}

fn checksum(id: u64, offset: u64, length: u32, received_ms: i64, payload: &[u8]) -> u32 {
    if is_planted(Bug::CrcWithoutLength) {
        return crc32c::crc32c(payload);
    }
    let mut place = [0_u8; 28];
    let fields = id
        .to_le_bytes()
        .into_iter()
        .chain(offset.to_le_bytes())
        .chain(length.to_le_bytes())
        .chain(received_ms.to_le_bytes());
    for (byte, value) in place.iter_mut().zip(fields) {
        *byte = value;
    }
    crc32c::crc32c_append(crc32c::crc32c(&place), payload)
}
