//! Reads `bench/scenarios/<name>.toml`: how large a made-up fleet a benchmark uses.

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// A fleet and how its rows are put into frames.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What this scenario stands for.
    pub help: String,
    /// Docker nodes.
    pub nodes: u32,
    /// Containers on each.
    pub containers_per_node: u32,
    /// Hours of history, sampled every 10 s.
    pub hours: u32,
    /// How many ticks of one node and table go into one frame. An agent that ships at once
    /// makes frames of 1; one that catches up makes larger ones.
    pub ticks_per_frame: usize,
    /// How many frames one request carries.
    pub frames_per_request: usize,
}

/// The folder of the bench package.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

/// Reads one scenario by name.
///
/// # Errors
///
/// A sentence that names the file and what is wrong with it.
pub fn read(name: &str) -> Result<Scenario, String> {
    let path = folder().join("scenarios").join(format!("{name}.toml"));
    let text = std::fs::read_to_string(&path)
        .map_err(|error| format!("cannot read scenario {}: {error}", path.display()))?;
    toml::from_str(&text).map_err(|error| format!("scenario {}: {error}", path.display()))
}
