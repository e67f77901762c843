//! Gives texts and series small numbers, so that a row of the head is plain integers.
//!
//! Every label and text value of a head is stored once. A series is known by the numbers of its
//! label texts; looking one up hashes a few integers, not strings.
//!
//! Not here: the rows themselves (`head::block`).

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, DictionaryArray, StringArray};
use parking_lot::Mutex;
use plimsoll_model::{Batch, Subject, Table};
use rustc_hash::{FxHashMap, FxHasher};

use crate::scan::SeriesKey;

/// Stands for "no text" in a column of text numbers.
pub(crate) const NO_TEXT: u32 = u32::MAX;
/// Stands for "not looked up yet" in the map of one batch's dictionary.
const UNSEEN: u32 = u32::MAX - 1;
/// What a text or series costs beside its bytes: map entry, list entry, counters.
const ENTRY_BYTES: usize = 72;
/// What a label of a series costs beside its text: its number and a pointer to the text.
const LABEL_BYTES: usize = 20;

/// Widens an index. The targets are 32 and 64 bit machines, so it never saturates.
pub(crate) fn wide(index: u32) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}

/// Narrows a count that the head keeps below `u32::MAX`.
pub(crate) fn narrow(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// All texts of a head, each once.
#[derive(Debug)]
pub(crate) struct Texts {
    numbers: FxHashMap<Arc<str>, u32>,
    values: Arc<Vec<Arc<str>>>,
    bytes: usize,
}

impl Texts {
    fn new() -> Self {
        let mut texts =
            Self { numbers: FxHashMap::default(), values: Arc::new(Vec::new()), bytes: 0 };
        texts.number("");
        texts
    }

    fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = narrow(self.values.len());
        let text: Arc<str> = Arc::from(text);
        self.bytes = self.bytes.saturating_add(text.len()).saturating_add(ENTRY_BYTES);
        Arc::make_mut(&mut self.values).push(text.clone());
        self.numbers.insert(text, number);
        number
    }

    fn get(&self, number: u32) -> Arc<str> {
        self.values.get(wide(number)).cloned().unwrap_or_else(|| Arc::from(""))
    }
}

/// One dictionary column of a batch and the head's numbers of its values, found when first met.
struct NumberedColumn<'a> {
    parts: Option<(&'a DictionaryArray<Int32Type>, &'a StringArray)>,
    numbers: Vec<u32>,
}

impl<'a> NumberedColumn<'a> {
    fn new(batch: &'a Batch, column: usize) -> Self {
        let parts = batch.column(column).and_then(|column| {
            let dictionary = column.as_dictionary_opt::<Int32Type>()?;
            let values = dictionary.values().as_string_opt::<i32>()?;
            Some((dictionary, values))
        });
        let numbers = vec![UNSEEN; parts.map_or(0, |(_, values)| values.len())];
        Self { parts, numbers }
    }

    /// The number of a row's text; `NO_TEXT` when it is null.
    fn number(&mut self, texts: &mut Texts, row: usize) -> u32 {
        let Some((dictionary, values)) = self.parts else { return NO_TEXT };
        let Some(key) = dictionary.key(row) else { return NO_TEXT };
        let Some(known) = self.numbers.get_mut(key) else { return NO_TEXT };
        if *known == UNSEEN {
            *known = if values.is_valid(key) { texts.number(values.value(key)) } else { NO_TEXT };
        }
        *known
    }
}

/// The series of a head.
#[derive(Debug)]
pub(crate) struct Names {
    table: &'static Table,
    texts: Texts,
    /// Label columns: dimensions, then keys.
    width: usize,
    /// `width` text numbers per series.
    labels: Vec<u32>,
    /// Hash of the labels to the latest series with it; `older` leads to the others.
    latest: FxHashMap<u64, u32>,
    older: Vec<u32>,
    keys: Arc<Vec<Arc<SeriesKey>>>,
    /// All series in key order; behind `keys` until it is asked for.
    order: Mutex<Arc<Vec<u32>>>,
}

