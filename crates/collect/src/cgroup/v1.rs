//! Files of cgroup version 1, one tree per controller.

use crate::fields;
use crate::folder::{Buffer, Folder};
use crate::usage::{BlkioUsage, ContainerUsage, Device, Sample};

/// One tick of `cpuacct.stat` in microseconds: `USER_HZ` is 100 on every Linux that runs Docker.
const TICK_US: u64 = 10_000;

/// Limits at or above this are the kernel's way to say none.
const UNLIMITED_BYTES_MIN: u64 = 1 << 60;

/// The folders of one container.
#[derive(Debug, Default)]
pub(super) struct Folders {
    pub(super) cpu: Option<Folder>,
    pub(super) cpuacct: Option<Folder>,
    pub(super) memory: Option<Folder>,
    pub(super) pids: Option<Folder>,
    pub(super) blkio: Option<Folder>,
}

impl Folders {
    pub(super) fn any(&self) -> bool {
        self.first().is_some()
    }

    pub(super) fn first(&self) -> Option<&Folder> {
        let all = [&self.memory, &self.cpuacct, &self.cpu, &self.pids, &self.blkio];
        all.into_iter().flatten().next()
    }

    pub(super) fn read(&self, sample: &mut Sample, buffer: &mut Buffer) {
        if let Some(folder) = &self.cpuacct {
            read_cpuacct(folder, &mut sample.usage, buffer);
        }
        if let Some(folder) = &self.cpu {
            read_cpu(folder, &mut sample.usage, buffer);
        }
        if let Some(folder) = &self.memory {
            read_memory(folder, &mut sample.usage, buffer);
        }
        if let Some(folder) = &self.pids {
            sample.usage.pids = folder.number("pids.current", buffer);
            sample.usage.pids_limit = folder.number("pids.max", buffer);
        }
        if let Some(folder) = &self.blkio {
            read_blkio(folder, sample, buffer);
        }
        if let Some(text) = self.first().and_then(|f| f.read("cgroup.procs", buffer)) {
            sample.usage.processes = u64::try_from(fields::lines(text).count()).ok();
        }
    }
}

fn read_cpuacct(folder: &Folder, usage: &mut ContainerUsage, buffer: &mut Buffer) {
    usage.cpu_usage_us = folder.number("cpuacct.usage", buffer).map(|ns| ns / 1_000);
    for (key, ticks) in folder.read("cpuacct.stat", buffer).into_iter().flat_map(fields::pairs) {
        match key {
            b"user" => usage.cpu_user_us = ticks.checked_mul(TICK_US),
            b"system" => usage.cpu_system_us = ticks.checked_mul(TICK_US),
            _ => {}
        }
    }
}

fn read_cpu(folder: &Folder, usage: &mut ContainerUsage, buffer: &mut Buffer) {
    for (key, value) in folder.read("cpu.stat", buffer).into_iter().flat_map(fields::pairs) {
        match key {
            b"nr_periods" => usage.cpu_periods = Some(value),
            b"nr_throttled" => usage.cpu_throttled_periods = Some(value),
            b"throttled_time" => usage.cpu_throttled_us = Some(value / 1_000),
            b"nr_bursts" => usage.cpu_burst_periods = Some(value),
            b"burst_time" => usage.cpu_burst_us = Some(value / 1_000),
            _ => {}
        }
    }
    usage.cpu_quota_us = folder.number("cpu.cfs_quota_us", buffer);
    usage.cpu_period_us = folder.number("cpu.cfs_period_us", buffer);
    usage.cpu_shares = folder.number("cpu.shares", buffer);
}

