//! A server over a store in a temporary folder, and a made-up fleet to fill it with.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode, header};
use http_body_util::BodyExt as _;
use plimsoll_fleetsim::{
    BLKIO_METRICS, CONTAINER_METRICS, Container, Fleet, FleetConfig, NETWORK_METRICS, Rows,
};
use plimsoll_ingest::{Ingest, IngestLimits};
use plimsoll_model::time::ManualClock;
use plimsoll_model::{Batch, BatchBuilder, ColumnType, Kind, Subject};
use plimsoll_serve::{ServeLimits, Server, ServerParts};
use plimsoll_store::{Store, StoreOptions};
use plimsoll_wire::{FrameId, SenderId, encode};
use serde_json::Value;
use tower::ServiceExt as _;

/// 2026-11-20T08:00:00Z.
pub(crate) const NOW_MS: i64 = 1_795_161_600_000;
/// The same in seconds.
pub(crate) const NOW_S: i64 = NOW_MS / 1_000;

/// An answer of the server.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
    pub(crate) kind: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the answer is JSON")
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the answer is text")
    }
}

/// A server with its folder.
pub(crate) struct Rig {
    _dir: tempfile::TempDir,
    router: Router,
    sequence: std::sync::atomic::AtomicU64,
}

impl Rig {
    pub(crate) fn new(limits: ServeLimits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(NOW_MS));
        let mut options = StoreOptions::new(dir.path());
        options.disk_free_bytes_min = 0;
        let store = Store::open(options, clock.clone()).unwrap();
        let ingest = Ingest::new(store.clone(), IngestLimits::default());
        let parts = ServerParts { store, ingest, clock, limits, collector: None };
        Self { _dir: dir, router: Server::new(parts).router(), sequence: 0.into() }
    }

    pub(crate) async fn ask(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let kind = response.headers().get(header::CONTENT_TYPE);
        let kind = kind.map_or("", |kind| kind.to_str().unwrap()).to_owned();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        Answer { status, body, kind }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, pairs: &[(&str, &str)]) -> Answer {
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(form(pairs)))
            .unwrap();
        self.ask(request).await
    }

    /// The `data` of an instant query now.
    pub(crate) async fn query(&self, query: &str) -> Value {
        let answer = self.post("/api/v1/query", &[("query", query)]).await;
        assert_eq!(answer.status, StatusCode::OK, "{query}: {}", answer.text());
        answer.json()["data"].clone()
    }

    pub(crate) async fn store(&self, rows: BatchBuilder) {
        if rows.num_rows() == 0 {
            return;
        }
        let sequence = 1 + self.sequence.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let id = FrameId { sender: SenderId([1; 16]), epoch: 1, sequence };
        let frame = encode(&rows.finish().unwrap(), id).unwrap();
        let post = Request::post("/api/v1/frames").body(Body::from(frame)).unwrap();
        let answer = self.ask(post).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        assert_eq!(answer.json()["data"]["new"], 1, "{}", answer.text());
    }
}

/// Pairs as a form.
pub(crate) fn form(pairs: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        let _ = write!(text, "{}{name}=", if text.is_empty() { "" } else { "&" });
        for byte in value.bytes() {
            let _ = match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => write!(text, "{}", char::from(byte)),
                b' ' => write!(text, "+"),
                _ => write!(text, "%{byte:02X}"),
            };
        }
    }
    text
}

pub(crate) fn rows_of(table: &str) -> BatchBuilder {
    BatchBuilder::new(Batch::find_table(table).unwrap())
}

/// Sets every metric of the current row that `known` does not: counters rise with time.
fn fill(rows: &mut BatchBuilder, table: &str, time_ms: i64, known: &[&str]) {
    for metric in Batch::find_table(table).unwrap().metrics() {
        let column = metric.column.as_str();
        if known.contains(&column) {
            continue;
        }
        let gone_s = (time_ms - NOW_MS + 3_600_000) / 1_000;
        let number = match (metric.kind, column) {
            (Kind::Counter, _) => gone_s * 1_000,
            (_, "memory_total_bytes" | "swap_total_bytes" | "size_bytes" | "files") => 1 << 36,
            (_, "collect_failed" | "device_error" | "readonly") => 0,
            (_, at) if at.ends_with("_at_ms") => NOW_MS - 7_200_000,
            _ => 1 << 20,
        };
        match metric.column_type {
            ColumnType::Int => rows.int(column, Some(number)).unwrap(),
            ColumnType::Float => rows.float(column, Some(0.5)).unwrap(),
            ColumnType::Text => rows.text(column, Some("some")).unwrap(),
        }
    }
}

