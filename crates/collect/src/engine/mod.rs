//! The Docker Engine API: every question the collector asks, each with its own time limit.
//!
//! Only GET requests are made. No type of the client library leaves this module.
//! Not here: what is done with the answers (`sampler`), control group files (`cgroup`).

pub(crate) mod breaker;
pub(crate) mod container;
pub(crate) mod event;
mod event_rules;
mod host;
pub(crate) mod inventory;
pub(crate) mod stats;
pub(crate) mod watch;

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use bollard::errors::Error as ClientError;
use bollard::models::{ContainerSummary, EventMessage, SystemInfo, SystemVersion};
use bollard::query_parameters::{
    EventsOptions, InspectContainerOptions, ListContainersOptions, StatsOptions,
};
use futures_util::{Stream, StreamExt};
use plimsoll_model::ErrorClass;
use serde::{Deserialize, Serialize};

pub(crate) use host::resolve;

use container::ContainerFacts;

/// How long each question may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    pub(crate) ping: Duration,
    pub(crate) list: Duration,
    pub(crate) inspect: Duration,
    pub(crate) stats: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            ping: Duration::from_secs(2),
            list: Duration::from_secs(10),
            inspect: Duration::from_secs(5),
            stats: Duration::from_secs(10),
        }
    }
}

/// Why the engine did not answer a question.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The address is none that can be used.
    #[error("docker host {host:?} is neither unix:///path nor tcp://host:port")]
    Host {
        /// The address.
        host: String,
    },
    /// The address is open to everyone on the network.
    #[error("docker host {host:?} is reached without encryption over a network")]
    Insecure {
        /// The address.
        host: String,
    },
    /// There is no connection.
    #[error("cannot connect to {host}")]
    Connect {
        /// The address.
        host: String,
        /// What the client said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The answer did not come in time.
    #[error("the engine did not answer {what} within {limit_ms} ms")]
    TimedOut {
        /// The question.
        what: &'static str,
        /// The limit.
        limit_ms: u128,
    },
    /// The engine does not have what was asked for.
    #[error("the engine has no such thing: {what}")]
    Gone {
        /// The question.
        what: &'static str,
    },
    /// The engine refused, or the connection broke.
    #[error("the engine could not answer {what}")]
    Call {
        /// The question.
        what: &'static str,
        /// What the client said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl EngineError {
    /// What a caller can do about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Host { .. } | Self::Insecure { .. } => ErrorClass::Invalid,
            Self::Gone { .. } => ErrorClass::Missing,
            Self::Connect { .. } | Self::TimedOut { .. } | Self::Call { .. } => ErrorClass::Busy,
        }
    }

    /// Whether this very answer was damaged while the connection may be fine.
    fn is_unreadable(&self) -> bool {
        let Self::Call { source, .. } = self else { return false };
        matches!(
            source.downcast_ref::<ClientError>(),
            Some(ClientError::JsonDataError { .. } | ClientError::JsonSerdeError { .. })
        )
    }
}

/// What the engine says of itself and its machine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct EngineFacts {
    pub(crate) node: String,
    pub(crate) engine_name: Option<String>,
    pub(crate) engine_version: Option<String>,
    pub(crate) api_version: Option<String>,
    pub(crate) kernel_version: Option<String>,
    pub(crate) os: Option<String>,
    pub(crate) architecture: Option<String>,
    pub(crate) cgroup_version: Option<u64>,
    pub(crate) cgroup_driver: Option<String>,
    pub(crate) cpu_cores: Option<u64>,
    pub(crate) memory_total_bytes: Option<u64>,
    pub(crate) images: Option<u64>,
    pub(crate) swarm_node_id: Option<String>,
    pub(crate) swarm_manager: bool,
    pub(crate) windows: bool,
    /// The engine's clock when it answered, Unix nanoseconds.
    pub(crate) time_nano: Option<i64>,
}

impl EngineFacts {
    fn new(info: SystemInfo, version: SystemVersion) -> Self {
        let text = |value: Option<String>| value.filter(|text| !text.is_empty());
        let count = |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok());
        let swarm = info.swarm.unwrap_or_default();
        let component = version.components.unwrap_or_default().into_iter().next();
        let time =
            info.system_time.as_deref().and_then(|text| text.parse::<jiff::Timestamp>().ok());
        Self {
            node: info.name.unwrap_or_default(),
            engine_name: text(component.map(|component| component.name)),
            engine_version: text(version.version.or(info.server_version)),
            api_version: text(version.api_version),
            kernel_version: text(info.kernel_version),
            os: text(info.operating_system),
            architecture: text(info.architecture),
            cgroup_version: info
                .cgroup_version
                .and_then(|version| version.to_string().parse().ok()),
            cgroup_driver: text(info.cgroup_driver.map(|driver| driver.to_string())),
            cpu_cores: count(info.ncpu),
            memory_total_bytes: count(info.mem_total),
            images: count(info.images),
            swarm_node_id: text(swarm.node_id),
            swarm_manager: swarm.control_available.unwrap_or(false),
            windows: info.os_type.as_deref() == Some("windows"),
            time_nano: time.and_then(|time| i64::try_from(time.as_nanosecond()).ok()),
        }
    }
}

/// First version of Docker Engine that reads one container's numbers when asked for them. Earlier
/// ones let every question wait for the next walk over all containers, about once a second.
const DIRECT_STATS_VERSION: u64 = 25;
/// Questions for numbers that may wait for the same walk.
const WAITING_STATS_MAX: usize = 64;

