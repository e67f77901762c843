//! A made-up fleet to look at: `plimsoll up --simulate`.
//!
//! The fleet is a pure function of when it began, which is kept in the data folder, so a server
//! that starts again goes on with the same fleet and the rows agree.
//! Keeps true: rows go through the same doorway as real ones.
//! Not here: how the fleet behaves (`fleetsim`), sending (`local`).

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use plimsoll_fleetsim::{
    BLKIO_METRICS, CONTAINER_METRICS, Container, Fleet, FleetConfig, NETWORK_METRICS, NODE_METRICS,
    NodeRow, Rows, TickRows,
};
use plimsoll_model::{Batch, BatchBuilder, Clock, Subject, Table, chain};
use plimsoll_serve::{CollectorProbe, CollectorStatus};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::up::UpError;

/// File in the data folder that holds when the fleet began, in Unix milliseconds.
const START_FILE: &str = "simulation-start";
/// How much past a new fleet has: six hours.
const PAST_MS: i64 = 6 * 3_600_000;
/// How long a fleet is planned for: 30 days; an older one is made anew.
const PLAN_MS: i64 = 30 * 86_400_000;
/// Rows that backfill puts into one batch.
const BATCH_ROWS: usize = 5_000;
/// Time between two descriptions of a container: one hour.
const INFO_EVERY_MS: i64 = 3_600_000;
const DAY_MS: i64 = 86_400_000;

/// A made-up fleet that has not begun to send.
pub(crate) struct Simulation {
    fleet: Fleet,
    tables: Tables,
    from_ms: i64,
    status: Arc<SimulationStatus>,
}

#[derive(Debug, Default)]
struct SimulationStatus {
    containers: AtomicU64,
    samples: AtomicU64,
}

#[derive(Debug, Clone, Copy)]
struct Tables {
    container: &'static Table,
    network: &'static Table,
    blkio: &'static Table,
    info: &'static Table,
    node: &'static Table,
    node_cpu: &'static Table,
}

/// Rows of a stretch of ticks, and the time of the last one.
struct Stretch {
    time_ms: i64,
    batches: Vec<Batch>,
}