/// A server with twenty minutes of the demo fleet, every metric of the registry filled.
pub(crate) async fn fleet() -> Rig {
    let rig = Rig::new(ServeLimits::default());
    let config = FleetConfig { interval_ms: 15_000, ..FleetConfig::demo() };
    let fleet = Fleet::new(config.around(NOW_MS, 1_200_000, 3_600_000)).unwrap();
    let tables = ["container", "container_network", "container_blkio", "container_info"];
    let [mut container, mut network, mut blkio, mut info] = tables.map(rows_of);
    let hosts = ["node", "node_cpu", "node_disk", "node_filesystem", "node_network"];
    let [mut node, mut cpu, mut disk, mut filesystem, mut interface] = hosts.map(rows_of);
    let mut described = std::collections::BTreeSet::new();
    let mut ticks = fleet.ticks(NOW_MS - 1_200_000, NOW_MS);
    while let Some(tick) = ticks.next_rows() {
        let Some(host) = &tick.host else { continue };
        add(&fleet, &tick.containers, CONTAINER_METRICS, "container", &mut container);
        add(&fleet, &tick.networks, NETWORK_METRICS, "container_network", &mut network);
        add(&fleet, &tick.devices, BLKIO_METRICS, "container_blkio", &mut blkio);
        for (index, time_ms) in tick.containers.container.iter().zip(&tick.containers.time_ms) {
            if described.insert(*index) {
                let container = &fleet.containers()[*index as usize];
                info.row(*time_ms, &subject(&fleet, container), &[]);
                let labels = serde_json::to_string(&fleet.labels(container)).unwrap();
                info.text("labels", Some(&labels)).unwrap();
                info.int("started_at_ms", Some(container.created_ms)).unwrap();
                fill(&mut info, "container_info", *time_ms, &["labels", "started_at_ms"]);
            }
        }
        let machine = &fleet.nodes()[tick.node];
        let subject = Subject::node("demo", &machine.hostname);
        node.row(host.time_ms, &subject, &[]);
        fill(&mut node, "node", host.time_ms, &["swarm_node_id"]);
        node.text("swarm_node_id", Some(&machine.swarm_id)).unwrap();
        for number in 0..machine.cores {
            cpu.row(host.time_ms, &subject, &[&number.to_string()]);
            fill(&mut cpu, "node_cpu", host.time_ms, &[]);
        }
        disk.row(host.time_ms, &subject, &["sda"]);
        fill(&mut disk, "node_disk", host.time_ms, &[]);
        filesystem.row(host.time_ms, &subject, &["/dev/sda1", "/", "ext4"]);
        fill(&mut filesystem, "node_filesystem", host.time_ms, &[]);
        filesystem.row(host.time_ms, &subject, &["/dev/sda1", "/var", "ext4"]);
        fill(&mut filesystem, "node_filesystem", host.time_ms, &[]);
        interface.row(host.time_ms, &subject, &["eth0"]);
        fill(&mut interface, "node_network", host.time_ms, &[]);
    }
    for rows in [container, network, blkio, info, node, cpu, disk, filesystem, interface] {
        rig.store(rows).await;
    }
    rig
}

fn add(fleet: &Fleet, rows: &Rows, metrics: &[&str], table: &str, into: &mut BatchBuilder) {
    for row in 0..rows.len() {
        let (time_ms, index) = (rows.time_ms[row], rows.container[row]);
        let container = &fleet.containers()[index as usize];
        into.row(time_ms, &subject(fleet, container), &[rows.part[row]]);
        for (metric, column) in metrics.iter().zip(&rows.values) {
            into.int(metric, column[row]).unwrap();
        }
        into.int("started_at_ms", Some(rows.started_at_ms[row])).unwrap();
        let mut known = metrics.to_vec();
        known.push("started_at_ms");
        if table == "container" {
            into.text("state", Some("running")).unwrap();
            into.text("health", Some("healthy")).unwrap();
            known.extend(["state", "health"]);
        }
        fill(into, table, time_ms, &known);
    }
}

fn subject(fleet: &Fleet, container: &Container) -> Subject {
    let service = fleet.service_of(container);
    let stack = service.stack.as_deref().unwrap_or("");
    let name = service.name.strip_prefix(stack).and_then(|name| name.strip_prefix('_'));
    Subject {
        service: Arc::from(name.filter(|_| !stack.is_empty()).unwrap_or(&service.name)),
        container_id: Arc::from(container.id.as_str()),
        cluster: Arc::from("demo"),
        node: Arc::from(fleet.nodes()[container.node].hostname.as_str()),
        stack: Arc::from(stack),
        slot: Arc::from(container.slot_number.to_string()),
        container: Arc::from(container.name.as_str()),
        image: container.image.clone(),
    }
}
