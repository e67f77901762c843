//! Every planted bug of the store is caught by a test: the test runs again in a process of its
//! own in which the bug is built in, and must fail there.

use std::process::Command;

/// A planted bug and a test that must catch it.
const CAUGHT_BY: &[(&str, &str)] = &[
    ("no-sync", "r04_simulated_disk::r4_power_cuts_on_a_simulated_disk_lose_nothing"),
    ("no-dir-sync", "r04_simulated_disk::r4_power_cuts_on_a_simulated_disk_lose_nothing"),
    ("ack-before-sync", "r04_simulated_disk::r4_power_cuts_on_a_simulated_disk_lose_nothing"),
    ("ignore-sync-error", "r05_r06_failures::r5_a_failure_of_every_single_change_loses_nothing"),
    ("rename-before-sync", "r04_simulated_disk::r4_power_cuts_on_a_simulated_disk_lose_nothing"),
    ("skip-crc", "r08_mutants::r8_changed_values_in_a_segment_are_never_answered"),
    ("crc-without-length", "r08_mutants::r8_changed_logs_give_only_records_where_they_were_placed"),
    ("dedupe-off", "r04_simulated_disk::r4_power_cuts_on_a_simulated_disk_lose_nothing"),
    ("marks-apart", "r04_simulated_disk::r4_power_cuts_on_a_simulated_disk_lose_nothing"),
    ("wal-before-manifest", "r04_simulated_disk::r4_power_cuts_on_a_simulated_disk_lose_nothing"),
    (
        "retention-off-by-one",
        "r12_r13_upkeep::r13_retention_takes_what_is_past_its_age_and_nothing_else",
    ),
    ("replay-stops", "r09_locality::r9_one_bad_record_costs_only_itself"),
];

#[test]
fn every_planted_bug_is_caught() {
    let this = std::env::current_exe().expect("test program");
    let mut missed = Vec::new();
    for (bug, test) in CAUGHT_BY {
        let output = Command::new(&this)
            .args([test, "--exact", "--nocapture"])
            .env("PLIMSOLL_SABOTAGE", bug)
            .output()
            .expect("run");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("running 1 test"), "there is no test {test}");
        let is_caught = !output.status.success();
        println!("planted bug {bug}: {} by {test}", if is_caught { "caught" } else { "MISSED" });
        if !is_caught {
            missed.push(bug);
        }
    }
    assert!(missed.is_empty(), "not caught: {missed:?}");
    assert_eq!(CAUGHT_BY.len(), plimsoll_store::sabotage::Bug::ALL.len());
}
