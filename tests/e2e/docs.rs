//! The commands in the guides work as they stand.

use std::process::Command;
use std::time::Duration;

use plimsoll_tests::paths::{files, root};
use plimsoll_tests::server::{Server, program};
use plimsoll_tests::wait::wait_until;

/// Where the guides say the server answers.
const SHOWN: &str = "http://127.0.0.1:7117";

/// Lines of all `sh` blocks of the README and the guides.
fn commands() -> Vec<String> {
    let mut pages = files(&root().join("docs/guides"), &[".md"]);
    pages.push(root().join("README.md"));
    let mut found = Vec::new();
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        for block in text.split("```sh\n").skip(1) {
            let block = block.split("```").next().unwrap_or_default();
            found.extend(block.lines().map(|line| line.trim().to_owned()));
        }
    }
    found.retain(|line| !line.is_empty());
    found
}

fn run_curl(line: &str, server: &Server) {
    let line = line.replace(SHOWN, &server.url()).replace("curl -s", "curl -sf");
    let output = Command::new("sh").args(["-c", &line]).output().unwrap();
    assert!(output.status.success(), "`{line}` fails: {}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.len() > 40, "`{line}` answers next to nothing");
}

/// Every flag of a command that starts a program is one the program has.
fn check_flags(line: &str, words: &str, program_name: &str) {
    let command = words.split_whitespace().next().filter(|word| !word.starts_with('-'));
    let help = Command::new(program(program_name)).args(command).arg("--help").output().unwrap();
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    for flag in words.split_whitespace().filter(|word| word.starts_with("--")) {
        assert!(help.contains(flag), "`{line}`: there is no flag {flag}");
    }
}

#[test]
fn commands_in_guides_work() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"), &["up", "--simulate"]);
    let filled = wait_until(Duration::from_secs(60), || {
        let answer = server.json("/api/v1/history?metric=memory&service=web&from=-6h&step=1h");
        (!answer["data"]["groups"].as_array()?.is_empty()).then_some(())
    });
    assert!(filled.is_some(), "the simulated fleet has a service `web`: {}", server.log());
    let commands = commands();
    assert!(commands.len() >= 6, "the guides have commands: {commands:?}");
    for line in &commands {
        if line.starts_with("curl") {
            run_curl(line, &server);
        } else if let Some(words) = line.strip_prefix("cargo run --release -p plimsoll-agent -- ") {
            check_flags(line, words, "PLIMSOLL_TEST_AGENT_BIN");
        } else if let Some(words) = line.strip_prefix("cargo run --release -- ") {
            check_flags(line, words, "PLIMSOLL_TEST_BIN");
        } else {
            assert_eq!(line, "cargo xtask test", "a command no test knows");
        }
    }
}
