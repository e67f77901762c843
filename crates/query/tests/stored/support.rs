//! Rows in memory that scan as a store does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arrow_array::builder::StringDictionaryBuilder;
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, Float64Array, Int64Array};
use plimsoll_model::{ColumnType, Dimension, Registry, Subject, Table};
use plimsoll_query::history::HistoryLimits;
use plimsoll_store::{Chunk, Scan, ScanError, ScanRequest, SeriesKey, SeriesRows};

/// A value of a row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Int(i64),
    Float(f64),
    Text(String),
}

/// One row: its time and what is reported, by column.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) time_ms: i64,
    pub(crate) cells: BTreeMap<String, Cell>,
}

/// All rows of all tables.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    series: BTreeMap<(String, SeriesKey), BTreeMap<i64, Row>>,
    /// Rows of one chunk of an answer; 0: all.
    pub(crate) chunk_rows: usize,
}

pub(crate) fn table(name: &str) -> &'static Table {
    Registry::embedded().table(name).expect("the table exists")
}

pub(crate) fn limits() -> HistoryLimits {
    HistoryLimits {
        series_max: 1_000,
        rows_max: 100_000,
        points_max: 100_000,
        stop: Arc::new(AtomicBool::new(false)),
    }
}

/// A key from `name=value` pairs of dimensions and key columns.
pub(crate) fn key<'a>(
    table: &Table,
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> SeriesKey {
    let mut subject = Subject::default();
    let mut keys: Vec<Arc<str>> = table.keys().iter().map(|_| Arc::from("")).collect();
    for (name, value) in pairs {
        if let Some(dimension) = Dimension::from_name(name) {
            subject.set(dimension, Arc::from(value));
        } else {
            let index = table.keys().iter().position(|key| key == name);
            keys[index.expect("a dimension or key")] = Arc::from(value);
        }
    }
    SeriesKey { subject, keys }
}

impl Rows {
    pub(crate) fn add(&mut self, table: &Table, key: &SeriesKey, row: Row) {
        let series = self.series.entry((table.name().to_owned(), key.clone())).or_default();
        series.insert(row.time_ms, row);
    }

    pub(crate) fn scan(&self, request: &ScanRequest) -> Result<Scan, ScanError> {
        let mut scan = Scan::default();
        for ((table, key), rows) in &self.series {
            if table != request.table.name() || !key.accepted_by(request.table, &request.filter) {
                continue;
            }
            let rows: Vec<&Row> =
                rows.range(request.range.start_ms..request.range.end_ms).map(|(_, r)| r).collect();
            if rows.is_empty() {
                continue;
            }
            let chunk_rows = if self.chunk_rows == 0 { rows.len() } else { self.chunk_rows };
            let chunks = rows.chunks(chunk_rows).map(|rows| chunk(request, rows)).collect();
            scan.rows += rows.len() as u64;
            scan.series.push(SeriesRows { key: Arc::new(key.clone()), chunks });
        }
        if scan.rows > request.limits.rows_max {
            return Err(ScanError::Rows { max: request.limits.rows_max });
        }
        Ok(scan)
    }
}

fn chunk(request: &ScanRequest, rows: &[&Row]) -> Chunk {
    let times: Int64Array = rows.iter().map(|row| Some(row.time_ms)).collect();
    let columns = request.metrics.iter().map(|metric| {
        let metric = &request.table.metrics()[*metric];
        column(metric.column_type, &metric.column, rows)
    });
    Chunk { times_ms: times.values().clone(), columns: columns.collect() }
}

fn column(column_type: ColumnType, name: &str, rows: &[&Row]) -> ArrayRef {
    let cells = rows.iter().map(|row| row.cells.get(name));
    match column_type {
        ColumnType::Int => Arc::new(
            cells
                .map(|cell| if let Some(Cell::Int(value)) = cell { Some(*value) } else { None })
                .collect::<Int64Array>(),
        ),
        ColumnType::Float => Arc::new(
            cells
                .map(|cell| if let Some(Cell::Float(value)) = cell { Some(*value) } else { None })
                .collect::<Float64Array>(),
        ),
        ColumnType::Text => {
            let mut texts = StringDictionaryBuilder::<Int32Type>::new();
            for cell in cells {
                texts.append_option(if let Some(Cell::Text(text)) = cell {
                    Some(text.as_str())
                } else {
                    None
                });
            }
            Arc::new(texts.finish())
        }
    }
}
