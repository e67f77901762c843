//! What a process cost: CPU seconds of user and system together, and peak resident memory.

use std::fs;

/// CPU seconds (user + system) of this process so far, all threads.
pub fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let field = |index: usize| -> f64 {
        after_name.split_whitespace().nth(index).and_then(|n| n.parse().ok()).unwrap_or(0.0)
    };
    let ticks_per_second = rustix::param::clock_ticks_per_second() as f64;
    (field(11) + field(12)) / ticks_per_second
}

/// Peak resident memory of this process, in bytes.
pub fn peak_memory_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// Bytes of all files below a folder.
pub fn folder_bytes(folder: &std::path::Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => folder_bytes(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}
