//! Keeps what was measured, with the machine and the commit, in `bench/results/`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::scenario;

/// Writes `bench/results/<name>.json` and gives its path.
///
/// # Errors
///
/// A sentence that names the file and what the operating system said.
pub fn write(name: &str, measured: &Value) -> Result<PathBuf, String> {
    let folder = scenario::folder().join("results");
    let path = folder.join(format!("{name}.json"));
    let whole = json!({ "bench": name, "machine": machine(), "commit": commit(),
        "measured": measured });
    let text = serde_json::to_string_pretty(&whole).map_err(|error| error.to_string())?;
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(&path, text + "\n"))
        .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    Ok(path)
}

fn machine() -> Value {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let model = model.trim_start_matches(['\t', ' ', ':']).to_owned();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    json!({ "cpu": model, "cores": cores })
}

fn commit() -> String {
    let output = Command::new("git")
        .args(["rev-parse", "--short", "HEAD"])
        .current_dir(scenario::folder())
        .output();
    output.map_or_else(|_| String::new(), |o| String::from_utf8_lossy(&o.stdout).trim().to_owned())
}
