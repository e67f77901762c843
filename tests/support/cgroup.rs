//! Reads a container's cgroup from outside, as the judge of what Plimsoll says.

use std::fs;
use std::path::PathBuf;

/// CPU time used by a container since it started, in seconds; cgroup v1 or v2.
pub fn cpu_seconds(container_id: &str) -> f64 {
    if let Some(text) = read(container_id, "cpuacct", "cpuacct.usage") {
        return text.trim().parse::<f64>().unwrap() / 1e9;
    }
    let text = read(container_id, "", "cpu.stat").expect("the container has a cgroup");
    let line = text.lines().find_map(|line| line.strip_prefix("usage_usec ")).unwrap();
    line.parse::<f64>().unwrap() / 1e6
}

/// Memory in use without inactive file cache, in bytes.
pub fn working_set_bytes(container_id: &str) -> f64 {
    let (usage, stat, key) = match read(container_id, "memory", "memory.usage_in_bytes") {
        Some(usage) => (usage, read(container_id, "memory", "memory.stat"), "total_inactive_file "),
        None => (
            read(container_id, "", "memory.current").unwrap(),
            read(container_id, "", "memory.stat"),
            "inactive_file ",
        ),
    };
    let stat = stat.unwrap();
    let inactive = stat.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    usage.trim().parse::<f64>().unwrap() - inactive.parse::<f64>().unwrap()
}

/// Bytes received and sent on `eth0` of the process's network namespace.
pub fn network_bytes(pid: &str) -> (f64, f64) {
    let text = fs::read_to_string(format!("/proc/{pid}/net/dev")).unwrap();
    let line = text.lines().find_map(|line| line.trim().strip_prefix("eth0:")).unwrap();
    let numbers: Vec<f64> = line.split_whitespace().map(|n| n.parse().unwrap()).collect();
    (numbers[0], numbers[8])
}

fn read(container_id: &str, controller: &str, file: &str) -> Option<String> {
    let places = [
        format!("/sys/fs/cgroup/{controller}/docker/{container_id}"),
        format!("/sys/fs/cgroup/{controller}/system.slice/docker-{container_id}.scope"),
    ];
    places.iter().find_map(|place| fs::read_to_string(PathBuf::from(place).join(file)).ok())
}
