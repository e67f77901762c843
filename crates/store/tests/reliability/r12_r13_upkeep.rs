//! R12 and R13: merging, rolling up, flushing and restarting change no answer, and retention takes
//! what is past its age, all of it and nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;

use plimsoll_model::time::ManualClock;
use plimsoll_store::{RetentionOptions, Store, StoreOptions};
use std::time::Duration;

use crate::dice::{Dice, cases};
use crate::world::*;

const DAY_MS: i64 = 86_400_000;

#[test]
fn r12_upkeep_and_restarts_change_no_answer() {
    let histories = cases(60);
    for seed in 0..histories {
        let mut dice = Dice::new(seed);
        let dir = folder();
        let mut store = open(dir.path());
        let mut model: BTreeMap<i64, i64> = BTreeMap::new();
        for n in 1..=30_u64 {
            // Out of order, over three days, with some times twice.
            let base = NOW_MS - 3 * DAY_MS + (dice.below(400) as i64) * 600_000;
            // One series may see a time again with its value; another series never shares it.
            let rows: Vec<(i64, i64)> = (0..3)
                .map(|row| base + row * 5_000 + (n as i64 % 3))
                .map(|time| (time, time % 1_000_003))
                .collect();
            wait(store.append(vec![frame_of(n, &rows)])).expect("append");
            model.extend(rows);
            match dice.below(9) {
                0 | 1 => wait(store.flush()).expect("flush"),
                2 => drop(store.compact_once().expect("compact")),
                3 => {
                    drop(store);
                    store = open(dir.path());
                }
                4 => store.maintain(),
                _ => {}
            }
            let (found, warnings) = content(&store);
            assert!(warnings.is_empty(), "history {seed}: {warnings:?}");
            assert_eq!(found, model, "history {seed} after frame {n}");
        }
        wait(store.flush()).expect("flush");
        store.compact().expect("compact");
        assert_eq!(content(&store).0, model, "history {seed} merged");
        wait(store.close()).expect("close");
        assert_eq!(content(&open(dir.path())).0, model, "history {seed} opened again");
    }
    println!("figure=r12 histories={histories} differing=0");
}

#[test]
fn r13_retention_takes_what_is_past_its_age_and_nothing_else() {
    let days = 30;
    let dir = folder();
    let clock = Arc::new(ManualClock::new(NOW_MS));
    let options = || StoreOptions {
        retention: RetentionOptions {
            raw: Duration::from_hours(24 * days),
            ..RetentionOptions::default()
        },
        ..options(dir.path())
    };
    let mut dice = Dice::new(13);
    let mut store = Store::open(options(), clock.clone()).expect("open");
    let mut model: BTreeMap<i64, i64> = BTreeMap::new();
    let mut now = NOW_MS;
    let (mut dropped, mut n) = (0, 0);
    while now < NOW_MS + 400 * DAY_MS {
        now += (dice.below(60) as i64 + 1) * 3_600_000;
        clock.set_ms(now);
        n += 1;
        let rows = [now - 30_000, now - 20_000, now - 10_000].map(|time| (time, time % 1009));
        wait(store.append(vec![frame_of(n, &rows)])).expect("append");
        model.extend(rows);
        if n % 5 == 0 {
            wait(store.flush()).expect("flush");
            dropped += store.apply_retention().expect("retention");
        }
        if dice.below(20) == 0 {
            drop(store);
            store = Store::open(options(), clock.clone()).expect("open");
        }
        let oldest = now - days as i64 * DAY_MS;
        model = model.split_off(&oldest);
        assert_eq!(content(&store).0, model, "at {now}");
    }
    store.apply_retention().expect("retention");
    let status = store.status();
    let raw = status.tables.iter().find(|table| table.resolution == "raw").expect("raw rows");
    let partition = DAY_MS;
    assert!(raw.end_ms - raw.start_ms <= days as i64 * DAY_MS + partition, "{raw:?}");
    wait(store.close()).expect("close");
    let store = Store::open(options(), clock).expect("open");
    let on_disk = files(&dir.path().join("segments")).len() as u64;
    assert_eq!(on_disk, store.status().segments, "files that no manifest lists, or none");
    println!("figure=r13 days=400 segments_dropped={dropped}");
    assert!(dropped > 100);
}
