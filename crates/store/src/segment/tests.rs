//! Segment files keep what was written and never answer from damaged bytes.

use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use plimsoll_model::{Batch, BatchBuilder, ErrorClass, Filter, Subject, Table, TimeRange};
use tempfile::TempDir;

use super::*;
use crate::head::Head;
use crate::scan::{ScanLimits, ScanRequest, View, scan};

fn table() -> &'static Table {
    Batch::find_table("node_filesystem").unwrap()
}

fn head() -> Head {
    let mut builder = BatchBuilder::new(table());
    let metrics = table().metrics();
    for row in 0..24_i64 {
        let node = format!("n{}", row % 2);
        builder.row(1_000 + row * 10, &Subject::node("default", &node), &["sda1", "/", "ext4"]);
        builder.int(&metrics[0].column, Some(row * row)).unwrap();
        builder.int(&metrics[1].column, (row % 3 == 0).then_some(row)).unwrap();
    }
    let mut head = Head::new(table());
    head.push(&builder.finish().unwrap());
    head
}

fn written(path: &Path) -> SegmentMeta {
    let rows = head().seal().days().next().unwrap();
    let plan = EncodingPlan { group_rows: 10, page_rows: 4, ..EncodingPlan::flush(table()) };
    write_with(&rows, Resolution::Raw, &plan, path).unwrap()
}

/// The rows as text, and how many segments were left out.
fn read(path: &Path, meta: &SegmentMeta, metrics: Vec<usize>) -> Result<(String, usize), String> {
    let segment = Segment::open(path, meta.clone()).map_err(|error| error.to_string())?;
    let view = View { segments: vec![Arc::new(segment)], heads: Vec::new() };
    let request = ScanRequest {
        table: table(),
        metrics,
        range: TimeRange::new(0, 1_200),
        filter: Filter::default(),
        limits: ScanLimits::new(1_000, 100),
    };
    let found = scan(&view, &request).map_err(|error| error.to_string())?;
    Ok((format!("{} {:?}", found.rows, found.series), found.damaged.len()))
}

#[test]
fn corrupt_every_flipped_bit_is_noticed_or_changes_nothing() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("segment.parquet");
    let meta = written(&path);
    let bytes = std::fs::read(&path).unwrap();
    let right = read(&path, &meta, vec![0, 1]).unwrap();
    assert_eq!(right.1, 0);
    assert!(right.0.starts_with("20 "), "rows 20 to 23 are not before the end of the range");
    let mut noticed = 0;
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        std::fs::write(&path, &damaged).unwrap();
        let found = read(&path, &meta, vec![0, 1]).unwrap();
        if found.1 == 1 {
            noticed += 1;
            assert_eq!(found.0, "0 []", "byte {at}");
        } else {
            assert_eq!(found, right, "byte {at}");
        }
        let whole = Segment::open(&path, meta.clone()).unwrap().verify().unwrap_err();
        assert_eq!(whole.class(), ErrorClass::Corrupt);
    }
    assert!(noticed > bytes.len() / 2, "{noticed} of {}", bytes.len());
}

#[test]
fn corrupt_every_cut_and_every_zeroed_stretch_is_an_error() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("segment.parquet");
    let meta = written(&path);
    let bytes = std::fs::read(&path).unwrap();
    for length in 0..bytes.len() {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let error = Segment::open(&path, meta.clone()).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Corrupt);
        let mut zeroed = bytes.clone();
        zeroed[length..].fill(0);
        std::fs::write(&path, &zeroed).unwrap();
        assert_eq!(read(&path, &meta, vec![0]).unwrap().1, 1);
    }
    std::fs::remove_file(&path).unwrap();
    let error = Segment::open(&path, meta).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Missing);
}

#[test]
fn corrupt_damage_in_a_column_nobody_asks_for_costs_nothing() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("segment.parquet");
    let meta = written(&path);
    let right = read(&path, &meta, vec![1]).unwrap();
    let segment = Segment::open(&path, meta.clone()).unwrap();
    let index = segment.index().unwrap();
    let column = index.metric(0).unwrap();
    let reader = segment.reader().unwrap();
    let values = reader.read(0, &[column], std::slice::from_ref(&(0..10))).unwrap();
    assert_eq!(values[0].as_primitive::<Int64Type>().value(1), 4);
    let mut bytes = std::fs::read(&path).unwrap();
    // The first column chunks are those of time and labels; the fourth metric chunk follows later.
    let offset = usize::try_from(index.chunk_offset(0, column)).unwrap();
    bytes[offset + 8] ^= 0xff;
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(read(&path, &meta, vec![1]).unwrap(), right);
    assert_eq!(read(&path, &meta, vec![0]).unwrap().1, 1);
}

#[test]
fn the_index_names_every_series_and_its_rows() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("segment.parquet");
    let meta = written(&path);
    assert_eq!((meta.rows, meta.series, meta.samples), (24, 2, 32));
    assert_eq!(meta.time_range(), TimeRange::new(1_000, 1_231));
    assert_eq!(meta.bytes, std::fs::metadata(&path).unwrap().len());
    let segment = Segment::open(&path, meta).unwrap();
    segment.verify().unwrap();
    let spans = segment.spans().unwrap();
    let facts: Vec<_> = spans
        .iter()
        .map(|span| (span.key.subject.node.as_ref(), span.start, span.rows, span.first_ms))
        .collect();
    assert_eq!(facts, [("n0", 0, 12, 1_000), ("n1", 12, 12, 1_010)]);
    assert_eq!(spans[1].last_ms, 1_230);
    assert_eq!(spans[0].key.label(table(), "mountpoint"), "/");
    assert!(segment.has_index());
    segment.forget_index();
    assert!(!segment.has_index());
    assert_eq!(segment.spans().unwrap().len(), 2);
}

#[test]
fn an_index_of_any_bytes_is_an_index_or_nothing() {
    let rows = head().seal().days().next().unwrap();
    let bytes = index::encode(table(), &index::spans_of(&rows));
    assert_eq!(index::decode(&bytes, table()).unwrap().len(), 2);
    for length in 0..bytes.len() {
        assert!(index::decode(&bytes[..length], table()).is_none());
    }
    for at in 0..bytes.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] = value;
            let _ = index::decode(&damaged, table());
        }
    }
}

#[test]
fn resolutions_have_names() {
    for resolution in Resolution::ALL {
        assert_eq!(resolution.to_string().parse(), Ok(resolution));
    }
    let error = "2m".parse::<Resolution>().unwrap_err();
    assert_eq!(error.to_string(), "there is no resolution \"2m\", there are raw, 5m and 1h");
}
