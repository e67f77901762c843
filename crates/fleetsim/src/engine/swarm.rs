//! `/services`, `/tasks` and `/nodes`, which only the manager answers.
//!
//! Keeps true: a slot remembers its five newest tasks.
//!
//! Not here: containers (`containers`), service events (`events`).

use super::moment::{Core, Phase};
use super::request::Query;
use super::time::rfc3339;
use crate::config::Orchestrator;
use crate::life::{Container, DeathCause};
use crate::service::Service;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How many tasks a slot remembers.
const TASKS_KEPT: usize = 5;

fn swarm_services(core: &Core) -> impl Iterator<Item = &Service> {
    core.fleet().services().iter().filter(|s| s.orchestrator == Orchestrator::Swarm)
}

/// The services a query asks for.
pub(super) fn services(core: &Core, query: &Query) -> Value {
    let asked = swarm_services(core).filter(|service| {
        query.passes("id", |wanted| service.id.starts_with(wanted))
            && query.passes("name", |wanted| service.name.starts_with(wanted))
            && query.labelled(&labels(service))
    });
    let with_status = query.flag("status", false);
    asked.map(|service| service_body(core, service, with_status)).collect()
}

/// The service with an id or name.
pub(super) fn service(core: &Core, wanted: &str) -> Option<Value> {
    let found = swarm_services(core).find(|s| s.id == wanted || s.name == wanted)?;
    Some(service_body(core, found, false))
}

fn labels(service: &Service) -> BTreeMap<String, String> {
    let stack = service.stack.clone().map(|stack| ("com.docker.stack.namespace".to_owned(), stack));
    stack.into_iter().collect()
}

fn task_template(service: &Service, version: usize) -> Value {
    let mut limits = json!({});
    if let Some(millis) = service.cpu_limit_millis {
        limits["NanoCPUs"] = json!(millis * 1_000_000);
    }
    if let Some(bytes) = service.memory_limit_bytes {
        limits["MemoryBytes"] = json!(bytes);
    }
    if let Some(pids) = service.pids_limit {
        limits["Pids"] = json!(pids);
    }
    json!({
        "ContainerSpec": {
            "Image": &*service.versions[version].image,
            "Labels": labels(service),
            "Args": ["--foreground"],
            "Init": false,
            "DNSConfig": {},
            "Isolation": "default",
        },
        "Resources": {"Limits": limits, "Reservations": {}},
        "Placement": {},
        "ForceUpdate": 0,
        "Runtime": "container",
    })
}

fn service_body(core: &Core, service: &Service, with_status: bool) -> Value {
    let now_ms = core.now_ms();
    let start_ms = core.fleet().config().start_ms;
    let desired = service.desired_at(now_ms);
    let deployed = service.versions.partition_point(|v| v.at_ms <= now_ms);
    let changes = deployed + service.desired.partition_point(|d| d.at_ms <= now_ms);
    let version = deployed.saturating_sub(1);
    let deployed_ms = service.versions[version].at_ms;
    let scaled_ms = service.desired.iter().rfind(|d| d.at_ms <= now_ms).map(|d| d.at_ms);
    let created_ms = start_ms - 86_400_000;
    let updated_ms = created_ms.max(deployed_ms).max(scaled_ms.unwrap_or(created_ms));
    let mut labels = labels(service);
    labels.insert("com.docker.stack.image".to_owned(), service.versions[version].image.to_string());
    let mut body = json!({
        "ID": service.id,
        "Version": {"Index": 10 + changes},
        "CreatedAt": rfc3339(created_ms),
        "UpdatedAt": rfc3339(updated_ms),
        "Spec": {
            "Name": service.name,
            "Labels": labels,
            "TaskTemplate": task_template(service, version),
            "Mode": {"Replicated": {"Replicas": desired}},
            "UpdateConfig": {"Parallelism": 1, "FailureAction": "pause", "Order": "stop-first"},
        },
        "Endpoint": {"Spec": {}},
    });
    if version > 0 {
        let done_ms = deployed_ms + 5_000 * i64::from(desired) + 30_000;
        body["UpdateStatus"] = if now_ms < done_ms {
            json!({"State": "updating", "StartedAt": rfc3339(deployed_ms),
                "Message": "update in progress"})
        } else {
            json!({"State": "completed", "StartedAt": rfc3339(deployed_ms),
                "CompletedAt": rfc3339(done_ms), "Message": "update completed"})
        };
    }
    if with_status {
        let of = |c: &&Container| c.service == service.index && c.created_ms <= now_ms;
        let containers = core.fleet().containers().iter().filter(of);
        let running = containers.filter(|c| core.fleet().run_at(c, now_ms).is_some()).count();
        body["ServiceStatus"] =
            json!({"RunningTasks": running, "DesiredTasks": desired, "CompletedTasks": 0});
    }
    body
}

