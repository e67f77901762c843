//! What was acknowledged is there after the server was killed.

use plimsoll_tests::engine::Engine;
use plimsoll_tests::server::Server;
use plimsoll_tests::wait::wait_until;
use std::time::Duration;

/// Rows that the store holds: those in heads and those in segments as they were collected.
fn rows(server: &Server) -> u64 {
    let status = server.json("/api/v1/status");
    let store = &status["data"]["store"];
    let heads = store["head_rows"].as_object().unwrap();
    let heads: u64 = heads.values().filter_map(serde_json::Value::as_u64).sum();
    let segments = store["tables"].as_array().unwrap();
    let raw = segments.iter().filter(|table| table["resolution"] == "raw");
    heads + raw.filter_map(|table| table["rows"].as_u64()).sum::<u64>()
}

/// Rows survive `kill -9` and a clean stop, and are not doubled.
#[test]
fn rows_survive_kill_and_stop() {
    let engine = Engine::from_environment();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let host = engine.host().to_owned();
    let watch = ["up", "--docker-host", &host, "--interval", "1s"];
    let mut server = Server::start(&data, &watch);
    let before = wait_until(Duration::from_secs(30), || Some(rows(&server)).filter(|n| *n > 20));
    let before = before.unwrap_or_else(|| panic!("rows arrive: {}", server.log()));
    server.kill();

    let mut server = Server::start(&data, &["serve"]);
    let after_kill = rows(&server);
    assert!(after_kill >= before, "{before} rows before the kill, {after_kill} after");
    assert!(server.stop(), "a clean stop ends well: {}", server.log());

    let server = Server::start(&data, &["serve"]);
    assert_eq!(rows(&server), after_kill, "a restart neither loses nor doubles");
}
