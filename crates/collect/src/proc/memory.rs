//! `/proc/meminfo` and `/proc/vmstat`.

use plimsoll_model::BatchBuilder;
use plimsoll_model::batch::RowError;

use crate::fields;

fn bytes_of(value: &[u8]) -> Option<u64> {
    fields::words(value).next().and_then(fields::number)?.checked_mul(1_024)
}

/// The machine's memory in bytes.
pub(super) fn total_bytes(text: &[u8]) -> Option<u64> {
    fields::lines(text).find_map(|line| bytes_of(line.strip_prefix(b"MemTotal:")?))
}

pub(super) fn write_meminfo(text: &[u8], node: &mut BatchBuilder) -> Result<(), RowError> {
    for line in fields::lines(text) {
        let Some((key, value)) = fields::split_at(line, b':') else { continue };
        let column = match key {
            b"MemTotal" => "memory_total_bytes",
            b"MemFree" => "memory_free_bytes",
            b"MemAvailable" => "memory_available_bytes",
            b"Buffers" => "memory_buffers_bytes",
            b"Cached" => "memory_cached_bytes",
            b"SReclaimable" => "memory_slab_reclaimable_bytes",
            b"SUnreclaim" => "memory_slab_unreclaimable_bytes",
            b"Shmem" => "memory_shmem_bytes",
            b"Active" => "memory_active_bytes",
            b"Inactive" => "memory_inactive_bytes",
            b"AnonPages" => "memory_anon_bytes",
            b"Mapped" => "memory_mapped_bytes",
            b"Dirty" => "memory_dirty_bytes",
            b"Writeback" => "memory_writeback_bytes",
            b"Committed_AS" => "memory_committed_bytes",
            b"CommitLimit" => "memory_commit_limit_bytes",
            b"SwapTotal" => "swap_total_bytes",
            b"SwapFree" => "swap_free_bytes",
            b"SwapCached" => "swap_cached_bytes",
            _ => continue,
        };
        node.unsigned(column, bytes_of(value))?;
    }
    Ok(())
}

pub(super) fn write_vmstat(text: &[u8], node: &mut BatchBuilder) -> Result<(), RowError> {
    for (key, value) in fields::pairs(text) {
        let column = match key {
            b"pgfault" => "pgfault",
            b"pgmajfault" => "pgmajfault",
            b"pswpin" => "pages_swapped_in",
            b"pswpout" => "pages_swapped_out",
            b"oom_kill" => "oom_kills",
            _ => continue,
        };
        node.unsigned(column, Some(value))?;
    }
    Ok(())
}
