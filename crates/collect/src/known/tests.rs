//! What new facts about a container mean.

use proptest::prelude::*;

use super::*;

fn facts(state: &str, started_at_ms: i64, restart_count: u64) -> ContainerFacts {
    ContainerFacts {
        id: Arc::from("a"),
        name: "web".to_owned(),
        state: state.to_owned(),
        started_at_ms: Some(started_at_ms),
        restart_count,
        ..ContainerFacts::default()
    }
}

fn known(facts: ContainerFacts) -> Known {
    Known::new(facts, &Subject::node("c", "n"))
}

#[test]
fn a_new_start_is_a_restart_even_when_the_engine_forgets_its_count() {
    let node = Subject::node("c", "n");
    let mut known = known(facts("running", 100, 4));
    assert_eq!(known.restarts, 4);
    let change = known.update(facts("exited", 100, 4), &node, 150);
    assert_eq!(change, Change { started: false, stopped: true });
    let change = known.update(facts("running", 200, 0), &node, 200);
    assert_eq!(change, Change { started: true, stopped: false });
    assert_eq!(known.restarts, 5);
    known.update(facts("running", 200, 0), &node, 210);
    assert_eq!(known.restarts, 5);
}

#[test]
fn a_first_start_after_creation_is_no_restart() {
    let node = Subject::node("c", "n");
    let mut created = facts("created", 0, 0);
    created.started_at_ms = None;
    let mut known = known(created);
    let change = known.update(facts("running", 200, 0), &node, 200);
    assert_eq!((change.started, known.restarts), (true, 0));
}

#[test]
fn a_kill_that_was_not_told_is_concluded_once_and_late() {
    let node = Subject::node("c", "n");
    let mut known = known(facts("running", 100, 0));
    let mut killed = facts("exited", 100, 0);
    killed.oom_killed = true;
    known.update(killed, &node, 1_000);
    assert!(!known.oom_was_not_told(1_001), "its event may still come");
    assert!(known.oom_was_not_told(6_000));
    assert!(!known.oom_was_not_told(7_000));
    assert_eq!(known.oom_kills(), 1);
}

#[test]
fn a_limit_that_is_the_machine_is_none() {
    let mut known = known(facts("running", 100, 0));
    let mut sample = Sample { time_ms: 5, ..Sample::default() };
    sample.usage.memory_limit_bytes = Some(1_000);
    known.complete(&mut sample, Some(1_000));
    assert_eq!(sample.usage.memory_limit_bytes, None);
    known.facts.limits.memory_bytes = Some(2_000);
    sample.usage.memory_limit_bytes = Some(1_000);
    known.complete(&mut sample, Some(1_000));
    assert_eq!(sample.usage.memory_limit_bytes, Some(1_000), "the engine cut it to the machine");
}

#[test]
fn the_machines_traffic_is_never_a_containers() {
    let mut known = known(facts("running", 100, 0));
    for mode in ["host", "container:0123"] {
        mode.clone_into(&mut known.facts.network_mode);
        let mut sample = Sample::default();
        sample.networks.push(("eth0".to_owned(), crate::usage::NetworkUsage::default()));
        known.complete(&mut sample, None);
        assert!(sample.networks.is_empty(), "{mode}");
    }
}

#[test]
fn an_info_row_is_due_when_something_changed_or_time_passed() {
    let node = Subject::node("c", "n");
    let mut known = known(facts("running", 100, 0));
    assert!(known.info_is_due(0, 1_000));
    assert!(!known.info_is_due(999, 1_000));
    assert!(known.info_is_due(1_000, 1_000));
    let mut renamed = facts("running", 100, 0);
    renamed.name = "api".to_owned();
    known.update(renamed, &node, 1_001);
    assert!(known.info_is_due(1_001, 1_000));
}

proptest! {
    /// GROW: restarts never fall, whatever the engine says.
    #[test]
    fn grow_restarts_never_fall(steps in proptest::collection::vec((0_u64..5, 1_i64..4), 1..30)) {
        let node = Subject::node("c", "n");
        let mut known = known(facts("running", 1, 0));
        for (count, started_at_ms) in steps {
            let before = known.restarts;
            known.update(facts("running", started_at_ms, count), &node, 0);
            prop_assert!(known.restarts >= before && known.restarts >= count);
        }
    }
}
