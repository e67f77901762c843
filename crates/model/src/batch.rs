//! Rows of one table as Arrow columns: the only thing that crosses crate borders on the data path.
//!
//! A batch may leave out columns of its table; a column that is left out is null in every row.
//! Present columns stand in table order. `time` is always there and never null.
//!
//! Not here: building rows one by one (`batch::builder`), bytes (`wire`).

mod builder;
mod subjects;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMillisecondType;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;

pub use builder::{BatchBuilder, RowError};
pub use subjects::{RowSubjects, TextColumn};

use crate::{Column, ErrorClass, Registry, Table};

/// Why columns are not rows of a table.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// The registry has no such table.
    #[error("there is no table {found:?}")]
    UnknownTable {
        /// The name that was given.
        found: String,
    },
    /// The table has no such column.
    #[error("table {table} has no column {found:?}")]
    UnknownColumn {
        /// The table.
        table: String,
        /// The column that was given.
        found: String,
    },
    /// A column has another type than the registry says.
    #[error("column {table}.{column} is {found}, expected {expected}")]
    ColumnType {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// The type that was given.
        found: DataType,
        /// The registry's type.
        expected: DataType,
    },
    /// Columns stand out of table order, or twice.
    #[error("column {table}.{column} is out of order or stands twice")]
    ColumnOrder {
        /// The table.
        table: String,
        /// The first column that stands wrong.
        column: String,
    },
    /// There is no time column, or it has nulls.
    #[error("rows of table {table} have no time")]
    NoTime {
        /// The table.
        table: String,
    },
}

impl BatchError {
    /// Always the sender's mistake.
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Invalid
    }
}

/// Rows of one table.
#[derive(Debug, Clone)]
pub struct Batch {
    table: &'static Table,
    rows: RecordBatch,
    /// For each column of `rows`, its index in the table.
    columns: Vec<usize>,
}

impl Batch {
    /// Checks that `rows` are rows of `table`.
    ///
    /// # Errors
    ///
    /// Every deviation from the module's rules is an error that names the column.
    pub fn try_new(table: &'static Table, rows: RecordBatch) -> Result<Self, BatchError> {
        let schema = rows.schema_ref();
        let mut columns = Vec::with_capacity(schema.fields().len());
        for field in schema.fields() {
            let index =
                table.column_index(field.name()).ok_or_else(|| BatchError::UnknownColumn {
                    table: table.name().to_owned(),
                    found: field.name().clone(),
                })?;
            let expected = table.schema().field(index).data_type();
            if field.data_type() != expected {
                return Err(BatchError::ColumnType {
                    table: table.name().to_owned(),
                    column: field.name().clone(),
                    found: field.data_type().clone(),
                    expected: expected.clone(),
                });
            }
            if columns.last().is_some_and(|last| *last >= index) {
                return Err(BatchError::ColumnOrder {
                    table: table.name().to_owned(),
                    column: field.name().clone(),
                });
            }
            columns.push(index);
        }
        let has_time = columns.first() == Some(&0)
            && rows.columns().first().is_some_and(|time| time.null_count() == 0);
        if !has_time {
            return Err(BatchError::NoTime { table: table.name().to_owned() });
        }
        Ok(Self { table, rows, columns })
    }

    /// The table these are rows of.
    pub fn table(&self) -> &'static Table {
        self.table
    }

    /// The table with this name.
    ///
    /// # Errors
    ///
    /// [`BatchError::UnknownTable`].
    pub fn find_table(name: &str) -> Result<&'static Table, BatchError> {
        Registry::embedded()
            .table(name)
            .ok_or_else(|| BatchError::UnknownTable { found: name.to_owned() })
    }

    /// The rows; present columns only, in table order.
    pub fn rows(&self) -> &RecordBatch {
        &self.rows
    }

    /// Number of rows.
    pub fn num_rows(&self) -> usize {
        self.rows.num_rows()
    }

    /// For each present column, its index in [`Table::columns`].
    pub fn column_indexes(&self) -> &[usize] {
        &self.columns
    }

    /// The column with this index in [`Table::columns`], if present.
    pub fn column(&self, table_index: usize) -> Option<&ArrayRef> {
        let at = self.columns.binary_search(&table_index).ok()?;
        self.rows.columns().get(at)
    }

    /// The column with this name, if present.
    pub fn column_named(&self, name: &str) -> Option<&ArrayRef> {
        self.column(self.table.column_index(name)?)
    }

    /// Time of each row, Unix milliseconds UTC.
    pub fn times_ms(&self) -> &[i64] {
        self.rows
            .columns()
            .first()
            .and_then(|time| time.as_primitive_opt::<TimestampMillisecondType>())
            .map_or(&[], |time| time.values())
    }

    /// Number of samples: metric values that are not null.
    pub fn samples(&self) -> usize {
        self.columns
            .iter()
            .zip(self.rows.columns())
            .filter(|(index, _)| {
                matches!(self.table.columns().get(**index), Some(Column::Metric(_)))
            })
            .map(|(_, column)| column.len().saturating_sub(column.null_count()))
            .sum()
    }

    /// Who each row is about.
    pub fn subjects(&self) -> RowSubjects<'_> {
        RowSubjects::new(self)
    }
}

#[cfg(test)]
mod tests;
