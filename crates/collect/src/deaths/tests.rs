//! Ends as the engine tells them: in pieces, twice, or not at all.

use super::*;

const ID: &str = "aa";

fn event(action: &str, time_ms: i64, exit_code: Option<i64>, signal: Option<i64>) -> EngineEvent {
    EngineEvent {
        time_ms,
        kind: "container".to_owned(),
        action: action.to_owned(),
        actor_id: Arc::from(ID),
        exit_code,
        signal,
        ..EngineEvent::default()
    }
}

fn facts(state: &str, started_ms: i64, finished_ms: Option<i64>, code: i64) -> ContainerFacts {
    ContainerFacts {
        id: Arc::from(ID),
        name: "web".to_owned(),
        state: state.to_owned(),
        started_at_ms: Some(started_ms),
        finished_at_ms: finished_ms,
        exit_code: finished_ms.map(|_| code),
        ..ContainerFacts::default()
    }
}

fn node() -> Subject {
    Subject::node("c", "n")
}

fn running() -> Known {
    Known::new(facts("running", 1_000, None, 0), &node())
}

/// Records as short lines, everything that is pending included.
fn records(deaths: &mut Deaths) -> Vec<String> {
    let line = |death: Death| {
        let record = death.record();
        let evidence = record.attributes.get("oom_evidence").map_or("", String::as_str);
        format!(
            "{} {} code {:?} signal {:?} ran {:?} oom {evidence:?} inferred {} {}",
            record.time_ms,
            record.detail.as_deref().unwrap_or("-"),
            record.exit_code,
            record.signal,
            record.duration_ms,
            record.inferred,
            record.severity,
        )
    };
    deaths.take_due(0, true).into_iter().map(line).collect()
}

#[test]
fn a_container_of_200_ms_that_nobody_inspected_leaves_a_record() {
    let mut deaths = Deaths::default();
    for event in [
        event("start", 5_000, None, None),
        event("die", 5_200, Some(3), None),
        event("destroy", 5_300, None, None),
    ] {
        deaths.event(&event, None, &node(), 5_300);
    }
    let due = deaths.take_due(5_300, false);
    assert_eq!(due.len(), 1, "nothing more will come: it is not waited for");
    assert_eq!((due[0].duration_ms, due[0].exit_code), (Some(200), Some(3)));
    assert_eq!(due[0].record().severity, "warning");
    assert!(deaths.is_empty());
}

#[test]
fn an_inspection_that_overtakes_the_event_makes_one_record_not_two() {
    let mut deaths = Deaths::default();
    deaths.event(&event("start", 5_000, None, None), None, &node(), 5_000);
    let mut known = Known::new(facts("exited", 5_001, Some(5_200), 3), &node());
    deaths.inspected_first(&mut known, 5_210);
    deaths.event(&event("die", 5_201, Some(3), None), Some(&mut known), &node(), 5_220);
    let expected =
        "5201 failed code Some(3) signal None ran Some(200) oom \"\" inferred false warning";
    assert_eq!(records(&mut deaths), [expected]);
}

#[test]
fn evidence_of_lack_of_memory_is_united() {
    let mut deaths = Deaths::default();
    let mut known = running();
    known.run.memory_peak_bytes = Some(99);
    deaths.event(&event("oom", 8_000, None, None), Some(&mut known), &node(), 8_000);
    deaths.event(&event("die", 8_010, Some(137), None), Some(&mut known), &node(), 8_010);
    let mut dead = facts("exited", 1_000, Some(8_009), 137);
    dead.oom_killed = true;
    deaths.inspected(&mut known, &dead, 8_100);
    known.update(dead, &node(), 8_100);
    assert!(deaths.take_due(8_200, false).is_empty(), "more may come");
    let due = deaths.take_due(12_000, false);
    let record = due[0].record();
    assert_eq!(record.attributes["oom_evidence"], "event,state,exit");
    assert_eq!(record.attributes["memory_peak_bytes"], "99");
    assert_eq!((record.detail.as_deref(), record.severity), (Some("oom"), "error"));
    assert_eq!(record.duration_ms, Some(7_010));
}

#[test]
fn a_kill_that_was_asked_for_is_no_lack_of_memory() {
    let mut deaths = Deaths::default();
    let mut known = running();
    deaths.event(&event("kill", 8_000, None, Some(9)), Some(&mut known), &node(), 8_000);
    deaths.event(&event("die", 8_010, Some(137), None), Some(&mut known), &node(), 8_010);
    let expected =
        "8010 signal code Some(137) signal Some(9) ran Some(7010) oom \"\" inferred false info";
    assert_eq!(records(&mut deaths), [expected]);
}

#[test]
fn ends_that_no_event_told_are_concluded_once() {
    let mut deaths = Deaths::default();
    let mut known = running();
    let again = facts("running", 9_000, Some(8_000), 0);
    deaths.inspected(&mut known, &again, 9_100);
    known.update(again.clone(), &node(), 9_100);
    deaths.inspected(&mut known, &again, 9_200);
    known.update(again, &node(), 9_200);
    let expected =
        "8000 unknown code None signal None ran Some(7000) oom \"\" inferred true warning";
    assert_eq!(records(&mut deaths), [expected]);
    deaths.vanished(&mut known, 20_000);
    let expected =
        "20000 unknown code None signal None ran Some(11000) oom \"\" inferred true warning";
    assert_eq!(records(&mut deaths), [expected], "the second run, of which only the end was seen");
}

#[test]
fn each_run_of_a_container_that_restarts_all_the_time_has_its_record() {
    let mut deaths = Deaths::default();
    let mut known = running();
    let mut ends = 0;
    for run in 0..5_i64 {
        let end_ms = 10_000 + run * 3_000;
        deaths.event(&event("die", end_ms, Some(1), None), Some(&mut known), &node(), end_ms);
        deaths.event(&event("start", end_ms + 100, None, None), Some(&mut known), &node(), end_ms);
        ends += deaths.take_due(end_ms, false).len();
    }
    assert_eq!(ends + records(&mut deaths).len(), 5);
}

#[test]
fn what_ended_before_anybody_looked_is_no_news() {
    let mut deaths = Deaths::default();
    let mut known = Known::new(facts("exited", 1_000, Some(2_000), 1), &node());
    deaths.inspected_first(&mut known, 90_000);
    assert!(deaths.is_empty());
    deaths.vanished(&mut known, 91_000);
    assert!(deaths.is_empty());
}
