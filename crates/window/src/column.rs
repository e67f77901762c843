//! The columns a fold reads: sorted times, values, which of them are null, and epochs.
//!
//! Borrowed slices in the layout of arrow's buffers, so that no row is copied. Lengths are
//! checked once, here. Times are sorted, oldest first; a column that is not sorted gives windows
//! that mean nothing, but no panic.

use std::ops::Range;

/// The epoch of a row whose epoch is not known.
pub const EPOCH_UNKNOWN: i64 = i64::MIN;

/// Why slices do not make a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ColumnError {
    /// A slice has another length than the times.
    #[error("{rows} times but {found} {field}")]
    Length {
        /// Which slice.
        field: &'static str,
        /// The number of times.
        rows: usize,
        /// The length found.
        found: usize,
    },
    /// The bitmap's bytes end before its last bit.
    #[error("a bitmap of {bytes} bytes does not hold {bits} bits from bit {offset}")]
    Bitmap {
        /// Length of the bytes.
        bytes: usize,
        /// First bit.
        offset: usize,
        /// Number of bits.
        bits: usize,
    },
}

/// A bitmap: bit `i` is bit `(offset + i) % 8`, lowest first, of byte `(offset + i) / 8`, as
/// arrow lays it out. A set bit is a reported value, a clear bit is null.
#[derive(Debug, Clone, Copy)]
pub struct Bits<'a> {
    bytes: &'a [u8],
    offset: usize,
    len: usize,
}

impl<'a> Bits<'a> {
    /// `len` bits of `bytes`, from bit `offset`.
    ///
    /// # Errors
    ///
    /// [`ColumnError::Bitmap`] when the bytes are too few.
    pub fn new(bytes: &'a [u8], offset: usize, len: usize) -> Result<Self, ColumnError> {
        let short = ColumnError::Bitmap { bytes: bytes.len(), offset, bits: len };
        let bits = bytes.len().checked_mul(8).ok_or(short)?;
        match offset.checked_add(len) {
            Some(needed) if needed <= bits => Ok(Self { bytes, offset, len }),
            _ => Err(short),
        }
    }

    /// Number of bits.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The first stretch of set bits in `rows`; empty, at the end of `rows`, when there is none.
    pub(crate) fn run_in(&self, rows: &Range<usize>) -> Range<usize> {
        let end = rows.end.min(self.len);
        let start = self.find(rows.start, end, true);
        start..self.find(start, end, false)
    }

    /// The first bit in `at..end` that is `wanted`, or `end`.
    fn find(&self, mut at: usize, end: usize, wanted: bool) -> usize {
        while at < end {
            let (word, bits) = self.word_at(at);
            let zeros = if wanted { word } else { !word }.trailing_zeros();
            let skipped = usize::try_from(zeros.min(bits)).unwrap_or(0);
            at = at.saturating_add(skipped);
            if zeros < bits {
                break;
            }
        }
        at.min(end)
    }

    /// The bits from `at` on, and how many of the word are bits of the bitmap's bytes or padding
    /// past its end: 57 to 64, so a search always advances.
    fn word_at(&self, at: usize) -> (u64, u32) {
        let bit = self.offset.saturating_add(at);
        let tail = self.bytes.get(bit / 8..).unwrap_or_default();
        let word = tail.first_chunk().map_or_else(
            || {
                let padded = tail.iter().rev();
                padded.fold(0_u64, |word, byte| (word << 8) | u64::from(*byte))
            },
            |chunk| u64::from_le_bytes(*chunk),
        );
        let shift = u32::try_from(bit % 8).unwrap_or(0);
        (word.wrapping_shr(shift), 64_u32.saturating_sub(shift))
    }
}

/// Samples of one counter, sorted by time.
#[derive(Debug, Clone, Copy)]
pub struct CounterColumn<'a> {
    pub(crate) times_ms: &'a [i64],
    pub(crate) values: &'a [i64],
    pub(crate) valid: Option<Bits<'a>>,
    pub(crate) epochs: Option<&'a [i64]>,
}

impl<'a> CounterColumn<'a> {
    /// Joins the slices; entry `i` of each is row `i`.
    ///
    /// `valid`: which values are reported; `None` when all are. `epochs`: when the counter's
    /// owner started, [`EPOCH_UNKNOWN`] where not known; `None` when no row knows.
    ///
    /// # Errors
    ///
    /// [`ColumnError::Length`] when the lengths differ.
    pub fn new(
        times_ms: &'a [i64],
        values: &'a [i64],
        valid: Option<Bits<'a>>,
        epochs: Option<&'a [i64]>,
    ) -> Result<Self, ColumnError> {
        let rows = times_ms.len();
        check_length("values", rows, values.len())?;
        check_length("validity bits", rows, valid.map_or(rows, |bits| bits.len()))?;
        check_length("epochs", rows, epochs.map_or(rows, <[i64]>::len))?;
        Ok(Self { times_ms, values, valid, epochs })
    }
}

/// Samples of one gauge, sorted by time.
#[derive(Debug, Clone, Copy)]
pub struct GaugeColumn<'a, V> {
    pub(crate) times_ms: &'a [i64],
    pub(crate) values: &'a [V],
    pub(crate) valid: Option<Bits<'a>>,
}

impl<'a, V> GaugeColumn<'a, V> {
    /// Joins the slices; entry `i` of each is row `i`. `valid`: which values are reported; `None`
    /// when all are. `NaN` is not reported either way.
    ///
    /// # Errors
    ///
    /// [`ColumnError::Length`] when the lengths differ.
    pub fn new(
        times_ms: &'a [i64],
        values: &'a [V],
        valid: Option<Bits<'a>>,
    ) -> Result<Self, ColumnError> {
        let rows = times_ms.len();
        check_length("values", rows, values.len())?;
        check_length("validity bits", rows, valid.map_or(rows, |bits| bits.len()))?;
        Ok(Self { times_ms, values, valid })
    }
}

fn check_length(field: &'static str, rows: usize, found: usize) -> Result<(), ColumnError> {
    if rows == found { Ok(()) } else { Err(ColumnError::Length { field, rows, found }) }
}

/// The stretches of reported rows in `rows`, oldest first.
pub(crate) fn reported_runs(
    valid: Option<Bits<'_>>,
    mut rows: Range<usize>,
) -> impl Iterator<Item = Range<usize>> + use<'_> {
    std::iter::from_fn(move || {
        let run = match &valid {
            Some(bits) => bits.run_in(&rows),
            None => rows.clone(),
        };
        rows.start = run.end;
        (!run.is_empty()).then_some(run)
    })
}
