//! Other tools read the data directory and get what the API says.

use std::process::Command;
use std::time::Duration;

use plimsoll_tests::server::{Server, program};
use plimsoll_tests::wait::wait_until;
use serde_json::Value;

const TOTALS: &str = "
import duckdb, sys
files = sys.argv[1] + '/segments/table=container/resolution=raw/*/*.parquet'
row = duckdb.sql(f\"\"\"select count(*), sum(memory_usage_bytes)::double, max(memory_usage_bytes)
    from read_parquet('{files}') where service = 'web'\"\"\").fetchall()[0]
print(*row)
";

/// `duckdb` reads the segments and gets the same totals as the API.
#[test]
fn duckdb_reads_segments() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut server = Server::start(&data, &["up", "--simulate"]);
    let filled = wait_until(Duration::from_secs(60), || {
        let answer = server.json("/api/v1/history?metric=memory_usage_bytes&service=web&step=1h");
        (!answer["data"]["groups"].as_array()?.is_empty()).then_some(())
    });
    assert!(filled.is_some(), "the simulated fleet fills the store: {}", server.log());
    assert!(server.stop(), "a stop flushes: {}", server.log());

    let server = Server::start(&data, &["serve"]);
    let largest = totals(&server, "max").into_iter().fold(0.0, f64::max);
    let sum: f64 = totals(&server, "sum").iter().sum();
    let output = Command::new(program("PLIMSOLL_TEST_PYTHON"))
        .args(["-c", TOTALS])
        .arg(&data)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|n| n.parse().ok()).collect();
    assert_eq!(numbers.len(), 3, "duckdb answers: {text} {errors}");
    assert!(numbers[0] > 100.0, "rows are in segments: {text}");
    assert!((numbers[1] / sum - 1.0).abs() < 1e-9, "duckdb sums to {}, API {sum}", numbers[1]);
    assert!((numbers[2] - largest).abs() < 0.5, "duckdb finds {}, API {largest}", numbers[2]);
}

/// What the API says of the memory of service `web`, day by day.
fn totals(server: &Server, stat: &str) -> Vec<f64> {
    let across = if stat == "max" { "max" } else { "sum" };
    let answer = server.json(&format!(
        "/api/v1/history?metric=memory_usage_bytes&service=web&by=cluster&from=-3d&step=1d\
         &stat={stat}&across={across}"
    ));
    let values = answer["data"]["groups"][0]["values"].as_array().unwrap();
    values.iter().filter_map(Value::as_f64).collect()
}
