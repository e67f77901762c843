//! The laws of windows, each a property test named by what it says.
//!
//! Here: how samples are made up, and the slow definitions the fast code is compared with.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "expected values are computed in floating point, from small numbers"
)]

mod bits;
mod counter;
mod fold;
mod gauge;
mod sketch;
mod steps;

use plimsoll_window::{CounterSample, CounterWindow, EPOCH_UNKNOWN, GaugeSample, GaugeWindow};
use proptest::prelude::*;

/// Rows of a counter: growing, with restarts by value and by epoch, repeated times, gaps, a few
/// values no engine gives, and rows without a value or without an epoch.
#[derive(Debug, Clone, Default)]
pub(crate) struct CounterRows {
    pub(crate) times_ms: Vec<i64>,
    pub(crate) values: Vec<i64>,
    pub(crate) epochs: Vec<i64>,
    pub(crate) reported: Vec<bool>,
}

impl CounterRows {
    /// The reported samples.
    pub(crate) fn samples(&self) -> Vec<CounterSample> {
        let sample = |row: usize| CounterSample {
            time_ms: self.times_ms[row],
            value: self.values[row],
            epoch: Some(self.epochs[row]).filter(|epoch| *epoch != EPOCH_UNKNOWN),
        };
        (0..self.times_ms.len()).filter(|row| self.reported[*row]).map(sample).collect()
    }

    /// The validity bitmap from bit `offset` on, with the other bits set.
    pub(crate) fn bitmap(&self, offset: usize) -> Vec<u8> {
        bitmap(&self.reported, offset)
    }
}

pub(crate) fn bitmap(reported: &[bool], offset: usize) -> Vec<u8> {
    let mut bytes = vec![0xff_u8; (reported.len() + offset).div_ceil(8)];
    for (row, _) in reported.iter().enumerate().filter(|(_, reported)| !**reported) {
        bytes[(row + offset) / 8] &= !(1 << ((row + offset) % 8));
    }
    bytes
}

/// Milliseconds from one row to the next.
pub(crate) fn pause_ms() -> impl Strategy<Value = i64> {
    prop_oneof![8 => 1_i64..20_000, 1 => Just(0), 1 => 290_000_i64..2_000_000]
}

/// What happens to a counter between two rows.
#[derive(Debug, Clone, Copy)]
enum Turn {
    Grow(i64),
    Restart(i64),
    RestartUnseen(i64),
    Odd(i64),
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        12 => (0_i64..5_000_000).prop_map(Turn::Grow),
        1 => (0_i64..1000).prop_map(Turn::Restart),
        1 => (0_i64..5_000_000).prop_map(Turn::RestartUnseen),
        1 => prop_oneof![Just(i64::MAX), Just(i64::MIN), Just(-1), any::<i64>()]
            .prop_map(Turn::Odd),
    ]
}

/// Rows of a counter, at most `most`.
pub(crate) fn counter_rows(most: usize) -> impl Strategy<Value = CounterRows> {
    let row = (pause_ms(), turn(), prop::bool::weighted(0.85), prop::bool::weighted(0.9));
    (any::<i32>(), prop::collection::vec(row, 0..=most)).prop_map(|(start, turns)| {
        let mut rows = CounterRows::default();
        let (mut time_ms, mut value, mut epoch) = (i64::from(start), 0_i64, 7_i64);
        for (pause, turn, reported, epoch_known) in turns {
            time_ms += pause;
            value = match turn {
                Turn::Grow(growth) => value.saturating_add(growth),
                Turn::Restart(to) | Turn::Odd(to) => to,
                Turn::RestartUnseen(growth) => {
                    epoch += 1;
                    value.saturating_add(growth)
                }
            };
            rows.times_ms.push(time_ms);
            rows.values.push(value);
            rows.epochs.push(if epoch_known { epoch } else { EPOCH_UNKNOWN });
            rows.reported.push(reported);
        }
        rows
    })
}

/// The window of samples, one by one.
pub(crate) fn counter_of(samples: &[CounterSample]) -> CounterWindow {
    let mut window = CounterWindow::EMPTY;
    for sample in samples {
        window.push(*sample);
    }
    window
}

/// Samples of an integer gauge.
pub(crate) fn gauge_samples(most: usize) -> impl Strategy<Value = Vec<GaugeSample<i64>>> {
    let value = prop_oneof![6 => 0_i64..50, 3 => any::<i64>(), 1 => Just(i64::MAX)];
    prop::collection::vec((pause_ms(), value), 0..=most).prop_map(timed)
}

/// Samples of a floating point gauge across magnitudes, without `NaN`.
pub(crate) fn float_samples(most: usize) -> impl Strategy<Value = Vec<GaugeSample<f64>>> {
    let value = (-1.0_f64..1.0, -9_i32..15).prop_map(|(digits, power)| digits * 10_f64.powi(power));
    prop::collection::vec((pause_ms(), value), 0..=most).prop_map(timed)
}

fn timed<V>(rows: Vec<(i64, V)>) -> Vec<GaugeSample<V>> {
    let mut time_ms = 0;
    let mut sample = |(pause, value)| {
        time_ms += pause;
        GaugeSample { time_ms, value }
    };
    rows.into_iter().map(&mut sample).collect()
}

/// The window of samples, one by one.
pub(crate) fn gauge_of<V: plimsoll_window::GaugeValue>(
    samples: &[GaugeSample<V>],
) -> GaugeWindow<V> {
    let mut window = GaugeWindow::default();
    for sample in samples {
        window.push(*sample);
    }
    window
}

/// Cuts `all` into consecutive pieces at the places `cuts` picks.
pub(crate) fn pieces<'a, T>(all: &'a [T], cuts: &[prop::sample::Index]) -> Vec<&'a [T]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(all.len() + 1)).collect();
    places.extend([0, all.len()]);
    places.sort_unstable();
    places.windows(2).map(|ends| &all[ends[0]..ends[1]]).collect()
}

/// Places to cut.
pub(crate) fn cuts() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    prop::collection::vec(any::<prop::sample::Index>(), 0..6)
}
