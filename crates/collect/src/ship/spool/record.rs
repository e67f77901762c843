//! The records of a spool file: a frame, unchanged, behind its length and a checksum.
//!
//! ```text
//! offset  bytes  field (little endian)
//!      0      4  frame_bytes
//!      4      4  crc           CRC32C of everything else in the record
//!      8      4  rows
//!     12      8  from_ms       time of its first row
//!     20      8  to_ms         time of its last row
//!     28      .  frame
//! ```
//! Holds CORRUPT: a damaged record is left out and its bytes are counted; those behind it are
//! found again by the magic number that every frame begins with.

use bytes::Bytes;

use crate::ship::queue::Waiting;

/// Bytes before the frame.
const HEADER_BYTES: usize = 28;
/// What every frame begins with.
const FRAME_MAGIC: [u8; 4] = [0x89, b'P', b'L', b'F'];

/// Writes one record behind what is there.
pub(super) fn write(out: &mut Vec<u8>, waiting: &Waiting) {
    let start = out.len();
    let frame_bytes = u32::try_from(waiting.frame.len()).unwrap_or(u32::MAX);
    let rows = u32::try_from(waiting.rows).unwrap_or(u32::MAX);
    out.extend_from_slice(&frame_bytes.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&rows.to_le_bytes());
    out.extend_from_slice(&waiting.from_ms.to_le_bytes());
    out.extend_from_slice(&waiting.to_ms.to_le_bytes());
    out.extend_from_slice(&waiting.frame);
    let crc = checksum(&out[start..]).to_le_bytes();
    out[start + 4..start + 8].copy_from_slice(&crc);
}

/// Bytes of the record of a frame.
pub(super) fn bytes_of(waiting: &Waiting) -> u64 {
    u64::try_from(waiting.frame.len() + HEADER_BYTES).unwrap_or(u64::MAX)
}

fn checksum(record: &[u8]) -> u32 {
    let (length, rest) = record.split_at(4);
    crc32c::crc32c_append(crc32c::crc32c(length), rest.get(4..).unwrap_or_default())
}

/// All whole records, in order, and how many bytes belong to none.
pub(super) fn read(bytes: &Bytes) -> (Vec<Waiting>, usize) {
    let (mut found, mut at, mut damaged) = (Vec::new(), 0, 0);
    while at < bytes.len() {
        if let Some(waiting) = record_at(bytes, at) {
            at += HEADER_BYTES + waiting.frame.len();
            found.push(waiting);
        } else {
            let next = next_record(bytes, at + 1);
            damaged += next - at;
            at = next;
        }
    }
    (found, damaged)
}

fn record_at(bytes: &Bytes, at: usize) -> Option<Waiting> {
    let record = bytes.get(at..)?;
    let number = |from: usize| record.get(from..from + 4)?.try_into().ok().map(u32::from_le_bytes);
    let time = |from: usize| record.get(from..from + 8)?.try_into().ok().map(i64::from_le_bytes);
    let frame_bytes = usize::try_from(number(0)?).ok()?;
    let end = HEADER_BYTES.checked_add(frame_bytes)?;
    let whole = record.get(..end)?;
    if checksum(whole) != number(4)? {
        return None;
    }
    Some(Waiting {
        frame: bytes.slice(at + HEADER_BYTES..at + end),
        rows: u64::from(number(8)?),
        from_ms: time(12)?,
        to_ms: time(20)?,
    })
}

/// Where the next whole record begins, or the end.
fn next_record(bytes: &Bytes, from: usize) -> usize {
    let mut at = from;
    while let Some(rest) = bytes.get(at + HEADER_BYTES..) {
        let Some(found) = rest.windows(FRAME_MAGIC.len()).position(|part| part == FRAME_MAGIC)
        else {
            break;
        };
        at += found;
        if record_at(bytes, at).is_some() {
            return at;
        }
        at += 1;
    }
    bytes.len()
}
