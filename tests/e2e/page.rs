//! The web page in a real browser, against a server with a made-up fleet.

use std::process::Command;
use std::time::Duration;

use plimsoll_tests::paths::root;
use plimsoll_tests::server::Server;
use plimsoll_tests::wait::wait_until;

/// `tests/ui/pages.mjs` opens every page and finds nothing wrong.
#[test]
fn every_page_works_in_a_browser() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"), &["up", "--simulate"]);
    let filled = wait_until(Duration::from_secs(60), || {
        let answer = server.json("/api/v1/history?metric=cpu&by=service&from=-6h&step=1h");
        (answer["data"]["groups"].as_array()?.len() >= 10).then_some(())
    });
    assert!(filled.is_some(), "the simulated fleet fills the store: {}", server.log());
    let output = Command::new("node")
        .arg("pages.mjs")
        .current_dir(root().join("tests/ui"))
        .env("PLIMSOLL_URL", server.url())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}\n{errors}");
}
