//! Says how the server is doing while it runs: one line rewritten each second on a terminal, one
//! log line a minute elsewhere.

use std::time::Duration;

use plimsoll_ingest::Ingest;
use plimsoll_serve::CollectorProbe;
use plimsoll_store::{Store, StoreStatus};
use tokio_util::sync::CancellationToken;

use crate::terminal::Terminal;

const STATUS_EVERY: Duration = Duration::from_secs(1);
const LOG_EVERY: Duration = Duration::from_mins(1);
/// Seconds over which the rate on the terminal is averaged.
const RATE_OVER_S: usize = 10;

/// Watches until `end`.
pub(crate) async fn watch(
    terminal: &mut Terminal,
    store: &Store,
    ingest: &Ingest,
    collector: Option<&CollectorProbe>,
    end: &CancellationToken,
) -> std::io::Result<()> {
    let every = if terminal.is_terminal() { STATUS_EVERY } else { LOG_EVERY };
    let mut ticks = tokio::time::interval(every);
    let mut counts: Vec<u64> = Vec::new();
    loop {
        tokio::select! {
            () = end.cancelled() => return Ok(()),
            _ = ticks.tick() => {}
        }
        let samples = ingest.counts().samples;
        counts.push(samples);
        if counts.len() > RATE_OVER_S + 1 {
            counts.remove(0);
        }
        let status = store.status();
        let disk_bytes = bytes_on_disk(&status);
        if terminal.is_terminal() {
            let spans = u64::try_from(counts.len() - 1).unwrap_or(1).max(1);
            let grown = samples - counts.first().copied().unwrap_or(samples);
            let containers = collector.map(|probe| format!("{} containers, ", probe().containers));
            let line = format!(
                "{}{} samples, {} samples/s, {} on disk",
                containers.unwrap_or_default(),
                samples,
                grown / spans / every.as_secs().max(1),
                human(disk_bytes)
            );
            terminal.status(&line)?;
        } else {
            let frames = status.frames_new;
            tracing::info!(samples, frames, disk_bytes, segments = status.segments, "server ran");
        }
    }
}

/// Bytes of segments and write-ahead log.
fn bytes_on_disk(status: &StoreStatus) -> u64 {
    status.tables.iter().map(|table| table.bytes).sum::<u64>() + status.wal_bytes
}

#[expect(clippy::cast_precision_loss, reason = "one digit after the point is shown")]
fn human(bytes: u64) -> String {
    match bytes {
        0..=9_999 => format!("{bytes} B"),
        10_000..=9_999_999 => format!("{:.1} kB", bytes as f64 / 1e3),
        10_000_000..=9_999_999_999 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}
