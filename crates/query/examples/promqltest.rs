//! Runs files in Prometheus's test language over series in memory.
//!
//! `promqltest FILE...` prints what failed, a line per file, and last `N passed, M failed,
//! K unsupported`. Exit code 1 when something failed or a file cannot be read.

use std::io::{self, Write};
use std::process::ExitCode;

use plimsoll_query::promql::testlang::run_script;

fn main() -> io::Result<ExitCode> {
    let mut out = io::stdout().lock();
    let (mut passed, mut failed, mut unsupported) = (0, 0, 0);
    for path in std::env::args().skip(1) {
        let text = std::fs::read_to_string(&path)
            .map_err(|error| io::Error::new(error.kind(), format!("{path}: {error}")))?;
        match run_script(&text) {
            Ok(report) => {
                for failure in &report.failures {
                    writeln!(out, "{path}:{}: {}", failure.line, failure.query)?;
                    writeln!(out, "    {}", failure.reason)?;
                }
                let failures = report.failures.len();
                let (good, unknown) = (report.passed, report.unsupported);
                writeln!(out, "{path}: {good} passed, {failures} failed, {unknown} unsupported")?;
                passed += good;
                failed += failures;
                unsupported += unknown;
            }
            Err(error) => {
                writeln!(out, "{path}: {error}")?;
                failed += 1;
            }
        }
    }
    writeln!(out, "{passed} passed, {failed} failed, {unsupported} unsupported")?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