impl Names {
    pub(crate) fn new(table: &'static Table) -> Self {
        Self {
            table,
            texts: Texts::new(),
            width: table.dimensions().len().saturating_add(table.keys().len()),
            labels: Vec::new(),
            latest: FxHashMap::default(),
            older: Vec::new(),
            keys: Arc::new(Vec::new()),
            order: Mutex::default(),
        }
    }

    pub(crate) fn table(&self) -> &'static Table {
        self.table
    }

    pub(crate) fn keys(&self) -> &Arc<Vec<Arc<SeriesKey>>> {
        &self.keys
    }

    /// All series numbers in key order; sorted anew only when series were added.
    pub(crate) fn order(&self) -> Arc<Vec<u32>> {
        let mut order = self.order.lock();
        if order.len() < self.keys.len() {
            let added = narrow(order.len())..narrow(self.keys.len());
            let order = Arc::make_mut(&mut order);
            order.extend(added);
            // One long sorted run and a short tail: the stable sort is made for that.
            order.sort_by_key(|series| self.keys.get(wide(*series)));
        }
        order.clone()
    }

    pub(crate) fn texts(&self) -> &Arc<Vec<Arc<str>>> {
        &self.texts.values
    }

    /// Bytes of memory, estimated.
    pub(crate) fn bytes(&self) -> usize {
        let per_series = size_of::<SeriesKey>()
            .saturating_add(self.width.saturating_mul(LABEL_BYTES))
            .saturating_add(ENTRY_BYTES);
        let series = self.keys.len().saturating_mul(per_series);
        self.texts.bytes.saturating_add(series)
    }

    /// The series number of every row of a batch.
    pub(crate) fn series_of(&mut self, batch: &Batch) -> Vec<u32> {
        let mut columns: Vec<_> =
            (1..=self.width).map(|column| NumberedColumn::new(batch, column)).collect();
        let rows = batch.num_rows();
        let mut series = Vec::with_capacity(rows);
        let mut labels = vec![0; self.width];
        let mut before = vec![NO_TEXT; self.width];
        let mut last = NO_TEXT;
        for row in 0..rows {
            for (label, column) in labels.iter_mut().zip(&mut columns) {
                let number = column.number(&mut self.texts, row);
                *label = if number == NO_TEXT { 0 } else { number };
            }
            if labels != before {
                last = self.series(&labels);
                before.copy_from_slice(&labels);
            }
            series.push(last);
        }
        series
    }

    /// The text number of every row of a text metric.
    pub(crate) fn texts_of(&mut self, batch: &Batch, column: usize) -> Vec<u32> {
        let mut numbered = NumberedColumn::new(batch, column);
        (0..batch.num_rows()).map(|row| numbered.number(&mut self.texts, row)).collect()
    }

    fn series(&mut self, labels: &[u32]) -> u32 {
        let mut hasher = FxHasher::default();
        labels.hash(&mut hasher);
        let hash = hasher.finish();
        let latest = self.latest.get(&hash).copied();
        let mut candidate = latest;
        while let Some(series) = candidate {
            let start = wide(series).saturating_mul(self.width);
            if self.labels.get(start..start.saturating_add(self.width)) == Some(labels) {
                return series;
            }
            candidate = self.older.get(wide(series)).copied().filter(|older| *older != NO_TEXT);
        }
        let series = narrow(self.keys.len());
        self.labels.extend_from_slice(labels);
        self.older.push(latest.unwrap_or(NO_TEXT));
        self.latest.insert(hash, series);
        let key = Arc::new(self.key(labels));
        Arc::make_mut(&mut self.keys).push(key);
        series
    }

    fn key(&self, labels: &[u32]) -> SeriesKey {
        let dimensions = self.table.dimensions();
        let mut subject = Subject::default();
        for (dimension, label) in dimensions.iter().zip(labels) {
            subject.set(*dimension, self.texts.get(*label));
        }
        let keys = labels.iter().skip(dimensions.len()).map(|label| self.texts.get(*label));
        SeriesKey { subject, keys: keys.collect() }
    }
}
