//! How fast rows are made: the generator's own cost in front of every benchmark it feeds.
//!
//! Size: 100 nodes x 20 containers x 1 hour at 10 s.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measurement for a person to read, of wall time"
)]
#![expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]

use plimsoll_fleetsim::{Fleet, FleetConfig};
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let begun = Instant::now();
    let fleet = Fleet::new(FleetConfig::bench(100, 20, 1))?;
    let planned = begun.elapsed();
    let config = fleet.config();
    let (mut values, mut rows, mut sum) = (0, 0, 0_i64);
    let begun = Instant::now();
    let mut ticks = fleet.ticks(config.start_ms, config.end_ms);
    while let Some(tick) = ticks.next_rows() {
        values += tick.values();
        rows += tick.containers.len();
        for column in &tick.containers.values {
            sum = sum.wrapping_add(column.last().copied().flatten().unwrap_or_default());
        }
    }
    let took = begun.elapsed();
    let rate = values as f64 / took.as_secs_f64() / 1e6;
    println!("planned {} containers in {planned:?}", fleet.containers().len());
    println!("{rows} rows, {values} values in {took:?}: {rate:.1} million values/s (sum {sum})");
    Ok(())
}
