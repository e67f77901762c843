//! One timeline: events as people tell them, repeated ones folded into one line.

use std::collections::BTreeMap;

use plimsoll_model::Subject;
use serde::Serialize;

/// Deaths of one subject from which they are one restart loop.
const LOOP_DEATHS_MIN: usize = 3;

/// One stored event.
#[derive(Debug, Clone)]
pub struct Event {
    /// Unix milliseconds.
    pub time_ms: i64,
    /// Type, such as `container`.
    pub kind: String,
    /// Action, such as `die`.
    pub action: String,
    /// What it happened to.
    pub subject: Subject,
    /// Name people know it by.
    pub name: String,
    /// debug, info, warning or error.
    pub severity: String,
    /// Text after the action's colon.
    pub detail: Option<String>,
    /// Exit code, where something ended.
    pub exit_code: Option<i64>,
    /// Signal, where one was sent.
    pub signal: Option<i64>,
}

/// One line of a timeline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TimelineEntry {
    /// When, Unix milliseconds.
    pub time_ms: i64,
    /// When the last of several folded events was; equal to `time_ms` for one event.
    pub until_ms: i64,
    /// What kind: `death`, `oom`, `restart_loop`, `health`, `deploy`, `engine`, `gap`, `node`,
    /// `note` or `other`.
    pub kind: &'static str,
    /// debug, info, warning or error.
    pub severity: String,
    /// The service it happened to; empty when none.
    pub service: String,
    /// The container or other thing.
    pub name: String,
    /// The node.
    pub node: String,
    /// What happened, in words.
    pub text: String,
    /// Events folded into this line.
    pub events: usize,
    /// Exit code of a death.
    pub exit_code: Option<i64>,
}

/// Makes a timeline of events, which must be oldest first.
///
/// Three or more deaths of one service's replica become one restart loop; steps of a container's
/// life that say nothing by themselves (create, attach, resize) are left out.
pub fn timeline(events: &[Event]) -> Vec<TimelineEntry> {
    let mut deaths: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, event) in events.iter().enumerate() {
        if is_death(event) {
            deaths.entry(replica(event)).or_default().push(index);
        }
    }
    deaths.retain(|_, of| of.len() >= LOOP_DEATHS_MIN);
    let mut entries = Vec::new();
    for (index, event) in events.iter().enumerate() {
        let in_loop = deaths.get(&replica(event));
        match in_loop {
            Some(of) if is_death(event) => {
                if of.first() == Some(&index) {
                    entries.push(restart_loop(events, of));
                }
            }
            Some(_) if event.kind == "container" && is_life_step(&event.action) => {}
            _ => entries.extend(entry(event, events)),
        }
    }
    entries
}

/// Says what an exit code means; `oom`: the kernel killed for lack of memory.
pub fn explained_exit(code: i64, oom: bool) -> String {
    match code {
        0 => "ended by itself, without an error".to_owned(),
        1 => "ended with a general error".to_owned(),
        125 => "could not be started by the engine".to_owned(),
        126 => "its command could not be executed".to_owned(),
        127 => "its command was not found".to_owned(),
        137 if oom => "was killed for lack of memory (signal 9, out of memory)".to_owned(),
        137 => "was killed (signal 9), but not for lack of memory as far as the engine saw: \
                stopped too slowly or killed from outside"
            .to_owned(),
        143 => "was asked to stop (signal 15)".to_owned(),
        129..=192 => format!("was ended by signal {}{}", code - 128, signal_name(code - 128)),
        _ => format!("ended with exit code {code} of its own"),
    }
}

fn signal_name(signal: i64) -> &'static str {
    match signal {
        1 => " (hang-up)",
        2 => " (interrupt)",
        3 => " (quit)",
        4 => " (illegal instruction)",
        6 => " (abort)",
        7 => " (bus error)",
        8 => " (arithmetic error)",
        9 => " (kill)",
        11 => " (invalid memory reference)",
        13 => " (broken pipe)",
        15 => " (terminate)",
        _ => "",
    }
}

fn is_death(event: &Event) -> bool {
    event.kind == "container" && event.action == "die"
}

fn is_life_step(action: &str) -> bool {
    matches!(action, "start" | "restart" | "stop" | "kill" | "destroy" | "create")
}

fn replica(event: &Event) -> String {
    let of = &event.subject;
    if of.slot.is_empty() {
        format!("{}/{}/{}", of.node, of.service, event.name)
    } else {
        format!("{}/{}/{}", of.stack, of.service, of.slot)
    }
}

/// Whether the kernel killed for lack of memory in the same container just before.
fn was_oom(event: &Event, events: &[Event]) -> bool {
    let near = |other: &&Event| {
        other.action == "oom"
            && other.subject.container_id == event.subject.container_id
            && (0..=10_000).contains(&event.time_ms.saturating_sub(other.time_ms))
    };
    events.iter().any(|other| near(&other))
}

