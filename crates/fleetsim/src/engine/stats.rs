//! `/containers/{id}/stats`: the numbers of a container in the engine's shape.
//!
//! Keeps true: one-shot answers and first messages have no `precpu_stats`; a container that does
//! not run answers with an empty body read in year 1.
//!
//! Not here: the numbers (`moment`).

use super::moment::{Core, Phase, Shown};
use super::time::{NEVER, rfc3339};
use crate::config::Cgroup;
use crate::life::Container;
use crate::rows::{BLKIO_AT, INTERFACE, NETWORK_AT, NETWORK_METRICS};
use crate::usage::{CACHE, PIDS, RSS, RunState, USAGE, WORKING_SET};
use serde_json::{Map, Value, json};

/// What a version 1 engine shows where memory is not limited.
const NO_LIMIT_V1: i64 = 9_223_372_036_854_771_712;

/// The CPU part of the message before, and when that was read.
#[derive(Debug, Clone)]
pub(super) struct Before {
    read: String,
    cpu: Value,
}

/// A stats message and what the next one needs of it.
pub(super) fn message(
    core: &Core,
    container: &Container,
    now_ms: i64,
    before: Option<&Before>,
) -> (Value, Before) {
    let preread = before.map_or(NEVER, |before| before.read.as_str());
    let precpu = before.map_or_else(no_cpu, |before| before.cpu.clone());
    let shown = match core.phase(container, now_ms) {
        Phase::Running(run) => core.shown(run, now_ms),
        _ => None,
    };
    let mut body = json!({
        "preread": preread,
        "num_procs": 0,
        "storage_stats": {},
        "precpu_stats": precpu,
        "name": format!("/{}", container.name),
        "id": container.id,
    });
    let (read, cpu) = match &shown {
        Some(shown) => (rfc3339(now_ms), cpu(core, shown, now_ms)),
        None => (NEVER.to_owned(), no_cpu()),
    };
    body["read"] = json!(read);
    body["cpu_stats"] = cpu.clone();
    body["blkio_stats"] = blkio(core, shown.as_ref());
    body["pids_stats"] = shown.as_ref().map_or(json!({}), |s| pids(core, container, s));
    body["memory_stats"] = shown.as_ref().map_or(json!({}), |s| memory(core, container, s));
    if let Some(shown) = &shown
        && !core.service_of(container).host_network
    {
        body["networks"] = json!({ INTERFACE: network(shown) });
    }
    (body, Before { read, cpu })
}

