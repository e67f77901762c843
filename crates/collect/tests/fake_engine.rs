//! A collector against a made-up engine: who gets a row, what is asked, and what a container
//! that hangs costs the others. The engine's moment stands still, so nothing depends on timing.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use plimsoll_collect::{CollectError, CollectOptions, Collector, SourceChoice};
use plimsoll_fleetsim::engine::NodeView;
use plimsoll_fleetsim::{Cgroup, FakeEngine, Fleet, FleetConfig};
use plimsoll_model::time::ManualClock;
use plimsoll_model::{Batch, Dimension};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const HOUR_MS: i64 = 3_600_000;

/// A fleet in the middle of its life, and that moment.
fn fleet(cgroup: Cgroup) -> (Arc<Fleet>, i64) {
    let config = FleetConfig { cgroup, ..FleetConfig::demo() };
    let fleet = Fleet::new(config).unwrap();
    let now_ms = fleet.config().start_ms + HOUR_MS;
    (Arc::new(fleet), now_ms)
}

/// Ids and container names of what runs on the first node.
fn running(fleet: &Fleet, now_ms: i64) -> BTreeSet<String> {
    let here = fleet.containers().iter().filter(|container| container.node == 0);
    here.filter(|container| fleet.run_at(container, now_ms).is_some())
        .map(|container| container.id.clone())
        .collect()
}

/// One round; what the engine was asked; `faults` is called with the ids before it.
async fn collect(
    fleet: &Arc<Fleet>,
    now_ms: i64,
    faults: impl FnOnce(&FakeEngine),
) -> (Vec<Batch>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("engine.sock");
    let view = NodeView { fleet: fleet.clone(), node: 0 };
    let engine = FakeEngine::serve(&path, view, Arc::new(move || now_ms)).unwrap();
    faults(&engine);
    let options = CollectOptions {
        docker_host: Some(format!("unix://{}", path.display())),
        interval: Duration::from_secs(2),
        source: SourceChoice::Auto,
        root: folder.path().to_owned(),
        once: true,
        ..CollectOptions::default()
    };
    let clock = Arc::new(ManualClock::new(now_ms));
    let collector = Collector::connect(options, clock).await.unwrap();
    let (out, mut inbox) = mpsc::channel(1_000);
    let stop = CancellationToken::new();
    tokio::time::timeout(Duration::from_mins(1), collector.run(out, stop)).await.unwrap();
    let mut batches = Vec::new();
    while let Some(batch) = inbox.recv().await {
        batches.push(batch);
    }
    let requests = engine.requests();
    let requests =
        requests.iter().map(|asked| format!("{} {}?{}", asked.method, asked.path, asked.query));
    (batches, requests.collect())
}

/// Rows of `table` with a value in `column`, by container id.
fn rows_with(batches: &[Batch], table: &str, column: &str) -> BTreeMap<String, usize> {
    use arrow_array::Array as _;
    let mut rows = BTreeMap::new();
    for batch in batches.iter().filter(|batch| batch.table().name() == table) {
        let Some(values) = batch.column_named(column) else { continue };
        let subjects = batch.subjects();
        for row in (0..batch.num_rows()).filter(|row| !values.is_null(*row)) {
            let id = subjects.dimension(Dimension::ContainerId, row).to_owned();
            *rows.entry(id).or_default() += 1;
        }
    }
    rows
}

#[tokio::test]
async fn every_running_container_is_sampled_on_both_cgroup_versions() {
    for cgroup in [Cgroup::V1, Cgroup::V2] {
        let (fleet, now_ms) = fleet(cgroup);
        let expected = running(&fleet, now_ms);
        assert!(expected.len() > 1);
        let (batches, requests) = collect(&fleet, now_ms, |_| {}).await;
        for column in ["cpu_usage_us", "memory_working_set_bytes", "started_at_ms"] {
            let rows = rows_with(&batches, "container", column);
            let missing: Vec<_> = expected.iter().filter(|id| !rows.contains_key(*id)).collect();
            assert!(missing.is_empty(), "{column}: {missing:?}");
        }
        let infos = rows_with(&batches, "container_info", "labels");
        assert!(expected.iter().all(|id| infos.get(id) == Some(&1)));
        assert!(requests.iter().all(|request| request.starts_with("GET ")));
        let stats: Vec<_> = requests.iter().filter(|r| r.contains("/stats")).collect();
        assert!(stats.len() >= expected.len());
        for request in stats {
            assert!(request.contains("stream=false") && request.contains("one-shot=true"));
        }
    }
}

