//! R17: data directories written by earlier versions open and answer the same, for ever.
//!
//! `UPDATE_CASES=1` writes a directory for the present format when there is none; what is there
//! is never changed.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::world::*;

fn cases_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/format")
}

/// Writes a directory with merged and unmerged segments, and rows that are only in the log.
fn write_golden(folder: &Path) {
    let data = folder.join("data");
    std::fs::create_dir_all(&data).expect("folder");
    let store = open(&data);
    append_new(&store, 1..=5);
    wait(store.flush()).expect("flush");
    append_new(&store, 6..=9);
    wait(store.flush()).expect("flush");
    store.compact().expect("compact");
    append_new(&store, 10..=12);
    wait(store.flush()).expect("flush");
    append_new(&store, 13..=16);
    std::fs::write(folder.join("rows.txt"), rows_text(&store)).expect("write");
}

fn rows_text(store: &plimsoll_store::Store) -> String {
    let (found, warnings) = content(store);
    assert!(warnings.is_empty(), "{warnings:?}");
    let mut text = String::new();
    for (time, value) in found {
        writeln!(text, "{time} {value}").expect("text");
    }
    text
}

#[test]
fn r17_directories_of_every_format_open_and_answer_the_same() {
    let newest = cases_folder().join("v1");
    if std::env::var_os("UPDATE_CASES").is_some() && !newest.exists() {
        write_golden(&newest);
    }
    let mut formats = 0;
    for entry in std::fs::read_dir(cases_folder()).expect("tests/cases/format") {
        let folder = entry.expect("entry").path();
        let Ok(expected) = std::fs::read_to_string(folder.join("rows.txt")) else { continue };
        let copy = crate::world::folder();
        copy_tree(&folder.join("data"), copy.path());
        let store = open(copy.path());
        let name = folder.display();
        assert_eq!(rows_text(&store), expected, "{name}");
        assert_eq!(frames_in(&store), (1..=16).collect::<Vec<_>>(), "{name}");
        let status = store.status();
        assert!(!reports(&status, &[]), "{name}: {status:?}");
        assert!(status.segments >= 2 && status.replayed_frames >= 4, "{name}: {status:?}");
        // It goes on from there, and remembers what it has.
        assert!(matches!(append(&store, 3), Ok(plimsoll_store::Appended::Duplicate)));
        append_new(&store, 17..=17);
        wait(store.close()).expect("close");
        assert_eq!(frames_in(&open(copy.path())), (1..=17).collect::<Vec<_>>(), "{name}");
        formats += 1;
    }
    println!("figure=r17 formats={formats}");
    assert!(formats >= 1);
}
