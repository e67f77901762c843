//! Recorded answers of engines on both cgroup versions, and what becomes of them.

use std::fmt::Write as _;

use plimsoll_model::{Batch, BatchBuilder, Subject};
use proptest::prelude::*;

use super::*;
use crate::cases::{columns, run_cases};

fn row<E: std::fmt::Debug>(
    table: &str,
    time_ms: i64,
    write: impl Fn(&mut BatchBuilder) -> Result<(), E>,
) -> String {
    let mut builder = BatchBuilder::new(Batch::find_table(table).unwrap());
    builder.row(time_ms, &Subject::default(), &[]);
    write(&mut builder).unwrap();
    columns(&builder.finish().unwrap(), 0)
}

fn tell(text: &str) -> String {
    let answer: ContainerStatsResponse = serde_json::from_str(text).unwrap();
    let Some(sample) = sample(&answer, false) else { return "no sample\n".to_owned() };
    let time_ms = sample.time_ms;
    let mut out = format!("time {time_ms}\n");
    out.push_str(&row("container", time_ms, |builder| sample.usage.write(builder)));
    for (interface, usage) in &sample.networks {
        writeln!(out, "interface {interface}").unwrap();
        out.push_str(&row("container_network", time_ms, |builder| usage.write(builder)));
    }
    for (device, usage) in &sample.blkio {
        writeln!(out, "device {}:{}", device.major, device.minor).unwrap();
        out.push_str(&row("container_blkio", time_ms, |builder| usage.write(builder)));
    }
    out
}

#[test]
fn stats_cases() {
    run_cases("stats", tell);
}

#[test]
fn windows_counts_in_hundreds_of_nanoseconds() {
    let text = r#"{"read":"2026-11-23T02:46:31Z","num_procs":7,
        "cpu_stats":{"cpu_usage":{"total_usage":10000000}},
        "memory_stats":{"privateworkingset":5,"commitpeakbytes":9}}"#;
    let sample = sample(&serde_json::from_str(text).unwrap(), true).unwrap();
    assert_eq!(sample.usage.cpu_usage_us, Some(1_000_000));
    assert_eq!(sample.usage.memory_working_set_bytes, Some(5));
    assert_eq!(sample.usage.memory_peak_bytes, Some(9));
    assert_eq!(sample.usage.pids, Some(7));
}

proptest! {
    /// NULL: what an answer leaves out is absent, whatever else stands in it.
    #[test]
    fn null_what_is_left_out_is_absent(
        usage in proptest::option::of(any::<u64>()),
        total in proptest::option::of(any::<u64>()),
        inactive in proptest::option::of(any::<u64>()),
    ) {
        let text = serde_json::json!({
            "read": "2026-11-23T02:46:31Z",
            "cpu_stats": {"cpu_usage": {"total_usage": total}},
            "memory_stats": {
                "usage": usage,
                "stats": inactive.map(|bytes| serde_json::json!({"inactive_file": bytes})),
            },
        });
        let answer = serde_json::from_value(text).unwrap();
        let sample = super::sample(&answer, false).unwrap();
        prop_assert_eq!(sample.usage.cpu_usage_us, total.map(|ns| ns / 1_000));
        prop_assert_eq!(sample.usage.memory_usage_bytes, usage);
        let working_set = usage.zip(inactive);
        let working_set = working_set.map(|(all, idle)| if idle < all { all - idle } else { all });
        prop_assert_eq!(sample.usage.memory_working_set_bytes, working_set);
        prop_assert_eq!(sample.usage.pids, None);
        prop_assert!(sample.networks.is_empty() && sample.blkio.is_empty());
    }
}