fn read_memory(folder: &Folder, usage: &mut ContainerUsage, buffer: &mut Buffer) {
    let limited = |bytes: &u64| *bytes < UNLIMITED_BYTES_MIN;
    usage.memory_usage_bytes = folder.number("memory.usage_in_bytes", buffer);
    usage.memory_peak_bytes = folder.number("memory.max_usage_in_bytes", buffer);
    usage.memory_failcnt = folder.number("memory.failcnt", buffer);
    usage.memory_kernel_bytes = folder.number("memory.kmem.usage_in_bytes", buffer);
    usage.memory_limit_bytes = folder.number("memory.limit_in_bytes", buffer).filter(limited);
    usage.memory_reservation_bytes =
        folder.number("memory.soft_limit_in_bytes", buffer).filter(limited);
    usage.memory_swap_limit_bytes =
        folder.number("memory.memsw.limit_in_bytes", buffer).filter(limited);
    for (key, value) in folder.read("memory.stat", buffer).into_iter().flat_map(fields::pairs) {
        let place = match key {
            b"total_rss" => &mut usage.memory_rss_bytes,
            b"total_cache" => &mut usage.memory_cache_bytes,
            b"total_mapped_file" => &mut usage.memory_mapped_file_bytes,
            b"total_shmem" => &mut usage.memory_shmem_bytes,
            b"total_swap" => &mut usage.memory_swap_bytes,
            b"total_active_file" => &mut usage.memory_active_file_bytes,
            b"total_inactive_file" => &mut usage.memory_inactive_file_bytes,
            b"total_active_anon" => &mut usage.memory_active_anon_bytes,
            b"total_inactive_anon" => &mut usage.memory_inactive_anon_bytes,
            b"total_dirty" => &mut usage.memory_dirty_bytes,
            b"total_writeback" => &mut usage.memory_writeback_bytes,
            b"total_pgfault" => &mut usage.memory_pgfault,
            b"total_pgmajfault" => &mut usage.memory_pgmajfault,
            _ => continue,
        };
        *place = Some(value);
    }
    for (key, value) in
        folder.read("memory.oom_control", buffer).into_iter().flat_map(fields::pairs)
    {
        if key == b"oom_kill" {
            usage.oom_kills = Some(value);
        }
    }
}

fn read_blkio(folder: &Folder, sample: &mut Sample, buffer: &mut Buffer) {
    const BYTES: &[&str] =
        &["blkio.throttle.io_service_bytes_recursive", "blkio.throttle.io_service_bytes"];
    const OPERATIONS: &[&str] =
        &["blkio.throttle.io_serviced_recursive", "blkio.throttle.io_serviced"];
    let mut each = |files: &[&str], set: fn(&mut BlkioUsage, &[u8], u64)| {
        for file in files {
            let Some(text) = folder.read(file, buffer) else { continue };
            for (device, operation, value) in fields::lines(text).filter_map(entry) {
                set(sample.device(device), operation, value);
            }
            break;
        }
    };
    each(BYTES, |usage, operation, value| match operation {
        b"Read" => usage.read_bytes = Some(value),
        b"Write" => usage.write_bytes = Some(value),
        b"Discard" => usage.discard_bytes = Some(value),
        _ => {}
    });
    each(OPERATIONS, |usage, operation, value| match operation {
        b"Read" => usage.read_ops = Some(value),
        b"Write" => usage.write_ops = Some(value),
        b"Discard" => usage.discard_ops = Some(value),
        _ => {}
    });
    each(&["blkio.io_service_time_recursive"], |usage, operation, ns| match operation {
        b"Read" => usage.read_time_us = Some(ns / 1_000),
        b"Write" => usage.write_time_us = Some(ns / 1_000),
        _ => {}
    });
    each(&["blkio.io_wait_time_recursive"], |usage, operation, ns| match operation {
        b"Read" => usage.read_wait_us = Some(ns / 1_000),
        b"Write" => usage.write_wait_us = Some(ns / 1_000),
        _ => {}
    });
    each(&["blkio.io_merged_recursive"], |usage, operation, value| match operation {
        b"Read" => usage.reads_merged = Some(value),
        b"Write" => usage.writes_merged = Some(value),
        _ => {}
    });
    each(&["blkio.io_queued_recursive"], |usage, operation, value| {
        if operation == b"Total" {
            usage.io_queued = Some(value);
        }
    });
    each(&["blkio.time_recursive"], |usage, _, ms| usage.io_time_us = ms.checked_mul(1_000));
    each(&["blkio.sectors_recursive"], |usage, _, value| usage.sectors = Some(value));
}

/// Reads `8:0 Read 4096` or `8:0 4096`; the sum over all devices is left out.
fn entry(line: &[u8]) -> Option<(Device, &[u8], u64)> {
    let mut words = fields::words(line);
    let device = super::v2::device(words.next()?)?;
    let second = words.next()?;
    match words.next() {
        Some(third) => Some((device, second, fields::number(third)?)),
        None => Some((device, b"", fields::number(second)?)),
    }
}
