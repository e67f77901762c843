//! What a sample of a recorded real fleet costs on disk in Plimsoll.

use std::path::Path;

use super::budget::Measures;
use super::dataset::{Dataset, Size};
use super::get::Tools;
use super::metric::METRICS;
use super::recording;
use super::run::tell;
use super::system::Kind;
use crate::scenario;

/// The recording, beside the repository.
const RECORDING: &str = "../../shared/data/fleet_v1.jsonl.zst";
const DAY_MS: i64 = 86_400_000;

/// Measures bytes per sample at 1 s and at 10 s.
///
/// # Errors
///
/// What is missing or went wrong.
pub fn measure(
    tools: &Tools,
    work: &Path,
    now_ms: i64,
    measures: &mut Measures,
) -> Result<(), String> {
    let recording = scenario::folder().join(RECORDING);
    // A complete day, so that it is compacted for good.
    let start_ms = now_ms - now_ms.rem_euclid(DAY_MS) - 2 * DAY_MS + DAY_MS / 4;
    for (name, every_ms) in [("1s", 1_000), ("10s", 10_000)] {
        tell(&format!("feeding the recorded fleet at {name}"));
        let folder = work.join(format!("recorded-{name}"));
        std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let mut data = empty(&folder, start_ms);
        data.samples = recording::frames(&recording, start_ms, every_ms, &data.frames())?;
        let mut system = Kind::Plimsoll.start(tools, &folder)?;
        let fed = system.feed(&data)?;
        system.end()?;
        let per_sample = fed.bytes as f64 / data.samples.max(1) as f64;
        measures.insert(format!("plimsoll.recorded_{name}_bytes_per_sample"), per_sample);
        measures.insert(format!("plimsoll.recorded_{name}_samples"), data.samples as f64);
    }
    Ok(())
}

fn empty(folder: &Path, start_ms: i64) -> Dataset {
    let size = Size {
        name: "recorded".to_owned(),
        nodes: 1,
        containers_per_node: 0,
        hours: 0,
        metrics: METRICS.len(),
        scrapes_per_request: 1,
        ends_at_midnight: false,
    };
    Dataset {
        size,
        start_ms,
        end_ms: start_ms + DAY_MS / 4,
        samples: 0,
        rows: 0,
        containers: 0,
        services: Vec::new(),
        one_container: String::new(),
        nullable: Vec::new(),
        folder: folder.to_owned(),
    }
}
