//! `/version` and `/info`: what engine this is.

use super::moment::{Core, Phase};
use super::time::rfc3339;
use crate::config::Cgroup;
use serde_json::{Value, json};

/// The engine release that is played.
pub(super) struct Release {
    pub(super) version: &'static str,
    pub(super) api: &'static str,
    pub(super) api_least: &'static str,
}

/// Version 1 is played as Debian's 20.10, version 2 as its 26.1.
pub(super) fn release(cgroup: Cgroup) -> Release {
    match cgroup {
        Cgroup::V1 => Release { version: "20.10.24+dfsg1", api: "1.41", api_least: "1.12" },
        Cgroup::V2 => Release { version: "26.1.5+dfsg1", api: "1.45", api_least: "1.24" },
    }
}

pub(super) fn version(core: &Core) -> Value {
    let Release { version, api, api_least } = release(core.cgroup());
    let details = json!({
        "ApiVersion": api, "Arch": "amd64", "Experimental": "false", "GitCommit": "5d6db84",
        "BuildTime": "2026-05-07T21:09:36.000000000+00:00", "GoVersion": "go1.24.4",
        "KernelVersion": "6.1.176", "MinAPIVersion": api_least, "Os": "linux",
    });
    json!({
        "Platform": {"Name": ""},
        "Components": [{"Name": "Engine", "Version": version, "Details": details}],
        "Version": version,
        "ApiVersion": api,
        "MinAPIVersion": api_least,
        "GitCommit": "5d6db84",
        "GoVersion": "go1.24.4",
        "Os": "linux",
        "Arch": "amd64",
        "KernelVersion": "6.1.176",
        "BuildTime": "2026-05-07T21:09:36.000000000+00:00",
    })
}

pub(super) fn info(core: &Core) -> Value {
    let (now_ms, node) = (core.now_ms(), core.node());
    let here = core.containers(now_ms);
    let runs = |c: &&&crate::Container| matches!(core.phase(c, now_ms), Phase::Running(_));
    let running = here.iter().filter(runs).count();
    json!({
        "ID": node.engine_id,
        "Containers": here.len(),
        "ContainersRunning": running,
        "ContainersPaused": 0,
        "ContainersStopped": here.len() - running,
        "Images": core.fleet().services().len(),
        "Driver": "overlay2",
        "MemoryLimit": true,
        "SwapLimit": false,
        "CpuCfsPeriod": true,
        "CpuCfsQuota": true,
        "CPUShares": true,
        "CPUSet": true,
        "PidsLimit": true,
        "OomKillDisable": core.cgroup() == Cgroup::V1,
        "Debug": false,
        "SystemTime": rfc3339(now_ms),
        "LoggingDriver": "json-file",
        "CgroupDriver": if core.cgroup() == Cgroup::V2 { "systemd" } else { "cgroupfs" },
        "CgroupVersion": if core.cgroup() == Cgroup::V2 { "2" } else { "1" },
        "KernelVersion": "6.1.176",
        "OperatingSystem": "Debian GNU/Linux 12 (bookworm)",
        "OSVersion": "12",
        "OSType": "linux",
        "Architecture": "x86_64",
        "NCPU": node.cores,
        "MemTotal": node.memory_bytes,
        "DockerRootDir": "/var/lib/docker",
        "Name": node.hostname,
        "Labels": [],
        "ExperimentalBuild": false,
        "ServerVersion": release(core.cgroup()).version,
        "DefaultRuntime": "runc",
        "Swarm": swarm(core),
        "LiveRestoreEnabled": false,
        "Isolation": "",
        "Warnings": null,
    })
}

fn swarm(core: &Core) -> Value {
    if !core.in_swarm() {
        return json!({
            "NodeID": "", "NodeAddr": "", "LocalNodeState": "inactive",
            "ControlAvailable": false, "Error": "", "RemoteManagers": null,
        });
    }
    let node = core.node();
    let manager = &core.fleet().nodes()[0];
    let mut body = json!({
        "NodeID": node.swarm_id,
        "NodeAddr": format!("10.99.{}.{}", node.index / 250, node.index % 250 + 1),
        "LocalNodeState": "active",
        "ControlAvailable": core.is_manager(),
        "Error": "",
        "RemoteManagers": [{"NodeID": manager.swarm_id, "Addr": "10.99.0.1:2377"}],
    });
    if core.is_manager() {
        body["Nodes"] = json!(core.fleet().nodes().len());
        body["Managers"] = json!(1);
        let name = &core.fleet().config().cluster;
        body["Cluster"] = json!({
            "ID": crate::names::swarm_id(crate::names::text_seed(name)),
            "Spec": {"Name": "default", "Labels": {}},
        });
    }
    body
}
