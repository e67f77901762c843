//! Merging, rolling up and deleting in a real data directory: no answer changes, whatever fails.

use plimsoll_window::{GaugeWindow, Steps};

use super::*;
use crate::rollup::StepWindows;

fn small_table() -> &'static Table {
    table("node_filesystem")
}

/// A store with twelve segments of a day that is closed, and rows in its head.
async fn filled(dir: &Path, faults: Option<&Faults>) -> Store {
    let options = StoreOptions { compact_interval: None, ..options(dir) };
    let disk = faults.map_or_else(Disk::new, |faults| Disk::with_faults(faults.clone()));
    let store = Store::open_on(disk, options, clock()).expect("open");
    for n in 1..=13 {
        store.append(vec![frame_of(small_table(), n, &rows_of(n))]).await.expect("append");
        if n < 13 {
            store.flush().await.expect("flush");
        }
    }
    store
}

fn reopened(dir: &Path) -> Store {
    let options = StoreOptions { compact_interval: None, ..options(dir) };
    Store::open(options, clock()).expect("open")
}

/// Samples of every hour of the days around the rows.
fn hours(store: &Store) -> (Vec<u64>, Option<Resolution>) {
    let start_ms = NOW_MS - NOW_MS.rem_euclid(86_400_000) - 2 * 86_400_000;
    let request = crate::rollup::WindowsRequest {
        metric: metric(small_table()),
        steps: Steps::new(start_ms, start_ms + 3 * 86_400_000, 3_600_000).expect("steps"),
        lookback_ms: 0,
        filter: Filter::default(),
        limits: ScanLimits::new(1_000_000, 1000),
    };
    let answer = store.windows(small_table(), &request).expect("windows");
    let coarsest = answer.used.coarsest();
    match answer.series.into_iter().next().map(|series| series.steps) {
        Some(StepWindows::Int(windows)) => {
            (windows.iter().map(GaugeWindow::count).collect(), coarsest)
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_at_any_step_of_the_work_changes_no_answer() {
    for nth in 0.. {
        let dir = folder();
        let faults = Faults::default();
        let store = filled(dir.path(), Some(&faults)).await;
        let (before, hours_before) = (content(&store, small_table()), hours(&store).0);
        faults.fail(nth, 1);
        let mut failed = false;
        loop {
            match store.compact_once() {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    assert!(!failed, "only one step fails: {error}");
                    failed = true;
                }
            }
            assert_eq!(content(&store, small_table()), before, "step {nth}");
        }
        let is_past_the_end = faults.heal();
        assert_eq!(content(&store, small_table()), before, "step {nth}");
        assert_eq!(hours(&store).0, hours_before, "step {nth}");
        // As after a crash: the lock goes with the process.
        let copy = folder();
        copy_tree(dir.path(), copy.path());
        let store = reopened(copy.path());
        assert_eq!(content(&store, small_table()), before, "step {nth}");
        assert_eq!(hours(&store).0, hours_before, "step {nth}");
        store.compact().expect("compact");
        assert_eq!(content(&store, small_table()), before, "step {nth}");
        assert_eq!(hours(&store).0, hours_before, "step {nth}");
        let listed = store.shared.published.lock().segments.len();
        assert_eq!(files(&copy.path().join("segments")).len(), listed, "step {nth}");
        if is_past_the_end {
            assert!(nth > 10, "only {nth} steps");
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keep_a_deletion_is_in_force_at_once_and_after_a_restart() {
    let dir = folder();
    let store = filled(dir.path(), None).await;
    let (all, _) = content(&store, small_table());
    let range = TimeRange::new(rows_of(3)[0].0, rows_of(5)[1].0);
    let delete = |selector: &str| DeleteRequest {
        table: Some(small_table()),
        selector: selector.to_owned(),
        range,
        who: "somebody".to_owned(),
    };
    assert!(store.delete(&delete("{node=}")).is_err());
    store.delete(&delete("{node=\"another\"}")).expect("delete");
    assert_eq!(content(&store, small_table()).0, all);
    store.delete(&delete("{node=~\"node-.*\"}")).expect("delete");
    let kept: BTreeMap<i64, i64> =
        all.into_iter().filter(|(time, _)| !range.contains(*time)).collect();
    assert_eq!(content(&store, small_table()).0, kept);
    let copy = folder();
    copy_tree(dir.path(), copy.path());
    let store = reopened(copy.path());
    assert_eq!(content(&store, small_table()).0, kept);
    assert!(store.compact().expect("compact") > 0);
    assert_eq!(content(&store, small_table()).0, kept);
    let raw = store.shared.published.lock().segments.clone().into_iter();
    let raw = raw.filter(|entry| entry.resolution == Resolution::Raw);
    assert_eq!(raw.map(|entry| entry.meta.rows).sum::<u64>(), wide(kept.len()));
    let audit = std::fs::read_to_string(copy.path().join("audit.log")).expect("audit");
    assert_eq!(audit.lines().count(), 2);
    assert!(audit.contains("\"who\":\"somebody\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn roll_hours_answer_once_there_are_any() {
    let dir = folder();
    let store = filled(dir.path(), None).await;
    let (before, from) = hours(&store);
    assert_eq!(from, Some(Resolution::Raw));
    assert_eq!(before.iter().sum::<u64>(), 39);
    store.compact().expect("compact");
    let (after, from) = hours(&store);
    assert_eq!((after, from), (before, Some(Resolution::Hour)));
}
