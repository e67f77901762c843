//! A head keeps what it is given, counts its bytes and shares its blocks.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use plimsoll_model::{BatchBuilder, Dimension, Subject};

use super::*;

fn table() -> &'static Table {
    Batch::find_table("container").unwrap()
}

fn subject(service: &str, id: usize) -> Subject {
    let mut subject = Subject::node("default", "n1");
    subject.set(Dimension::Service, service.into());
    subject.set(Dimension::ContainerId, format!("{id:064}").into());
    subject
}

/// One row per id at `time_ms`, `pids` set to the id.
fn scrape(time_ms: i64, ids: std::ops::Range<usize>) -> Batch {
    let mut builder = BatchBuilder::new(table());
    for id in ids {
        builder.row(time_ms, &subject("web", id), &[]);
        builder.int("pids", i64::try_from(id).ok()).unwrap();
    }
    builder.finish().unwrap()
}

#[test]
fn blocks_are_shared_between_snapshots() {
    let mut head = Head::new(table());
    for time in 0..3 {
        head.push(&scrape(time, 0..2_000));
    }
    let first = head.snapshot();
    assert!(Arc::ptr_eq(&first, &head.snapshot()), "nothing was pushed in between");
    head.push(&scrape(3, 0..2_000));
    let second = head.snapshot();
    assert_eq!((first.rows(), second.rows()), (6_000, 8_000));
    assert_eq!((first.blocks().len(), second.blocks().len()), (2, 2));
    assert!(Arc::ptr_eq(&first.blocks()[0], &second.blocks()[0]));
    assert_eq!(head.time_range(), Some(TimeRange::new(0, 4)));
}

#[test]
fn limit_bytes_follow_what_is_kept() {
    let mut head = Head::new(table());
    let empty = head.bytes();
    head.push(&scrape(0, 0..10));
    let ten = head.bytes();
    assert!(ten > empty + 10 * 64);
    for time in 1..1_000 {
        head.push(&scrape(time, 0..10));
    }
    let rows = head.rows();
    let per_row = (head.bytes() - ten) / rows;
    assert!((20..40).contains(&per_row), "{per_row} bytes per row of series, time and one metric");
    assert_eq!(head.samples(), 10_000);
    let bytes = head.bytes();
    assert_eq!(head.seal().bytes(), bytes);
}

#[test]
fn days_are_split_sorted_and_free_of_repeats() {
    let mut head = Head::new(table());
    head.push(&scrape(DAY_MS, 0..2));
    head.push(&scrape(DAY_MS - 1, 0..2));
    head.push(&scrape(-1, 0..1));
    head.push(&scrape(5, 0..1));
    head.push(&scrape(3, 0..1));
    head.push(&scrape(5, 0..1));
    let days: Vec<SortedRows> = head.seal().days().collect();
    let facts: Vec<_> = days.iter().map(|day| (day.day(), day.times_ms().to_vec())).collect();
    assert_eq!(
        facts,
        [(-1, vec![-1]), (0, vec![3, 5, DAY_MS - 1, DAY_MS - 1]), (1, vec![DAY_MS, DAY_MS])]
    );
    let pids = table().metric_index("pids").unwrap();
    let column = days[1].metric(pids).unwrap();
    assert_eq!(column.as_primitive::<Int64Type>().values().to_vec(), [0, 0, 0, 1]);
    assert!(days[1].metric(0).is_none(), "never set");
    assert_eq!(days[1].spans().len(), 2);
    assert_eq!(days[1].time_range(), TimeRange::new(3, DAY_MS));
}

#[test]
fn null_columns_that_come_and_go_keep_their_rows() {
    let mut head = Head::new(table());
    let row = |time: i64, column: &str| {
        let mut builder = BatchBuilder::new(table());
        builder.row(time, &subject("web", 1), &[]);
        builder.int(column, Some(time)).unwrap();
        builder.finish().unwrap()
    };
    for (time, column) in [(1, "pids"), (2, "cpu_usage_us"), (3, "pids"), (4, "cpu_usage_us")] {
        head.push(&row(time, column));
    }
    let day = head.seal().days().next().unwrap();
    let column = |name: &str| {
        let column = day.metric(table().metric_index(name).unwrap()).unwrap();
        column.as_primitive::<Int64Type>().iter().collect::<Vec<_>>()
    };
    assert_eq!(column("pids"), [Some(1), None, Some(3), None]);
    assert_eq!(column("cpu_usage_us"), [None, Some(2), None, Some(4)]);
}
