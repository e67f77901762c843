//! What the engine knows of one container, as far as it is kept.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bollard::models::{
    ContainerInspectResponse, ContainerState, HostConfig, MountPoint, PortBinding, RestartPolicy,
};

use serde::{Deserialize, Serialize};

use crate::redact;

/// Bytes of a command line that are kept.
const COMMAND_BYTES_MAX: usize = 1_024;

/// One container as of its last inspection. No environment, no secret labels in `labels_json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ContainerFacts {
    #[serde(skip)]
    pub(crate) id: Arc<str>,
    pub(crate) name: String,
    pub(crate) image: String,
    pub(crate) image_id: String,
    pub(crate) command: String,
    /// As the engine has them; only [`ContainerFacts::labels_json`] may be stored.
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) state: String,
    pub(crate) health: Option<String>,
    pub(crate) pid: Option<u32>,
    pub(crate) exit_code: Option<i64>,
    pub(crate) oom_killed: bool,
    pub(crate) restart_count: u64,
    pub(crate) created_at_ms: Option<i64>,
    pub(crate) started_at_ms: Option<i64>,
    pub(crate) finished_at_ms: Option<i64>,
    pub(crate) network_mode: String,
    pub(crate) cgroup_parent: String,
    pub(crate) restart_policy: Option<String>,
    pub(crate) ports: Vec<String>,
    pub(crate) mounts: Vec<String>,
    pub(crate) health_check: bool,
    pub(crate) limits: Limits,
}

/// Limits of a container; `None` where it has none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Limits {
    pub(crate) cpu_nano: Option<u64>,
    pub(crate) cpu_quota_us: Option<u64>,
    pub(crate) cpu_period_us: Option<u64>,
    pub(crate) cpu_shares: Option<u64>,
    pub(crate) cpuset: Option<String>,
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) memory_reservation_bytes: Option<u64>,
    pub(crate) memory_swap_bytes: Option<u64>,
    pub(crate) pids: Option<u64>,
}

impl ContainerFacts {
    /// Takes what is kept out of an inspection; `None` without an id.
    pub(super) fn from_inspect(answer: ContainerInspectResponse) -> Option<Self> {
        let config = answer.config.unwrap_or_default();
        let host = answer.host_config.unwrap_or_default();
        let state = answer.state.unwrap_or_default();
        let ports = answer.network_settings.and_then(|network| network.ports);
        let words = answer.path.into_iter().chain(answer.args.unwrap_or_default());
        let finished_at_ms = time_ms(state.finished_at.as_deref());
        let has_check = |check: &bollard::models::HealthConfig| {
            check.test.as_ref().is_some_and(|test| {
                test.first().is_some_and(|first| !first.is_empty() && first != "NONE")
            })
        };
        Some(Self {
            id: Arc::from(answer.id.filter(|id| !id.is_empty())?),
            name: answer.name.unwrap_or_default().trim_start_matches('/').to_owned(),
            image: config.image.unwrap_or_default(),
            image_id: answer.image.unwrap_or_default(),
            command: shortened(redact::command(words)),
            labels: config.labels.unwrap_or_default().into_iter().collect(),
            state: status(&state),
            health: health(&state),
            pid: state.pid.and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 0),
            exit_code: state.exit_code.filter(|_| finished_at_ms.is_some()),
            oom_killed: state.oom_killed.unwrap_or(false),
            restart_count: answer.restart_count.and_then(|n| u64::try_from(n).ok()).unwrap_or(0),
            created_at_ms: time_ms(answer.created.as_deref()),
            started_at_ms: time_ms(state.started_at.as_deref()),
            finished_at_ms,
            network_mode: host.network_mode.clone().unwrap_or_default(),
            cgroup_parent: host.cgroup_parent.clone().unwrap_or_default(),
            restart_policy: host.restart_policy.as_ref().and_then(restart_policy),
            ports: ports.map(published).unwrap_or_default(),
            mounts: mounts(answer.mounts.unwrap_or_default()),
            health_check: config.healthcheck.as_ref().is_some_and(has_check),
            limits: Limits::new(&host),
        })
    }

    /// Whether its processes exist: running or frozen.
    pub(crate) fn is_alive(&self) -> bool {
        matches!(self.state.as_str(), "running" | "paused")
    }

    /// Whether its network is its own: not the machine's and not another container's.
    pub(crate) fn owns_network(&self) -> bool {
        let mode = self.network_mode.as_str();
        mode != "host" && !mode.starts_with("container:")
    }

    /// All labels as a JSON object, secrets replaced, cut after `bytes_max` at a whole label.
    pub(crate) fn labels_json(&self, bytes_max: usize) -> String {
        let mut out = String::from("{");
        for (key, value) in &self.labels {
            let value = redact::redacted(key, value);
            let entry = format!("{}:{}", json_text(key), json_text(value));
            if out.len() + entry.len() + 2 > bytes_max.max(2) {
                break;
            }
            if out.len() > 1 {
                out.push(',');
            }
            out.push_str(&entry);
        }
        out.push('}');
        out
    }
}

