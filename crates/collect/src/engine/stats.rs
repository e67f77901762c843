//! Turns an answer of `/containers/{id}/stats` into a sample.
//!
//! Only what belongs to the moment of the answer is used, never its `precpu_stats`. Holds NULL:
//! what an answer leaves out is absent. cgroup version 1 and 2 are told apart by the keys of the
//! memory statistics, because the answer does not say.

use std::collections::HashMap;

use bollard::models::{
    ContainerBlkioStatEntry, ContainerBlkioStats, ContainerCpuStats, ContainerMemoryStats,
    ContainerNetworkStats, ContainerStatsResponse,
};

use super::container::time_ms;
use crate::cgroup::v2::kernel_memory;
use crate::usage::{BlkioUsage, ContainerUsage, Device, NetworkUsage, Sample};

/// What one answer says; `None` when it was never read: a container that does not run gets an
/// empty answer whose time is year 1.
pub(crate) fn sample(answer: &ContainerStatsResponse, windows: bool) -> Option<Sample> {
    let mut sample = Sample { time_ms: time_ms(answer.read.as_deref())?, ..Sample::default() };
    let usage = &mut sample.usage;
    if let Some(cpu) = &answer.cpu_stats {
        // Windows counts in units of 100 nanoseconds.
        read_cpu(cpu, if windows { 10 } else { 1_000 }, usage);
    }
    if let Some(memory) = &answer.memory_stats {
        read_memory(memory, usage);
    }
    if windows {
        usage.pids = answer.num_procs.map(u64::from);
    } else if let Some(pids) = &answer.pids_stats {
        usage.pids = pids.current;
        usage.pids_limit = pids.limit.filter(|limit| *limit > 0 && *limit < u64::MAX);
    }
    if let Some(networks) = &answer.networks {
        sample.networks = read_networks(networks);
    }
    if let Some(blkio) = &answer.blkio_stats {
        read_blkio(blkio, &mut sample);
    }
    Some(sample)
}

fn read_cpu(cpu: &ContainerCpuStats, per_us: u64, usage: &mut ContainerUsage) {
    if let Some(time) = &cpu.cpu_usage {
        usage.cpu_usage_us = time.total_usage.map(|total| total / per_us);
        usage.cpu_user_us = time.usage_in_usermode.map(|user| user / per_us);
        usage.cpu_system_us = time.usage_in_kernelmode.map(|kernel| kernel / per_us);
    }
    if let Some(throttling) = &cpu.throttling_data {
        usage.cpu_periods = throttling.periods;
        usage.cpu_throttled_periods = throttling.throttled_periods;
        usage.cpu_throttled_us = throttling.throttled_time.map(|ns| ns / 1_000);
    }
}

fn read_memory(memory: &ContainerMemoryStats, usage: &mut ContainerUsage) {
    usage.memory_usage_bytes = memory.usage.or(memory.privateworkingset);
    usage.memory_peak_bytes = memory.max_usage.or(memory.commitpeakbytes);
    usage.memory_failcnt = memory.failcnt;
    usage.memory_limit_bytes = memory.limit;
    if let Some(bytes) = memory.privateworkingset {
        usage.memory_working_set_bytes = Some(bytes);
        return;
    }
    let Some(stats) = &memory.stats else { return };
    let v1 = stats.contains_key("total_inactive_file") || stats.contains_key("total_rss");
    let either = |v1_key: &str, v2_key: &str| stats.get(if v1 { v1_key } else { v2_key }).copied();
    let only_v2 = |key: &str| stats.get(key).copied().filter(|_| !v1);
    usage.memory_rss_bytes = either("total_rss", "anon");
    usage.memory_cache_bytes = either("total_cache", "file");
    usage.memory_mapped_file_bytes = either("total_mapped_file", "file_mapped");
    usage.memory_shmem_bytes = either("total_shmem", "shmem");
    usage.memory_active_file_bytes = either("total_active_file", "active_file");
    usage.memory_inactive_file_bytes = either("total_inactive_file", "inactive_file");
    usage.memory_active_anon_bytes = either("total_active_anon", "active_anon");
    usage.memory_inactive_anon_bytes = either("total_inactive_anon", "inactive_anon");
    usage.memory_dirty_bytes = either("total_dirty", "file_dirty");
    usage.memory_writeback_bytes = either("total_writeback", "file_writeback");
    usage.memory_pgfault = either("total_pgfault", "pgfault");
    usage.memory_pgmajfault = either("total_pgmajfault", "pgmajfault");
    usage.memory_slab_reclaimable_bytes = only_v2("slab_reclaimable");
    usage.memory_pgscan = only_v2("pgscan");
    usage.memory_pgsteal = only_v2("pgsteal");
    usage.memory_refault_file = only_v2("workingset_refault_file");
    usage.memory_refault_anon = only_v2("workingset_refault_anon");
    usage.memory_kernel_bytes =
        kernel_memory(only_v2("kernel_stack"), only_v2("slab"), only_v2("sock"));
    usage.set_working_set();
}