/// The tasks a query asks for: the newest of each slot, and its history.
pub(super) fn tasks(core: &Core, query: &Query) -> Value {
    let now_ms = core.now_ms();
    let mut slots: BTreeMap<(usize, u32), Vec<&Container>> = BTreeMap::new();
    for container in core.fleet().containers() {
        if container.task_id.is_some() && container.created_ms <= now_ms {
            slots.entry((container.service, container.slot_number)).or_default().push(container);
        }
    }
    let mut tasks = Vec::new();
    for ((service, slot), containers) in slots {
        let service = &core.fleet().services()[service];
        let newest = containers.len() - 1;
        // Scaling down erases the history of the slots it takes away.
        let last_lives = containers[newest].removed_ms.is_none_or(|removed| now_ms < removed);
        if !last_lives && service.desired_at(now_ms) < slot {
            continue;
        }
        let kept = containers.len().saturating_sub(TASKS_KEPT);
        for (position, container) in containers.iter().enumerate().skip(kept) {
            let desired = desired_state(core, container, position == newest, now_ms);
            let node = &core.fleet().nodes()[container.node];
            let task = container.task_id.as_deref().unwrap_or_default();
            let asked = query.passes("desired-state", |wanted| wanted == desired)
                && query.passes("id", |wanted| task.starts_with(wanted))
                && query.passes("service", |w| service.id == w || service.name == w)
                && query.passes("node", |w| node.swarm_id == w || node.hostname == w);
            if asked {
                tasks.push(task_body(core, service, container, desired, now_ms));
            }
        }
    }
    Value::Array(tasks)
}

fn desired_state(core: &Core, container: &Container, newest: bool, now_ms: i64) -> &'static str {
    let over = match core.phase(container, now_ms) {
        Phase::Ended { run, .. } => {
            core.fleet().runs()[run as usize].cause != Some(DeathCause::Restarted)
        }
        _ => false,
    };
    if newest && !over { "running" } else { "shutdown" }
}

fn task_body(
    core: &Core,
    service: &Service,
    container: &Container,
    desired: &str,
    now_ms: i64,
) -> Value {
    let runs = core.fleet().runs();
    let (state, message, since_ms, exit_code) = match core.phase(container, now_ms) {
        Phase::Created => ("starting", "starting", container.created_ms, 0),
        Phase::Running(run) => ("running", "started", runs[run as usize].started_ms, 0),
        Phase::Ended { run, .. } => {
            let run = &runs[run as usize];
            let exit_code = run.cause.map_or(0, DeathCause::exit_code);
            let state = match run.cause {
                Some(DeathCause::Oom | DeathCause::Crash { .. }) => "failed",
                Some(DeathCause::Finished) => "complete",
                Some(DeathCause::Restarted) => "starting",
                Some(DeathCause::Deployed | DeathCause::ScaledDown) | None => "shutdown",
            };
            let message = if state == "failed" { "started" } else { state };
            (state, message, run.ended_ms, exit_code)
        }
    };
    let mut status = json!({
        "Timestamp": rfc3339(since_ms),
        "State": state,
        "Message": message,
        "ContainerStatus": {"ContainerID": container.id, "PID": 0, "ExitCode": exit_code},
        "PortStatus": {},
    });
    if state == "failed" {
        status["Err"] = json!(format!("task: non-zero exit ({exit_code})"));
    }
    json!({
        "ID": container.task_id,
        "Version": {"Index": 20 + container.index},
        "CreatedAt": rfc3339(container.created_ms),
        "UpdatedAt": rfc3339(since_ms),
        "Labels": {},
        "Spec": task_template(service, container.version),
        "ServiceID": service.id,
        "Slot": container.slot_number,
        "NodeID": core.fleet().nodes()[container.node].swarm_id,
        "Status": status,
        "DesiredState": desired,
    })
}

/// All nodes of the Swarm.
pub(super) fn nodes(core: &Core) -> Value {
    let created = rfc3339(core.fleet().config().start_ms - 86_400_000);
    let each = core.fleet().nodes().iter().map(|node| {
        let address = format!("10.99.{}.{}", node.index / 250, node.index % 250 + 1);
        let manager = node.index == 0;
        let mut body = json!({
            "ID": node.swarm_id,
            "Version": {"Index": 9},
            "CreatedAt": created,
            "UpdatedAt": created,
            "Spec": {
                "Labels": {},
                "Role": if manager { "manager" } else { "worker" },
                "Availability": "active",
            },
            "Description": {
                "Hostname": node.hostname,
                "Platform": {"Architecture": "x86_64", "OS": "linux"},
                "Resources": {
                    "NanoCPUs": i64::from(node.cores) * 1_000_000_000,
                    "MemoryBytes": node.memory_bytes,
                },
                "Engine": {"EngineVersion": super::system::release(core.cgroup()).version},
            },
            "Status": {"State": "ready", "Addr": address},
        });
        if manager {
            let addr = format!("{address}:2377");
            body["ManagerStatus"] =
                json!({"Leader": true, "Reachability": "reachable", "Addr": addr});
        }
        body
    });
    each.collect()
}
