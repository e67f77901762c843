//! `/proc/diskstats`: what block devices did, and what they are called.

use std::collections::HashMap;
use std::path::Path;

use plimsoll_model::batch::RowError;
use plimsoll_model::{BatchBuilder, Subject};

use crate::fields;
use crate::usage::Device;

/// The kernel counts sectors of this size, whatever the device's own.
const SECTOR_BYTES: u64 = 512;

/// Columns of `node_disk` in the order of a line, and what a value is multiplied by.
const COLUMNS: [(&str, u64); 17] = [
    ("reads", 1),
    ("reads_merged", 1),
    ("read_bytes", SECTOR_BYTES),
    ("read_time_ms", 1),
    ("writes", 1),
    ("writes_merged", 1),
    ("write_bytes", SECTOR_BYTES),
    ("write_time_ms", 1),
    ("in_flight", 1),
    ("io_time_ms", 1),
    ("io_time_weighted_ms", 1),
    ("discards", 1),
    // Merged discards have no column.
    ("", 1),
    ("discard_bytes", SECTOR_BYTES),
    ("discard_time_ms", 1),
    ("flushes", 1),
    ("flush_time_ms", 1),
];

/// Writes a row per block device; partitions, loop and RAM devices are left out.
pub(super) fn write(
    text: &[u8],
    root: &Path,
    time_ms: i64,
    subject: &Subject,
    disk: &mut BatchBuilder,
) -> Result<(), RowError> {
    for line in fields::lines(text) {
        let mut words = fields::words(line).skip(2);
        let Some(name) = words.next().and_then(|name| std::str::from_utf8(name).ok()) else {
            continue;
        };
        if left_out(root, name) {
            continue;
        }
        disk.row(time_ms, subject, &[name]);
        for ((column, times), word) in COLUMNS.iter().zip(words) {
            if !column.is_empty() {
                let value = fields::number(word).and_then(|value| value.checked_mul(*times));
                disk.unsigned(column, value)?;
            }
        }
    }
    Ok(())
}

fn left_out(root: &Path, name: &str) -> bool {
    let made_up = ["loop", "ram", "zram", "fd", "sr"].iter().any(|prefix| {
        name.strip_prefix(prefix).is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()))
    });
    made_up || root.join("sys/class/block").join(name).join("partition").exists()
}

/// Names of block devices by number.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeviceNames {
    names: HashMap<Device, String>,
}

impl DeviceNames {
    /// Reads `/proc/diskstats`.
    pub(crate) fn parse(text: &[u8]) -> Self {
        let names = fields::lines(text).filter_map(|line| {
            let mut words = fields::words(line);
            let major = words.next().and_then(fields::number)?;
            let minor = words.next().and_then(fields::number)?;
            let name = String::from_utf8_lossy(words.next()?).into_owned();
            Some((Device { major, minor }, name))
        });
        Self { names: names.collect() }
    }

    /// The device's name, or `major:minor` where the machine has none for it.
    pub(crate) fn name(&self, device: Device) -> String {
        let name = self.names.get(&device).cloned();
        name.unwrap_or_else(|| format!("{}:{}", device.major, device.minor))
    }
}
