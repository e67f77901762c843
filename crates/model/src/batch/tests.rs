//! Batches keep what was set, null what was not, and sort.

use super::*;
use crate::Subject;

fn subject(service: &str, id: &str) -> Subject {
    let mut subject = Subject::node("default", "n1");
    subject.set(crate::Dimension::Service, service.into());
    subject.set(crate::Dimension::ContainerId, id.into());
    subject
}

fn container() -> &'static Table {
    Batch::find_table("container").unwrap()
}

#[test]
fn rows_are_sorted_and_unset_values_are_null() {
    let mut builder = BatchBuilder::new(container());
    builder.row(2_000, &subject("web", "b"), &[]);
    builder.int("pids", Some(7)).unwrap();
    builder.row(1_000, &subject("web", "a"), &[]);
    builder.unsigned("memory_limit_bytes", Some(u64::MAX)).unwrap();
    builder.row(1_000, &subject("api", "c"), &[]);
    let batch = builder.finish().unwrap();
    let subjects = batch.subjects();
    let ids: Vec<_> = (0..3).map(|row| subjects.dimension(Dimension::ContainerId, row)).collect();
    assert_eq!(ids, ["c", "a", "b"]);
    assert_eq!(batch.times_ms(), [1_000, 1_000, 2_000]);
    let pids = batch.column_named("pids").unwrap();
    assert_eq!(pids.null_count(), 2);
    assert!(batch.column_named("memory_limit_bytes").is_none(), "unlimited is null, not a number");
    assert_eq!(batch.samples(), 1);
    assert_eq!(subjects.subject(0), subject("api", "c"));
}

#[test]
fn unknown_columns_are_named() {
    let mut builder = BatchBuilder::new(container());
    assert!(matches!(builder.int("pids", Some(1)), Err(RowError::NoRow { .. })));
    builder.row(0, &Subject::default(), &[]);
    let error = builder.int("no_such", Some(1)).unwrap_err();
    assert_eq!(error.to_string(), "table container has no Int metric \"no_such\"");
}

#[test]
fn columns_of_another_type_are_refused() {
    let column: ArrayRef = std::sync::Arc::new(arrow_array::Int32Array::from(vec![1]));
    let rows = RecordBatch::try_from_iter([("time", column)]).unwrap();
    let error = Batch::try_new(container(), rows).unwrap_err();
    assert!(error.to_string().starts_with("column container.time is Int32, expected"));
}

use crate::Dimension;
