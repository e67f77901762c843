//! One event of the engine, as it is kept.
//!
//! An engine puts all labels of a container into each of its events; they are dropped here,
//! because they are stored once per container. Not here: the stream (`watch`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bollard::models::EventMessage;

use super::event_rules;
use crate::redact;

/// Actions the engine is asked to send: all that change something. Commands run in containers
/// (`exec_*`), of which every health check makes three, are left out there, so that they cannot
/// push others out of the engine's short memory.
pub(crate) const ACTIONS: &[&str] = &[
    "checkpoint",
    "commit",
    "connect",
    "create",
    "delete",
    "demote",
    "destroy",
    "die",
    "disable",
    "disconnect",
    "enable",
    "export",
    "health_status",
    "import",
    "kill",
    "load",
    "mount",
    "oom",
    "pause",
    "promote",
    "prune",
    "pull",
    "push",
    "reload",
    "remove",
    "rename",
    "restart",
    "save",
    "start",
    "stop",
    "tag",
    "unmount",
    "unpause",
    "untag",
    "update",
];

/// Attributes of a container's event that are not labels and have no column of their own.
const CONTAINER_ATTRIBUTES: &[&str] = &["image", "oldName"];

/// One event.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct EngineEvent {
    pub(crate) time_ms: i64,
    pub(crate) time_nano: Option<i64>,
    pub(crate) kind: String,
    pub(crate) action: String,
    pub(crate) detail: Option<String>,
    pub(crate) actor_id: Arc<str>,
    pub(crate) actor_name: Option<String>,
    pub(crate) scope: Option<String>,
    pub(crate) severity: &'static str,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) exit_code: Option<i64>,
    pub(crate) signal: Option<i64>,
    pub(crate) duration_ms: Option<i64>,
    /// The container it happened to, where that is not the actor.
    pub(crate) container_id: Option<String>,
    /// Labels of the container, for its identity only.
    pub(crate) labels: BTreeMap<String, String>,
    /// Whether the collector found it out by itself.
    pub(crate) inferred: bool,
}

impl EngineEvent {
    /// Reads a message; `None` for what is not kept or says too little.
    pub(crate) fn read(message: EventMessage) -> Option<Self> {
        let kind = message.typ.map(|kind| kind.to_string())?;
        let full = message.action?;
        let (action, detail) = match full.split_once(':') {
            Some((action, detail)) => (action.to_owned(), Some(detail.trim().to_owned())),
            None => (full, None),
        };
        let actor = message.actor.unwrap_or_default();
        let mut attributes = actor.attributes.unwrap_or_default();
        let exit_code = number(&attributes, "exitCode");
        let detail = detail.or_else(|| attributes.get("state.new").cloned());
        let severity = event_rules::severity(&kind, &action, detail.as_deref(), exit_code)?;
        let time_ms = match (message.time_nano, message.time) {
            (Some(nano), _) if nano > 0 => nano.div_euclid(1_000_000),
            (_, Some(seconds)) => seconds.checked_mul(1_000)?,
            _ => return None,
        };
        let signal = number(&attributes, "signal");
        let duration_ms = number(&attributes, "execDuration").and_then(|s| s.checked_mul(1_000));
        let actor_name = attributes.remove("name").filter(|name| !name.is_empty());
        for own in ["exitCode", "signal", "execDuration"] {
            attributes.remove(own);
        }
        let container_id = attributes.get("container").cloned();
        let (attributes, labels) = split(&kind, attributes);
        Some(Self {
            time_ms,
            time_nano: message.time_nano,
            kind,
            action,
            detail,
            actor_id: Arc::from(actor.id.unwrap_or_default()),
            actor_name,
            scope: message.scope.map(|scope| scope.to_string()).filter(|scope| !scope.is_empty()),
            severity,
            attributes,
            exit_code,
            signal,
            duration_ms,
            container_id,
            labels,
            inferred: false,
        })
    }

    /// Something the collector found out by itself.
    pub(crate) fn inferred(
        time_ms: i64,
        kind: &str,
        action: &str,
        detail: Option<String>,
        attributes: BTreeMap<String, String>,
    ) -> Self {
        Self::concluded(time_ms, kind, action, detail, None, attributes)
    }

    /// The same of something that has an exit code.
    pub(crate) fn concluded(
        time_ms: i64,
        kind: &str,
        action: &str,
        detail: Option<String>,
        exit_code: Option<i64>,
        attributes: BTreeMap<String, String>,
    ) -> Self {
        let severity = event_rules::severity(kind, action, detail.as_deref(), exit_code);
        Self {
            time_ms,
            kind: kind.to_owned(),
            action: action.to_owned(),
            detail,
            severity: severity.unwrap_or("info"),
            attributes,
            exit_code,
            inferred: true,
            ..Self::default()
        }
    }

    /// Whether it is about a container itself.
    pub(crate) fn is_container(&self) -> bool {
        self.kind == "container"
    }
}

fn number(attributes: &HashMap<String, String>, key: &str) -> Option<i64> {
    attributes.get(key)?.parse().ok()
}

/// Attributes that may be stored, and a container's labels.
fn split(
    kind: &str,
    all: HashMap<String, String>,
) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    if kind != "container" {
        let kept = all.into_iter().map(|(key, value)| {
            let value = redact::redacted(&key, &value).to_owned();
            (key, value)
        });
        return (kept.collect(), BTreeMap::new());
    }
    all.into_iter().partition(|(key, _)| CONTAINER_ATTRIBUTES.contains(&key.as_str()))
}

#[cfg(test)]
mod tests;
