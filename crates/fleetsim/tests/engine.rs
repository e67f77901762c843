//! The fake engine, asked over its socket by a client that knows HTTP and nothing else.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use plimsoll_fleetsim::engine::{EngineClock, NodeView};
use plimsoll_fleetsim::{Cgroup, Container, EventKind, FakeEngine, Fleet, FleetConfig, Subject};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

const WAIT: Duration = Duration::from_secs(20);

struct Rig {
    engine: FakeEngine,
    fleet: Arc<Fleet>,
    node: usize,
    time_ms: Arc<AtomicI64>,
    socket: PathBuf,
    _folder: tempfile::TempDir,
}

fn rig(cgroup: Cgroup, node: usize, after_ms: i64) -> Rig {
    let mut config = FleetConfig::demo();
    config.cgroup = cgroup;
    let fleet = Arc::new(Fleet::new(config).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("docker.sock");
    let offset = fleet.nodes()[node].clock_offset_ms;
    let time_ms = Arc::new(AtomicI64::new(fleet.config().start_ms + after_ms - offset));
    let told = Arc::clone(&time_ms);
    let clock: EngineClock = Arc::new(move || told.load(Ordering::SeqCst));
    let view = NodeView { fleet: Arc::clone(&fleet), node };
    let engine = FakeEngine::serve(&socket, view, clock).unwrap();
    Rig { engine, fleet, node, time_ms, socket, _folder: folder }
}

impl Rig {
    /// Sets the node's own clock.
    fn set_node_ms(&self, node_ms: i64) {
        let offset = self.fleet.nodes()[self.node].clock_offset_ms;
        self.time_ms.store(node_ms - offset, Ordering::SeqCst);
    }

    fn node_ms(&self) -> i64 {
        self.time_ms.load(Ordering::SeqCst) + self.fleet.nodes()[self.node].clock_offset_ms
    }

    async fn send(&self, method: &str, target: &str, close: bool) -> BufReader<UnixStream> {
        let mut stream = UnixStream::connect(&self.socket).await.unwrap();
        let keep = if close { "close" } else { "keep-alive" };
        let head = format!("{method} {target} HTTP/1.1\r\nHost: d\r\nConnection: {keep}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        BufReader::new(stream)
    }

    async fn ask(&self, method: &str, target: &str) -> (u16, String, String) {
        let whole = async {
            let mut stream = self.send(method, target, true).await;
            let mut text = String::new();
            stream.read_to_string(&mut text).await.unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            let status = head.split(' ').nth(1).unwrap().parse().unwrap();
            (status, head.to_lowercase(), body.to_owned())
        };
        tokio::time::timeout(WAIT, whole).await.unwrap()
    }

    async fn get(&self, target: &str) -> Value {
        let (status, _, body) = self.ask("GET", target).await;
        assert_eq!(status, 200, "{target}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// A running container of a service on this node.
    fn running(&self, service: &str) -> &Container {
        let now = self.node_ms();
        let mut all = self.fleet.containers().iter();
        let found = all.find(|c| {
            c.node == self.node
                && self.fleet.service_of(c).name == service
                && self.fleet.run_at(c, now).is_some()
        });
        found.unwrap()
    }

    async fn one_shot(&self, id: &str) -> Value {
        self.get(&format!("/v1.41/containers/{id}/stats?stream=false&one-shot=true")).await
    }
}

/// The next line that is JSON, through chunk sizes and headers.
async fn next_json(stream: &mut BufReader<UnixStream>) -> Option<Value> {
    let look = async {
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap() == 0 || line == "0\r\n" {
                return None;
            }
            if line.starts_with('{') {
                return Some(serde_json::from_str(&line).unwrap());
            }
        }
    };
    tokio::time::timeout(WAIT, look).await.unwrap()
}

#[tokio::test]
async fn says_what_engine_it_is_and_records_requests() {
    let rig = rig(Cgroup::V2, 0, 60_000);
    let (status, head, body) = rig.ask("GET", "/_ping").await;
    assert_eq!((status, body.as_str()), (200, "OK"));
    assert!(head.contains("api-version: 1.45"));
    assert_eq!(rig.get("/version").await["ApiVersion"], "1.45");
    let info = rig.get("/v1.45/info").await;
    assert_eq!(info["CgroupVersion"], "2");
    assert_eq!(info["Name"], "node-001");
    assert_eq!(info["Swarm"]["ControlAvailable"], true);
    assert_eq!(rig.ask("POST", "/containers/create?name=x").await.0, 405);
    assert_eq!(rig.ask("GET", "/images/json").await.0, 404);
    assert_eq!(rig.ask("GET", "/v1.99/info").await.0, 400);
    assert_eq!(rig.ask("GET", "/v1.10/info").await.0, 400);
    let asked = rig.engine.requests();
    assert_eq!(asked.len(), 7);
    assert_eq!((asked[3].method.as_str(), asked[3].path.as_str()), ("POST", "/containers/create"));
    assert_eq!(asked[3].query, "name=x");
}

#[tokio::test]
async fn stats_at_a_tick_are_the_row_of_that_tick() {
    for cgroup in [Cgroup::V1, Cgroup::V2] {
        let rig = rig(cgroup, 0, 600_000);
        let from = rig.node_ms();
        let mut ticks = rig.fleet.ticks_of_node(0, from, from + 60_000);
        let rows = ticks.next_rows().unwrap().clone();
        assert!(rows.containers.len() > 5);
        for row in 0..rows.containers.len() {
            let container = &rig.fleet.containers()[rows.containers.container[row] as usize];
            rig.set_node_ms(rows.containers.time_ms[row]);
            let told = rig.one_shot(&container.id).await;
            let value = |column: usize| rows.containers.values[column][row].unwrap();
            let cpu = &told["cpu_stats"];
            assert_eq!(cpu["cpu_usage"]["total_usage"], value(0) * 1_000, "{}", container.name);
            assert_eq!(cpu["throttling_data"]["periods"], value(3));
            assert_eq!(told["memory_stats"]["usage"], value(6));
            let inactive =
                if cgroup == Cgroup::V1 { "total_inactive_file" } else { "inactive_file" };
            let inactive = told["memory_stats"]["stats"][inactive].as_i64().unwrap();
            assert_eq!(value(6) - inactive, value(7));
            assert_eq!(told["pids_stats"]["current"], value(13));
            assert_eq!(told["precpu_stats"]["cpu_usage"]["total_usage"], 0);
            assert_eq!(told["preread"], "0001-01-01T00:00:00Z");
            assert_eq!(cpu["cpu_usage"].get("percpu_usage").is_some(), cgroup == Cgroup::V1);
            let position =
                rows.networks.container.iter().position(|&c| c as usize == container.index);
            match position {
                Some(at) => assert_eq!(
                    told["networks"]["eth0"]["tx_bytes"],
                    rows.networks.values[1][at].unwrap()
                ),
                None => assert!(told.get("networks").is_none()),
            }
        }
    }
}

#[tokio::test]
async fn quirks_of_stats() {
    let rig = rig(Cgroup::V2, 1, 60_000);
    let api = rig.one_shot(&rig.running("shop_api").id).await;
    assert_eq!(api["pids_stats"]["limit"].as_u64(), Some(u64::MAX));
    assert_eq!(api["memory_stats"]["limit"], 512 << 20);
    let redis = rig.running("shop_redis");
    let told = rig.one_shot(&redis.id).await;
    assert_eq!(told["memory_stats"]["limit"], rig.fleet.nodes()[1].memory_bytes);
    let inspected = rig.get(&format!("/containers/{}/json", redis.name)).await;
    assert_eq!(inspected["HostConfig"]["Memory"], 0);
    assert_eq!(inspected["State"]["Running"], true);
    assert!(rig.one_shot(&rig.running("nodeexp").id).await.get("networks").is_none());
    // Before its first IO a container has no block IO at all, rather than zero.
    let events = rig.fleet.events().iter();
    let started = events.filter(|e| e.kind == EventKind::Start && e.node == 1);
    let later = started.filter(|e| e.time_ms > rig.node_ms() + 60_000);
    let fresh = later.find_map_container(&rig.fleet);
    rig.set_node_ms(fresh.0 + 1);
    let told = rig.one_shot(&fresh.1).await;
    assert!(told["blkio_stats"]["io_service_bytes_recursive"].is_null(), "{told}");
    assert_ne!(told["read"], "0001-01-01T00:00:00Z");
}

trait FindContainer {
    fn find_map_container(self, fleet: &Fleet) -> (i64, String);
}

impl<'a, I: Iterator<Item = &'a plimsoll_fleetsim::Event>> FindContainer for I {
    fn find_map_container(mut self, fleet: &Fleet) -> (i64, String) {
        let found = self.find_map(|event| match event.subject {
            Subject::Container(index) => {
                Some((event.time_ms, fleet.containers()[index].id.clone()))
            }
            Subject::Service(_) => None,
        });
        found.unwrap()
    }
}

#[tokio::test]
async fn a_dead_container_answers_with_an_empty_body_and_a_removed_one_not() {
    let rig = rig(Cgroup::V2, 0, 60_000);
    let all = rig.fleet.containers().iter();
    let mut dead = all.filter(|c| c.node == 0 && c.task_id.is_some() && c.removed_ms.is_some());
    let container = dead.find(|c| rig.fleet.runs()[c.runs[0] as usize].ended_ms > rig.node_ms());
    let container = container.unwrap();
    let run = &rig.fleet.runs()[*container.runs.last().unwrap() as usize];
    rig.set_node_ms(run.ended_ms + 1);
    let told = rig.one_shot(&container.id).await;
    assert_eq!(told["read"], "0001-01-01T00:00:00Z");
    assert_eq!(told["memory_stats"], serde_json::json!({}));
    assert!(told.get("networks").is_none());
    let list = rig.get("/containers/json?all=1").await;
    let entry = list.as_array().unwrap().iter().find(|c| c["Id"] == container.id.as_str());
    assert_eq!(entry.unwrap()["State"], "exited");
    let running = rig.get("/containers/json").await;
    assert!(running.as_array().unwrap().iter().all(|c| c["State"] == "running"));
    let inspected = rig.get(&format!("/containers/{}/json", container.id)).await;
    let code = run.cause.unwrap().exit_code();
    assert_eq!(inspected["State"]["ExitCode"], code);
    rig.set_node_ms(container.removed_ms.unwrap());
    let (status, _, body) =
        rig.ask("GET", &format!("/containers/{}/stats?stream=false", container.id)).await;
    assert_eq!(status, 404, "{body}");
}

#[tokio::test]
async fn lists_are_filtered_and_services_and_tasks_agree_with_the_plan() {
    let rig = rig(Cgroup::V2, 0, 600_000);
    let filter = "%7B%22label%22%3A%5B%22com.docker.swarm.service.name%3Dshop_api%22%5D%7D";
    let list = rig.get(&format!("/containers/json?all=1&filters={filter}")).await;
    let list = list.as_array().unwrap();
    assert!(!list.is_empty());
    for entry in list {
        assert!(entry["Names"][0].as_str().unwrap().starts_with("/shop_api."));
        assert_eq!(entry["Labels"]["com.docker.stack.namespace"], "shop");
    }
    let services = rig.get("/services?status=true").await;
    assert_eq!(services.as_array().unwrap().len(), 9);
    let api = services.as_array().unwrap().iter().find(|s| s["Spec"]["Name"] == "shop_api");
    let api = api.unwrap();
    assert_eq!(api["ServiceStatus"]["DesiredTasks"], 6);
    assert_eq!(api["ServiceStatus"]["RunningTasks"], 6);
    let one = rig.get(&format!("/services/{}", api["ID"].as_str().unwrap())).await;
    assert_eq!(one["Spec"]["Mode"]["Replicated"]["Replicas"], 6);
    let tasks = rig.get("/tasks?filters=%7B%22service%22%3A%5B%22shop_api%22%5D%7D").await;
    let tasks = tasks.as_array().unwrap();
    let running = tasks.iter().filter(|t| t["Status"]["State"] == "running").count();
    assert_eq!(running, 6);
    assert_eq!(rig.get("/nodes").await.as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn only_the_manager_speaks_swarm() {
    let rig = rig(Cgroup::V1, 1, 60_000);
    for path in ["/services", "/tasks", "/nodes", "/services/x"] {
        let (status, _, body) = rig.ask("GET", path).await;
        assert_eq!(status, 503);
        assert!(body.contains("not a swarm manager"));
    }
    assert_eq!(rig.get("/info").await["Swarm"]["ControlAvailable"], false);
    assert_eq!(rig.get("/version").await["ApiVersion"], "1.41");
}

#[tokio::test]
async fn events_of_the_past_come_at_once_and_new_ones_with_the_clock() {
    let rig = rig(Cgroup::V2, 0, 3_600_000);
    let start = rig.fleet.config().start_ms;
    let (since, until) = (start / 1_000, rig.node_ms() / 1_000);
    let filter = "%7B%22event%22%3A%5B%22die%22%5D%7D";
    let target = format!("/events?since={since}&until={until}&filters={filter}");
    let (status, _, body) = rig.ask("GET", &target).await;
    assert_eq!(status, 200);
    let lines: Vec<Value> = body
        .lines()
        .filter(|l| l.starts_with('{'))
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert!(lines.iter().all(|line| line["Action"] == "die"));
    let dies = rig.fleet.events().iter().filter(|e| {
        e.node == 0 && matches!(e.kind, EventKind::Die { .. }) && e.time_ms <= until * 1_000
    });
    let expected = dies.count();
    assert!(expected > 0);
    assert_eq!(lines.len(), expected);
    assert!(lines[0]["Actor"]["Attributes"]["exitCode"].is_string());

    let deploys = rig.fleet.events().iter();
    let deploy = deploys.filter(|e| matches!(e.kind, EventKind::Deploy { .. }));
    let deploy = deploy.into_iter().find(|e| e.time_ms > rig.node_ms()).unwrap();
    let filter = "%7B%22type%22%3A%5B%22service%22%5D%7D";
    let mut stream = rig.send("GET", &format!("/events?filters={filter}"), false).await;
    let mut head = String::new();
    stream.read_line(&mut head).await.unwrap();
    assert!(head.starts_with("HTTP/1.1 200"));
    rig.set_node_ms(deploy.time_ms);
    let told = loop {
        let told = next_json(&mut stream).await.unwrap();
        if told["timeNano"].as_i64().unwrap() / 1_000_000 == deploy.time_ms {
            break told;
        }
    };
    assert_eq!(told["Action"], "update");
    let image = told["Actor"]["Attributes"]["image.new"].as_str().unwrap();
    assert!(image.starts_with("registry.local:5000/"), "{image}");
    rig.engine.faults().close_event_streams();
    assert_eq!(next_json(&mut stream).await, None);
}

#[tokio::test]
async fn a_stats_stream_follows_the_clock() {
    let rig = rig(Cgroup::V1, 0, 60_000);
    let id = rig.running("shop_api").id.clone();
    let mut stream = rig.send("GET", &format!("/containers/{id}/stats"), false).await;
    let first = next_json(&mut stream).await.unwrap();
    assert_eq!(first["precpu_stats"]["cpu_usage"]["total_usage"], 0);
    rig.set_node_ms(rig.node_ms() + 1_000);
    let second = next_json(&mut stream).await.unwrap();
    assert_eq!(second["preread"], first["read"]);
    assert_eq!(second["precpu_stats"], first["cpu_stats"]);
    let total = |told: &Value| told["cpu_stats"]["cpu_usage"]["total_usage"].as_i64().unwrap();
    assert!(total(&second) > total(&first));
    let system = |told: &Value| told["cpu_stats"]["system_cpu_usage"].as_i64().unwrap();
    let grown = system(&second) - system(&first);
    assert!((7_900_000_000..=8_000_000_000).contains(&grown), "{grown}");
}

#[tokio::test]
async fn faults_hang_fail_silence_and_heal() {
    let rig = rig(Cgroup::V2, 0, 60_000);
    let id = rig.running("shop_api").id.clone();
    let faults = rig.engine.faults();
    faults.hang_stats(&id);
    let hung = rig.one_shot(&id);
    tokio::pin!(hung);
    let soon = Duration::from_millis(60);
    assert!(tokio::time::timeout(soon, &mut hung).await.is_err());
    rig.get("/info").await;
    faults.unhang_stats(&id);
    assert_eq!(tokio::time::timeout(WAIT, hung).await.unwrap()["id"], id.as_str());
    faults.fail("/stats");
    let target = format!("/containers/{id}/stats?stream=false");
    assert_eq!(rig.ask("GET", &target).await.0, 500);
    assert_eq!(rig.ask("GET", "/_ping").await.0, 200);
    faults.unfail("/stats");
    faults.stop_answering(true);
    assert!(tokio::time::timeout(soon, rig.ask("GET", "/_ping")).await.is_err());
    faults.clear();
    faults.delay_ms(1);
    assert_eq!(rig.ask("GET", "/_ping").await.0, 200);
}

#[tokio::test]
async fn the_clock_may_go_back_and_a_crash_loop_is_seen_restarting() {
    let rig = rig(Cgroup::V2, 1, 60_000);
    let fleet = Arc::clone(&rig.fleet);
    let flaky = fleet.containers().iter().find(|c| fleet.service_of(c).name == "flaky");
    let flaky = flaky.unwrap();
    let view = NodeView { fleet: Arc::clone(&rig.fleet), node: flaky.node };
    let time = Arc::new(AtomicI64::new(0));
    let told = Arc::clone(&time);
    let socket = rig.socket.with_file_name("other.sock");
    let clock: EngineClock = Arc::new(move || told.load(Ordering::SeqCst));
    let engine = FakeEngine::serve(&socket, view, clock).unwrap();
    let rig = Rig { engine, node: flaky.node, time_ms: time, socket, ..rig };
    let runs: Vec<_> =
        flaky.runs.iter().map(|&run| rig.fleet.runs()[run as usize].clone()).collect();
    rig.set_node_ms(runs[20].started_ms + 1_500);
    let late = rig.one_shot(&flaky.id).await;
    rig.set_node_ms(runs[5].ended_ms + 50);
    let inspected = rig.get(&format!("/containers/{}/json", flaky.id)).await;
    assert_eq!(inspected["State"]["Status"], "restarting");
    assert_eq!(inspected["RestartCount"], 5);
    rig.set_node_ms(runs[20].started_ms + 1_500);
    assert_eq!(rig.one_shot(&flaky.id).await, late);
    assert_ne!(late["cpu_stats"]["system_cpu_usage"], 0);
}

#[tokio::test]
async fn no_engine_for_a_node_that_is_not() {
    let rig = rig(Cgroup::V1, 0, 0);
    let view = NodeView { fleet: Arc::clone(&rig.fleet), node: 9 };
    let clock: EngineClock = Arc::new(|| 0);
    let error = FakeEngine::serve(&rig.socket, view, clock).unwrap_err();
    assert_eq!(error.to_string(), "fleet has no node 9, only 3");
}
