//! Values of rollup columns while rows are made: one cell after the other, then an Arrow array.

use std::sync::Arc;

use arrow_array::builder::{Float64Builder, Int64Builder, StringDictionaryBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, ArrowPrimitiveType};
use plimsoll_model::ColumnType;

/// One value of a rollup row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Null,
    Int(i64),
    Float(f64),
    Text(Arc<str>),
}

impl Cell {
    /// 0 is stored as null.
    pub(super) fn not_zero(value: i64) -> Self {
        if value == 0 { Self::Null } else { Self::Int(value) }
    }
}

/// A column that grows; a cell of another type than its own becomes null.
pub(super) enum CellColumn {
    Int(Int64Builder),
    Float(Float64Builder),
    Text(StringDictionaryBuilder<Int32Type>),
}

impl CellColumn {
    /// A column that starts with this many nulls.
    pub(super) fn new(column_type: ColumnType, nulls: usize) -> Self {
        match column_type {
            ColumnType::Int => {
                let mut builder = Int64Builder::new();
                builder.append_nulls(nulls);
                Self::Int(builder)
            }
            ColumnType::Float => {
                let mut builder = Float64Builder::new();
                builder.append_nulls(nulls);
                Self::Float(builder)
            }
            ColumnType::Text => {
                let mut builder = StringDictionaryBuilder::new();
                builder.append_nulls(nulls);
                Self::Text(builder)
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        use arrow_array::builder::ArrayBuilder;
        match self {
            Self::Int(builder) => builder.len(),
            Self::Float(builder) => builder.len(),
            Self::Text(builder) => builder.len(),
        }
    }

    /// Adds nulls until there are `rows` rows.
    pub(super) fn pad(&mut self, rows: usize) {
        let nulls = rows.saturating_sub(self.len());
        match self {
            Self::Int(builder) => builder.append_nulls(nulls),
            Self::Float(builder) => builder.append_nulls(nulls),
            Self::Text(builder) => builder.append_nulls(nulls),
        }
    }

    pub(super) fn push(&mut self, cell: &Cell) {
        match self {
            Self::Int(builder) => match cell {
                Cell::Int(value) => builder.append_value(*value),
                _ => builder.append_null(),
            },
            Self::Float(builder) => match cell {
                Cell::Float(value) => builder.append_value(*value),
                _ => builder.append_null(),
            },
            Self::Text(builder) => match cell {
                Cell::Text(text) => builder.append_value(text),
                _ => builder.append_null(),
            },
        }
    }

    pub(super) fn finish(mut self) -> ArrayRef {
        match &mut self {
            Self::Int(builder) => Arc::new(builder.finish()),
            Self::Float(builder) => Arc::new(builder.finish()),
            Self::Text(builder) => Arc::new(builder.finish()),
        }
    }
}

/// The value of one row of a primitive column; `None` when it is null or there is no column.
pub(super) fn value<T: ArrowPrimitiveType>(
    array: Option<&arrow_array::PrimitiveArray<T>>,
    row: usize,
) -> Option<T::Native> {
    use arrow_array::Array;
    let array = array?;
    if array.is_null(row) { None } else { array.values().get(row).copied() }
}
