//! The byte format of a sketch, version 1.
//!
//! | part | bytes |
//! | --- | --- |
//! | version | one byte, 1 |
//! | zeros | varint: values counted as zero |
//! | negative, positive | varints: number of buckets on each side |
//! | min, max | two `f64`, little endian; absent when there are no values |
//! | negative, then positive buckets | ascending; per bucket the varints of its step and count |
//! | checksum | CRC32C of all bytes before it, little endian |
//!
//! The step of a bucket is its key less the key before it; of the first of a side, less -1037.
//! A varint is unsigned LEB128 in its shortest form, at most ten bytes. Equal sketches have equal
//! bytes. Reading checks the checksum first and every rule of the format after it, and allocates
//! no more than the bytes can hold.
//!
//! Holds CORRUPT: damaged bytes are reported; they never become numbers.

use super::{Bucket, KEY_MAX, KEY_MIN, Sketch};
use crate::number;

/// The version this module writes.
const VERSION: u8 = 1;
/// The bytes of the checksum.
const CHECKSUM_BYTES: usize = 4;

/// Why bytes are not a sketch. All of these mean corrupt bytes, but [`SketchError::Version`],
/// which may also mean a newer writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SketchError {
    /// The bytes end before the sketch does.
    #[error("sketch ends after {bytes} bytes")]
    Short {
        /// How many bytes there are.
        bytes: usize,
    },
    /// The bytes are not the bytes that were written.
    #[error("sketch checksum is {found:#010x}, wrote {wrote:#010x}")]
    Checksum {
        /// The checksum of the bytes.
        found: u32,
        /// The checksum written with them.
        wrote: u32,
    },
    /// Written in a format this code does not know.
    #[error("sketch version is {found}, known is {VERSION}")]
    Version {
        /// The version found.
        found: u8,
    },
    /// The bytes are whole but break a rule of the format.
    #[error("sketch has no valid {field}")]
    Field {
        /// The part that breaks it.
        field: &'static str,
    },
}

impl Sketch {
    /// The sketch as bytes; a few hundred for the samples of one hour.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        put_varint(&mut out, self.zeros);
        put_varint(&mut out, number::count_of(self.negative.len()));
        put_varint(&mut out, number::count_of(self.positive.len()));
        if self.count > 0 {
            out.extend_from_slice(&self.min.to_le_bytes());
            out.extend_from_slice(&self.max.to_le_bytes());
        }
        for side in [&self.negative, &self.positive] {
            let mut before = KEY_MIN;
            for (key, times) in side {
                put_varint(&mut out, u64::from(key.abs_diff(before)));
                put_varint(&mut out, *times);
                before = *key;
            }
        }
        let checksum = crc32c::crc32c(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        out
    }

    /// The sketch of `bytes`, which hold one sketch and nothing else.
    ///
    /// # Errors
    ///
    /// [`SketchError`] for bytes that [`to_bytes`](Self::to_bytes) does not write.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SketchError> {
        let short = SketchError::Short { bytes: bytes.len() };
        let (body, wrote) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or(short)?;
        let (found, wrote) = (crc32c::crc32c(body), u32::from_le_bytes(*wrote));
        if found != wrote {
            return Err(SketchError::Checksum { found, wrote });
        }
        let mut reader = Reader { rest: body, short };
        let [version] = reader.take()?;
        if version != VERSION {
            return Err(SketchError::Version { found: version });
        }
        let zeros = reader.varint("zeros")?;
        let (negative, positive) = (reader.varint("buckets")?, reader.varint("buckets")?);
        let mut sketch = Self { zeros, count: zeros, ..Self::new() };
        if zeros > 0 || negative > 0 || positive > 0 {
            sketch.min = f64::from_le_bytes(reader.take()?);
            sketch.max = f64::from_le_bytes(reader.take()?);
        }
        sketch.negative = reader.buckets(negative, &mut sketch.count)?;
        sketch.positive = reader.buckets(positive, &mut sketch.count)?;
        match reader.rest {
            [] if sketch.bounds_fit() => Ok(sketch),
            [] => Err(SketchError::Field { field: "min and max" }),
            _ => Err(SketchError::Field { field: "end" }),
        }
    }

    /// Whether minimum and maximum lie in the outermost buckets.
    fn bounds_fit(&self) -> bool {
        let key = |value: f64| (value.abs() >= super::SMALLEST).then(|| super::key_of(value.abs()));
        let first = |side: &[Bucket]| side.first().map(|bucket| bucket.0);
        let last = |side: &[Bucket]| side.last().map(|bucket| bucket.0);
        let (lowest, highest) = match (self.negative.as_slice(), self.positive.as_slice()) {
            ([], []) => (None, None),
            ([], positive) if self.zeros == 0 => (first(positive), last(positive)),
            (negative, []) if self.zeros == 0 => (last(negative), first(negative)),
            (negative, positive) => (last(negative), last(positive)),
        };
        // One bucket of tolerance, because `ln` may round otherwise where the bytes were written.
        let near = |bucket: Option<i32>, value: f64| match (bucket, key(value)) {
            (Some(bucket), Some(key)) => bucket.abs_diff(key) <= 1,
            (Some(_), None) => false,
            (None, key) => key.is_none(),
        };
        let negative_min = self.negative.is_empty() != (self.min <= -super::SMALLEST);
        let positive_max = self.positive.is_empty() != (self.max >= super::SMALLEST);
        self.count == 0
            || (self.min <= self.max
                && negative_min
                && positive_max
                && near(lowest, self.min)
                && near(highest, self.max))
    }
}

/// Reads parts from the front of bytes.
struct Reader<'a> {
    rest: &'a [u8],
    short: SketchError,
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], SketchError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(self.short)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn varint(&mut self, field: &'static str) -> Result<u64, SketchError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.take()?;
            let bits = u64::from(byte & 0x7f);
            let placed = bits.wrapping_shl(shift);
            if placed.wrapping_shr(shift) != bits || (byte == 0 && shift > 0) {
                return Err(SketchError::Field { field });
            }
            value |= placed;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(SketchError::Field { field })
    }

    /// `buckets` buckets; their counts are added to `count`.
    fn buckets(&mut self, buckets: u64, count: &mut u64) -> Result<Vec<Bucket>, SketchError> {
        let wrong = SketchError::Field { field: "buckets" };
        // Each takes two bytes at least, so a false number allocates no more than was sent.
        let len = usize::try_from(buckets).ok().filter(|len| *len <= self.rest.len() / 2);
        let mut out: Vec<Bucket> = Vec::with_capacity(len.ok_or(wrong)?);
        let mut before = KEY_MIN;
        for _ in 0..buckets {
            let step = i32::try_from(self.varint("bucket key")?).map_err(|_| wrong)?;
            let key = before.checked_add(step).filter(|key| *key <= KEY_MAX).ok_or(wrong)?;
            let times = self.varint("bucket count")?;
            if times == 0 || (step == 0 && !out.is_empty()) {
                return Err(wrong);
            }
            *count = count.saturating_add(times);
            out.push((key, times));
            before = key;
        }
        Ok(out)
    }
}

#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "the low seven bits are the wish"
)]
fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
