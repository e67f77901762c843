//! What a query waits for per row: folds of sorted columns onto steps, in rows per second.
//!
//! Prints one line per shape of data; sizes are in the names. Run it optimised.

#![expect(clippy::disallowed_methods, reason = "a measurement reads the real clock")]
#![expect(clippy::cast_precision_loss, reason = "rates are shown rounded")]

use std::hint::black_box;
use std::io::{self, Write};
use std::time::Instant;

use plimsoll_window::{Bits, CounterColumn, GaugeColumn, Sketch, Steps, fold_counter, fold_gauge};

/// Rows per fold: one series at one sample per second for about twelve days.
const ROWS: i64 = 1_000_000;

fn measure(out: &mut impl Write, name: &str, mut work: impl FnMut() -> u64) -> io::Result<()> {
    black_box(work());
    let (mut best_s, mut seen) = (f64::MAX, 0);
    for _ in 0..15 {
        let started = Instant::now();
        seen = black_box(work());
        best_s = best_s.min(started.elapsed().as_secs_f64());
    }
    writeln!(out, "{name:44} {:8.1} M rows/s  ({seen})", ROWS as f64 / best_s / 1e6)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = io::stdout().lock();
    let times: Vec<i64> = (0..ROWS).map(|row| row * 1000 + row % 7).collect();
    let counter: Vec<i64> = (0..ROWS).map(|row| row * 350_000 + (row * row) % 90_001).collect();
    let epochs = vec![1_700_000_000_000_i64; times.len()];
    let gauge: Vec<i64> = (0..ROWS).map(|row| (row * 7919) % 1_000_003).collect();
    let floats: Vec<f64> = gauge.iter().map(|value| *value as f64 / 7.0).collect();
    let mut bytes = vec![0xff_u8; times.len().div_ceil(8)];
    for byte in bytes.iter_mut().step_by(5) {
        *byte = 0xef;
    }
    let nulls = Some(Bits::new(&bytes, 0, times.len())?);
    let plain = CounterColumn::new(&times, &counter, None, None)?;
    let with_epochs = CounterColumn::new(&times, &counter, None, Some(&epochs))?;
    let with_nulls = CounterColumn::new(&times, &counter, nulls, Some(&epochs))?;
    let ints = GaugeColumn::new(&times, &gauge, None)?;
    let reals = GaugeColumn::new(&times, &floats, None)?;
    for step_ms in [3_600_000, 300_000, 15_000, 2000] {
        let steps = Steps::new(0, ROWS * 1000 + 10, step_ms)?;
        let columns =
            [("plain", &plain), ("epochs", &with_epochs), ("epochs, 1 in 40 null", &with_nulls)];
        for (name, column) in columns {
            measure(&mut out, &format!("counter {name}, step {step_ms} ms"), || {
                let (mut previous, mut growth) = (None, 0_u64);
                fold_counter(black_box(column), &steps, &mut previous, |_, step| {
                    growth = growth.wrapping_add(step.growth().unsigned_abs());
                });
                growth
            })?;
        }
        measure(&mut out, &format!("gauge i64, step {step_ms} ms"), || {
            let mut count = 0;
            fold_gauge(black_box(&ints), &steps, |_, window| count += window.count());
            count
        })?;
        measure(&mut out, &format!("gauge f64, step {step_ms} ms"), || {
            let mut count = 0;
            fold_gauge(black_box(&reals), &steps, |_, window| count += window.count());
            count
        })?;
    }
    measure(&mut out, "sketch insert", || {
        let mut sketch = Sketch::new();
        for value in &floats {
            sketch.insert(*value);
        }
        sketch.count()
    })?;
    Ok(())
}
