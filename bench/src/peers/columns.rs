//! Rows as an Arrow IPC stream in a file: one wide row per container and moment, in the order
//! in which they arrive.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMillisecondArray,
};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

use super::metric::METRICS;
use super::rows::{Labels, Row};

/// Rows per record batch.
const BATCH_ROWS: usize = 65_536;

/// One label of all containers: which text each has, and the texts.
#[derive(Debug)]
struct Label {
    keys: Vec<i32>,
    texts: ArrayRef,
}

/// Writes the file.
pub struct Columns {
    writer: StreamWriter<BufWriter<File>>,
    schema: SchemaRef,
    labels: Vec<Label>,
    metrics: usize,
    rows: Vec<Row>,
}

impl Columns {
    /// Creates a file for the containers of one fleet and the first `metrics` of [`METRICS`].
    ///
    /// # Errors
    ///
    /// A sentence that names the file.
    pub fn create(path: &Path, labels: &[Labels], metrics: usize) -> Result<Self, String> {
        let problem = |error: String| format!("cannot write {}: {error}", path.display());
        let file = File::create(path).map_err(|error| problem(error.to_string()))?;
        let text = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let mut fields =
            vec![Field::new("ts", DataType::Timestamp(TimeUnit::Millisecond, None), false)];
        for (name, _) in labels.first().map_or(&[][..], |labels| &labels.pairs) {
            fields.push(Field::new(*name, text.clone(), false));
        }
        for metric in METRICS.iter().take(metrics) {
            fields.push(Field::new(metric.field, DataType::Int64, true));
        }
        let schema = Arc::new(Schema::new(fields));
        let writer = StreamWriter::try_new(BufWriter::with_capacity(1 << 20, file), &schema)
            .map_err(|error| problem(error.to_string()))?;
        let count = labels.first().map_or(0, |labels| labels.pairs.len());
        let labels = (0..count).map(|at| label(labels, at)).collect();
        Ok(Self { writer, schema, labels, metrics, rows: Vec::new() })
    }

    /// Adds a row.
    ///
    /// # Errors
    ///
    /// When a batch cannot be written.
    pub fn add(&mut self, row: &Row) -> Result<(), String> {
        self.rows.push(row.clone());
        if self.rows.len() == BATCH_ROWS { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), String> {
        let rows = std::mem::take(&mut self.rows);
        let times = rows.iter().map(|row| row.time_ms);
        let mut columns: Vec<ArrayRef> =
            vec![Arc::new(TimestampMillisecondArray::from_iter_values(times))];
        for label in &self.labels {
            let keys = Int32Array::from_iter_values(rows.iter().map(|r| label.keys[r.container]));
            let array = DictionaryArray::<Int32Type>::try_new(keys, Arc::clone(&label.texts))
                .map_err(|error| error.to_string())?;
            columns.push(Arc::new(array));
        }
        for metric in 0..self.metrics {
            let values: Int64Array = rows.iter().map(|row| row.values[metric]).collect();
            columns.push(Arc::new(values));
        }
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .map_err(|error| error.to_string())?;
        self.writer.write(&batch).map_err(|error| format!("cannot write columns: {error}"))
    }

    /// Ends the file.
    ///
    /// # Errors
    ///
    /// When the rest cannot be written.
    pub fn finish(mut self) -> Result<(), String> {
        if !self.rows.is_empty() {
            self.write()?;
        }
        self.writer.finish().map_err(|error| format!("cannot write columns: {error}"))
    }
}

fn label(labels: &[Labels], at: usize) -> Label {
    let mut texts: Vec<&str> = labels.iter().map(|labels| &*labels.pairs[at].1).collect();
    texts.sort_unstable();
    texts.dedup();
    let key = |labels: &Labels| texts.binary_search(&&*labels.pairs[at].1).unwrap_or(0) as i32;
    let keys = labels.iter().map(key).collect();
    Label { keys, texts: Arc::new(StringArray::from(texts)) }
}
