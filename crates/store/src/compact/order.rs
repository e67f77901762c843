//! The order of rows of several segments together, worked out from their indexes.
//!
//! Each segment is sorted by series and time, so the rows of neighbouring series lie together in
//! every one of them. Rows are therefore merged in batches of neighbouring series.

use std::ops::Range;
use std::sync::Arc;

use crate::scan::SeriesKey;
use crate::segment::{Segment, SegmentError, SegmentReader};

/// Rows of one series in one input.
#[derive(Debug, Clone)]
pub(crate) struct SeriesPart {
    /// Index of the input.
    pub(crate) input: usize,
    /// Rows in its file.
    pub(crate) rows: Range<u64>,
}

/// One series and where its rows are.
#[derive(Debug, Clone)]
pub(crate) struct SeriesParts {
    pub(crate) key: Arc<SeriesKey>,
    /// Earliest arrival first.
    pub(crate) parts: Vec<SeriesPart>,
}

impl SeriesParts {
    /// Rows in all inputs, repeated ones included.
    pub(crate) fn rows(&self) -> u64 {
        self.parts.iter().fold(0, |rows, part| {
            rows.saturating_add(part.rows.end.saturating_sub(part.rows.start))
        })
    }
}

/// Several segments as one sorted run of rows.
pub(crate) struct MergeOrder<'a> {
    pub(crate) readers: Vec<SegmentReader<'a>>,
    /// In key order.
    pub(crate) series: Vec<SeriesParts>,
}

impl<'a> MergeOrder<'a> {
    /// `inputs`: earliest arrival first.
    ///
    /// # Errors
    ///
    /// [`SegmentError`] when an index cannot be read.
    pub(crate) fn new(inputs: &'a [Arc<Segment>]) -> Result<Self, SegmentError> {
        let mut readers = Vec::with_capacity(inputs.len());
        let mut found: Vec<(Arc<SeriesKey>, SeriesPart)> = Vec::new();
        for (input, segment) in inputs.iter().enumerate() {
            let reader = segment.reader()?;
            found.extend(reader.index().spans().iter().map(|span| {
                let rows = span.start..span.start.saturating_add(span.rows);
                (span.key.clone(), SeriesPart { input, rows })
            }));
            readers.push(reader);
        }
        // Stable: parts of one series stay in order of arrival.
        found.sort_by(|left, right| left.0.cmp(&right.0));
        let mut series: Vec<SeriesParts> = Vec::new();
        for (key, part) in found {
            match series.last_mut() {
                Some(last) if last.key == key => last.parts.push(part),
                _ => series.push(SeriesParts { key, parts: vec![part] }),
            }
        }
        Ok(Self { readers, series })
    }

    /// Rows of all inputs, repeated ones included.
    pub(crate) fn rows(&self) -> u64 {
        self.series.iter().fold(0, |rows, series| rows.saturating_add(series.rows()))
    }

    /// Cuts the series into neighbouring batches of about `rows` rows, at least one series each.
    pub(crate) fn batches(&self, rows: u64) -> Vec<Range<usize>> {
        let mut batches = Vec::new();
        let (mut start, mut sum) = (0_usize, 0_u64);
        for (index, series) in self.series.iter().enumerate() {
            let more = series.rows();
            if index > start && sum.saturating_add(more) > rows {
                batches.push(start..index);
                (start, sum) = (index, 0);
            }
            sum = sum.saturating_add(more);
        }
        if start < self.series.len() {
            batches.push(start..self.series.len());
        }
        batches
    }
}
