//! A scan of any mix of heads and segments answers what a plain map of the same rows answers.

mod model;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::{Model, Row, Value, answer, batch, rows_of, table};
use plimsoll_model::{ErrorClass, Filter, Matcher, TimeRange};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use tempfile::TempDir;

use super::*;
use crate::head::{DAY_MS, Head, SealedHead};
use crate::segment::{Encoding, EncodingPlan, Resolution, Segment, write_with};

const START_MS: i64 = 20_000 * DAY_MS;

/// Small groups and pages, so that a few rows already cross their borders.
fn tiny_plan(table: &plimsoll_model::Table, choice: usize) -> EncodingPlan {
    let all = [Encoding::Delta, Encoding::Dictionary, Encoding::ByteStreamSplit, Encoding::Plain];
    let metrics = (0..table.metrics().len()).map(|metric| all[(metric + choice) % 4]).collect();
    let time = all[choice % 4];
    EncodingPlan { time, metrics, zstd_level: 1, group_rows: 5 + choice, page_rows: 2 }
}

fn segments_of(sealed: &SealedHead, dir: &TempDir, choice: usize) -> Vec<Arc<Segment>> {
    let segments = sealed.days().map(|rows| {
        let path = dir.path().join(format!("{}.parquet", uuid_like(dir)));
        let plan = tiny_plan(rows.table(), choice);
        let meta = write_with(&rows, Resolution::Raw, &plan, &path).unwrap();
        Arc::new(Segment::open(&path, meta).unwrap())
    });
    segments.collect()
}

/// A name no file of the folder has.
fn uuid_like(dir: &TempDir) -> usize {
    std::fs::read_dir(dir.path()).unwrap().count()
}

fn limits() -> ScanLimits {
    ScanLimits::new(1_000_000, 10_000)
}

fn request(table: &'static plimsoll_model::Table, metrics: Vec<usize>) -> ScanRequest {
    let filter = Filter::default();
    ScanRequest { table, metrics, range: TimeRange::ALL, filter, limits: limits() }
}

/// What happens to the rows pushed so far.
#[derive(Debug, Clone)]
enum Step {
    Push(Vec<Row>),
    /// The head is sealed and stays in memory.
    Seal,
    /// The head is sealed and written with this choice of encodings.
    Flush(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop::collection::vec(model::row(), 1..25).prop_map(Step::Push),
        1 => Just(Step::Seal),
        3 => (0_usize..4).prop_map(Step::Flush),
    ]
}

