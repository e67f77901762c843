//! Rows that wait to become batches: one builder per table.
//!
//! Not here: when they are sent (`sampler`).

use std::collections::BTreeMap;

use plimsoll_model::batch::RowError;
use plimsoll_model::{Batch, BatchBuilder, BatchError, Subject, Table};

use crate::engine::EngineFacts;
use crate::engine::container::json_list;
use crate::engine::event::EngineEvent;
use crate::known::Known;
use crate::proc::{DeviceNames, NodeBuilders};
use crate::usage::Sample;

/// Bytes of labels of one container that are kept.
const LABELS_BYTES_MAX: usize = 16 << 10;

/// The tables that rows are made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tables {
    container: &'static Table,
    container_network: &'static Table,
    container_blkio: &'static Table,
    container_info: &'static Table,
    event: &'static Table,
    node: &'static Table,
    node_cpu: &'static Table,
    node_disk: &'static Table,
    node_filesystem: &'static Table,
    node_network: &'static Table,
}

impl Tables {
    pub(crate) fn find() -> Result<Self, BatchError> {
        Ok(Self {
            container: Batch::find_table("container")?,
            container_network: Batch::find_table("container_network")?,
            container_blkio: Batch::find_table("container_blkio")?,
            container_info: Batch::find_table("container_info")?,
            event: Batch::find_table("event")?,
            node: Batch::find_table("node")?,
            node_cpu: Batch::find_table("node_cpu")?,
            node_disk: Batch::find_table("node_disk")?,
            node_filesystem: Batch::find_table("node_filesystem")?,
            node_network: Batch::find_table("node_network")?,
        })
    }
}

/// The rows that wait.
#[derive(Debug)]
pub(crate) struct Rows {
    tables: Tables,
    container: BatchBuilder,
    container_network: BatchBuilder,
    container_blkio: BatchBuilder,
    container_info: BatchBuilder,
    event: BatchBuilder,
    pub(crate) node: BatchBuilder,
    node_cpu: BatchBuilder,
    node_disk: BatchBuilder,
    node_filesystem: BatchBuilder,
    node_network: BatchBuilder,
}

fn signed(value: Option<u64>) -> Option<i64> {
    value.and_then(|value| i64::try_from(value).ok())
}

impl Rows {
    pub(crate) fn new(tables: Tables) -> Self {
        Self {
            tables,
            container: BatchBuilder::new(tables.container),
            container_network: BatchBuilder::new(tables.container_network),
            container_blkio: BatchBuilder::new(tables.container_blkio),
            container_info: BatchBuilder::new(tables.container_info),
            event: BatchBuilder::new(tables.event),
            node: BatchBuilder::new(tables.node),
            node_cpu: BatchBuilder::new(tables.node_cpu),
            node_disk: BatchBuilder::new(tables.node_disk),
            node_filesystem: BatchBuilder::new(tables.node_filesystem),
            node_network: BatchBuilder::new(tables.node_network),
        }
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.builders().iter().all(|builder| builder.num_rows() == 0)
    }

    fn builders(&self) -> [&BatchBuilder; 10] {
        [
            &self.container,
            &self.container_network,
            &self.container_blkio,
            &self.container_info,
            &self.event,
            &self.node,
            &self.node_cpu,
            &self.node_disk,
            &self.node_filesystem,
            &self.node_network,
        ]
    }

