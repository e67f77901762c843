//! `net/dev`: interfaces of the machine and of containers.

use std::path::Path;

use plimsoll_model::batch::RowError;
use plimsoll_model::{BatchBuilder, Subject};

use crate::fields;
use crate::usage::NetworkUsage;

/// Columns of `node_network` in the order of a line.
const COLUMNS: [&str; 16] = [
    "rx_bytes",
    "rx_packets",
    "rx_errors",
    "rx_dropped",
    "rx_fifo",
    "rx_frame",
    "rx_compressed",
    "rx_multicast",
    "tx_bytes",
    "tx_packets",
    "tx_errors",
    "tx_dropped",
    "tx_fifo",
    "tx_collisions",
    "tx_carrier",
    "tx_compressed",
];

/// Devices that loaded tunnel modules put into every network namespace.
const FALLBACK_DEVICES: &[&str] =
    &["tunl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "sit0", "ip6tnl0", "ip6gre0"];

/// The interfaces of a `net/dev` file and the numbers of each.
fn interfaces(text: &[u8]) -> impl Iterator<Item = (&str, impl Iterator<Item = Option<u64>>)> {
    fields::lines(text).filter_map(|line| {
        let (name, numbers) = fields::split_at(line, b':')?;
        let name = std::str::from_utf8(name.trim_ascii()).ok()?;
        Some((name, fields::words(numbers).map(fields::number)))
    })
}

/// The interfaces of a container: all but the loop and the kernel's fallback devices.
pub(crate) fn container_networks(text: &[u8]) -> Vec<(String, NetworkUsage)> {
    interfaces(text)
        .filter(|(name, _)| *name != "lo" && !FALLBACK_DEVICES.contains(name))
        .map(|(name, numbers)| {
            let mut at = [None; 16];
            for (place, number) in at.iter_mut().zip(numbers) {
                *place = number;
            }
            let usage = NetworkUsage {
                rx_bytes: at[0],
                rx_packets: at[1],
                rx_errors: at[2],
                rx_dropped: at[3],
                tx_bytes: at[8],
                tx_packets: at[9],
                tx_errors: at[10],
                tx_dropped: at[11],
            };
            (name.to_owned(), usage)
        })
        .collect()
}

/// Writes a row per interface of the machine; the ends of containers' virtual cables are left
/// out.
pub(super) fn write(
    text: &[u8],
    root: &Path,
    time_ms: i64,
    subject: &Subject,
    network: &mut BatchBuilder,
) -> Result<(), RowError> {
    for (name, numbers) in interfaces(text) {
        if name.starts_with("veth") || FALLBACK_DEVICES.contains(&name) {
            continue;
        }
        network.row(time_ms, subject, &[name]);
        for (column, number) in COLUMNS.iter().zip(numbers) {
            network.unsigned(column, number)?;
        }
        let folder = root.join("sys/class/net").join(name);
        let read = |file: &str| std::fs::read(folder.join(file)).ok();
        if let Some(state) = read("operstate") {
            let up = match state.trim_ascii() {
                b"up" => Some(1),
                b"unknown" => None,
                _ => Some(0),
            };
            network.unsigned("up", up)?;
        }
        // The kernel gives megabits; -1 means that it does not know.
        let speed = read("speed").as_deref().and_then(fields::number);
        let speed = speed.filter(|megabits| *megabits > 0 && *megabits < u64::from(u32::MAX));
        let speed = speed.and_then(|megabits| megabits.checked_mul(125_000));
        network.unsigned("speed_bytes_per_second", speed)?;
        network.unsigned("mtu_bytes", read("mtu").as_deref().and_then(fields::number))?;
    }
    Ok(())
}