fn no_cpu() -> Value {
    json!({
        "cpu_usage": {"total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0},
        "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
    })
}

fn cpu(core: &Core, shown: &Shown, now_ms: i64) -> Value {
    let [total, user, system, periods, throttled, throttled_us, ..] = shown.values;
    let (node, v1) = (core.node(), core.cgroup() == Cgroup::V1);
    let mut usage = json!({
        "total_usage": total * 1_000,
        "usage_in_kernelmode": system * 1_000,
        "usage_in_usermode": user * 1_000,
    });
    if v1 {
        let cores = i64::from(node.cores);
        let each = total * 1_000 / cores;
        let mut per_core = vec![each; node.cores as usize];
        per_core[0] += total * 1_000 - each * cores;
        usage["percpu_usage"] = json!(per_core);
    }
    json!({
        "cpu_usage": usage,
        // Read from clock ticks of 10 ms.
        "system_cpu_usage": node.system_cpu_us(now_ms) / 10_000 * 10_000_000,
        "online_cpus": node.cores,
        "throttling_data": {
            "periods": periods,
            "throttled_periods": throttled,
            "throttled_time": throttled_us * 1_000,
        },
    })
}

fn pids(core: &Core, container: &Container, shown: &Shown) -> Value {
    let current = shown.values[PIDS];
    match (core.service_of(container).pids_limit, core.cgroup()) {
        (Some(limit), _) => json!({"current": current, "limit": limit}),
        (None, Cgroup::V2) => json!({"current": current, "limit": u64::MAX}),
        (None, Cgroup::V1) => json!({"current": current}),
    }
}

fn network(shown: &Shown) -> Value {
    let values = NETWORK_METRICS.iter().zip(&shown.values[NETWORK_AT..]);
    Value::Object(values.map(|(name, value)| ((*name).to_owned(), json!(value))).collect())
}

const BLKIO_LISTS: [&str; 8] = [
    "io_service_bytes_recursive",
    "io_serviced_recursive",
    "io_queue_recursive",
    "io_service_time_recursive",
    "io_wait_time_recursive",
    "io_merged_recursive",
    "io_time_recursive",
    "sectors_recursive",
];

fn blkio(core: &Core, shown: Option<&Shown>) -> Value {
    let none = match (core.cgroup(), shown) {
        (Cgroup::V1, Some(_)) => json!([]),
        _ => Value::Null,
    };
    let mut lists: Map<String, Value> =
        BLKIO_LISTS.iter().map(|name| ((*name).to_owned(), none.clone())).collect();
    let Some(shown) = shown.filter(|shown| RunState::has_io(&shown.values)) else {
        return Value::Object(lists);
    };
    let [read, write, reads, writes] =
        [0, 1, 2, 3].map(|position| shown.values[BLKIO_AT + position]);
    let entry = |op: &str, value: i64| json!({"major": 8, "minor": 0, "op": op, "value": value});
    if core.cgroup() == Cgroup::V2 {
        let bytes = json!([entry("read", read), entry("write", write)]);
        lists.insert(BLKIO_LISTS[0].to_owned(), bytes);
        return Value::Object(lists);
    }
    let all = |read: i64, write: i64| {
        json!([
            entry("Read", read),
            entry("Write", write),
            entry("Sync", read),
            entry("Async", write),
            entry("Discard", 0),
            entry("Total", read + write),
        ])
    };
    lists.insert(BLKIO_LISTS[0].to_owned(), all(read, write));
    lists.insert(BLKIO_LISTS[1].to_owned(), all(reads, writes));
    Value::Object(lists)
}

fn memory(core: &Core, container: &Container, shown: &Shown) -> Value {
    let v = &shown.values;
    let (usage, rss, cache) = (v[USAGE], v[RSS], v[CACHE]);
    let (pgfault, pgmajfault) = (v[11], v[12]);
    let inactive_file = usage - v[WORKING_SET];
    let active_file = cache - inactive_file;
    let (active_anon, inactive_anon) = (rss / 16 * 15 / 4_096 * 4_096, rss - rss / 16 * 15);
    let limited = core.service_of(container).memory_limit_bytes;
    // Where nothing is limited the engine shows the memory of the machine.
    let limit = limited.unwrap_or(core.node().memory_bytes);
    if core.cgroup() == Cgroup::V2 {
        let kernel = usage - rss - cache;
        let stats = json!({
            "active_anon": active_anon, "active_file": active_file, "anon": rss, "anon_thp": 0,
            "file": cache, "file_dirty": 0, "file_mapped": cache / 8 / 4_096 * 4_096,
            "file_writeback": 0, "inactive_anon": inactive_anon,
            "inactive_file": inactive_file, "kernel_stack": 16_384, "pgactivate": 0,
            "pgdeactivate": 0, "pgfault": pgfault, "pglazyfree": 0, "pglazyfreed": 0,
            "pgmajfault": pgmajfault, "pgrefill": 0, "pgscan": 0, "pgsteal": 0, "shmem": 0,
            "slab": kernel - 16_384, "slab_reclaimable": (kernel - 16_384) / 3,
            "slab_unreclaimable": kernel - 16_384 - (kernel - 16_384) / 3, "sock": 0,
            "thp_collapse_alloc": 0, "thp_fault_alloc": 0, "unevictable": 0,
            "workingset_activate": 0, "workingset_nodereclaim": 0, "workingset_refault": 0,
        });
        return json!({"usage": usage, "stats": stats, "limit": limit});
    }
    let own = [
        ("active_anon", active_anon),
        ("active_file", active_file),
        ("cache", cache),
        ("dirty", 0),
        ("inactive_anon", inactive_anon),
        ("inactive_file", inactive_file),
        ("mapped_file", cache / 8 / 4_096 * 4_096),
        ("pgfault", pgfault),
        ("pgmajfault", pgmajfault),
        ("pgpgin", (usage + cache) / 4_096),
        ("pgpgout", cache / 4_096),
        ("rss", rss),
        ("rss_huge", 0),
        ("unevictable", 0),
        ("writeback", 0),
    ];
    let mut stats = Map::new();
    for (name, value) in own {
        stats.insert(name.to_owned(), json!(value));
        stats.insert(format!("total_{name}"), json!(value));
    }
    let hierarchical = limited.unwrap_or(NO_LIMIT_V1);
    stats.insert("hierarchical_memory_limit".to_owned(), json!(hierarchical));
    let with_swap = limited.map_or(NO_LIMIT_V1, |limit| limit * 2);
    stats.insert("hierarchical_memsw_limit".to_owned(), json!(with_swap));
    let peak = shown.memory_peak_bytes;
    json!({"usage": usage, "max_usage": peak, "stats": stats, "limit": limit})
}
