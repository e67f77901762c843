//! PromQL through its doorway: own cases in the test language, Prometheus's files where they are at
//! hand, messages of faulty queries, hostile queries, limits, and laws.

mod promql {
    pub(crate) mod laws;
    pub(crate) mod limits;
    pub(crate) mod messages;
}

use std::path::{Path, PathBuf};

use plimsoll_query::promql::testlang::{Report, run_script};

/// The `.test` files of a folder, sorted; none if it is absent.
fn scripts(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "test"));
    paths.sort();
    paths
}

/// Runs a script in which something must be evaluated and nothing may fail.
fn run(path: &Path) -> Result<Report, String> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{shown}: {error}"))?;
    let report = run_script(&text).map_err(|error| format!("{shown}: {error}"))?;
    match report.failures.first() {
        Some(first) => Err(format!("{shown}:{}: {}: {}", first.line, first.query, first.reason)),
        None if report.passed + report.unsupported == 0 => Err(format!("{shown} is empty")),
        None => Ok(report),
    }
}

#[test]
fn own_cases_pass() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/promql");
    let paths = scripts(&folder);
    assert!(paths.len() >= 8, "cases are missing in {}", folder.display());
    for path in paths {
        let report = run(&path).unwrap();
        let histograms = path.file_stem().is_some_and(|stem| stem == "native_histograms");
        assert_eq!(report.unsupported > 0, histograms, "{}", path.display());
    }
}

/// Prometheus's own files stand beside the repository; where they do not, the cases above remain.
#[test]
fn prometheus_files_pass_except_for_native_histograms() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/promqltest");
    for path in scripts(&folder) {
        run(&path).unwrap();
    }
}

#[test]
fn wrong_expectations_are_failures() {
    let script = "\
load 1m
  m 1 2 3

eval instant at 1m m
  m 3

eval instant at 1m m
  n 2

eval instant at 1m m

eval instant at 1m m
  expect fail

eval range from 0 to 2m step 1m m
  m 1 2

eval instant at 1m m +
  m 2

eval instant at 1m rate(m[2m])
  expect no_info
  {} 0.016666666666666666
";
    let report = run_script(script).unwrap();
    assert_eq!(report.passed, 0);
    assert_eq!(report.failures.len(), 7);
    let lines: Vec<usize> = report.failures.iter().map(|failure| failure.line).collect();
    assert_eq!(lines, [4, 7, 10, 12, 15, 18, 21]);
}

#[test]
fn scripts_that_cannot_be_read_say_where() {
    let cases = [
        ("nonsense", "line 1: unknown command \"nonsense\""),
        ("load 5", "line 1: \"5\" is no duration"),
        ("\nload 5m\n  m 1x", "line 3: cannot read series at \"1x\""),
        ("load 5m\n  m{a=1} 1", "line 2: cannot read series at \"{a=1}\""),
        ("eval instant at 1m m\n  expect nothing", "line 2: cannot read expectation"),
        ("eval sometimes at 1m m", "line 1: unknown command"),
    ];
    for (script, expected) in cases {
        let error = run_script(script).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error} is not {expected}");
    }
}