fn read_networks(networks: &HashMap<String, ContainerNetworkStats>) -> Vec<(String, NetworkUsage)> {
    let mut out: Vec<_> = networks
        .iter()
        .map(|(name, stats)| {
            let usage = NetworkUsage {
                rx_bytes: stats.rx_bytes,
                rx_packets: stats.rx_packets,
                rx_errors: stats.rx_errors,
                rx_dropped: stats.rx_dropped,
                tx_bytes: stats.tx_bytes,
                tx_packets: stats.tx_packets,
                tx_errors: stats.tx_errors,
                tx_dropped: stats.tx_dropped,
            };
            (name.clone(), usage)
        })
        .collect();
    out.sort_by(|(left, _), (right, _)| left.cmp(right));
    out
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Read,
    Write,
    Discard,
    Total,
    None,
}

/// The engine writes operations large on version 1 and small on version 2.
fn operation(entry: &ContainerBlkioStatEntry) -> Option<Operation> {
    let name = entry.op.as_deref().unwrap_or("").to_ascii_lowercase();
    Some(match name.as_str() {
        "read" => Operation::Read,
        "write" => Operation::Write,
        "discard" => Operation::Discard,
        "total" => Operation::Total,
        "" => Operation::None,
        // Sync and Async count again what Read and Write counted.
        _ => return None,
    })
}

fn read_blkio(blkio: &ContainerBlkioStats, sample: &mut Sample) {
    type Entries = Option<Vec<ContainerBlkioStatEntry>>;
    let mut each = |entries: &Entries, set: fn(&mut BlkioUsage, Operation, u64)| {
        for entry in entries.iter().flatten() {
            let (Some(major), Some(minor)) = (entry.major, entry.minor) else { continue };
            let (Some(operation), Some(value)) = (operation(entry), entry.value) else { continue };
            set(sample.device(Device { major, minor }), operation, value);
        }
    };
    each(&blkio.io_service_bytes_recursive, |usage, operation, value| match operation {
        Operation::Read => usage.read_bytes = Some(value),
        Operation::Write => usage.write_bytes = Some(value),
        Operation::Discard => usage.discard_bytes = Some(value),
        Operation::Total | Operation::None => {}
    });
    each(&blkio.io_serviced_recursive, |usage, operation, value| match operation {
        Operation::Read => usage.read_ops = Some(value),
        Operation::Write => usage.write_ops = Some(value),
        Operation::Discard => usage.discard_ops = Some(value),
        Operation::Total | Operation::None => {}
    });
    each(&blkio.io_service_time_recursive, |usage, operation, ns| match operation {
        Operation::Read => usage.read_time_us = Some(ns / 1_000),
        Operation::Write => usage.write_time_us = Some(ns / 1_000),
        Operation::Discard | Operation::Total | Operation::None => {}
    });
    each(&blkio.io_wait_time_recursive, |usage, operation, ns| match operation {
        Operation::Read => usage.read_wait_us = Some(ns / 1_000),
        Operation::Write => usage.write_wait_us = Some(ns / 1_000),
        Operation::Discard | Operation::Total | Operation::None => {}
    });
    each(&blkio.io_merged_recursive, |usage, operation, value| match operation {
        Operation::Read => usage.reads_merged = Some(value),
        Operation::Write => usage.writes_merged = Some(value),
        Operation::Discard | Operation::Total | Operation::None => {}
    });
    each(&blkio.io_queue_recursive, |usage, operation, value| {
        if operation == Operation::Total {
            usage.io_queued = Some(value);
        }
    });
    each(&blkio.io_time_recursive, |usage, _, ms| usage.io_time_us = ms.checked_mul(1_000));
    each(&blkio.sectors_recursive, |usage, _, value| usage.sectors = Some(value));
}

#[cfg(test)]
mod tests;
