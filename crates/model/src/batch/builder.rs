//! Builds a batch row by row, for collectors and protocol doors.
//!
//! A value that is never set stays null. A column in which nothing was set is left out.

use std::sync::Arc;

use arrow_array::builder::{
    Float64Builder, Int64Builder, StringDictionaryBuilder, TimestampMillisecondBuilder,
};
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::Schema;

use super::{Batch, BatchError};
use crate::{Column, ColumnType, ErrorClass, Subject, Table};

/// Why a value cannot be set in the current row.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RowError {
    /// No row was started.
    #[error("no row of table {table} was started")]
    NoRow {
        /// The table.
        table: &'static str,
    },
    /// The table has no metric column of this name and type.
    #[error("table {table} has no {wanted:?} metric {column:?}")]
    Column {
        /// The table.
        table: &'static str,
        /// The column that was given.
        column: String,
        /// The type that was to be set.
        wanted: ColumnType,
    },
}

impl RowError {
    /// A collector that sets what the registry does not have.
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Bug
    }
}

#[derive(Debug)]
enum Values {
    Int(Vec<Option<i64>>),
    Float(Vec<Option<f64>>),
    Text(Vec<Option<String>>),
}

/// Collects rows of one table. Rows may come in any order.
#[derive(Debug)]
pub struct BatchBuilder {
    table: &'static Table,
    times_ms: Vec<i64>,
    subjects: Vec<Subject>,
    keys: Vec<Vec<String>>,
    values: Vec<Values>,
}

impl BatchBuilder {
    /// An empty batch of `table`.
    pub fn new(table: &'static Table) -> Self {
        let values = table
            .metrics()
            .iter()
            .map(|metric| match metric.column_type {
                ColumnType::Int => Values::Int(Vec::new()),
                ColumnType::Float => Values::Float(Vec::new()),
                ColumnType::Text => Values::Text(Vec::new()),
            })
            .collect();
        let keys = vec![Vec::new(); table.keys().len()];
        Self { table, times_ms: Vec::new(), subjects: Vec::new(), keys, values }
    }

    /// Rows so far.
    pub fn num_rows(&self) -> usize {
        self.times_ms.len()
    }

    /// Starts a row. `keys`: one value per key column of the table, in order; missing ones are
    /// empty, further ones are ignored.
    pub fn row(&mut self, time_ms: i64, subject: &Subject, keys: &[&str]) {
        self.times_ms.push(time_ms);
        self.subjects.push(subject.clone());
        for (index, column) in self.keys.iter_mut().enumerate() {
            column.push(keys.get(index).copied().unwrap_or("").to_owned());
        }
    }

    /// Sets an integer of the current row; `None` leaves it null.
    ///
    /// # Errors
    ///
    /// [`RowError`] when there is no row, or no such integer column.
    pub fn int(&mut self, column: &str, value: Option<i64>) -> Result<(), RowError> {
        let rows = self.times_ms.len();
        match self.values_of(column, ColumnType::Int)? {
            Values::Int(values) => put(values, rows, value),
            Values::Float(_) | Values::Text(_) => {}
        }
        Ok(())
    }

    /// Sets an integer from the engine's unsigned one; values past `i64::MAX` (the engine's
    /// "unlimited") stay null.
    ///
    /// # Errors
    ///
    /// As [`BatchBuilder::int`].
    pub fn unsigned(&mut self, column: &str, value: Option<u64>) -> Result<(), RowError> {
        self.int(column, value.and_then(|value| i64::try_from(value).ok()))
    }

    /// Sets a float of the current row; `None` leaves it null.
    ///
    /// # Errors
    ///
    /// [`RowError`] when there is no row, or no such float column.
    pub fn float(&mut self, column: &str, value: Option<f64>) -> Result<(), RowError> {
        let rows = self.times_ms.len();
        match self.values_of(column, ColumnType::Float)? {
            Values::Float(values) => put(values, rows, value),
            Values::Int(_) | Values::Text(_) => {}
        }
        Ok(())
    }

    /// Sets a text of the current row; `None` leaves it null.
    ///
    /// # Errors
    ///
    /// [`RowError`] when there is no row, or no such text column.
    pub fn text(&mut self, column: &str, value: Option<&str>) -> Result<(), RowError> {
        let rows = self.times_ms.len();
        match self.values_of(column, ColumnType::Text)? {
            Values::Text(values) => put(values, rows, value.map(str::to_owned)),
            Values::Int(_) | Values::Float(_) => {}
        }
        Ok(())
    }

