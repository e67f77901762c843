//! The series index: which rows of a segment are whose, and from when to when.
//!
//! It stands packed in the file's metadata, so that a scan reads no label column. Integers are
//! LEB128; signed ones are zigzag-coded. Layout (also in `docs/formats/segment.md`):
//! version, number of series, number of label columns; per label column its name, its texts and one
//! text number per series; then one entry per series of rows, first time (as difference from the
//! previous series) and last time (as difference from the first).

use std::sync::Arc;

use plimsoll_model::{Dimension, Subject, Table};
use rustc_hash::FxHashMap;

use crate::head::SortedRows;
use crate::scan::SeriesKey;

const VERSION: u64 = 1;
/// Series one segment may have; a larger number is damage.
const SERIES_MAX: u64 = 1 << 28;

/// Consecutive rows of one series in a segment.
#[derive(Debug, Clone)]
pub struct IndexedSpan {
    /// Who the rows are about.
    pub key: Arc<SeriesKey>,
    /// First row in the file.
    pub start: u64,
    /// Number of rows.
    pub rows: u64,
    /// Time of the first row.
    pub first_ms: i64,
    /// Time of the last row.
    pub last_ms: i64,
}

/// The spans of sorted rows.
pub(super) fn spans_of(rows: &SortedRows) -> Vec<IndexedSpan> {
    let wide = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let spans = rows.spans().iter().map(|span| {
        let end = span.start.saturating_add(span.rows);
        let times = rows.times_ms().get(span.start..end).unwrap_or(&[]);
        IndexedSpan {
            key: span.key.clone(),
            start: wide(span.start),
            rows: wide(span.rows),
            first_ms: times.first().copied().unwrap_or(0),
            last_ms: times.last().copied().unwrap_or(0),
        }
    });
    spans.collect()
}

/// The bytes of the index of spans in file order.
pub(super) fn encode(table: &Table, spans: &[IndexedSpan]) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, VERSION);
    put_len(&mut out, spans.len());
    put_len(&mut out, table.dimensions().len().saturating_add(table.keys().len()));
    for dimension in table.dimensions() {
        let labels = spans.iter().map(|span| span.key.subject.get(*dimension).as_ref());
        put_labels(&mut out, dimension.name(), labels);
    }
    for (index, key) in table.keys().iter().enumerate() {
        let labels = spans.iter();
        let labels = labels.map(|span| span.key.keys.get(index).map_or("", AsRef::as_ref));
        put_labels(&mut out, key, labels);
    }
    let mut previous = 0_i64;
    for span in spans {
        put(&mut out, span.rows);
        put(&mut out, zigzag(span.first_ms.wrapping_sub(previous)));
        put(&mut out, zigzag(span.last_ms.wrapping_sub(span.first_ms)));
        previous = span.first_ms;
    }
    out
}

fn put_labels<'a>(out: &mut Vec<u8>, name: &str, labels: impl Iterator<Item = &'a str>) {
    put_text(out, name);
    let mut numbers: FxHashMap<&str, u64> = FxHashMap::default();
    let mut texts: Vec<&str> = Vec::new();
    let mut column = Vec::new();
    for label in labels {
        let next = u64::try_from(texts.len()).unwrap_or(u64::MAX);
        let number = *numbers.entry(label).or_insert_with(|| {
            texts.push(label);
            next
        });
        column.push(number);
    }
    put_len(out, texts.len());
    for text in texts {
        put_text(out, text);
    }
    for number in column {
        put(out, number);
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_len(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

fn put_len(out: &mut Vec<u8>, len: usize) {
    put(out, u64::try_from(len).unwrap_or(u64::MAX));
}

fn put(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or(0);
        value >>= 7;
        if value == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

fn zigzag(value: i64) -> u64 {
    (value.wrapping_shl(1) ^ value.wrapping_shr(63)).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ (value & 1).cast_signed().wrapping_neg()
}

/// Reads an index; `None` when the bytes are not one. Label columns the table does not have are
/// passed over, those that are missing read as empty.
pub(super) fn decode(bytes: &[u8], table: &Table) -> Option<Vec<IndexedSpan>> {
    let mut input = Input { rest: bytes };
    if input.int()? != VERSION {
        return None;
    }
    let series = input.int().filter(|series| *series <= SERIES_MAX)?;
    let series = usize::try_from(series).ok()?;
    // Every series takes at least three bytes, so a lying count cannot make us reserve much.
    let mut keys = vec![empty_key(table); series.min(bytes.len())];
    for _ in 0..input.int()? {
        let name = input.text()?;
        let texts = input.texts()?;
        let key_index = table.keys().iter().position(|key| key == name);
        for key in &mut keys {
            let text = texts.get(usize::try_from(input.int()?).ok()?)?.clone();
            if let Some(place) = key_index.and_then(|index| key.keys.get_mut(index)) {
                *place = text;
            } else if let Some(dimension) = Dimension::from_name(name) {
                key.subject.set(dimension, text);
            }
        }
    }
    let mut spans = Vec::with_capacity(keys.len());
    let mut start = 0_u64;
    let mut previous = 0_i64;
    for key in keys {
        let rows = input.int()?;
        let first_ms = previous.checked_add(unzigzag(input.int()?))?;
        let last_ms = first_ms.checked_add(unzigzag(input.int()?))?;
        spans.push(IndexedSpan { key: Arc::new(key), start, rows, first_ms, last_ms });
        start = start.checked_add(rows)?;
        previous = first_ms;
    }
    (spans.len() == series && input.rest.is_empty()).then_some(spans)
}

fn empty_key(table: &Table) -> SeriesKey {
    let none: Arc<str> = Arc::from("");
    SeriesKey { subject: Subject::default(), keys: vec![none; table.keys().len()] }
}

struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    fn int(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0_u32..64).step_by(7) {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            let low = u64::from(byte & 0x7f);
            value |= low.checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn text(&mut self) -> Option<&'a str> {
        let len = usize::try_from(self.int()?).ok()?;
        let (text, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        std::str::from_utf8(text).ok()
    }

    fn texts(&mut self) -> Option<Vec<Arc<str>>> {
        let count = usize::try_from(self.int()?).ok()?;
        let mut texts = Vec::with_capacity(count.min(self.rest.len()));
        for _ in 0..count {
            texts.push(Arc::from(self.text()?));
        }
        Some(texts)
    }
}