fn restart_loop(events: &[Event], of: &[usize]) -> TimelineEntry {
    let deaths: Vec<&Event> = of.iter().filter_map(|index| events.get(*index)).collect();
    let mut codes: BTreeMap<i64, usize> = BTreeMap::new();
    for code in deaths.iter().filter_map(|event| event.exit_code) {
        *codes.entry(code).or_default() += 1;
    }
    let commonest = codes.iter().max_by_key(|(_, times)| **times).map(|(code, _)| *code);
    let oom = deaths.iter().any(|event| was_oom(event, events));
    let why = commonest.map_or_else(String::new, |code| {
        format!(", mostly with exit code {code}: {}", explained_exit(code, oom))
    });
    let (first, last) = (deaths.first(), deaths.last());
    let (time_ms, until_ms) =
        (first.map_or(0, |event| event.time_ms), last.map_or(0, |event| event.time_ms));
    let span_s = until_ms.saturating_sub(time_ms) / 1_000;
    TimelineEntry {
        time_ms,
        until_ms,
        kind: "restart_loop",
        severity: "error".to_owned(),
        service: first.map_or_else(String::new, |event| event.subject.service.to_string()),
        name: last.map_or_else(String::new, |event| event.name.clone()),
        node: last.map_or_else(String::new, |event| event.subject.node.to_string()),
        text: format!("restart loop: died {} times in {span_s} s{why}", deaths.len()),
        events: deaths.len(),
        exit_code: commonest,
    }
}

fn entry(event: &Event, events: &[Event]) -> Option<TimelineEntry> {
    let detail = event.detail.as_deref().unwrap_or("");
    let (kind, text) = match (event.kind.as_str(), event.action.as_str()) {
        ("container", "die") => {
            let code = event.exit_code.unwrap_or(0);
            let why = explained_exit(code, was_oom(event, events));
            ("death", format!("died with exit code {code}: {why}"))
        }
        ("container", "oom") => ("oom", "the kernel killed a task for lack of memory".to_owned()),
        ("container", "health_status") => ("health", format!("became {detail}")),
        ("container", "kill") => {
            let signal = event.signal.unwrap_or(15);
            ("other", format!("was sent signal {signal}{}", signal_name(signal)))
        }
        ("container", "start" | "restart" | "stop" | "pause" | "unpause" | "update") => {
            ("other", event.action.clone())
        }
        ("container", _) => return None,
        ("deploy" | "service" | "task", action) => ("deploy", joined(&event.kind, action, detail)),
        ("engine" | "daemon", action) => ("engine", joined(&event.kind, action, detail)),
        ("collector", "gap") => ("gap", joined("collection has a", "gap", detail)),
        ("node" | "machine", action) => ("node", joined(&event.kind, action, detail)),
        ("note", action) => ("note", joined("note:", action, detail)),
        (other, action) if event.severity != "debug" => ("other", joined(other, action, detail)),
        _ => return None,
    };
    Some(TimelineEntry {
        time_ms: event.time_ms,
        until_ms: event.time_ms,
        kind,
        severity: event.severity.clone(),
        service: event.subject.service.to_string(),
        name: event.name.clone(),
        node: event.subject.node.to_string(),
        text: text.trim().to_owned(),
        events: 1,
        exit_code: event.exit_code,
    })
}

fn joined(first: &str, action: &str, detail: &str) -> String {
    if detail.is_empty() {
        format!("{first} {action}")
    } else {
        format!("{first} {action}: {detail}")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn event(time_ms: i64, action: &str, exit_code: Option<i64>) -> Event {
        let mut subject = Subject::node("default", "n1");
        subject.service = Arc::from("web");
        subject.container_id = Arc::from("c1");
        Event {
            time_ms,
            kind: "container".to_owned(),
            action: action.to_owned(),
            subject,
            name: "web-1".to_owned(),
            severity: "warning".to_owned(),
            detail: None,
            exit_code,
            signal: None,
        }
    }

    #[test]
    fn deaths_of_one_replica_fold_into_one_line() {
        let mut events = Vec::new();
        for round in 0..5 {
            events.push(event(round * 10_000, "start", None));
            events.push(event(round * 10_000 + 5_000, "die", Some(1)));
        }
        let lines = timeline(&events);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert_eq!(lines[0].events, 5);
        assert!(lines[0].text.contains("died 5 times in 40 s"), "{}", lines[0].text);
    }

    #[test]
    fn a_kill_after_an_oom_is_told_as_lack_of_memory() {
        let lines = timeline(&[event(0, "oom", None), event(500, "die", Some(137))]);
        assert_eq!(lines.len(), 2);
        assert!(lines[1].text.contains("killed for lack of memory"));
        let alone = timeline(&[event(0, "die", Some(137))]);
        assert!(alone[0].text.contains("not for lack of memory"));
    }

    #[test]
    fn exit_codes_are_explained() {
        assert!(explained_exit(139, false).contains("invalid memory reference"));
        assert!(explained_exit(143, false).contains("asked to stop"));
        assert!(explained_exit(127, false).contains("not found"));
    }
}
