//! Laws of folding columns onto grids of steps.

use super::{CounterRows, bitmap, counter_of, counter_rows, cuts, float_samples, gauge_of};
use plimsoll_window::{
    Bits, CounterColumn, CounterFold, CounterSample, CounterStep, CounterWindow, GaugeColumn,
    GaugeFold, GaugeSample, GaugeWindow, Pair, Steps, each_rate,
};
use proptest::prelude::*;

/// A grid over made-up rows: may start before, inside or after them, and end likewise.
fn grid(rows: &CounterRows, from: i64, length: i64, step: i64) -> Result<Steps, TestCaseError> {
    let start = rows.times_ms.first().copied().unwrap_or(0) + from;
    Steps::new(start, start + length, step).map_err(|e| TestCaseError::fail(e.to_string()))
}

/// The steps of a grid, each by its definition.
fn by_definition(samples: &[CounterSample], steps: &Steps) -> Vec<CounterStep> {
    let step = |(start_ms, end_ms)| {
        let inside: Vec<_> = samples
            .iter()
            .copied()
            .filter(|sample| (start_ms..end_ms).contains(&sample.time_ms))
            .collect();
        let before = samples.iter().rfind(|sample| sample.time_ms < start_ms);
        CounterStep::new(counter_of(&inside), before)
    };
    steps.iter().map(step).collect()
}

