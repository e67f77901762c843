//! KEEP: what is past its age, deleted or shed is not returned, and its bytes go.

#![expect(clippy::arithmetic_side_effects, reason = "tests count small things")]

use plimsoll_model::{BatchBuilder, Filter, Registry, Subject, Table};
use plimsoll_window::Steps;

use super::*;
use crate::compact::bed::{Bed, DAY_MS};
use crate::rollup::{HOUR_MS, StepWindows, WindowsRequest, windows};
use crate::scan::ScanLimits;
use crate::segment::Resolution;

/// 2026-03-02 00:00 UTC.
const START_MS: i64 = 20_514 * DAY_MS;

fn table() -> &'static Table {
    Registry::embedded().table("container").unwrap()
}

fn push(bed: &mut Bed, stack: &str, times_ms: impl Iterator<Item = i64>) {
    let mut builder = BatchBuilder::new(table());
    let mut subject = Subject::node("default", "node-1");
    subject.stack = stack.into();
    subject.service = "web".into();
    subject.container_id = stack.into();
    for time_ms in times_ms {
        builder.row(time_ms, &subject, &[]);
        builder.int("memory_usage_bytes", Some(time_ms % 1000)).unwrap();
    }
    bed.push(&builder.finish().unwrap());
}

fn rows(bed: &Bed, stack: &str) -> Vec<i64> {
    let found = bed.scan(table(), vec![0]);
    let series = found.series.iter().filter(|series| &*series.key.subject.stack == stack);
    series.flat_map(|s| &s.chunks).flat_map(|chunk| chunk.times_ms.iter().copied()).collect()
}

/// Samples per hour from windows.
fn hours(bed: &Bed, stack: &str, hours: i64) -> Vec<u64> {
    let request = WindowsRequest {
        metric: table().metric_index("memory_usage_bytes").unwrap(),
        steps: Steps::new(START_MS, START_MS + hours * HOUR_MS, HOUR_MS).unwrap(),
        lookback_ms: 0,
        filter: Filter::new(vec![plimsoll_model::Matcher::equal("stack", stack)]),
        limits: ScanLimits::new(u64::MAX, 100),
    };
    let answer = windows(&bed.view(table()), &request).unwrap();
    answer.series.first().map_or(Vec::new(), |series| match &series.steps {
        StepWindows::Int(windows) => {
            windows.iter().map(plimsoll_window::GaugeWindow::count).collect()
        }
        other => panic!("{other:?}"),
    })
}

#[test]
fn selectors() {
    for (text, said) in [
        ("{}", ""),
        (" { stack = \"batch\" , service=~\"etl.*\" } ", "stack=\"batch\" service=~\"etl.*\""),
        ("{a!=\"b\\\"c\",d!~\"e\"}", "a!=\"b\\\"c\" d!~\"e\""),
    ] {
        let filter = parse_selector(text).unwrap();
        let matchers: Vec<String> = filter.matchers().iter().map(ToString::to_string).collect();
        assert_eq!(matchers.join(" "), said);
    }
    for text in ["", "{", "{a}", "{a=b}", "{a=\"b}", "{a=\"b\"} x", "{=\"b\"}", "{a=~\"(\"}"] {
        assert!(parse_selector(text).is_err(), "{text}");
    }
}

#[test]
fn rules() {
    let rule = Rule::parse("{stack=\"batch\"} raw=2d 5m=30d").unwrap();
    assert_eq!(rule.age_ms(Resolution::Raw), Some(2 * DAY_MS));
    assert_eq!(rule.age_ms(Resolution::FiveMinutes), Some(30 * DAY_MS));
    assert_eq!(rule.age_ms(Resolution::Hour), None);
    for text in ["{}", "{} raw", "{} raw=2", "{} 10m=2d", "raw=2d", "{} raw=2parsecs"] {
        assert!(Rule::parse(text).is_err(), "{text}");
    }
}

