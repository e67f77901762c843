//! `/events`: what happened, as JSON lines that follow the clock.
//!
//! Keeps true: only the newest 256 events of the past are told, as a real engine remembers.
//!
//! Not here: what happened (`crate::event`).

use super::faults::LOOK_EVERY;
use super::moment::Core;
use super::request::Query;
use crate::config::Cgroup;
use crate::event::{Event, EventKind, Subject};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// How many past events an engine remembers.
const REMEMBERED: usize = 256;

/// A subscription to the events of an engine.
pub(super) struct Follow {
    core: Arc<Core>,
    query: Query,
    next: usize,
    until_ms: Option<i64>,
    closings: u64,
}

impl Follow {
    pub(super) fn new(core: Arc<Core>, query: Query) -> Self {
        let now_ms = core.now_ms();
        let events = core.fleet().events();
        let passed = events.partition_point(|event| event.time_ms <= now_ms);
        let mut next = passed;
        if let Some(since_ms) = query.time_ms("since") {
            let (mut seen, mut back) = (0, passed);
            while back > 0 && seen < REMEMBERED && events[back - 1].time_ms >= since_ms {
                back -= 1;
                seen += usize::from(is_told(&core, &events[back]));
            }
            next = back;
        }
        let (until_ms, closings) = (query.time_ms("until"), core.faults.closings());
        Self { core, query, next, until_ms, closings }
    }

    /// The next lines; none when the subscription is over.
    pub(super) async fn lines(&mut self) -> Option<Bytes> {
        loop {
            let now_ms = self.core.now_ms();
            let limit_ms = self.until_ms.map_or(now_ms, |until| until.min(now_ms));
            let mut lines = String::new();
            let events = self.core.fleet().events();
            while let Some(event) = events.get(self.next).filter(|e| e.time_ms <= limit_ms) {
                if is_told(&self.core, event) {
                    let told = told(&self.core, event, self.next);
                    if passes(&self.query, &told) {
                        lines.push_str(&told.to_string());
                        lines.push('\n');
                    }
                }
                self.next += 1;
            }
            if !lines.is_empty() {
                return Some(Bytes::from(lines));
            }
            let closed = self.core.faults.closings() != self.closings;
            if closed || self.until_ms.is_some_and(|until| until <= now_ms) {
                return None;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// Whether this engine tells of an event: its own containers, and services if it manages.
fn is_told(core: &Core, event: &Event) -> bool {
    match event.subject {
        Subject::Container(_) => event.node == core.view.node,
        Subject::Service(_) => core.is_manager(),
    }
}

fn told(core: &Core, event: &Event, index: usize) -> Value {
    let time_nano = event.time_ms * 1_000_000 + (index as i64 * 1_009) % 1_000_000;
    let mut body = json!({"time": event.time_ms / 1_000, "timeNano": time_nano});
    match event.subject {
        Subject::Container(container) => {
            let container = &core.fleet().containers()[container];
            let labels = core.fleet().labels(container).into_iter();
            let mut attributes: Map<String, Value> =
                labels.map(|(key, value)| (key, json!(value))).collect();
            attributes.insert("image".to_owned(), json!(&*container.image));
            attributes.insert("name".to_owned(), json!(container.name));
            let action = container_action(core, &event.kind, &mut attributes);
            body["status"] = json!(action);
            body["id"] = json!(container.id);
            body["from"] = json!(&*container.image);
            body["Type"] = json!("container");
            body["Action"] = json!(action);
            body["Actor"] = json!({"ID": container.id, "Attributes": attributes});
            body["scope"] = json!("local");
        }
        Subject::Service(service) => {
            let service = &core.fleet().services()[service];
            let mut attributes = json!({"name": service.name});
            match &event.kind {
                EventKind::Deploy { image_old, image_new } => {
                    attributes["image.old"] = json!(&**image_old);
                    attributes["image.new"] = json!(&**image_new);
                    attributes["updatestate.new"] = json!("updating");
                }
                EventKind::Scale { replicas_old, replicas_new } => {
                    attributes["replicas.old"] = json!(replicas_old.to_string());
                    attributes["replicas.new"] = json!(replicas_new.to_string());
                }
                _ => {}
            }
            body["Type"] = json!("service");
            body["Action"] = json!("update");
            body["Actor"] = json!({"ID": service.id, "Attributes": attributes});
            body["scope"] = json!("swarm");
        }
    }
    body
}

fn container_action(
    core: &Core,
    kind: &EventKind,
    attributes: &mut Map<String, Value>,
) -> &'static str {
    match kind {
        EventKind::Create => "create",
        EventKind::Start => "start",
        EventKind::Oom => "oom",
        EventKind::Stop => "stop",
        EventKind::Restart => "restart",
        EventKind::Destroy => "destroy",
        EventKind::Kill { signal } => {
            attributes.insert("signal".to_owned(), json!(signal.to_string()));
            "kill"
        }
        EventKind::Die { exit_code, ran_ms } => {
            attributes.insert("exitCode".to_owned(), json!(exit_code.to_string()));
            if core.cgroup() == Cgroup::V2 {
                let seconds = (ran_ms / 1_000).to_string();
                attributes.insert("execDuration".to_owned(), json!(seconds));
            }
            "die"
        }
        EventKind::Deploy { .. } | EventKind::Scale { .. } => "update",
    }
}

fn passes(query: &Query, told: &Value) -> bool {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (kind, action, id) =
        (text(&told["Type"]), text(&told["Action"]), text(&told["Actor"]["ID"]));
    let attributes = told["Actor"]["Attributes"].as_object();
    let labels =
        attributes.into_iter().flatten().map(|(key, value)| (key.clone(), text(value))).collect();
    let name = text(&told["Actor"]["Attributes"]["name"]);
    let is_subject =
        |of: &str, wanted: &str| kind == of && (id.starts_with(wanted) || name == wanted);
    query.passes("type", |wanted| wanted == kind)
        && query.passes("event", |wanted| {
            action == wanted || action.strip_prefix(wanted).is_some_and(|r| r.starts_with(':'))
        })
        && query.passes("scope", |wanted| told["scope"] == wanted)
        && query.passes("container", |wanted| is_subject("container", wanted))
        && query.passes("service", |wanted| is_subject("service", wanted))
        && query.passes("image", |wanted| told["from"] == wanted)
        && query.labelled(&labels)
}
