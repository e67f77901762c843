//! Files of cgroup version 2: one folder holds every controller.

use super::mounts::Controllers;
use crate::fields;
use crate::folder::{Buffer, Folder};
use crate::usage::{ContainerUsage, Device, Sample};

/// The weight of a container nobody gave shares to, and what those shares are.
const USUAL_WEIGHT: u64 = 100;
const USUAL_SHARES: u64 = 1_024;

pub(super) fn read(folder: &Folder, on: Controllers, sample: &mut Sample, buffer: &mut Buffer) {
    if on.cpu {
        read_cpu(folder, &mut sample.usage, buffer);
    }
    if on.memory {
        read_memory(folder, &mut sample.usage, buffer);
        read_memory_stat(folder, &mut sample.usage, buffer);
    }
    if on.pids {
        sample.usage.pids = folder.number("pids.current", buffer);
        sample.usage.pids_limit = folder.number("pids.max", buffer);
    }
    if on.io {
        for line in folder.read("io.stat", buffer).into_iter().flat_map(fields::lines) {
            read_io(line, sample);
        }
    }
    let usage = &mut sample.usage;
    let mut stalls = |file: &str| folder.read(file, buffer).map(fields::pressure);
    (usage.cpu_pressure_some_us, usage.cpu_pressure_full_us) =
        stalls("cpu.pressure").unwrap_or_default();
    (usage.memory_pressure_some_us, usage.memory_pressure_full_us) =
        stalls("memory.pressure").unwrap_or_default();
    (usage.io_pressure_some_us, usage.io_pressure_full_us) =
        stalls("io.pressure").unwrap_or_default();
    if let Some(text) = folder.read("cgroup.procs", buffer) {
        usage.processes = u64::try_from(fields::lines(text).count()).ok();
    }
}

fn read_cpu(folder: &Folder, usage: &mut ContainerUsage, buffer: &mut Buffer) {
    for (key, value) in folder.read("cpu.stat", buffer).into_iter().flat_map(fields::pairs) {
        let place = match key {
            b"usage_usec" => &mut usage.cpu_usage_us,
            b"user_usec" => &mut usage.cpu_user_us,
            b"system_usec" => &mut usage.cpu_system_us,
            b"nr_periods" => &mut usage.cpu_periods,
            b"nr_throttled" => &mut usage.cpu_throttled_periods,
            b"throttled_usec" => &mut usage.cpu_throttled_us,
            b"nr_bursts" => &mut usage.cpu_burst_periods,
            b"burst_usec" => &mut usage.cpu_burst_us,
            _ => continue,
        };
        *place = Some(value);
    }
    if let Some(text) = folder.read("cpu.max", buffer) {
        let mut words = fields::words(text);
        usage.cpu_quota_us = words.next().and_then(fields::number);
        usage.cpu_period_us = words.next().and_then(fields::number);
    }
    usage.cpu_shares = folder.number("cpu.weight", buffer).map(shares);
}

/// Undoes what container runtimes do to shares: `weight = 1 + (shares - 2) * 9999 / 262142`.
fn shares(weight: u64) -> u64 {
    if weight == USUAL_WEIGHT {
        return USUAL_SHARES;
    }
    weight.saturating_sub(1).saturating_mul(262_142) / 9_999 + 2
}

fn read_memory(folder: &Folder, usage: &mut ContainerUsage, buffer: &mut Buffer) {
    usage.memory_usage_bytes = folder.number("memory.current", buffer);
    usage.memory_peak_bytes = folder.number("memory.peak", buffer);
    usage.memory_swap_bytes = folder.number("memory.swap.current", buffer);
    usage.memory_limit_bytes = folder.number("memory.max", buffer);
    usage.memory_reservation_bytes = folder.number("memory.low", buffer).filter(|bytes| *bytes > 0);
    let swap = folder.number("memory.swap.max", buffer);
    usage.memory_swap_limit_bytes =
        usage.memory_limit_bytes.zip(swap).and_then(|(memory, swap)| memory.checked_add(swap));
    for (key, value) in folder.read("memory.events", buffer).into_iter().flat_map(fields::pairs) {
        let place = match key {
            b"high" => &mut usage.memory_events_high,
            b"max" => &mut usage.memory_events_max,
            b"oom" => &mut usage.memory_failcnt,
            b"oom_kill" => &mut usage.oom_kills,
            _ => continue,
        };
        *place = Some(value);
    }
}

fn read_memory_stat(folder: &Folder, usage: &mut ContainerUsage, buffer: &mut Buffer) {
    let (mut kernel_stack, mut slab, mut sock) = (None, None, None);
    for (key, value) in folder.read("memory.stat", buffer).into_iter().flat_map(fields::pairs) {
        let place = match key {
            b"anon" => &mut usage.memory_rss_bytes,
            b"file" => &mut usage.memory_cache_bytes,
            b"file_mapped" => &mut usage.memory_mapped_file_bytes,
            b"shmem" => &mut usage.memory_shmem_bytes,
            b"kernel" => &mut usage.memory_kernel_bytes,
            b"kernel_stack" => &mut kernel_stack,
            b"slab" => &mut slab,
            b"sock" => &mut sock,
            b"slab_reclaimable" => &mut usage.memory_slab_reclaimable_bytes,
            b"active_file" => &mut usage.memory_active_file_bytes,
            b"inactive_file" => &mut usage.memory_inactive_file_bytes,
            b"active_anon" => &mut usage.memory_active_anon_bytes,
            b"inactive_anon" => &mut usage.memory_inactive_anon_bytes,
            b"file_dirty" => &mut usage.memory_dirty_bytes,
            b"file_writeback" => &mut usage.memory_writeback_bytes,
            b"pgfault" => &mut usage.memory_pgfault,
            b"pgmajfault" => &mut usage.memory_pgmajfault,
            b"pgscan" => &mut usage.memory_pgscan,
            b"pgsteal" => &mut usage.memory_pgsteal,
            b"workingset_refault_file" => &mut usage.memory_refault_file,
            b"workingset_refault_anon" => &mut usage.memory_refault_anon,
            _ => continue,
        };
        *place = Some(value);
    }
    usage.memory_kernel_bytes =
        usage.memory_kernel_bytes.or_else(|| kernel_memory(kernel_stack, slab, sock));
}

/// What kernels before 5.18 tell of the memory they hold for a container.
pub(crate) fn kernel_memory(
    kernel_stack: Option<u64>,
    slab: Option<u64>,
    sock: Option<u64>,
) -> Option<u64> {
    kernel_stack?.checked_add(slab?)?.checked_add(sock?)
}

/// Reads `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6`.
fn read_io(line: &[u8], sample: &mut Sample) {
    let mut words = fields::words(line);
    let Some(device) = words.next().and_then(device) else { return };
    for word in words {
        let Some((key, value)) = fields::split_at(word, b'=') else { continue };
        let Some(value) = fields::number(value) else { continue };
        let usage = sample.device(device);
        let place = match key {
            b"rbytes" => &mut usage.read_bytes,
            b"wbytes" => &mut usage.write_bytes,
            b"rios" => &mut usage.read_ops,
            b"wios" => &mut usage.write_ops,
            b"dbytes" => &mut usage.discard_bytes,
            b"dios" => &mut usage.discard_ops,
            _ => continue,
        };
        *place = Some(value);
    }
}

/// Reads `major:minor`.
pub(super) fn device(text: &[u8]) -> Option<Device> {
    let (major, minor) = fields::split_at(text, b':')?;
    Some(Device { major: fields::number(major)?, minor: fields::number(minor)? })
}