    fn values_of(&mut self, column: &str, wanted: ColumnType) -> Result<&mut Values, RowError> {
        if self.times_ms.is_empty() {
            return Err(RowError::NoRow { table: self.table.name() });
        }
        let index = self.table.metric_index(column);
        let known = index.and_then(|index| self.table.metrics().get(index));
        let fits = known.is_some_and(|metric| metric.column_type == wanted);
        match index.filter(|_| fits).and_then(|index| self.values.get_mut(index)) {
            Some(values) => Ok(values),
            None => Err(RowError::Column {
                table: self.table.name(),
                column: column.to_owned(),
                wanted,
            }),
        }
    }

    /// Makes the batch, rows sorted by (service, `container_id`, keys, time).
    ///
    /// # Errors
    ///
    /// [`BatchError`] when the columns do not form a batch, which the builder's own checks
    /// make impossible for a table of the embedded registry.
    pub fn finish(self) -> Result<Batch, BatchError> {
        let order = self.order();
        let mut fields = Vec::new();
        let mut arrays: Vec<ArrayRef> = Vec::new();
        for (index, column) in self.table.columns().iter().enumerate() {
            let array = match column {
                Column::Time => Some(self.time_array(&order)),
                Column::Dimension(dimension) => text_array(order.iter().map(|row| {
                    let subject = self.subjects.get(*row)?;
                    Some(subject.get(*dimension).as_ref()).filter(|value| !value.is_empty())
                })),
                Column::Key(key) => text_array(order.iter().map(|row| {
                    let values = self.keys.get(*key)?;
                    values.get(*row).map(String::as_str).filter(|value| !value.is_empty())
                })),
                Column::Metric(metric) => {
                    self.values.get(*metric).and_then(|values| metric_array(values, &order))
                }
            };
            if let Some(array) = array {
                fields.push(self.table.schema().field(index).clone());
                arrays.push(array);
            }
        }
        let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
            .map_err(|_| BatchError::NoTime { table: self.table.name().to_owned() })?;
        Batch::try_new(self.table, rows)
    }

    fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.times_ms.len()).collect();
        let keys_of = |row: usize| self.keys.iter().map(move |column| column.get(row));
        order.sort_by(|left, right| {
            let subjects = self.subjects.get(*left).cmp(&self.subjects.get(*right));
            subjects
                .then_with(|| keys_of(*left).cmp(keys_of(*right)))
                .then_with(|| self.times_ms.get(*left).cmp(&self.times_ms.get(*right)))
        });
        order
    }

    fn time_array(&self, order: &[usize]) -> ArrayRef {
        let mut builder = TimestampMillisecondBuilder::with_capacity(order.len());
        for row in order {
            builder.append_option(self.times_ms.get(*row).copied());
        }
        Arc::new(builder.finish().with_timezone("UTC"))
    }
}

/// Puts the value of the last of `rows` rows; the rows skipped since the last put are null.
fn put<T: Clone>(values: &mut Vec<Option<T>>, rows: usize, value: Option<T>) {
    if values.len() < rows {
        if value.is_none() {
            return;
        }
        values.resize(rows, None);
    }
    if let Some(place) = rows.checked_sub(1).and_then(|index| values.get_mut(index)) {
        *place = value;
    }
}

fn text_array<'a>(values: impl Iterator<Item = Option<&'a str>>) -> Option<ArrayRef> {
    let mut builder = StringDictionaryBuilder::<Int32Type>::new();
    let mut any = false;
    for value in values {
        any |= value.is_some();
        builder.append_option(value);
    }
    any.then(|| {
        let array: ArrayRef = Arc::new(builder.finish());
        array
    })
}

fn metric_array(values: &Values, order: &[usize]) -> Option<ArrayRef> {
    match values {
        Values::Int(values) => {
            if values.iter().all(Option::is_none) {
                return None;
            }
            let mut builder = Int64Builder::with_capacity(order.len());
            for row in order {
                builder.append_option(values.get(*row).copied().flatten());
            }
            Some(Arc::new(builder.finish()))
        }
        Values::Float(values) => {
            if values.iter().all(Option::is_none) {
                return None;
            }
            let mut builder = Float64Builder::with_capacity(order.len());
            for row in order {
                builder.append_option(values.get(*row).copied().flatten());
            }
            Some(Arc::new(builder.finish()))
        }
        Values::Text(values) => {
            text_array(order.iter().map(|row| values.get(*row).and_then(Option::as_deref)))
        }
    }
}
