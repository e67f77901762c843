//! What a store does when nothing breaks.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn ack_frames_survive_drop_close_and_flush() {
    let dir = folder();
    let store = open(dir.path());
    append_new(&store, 1..=5).await;
    assert_eq!(frames_in(&store), [1, 2, 3, 4, 5]);
    drop(store);
    let store = open(dir.path());
    assert_eq!(store.status().replayed_frames, 5);
    append_new(&store, 6..=8).await;
    store.flush().await.expect("flush");
    assert_eq!(frames_in(&store), (1..=8).collect::<Vec<_>>());
    append_new(&store, 9..=9).await;
    store.close().await.expect("close");
    let store = open(dir.path());
    let status = store.status();
    assert_eq!((status.replayed_frames, status.wal_files), (0, 0));
    assert_eq!(frames_in(&store), (1..=9).collect::<Vec<_>>());
    assert!(status.segments >= 2 && status.tables[0].rows == 9 * ROWS, "{status:?}");
    assert!(serde_json::to_string(&status).expect("json").contains("\"generation\":"));
}

#[tokio::test(flavor = "multi_thread")]
async fn once_a_resent_frame_changes_nothing() {
    let dir = folder();
    let store = open(dir.path());
    let answers = store.append(vec![frame(1), frame(2), frame(1)]).await.expect("append");
    assert!(matches!(
        answers[..],
        [Appended::New { .. }, Appended::New { .. }, Appended::Duplicate]
    ));
    for round in 0..4 {
        let store = if round == 0 { store.clone() } else { open(dir.path()) };
        for n in [1, 2] {
            assert!(matches!(append(&store, n).await.expect("append"), Appended::Duplicate));
        }
        assert_eq!(store.status().frames_duplicate, if round == 0 { 3 } else { 2 });
        assert_eq!(frames_in(&store), [1, 2]);
        match round {
            0 => {}
            1 => store.flush().await.expect("flush"),
            2 => store.close().await.expect("close"),
            _ => drop(store),
        }
        if round == 0 {
            break;
        }
    }
    drop(store);
    for close in [false, true, false] {
        let store = open(dir.path());
        for n in [1, 2] {
            assert!(matches!(append(&store, n).await.expect("append"), Appended::Duplicate));
        }
        assert_eq!(frames_in(&store), [1, 2]);
        if close {
            store.close().await.expect("close");
        } else {
            store.flush().await.expect("flush");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_callers_share_syncs_and_none_is_lost() {
    let dir = folder();
    let store = open(dir.path());
    let tasks: Vec<_> = (0..16)
        .map(|task| {
            let store = store.clone();
            tokio::spawn(async move {
                for n in 0..20 {
                    append_new(&store, task * 20 + n + 1..=task * 20 + n + 1).await;
                    if n == 10 && task % 4 == 0 {
                        store.flush().await.expect("flush");
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("task");
    }
    let status = store.status();
    assert_eq!(status.frames_new, 320);
    assert!(status.commits <= 320);
    assert_eq!(frames_in(&store).len(), 320);
    drop(store);
    assert_eq!(frames_in(&open(dir.path())).len(), 320);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_during_flushes_sees_every_row_once() {
    let dir = folder();
    let store = open(dir.path());
    append_new(&store, 1..=30).await;
    let writer = store.clone();
    let flushes = tokio::spawn(async move {
        for n in 31..=60 {
            append_new(&writer, n..=n).await;
            writer.flush().await.expect("flush");
        }
    });
    let mut seen = 30;
    while !flushes.is_finished() {
        let reader = store.clone();
        let frames = tokio::task::spawn_blocking(move || frames_in(&reader)).await.expect("scan");
        assert!(frames.len() >= seen, "{} frames after {seen}", frames.len());
        assert_eq!(frames, (1..=frames.len() as u64).collect::<Vec<_>>());
        seen = frames.len();
    }
    flushes.await.expect("flushes");
    assert_eq!(frames_in(&store).len(), 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_has_one_store() {
    let dir = folder();
    let store = open(dir.path());
    let refused = Store::open(options(dir.path()), clock()).expect_err("in use");
    assert!(matches!(refused, StoreError::InUse { .. }));
    assert_eq!(refused.class(), ErrorClass::Busy);
    let clone = store.clone();
    store.close().await.expect("close");
    let second = open(dir.path());
    assert!(matches!(append(&clone, 1).await, Err(StoreError::Closed)));
    assert!(matches!(clone.flush().await, Err(StoreError::Closed)));
    assert!(matches!(clone.close().await, Err(StoreError::Closed)));
    append_new(&second, 1..=1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_outside_the_accepted_times_are_left_out_also_after_replay() {
    let dir = folder();
    let store = open(dir.path());
    let day = 86_400_000;
    let future = (NOW_MS + 3_600_000, 1);
    let old = (NOW_MS - 31 * day, 2);
    let good = (NOW_MS, 3);
    let container = table("container");
    let answers = store
        .append(vec![
            frame_of(container, 1, &[old, good, future]),
            frame_of(container, 2, &[future]),
            Bytes::from_static(b"no frame"),
        ])
        .await
        .expect("append");
    assert!(matches!(answers[0], Appended::New { rows: 1, samples: 1 }));
    assert!(matches!(answers[1], Appended::Rejected { reason: Rejection::Times { rows: 1, .. } }));
    assert!(matches!(answers[2], Appended::Rejected { reason: Rejection::Frame(_) }));
    assert_eq!(store.status().rows_refused, 2);
    drop(store);
    // An hour later the future row would be acceptable, but it was refused.
    let later = Arc::new(ManualClock::new(NOW_MS + 3_600_000));
    let store = Store::open(options(dir.path()), later).expect("open");
    assert_eq!(content(&store, container).0, BTreeMap::from([good]));
}

#[tokio::test(flavor = "multi_thread")]
async fn keep_rows_past_retention_go_and_are_not_returned_before() {
    let dir = folder();
    let clock = clock();
    let store = Store::open(options(dir.path()), clock.clone()).expect("open");
    append_new(&store, 1..=4).await;
    store.flush().await.expect("flush");
    let before = files(&dir.path().join("segments"));
    clock.set_ms(NOW_MS + 31 * 86_400_000);
    assert!(content(&store, table("container")).0.is_empty());
    assert!(store.apply_retention().expect("retention") > 0);
    assert_eq!(store.status().segments, 0);
    assert!(!before.is_empty() && before.iter().all(|path| !path.exists()));
    drop(store);
    let store = Store::open(options(dir.path()), clock).expect("open");
    assert_eq!(store.status().segments, 0);
    assert!(matches!(append(&store, 1).await.expect("append"), Appended::Rejected { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn limit_heads_are_flushed_when_full_and_frames_refused_at_twice() {
    let dir = folder();
    let mut options = options(dir.path());
    options.head_bytes_max = 1;
    let (store, faults) = open_faulty(options).expect("open");
    append_new(&store, 1..=1).await;
    store.maintain();
    let status = store.status();
    assert!(status.head_bytes == 0 && status.segments > 0, "{status:?}");
    faults.fail_only(crate::disk::Operation::Rename, u64::MAX);
    append_new(&store, 2..=2).await;
    store.maintain();
    let busy = append(&store, 3).await.expect_err("busy");
    assert!(matches!(busy, StoreError::Busy { .. }) && busy.class() == ErrorClass::Busy);
    assert!(store.status().flush_failures > 0);
    faults.heal();
    store.maintain();
    append_new(&store, 3..=3).await;
    assert_eq!(frames_in(&store), [1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn limit_replay_flushes_when_heads_are_full() {
    let dir = folder();
    let mut options = options(dir.path());
    options.wal_segment_bytes = 2000;
    let store = Store::open(options.clone(), clock()).expect("open");
    append_new(&store, 1..=40).await;
    assert!(store.status().wal_files > 3);
    drop(store);
    options.head_bytes_max = 1;
    let store = Store::open(options.clone(), clock()).expect("open");
    let status = store.status();
    assert_eq!((status.replayed_frames, status.flushes), (40, 40));
    assert_eq!(status.wal_files, 0);
    assert_eq!(frames_in(&store).len(), 40);
    drop(store);
    let store = Store::open(options, clock()).expect("open");
    assert_eq!(store.status().replayed_frames, 0);
    assert_eq!(frames_in(&store).len(), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_nearly_full_refuses_frames_until_space_is_back() {
    let dir = folder();
    let mut options = options(dir.path());
    options.disk_free_bytes_min = 1000;
    let (store, faults) = open_faulty(options).expect("open");
    faults.set_free_bytes(Some(5000));
    append_new(&store, 1..=2).await;
    faults.set_free_bytes(Some(999));
    assert!(matches!(append(&store, 3).await, Err(StoreError::ReadOnly { .. })));
    let error = append(&store, 3).await.expect_err("read only");
    assert_eq!(error.class(), ErrorClass::Busy);
    assert_eq!(frames_in(&store), [1, 2]);
    // Flushing goes on: it makes room in the WAL.
    store.flush().await.expect("flush");
    faults.set_free_bytes(Some(1999));
    store.maintain();
    assert!(matches!(append(&store, 3).await, Err(StoreError::ReadOnly { .. })));
    faults.set_free_bytes(Some(2000));
    store.maintain();
    append_new(&store, 3..=3).await;
    assert_eq!(store.status().read_only, None);
    drop(store);
    assert_eq!(frames_in(&open(dir.path())), [1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn wal_files_go_only_when_all_their_tables_are_flushed() {
    let dir = folder();
    let mut options = options(dir.path());
    options.wal_segment_bytes = 1;
    let store = Store::open(options, clock()).expect("open");
    append_new(&store, 1..=3).await;
    let node = table("node");
    let frame = frame_of(node, 4, &[(NOW_MS, 7)]);
    assert!(matches!(store.append(vec![frame]).await.expect("append")[0], Appended::New { .. }));
    append_new(&store, 5..=5).await;
    assert_eq!(store.status().wal_files, 5);
    flush::flush(&store.shared, |table| table.name() == "container").expect("flush");
    // The node's file stays, and the newest, which is still written to.
    assert_eq!(store.status().wal_files, 2);
    drop(store);
    let store = open(dir.path());
    assert_eq!(store.status().replayed_frames, 1);
    assert_eq!(frames_in(&store), [1, 2, 3, 5]);
    assert_eq!(content(&store, node).0, BTreeMap::from([(NOW_MS, 7)]));
}
