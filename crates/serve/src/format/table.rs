//! A history answer as Arrow rows, for Arrow streams and Parquet files.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::StringDictionaryBuilder;
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, Float64Array, RecordBatch, TimestampMillisecondArray};
use arrow_schema::{ArrowError, Field, Schema};
use plimsoll_query::history::HistoryAnswer;

/// Columns: `time`, the grouping labels, `value`, `unit`; one row per group and step, in that
/// order. Metric, step and resolution are metadata of the schema.
pub(super) fn rows(answer: &HistoryAnswer) -> Result<RecordBatch, ArrowError> {
    let steps = answer.times_ms.len();
    let times = answer.groups.iter().flat_map(|_| answer.times_ms.iter().copied());
    let times = TimestampMillisecondArray::from_iter_values(times).with_timezone("UTC");
    let mut columns: Vec<(String, ArrayRef)> = vec![("time".to_owned(), Arc::new(times))];
    for (position, name) in super::column_names(answer).into_iter().enumerate() {
        let labels = answer.groups.iter().map(|group| group.labels.get(position));
        columns.push((name, repeated(labels, steps)));
    }
    let values = answer.groups.iter().flat_map(|group| group.values.iter().copied());
    columns.push(("value".to_owned(), Arc::new(values.collect::<Float64Array>())));
    let units = answer.groups.iter().map(|group| Some(&group.unit));
    columns.push(("unit".to_owned(), repeated(units, steps)));
    let fields = columns
        .iter()
        .map(|(name, column)| Field::new(name, column.data_type().clone(), name != "time"));
    let metadata = HashMap::from([
        ("plimsoll.metric".to_owned(), answer.metric.clone()),
        ("plimsoll.step_ms".to_owned(), answer.step_ms.to_string()),
        ("plimsoll.resolution".to_owned(), answer.resolution.clone()),
        ("plimsoll.warnings".to_owned(), answer.warnings.join("\n")),
    ]);
    let schema = Schema::new(fields.collect::<Vec<_>>()).with_metadata(metadata);
    RecordBatch::try_new(Arc::new(schema), columns.into_iter().map(|(_, column)| column).collect())
}

/// Each text `times` times; empty and missing ones are null.
fn repeated<'a>(texts: impl Iterator<Item = Option<&'a String>>, times: usize) -> ArrayRef {
    let mut builder = StringDictionaryBuilder::<Int32Type>::new();
    for text in texts {
        let text = text.filter(|text| !text.is_empty());
        for _ in 0..times {
            builder.append_option(text);
        }
    }
    Arc::new(builder.finish())
}