impl Simulation {
    /// Makes the fleet that began when the data folder says, or six hours ago.
    pub(crate) fn new(
        dir: &Path,
        cluster: Option<String>,
        interval_ms: i64,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, UpError> {
        let now_ms = clock.now_ms();
        let start_ms = start_of(dir, now_ms);
        let mut config = FleetConfig { interval_ms, ..FleetConfig::demo() };
        config = config.around(start_ms, 0, PLAN_MS + DAY_MS);
        if let Some(cluster) = cluster {
            config.cluster = cluster;
        }
        let find = Batch::find_table;
        let tables = Tables {
            container: find("container")?,
            network: find("container_network")?,
            blkio: find("container_blkio")?,
            info: find("container_info")?,
            node: find("node")?,
            node_cpu: find("node_cpu")?,
        };
        let from_ms = start_ms.max(now_ms - PAST_MS);
        Ok(Self { fleet: Fleet::new(config)?, tables, from_ms, status: Arc::default() })
    }

    /// How it fares.
    pub(crate) fn probe(&self) -> CollectorProbe {
        let status = self.status.clone();
        Arc::new(move || CollectorStatus {
            source: "a made-up fleet".to_owned(),
            containers: status.containers.load(Ordering::Relaxed),
            samples: status.samples.load(Ordering::Relaxed),
            ..CollectorStatus::default()
        })
    }

    /// Sends the past as fast as it is taken, then each tick when its time has come.
    pub(crate) async fn run(
        self,
        out: mpsc::Sender<Batch>,
        clock: Arc<dyn Clock>,
        end: CancellationToken,
    ) {
        let (made, mut stretches) = mpsc::channel::<Stretch>(2);
        let now_ms = clock.now_ms();
        let making = tokio::task::spawn_blocking(move || self.make(now_ms, &made));
        while let Some(stretch) = stretches.recv().await {
            let wait_ms = u64::try_from(stretch.time_ms - clock.now_ms()).unwrap_or(0);
            tokio::select! {
                () = end.cancelled() => break,
                () = tokio::time::sleep(Duration::from_millis(wait_ms)) => {}
            }
            for batch in stretch.batches {
                if out.send(batch).await.is_err() {
                    return;
                }
            }
        }
        drop(stretches);
        if making.await.is_err() {
            tracing::error!("the made-up fleet ended by a fault");
        }
    }

    /// Makes stretches until nobody takes them or the plan ends.
    fn make(&self, now_ms: i64, made: &mpsc::Sender<Stretch>) {
        let mut ticks = self.fleet.ticks(self.from_ms, self.fleet.config().end_ms);
        let mut described: HashMap<u32, i64> = HashMap::new();
        let mut builders = self.builders();
        let mut running = vec![0_u64; self.fleet.nodes().len()];
        while let Some(rows) = ticks.next_rows() {
            let Some(time_ms) = rows.host.as_ref().map(|host| host.time_ms) else { continue };
            if let Err(error) = self.add(rows, &mut builders, &mut described) {
                tracing::error!(error = %chain(&error), "made-up rows do not fit their table");
                return;
            }
            if let Some(count) = running.get_mut(rows.node) {
                *count = u64::try_from(rows.containers.len()).unwrap_or(0);
            }
            let enough = builders.iter().any(|builder| builder.num_rows() >= BATCH_ROWS);
            if time_ms < now_ms && !enough {
                continue;
            }
            let full = std::mem::replace(&mut builders, self.builders());
            let batches: Vec<Batch> =
                full.into_iter().filter_map(|rows| rows.finish().ok()).collect();
            self.status.containers.store(running.iter().sum(), Ordering::Relaxed);
            let samples: usize = batches.iter().map(Batch::samples).sum();
            let samples = u64::try_from(samples).unwrap_or(0);
            self.status.samples.fetch_add(samples, Ordering::Relaxed);
            if made.blocking_send(Stretch { time_ms, batches }).is_err() {
                return;
            }
        }
        tracing::warn!("the plan of the made-up fleet has ended; start again to see more");
    }

    fn builders(&self) -> [BatchBuilder; 6] {
        let tables = self.tables;
        [tables.container, tables.network, tables.blkio, tables.info, tables.node, tables.node_cpu]
            .map(BatchBuilder::new)
    }

    fn add(
        &self,
        rows: &TickRows,
        builders: &mut [BatchBuilder; 6],
        described: &mut HashMap<u32, i64>,
    ) -> Result<(), plimsoll_model::batch::RowError> {
        let [container, network, blkio, info, node, node_cpu] = builders;
        self.add_rows(&rows.containers, CONTAINER_METRICS, container, true)?;
        self.add_rows(&rows.networks, NETWORK_METRICS, network, false)?;
        self.add_rows(&rows.devices, BLKIO_METRICS, blkio, false)?;
        let of = &rows.containers;
        for ((time_ms, index), started_at_ms) in
            of.time_ms.iter().zip(&of.container).zip(&of.started_at_ms)
        {
            let last = described.get(index).copied().unwrap_or(i64::MIN);
            if *time_ms >= last.saturating_add(INFO_EVERY_MS) {
                described.insert(*index, *time_ms);
                self.describe(*time_ms, *index, *started_at_ms, info)?;
            }
        }
        match &rows.host {
            Some(host) => self.add_node(rows, host, node, node_cpu),
            None => Ok(()),
        }
    }

    fn add_rows(
        &self,
        rows: &Rows,
        metrics: &[&str],
        into: &mut BatchBuilder,
        is_container: bool,
    ) -> Result<(), plimsoll_model::batch::RowError> {
        for row in 0..rows.len() {
            let (Some(time_ms), Some(index)) = (rows.time_ms.get(row), rows.container.get(row))
            else {
                continue;
            };
            let Some(container) = self.container(*index) else { continue };
            into.row(
                *time_ms,
                &self.subject(container),
                &[rows.part.get(row).copied().unwrap_or("")],
            );
            for (metric, column) in metrics.iter().zip(&rows.values) {
                into.int(metric, column.get(row).copied().flatten())?;
            }
            into.int("started_at_ms", rows.started_at_ms.get(row).copied())?;
            if is_container {
                into.text("state", Some("running"))?;
                into.int("created_at_ms", Some(container.created_ms))?;
                into.int("last_seen_s", Some(*time_ms / 1_000))?;
            }
        }
        Ok(())
    }

    fn describe(
        &self,
        time_ms: i64,
        index: u32,
        started_at_ms: i64,
        into: &mut BatchBuilder,
    ) -> Result<(), plimsoll_model::batch::RowError> {
        let Some(container) = self.container(index) else { return Ok(()) };
        let service = self.fleet.service_of(container);
        let labels = serde_json::to_string(&self.fleet.labels(container)).ok();
        into.row(time_ms, &self.subject(container), &[]);
        into.text("labels", labels.as_deref())?;
        into.int("created_at_ms", Some(container.created_ms))?;
        into.int("started_at_ms", Some(started_at_ms))?;
        let nano = |millis: i64| millis.saturating_mul(1_000_000);
        into.int("cpu_limit_nano", service.cpu_limit_millis.map(nano))?;
        into.int("memory_limit_bytes", service.memory_limit_bytes)?;
        into.int("pids_limit", service.pids_limit)
    }

    fn add_node(
        &self,
        rows: &TickRows,
        host: &NodeRow,
        into: &mut BatchBuilder,
        cpus: &mut BatchBuilder,
    ) -> Result<(), plimsoll_model::batch::RowError> {
        let Some(node) = self.fleet.nodes().get(rows.node) else { return Ok(()) };
        let subject = Subject::node(&self.fleet.config().cluster, &node.hostname);
        let value = |name: &str| {
            let at = NODE_METRICS.iter().position(|metric| *metric == name)?;
            host.values.get(at).copied()
        };
        into.row(host.time_ms, &subject, &[]);
        for name in ["load1", "load5", "load15"] {
            into.float(name, value(&format!("{name}_milli")).map(thousandths))?;
        }
        for name in [
            "memory_total_bytes",
            "memory_available_bytes",
            "memory_free_bytes",
            "memory_cached_bytes",
        ] {
            into.int(name, value(name))?;
        }
        into.int("cpu_cores", Some(i64::from(node.cores)))?;
        into.int("boot_at_ms", Some(node.booted_ms))?;
        into.int("engine_up", Some(1))?;
        into.int("containers_running", i64::try_from(rows.containers.len()).ok())?;
        into.text("engine_name", Some("Docker Engine"))?;
        into.text("engine_version", Some("26.1.5"))?;
        // The machine's CPU time, spread evenly over its CPUs.
        for cpu in 0..node.cores {
            cpus.row(host.time_ms, &subject, &[&cpu.to_string()]);
            for mode in ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"] {
                let column = format!("{mode}_us");
                let all = value(&format!("cpu_{column}"));
                cpus.int(&column, all.map(|all| all / i64::from(node.cores.max(1))))?;
            }
        }
        Ok(())
    }

