//! R14 and `verify`: a backup taken while frames come in holds everything acknowledged before it
//! began, as one state; restoring it gives exactly that state or nothing; any changed byte is seen.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use plimsoll_store::backup::{BackupError, backup, check, restore};
use plimsoll_store::verify::verify;

use crate::dice::{Dice, cases};
use crate::world::*;

#[test]
fn r14_backups_under_ingest_restore_to_one_state() {
    let dir = folder();
    let store = open(dir.path());
    append_new(&store, 1..=5);
    let (acked, stop) = (AtomicU64::new(5), AtomicBool::new(false));
    let rounds = cases(12).min(100);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 6..=390 {
                append_new(&store, n..=n);
                acked.store(n, Ordering::SeqCst);
                match n % 16 {
                    7 => wait(store.flush()).expect("flush"),
                    15 => drop(store.compact_once().expect("compact")),
                    _ => {}
                }
                if stop.load(Ordering::SeqCst) {
                    break;
                }
            }
        });
        let target = folder();
        for round in 0..rounds {
            let before = acked.load(Ordering::SeqCst);
            // Every third goes into the folder of the one before.
            let fresh = folder();
            let place = if round % 3 == 2 { target.path() } else { fresh.path() };
            let report = backup(dir.path(), place, |_| {}).expect("backup");
            let after = acked.load(Ordering::SeqCst) + 1;
            assert!(report.damaged.is_empty(), "{report:?}");
            assert_eq!(check(place, |_| {}).expect("check").bytes, report.bytes);
            let restored = folder();
            let data = restored.path().join("data");
            restore(place, &data, |_| {}).expect("restore");
            let checked = verify(&data, |_| {}).expect("verify");
            assert!(checked.is_clean(), "{checked:?}");
            let frames = frames_in(&open(&data));
            let last = frames.len() as u64;
            assert_eq!(frames, (1..=last).collect::<Vec<_>>(), "a hole in the middle");
            assert!((before..=after).contains(&last), "{before} <= {last} <= {after}");
        }
        stop.store(true, Ordering::SeqCst);
    });
    println!("figure=r14 backups={rounds} identical={rounds}");
}

/// A small data directory and a backup of it.
fn small() -> (tempfile::TempDir, tempfile::TempDir) {
    let (dir, target) = (folder(), folder());
    let store = open(dir.path());
    append_new(&store, 1..=3);
    wait(store.flush()).expect("flush");
    append_new(&store, 4..=6);
    drop(store);
    backup(dir.path(), target.path(), |_| {}).expect("backup");
    (dir, target)
}

