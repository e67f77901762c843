//! `/containers/json` and `/containers/{id}/json`.
//!
//! Keeps true: unlimited resources are 0 or null in `HostConfig`, as in a real engine.
//!
//! Not here: stats (`stats`).

use super::moment::{Core, Phase, state_word};
use super::request::Query;
use super::time::{NEVER, lasted, rfc3339};
use crate::config::{Cgroup, Orchestrator};
use crate::life::{Container, DeathCause};
use crate::names::{hex_id, text_seed};
use serde_json::{Value, json};

/// The list of containers a query asks for, newest first.
pub(super) fn list(core: &Core, query: &Query) -> Value {
    let now_ms = core.now_ms();
    let here = core.containers(now_ms).into_iter();
    here.filter(|container| core.listed(container, query, now_ms))
        .map(|container| entry(core, container, now_ms))
        .collect()
}

fn entry(core: &Core, container: &Container, now_ms: i64) -> Value {
    let phase = core.phase(container, now_ms);
    let version = &core.service_of(container).versions[container.version];
    json!({
        "Id": container.id,
        "Names": [format!("/{}", container.name)],
        "Image": &*container.image,
        "ImageID": version.image_id,
        "Command": "/bin/serve --foreground",
        "Created": container.created_ms / 1_000,
        "Ports": [],
        "Labels": core.fleet().labels(container),
        "State": state_word(phase),
        "Status": status(core, phase, now_ms),
        "HostConfig": {"NetworkMode": network_mode(core, container)},
        "NetworkSettings": {"Networks": networks(core, container)},
        "Mounts": [],
    })
}

fn status(core: &Core, phase: Phase, now_ms: i64) -> String {
    let runs = core.fleet().runs();
    match phase {
        Phase::Created => "Created".to_owned(),
        Phase::Running(run) => {
            format!("Up {}", lasted(now_ms - runs[run as usize].started_ms))
        }
        Phase::Ended { run, again } => {
            let run = &runs[run as usize];
            let exit_code = run.cause.map_or(0, DeathCause::exit_code);
            let word = if again { "Restarting" } else { "Exited" };
            format!("{word} ({exit_code}) {} ago", lasted(now_ms - run.ended_ms))
        }
    }
}

fn network_mode(core: &Core, container: &Container) -> String {
    let service = core.service_of(container);
    match (&service.stack, service.orchestrator) {
        _ if service.host_network => "host".to_owned(),
        (Some(project), Orchestrator::Compose) => format!("{project}_default"),
        _ => "default".to_owned(),
    }
}

fn networks(core: &Core, container: &Container) -> Value {
    let service = core.service_of(container);
    let name = match (&service.stack, service.orchestrator) {
        _ if service.host_network => "host".to_owned(),
        (Some(stack), Orchestrator::Swarm | Orchestrator::Compose) => format!("{stack}_default"),
        _ => "bridge".to_owned(),
    };
    let (last, second) = (container.index % 250 + 2, container.index / 250 % 250);
    let address =
        if service.host_network { String::new() } else { format!("172.18.{second}.{last}") };
    let mac = format!("02:42:ac:12:{second:02x}:{last:02x}");
    json!({
        name.clone(): {
            "IPAMConfig": null, "Links": null, "Aliases": null,
            "MacAddress": if service.host_network { String::new() } else { mac },
            "NetworkID": hex_id(text_seed(&name)),
            "EndpointID": hex_id(text_seed(&container.id)),
            "Gateway": if service.host_network { "" } else { "172.18.0.1" },
            "IPAddress": address,
            "IPPrefixLen": if service.host_network { 0 } else { 16 },
            "IPv6Gateway": "", "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0,
            "DriverOpts": null,
        }
    })
}