    fn container(&self, index: u32) -> Option<&Container> {
        self.fleet.containers().get(usize::try_from(index).ok()?)
    }

    fn subject(&self, container: &Container) -> Subject {
        let service = self.fleet.service_of(container);
        let stack = service.stack.as_deref().unwrap_or("");
        let name = service.name.strip_prefix(stack).and_then(|name| name.strip_prefix('_'));
        let node = self.fleet.nodes().get(container.node);
        Subject {
            service: Arc::from(name.filter(|_| !stack.is_empty()).unwrap_or(&service.name)),
            container_id: Arc::from(container.id.as_str()),
            cluster: Arc::from(self.fleet.config().cluster.as_str()),
            node: Arc::from(node.map_or("", |node| node.hostname.as_str())),
            stack: Arc::from(stack),
            slot: Arc::from(container.slot_number.to_string()),
            container: Arc::from(container.name.as_str()),
            image: container.image.clone(),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a load average is far below 2^52")]
fn thousandths(milli: i64) -> f64 {
    milli as f64 / 1_000.0
}

/// When the fleet of a data folder began; kept for next time where that is possible.
fn start_of(dir: &Path, now_ms: i64) -> i64 {
    let path = dir.join(START_FILE);
    let kept = std::fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
    if let Some(start_ms) = kept.filter(|start: &i64| (now_ms - PLAN_MS..now_ms).contains(start)) {
        return start_ms;
    }
    let start_ms = now_ms - PAST_MS;
    let written =
        std::fs::create_dir_all(dir).and_then(|()| std::fs::write(&path, start_ms.to_string()));
    if let Err(error) = written {
        tracing::warn!(%error, "the start of the made-up fleet could not be kept");
    }
    start_ms
}

#[cfg(test)]
mod tests {
    use plimsoll_model::time::ManualClock;

    use super::*;

    /// 2026-11-20T08:00:00Z.
    const NOW_MS: i64 = 1_795_161_600_000;

    #[test]
    fn a_fleet_begins_once_and_its_rows_fit_the_tables() {
        let dir = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(NOW_MS));
        let simulation = Simulation::new(dir.path(), None, 10_000, &clock).unwrap();
        assert_eq!(simulation.from_ms, NOW_MS - PAST_MS);
        assert_eq!(start_of(dir.path(), NOW_MS + 5_000), NOW_MS - PAST_MS);
        let (made, mut stretches) = mpsc::channel(1);
        let making = std::thread::spawn(move || simulation.make(NOW_MS, &made));
        let stretch = stretches.blocking_recv().unwrap();
        drop(stretches);
        making.join().unwrap();
        let names: Vec<&str> = stretch.batches.iter().map(|batch| batch.table().name()).collect();
        let expected = [
            "container",
            "container_network",
            "container_blkio",
            "container_info",
            "node",
            "node_cpu",
        ];
        assert_eq!(names, expected);
        assert!(stretch.batches.iter().all(|batch| batch.samples() > 0));
    }
}
