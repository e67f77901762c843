//! What `cargo xtask test` runs, in which order.

use crate::engine::Engine;
use crate::install;
use crate::run::{Counts, check, command, count_tests, say, target};

/// Formatting.
pub(crate) fn format() -> Result<(), String> {
    check(command("cargo", &["fmt", "--all", "--check"]))
}

/// Clippy with warnings denied.
pub(crate) fn lint() -> Result<(), String> {
    let arguments = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    check(command("cargo", &arguments))
}

/// Tests that need no engine: all crates, and the tree's own rules.
pub(crate) fn unit() -> Result<(), String> {
    closing(unit_counts()?)
}

/// End-to-end tests whose names contain `filter`.
pub(crate) fn end_to_end(filter: &str) -> Result<(), String> {
    install::everything()?;
    closing(end_to_end_counts(filter)?)
}

/// Everything.
pub(crate) fn all() -> Result<(), String> {
    install::everything()?;
    format()?;
    lint()?;
    let unit = unit_counts()?;
    let whole = end_to_end_counts("")?;
    closing(Counts { passed: unit.passed + whole.passed, failed: unit.failed + whole.failed })
}

fn unit_counts() -> Result<Counts, String> {
    let mut tests = command("cargo", &["test", "--workspace", "--no-fail-fast"]);
    // The rigs must also catch the bugs that are planted for them.
    tests.args(["--features", "plimsoll-bench/sabotage", "--", "--skip", "e2e::"]);
    count_tests(tests)
}

fn end_to_end_counts(filter: &str) -> Result<Counts, String> {
    let packages = ["build", "--release", "-p", "plimsoll", "-p", "plimsoll-agent"];
    check(command("cargo", &packages))?;
    let engine = Engine::start()?;
    let name = format!("e2e::{filter}");
    let mut tests = command("cargo", &["test", "-p", "plimsoll-tests", "--test", "all", "--"]);
    tests.args([name.as_str(), "--test-threads", "2"]);
    tests.env("PLIMSOLL_TEST_ENGINE", engine.host());
    tests.env("PLIMSOLL_TEST_BIN", target().join("release/plimsoll"));
    tests.env("PLIMSOLL_TEST_AGENT_BIN", target().join("release/plimsoll-agent"));
    tests.env("PLIMSOLL_TEST_PYTHON", install::python());
    count_tests(tests)
}

fn closing(counts: Counts) -> Result<(), String> {
    say(&format!("{} passed, {} failed", counts.passed, counts.failed));
    if counts.failed == 0 && counts.passed > 0 { Ok(()) } else { Err("tests failed".to_owned()) }
}