fn filters(choice: usize) -> Filter {
    match choice {
        0 => Filter::default(),
        1 => Filter::new(vec![Matcher::equal("service", "s1")]),
        2 => Filter::new(vec![Matcher::not_equal("node", "n0")]),
        3 => Filter::new(vec![Matcher::matches("interface", "k[01]?").unwrap()]),
        4 => Filter::new(vec![Matcher::equal("no_such_label", "")]),
        _ => Filter::new(vec![Matcher::equal("cluster", "elsewhere")]),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 384,
        rng_seed: RngSeed::Fixed(20),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn sort_null_a_scan_answers_what_a_map_answers(
        table_choice in 0_usize..5,
        steps in prop::collection::vec(step(), 1..9),
        metrics in prop::collection::vec(0_usize..64, 0..5),
        from in -1_i64..40,
        length in 0_i64..24,
        nudges in (-1_i64..2, -1_i64..2),
        filter in 0_usize..6,
        everything in prop::bool::weighted(0.25),
    ) {
        let table = table(table_choice);
        let dir = TempDir::new().unwrap();
        let mut model = Model::default();
        let mut head = Head::new(table);
        let mut view = View::default();
        for step in steps {
            match step {
                Step::Push(rows) => {
                    model.insert(table, START_MS, &rows);
                    head.push(&batch(table, START_MS, &rows));
                    // A snapshot between pushes must not see what comes after it.
                    let snapshot = head.snapshot();
                    prop_assert_eq!(snapshot.rows(), head.rows());
                }
                Step::Seal => {
                    let sealed = std::mem::replace(&mut head, Head::new(table)).seal();
                    view.heads.push(sealed.snapshot());
                }
                // Segments come before heads in a view, so older heads are written with them.
                Step::Flush(choice) if view.heads.is_empty() => {
                    let sealed = std::mem::replace(&mut head, Head::new(table)).seal();
                    view.segments.extend(segments_of(&sealed, &dir, choice));
                }
                Step::Flush(_) => {}
            }
        }
        view.heads.push(head.snapshot());
        let metrics: Vec<usize> =
            metrics.into_iter().map(|metric| metric % table.metrics().len()).collect();
        let mut request = request(table, metrics);
        request.filter = filters(filter);
        if !everything {
            let start = START_MS + from * model::STEP_MS;
            let end = start + length * model::STEP_MS;
            request.range = TimeRange::new(start + nudges.0, end + nudges.1);
        }
        let found = scan(&view, &request).unwrap();
        prop_assert!(found.warnings.is_empty(), "{:?}", found.warnings);
        let expected = model.answer(&request);
        prop_assert_eq!(found.rows, rows_of(&expected));
        prop_assert_eq!(answer(&found), expected.clone());
        for series in &found.series {
            for pair in series.chunks.windows(2) {
                prop_assert!(pair[0].last_ms() < pair[1].first_ms());
            }
        }
        let keys = series(&view, &SeriesRequest {
            table,
            range: request.range,
            filter: request.filter.clone(),
            limits: limits(),
        }).unwrap();
        for key in expected.keys() {
            prop_assert!(keys.iter().any(|found| found.as_ref() == key));
        }
        prop_assert!(keys.windows(2).all(|pair| pair[0] < pair[1]));
    }
}

fn simple_rows() -> Vec<Row> {
    (0..12_i64)
        .map(|at| Row {
            subject: usize::try_from(at % 3).unwrap(),
            key: 0,
            at,
            values: vec![(0, Value::Int(at)), (2, Value::Int(7))],
        })
        .collect()
}

fn simple_head() -> Head {
    let mut head = Head::new(table(0));
    head.push(&batch(table(0), START_MS, &simple_rows()));
    head
}

#[test]
fn an_empty_view_and_an_empty_head_answer_nothing() {
    let nothing = scan(&View::default(), &request(table(0), vec![0])).unwrap();
    assert!(nothing.series.is_empty() && nothing.rows == 0);
    let view = View { segments: Vec::new(), heads: vec![Head::new(table(0)).snapshot()] };
    assert!(scan(&view, &request(table(0), vec![0])).unwrap().series.is_empty());
    assert_eq!(Head::new(table(0)).seal().days().count(), 0);
}

#[test]
fn limits_are_named() {
    let dir = TempDir::new().unwrap();
    let sealed = simple_head().seal();
    let in_head = View { segments: Vec::new(), heads: vec![sealed.snapshot()] };
    let in_segment = View { segments: segments_of(&sealed, &dir, 0), heads: Vec::new() };
    for view in [in_head, in_segment] {
        let mut request = request(table(0), vec![0]);
        request.limits.rows_max = 11;
        let error = scan(&view, &request).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Limited);
        assert_eq!(
            error.to_string(),
            "more than 11 rows were found; ask for less time or fewer series"
        );
        request.limits = ScanLimits::new(12, 2);
        let error = scan(&view, &request).unwrap_err();
        assert_eq!(error.to_string(), "more than 2 series were found; filter by more labels");
        request.limits = ScanLimits::new(12, 3);
        assert_eq!(scan(&view, &request).unwrap().rows, 12);
        request.limits.stop.store(true, Ordering::Relaxed);
        assert!(matches!(scan(&view, &request), Err(ScanError::Stopped)));
        request.limits = limits();
        request.metrics = vec![table(0).metrics().len()];
        assert_eq!(scan(&view, &request).unwrap_err().class(), ErrorClass::Bug);
    }
}

#[test]
fn corrupt_a_damaged_segment_is_left_out_and_the_rest_answers() {
    let dir = TempDir::new().unwrap();
    let good = segments_of(&simple_head().seal(), &dir, 0);
    let mut late = Head::new(table(0));
    let rows: Vec<Row> =
        simple_rows().into_iter().map(|row| Row { at: row.at + 100, ..row }).collect();
    late.push(&batch(table(0), START_MS, &rows));
    let bad = segments_of(&late.seal(), &dir, 0);
    let path = bad[0].path();
    let mut bytes = std::fs::read(path).unwrap();
    bytes[10] ^= 1;
    std::fs::write(path, bytes).unwrap();
    let view = View { segments: vec![bad[0].clone(), good[0].clone()], heads: Vec::new() };
    let found = scan(&view, &request(table(0), vec![0])).unwrap();
    assert_eq!(found.rows, 12);
    assert_eq!(found.damaged.len(), 1);
    assert_eq!(found.damaged[0].error.class(), ErrorClass::Corrupt);
    assert_eq!(found.damaged[0].segment.path(), path);
    assert!(found.warnings[0].contains("rows between"), "{}", found.warnings[0]);
    std::fs::remove_file(path).unwrap();
    let found = scan(&view, &request(table(0), vec![0])).unwrap();
    assert_eq!(found.damaged[0].error.class(), ErrorClass::Missing);
}

#[test]
fn the_later_row_of_one_time_counts_whole() {
    let at = |value, metric| Row { subject: 0, key: 0, at: 0, values: vec![(metric, value)] };
    let mut head = Head::new(table(0));
    head.push(&batch(table(0), START_MS, &[at(Value::Int(1), 0)]));
    head.push(&batch(table(0), START_MS, &[at(Value::Int(2), 2)]));
    let view = View { segments: Vec::new(), heads: vec![head.snapshot()] };
    let found = scan(&view, &request(table(0), vec![0, 2])).unwrap();
    let found = answer(&found);
    let row = found.values().next().unwrap().get(&START_MS).unwrap();
    assert_eq!(row.as_slice(), [Value::Null, Value::Int(2)]);
}
