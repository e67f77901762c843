//! R10: a full disk is a mode. Frames are refused with the reason, questions are answered, and
//! when space is freed everything goes on by itself; nothing acknowledged is lost, also by a kill
//! in the middle. `bench/tests/` does the same on a real small file system.

use std::io;

use plimsoll_model::ErrorClass;
use plimsoll_store::disk::Disk;
use plimsoll_store::disk::faults::Faults;
use plimsoll_store::{Store, StoreOptions};

use crate::world::*;

const MIN: u64 = 1 << 20;

#[test]
fn r10_low_space_is_read_only_until_twice_as_much_is_free() {
    let dir = folder();
    let faults = Faults::default();
    faults.set_free_bytes(Some(10 * MIN));
    let options = StoreOptions { disk_free_bytes_min: MIN, ..options(dir.path()) };
    let disk = Disk::with_faults(faults.clone());
    let store = Store::open_on(disk, options, clock()).expect("open");
    append_new(&store, 1..=5);
    for (free, is_open) in [(MIN - 1, false), (2 * MIN - 1, false), (2 * MIN, true), (0, false)] {
        faults.set_free_bytes(Some(free));
        store.maintain();
        let refused = append(&store, 5);
        assert_eq!(refused.is_ok(), is_open, "{free} bytes free");
        assert_eq!(store.status().read_only.is_some(), !is_open);
        assert_eq!(frames_in(&store), [1, 2, 3, 4, 5]);
        if let Err(error) = refused {
            assert_eq!(error.class(), ErrorClass::Busy);
            let json = serde_json::to_string(&store.status()).expect("json");
            assert!(json.contains(r#""reason":"disk_low""#), "{json}");
        }
    }
    // Killed while the disk is full, started while it is full, then freed.
    drop(store);
    let options = StoreOptions { disk_free_bytes_min: MIN, ..self::options(dir.path()) };
    let store = Store::open_on(Disk::with_faults(faults.clone()), options, clock()).expect("open");
    assert_eq!(frames_in(&store), [1, 2, 3, 4, 5]);
    assert!(append(&store, 6).is_err());
    faults.set_free_bytes(Some(100 * MIN));
    store.maintain();
    append_new(&store, 6..=7);
    assert_eq!(frames_in(&store), [1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn r10_writes_that_find_no_space_lose_nothing() {
    let mut acked_all = 0;
    for start in 0..40 {
        let dir = folder();
        let faults = Faults::default();
        let store = open_faulty(dir.path(), &faults).expect("open");
        append_new(&store, 1..=4);
        let mut acked: Vec<u64> = (1..=4).collect();
        faults.set_kind(io::ErrorKind::StorageFull);
        faults.fail(start, 1000);
        for n in 5..=10 {
            if append(&store, n).is_ok() {
                acked.push(n);
            }
            drop(wait(store.flush()));
            let frames = frames_in(&store);
            assert!(acked.iter().all(|n| frames.contains(n)), "full from change {start} on");
        }
        let copy = folder();
        if start % 2 == 0 {
            // Killed while full, and started on a disk that still is.
            copy_tree(dir.path(), copy.path());
            let full = Faults::default();
            full.fail(0, 1000);
            if let Ok(store) = open_faulty(copy.path(), &full) {
                let frames = frames_in(&store);
                assert!(acked.iter().all(|n| frames.contains(n)), "full from {start} on");
                full.heal();
                append_new(&store, 99..=99);
            }
        }
        faults.heal();
        for n in 11..=14 {
            append(&store, n).expect("space is free again");
            acked.push(n);
        }
        assert_eq!(store.status().read_only, None);
        drop(store);
        let frames = frames_in(&open(dir.path()));
        assert!(acked.iter().all(|n| frames.contains(n)), "{acked:?} {frames:?}");
        acked_all += acked.len();
    }
    println!("figure=r10 acked={acked_all} lost=0");
}
