//! A small real fleet, measured from outside and asked of Plimsoll over the same window.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use plimsoll_tests::engine::Engine;
use plimsoll_tests::server::Server;
use plimsoll_tests::wait::wait_until;
use plimsoll_tests::{cgroup, within_percent};
use serde_json::Value;

/// How long the fleet is measured, in seconds.
const WINDOW_S: f64 = 30.0;
/// Bytes that the client sends to its server.
const SENT_BYTES: f64 = 20.0 * 1024.0 * 1024.0;

fn now_s() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// What the outside says at one moment.
struct Outside {
    at_s: f64,
    cpu_s: Vec<f64>,
}

fn look(ids: &[&str]) -> Outside {
    let cpu_s = ids.iter().map(|id| cgroup::cpu_seconds(id)).collect();
    Outside { at_s: now_s(), cpu_s }
}

/// The mean of the values of the only group of a history answer, and how many there are.
fn mean_of_only_group(answer: &Value) -> (f64, usize) {
    let groups = answer["data"]["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 1, "one group expected: {answer}");
    let values: Vec<f64> =
        groups[0]["values"].as_array().unwrap().iter().filter_map(Value::as_f64).collect();
    (values.iter().sum::<f64>() / values.len() as f64, values.len())
}

fn history(server: &Server, query: &str) -> Value {
    server.json(&format!("/api/v1/history?{query}"))
}

fn start_fleet(engine: &mut Engine) -> (String, String) {
    let spin = "while :; do :; done";
    let fifth = engine.run("spin-fifth", &["--cpus", "0.2"], spin);
    let half = engine.run("spin-half", &["--cpus", "0.5"], spin);
    engine.run("holds-40m", &[], "dd if=/dev/zero of=/dev/shm/x bs=1M count=40; sleep 1000");
    engine.run("out-of-memory", &["-m", "16m", "--memory-swap", "16m"], "tail -c 99m /dev/zero");
    engine.run("restarts", &["--restart", "always"], "sleep 1; exit 3");
    for number in ["1", "2"] {
        let number_label = format!("com.docker.compose.container-number={number}");
        let labels = [
            "--label",
            "com.docker.compose.project=shop",
            "--label",
            "com.docker.compose.service=db",
            "--label",
            &number_label,
        ];
        engine.run(&format!("shop-db-{number}"), &labels, "sleep 1000");
    }
    (fifth, half)
}

fn start_swarm_service(engine: &Engine) {
    // A run that was cut off leaves the engine in its swarm.
    engine.try_docker(&["swarm", "leave", "--force"]);
    engine.docker(&["swarm", "init", "--advertise-addr", "127.0.0.1"]);
    engine.docker(&[
        "service",
        "create",
        "--detach",
        "--name",
        "front_web",
        "--label",
        "com.docker.stack.namespace=front",
        "--container-label",
        "com.docker.stack.namespace=front",
        "bb",
        "sleep",
        "1000",
    ]);
}

/// CPU, memory, network, deaths and identities of a real fleet agree with the kernel's own
/// accounting, read directly over the same window.
#[test]
fn history_agrees_with_the_kernel() {
    let mut engine = Engine::from_environment();
    let folder = tempfile::tempdir().unwrap();
    let host = engine.host().to_owned();
    let arguments = ["up", "--docker-host", &host, "--interval", "1s"];
    let server = Server::start(&folder.path().join("data"), &arguments);
    let (fifth, half) = start_fleet(&mut engine);
    start_swarm_service(&engine);

    engine.run("receiver", &[], "sleep 1000 | nc -l -p 9000 > /dev/null; sleep 1000");
    let address = engine.inspect("receiver", "{{.NetworkSettings.IPAddress}}");
    let receiver_pid = engine.inspect("receiver", "{{.State.Pid}}");
    let ready = wait_until(Duration::from_secs(20), || {
        let found = history(&server, "metric=cpu&by=container&from=-1m&step=1s");
        found["data"]["groups"].as_array().filter(|groups| groups.len() >= 6).map(|_| ())
    });
    assert!(ready.is_some(), "containers appear by themselves: {}", server.log());

    let first = look(&[&fifth, &half]);
    let network_first = cgroup::network_bytes(&receiver_pid);
    let send = format!("head -c 20971520 /dev/zero | nc {address} 9000; sleep 1000");
    engine.run("sender", &[], &send);
    let end_s = first.at_s + WINDOW_S;
    wait_until(Duration::from_secs(60), || (now_s() >= end_s).then_some(()));
    let last = look(&[&fifth, &half]);
    let network_last = cgroup::network_bytes(&receiver_pid);
    // One more tick, so that the window's last second has its samples.
    wait_until(Duration::from_secs(10), || (now_s() >= last.at_s + 2.5).then_some(()));

    check_cpu(&server, &first, &last);
    check_memory(&server, &engine);
    check_network(&server, network_last.0 - network_first.0, first.at_s);
    check_identity(&server);
    check_deaths(&server);
    engine.docker(&["swarm", "leave", "--force"]);
}

fn check_cpu(server: &Server, first: &Outside, last: &Outside) {
    let elapsed = last.at_s - first.at_s;
    for (index, name) in ["spin-fifth", "spin-half"].iter().enumerate() {
        let cores = (last.cpu_s[index] - first.cpu_s[index]) / elapsed;
        let query = format!(
            "metric=cpu&by=container&container={name}&from={:.3}&to={:.3}&step=5s&stat=avg",
            first.at_s, last.at_s
        );
        let (mean, points) = mean_of_only_group(&history(server, &query));
        assert!(points >= 5, "{name}: {points} points");
        assert!(within_percent(mean, cores, 2.0), "{name}: {mean} cores, kernel says {cores}");
    }
}

fn check_memory(server: &Server, engine: &Engine) {
    let id = engine.inspect("holds-40m", "{{.Id}}");
    let outside = cgroup::working_set_bytes(&id);
    let query = "metric=memory&container=holds-40m&by=container&from=-5s&step=5s&stat=max";
    let (inside, _) = mean_of_only_group(&history(server, query));
    assert!(within_percent(inside, outside, 2.0), "memory {inside}, kernel says {outside}");
    assert!(inside > 40.0 * 1048576.0, "40 MiB are held: {inside}");

    let shown = engine.docker(&["stats", "--no-stream", "--format", "{{.MemUsage}}", "holds-40m"]);
    let mib: f64 = shown.split("MiB").next().unwrap().trim().parse().unwrap();
    let inside_mib = inside / 1048576.0;
    assert!(within_percent(inside_mib, mib, 2.0), "{inside_mib} MiB, docker stats says {shown}");
}

fn check_network(server: &Server, outside_bytes: f64, from_s: f64) {
    let query = format!(
        "metric=container_network_receive_bytes_total&container=receiver&by=container\
         &from={:.3}&to=now&step=1h&stat=sum",
        from_s - 3.0
    );
    let (inside, _) = mean_of_only_group(&history(server, &query));
    assert!(outside_bytes >= SENT_BYTES, "the bytes were sent: {outside_bytes}");
    assert!(
        within_percent(inside, outside_bytes, 2.0),
        "received {inside} bytes, kernel says {outside_bytes}"
    );
}

fn check_identity(server: &Server) {
    let answer = history(server, "metric=memory&by=stack,service&from=-1m&step=1m");
    let groups = answer["data"]["groups"].as_array().unwrap();
    let has = |stack: &str, service: &str| {
        groups
            .iter()
            .any(|group| group["labels"]["stack"] == stack && group["labels"]["service"] == service)
    };
    assert!(has("shop", "db"), "Compose project and service: {answer}");
    assert!(has("front", "web"), "Swarm stack and service without prefix: {answer}");
    let both = history(server, "metric=memory&by=service,slot&service=db&from=-1m&step=1m");
    assert_eq!(both["data"]["groups"].as_array().unwrap().len(), 2, "two replicas: {both}");
}

fn check_deaths(server: &Server) {
    let restarts = "metric=restarts&container=restarts&by=container&from=-1m&step=1m&stat=max";
    let (count, _) = mean_of_only_group(&history(server, restarts));
    assert!(count >= 3.0, "the loop restarted at least three times: {count}");
    let inventory = server.json("/api/v1/inventory?from=-5m");
    let text = inventory.to_string();
    assert!(text.contains("out-of-memory"), "the dead are listed: {text}");
}
