//! R4: a simulated disk that forgets or tears all that was not synced, at any moment.
//!
//! A store lives on a disk that writes down what is done to it. At a random moment the power is
//! cut; the store that opens what is left is cut once more while it recovers and goes on.
//!
//! ACK and ONCE hold, no file with a name is damaged, and nothing is set aside but logs.

use plimsoll_store::disk::faults::Faults;
use plimsoll_store::disk::trace::Event;

use crate::dice::{Dice, cases};
use crate::image::{Cut, Image};
use crate::world::*;

/// Frames of one life.
const FRAMES: u64 = 26;
/// Cuts of one life.
const CUTS_PER_LIFE: u64 = 20;

/// Runs a life and returns what was done to the disk. Every fourth has a fault.
fn life(seed: u64) -> (std::path::PathBuf, Vec<Event>) {
    let mut dice = Dice::new(seed);
    let dir = folder();
    let faults = Faults::default();
    faults.record();
    if seed % 4 == 3 {
        faults.fail(dice.number() % 120, 1 + dice.number() % 3);
    }
    if let Ok(store) = open_faulty(dir.path(), &faults) {
        for n in 1..=FRAMES {
            for _ in 0..2 {
                if append(&store, n).is_ok() {
                    faults.note(n);
                    break;
                }
            }
            match dice.below(12) {
                0 | 1 => drop(wait(store.flush())),
                2 => drop(store.compact_once()),
                _ => {}
            }
        }
    }
    (dir.path().to_owned(), faults.events())
}

fn check(store: &plimsoll_store::Store, acked: &[u64], context: &str) -> Vec<u64> {
    let (found, warnings) = content(store);
    let frames = frames_of(&found).unwrap_or_else(|problem| panic!("{context}: {problem}"));
    let lost: Vec<_> = acked.iter().filter(|n| !frames.contains(n)).collect();
    assert!(lost.is_empty(), "{context}: acknowledged frames {lost:?} are lost");
    let status = store.status();
    // Before the first manifest no list says that a segment is superfluous: it is kept.
    let is_spare = |name: &str| name.contains(".wal") || name.contains(".parquet");
    let named = status.quarantined.iter().find(|name| !is_spare(name));
    assert!(named.is_none(), "{context}: a power cut damaged {named:?}");
    assert!(warnings.is_empty() && status.lost.is_empty(), "{context}: {warnings:?}");
    for n in acked.iter().rev().take(2) {
        let again = append(store, *n).expect("append");
        assert!(matches!(again, plimsoll_store::Appended::Duplicate), "{context}: {n} kept twice");
    }
    frames
}

fn cut_twice(seed: u64, root: &std::path::Path, events: &[Event]) {
    let mut dice = Dice::new(seed);
    let kind = [Cut::Random, Cut::Random, Cut::Random, Cut::DropAll, Cut::KeepAll][dice.below(5)];
    let upto = dice.below(events.len() + 1);
    let context = format!("seed {seed}, cut {kind:?} after {upto} of {}", events.len());
    let image = Image::rooted(root).after(&events[..upto]);
    let first = folder();
    image.write(first.path(), kind, &mut dice);

    let before = Image::of(first.path());
    let faults = Faults::default();
    faults.record();
    let store = open_faulty(first.path(), &faults).expect("a store opens after a power cut");
    let mut acked = check(&store, &image.notes, &context);
    for n in FRAMES + 1..=FRAMES + 3 {
        append(&store, n).expect("append");
        faults.note(n);
    }
    if dice.coin() {
        wait(store.flush()).expect("flush");
    }
    drop(store);
    let events = faults.events();
    let upto = dice.below(events.len() + 1);
    let context = format!("{context}, then after {upto} of {}", events.len());
    let image = before.after(&events[..upto]);
    let second = folder();
    image.write(second.path(), Cut::Random, &mut dice);
    acked.extend(&image.notes);
    check(&open(second.path()), &acked, &context);
}

#[test]
fn r4_power_cuts_on_a_simulated_disk_lose_nothing() {
    let seeds = cases(1000);
    for number in 0..seeds.div_ceil(CUTS_PER_LIFE) {
        let (root, events) = life(number);
        for cut in 0..CUTS_PER_LIFE {
            cut_twice(number * CUTS_PER_LIFE + cut, &root, &events);
        }
    }
    println!("figure=r4 seeds={seeds} violations=0");
}