fn fold(
    rows: &CounterRows,
    steps: Steps,
    offset: usize,
    cuts: &[prop::sample::Index],
) -> Vec<CounterStep> {
    let indexes: Vec<usize> = (0..rows.times_ms.len()).collect();
    let mut fold = CounterFold::new(steps, None);
    for piece in super::pieces(&indexes, cuts) {
        let (Some(first), Some(last)) = (piece.first(), piece.last()) else { continue };
        let range = *first..*last + 1;
        let bytes = bitmap(&rows.reported[range.clone()], offset);
        let valid = Bits::new(&bytes, offset, range.len()).ok();
        let (times, values) = (&rows.times_ms[range.clone()], &rows.values[range.clone()]);
        if let Ok(column) = CounterColumn::new(times, values, valid, Some(&rows.epochs[range])) {
            fold.push(&column);
        }
    }
    fold.finish()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_fold_is_its_definition_however_columns_are_cut(
        rows in counter_rows(150), offset in 0_usize..20, cuts in cuts(),
        from in -200_000_i64..200_000, length in 0_i64..2_000_000, step in 1000_i64..300_000,
    ) {
        let steps = grid(&rows, from, length, step)?;
        prop_assert_eq!(fold(&rows, steps, offset, &cuts), by_definition(&rows.samples(), &steps));
    }

    #[test]
    fn a_row_on_a_boundary_is_in_the_later_step(
        pauses in prop::collection::vec(0_i64..4, 1..200), step in 1_i64..40,
    ) {
        let mut time_ms = 0;
        let samples: Vec<_> = pauses.iter().map(|pause| {
            time_ms += pause;
            CounterSample { time_ms, value: time_ms, epoch: None }
        }).collect();
        let times: Vec<i64> = samples.iter().map(|sample| sample.time_ms).collect();
        let steps = Steps::new(1, time_ms + 2, step).unwrap();
        let mut fold = CounterFold::new(steps, None);
        fold.push(&CounterColumn::new(&times, &times, None, None).unwrap());
        prop_assert_eq!(fold.finish(), by_definition(&samples, &steps));
    }

    #[test]
    fn long_stretches_of_nulls_hide_nothing(
        stretches in prop::collection::vec(0_usize..200, 1..8), offset in 0_usize..20,
    ) {
        let stretch = |(index, rows): (usize, &usize)| vec![index % 2 == 1; *rows];
        let reported: Vec<bool> = stretches.iter().enumerate().flat_map(stretch).collect();
        let times: Vec<i64> = (0_i64..).take(reported.len()).collect();
        let bytes = bitmap(&reported, offset);
        let valid = Bits::new(&bytes, offset, reported.len()).ok();
        let found = GaugeColumn::new(&times, &times, valid).unwrap().window(0, i64::MAX);
        let expected: Vec<_> = times.iter().zip(&reported).filter(|(_, reported)| **reported)
            .map(|(time_ms, _)| GaugeSample { time_ms: *time_ms, value: *time_ms }).collect();
        prop_assert_eq!(found, gauge_of(&expected));
    }

    #[test]
    fn steps_add_up_to_the_whole(
        rows in counter_rows(100), from in -50_000_i64..400_000, step in 1000_i64..300_000,
    ) {
        let steps = grid(&rows, from, 2_000_000, step)?;
        let cells = fold(&rows, steps, 0, &[]);
        let whole = cells.iter().fold(CounterStep::EMPTY, |all, cell| all.merge(cell));
        let undivided = Steps::new(steps.start_ms(), steps.end_ms(), 2_000_000).unwrap();
        let one = fold(&rows, undivided, 3, &[]);
        prop_assert_eq!(whole, one[0]);
        let growth: i128 = cells.iter().map(|cell| i128::from(cell.growth())).sum();
        prop_assert_eq!(growth.min(i128::from(i64::MAX)), i128::from(whole.growth()));
        prop_assert_eq!(cells.iter().map(CounterStep::elapsed_ms).sum::<i64>(), whole.elapsed_ms());
        prop_assert_eq!(cells.iter().map(CounterStep::gap_ms).sum::<i64>(), whole.gap_ms());
        prop_assert_eq!(cells.iter().map(CounterStep::resets).sum::<u64>(), whole.resets());
        let fastest = cells.iter().filter_map(CounterStep::rate_max_per_s).reduce(f64::max);
        prop_assert_eq!(fastest, whole.rate_max_per_s());
    }

    #[test]
    fn roll_up_twice_equals_raw(rows in counter_rows(150)) {
        let first = rows.times_ms.first().copied().unwrap_or(0);
        let last = rows.times_ms.last().copied().unwrap_or(0);
        let small = Steps::aligned(first, last + 1, 300_000).unwrap();
        let large = Steps::aligned(first, last + 1, 3_600_000).unwrap();
        let mut hours = vec![CounterWindow::EMPTY; large.len()];
        for ((start_ms, _), cell) in small.iter().zip(fold(&rows, small, 0, &[])) {
            // Through storage, as a rollup is.
            let Some(parts) = cell.window().into_parts() else { continue };
            let hour = &mut hours[large.index_of(start_ms).unwrap()];
            *hour = hour.merge(&CounterWindow::from_parts(&parts).unwrap());
        }
        let raw: Vec<_> = fold(&rows, large, 0, &[]).iter().map(|cell| *cell.window()).collect();
        prop_assert_eq!(hours, raw);
    }

    #[test]
    fn a_window_of_a_column_is_its_samples(
        rows in counter_rows(100), from in -10_000_i64..500_000, length in -5_i64..900_000,
    ) {
        let start_ms = rows.times_ms.first().copied().unwrap_or(0) + from;
        let bytes = rows.bitmap(5);
        let valid = Bits::new(&bytes, 5, rows.reported.len()).unwrap();
        let column = CounterColumn::new(&rows.times_ms, &rows.values, Some(valid), None).unwrap();
        let inside: Vec<_> = rows.samples().into_iter()
            .filter(|sample| (start_ms..start_ms + length).contains(&sample.time_ms))
            .map(|sample| CounterSample { epoch: None, ..sample })
            .collect();
        prop_assert_eq!(column.window(start_ms, start_ms + length), counter_of(&inside));
    }

    #[test]
    fn every_pair_gives_its_rate_once(
        rows in counter_rows(60), cut in any::<prop::sample::Index>(),
    ) {
        let cut = cut.index(rows.times_ms.len() + 1);
        let (mut previous, mut found) = (None, Vec::new());
        for range in [0..cut, cut..rows.times_ms.len()] {
            let bytes = bitmap(&rows.reported[range.clone()], 0);
            let valid = Bits::new(&bytes, 0, range.len()).ok();
            let (times, values) = (&rows.times_ms[range.clone()], &rows.values[range.clone()]);
            let epochs = Some(&rows.epochs[range][..]);
            let column = CounterColumn::new(times, values, valid, epochs).unwrap();
            each_rate(&column, &mut previous, |time_ms, rate| found.push((time_ms, rate)));
        }
        let expected: Vec<_> = rows.samples().windows(2).filter_map(|pair| {
            Some((pair[1].time_ms, Pair::between(&pair[0], &pair[1]).rate_per_s()?))
        }).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn a_fold_of_a_gauge_is_its_definition(
        samples in float_samples(100), nulls in prop::collection::vec(any::<u8>(), 100),
        step in 1000_i64..300_000, cut in any::<prop::sample::Index>(),
    ) {
        let times: Vec<i64> = samples.iter().map(|sample| sample.time_ms).collect();
        let reported: Vec<bool> = nulls[..samples.len()].iter().map(|null| null % 8 != 0).collect();
        let value = |(sample, null): (&GaugeSample<f64>, &u8)| {
            if null % 8 == 1 { f64::NAN } else { sample.value }
        };
        let values: Vec<f64> = samples.iter().zip(&nulls).map(value).collect();
        let steps = Steps::new(10_000, 1_500_000, step).unwrap();
        let mut fold = GaugeFold::new(steps);
        let cut = cut.index(times.len() + 1);
        for range in [0..cut, cut..times.len()] {
            let bytes = bitmap(&reported[range.clone()], 3);
            let valid = Bits::new(&bytes, 3, range.len()).ok();
            let column = GaugeColumn::new(&times[range.clone()], &values[range], valid).unwrap();
            fold.push(&column);
        }
        for ((start_ms, end_ms), found) in steps.iter().zip(fold.finish()) {
            let inside: Vec<_> = (0..times.len())
                .filter(|row| reported[*row] && (start_ms..end_ms).contains(&times[*row]))
                .map(|row| GaugeSample { time_ms: times[row], value: values[row] })
                .collect();
            let expected = gauge_of(&inside);
            prop_assert_eq!(found.count(), expected.count());
            prop_assert_eq!((found.min(), found.max()), (expected.min(), expected.max()));
            prop_assert_eq!(found.changes(), expected.changes());
            prop_assert_eq!(found.gap_ms(), expected.gap_ms());
            prop_assert_eq!(found.first(), expected.first());
            prop_assert_eq!(found.last(), expected.last());
            let magnitude: f64 = inside.iter().filter(|sample| !sample.value.is_nan())
                .map(|sample| sample.value.abs()).sum();
            let apart = found.sum_f64().unwrap_or(0.0) - expected.sum_f64().unwrap_or(0.0);
            prop_assert!(apart.abs() <= 1e-9 * magnitude);
        }
    }
}

#[test]
fn growth_across_a_boundary_belongs_to_the_later_step() {
    let column = CounterColumn::new(&[500, 1500, 4500], &[10, 30, 90], None, None).unwrap();
    let mut fold = CounterFold::new(Steps::new(1000, 5000, 1000).unwrap(), None);
    fold.push(&column);
    let growths: Vec<i64> = fold.finish().iter().map(CounterStep::growth).collect();
    assert_eq!(growths, [20, 0, 0, 60]);
}

#[test]
fn columns_out_of_order_do_not_panic() {
    let times = [i64::MAX, 0, i64::MIN, 7, 7, -3];
    let column =
        CounterColumn::new(&times, &[i64::MIN, i64::MAX, 0, -1, 5, 2], None, None).unwrap();
    let mut fold = CounterFold::new(Steps::new(-10, 10, 3).unwrap(), None);
    fold.push(&column);
    assert!(fold.finish().iter().all(|step| step.growth() >= 0));
    let gauge = GaugeColumn::new(&times, &times, None).unwrap();
    assert!(gauge.window(-10, 10).count() <= 6);
    assert_eq!(gauge.window(10, -10), GaugeWindow::default());
}