#[test]
fn keep_rows_past_their_age_are_gone_through_400_days() {
    let table = Registry::embedded().table("node_filesystem").unwrap();
    let visible = |bed: &Bed| -> Vec<i64> {
        let found = bed.scan(table, vec![0]).series;
        let chunks = found.iter().flat_map(|series| &series.chunks);
        chunks.flat_map(|chunk| chunk.times_ms.iter().copied()).collect()
    };
    let mut bed = Bed::new(START_MS);
    for day in 0..400 {
        let mut builder = BatchBuilder::new(table);
        for hour in 0..24 {
            let time_ms = START_MS + day * DAY_MS + hour * HOUR_MS;
            builder.row(time_ms, &Subject::node("default", "n"), &["sda", "/", "ext4"]);
            builder.int(&table.metrics()[0].column, Some(hour)).unwrap();
        }
        bed.push(&builder.finish().unwrap());
        bed.flush();
        bed.now_ms = START_MS + (day + 1) * DAY_MS + (day % 5) * HOUR_MS;
        bed.settle();
        let floor = bed.now_ms - 14 * DAY_MS;
        let visible = visible(&bed);
        assert!(visible.iter().all(|time| *time >= floor));
        let kept = (START_MS.max(floor)..START_MS + (day + 1) * DAY_MS).step_by(1000);
        let kept = kept.filter(|time| (time - START_MS) % HOUR_MS == 0).count();
        assert_eq!(visible.len(), kept);
        let oldest = |resolution| {
            let of = bed.entries.iter().filter(|entry| entry.resolution == resolution);
            of.map(|entry| entry.meta.end_ms).min().unwrap_or(i64::MAX)
        };
        assert!(oldest(Resolution::Raw) > floor, "no file stays whose rows are all past their age");
        assert!(oldest(Resolution::FiveMinutes) > bed.now_ms - 180 * DAY_MS);
    }
    let request = WindowsRequest {
        metric: 0,
        steps: Steps::new(START_MS, START_MS + 400 * DAY_MS, DAY_MS).unwrap(),
        lookback_ms: 0,
        filter: Filter::default(),
        limits: ScanLimits::new(u64::MAX, 100),
    };
    let answer = windows(&bed.view(table), &request).unwrap();
    let StepWindows::Int(days) = &answer.series[0].steps else { panic!("gauge") };
    assert!(days.iter().all(|window| window.count() == 24), "from hours");
    let files = std::fs::read_dir(bed.dir.path()).unwrap().count();
    assert_eq!(files, bed.entries.len(), "no file without an entry");
}

#[test]
fn a_rule_takes_raw_rows_of_its_series_and_leaves_their_rollups() {
    let mut bed = Bed::new(START_MS + DAY_MS + HOUR_MS);
    bed.rule("{stack=\"batch\"} raw=2d");
    for stack in ["batch", "shop"] {
        push(&mut bed, stack, (0..1440).map(|minute| START_MS + minute * 60_000));
    }
    bed.flush();
    bed.settle();
    assert_eq!(rows(&bed, "batch").len(), 1440);
    bed.now_ms = START_MS + 2 * DAY_MS + 12 * HOUR_MS;
    assert_eq!(rows(&bed, "batch").len(), 720, "at once");
    assert_eq!(rows(&bed, "shop").len(), 1440);
    assert_eq!(hours(&bed, "batch", 24), [60; 24], "from rollups");
    bed.now_ms += DAY_MS;
    let run = dry_run(&bed.entries, &bed.hidden(), Budget { bytes_max: None });
    assert_eq!((run.rows, run.segments.len()), (0, 1));
    assert_eq!(run.segments[0].reason, Reason::Partly);
    assert!(bed.settle() > 0);
    let raw = bed.entries.iter().find(|entry| entry.resolution == Resolution::Raw).unwrap();
    assert_eq!(raw.meta.rows, 1440, "only those of shop");
    assert_eq!(hours(&bed, "batch", 24), [60; 24]);
    // A late row of another series has the day made again: what is known of batch stays.
    push(&mut bed, "late", std::iter::once(START_MS + 90_000));
    bed.flush();
    bed.now_ms += HOUR_MS;
    bed.settle();
    assert_eq!(hours(&bed, "batch", 24), [60; 24]);
    assert_eq!(hours(&bed, "late", 24)[0], 1);
}

