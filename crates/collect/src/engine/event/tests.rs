//! Recorded events and what is kept of them.

use std::fmt::Write as _;

use super::*;
use crate::cases::run_cases;

fn tell(text: &str) -> String {
    let message: EventMessage = serde_json::from_str(text).unwrap();
    let Some(event) = EngineEvent::read(message) else { return "not kept\n".to_owned() };
    let mut out = String::new();
    writeln!(out, "{} {} {} {}", event.time_ms, event.kind, event.action, event.severity).unwrap();
    writeln!(out, "actor {} {:?}", event.actor_id, event.actor_name).unwrap();
    writeln!(out, "detail {:?}", event.detail).unwrap();
    writeln!(out, "exit {:?} signal {:?}", event.exit_code, event.signal).unwrap();
    writeln!(out, "container {:?}", event.container_id).unwrap();
    for (key, value) in &event.attributes {
        writeln!(out, "attribute {key}={value}").unwrap();
    }
    writeln!(out, "labels {}", event.labels.len()).unwrap();
    out
}

#[test]
fn event_cases() {
    run_cases("event", tell);
}