    /// The builders of the machine's tables.
    pub(crate) fn node_builders(&mut self) -> NodeBuilders<'_> {
        NodeBuilders {
            node: &mut self.node,
            cpu: &mut self.node_cpu,
            disk: &mut self.node_disk,
            filesystem: &mut self.node_filesystem,
            network: &mut self.node_network,
        }
    }

    /// Moves all rows of another set behind these. Only rows of the machine's tables are moved.
    pub(crate) fn take_node(&mut self, other: Self) {
        self.node = other.node;
        self.node_cpu = other.node_cpu;
        self.node_disk = other.node_disk;
        self.node_filesystem = other.node_filesystem;
        self.node_network = other.node_network;
    }

    /// Takes everything as batches, one per table that has rows, and starts anew.
    pub(crate) fn take(&mut self) -> Result<Vec<Batch>, BatchError> {
        let full = std::mem::replace(self, Self::new(self.tables));
        let builders = [
            full.container_info,
            full.container,
            full.container_network,
            full.container_blkio,
            full.event,
            full.node,
            full.node_cpu,
            full.node_disk,
            full.node_filesystem,
            full.node_network,
        ];
        let filled = builders.into_iter().filter(|builder| builder.num_rows() > 0);
        filled.map(BatchBuilder::finish).collect()
    }

    /// A sample of a container and of its interfaces and devices.
    pub(crate) fn sample(
        &mut self,
        known: &Known,
        sample: &Sample,
        now_ms: i64,
        devices: &DeviceNames,
    ) -> Result<(), RowError> {
        self.state(known, sample.time_ms, now_ms)?;
        sample.usage.write(&mut self.container)?;
        let started_at_ms = known.facts.started_at_ms;
        for (interface, usage) in &sample.networks {
            self.container_network.row(sample.time_ms, &known.subject, &[interface]);
            usage.write(&mut self.container_network)?;
            self.container_network.int("started_at_ms", started_at_ms)?;
        }
        for (device, usage) in &sample.blkio {
            let name = devices.name(*device);
            self.container_blkio.row(sample.time_ms, &known.subject, &[&name]);
            usage.write(&mut self.container_blkio)?;
            self.container_blkio.int("started_at_ms", started_at_ms)?;
        }
        Ok(())
    }

    /// The state of a container; starts the row that [`Rows::sample`] completes.
    pub(crate) fn state(
        &mut self,
        known: &Known,
        time_ms: i64,
        now_ms: i64,
    ) -> Result<(), RowError> {
        let facts = &known.facts;
        let row = &mut self.container;
        row.row(time_ms, &known.subject, &[]);
        row.int("started_at_ms", facts.started_at_ms)?;
        row.int("created_at_ms", facts.created_at_ms)?;
        row.int("finished_at_ms", facts.finished_at_ms)?;
        row.int("last_seen_s", Some(now_ms.div_euclid(1_000)))?;
        row.unsigned("restarts", Some(known.restarts))?;
        row.text("state", Some(facts.state.as_str()).filter(|state| !state.is_empty()))?;
        row.text("health", facts.health.as_deref())?;
        row.int("exit_code", facts.exit_code)?;
        let ended = facts.finished_at_ms.is_some();
        row.int("oom_killed", ended.then_some(i64::from(facts.oom_killed)))
    }

    /// The end of a run as its event tells it, with what was counted last.
    pub(crate) fn died(&mut self, known: &Known, event: &EngineEvent) -> Result<(), RowError> {
        let row = &mut self.container;
        row.row(event.time_ms, &known.subject, &[]);
        row.int("started_at_ms", known.facts.started_at_ms)?;
        row.int("created_at_ms", known.facts.created_at_ms)?;
        row.int("finished_at_ms", Some(event.time_ms))?;
        row.int("last_seen_s", Some(event.time_ms.div_euclid(1_000)))?;
        row.unsigned("restarts", Some(known.restarts))?;
        row.text("state", Some("exited"))?;
        row.int("exit_code", event.exit_code)?;
        row.unsigned("oom_kills", Some(known.oom_kills()))
    }

    /// What a container is.
    pub(crate) fn info(
        &mut self,
        known: &Known,
        engine: &EngineFacts,
        now_ms: i64,
    ) -> Result<(), RowError> {
        let facts = &known.facts;
        let limits = &facts.limits;
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let row = &mut self.container_info;
        row.row(now_ms, &known.subject, &[]);
        row.text("labels", Some(&facts.labels_json(LABELS_BYTES_MAX)))?;
        row.text("image_id", some(&facts.image_id).as_deref())?;
        row.text("command", some(&facts.command).as_deref())?;
        row.text("engine_version", engine.engine_version.as_deref())?;
        row.int("created_at_ms", facts.created_at_ms)?;
        row.int("started_at_ms", facts.started_at_ms)?;
        row.text("restart_policy", facts.restart_policy.as_deref())?;
        row.text("network_mode", some(&facts.network_mode).as_deref())?;
        row.text("ports", Some(&json_list(&facts.ports)))?;
        row.text("mounts", Some(&json_list(&facts.mounts)))?;
        row.unsigned("cpu_limit_nano", limits.cpu_nano)?;
        row.unsigned("cpu_shares", limits.cpu_shares)?;
        row.text("cpuset_cpus", limits.cpuset.as_deref())?;
        row.unsigned("memory_limit_bytes", limits.memory_bytes)?;
        row.unsigned("memory_reservation_bytes", limits.memory_reservation_bytes)?;
        row.unsigned("memory_swap_limit_bytes", limits.memory_swap_bytes)?;
        row.unsigned("pids_limit", limits.pids)?;
        row.int("health_check", Some(i64::from(facts.health_check)))
    }

    /// Something that happened to `subject`.
    pub(crate) fn event(&mut self, event: &EngineEvent, subject: &Subject) -> Result<(), RowError> {
        write_event(&mut self.event, event, subject)
    }

    /// What the engine says of itself, in the row of `node` that was started.
    pub(crate) fn engine(&mut self, engine: &EngineFacts) -> Result<(), RowError> {
        let row = &mut self.node;
        row.unsigned("images", engine.images)?;
        row.text("engine_name", engine.engine_name.as_deref())?;
        row.text("engine_version", engine.engine_version.as_deref())?;
        row.text("api_version", engine.api_version.as_deref())?;
        row.text("kernel_version", engine.kernel_version.as_deref())?;
        row.text("os", engine.os.as_deref())?;
        row.text("architecture", engine.architecture.as_deref())?;
        row.int("cgroup_version", signed(engine.cgroup_version))?;
        row.text("cgroup_driver", engine.cgroup_driver.as_deref())?;
        row.text("swarm_node_id", engine.swarm_node_id.as_deref())?;
        let role = if engine.swarm_manager { "manager" } else { "worker" };
        row.text("swarm_role", engine.swarm_node_id.as_ref().map(|_| role))
    }
}

/// Writes one row of `event`.
pub(crate) fn write_event(
    row: &mut BatchBuilder,
    event: &EngineEvent,
    subject: &Subject,
) -> Result<(), RowError> {
    row.row(event.time_ms, subject, &[&event.kind, &event.action, &event.actor_id]);
    row.text("actor_name", event.actor_name.as_deref())?;
    row.text("scope", event.scope.as_deref())?;
    row.text("severity", Some(event.severity))?;
    row.text("attributes", attributes_json(&event.attributes).as_deref())?;
    row.text("detail", event.detail.as_deref())?;
    row.int("exit_code", event.exit_code)?;
    row.int("signal", event.signal)?;
    row.int("duration_ms", event.duration_ms)?;
    row.int("time_nano", event.time_nano)?;
    row.int("inferred", Some(i64::from(event.inferred)))
}

fn attributes_json(attributes: &BTreeMap<String, String>) -> Option<String> {
    if attributes.is_empty() {
        return None;
    }
    serde_json::to_string(attributes).ok()
}