impl Limits {
    fn new(host: &HostConfig) -> Self {
        let positive =
            |value: Option<i64>| value.and_then(|v| u64::try_from(v).ok()).filter(|v| *v > 0);
        let quota = positive(host.cpu_quota);
        let period = positive(host.cpu_period);
        // The kernel's period where the engine was given a quota alone.
        let from_quota = quota.and_then(|quota| {
            let nano = u128::from(quota) * 1_000_000_000 / u128::from(period.unwrap_or(100_000));
            u64::try_from(nano).ok()
        });
        Self {
            cpu_nano: positive(host.nano_cpus).or(from_quota),
            cpu_quota_us: quota,
            cpu_period_us: period,
            cpu_shares: positive(host.cpu_shares),
            cpuset: host.cpuset_cpus.clone().filter(|set| !set.is_empty()),
            memory_bytes: positive(host.memory),
            memory_reservation_bytes: positive(host.memory_reservation),
            memory_swap_bytes: positive(host.memory_swap),
            pids: positive(host.pids_limit),
        }
    }
}

/// Unix milliseconds of an engine's time; the engine writes year 1 for "never".
pub(crate) fn time_ms(text: Option<&str>) -> Option<i64> {
    let time: jiff::Timestamp = text?.parse().ok()?;
    Some(time.as_millisecond()).filter(|time_ms| *time_ms > 0)
}

fn status(state: &ContainerState) -> String {
    let told = state.status.as_ref().map(ToString::to_string).filter(|told| !told.is_empty());
    told.unwrap_or_else(|| {
        let is = |flag: Option<bool>| flag.unwrap_or(false);
        let word = match () {
            () if is(state.paused) => "paused",
            () if is(state.restarting) => "restarting",
            () if is(state.running) => "running",
            () if is(state.dead) => "dead",
            () => "exited",
        };
        word.to_owned()
    })
}

fn health(state: &ContainerState) -> Option<String> {
    let status = state.health.as_ref()?.status.as_ref()?.to_string();
    (!matches!(status.as_str(), "" | "none")).then_some(status)
}

fn restart_policy(policy: &RestartPolicy) -> Option<String> {
    let name = policy.name.as_ref()?.to_string();
    let name = if name.is_empty() { "no".to_owned() } else { name };
    match policy.maximum_retry_count {
        Some(tries) if tries > 0 => Some(format!("{name}:{tries}")),
        _ => Some(name),
    }
}

fn published(ports: HashMap<String, Option<Vec<PortBinding>>>) -> Vec<String> {
    let mut out: Vec<String> = ports
        .into_iter()
        .flat_map(|(port, bindings)| {
            bindings.unwrap_or_default().into_iter().map(move |binding| {
                let ip = binding.host_ip.unwrap_or_default();
                let host_port = binding.host_port.unwrap_or_default();
                format!("{ip}:{host_port}->{port}")
            })
        })
        .collect();
    out.sort();
    out
}

fn mounts(mounts: Vec<MountPoint>) -> Vec<String> {
    let mut out: Vec<String> = mounts
        .into_iter()
        .map(|mount| {
            let kind = mount.typ.unwrap_or_default();
            let name = mount.name.filter(|name| !name.is_empty());
            let source = name.or(mount.source).unwrap_or_default();
            let access = if mount.rw == Some(false) { "ro" } else { "rw" };
            format!("{kind}:{source}:{}:{access}", mount.destination.unwrap_or_default())
        })
        .collect();
    out.sort();
    out
}

fn shortened(mut text: String) -> String {
    if text.len() > COMMAND_BYTES_MAX {
        let mut end = COMMAND_BYTES_MAX;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
    text
}

/// A text as JSON writes it.
pub(crate) fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A list of texts as a JSON array.
pub(crate) fn json_list(texts: &[String]) -> String {
    serde_json::Value::from(texts.to_vec()).to_string()
}