#[test]
fn r14_a_backup_that_was_not_finished_or_is_damaged_is_not_restored() {
    let (dir, target) = small();
    for path in files(target.path()) {
        let original = std::fs::read(&path).expect("read");
        let mut changes: Vec<Option<Vec<u8>>> = vec![None, Some(Vec::new())];
        for at in [0, original.len() / 2, original.len() - 2] {
            let mut changed = original.clone();
            changed[at] ^= 1;
            changes.push(Some(changed));
        }
        changes.push(Some([&original[..], b"x"].concat()));
        for changed in changes {
            match changed {
                None => std::fs::remove_file(&path).expect("remove"),
                Some(bytes) => std::fs::write(&path, bytes).expect("write"),
            }
            let place = folder();
            let data = place.path().join("data");
            assert!(check(target.path(), |_| {}).is_err(), "{}", path.display());
            assert!(restore(target.path(), &data, |_| {}).is_err(), "{}", path.display());
            assert!(!data.exists(), "a restore that failed left its target");
            std::fs::write(&path, &original).expect("write");
        }
    }
    // A backup that is being made again is none until it is done; it then keeps what it has.
    std::fs::remove_file(target.path().join("BACKUP")).expect("remove");
    std::fs::write(target.path().join("BACKUP.unfinished"), "").expect("write");
    let place = folder();
    let refused = restore(target.path(), &place.path().join("data"), |_| {});
    assert!(matches!(refused, Err(BackupError::List { .. })), "{refused:?}");
    let report = backup(dir.path(), target.path(), |_| {}).expect("backup");
    assert!(report.bytes_kept > 0, "{report:?}");
    restore(target.path(), &place.path().join("data"), |_| {}).expect("restore");
    assert_eq!(frames_in(&open(&place.path().join("data"))), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn r14_nothing_is_overwritten_and_nothing_leaves_the_target() {
    let (dir, target) = small();
    let occupied = folder();
    std::fs::write(occupied.path().join("mine"), "x").expect("write");
    let refused = backup(dir.path(), occupied.path(), |_| {});
    assert!(matches!(refused, Err(BackupError::Occupied { .. })), "{refused:?}");
    let refused = restore(target.path(), occupied.path(), |_| {});
    assert!(matches!(refused, Err(BackupError::Occupied { .. })), "{refused:?}");
    assert_eq!(files(occupied.path()).len(), 1);

    let list = std::fs::read_to_string(target.path().join("BACKUP")).expect("list");
    let body = list.split_once("crc32c ").expect("sum").0;
    for evil in ["../x", "/etc/x", "wal/../../x", "wal/0000000000000001.wal/..", "tmp/x", ""] {
        let name = list.split("\"path\":\"").nth(1).and_then(|rest| rest.split('"').next());
        let text = body.replacen(name.expect("a path"), evil, 1);
        let sum = crc32c::crc32c(text.as_bytes());
        let forged = format!("{text}crc32c {sum:08x}\n");
        std::fs::write(target.path().join("BACKUP"), forged).expect("write");
        let place = folder();
        let refused = restore(target.path(), &place.path().join("data"), |_| {});
        assert!(matches!(refused, Err(BackupError::Name { .. })), "{evil:?}: {refused:?}");
        assert!(files(place.path()).is_empty());
    }
    std::fs::write(target.path().join("BACKUP"), &list).expect("write");
    // A link in a backup could lead anywhere.
    let wal = files(&target.path().join("wal")).remove(0);
    let elsewhere = folder();
    let outside = elsewhere.path().join("outside");
    std::fs::rename(&wal, &outside).expect("move");
    std::os::unix::fs::symlink(&outside, &wal).expect("link");
    let place = folder();
    assert!(restore(target.path(), &place.path().join("data"), |_| {}).is_err());
}

#[test]
fn verify_sees_any_changed_byte_and_changes_none() {
    let (dir, _) = small();
    let checked = verify(dir.path(), |_| {}).expect("verify");
    assert!(checked.is_clean() && checked.wal_records >= 3 && checked.segments == 1);
    let mut dice = Dice::new(3);
    for path in files(dir.path()).iter().filter(|path| !path.ends_with("LOCK")) {
        let original = std::fs::read(path).expect("read");
        for _ in 0..12 {
            let mut changed = original.clone();
            let at = dice.below(changed.len());
            changed[at] ^= 1 << dice.below(8);
            std::fs::write(path, &changed).expect("write");
            let checked = verify(dir.path(), |_| {}).expect("verify");
            // Of two copies of a manifest the first is read; older ones are not in use.
            let is_spare = path.extension().is_some_and(|ending| ending == "copy")
                || is_older_manifest(dir.path(), path);
            // The name says which log it is; a changed header changes nothing.
            let is_log_head = path.starts_with(dir.path().join("wal")) && at < 24;
            let torn = checked.torn_bytes > 0;
            assert!(
                !checked.is_clean() || is_spare || is_log_head || torn,
                "byte {at} of {} changed unseen",
                path.display()
            );
            assert_eq!(std::fs::read(path).expect("read"), changed);
        }
        std::fs::write(path, original).expect("write");
    }
}

fn is_older_manifest(dir: &Path, path: &Path) -> bool {
    let manifests = files(&dir.join("manifest"));
    let newest = manifests.iter().rfind(|path| path.extension().is_none());
    manifests.contains(&path.to_owned()) && newest.is_some_and(|newest| newest != path)
}