/// All about one container.
pub(super) fn inspect(core: &Core, container: &Container) -> Value {
    let now_ms = core.now_ms();
    let service = core.service_of(container);
    let version = &service.versions[container.version];
    let folder = format!("/var/lib/docker/containers/{}", container.id);
    json!({
        "Id": container.id,
        "Created": rfc3339(container.created_ms),
        "Path": "/bin/serve",
        "Args": ["--foreground"],
        "State": state(core, container, now_ms),
        "Image": version.image_id,
        "ResolvConfPath": format!("{folder}/resolv.conf"),
        "HostnamePath": format!("{folder}/hostname"),
        "HostsPath": format!("{folder}/hosts"),
        "LogPath": format!("{folder}/{}-json.log", container.id),
        "Name": format!("/{}", container.name),
        "RestartCount": core.restarts(container, now_ms),
        "Driver": "overlay2",
        "Platform": "linux",
        "MountLabel": "", "ProcessLabel": "", "AppArmorProfile": "",
        "ExecIDs": null,
        "HostConfig": host_config(core, container),
        "GraphDriver": {"Data": null, "Name": "overlay2"},
        "Mounts": [],
        "Config": {
            "Hostname": &container.id[..12],
            "Domainname": "", "User": "", "Tty": false, "OpenStdin": false,
            "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"],
            "Cmd": ["--foreground"],
            "Image": &*container.image,
            "Volumes": null, "WorkingDir": "", "Entrypoint": ["/bin/serve"], "OnBuild": null,
            "Labels": core.fleet().labels(container),
        },
        "NetworkSettings": {
            "Bridge": "",
            "SandboxID": hex_id(text_seed(&container.name)),
            "SandboxKey": format!("/var/run/docker/netns/{}", &container.id[..12]),
            "Ports": {},
            "Networks": networks(core, container),
        },
    })
}

fn state(core: &Core, container: &Container, now_ms: i64) -> Value {
    let phase = core.phase(container, now_ms);
    let runs = core.fleet().runs();
    let (run, running) = match phase {
        Phase::Created => (None, false),
        Phase::Running(run) => (Some(run), true),
        Phase::Ended { run, .. } => (Some(run), false),
    };
    let began = run.map(|run| runs[run as usize].started_ms);
    // A running container shows the end of its run before.
    let ended = match phase {
        Phase::Running(run) => {
            let position = container.runs.iter().position(|&known| known == run);
            position.and_then(|at| at.checked_sub(1)).map(|at| container.runs[at])
        }
        _ => run,
    };
    let ended = ended.map(|run| &runs[run as usize]);
    let cause = if running { None } else { ended.and_then(|run| run.cause) };
    // Engine 20.10 mostly says false even then.
    let oom_killed = cause == Some(DeathCause::Oom) && core.cgroup() == Cgroup::V2;
    let restarting = matches!(phase, Phase::Ended { again: true, .. });
    json!({
        "Status": state_word(phase),
        // A container that waits to be started again counts as running, with no process.
        "Running": running || restarting,
        "Paused": false,
        "Restarting": restarting,
        "OOMKilled": oom_killed,
        "Dead": false,
        "Pid": run.filter(|_| running).map_or(0, |run| 1_000 + i64::from(run) % 4_000_000),
        "ExitCode": cause.map_or(0, DeathCause::exit_code),
        "Error": "",
        "StartedAt": began.map_or(NEVER.to_owned(), rfc3339),
        "FinishedAt": ended.map_or(NEVER.to_owned(), |run| rfc3339(run.ended_ms)),
    })
}

fn host_config(core: &Core, container: &Container) -> Value {
    let service = core.service_of(container);
    let policy = match service.orchestrator {
        Orchestrator::Swarm => "",
        Orchestrator::Compose | Orchestrator::Plain => "on-failure",
    };
    let private = if core.cgroup() == Cgroup::V2 { "private" } else { "host" };
    let memory = service.memory_limit_bytes.unwrap_or(0);
    json!({
        "Binds": null,
        "LogConfig": {"Type": "json-file", "Config": {}},
        "NetworkMode": network_mode(core, container),
        "PortBindings": {},
        "RestartPolicy": {"Name": policy, "MaximumRetryCount": 0},
        "AutoRemove": false,
        "CgroupnsMode": private,
        "IpcMode": "private",
        "OomScoreAdj": 0,
        "Privileged": false,
        "Runtime": "runc",
        "CpuShares": 0,
        "Memory": memory,
        "NanoCpus": service.cpu_limit_millis.unwrap_or(0) * 1_000_000,
        "CgroupParent": "",
        "CpuPeriod": 0, "CpuQuota": 0, "CpusetCpus": "", "CpusetMems": "",
        "MemoryReservation": 0,
        "MemorySwap": memory * 2,
        "MemorySwappiness": null,
        "OomKillDisable": if core.cgroup() == Cgroup::V2 { Value::Null } else { json!(false) },
        "PidsLimit": service.pids_limit,
    })
}
