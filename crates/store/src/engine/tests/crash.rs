//! What survives when the process, the power or the disk fails at any point.

use super::*;

/// Small files, so that every kind of change happens often.
fn small(dir: &Path) -> StoreOptions {
    StoreOptions { wal_segment_bytes: 3000, ..options(dir) }
}

#[tokio::test(flavor = "multi_thread")]
async fn ack_a_copy_taken_while_writing_holds_every_acknowledged_frame() {
    let dir = folder();
    let store = Store::open(small(dir.path()), clock()).expect("open");
    let acked = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let writer = {
        let (store, acked) = (store.clone(), Arc::clone(&acked));
        tokio::spawn(async move {
            for n in 1..=200 {
                append_new(&store, n..=n).await;
                acked.store(n, Ordering::SeqCst);
                if n % 23 == 0 {
                    store.flush().await.expect("flush");
                }
            }
        })
    };
    let mut cuts = 0;
    while !writer.is_finished() || cuts == 0 {
        let cut = folder();
        let (before, after) = {
            // A power cut is one moment: no manifest changes while the copy is taken.
            let _ledger = store.shared.ledger.lock();
            let before = acked.load(Ordering::SeqCst);
            copy_tree(dir.path(), cut.path());
            (before, acked.load(Ordering::SeqCst))
        };
        let copy = Store::open(small(cut.path()), clock()).expect("open");
        let frames = frames_in(&copy);
        let (whole, more) = frames.split_at(before as usize);
        assert_eq!(whole, (1..=before).collect::<Vec<_>>());
        // Frames that came while the copy was taken, and one that is not acknowledged yet.
        assert!(more.iter().all(|n| *n <= after + 2), "{more:?} after {after}");
        cuts += 1;
    }
    writer.await.expect("writer");
}

#[tokio::test(flavor = "multi_thread")]
async fn ack_a_wal_cut_at_any_byte_holds_the_frames_before_the_cut() {
    let dir = folder();
    let store = open(dir.path());
    append_new(&store, 1..=4).await;
    store.flush().await.expect("flush");
    let wal = files(&dir.path().join("wal")).remove(0);
    let flushed = std::fs::metadata(&wal).expect("wal").len();
    let mut ends = Vec::new();
    for n in 5..=8 {
        append_new(&store, n..=n).await;
        ends.push(std::fs::metadata(&wal).expect("wal").len());
    }
    let whole = std::fs::read(&wal).expect("read");
    let name = wal.file_name().expect("name");
    let cut = folder();
    copy_tree(dir.path(), cut.path());
    // The first bytes after each record's end, and every 13th byte between.
    for length in (0..=whole.len() as u64).filter(|length| {
        length % 13 == 0 || ends.iter().any(|end| length.abs_diff(*end) < 2) || *length == flushed
    }) {
        let try_dir = folder();
        copy_tree(cut.path(), try_dir.path());
        std::fs::write(try_dir.path().join("wal").join(name), &whole[..length as usize])
            .expect("cut");
        let store = open(try_dir.path());
        let kept = ends.iter().filter(|end| **end <= length).count() as u64;
        assert_eq!(frames_in(&store), (1..=4 + kept).collect::<Vec<_>>(), "cut at {length}");
        let status = store.status();
        // The manifest knows that the log was longer once.
        assert_eq!(status.corrupt_bytes, flushed.saturating_sub(length), "cut at {length}");
        // What was cut off is new again.
        append_new(&store, 5 + kept..=9).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ack_stores_dropped_and_reopened_again_and_again_lose_nothing() {
    let dir = folder();
    let mut next = 1;
    for round in 0..25_u64 {
        let store = Store::open(small(dir.path()), clock()).expect("open");
        assert_eq!(frames_in(&store), (1..next).collect::<Vec<_>>(), "round {round}");
        let count = round * 7 % 11;
        append_new(&store, next..=next + count).await;
        next += count + 1;
        if round % 3 == 0 {
            store.flush().await.expect("flush");
        }
        if round % 7 == 6 {
            store.close().await.expect("close");
        }
    }
}

/// Runs one life with a fault at the `nth` change of the disk. Returns the acknowledged frames and
/// whether the fault was reached.
async fn faulty_life(dir: &Path, nth: u64, times: u64) -> (Vec<u64>, bool) {
    let faults = Faults::default();
    faults.fail(nth, times);
    let disk = Disk::with_faults(faults.clone());
    let Ok(store) = Store::open_on(disk, small(dir), clock()) else {
        return (Vec::new(), !faults.heal());
    };
    let mut acked = Vec::new();
    for n in 1..=12 {
        // A frame that was refused is sent again once, as senders do.
        for _ in 0..2 {
            match append(&store, n).await {
                Ok(Appended::New { .. } | Appended::Duplicate) => {
                    acked.push(n);
                    break;
                }
                Ok(Appended::Rejected { reason }) => panic!("{reason}"),
                Err(error) => assert_eq!(error.class(), ErrorClass::Busy, "{error:?}"),
            }
        }
        if n % 4 == 0 {
            let _ = store.flush().await;
        }
        let frames = frames_in(&store);
        assert!(acked.iter().all(|n| frames.contains(n)), "fault {nth}: {acked:?} {frames:?}");
    }
    if nth.is_multiple_of(2) {
        let _ = store.close().await;
    } else {
        drop(store);
    }
    (acked, !faults.heal())
}

#[tokio::test(flavor = "multi_thread")]
async fn ack_a_fault_at_every_change_of_the_disk_loses_nothing() {
    for times in [1, 4] {
        let mut points = 0;
        for nth in 0.. {
            let dir = folder();
            let (acked, reached) = faulty_life(dir.path(), nth, times).await;
            let store = open(dir.path());
            let frames = frames_in(&store);
            let lost: Vec<_> = acked.iter().filter(|n| !frames.contains(n)).collect();
            assert!(lost.is_empty(), "fault {nth} x {times}: lost {lost:?}");
            assert_eq!(store.status().corrupt_bytes, 0, "fault {nth} x {times}");
            drop(store);
            // A fault while recovering from a fault.
            let again = Faults::default();
            again.fail(nth % 7, 1);
            let _ = Store::open_on(Disk::with_faults(again), small(dir.path()), clock());
            assert_eq!(frames_in(&open(dir.path())), frames, "fault {nth} x {times}");
            if !reached {
                break;
            }
            points += 1;
        }
        assert!(points > 60, "only {points} points");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ack_a_full_disk_that_is_freed_keeps_everything() {
    let dir = folder();
    let (store, faults) = open_faulty(small(dir.path())).expect("open");
    append_new(&store, 1..=3).await;
    for round in 0..5_u64 {
        faults.fail(round, 8);
        let n = 4 + round;
        let mut refusals = 0;
        while append(&store, n).await.is_err() {
            refusals += 1;
            assert!(refusals < 20);
            let status = store.status();
            assert!(matches!(status.read_only, Some(ReadOnly::WalFailed { .. })));
        }
        faults.heal();
        store.flush().await.expect("flush");
        assert_eq!(store.status().read_only, None);
    }
    assert_eq!(frames_in(&store), (1..=8).collect::<Vec<_>>());
    drop(store);
    assert_eq!(frames_in(&open(dir.path())), (1..=8).collect::<Vec<_>>());
}
