//! An agent ships to a server that goes away for a while; nothing is lost.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use plimsoll_tests::engine::Engine;
use plimsoll_tests::server::{Server, free_port, program};
use plimsoll_tests::wait::wait_until;
use serde_json::Value;

struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// For each two seconds of the range, whether there is a sample of the node.
fn seconds_seen(server: &Server, from_s: u64, to_s: u64) -> Vec<bool> {
    if to_s <= from_s {
        return Vec::new();
    }
    let query =
        format!("/api/v1/history?metric=load1&by=node&from={from_s}&to={to_s}&step=2s&stat=max");
    let answer = server.json(&query);
    let groups = answer["data"]["groups"].as_array().unwrap();
    groups.first().map_or_else(Vec::new, |group| {
        group["values"].as_array().unwrap().iter().map(Value::is_number).collect()
    })
}

fn now_s() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

#[test]
fn an_agent_outlives_its_server() {
    let engine = Engine::from_environment();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let port = free_port();
    let mut server = Server::start_on(&data, &["serve"], port);
    let log = std::fs::File::create(folder.path().join("agent.log")).unwrap();
    let started_s = now_s();
    let agent = Command::new(program("PLIMSOLL_TEST_AGENT_BIN"))
        .args(["--server", &server.url(), "--docker-host", engine.host(), "--interval", "1s"])
        .arg("--state")
        .arg(folder.path().join("state"))
        .stderr(Stdio::from(log.try_clone().unwrap()))
        .stdout(Stdio::from(log))
        .spawn()
        .unwrap();
    let _agent = Agent(agent);
    let seen = wait_until(Duration::from_secs(30), || {
        seconds_seen(&server, started_s, now_s()).contains(&true).then_some(())
    });
    assert!(seen.is_some(), "the agent ships: {}", server.log());

    server.kill();
    let down_until = now_s() + 15;
    wait_until(Duration::from_secs(30), || (now_s() >= down_until).then_some(()));
    let server = Server::start_on(&data, &["serve"], port);
    let back_s = now_s();
    let caught_up = wait_until(Duration::from_secs(60), || {
        let steps = seconds_seen(&server, started_s + 4, back_s);
        (!steps.is_empty() && steps.iter().all(|seen| *seen)).then_some(())
    });
    let agent_log = std::fs::read_to_string(folder.path().join("agent.log")).unwrap();
    let steps = seconds_seen(&server, started_s + 4, back_s);
    assert!(caught_up.is_some(), "no sample of the outage is missing: {steps:?} {agent_log}");
}
