//! What the operator of a fleet pays for keeping it: frames in, durable, flushed to segments.
//!
//! `cargo bench -p plimsoll-bench --bench ingest [-- SCENARIO...]` (default: d6 and d6-live).
//! Each run is a process of its own, so that CPU seconds and peak memory are its alone.

use std::process::Command;

use plimsoll_bench::{frames, ingest, result, scenario};

/// The server's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let words: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let outcome = match words.as_slice() {
        [child, name] if child == "child" => measure(name),
        [] => all(&["d6".to_owned(), "d6-live".to_owned()]),
        names => all(names),
    };
    if let Err(text) = outcome {
        eprintln!("{text}");
        std::process::exit(1);
    }
}

/// Measures one scenario in this process and prints the numbers as JSON.
fn measure(name: &str) -> Result<(), String> {
    let scenario = scenario::read(name)?;
    let file = frames::file(name, &scenario, &frames::folder())?;
    let folder = tempfile::tempdir_in(frames::folder()).map_err(|error| error.to_string())?;
    let measured = ingest::run(&file, folder.path(), frames::end_ms(&scenario))?;
    println!("{}", serde_json::to_string(&measured).map_err(|error| error.to_string())?);
    Ok(())
}

fn all(names: &[String]) -> Result<(), String> {
    for name in names {
        let scenario = scenario::read(name)?;
        frames::file(name, &scenario, &frames::folder())?;
        let this = std::env::current_exe().map_err(|error| error.to_string())?;
        let output = Command::new(this)
            .args(["child", name])
            .stderr(std::process::Stdio::inherit())
            .output()
            .map_err(|error| format!("cannot run the measured process: {error}"))?;
        if !output.status.success() {
            return Err(format!("{name}: the measured process failed"));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let measured: ingest::Measured =
            serde_json::from_str(text.trim()).map_err(|error| format!("{name}: {error}"))?;
        println!(
            "{name}: {:.2} M samples per CPU-s, {:.2} CPU-s, peak {:.0} MiB, {:.3} B per sample",
            measured.million_samples_per_cpu_s,
            measured.cpu_s,
            measured.peak_memory_bytes as f64 / 1048576.0,
            measured.bytes_per_sample
        );
        let value = serde_json::to_value(&measured).map_err(|error| error.to_string())?;
        result::write(&format!("ingest-{name}"), &value)?;
    }
    Ok(())
}
