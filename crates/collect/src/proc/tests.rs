//! Recorded machines, read as the collector reads them.

use std::fmt::Write as _;

use plimsoll_model::Subject;

use super::*;
use crate::cases::{columns, plant, run_cases};
use crate::rows::{Rows, Tables};

#[test]
fn node_cases() {
    run_cases("node", |input| {
        let root = tempfile::tempdir().unwrap();
        plant(root.path(), input);
        let subject = Subject::node("c", "n");
        let mut rows = Rows::new(Tables::find().unwrap());
        rows.node.row(5, &subject, &[]);
        let mut reader = NodeReader::open(root.path()).unwrap();
        let mut buffer = Buffer::default();
        reader.write(5, &subject, &mut rows.node_builders(), &mut buffer).unwrap();
        let mut out = String::new();
        for batch in rows.take().unwrap() {
            for row in 0..batch.num_rows() {
                writeln!(out, "table {}", batch.table().name()).unwrap();
                out.push_str(&columns(&batch, row));
            }
        }
        out
    });
}

#[test]
fn the_collector_knows_what_it_uses() {
    let (cpu_us, memory_bytes) = own_usage();
    assert!(cpu_us.is_some());
    assert!(memory_bytes.is_some_and(|bytes| bytes > 1 << 20));
}