impl EngineFacts {
    /// How many containers may be asked for at once. Questions that only wait for the same walk
    /// cost the engine nothing more than one of them.
    pub(crate) fn stats_concurrency(&self, configured: usize) -> usize {
        let major = self.engine_version.as_deref().and_then(|version| {
            let digits = version.split('.').next()?;
            digits.parse::<u64>().ok()
        });
        let is_docker = self.engine_name.as_deref() == Some("Engine");
        let waits = is_docker && major.is_some_and(|major| major < DIRECT_STATS_VERSION);
        if waits { configured.max(WAITING_STATS_MAX) } else { configured.max(1) }
    }
}

/// A connection to one engine; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Engine {
    docker: bollard::Docker,
    timeouts: Timeouts,
}

impl Engine {
    /// Connects and agrees on an API version. `host`: as [`resolve`] returns it.
    pub(crate) async fn connect(host: &str, timeouts: Timeouts) -> Result<Self, EngineError> {
        let connect = |source: ClientError| EngineError::Connect {
            host: host.to_owned(),
            source: Box::new(source),
        };
        let docker = host::client(host)?.map_err(connect)?;
        let docker = timed("/version", timeouts.list, docker.negotiate_version()).await?;
        Ok(Self { docker, timeouts })
    }

    pub(crate) async fn ping(&self) -> Result<(), EngineError> {
        timed("/_ping", self.timeouts.ping, self.docker.ping()).await.map(|_| ())
    }

    pub(crate) async fn facts(&self) -> Result<EngineFacts, EngineError> {
        let info = timed("/info", self.timeouts.list, self.docker.info()).await?;
        let version = timed("/version", self.timeouts.list, self.docker.version()).await?;
        Ok(EngineFacts::new(info, version))
    }

    /// All containers, running or not.
    pub(crate) async fn list(&self) -> Result<Vec<ContainerSummary>, EngineError> {
        let options = ListContainersOptions { all: true, limit: None, size: false, filters: None };
        let call = self.docker.list_containers(Some(options));
        timed("/containers/json", self.timeouts.list, call).await
    }

    /// What the engine knows of one container; its environment is dropped unread.
    pub(crate) async fn inspect(&self, id: &str) -> Result<ContainerFacts, EngineError> {
        let options = InspectContainerOptions { size: false };
        let call = self.docker.inspect_container(id, Some(options));
        let answer = timed("/containers/{id}/json", self.timeouts.inspect, call).await?;
        ContainerFacts::from_inspect(answer)
            .ok_or(EngineError::Gone { what: "/containers/{id}/json" })
    }

    /// One sample of one container; `None` while it has none, as when it does not run.
    pub(crate) async fn stats(
        &self,
        id: &str,
        windows: bool,
    ) -> Result<Option<crate::usage::Sample>, EngineError> {
        const WHAT: &str = "/containers/{id}/stats";
        let options = StatsOptions { stream: false, one_shot: true };
        let mut answers = Box::pin(self.docker.stats(id, Some(options)));
        let call = async move { answers.next().await.transpose() };
        let answer = timed(WHAT, self.timeouts.stats, call).await?;
        Ok(answer.and_then(|answer| stats::sample(&answer, windows)))
    }

    /// Follows events from `since_nano` (the engine's clock) on.
    pub(crate) fn events(
        &self,
        since_nano: i64,
    ) -> impl Stream<Item = Result<EventMessage, EngineError>> + Send + use<> {
        let actions = event::ACTIONS.iter().map(|action| (*action).to_owned()).collect();
        let options = EventsOptions {
            since: Some(format!(
                "{}.{:09}",
                since_nano.div_euclid(1_000_000_000),
                since_nano.rem_euclid(1_000_000_000)
            )),
            until: None,
            filters: Some(HashMap::from([("event".to_owned(), actions)])),
        };
        let events = self.docker.events(Some(options));
        events.map(|event| event.map_err(|source| call_error("/events", source)))
    }
}

async fn timed<T>(
    what: &'static str,
    limit: Duration,
    call: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, EngineError> {
    match tokio::time::timeout(limit, call).await {
        Ok(answer) => answer.map_err(|source| call_error(what, source)),
        Err(_) => Err(EngineError::TimedOut { what, limit_ms: limit.as_millis() }),
    }
}

fn call_error(what: &'static str, source: ClientError) -> EngineError {
    match source {
        ClientError::DockerResponseServerError { status_code: 404, .. } => {
            EngineError::Gone { what }
        }
        source => EngineError::Call { what, source: Box::new(source) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_that_answer_on_their_own_beat_are_asked_for_many_at_once() {
        let facts = |name: &str, version: &str| EngineFacts {
            engine_name: Some(name.to_owned()),
            engine_version: Some(version.to_owned()),
            ..EngineFacts::default()
        };
        assert_eq!(facts("Engine", "20.10.24+dfsg1").stats_concurrency(4), WAITING_STATS_MAX);
        assert_eq!(facts("Engine", "26.1.5+dfsg1").stats_concurrency(4), 4);
        assert_eq!(facts("Podman Engine", "5.2.1").stats_concurrency(4), 4);
        assert_eq!(EngineFacts::default().stats_concurrency(0), 1);
    }
}
