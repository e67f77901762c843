//! The plain map that scans are compared with, and random rows.

use std::collections::BTreeMap;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef};
use plimsoll_model::{Batch, BatchBuilder, ColumnType, Dimension, Subject, Table};
use proptest::prelude::*;

use crate::scan::{Scan, ScanRequest, SeriesKey};

/// Time between two moments of random rows; some of them lie on different days.
pub(super) const STEP_MS: i64 = 7_200_000;

/// A value as it is stored; floats by their bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Null,
    Int(i64),
    Float(u64),
    Text(String),
}

/// One row before it is given to a table.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) subject: usize,
    pub(super) key: usize,
    pub(super) at: i64,
    /// Index into the table's metrics and the value; a value of another type becomes one that fits.
    pub(super) values: Vec<(usize, Value)>,
}

pub(super) fn row() -> impl Strategy<Value = Row> {
    let value = prop_oneof![
        1 => Just(Value::Null),
        3 => (-5_i64..5).prop_map(Value::Int),
        1 => any::<i64>().prop_map(Value::Int),
    ];
    let values = prop::collection::vec((0_usize..12, value), 0..6);
    (0_usize..5, 0_usize..2, 0_i64..40, values).prop_map(|(subject, key, at, values)| Row {
        subject,
        key,
        at,
        values,
    })
}

pub(super) fn table(choice: usize) -> &'static Table {
    let names = ["container", "container_network", "node", "node_filesystem", "event"];
    Batch::find_table(names[choice]).unwrap()
}

fn subject(table: &Table, choice: usize) -> Subject {
    let mut subject = Subject::node("default", &format!("n{}", choice % 2));
    if table.dimensions().contains(&Dimension::Service) {
        let services = ["", "s1", "s2"];
        subject.set(Dimension::Service, services[choice % 3].into());
        subject.set(Dimension::ContainerId, format!("{choice:064}").into());
        subject.set(Dimension::Image, if choice == 4 { "".into() } else { "i:1".into() });
    }
    subject
}

fn keys(table: &Table, row: &Row) -> Vec<String> {
    let names = ["", "k1", "k2"];
    (0..table.keys().len()).map(|index| names[(row.key + index) % 3].to_owned()).collect()
}

/// The value as this column can hold it.
fn fitting(table: &Table, metric: usize, value: &Value) -> Value {
    match (table.metrics()[metric].column_type, value) {
        (ColumnType::Float, Value::Int(value)) => {
            Value::Float(f64::from(i32::try_from(value % 1_000).unwrap()).to_bits())
        }
        (ColumnType::Text, Value::Int(value)) => Value::Text(format!("t{}", value % 7)),
        (_, value) => value.clone(),
    }
}

/// Values of a row by metric; of a metric set twice the last counts.
fn values(table: &Table, row: &Row) -> BTreeMap<usize, Value> {
    let metrics = table.metrics().len();
    row.values
        .iter()
        .map(|(metric, value)| (metric % metrics, fitting(table, metric % metrics, value)))
        .collect()
}

pub(super) fn batch(table: &'static Table, start_ms: i64, rows: &[Row]) -> Batch {
    let mut builder = BatchBuilder::new(table);
    for row in rows {
        let keys = keys(table, row);
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        builder.row(start_ms + row.at * STEP_MS, &subject(table, row.subject), &keys);
        for (metric, value) in values(table, row) {
            let column = &table.metrics()[metric].column;
            match value {
                Value::Null => {}
                Value::Int(value) => builder.int(column, Some(value)).unwrap(),
                Value::Float(bits) => builder.float(column, Some(f64::from_bits(bits))).unwrap(),
                Value::Text(text) => builder.text(column, Some(&text)).unwrap(),
            }
        }
    }
    builder.finish().unwrap()
}

pub(super) type Answer = BTreeMap<SeriesKey, BTreeMap<i64, Vec<Value>>>;

pub(super) fn rows_of(answer: &Answer) -> u64 {
    u64::try_from(answer.values().map(BTreeMap::len).sum::<usize>()).unwrap()
}

/// Every row ever pushed, the latest of each series and time.
#[derive(Debug, Default)]
pub(super) struct Model {
    rows: BTreeMap<SeriesKey, BTreeMap<i64, BTreeMap<usize, Value>>>,
}

impl Model {
    pub(super) fn insert(&mut self, table: &Table, start_ms: i64, rows: &[Row]) {
        for row in rows {
            let keys = keys(table, row).into_iter().map(Into::into).collect();
            let key = SeriesKey { subject: subject(table, row.subject), keys };
            let time = start_ms + row.at * STEP_MS;
            self.rows.entry(key).or_default().insert(time, values(table, row));
        }
    }

    pub(super) fn answer(&self, request: &ScanRequest) -> Answer {
        let accepted =
            self.rows.iter().filter(|(key, _)| key.accepted_by(request.table, &request.filter));
        let series = accepted.map(|(key, rows)| {
            let rows = rows.iter().filter(|(time, _)| request.range.contains(**time));
            let rows = rows.map(|(time, values)| {
                let wanted = request.metrics.iter();
                let row = wanted.map(|m| values.get(m).cloned().unwrap_or(Value::Null)).collect();
                (*time, row)
            });
            (key.clone(), rows.collect::<BTreeMap<i64, Vec<Value>>>())
        });
        series.filter(|(_, rows)| !rows.is_empty()).collect()
    }
}

/// The value of one row of a column.
fn value(column: &ArrayRef, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    if let Some(ints) = column.as_primitive_opt::<Int64Type>() {
        return Value::Int(ints.value(row));
    }
    if let Some(floats) = column.as_primitive_opt::<Float64Type>() {
        return Value::Float(floats.value(row).to_bits());
    }
    let dictionary = column.as_dictionary::<Int32Type>();
    let texts = dictionary.values().as_string::<i32>();
    Value::Text(texts.value(dictionary.key(row).unwrap()).to_owned())
}

pub(super) fn answer(scan: &Scan) -> Answer {
    let mut answer = Answer::new();
    for series in &scan.series {
        let rows = answer.entry(series.key.as_ref().clone()).or_default();
        for chunk in &series.chunks {
            for (row, time) in chunk.times_ms.iter().enumerate() {
                let values = chunk.columns.iter().map(|column| value(column, row)).collect();
                assert!(rows.insert(*time, values).is_none(), "time {time} stands twice");
            }
        }
    }
    answer
}