#[tokio::test]
async fn alone_one_hanging_container_delays_nobody() {
    let (fleet, now_ms) = fleet(Cgroup::V2);
    let mut expected = running(&fleet, now_ms);
    let hanging = expected.pop_first().unwrap();
    let (batches, _) = collect(&fleet, now_ms, |engine| engine.faults().hang_stats(&hanging)).await;
    let rows = rows_with(&batches, "container", "cpu_usage_us");
    assert_eq!(rows.keys().cloned().collect::<BTreeSet<_>>(), expected);
}

#[tokio::test]
async fn an_engine_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let host = format!("unix://{}/none.sock", folder.path().display());
    let options = CollectOptions { docker_host: Some(host.clone()), ..CollectOptions::default() };
    let refused = Collector::connect(options, Arc::new(ManualClock::new(1))).await;
    let Err(error) = refused else { panic!("there is no engine") };
    assert!(matches!(error, CollectError::NoEngine { .. }));
    assert!(error.to_string().contains(&host));
}

/// Collects one round with a state folder and returns its batches and status.
async fn one_round(
    folder: &std::path::Path,
    now_ms: i64,
    source: SourceChoice,
) -> (Vec<Batch>, plimsoll_collect::CollectStatus) {
    let options = CollectOptions {
        docker_host: Some(format!("unix://{}", folder.join("engine.sock").display())),
        interval: Duration::from_secs(1),
        source,
        root: folder.to_owned(),
        state: Some(folder.join("state")),
        once: true,
        ..CollectOptions::default()
    };
    let clock = Arc::new(ManualClock::new(now_ms));
    let collector = Collector::connect(options, clock).await.unwrap();
    let status = collector.status();
    let (out, mut inbox) = mpsc::channel(1_000);
    let running = collector.run(out, CancellationToken::new());
    tokio::time::timeout(Duration::from_mins(1), running).await.unwrap();
    let mut batches = Vec::new();
    while let Some(batch) = inbox.recv().await {
        batches.push(batch);
    }
    let status = status.borrow().clone();
    (batches, status)
}

#[tokio::test]
async fn alone_a_start_without_an_engine_samples_under_the_names_known_last() {
    let (fleet, now_ms) = fleet(Cgroup::V2);
    let expected = running(&fleet, now_ms);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("engine.sock");
    let view = NodeView { fleet: fleet.clone(), node: 0 };
    let engine = FakeEngine::serve(&path, view, Arc::new(move || now_ms)).unwrap();
    one_round(folder.path(), now_ms, SourceChoice::Auto).await;
    drop(engine);
    std::fs::remove_file(&path).unwrap();
    let plant = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    plant(
        "proc/1/mountinfo",
        "35 25 0:30 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n",
    );
    plant("sys/fs/cgroup/cgroup.controllers", "cpu io memory pids\n");
    for id in &expected {
        let cgroup = format!("sys/fs/cgroup/system.slice/docker-{id}.scope");
        plant(&format!("{cgroup}/cgroup.controllers"), "cpu io memory pids\n");
        plant(&format!("{cgroup}/cpu.stat"), "usage_usec 77\nuser_usec 50\nsystem_usec 27\n");
        plant(&format!("{cgroup}/memory.current"), "4096\n");
        plant(&format!("{cgroup}/memory.stat"), "inactive_file 0\n");
        plant(&format!("{cgroup}/pids.current"), "3\n");
    }
    for source in [SourceChoice::Auto, SourceChoice::Cgroup] {
        let (batches, status) = one_round(folder.path(), now_ms + 60_000, source).await;
        assert!(!status.engine_up);
        let rows = rows_with(&batches, "container", "cpu_usage_us");
        assert_eq!(rows.keys().cloned().collect::<BTreeSet<_>>(), expected);
        for batch in batches.iter().filter(|batch| batch.table().name() == "container") {
            let subjects = batch.subjects();
            for row in 0..batch.num_rows() {
                assert_ne!(subjects.dimension(Dimension::Container, row), "");
                assert_ne!(subjects.dimension(Dimension::Service, row), "");
            }
        }
        let node = batches.iter().find(|batch| batch.table().name() == "node").unwrap();
        let up = node.column_named("engine_up").unwrap();
        assert_eq!(up.as_primitive::<Int64Type>().value(0), 0);
    }
}