#[test]
fn a_deletion_is_effective_at_once_and_the_bytes_follow() {
    let mut bed = Bed::new(START_MS + DAY_MS + HOUR_MS);
    for stack in ["batch", "shop"] {
        push(&mut bed, stack, (0..1440).map(|minute| START_MS + minute * 60_000));
    }
    bed.flush();
    bed.settle();
    bed.removed.add(Deletion {
        id: 0,
        table: None,
        selector: "{stack=\"batch\"}".to_owned(),
        start_ms: START_MS + 90 * 60_000,
        end_ms: START_MS + 240 * 60_000,
        who: "test".to_owned(),
        at_ms: bed.now_ms,
    });
    let mut expected = [60; 24];
    expected[1..4].copy_from_slice(&[30, 0, 0]);
    for settled in [false, true] {
        if settled {
            assert!(bed.settle() > 0);
        }
        assert_eq!(rows(&bed, "batch").len(), 1440 - 150);
        assert_eq!(rows(&bed, "shop").len(), 1440);
        assert_eq!(hours(&bed, "batch", 24), expected);
        assert_eq!(hours(&bed, "shop", 24), [60; 24]);
    }
    let raw = bed.entries.iter().find(|entry| entry.resolution == Resolution::Raw).unwrap();
    assert_eq!(raw.meta.rows, 2880 - 150);
    push(&mut bed, "batch", std::iter::once(START_MS + 91 * 60_000));
    assert_eq!(rows(&bed, "batch").len(), 1440 - 150, "what comes again stays away");
}

#[test]
fn the_budget_sheds_the_oldest_raw_days_first() {
    let mut bed = Bed::new(START_MS);
    for day in 0..6 {
        let times = (0..1440).map(|minute| START_MS + day * DAY_MS + minute * 60_000);
        push(&mut bed, "shop", times);
        bed.flush();
        bed.now_ms = START_MS + (day + 1) * DAY_MS + HOUR_MS;
        bed.settle();
    }
    let total: u64 = bed.entries.iter().map(|entry| entry.meta.bytes).sum();
    let first = bed.entries.iter().filter(|entry| entry.resolution == Resolution::Raw);
    let first = first.min_by_key(|entry| entry.meta.start_ms).unwrap().meta.bytes;
    let budget = Budget { bytes_max: Some(total - first - 1) };
    let run = dry_run(&bed.entries, &bed.hidden(), budget);
    assert_eq!(run.segments.len(), 2);
    assert!(run.segments.iter().all(|line| line.reason == Reason::Budget));
    assert_eq!((run.rows, run.bytes_live), (2880, total));
    bed.removed.shed_until_ms = run.shed_until_ms;
    assert_eq!(rows(&bed, "shop").len(), 4 * 1440);
    assert_eq!(hours(&bed, "shop", 6 * 24), [60; 6 * 24], "rollups of shed days answer");
    bed.settle();
    assert!(bed.entries.iter().map(|entry| entry.meta.bytes).sum::<u64>() < total - first);
    let all = dry_run(&bed.entries, &bed.hidden(), Budget { bytes_max: Some(0) });
    assert!(all.segments.iter().any(|line| line.resolution == Resolution::Hour));
}

#[test]
fn the_audit_log_has_a_line_for_each() {
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("audit.log");
    let line = AuditLine {
        at_ms: 1,
        who: "root",
        action: "delete",
        table: None,
        selector: Some("{}"),
        start_ms: 2,
        end_ms: 3,
    };
    audit(&path, &line).unwrap();
    audit(&path, &line).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let one = concat!(
        r#"{"at_ms":1,"who":"root","action":"delete","selector":"{}","#,
        r#""start_ms":2,"end_ms":3}"#,
        "\n"
    );
    assert_eq!(text, format!("{one}{one}"));
}
