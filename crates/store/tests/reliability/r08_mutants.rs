//! R8: changed files. A store whose files were changed starts, answers, and never answers wrongly:
//! what it gives is what was sent, or that without what it reports as missing.

use std::path::{Path, PathBuf};

use plimsoll_store::wal::Reader;
use plimsoll_store::{Appended, Store};

use crate::dice::{Dice, cases};
use crate::world::*;

/// Frames in the data directory that is changed.
const FRAMES: u64 = 14;
/// What file systems and disks deal in.
const BLOCK: usize = 512;

/// A data directory with segments, merged segments, several manifests and logs.
fn make(dir: &Path) {
    let store = open(dir);
    append_new(&store, 1..=4);
    wait(store.flush()).expect("flush");
    append_new(&store, 5..=6);
    wait(store.flush()).expect("flush");
    store.compact().expect("compact");
    append_new(&store, 7..=9);
    wait(store.flush()).expect("flush");
    append_new(&store, 10..=FRAMES);
}

/// Changes bytes as broken disks, file systems and people do; says how.
fn mutate(bytes: &mut Vec<u8>, other: &[u8], dice: &mut Dice) -> &'static str {
    if bytes.is_empty() {
        bytes.push(dice.number() as u8);
        return "first byte";
    }
    let length = bytes.len();
    let at = dice.below(length);
    let block = at / BLOCK * BLOCK..(at / BLOCK * BLOCK + BLOCK).min(length);
    match dice.below(11) {
        0 | 1 => {
            bytes[at] ^= 1 << dice.below(8);
            "bit flip"
        }
        2 => {
            bytes[at] = dice.number() as u8;
            "byte set"
        }
        3 => {
            bytes.truncate(at);
            "truncate"
        }
        4 => {
            bytes[block].fill(0);
            "zero block"
        }
        5 => {
            let copy = bytes[block].to_vec();
            let to = dice.below(length);
            let end = (to + copy.len()).min(length);
            bytes[to..end].copy_from_slice(&copy[..end - to]);
            "block copied elsewhere"
        }
        6 => {
            let to = dice.below(length) / BLOCK * BLOCK;
            let end = (to + block.len()).min(length);
            for (left, right) in block.zip(to..end) {
                bytes.swap(left, right);
            }
            "blocks swapped"
        }
        7 => {
            let more = 1 + dice.below(2000);
            bytes.extend((0..more).map(|_| dice.number() as u8));
            "garbage at the end"
        }
        8 => {
            bytes.clear();
            "emptied"
        }
        9 => {
            *bytes = other.to_vec();
            "another file's bytes"
        }
        _ => {
            let more: Vec<u8> = (0..=dice.below(40)).map(|_| dice.number() as u8).collect();
            bytes.splice(at..at, more);
            "bytes inserted"
        }
    }
}

fn judge(store: &Store, path: &Path, how: &str, context: &str) {
    let (found, warnings) = content(store);
    let frames = frames_of(&found).unwrap_or_else(|problem| panic!("{context}: {problem}"));
    let status = store.status();
    // A log that ends just after a record looks like one whose next record was never written.
    let is_cut_log = path.extension().is_some_and(|ending| ending == "wal")
        && ["truncate", "emptied", "another file's bytes"].contains(&how);
    assert!(
        frames.len() as u64 == FRAMES || is_cut_log || reports(&status, &warnings),
        "{context}: {frames:?} and nothing is reported"
    );
    let again = append(store, 300).expect("a changed store takes frames");
    assert!(matches!(again, Appended::New { .. }), "{context}: {again:?}");
}

#[test]
fn r8_changed_files_give_no_wrong_answer() {
    let original = folder();
    make(original.path());
    let paths: Vec<PathBuf> = files(original.path())
        .into_iter()
        .filter(|path| !path.ends_with("LOCK"))
        .map(|path| path.strip_prefix(original.path()).expect("below").to_owned())
        .collect();
    let mutants = cases(2000);
    for seed in 0..mutants {
        let mut dice = Dice::new(seed);
        let path = &paths[dice.below(paths.len())];
        let other = &paths[dice.below(paths.len())];
        let dir = folder();
        copy_tree(original.path(), dir.path());
        let mut bytes = std::fs::read(dir.path().join(path)).expect("read");
        let other = std::fs::read(dir.path().join(other)).expect("read");
        let how = mutate(&mut bytes, &other, &mut dice);
        std::fs::write(dir.path().join(path), bytes).expect("write");
        let context = format!("mutant {seed}, {how} in {}", path.display());
        let store = open(dir.path());
        judge(&store, path, how, &context);
        if seed % 8 == 0 {
            // What was set aside stays aside, and the answer stays right.
            store.maintain();
            drop(store);
            let (found, _) = content(&open(dir.path()));
            assert!(found.len() >= 2 * ROWS, "{context}");
        }
    }
    println!("figure=r8 mutants={mutants} wrong=0 panics=0");
}

#[test]
fn r8_changed_values_in_a_segment_are_never_answered() {
    let dir = folder();
    let store = open(dir.path());
    for n in 1..=6 {
        let values = Dice::new(n).number() as i64 >> 8;
        let rows = rows_of(n).map(|(time, value)| (time, values ^ value));
        wait(store.append(vec![frame_of(n, &rows)])).expect("append");
    }
    let (expected, _) = content(&store);
    wait(store.close()).expect("close");
    let path = files(&dir.path().join("segments")).remove(0);
    let original = std::fs::read(&path).expect("read");
    let mutants = cases(700).min(original.len() as u64);
    for mutant in 0..mutants {
        let copy = folder();
        copy_tree(dir.path(), copy.path());
        let at = mutant as usize * original.len() / mutants as usize;
        let mut bytes = original.clone();
        bytes[at] ^= 1 << (mutant % 8);
        let place = copy.path().join(path.strip_prefix(dir.path()).expect("below"));
        std::fs::write(place, bytes).expect("write");
        let store = open(copy.path());
        let (found, warnings) = content(&store);
        let is_reported = reports(&store.status(), &warnings);
        assert!(found == expected || (found.is_empty() && is_reported), "byte {at}: {found:?}");
    }
    println!("figure=r8 segment_bytes={mutants} wrong=0");
}

#[test]
fn r8_changed_logs_give_only_records_where_they_were_placed() {
    let dir = folder();
    let store = open(dir.path());
    append_new(&store, 1..=12);
    drop(store);
    let path = files(&dir.path().join("wal")).remove(0);
    let original = std::fs::read(&path).expect("read");
    let read = |path: &Path| {
        let mut reader = Reader::open(path, 1).expect("open");
        let mut records = Vec::new();
        while let Some(record) = reader.next_record().expect("read") {
            records.push(record);
        }
        records
    };
    let placed = read(&path);
    assert!(placed.len() > 2);
    let mutants = cases(4000) * 2;
    for seed in 0..mutants {
        let mut dice = Dice::new(seed);
        let mut bytes = original.clone();
        let how = mutate(&mut bytes, &original[BLOCK..], &mut dice);
        std::fs::write(&path, &bytes).expect("write");
        for record in read(&path) {
            assert!(placed.contains(&record), "mutant {seed}, {how}: a record nobody placed");
        }
    }
    println!("figure=r8 log_mutants={mutants} wrong=0");
}