/// Container and exit code of every event row with this action, with how often it came.
fn ends(batches: &[Batch], action: &str) -> BTreeMap<(String, i64), usize> {
    let mut found = BTreeMap::new();
    for batch in batches.iter().filter(|batch| batch.table().name() == "event") {
        let subjects = batch.subjects();
        let codes = batch.column_named("exit_code").map(AsArray::as_primitive::<Int64Type>);
        for row in (0..batch.num_rows()).filter(|row| subjects.key(1, *row) == action) {
            let code = codes.map_or(-1, |codes| codes.value(row));
            *found.entry((subjects.key(2, row).to_owned(), code)).or_default() += 1;
        }
    }
    found
}

#[tokio::test]
async fn every_run_that_ended_while_no_collector_ran_has_one_record() {
    let (fleet, now_ms) = fleet(Cgroup::V2);
    let node = fleet.nodes()[0].hostname.clone();
    let truth = plimsoll_fleetsim::Truth::empty(&fleet);
    // Long enough that something happened, short enough that the engine remembers all of it.
    let deaths_until =
        |later_ms: i64| truth.deaths(plimsoll_fleetsim::Scope::Node(&node), now_ms + 1, later_ms);
    let events_until = |later_ms: i64| {
        let told = |event: &&plimsoll_fleetsim::Event| (now_ms..later_ms).contains(&event.time_ms);
        fleet.events().iter().filter(told).count()
    };
    let steps = (1..200).map(|step| now_ms + step * 600_000);
    let later_ms = steps.take_while(|ms| events_until(*ms) < 120).last().unwrap();
    let mut expected = BTreeMap::new();
    for death in deaths_until(later_ms) {
        *expected.entry((death.container_id, death.cause.exit_code())).or_default() += 1;
    }
    assert!(!expected.is_empty());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("engine.sock");
    let at_ms = Arc::new(std::sync::atomic::AtomicI64::new(now_ms));
    let clock = at_ms.clone();
    let view = NodeView { fleet: fleet.clone(), node: 0 };
    let now = move || clock.load(std::sync::atomic::Ordering::SeqCst);
    let _engine = FakeEngine::serve(&path, view, Arc::new(now)).unwrap();
    one_round(folder.path(), now_ms, SourceChoice::Auto).await;
    at_ms.store(later_ms, std::sync::atomic::Ordering::SeqCst);
    let options = CollectOptions {
        docker_host: Some(format!("unix://{}", path.display())),
        interval: Duration::from_secs(1),
        root: folder.path().to_owned(),
        state: Some(folder.path().join("state")),
        ..CollectOptions::default()
    };
    let clock = Arc::new(ManualClock::new(later_ms));
    let collector = Collector::connect(options, clock).await.unwrap();
    let (out, mut inbox) = mpsc::channel(1_000);
    let stop = CancellationToken::new();
    let running = tokio::spawn(collector.run(out, stop.clone()));
    let mut batches = Vec::new();
    let reading = async {
        while let Some(batch) = inbox.recv().await {
            batches.push(batch);
            if ends(&batches, "die").values().sum::<usize>() >= expected.values().sum() {
                stop.cancel();
            }
        }
    };
    tokio::time::timeout(Duration::from_mins(1), reading).await.unwrap();
    running.await.unwrap();
    assert_eq!(ends(&batches, "die"), expected);
    assert_eq!(ends(&batches, "death"), expected);
}
