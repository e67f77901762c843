//! Reads the dimension and key columns of a batch, row by row, without copying strings.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, DictionaryArray, StringArray};

use super::Batch;
use crate::{Dimension, Subject};

/// A dictionary text column that may be absent; an absent or null value reads as `""`.
#[derive(Debug, Clone, Copy)]
pub struct TextColumn<'a> {
    parts: Option<(&'a DictionaryArray<Int32Type>, &'a StringArray)>,
}

impl<'a> TextColumn<'a> {
    /// The column with this table index; reads as empty when absent.
    pub fn new(batch: &'a Batch, table_index: Option<usize>) -> Self {
        let parts = table_index.and_then(|index| batch.column(index)).and_then(|column| {
            let dictionary = column.as_dictionary_opt::<Int32Type>()?;
            let values = dictionary.values().as_string_opt::<i32>()?;
            Some((dictionary, values))
        });
        Self { parts }
    }

    /// The value of one row.
    pub fn value(&self, row: usize) -> &'a str {
        self.parts
            .and_then(|(dictionary, values)| {
                let key = dictionary.key(row)?;
                (key < values.len() && values.is_valid(key)).then(|| values.value(key))
            })
            .unwrap_or("")
    }

    /// Whether two rows have the same dictionary key. Equal keys mean equal values; different
    /// keys may still mean equal values.
    pub fn same_key(&self, left: usize, right: usize) -> bool {
        match self.parts {
            None => true,
            Some((dictionary, _)) => dictionary.key(left) == dictionary.key(right),
        }
    }
}

/// The dimension and key columns of a batch.
#[derive(Debug)]
pub struct RowSubjects<'a> {
    dimensions: Vec<(Dimension, TextColumn<'a>)>,
    keys: Vec<TextColumn<'a>>,
}

impl<'a> RowSubjects<'a> {
    pub(super) fn new(batch: &'a Batch) -> Self {
        let table = batch.table();
        let text = |name: &str| TextColumn::new(batch, table.column_index(name));
        Self {
            dimensions: table.dimensions().iter().map(|d| (*d, text(d.name()))).collect(),
            keys: table.keys().iter().map(|key| text(key)).collect(),
        }
    }

    /// The value of one dimension in one row; `""` when it has none.
    pub fn dimension(&self, dimension: Dimension, row: usize) -> &'a str {
        self.dimensions
            .iter()
            .find(|(candidate, _)| *candidate == dimension)
            .map_or("", |(_, column)| column.value(row))
    }

    /// The value of the table's `key_index`-th key column in one row.
    pub fn key(&self, key_index: usize, row: usize) -> &'a str {
        self.keys.get(key_index).map_or("", |column| column.value(row))
    }

    /// All key values of one row, in key order.
    pub fn keys(&self, row: usize) -> Vec<Arc<str>> {
        self.keys.iter().map(|column| Arc::from(column.value(row))).collect()
    }

    /// Whether two rows surely have the same subject and keys (cheap: compares dictionary keys).
    pub fn same(&self, left: usize, right: usize) -> bool {
        self.dimensions.iter().all(|(_, column)| column.same_key(left, right))
            && self.keys.iter().all(|column| column.same_key(left, right))
    }

    /// Copies the subject of one row.
    pub fn subject(&self, row: usize) -> Subject {
        let mut subject = Subject::default();
        for (dimension, column) in &self.dimensions {
            subject.set(*dimension, Arc::from(column.value(row)));
        }
        subject
    }
}
