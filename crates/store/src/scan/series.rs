//! Who the rows of an answer are about, and the zero-copy pieces an answer is made of.
//!
//! Holds SORT: the chunks of one series are in time order, share no time, and repeat none.
//! Not here: how the pieces are found (`scan`) and put in order (`scan::merge`).

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_buffer::ScalarBuffer;
use plimsoll_model::{Dimension, Filter, Subject, Table};

/// The subject of a row and the values of its table's key columns.
///
/// Keys order as rows do: by (service, `container_id`, cluster, node, stack, slot, container,
/// image), then by the key columns.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesKey {
    /// Who the rows are about.
    pub subject: Subject,
    /// One value per key column of the table, in column order; `""` when it has none.
    pub keys: Vec<Arc<str>>,
}

impl SeriesKey {
    /// The value of a dimension or key column by name; `""` when there is no such column.
    pub fn label<'a>(&'a self, table: &Table, name: &str) -> &'a str {
        if let Some(dimension) = Dimension::from_name(name) {
            return self.subject.get(dimension);
        }
        let index = table.keys().iter().position(|key| key == name);
        index.and_then(|index| self.keys.get(index)).map_or("", AsRef::as_ref)
    }

    /// Whether a filter accepts this series.
    pub fn accepted_by(&self, table: &Table, filter: &Filter) -> bool {
        filter.accepts(|name| self.label(table, name))
    }
}

/// Consecutive rows of one series: slices of larger arrays, not copies.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// Unix milliseconds UTC, rising.
    pub times_ms: ScalarBuffer<i64>,
    /// One array per requested metric, in request order, as long as `times_ms`.
    pub columns: Vec<ArrayRef>,
}

impl Chunk {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.times_ms.len()
    }

    /// Time of the first row; `i64::MAX` when there is none.
    pub fn first_ms(&self) -> i64 {
        self.times_ms.first().copied().unwrap_or(i64::MAX)
    }

    /// Time of the last row; `i64::MIN` when there is none.
    pub fn last_ms(&self) -> i64 {
        self.times_ms.last().copied().unwrap_or(i64::MIN)
    }
}

/// All rows of one series that a scan found.
#[derive(Debug, Clone)]
pub struct SeriesRows {
    /// Who the rows are about.
    pub key: Arc<SeriesKey>,
    /// In time order; never empty, and no chunk is empty.
    pub chunks: Vec<Chunk>,
}

impl SeriesRows {
    /// Number of rows in all chunks.
    pub fn rows(&self) -> usize {
        self.chunks.iter().map(Chunk::rows).sum()
    }
}
