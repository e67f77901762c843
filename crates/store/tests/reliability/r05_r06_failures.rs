//! R5 and R6: every change of the disk fails once, by its number and by its name.
//!
//! ACK: what was acknowledged before, between and after is there at the next start; a store that
//! cannot write says so and takes frames again as soon as it can.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use plimsoll_model::ErrorClass;
use plimsoll_store::disk::faults::Faults;
use plimsoll_store::{Appended, Store};

use crate::world::*;

/// Runs one life on a disk that fails as planned. Returns the acknowledged frames. `close`: it
/// ends well; otherwise its last frames are only in the log.
fn life(dir: &Path, faults: &Faults, close: bool) -> Vec<u64> {
    let Ok(store) = open_faulty(dir, faults) else {
        return Vec::new();
    };
    let mut acked = Vec::new();
    for n in 1..=12 {
        for _ in 0..2 {
            match append(&store, n) {
                Ok(Appended::New { .. } | Appended::Duplicate) => {
                    acked.push(n);
                    break;
                }
                Ok(Appended::Rejected { reason }) => panic!("{reason}"),
                Err(error) => assert_eq!(error.class(), ErrorClass::Busy, "{error:?}"),
            }
        }
        if n % 5 == 0 {
            drop(wait(store.flush()));
        }
    }
    if close {
        drop(store.compact());
        store.maintain();
    }
    assert_acked(&store, &acked, "while it runs");
    if close {
        drop(wait(store.close()));
    }
    acked
}

fn assert_acked(store: &Store, acked: &[u64], context: &str) {
    let frames = frames_in(store);
    let lost: Vec<_> = acked.iter().filter(|n| !frames.contains(n)).collect();
    assert!(lost.is_empty(), "{context}: lost {lost:?}");
}

#[test]
fn r5_a_failure_of_every_single_change_loses_nothing() {
    let mut points = 0;
    for kind in
        [io::ErrorKind::StorageFull, io::ErrorKind::Other, io::ErrorKind::ReadOnlyFilesystem]
    {
        for nth in 0.. {
            let dir = folder();
            let faults = Faults::default();
            faults.set_kind(kind);
            faults.fail(nth, 1 + nth % 3);
            let acked = life(dir.path(), &faults, nth % 4 < 2);
            let reached = !faults.heal();
            let context = format!("{kind:?} at change {nth}");
            // A second failure while the store recovers from the first.
            let again = Faults::default();
            again.set_kind(kind);
            again.fail(nth % 11, 1);
            drop(open_faulty(dir.path(), &again));
            assert_acked(&open(dir.path()), &acked, &context);
            if !reached {
                break;
            }
            points += 1;
        }
    }
    println!("figure=r5 points={points} acked_lost=0");
    assert!(points > 180, "only {points} points");
}

#[test]
fn r6_a_failure_at_every_named_point_loses_nothing() {
    let seen = named_points();
    let mut runs = 0;
    for (point, passes) in &seen {
        for (nth, times) in [(0, 1), (0, 3), (passes / 2, 1), (passes.saturating_sub(1), 1)] {
            let dir = folder();
            let faults = Faults::default();
            faults.set_kind(io::ErrorKind::Other);
            faults.fail_point(point, nth, times);
            let acked = life(dir.path(), &faults, times == 1);
            faults.heal();
            assert_acked(&open(dir.path()), &acked, point);
            runs += 1;
        }
    }
    println!("figure=r6 points={} runs={runs} acked_lost=0", seen.len());
    assert!(seen.len() >= 20, "only {:?}", seen.keys());
}

// The points that one undisturbed life passes.
fn named_points() -> BTreeMap<String, u64> {
    let dir = folder();
    let faults = Faults::default();
    let acked = life(dir.path(), &faults, true);
    assert_eq!(acked.len(), 12);
    faults.points()
}
