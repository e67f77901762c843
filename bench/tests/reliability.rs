//! The quick form of the storage tests that need processes and disks: R1, R2, R10, R15.
//!
//! Each rig also has to catch a planted bug. Power cuts and full disks need root, loop devices,
//! `xfsprogs` and `btrfs-progs`; where one is missing the test fails and says what to install.

use std::path::Path;
use std::process::{Command, Output};

fn crash(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_crash"))
        .args(arguments)
        .arg("--no-install")
        .output()
        .expect("the rig starts")
}

/// Runs a rig that must find nothing; gives its last line.
fn clean(arguments: &[&str]) -> String {
    let output = crash(arguments);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {text}{said}");
    let last = text.lines().last().unwrap_or_default().to_owned();
    assert!(last.ends_with("acked_lost=0 duplicated=0 wrong=0"), "{last}");
    println!("figure={arguments:?} {last}");
    last
}

/// Runs a rig with a planted bug, which it must find.
#[cfg(feature = "sabotage")]
fn caught(arguments: &[&str]) {
    let output = crash(arguments);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr);
    let last = text.lines().last().unwrap_or_default();
    assert!(last.starts_with("cycles="), "{arguments:?}: {text}{said}");
    assert!(!output.status.success(), "{arguments:?} missed its planted bug: {last}");
}

#[test]
fn r1_kills_lose_nothing() {
    clean(&["--cycles", "50"]);
}

#[cfg(feature = "sabotage")]
#[test]
fn r1_kills_catch_their_planted_bugs() {
    caught(&["--cycles", "50", "--sabotage", "dedupe-off"]);
    caught(&["--cycles", "50", "--sabotage", "marks-apart"]);
}

#[test]
fn r2_power_cuts_lose_nothing() {
    for file_system in ["ext4", "xfs", "btrfs"] {
        clean(&["--cycles", "20", "--power", file_system]);
    }
}

#[cfg(feature = "sabotage")]
#[test]
fn r2_power_cuts_catch_their_planted_bug() {
    caught(&["--cycles", "50", "--power", "ext4", "--sabotage", "no-sync"]);
}

#[test]
fn r10_a_full_disk_loses_nothing() {
    clean(&["--cycles", "4", "--disk-full"]);
}

#[test]
fn r15_of_two_processes_one_writes() {
    use plimsoll_bench::crash::{judge, writer};
    use plimsoll_model::time::ManualClock;
    let folder = tempfile::tempdir().expect("folder");
    let data = folder.path().join("data");
    let clock = std::sync::Arc::new(ManualClock::new(0));
    let store = plimsoll_store::Store::open(writer::options(&data), clock).expect("open");
    assert!(!second(&data).success(), "a second process opened the directory");
    drop(store);
    assert!(second(&data).success());
    assert!(judge::read(&data, true).is_ok());
}

// A writer process that writes nothing.
fn second(data: &Path) -> std::process::ExitStatus {
    let mut writer = Command::new(env!("CARGO_BIN_EXE_crash"));
    writer.arg("write").arg(data).args(["0", "--frames", "0"]);
    writer.output().expect("the writer starts").status
}
