//! Laws of counter windows.

use super::{counter_of, counter_rows, cuts, pieces};
use plimsoll_window::{CounterSample, CounterStep, CounterWindow, GAP_MAX_MS, Pair};
use proptest::prelude::*;

/// The sums over all pairs, by their definition: growth, resets, gaps, highest rate.
fn by_definition(samples: &[CounterSample]) -> (i128, u64, i64, Option<f64>) {
    let mut sums = (0_i128, 0_u64, 0_i64, None::<f64>);
    for pair in samples.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        let restarted = matches!((a.epoch, b.epoch), (Some(a), Some(b)) if a != b);
        let (a_value, b_value) = (i128::from(a.value), i128::from(b.value));
        let reset = restarted || b_value < a_value;
        let growth = if reset { b_value.max(0) } else { b_value - a_value };
        let growth = growth.min(i128::from(i64::MAX));
        let elapsed_ms = b.time_ms - a.time_ms;
        sums.0 += growth;
        sums.1 += u64::from(reset);
        sums.2 += if elapsed_ms > GAP_MAX_MS { elapsed_ms } else { 0 };
        if elapsed_ms > 0 {
            let rate = growth as f64 * 1000.0 / elapsed_ms as f64;
            sums.3 = Some(sums.3.map_or(rate, |highest| highest.max(rate)));
        }
    }
    sums
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_window_is_its_definition(rows in counter_rows(60)) {
        let samples = rows.samples();
        let window = counter_of(&samples);
        let (growth, resets, gap_ms, rate_max) = by_definition(&samples);
        prop_assert_eq!(i128::from(window.increase()), growth.min(i128::from(i64::MAX)));
        prop_assert_eq!(window.resets(), resets);
        prop_assert_eq!(window.gap_ms(), gap_ms);
        prop_assert_eq!(window.rate_max_per_s(), rate_max);
        prop_assert_eq!(window.count(), samples.len() as u64);
        prop_assert_eq!(window.first(), samples.first().copied());
        prop_assert_eq!(window.last(), samples.last().copied());
        prop_assert_eq!(window.covered_ms() + window.gap_ms(), window.span_ms());
    }

    #[test]
    fn grow_is_never_negative(rows in counter_rows(60)) {
        let samples = rows.samples();
        let window = counter_of(&samples);
        prop_assert!(window.increase() >= 0);
        prop_assert!(window.rate_max_per_s().is_none_or(|rate| rate >= 0.0));
        prop_assert!(window.rate_avg_per_s().is_none_or(|rate| rate >= 0.0));
        for pair in samples.windows(2) {
            prop_assert!(Pair::between(&pair[0], &pair[1]).growth >= 0);
        }
    }

    #[test]
    fn grow_without_restart_is_last_less_first(
        growths in prop::collection::vec((1_i64..90_000, 0_i64..1_000_000_000), 1..60),
        start in 0_i64..1_000_000_000_000,
    ) {
        let (mut time_ms, mut value) = (0, start);
        let samples: Vec<_> = growths.iter().map(|(pause, growth)| {
            time_ms += pause;
            value += growth;
            CounterSample { time_ms, value, epoch: None }
        }).collect();
        let window = counter_of(&samples);
        prop_assert_eq!(window.increase(), value - samples[0].value);
        prop_assert_eq!(window.resets(), 0);
        let average = window.rate_avg_per_s().unwrap_or(0.0);
        prop_assert!(average <= window.rate_max_per_s().unwrap_or(0.0) * (1.0 + 1e-12));
    }

    #[test]
    fn cut_anywhere_is_the_same_window(rows in counter_rows(60), cuts in cuts()) {
        let samples = rows.samples();
        let merged = pieces(&samples, &cuts).into_iter()
            .fold(CounterWindow::EMPTY, |window, piece| window.merge(&counter_of(piece)));
        prop_assert_eq!(merged, counter_of(&samples));
    }

    #[test]
    fn merge_is_associative(a in counter_rows(8), b in counter_rows(8), c in counter_rows(8)) {
        // Not even the order of time is needed.
        let [a, b, c] = [a, b, c].map(|rows| counter_of(&rows.samples()));
        prop_assert_eq!(a.merge(&b).merge(&c), a.merge(&b.merge(&c)));
    }

    #[test]
    fn merge_of_steps_is_associative(
        rows in [counter_rows(5), counter_rows(5), counter_rows(5), counter_rows(5)],
    ) {
        let windows = rows.map(|rows| counter_of(&rows.samples()));
        let [before, a, b, c] = windows;
        let before = before.last();
        let [a, b, c] = [a, b, c].map(|window| CounterStep::new(window, before.as_ref()));
        prop_assert_eq!(a.merge(&b).merge(&c), a.merge(&b.merge(&c)));
        prop_assert_eq!(a.merge(&CounterStep::EMPTY), a);
        prop_assert_eq!(CounterStep::EMPTY.merge(&a), a);
    }

    #[test]
    fn empty_is_the_identity(rows in counter_rows(20)) {
        let window = counter_of(&rows.samples());
        prop_assert_eq!(window.merge(&CounterWindow::EMPTY), window);
        prop_assert_eq!(CounterWindow::EMPTY.merge(&window), window);
    }

    #[test]
    fn order_of_late_rows_does_not_matter(rows in counter_rows(40), seed in any::<u64>()) {
        let mut sorted = rows.samples();
        sorted.dedup_by_key(|sample| sample.time_ms);
        let mut late = sorted.clone();
        // A fixed shuffle by a scrambled key, then the sort every reader does.
        late.sort_by_key(|sample| {
            let key = (sample.time_ms.cast_unsigned() ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            key.rotate_left(21)
        });
        late.sort_by_key(|sample| sample.time_ms);
        prop_assert_eq!(counter_of(&late), counter_of(&sorted));
    }

    #[test]
    fn stored_parts_are_the_window(rows in counter_rows(40)) {
        let window = counter_of(&rows.samples());
        match window.into_parts() {
            Some(parts) => prop_assert_eq!(CounterWindow::from_parts(&parts), Ok(window)),
            None => prop_assert!(window.is_empty()),
        }
    }

    #[test]
    fn damaged_parts_are_refused(rows in counter_rows(40), by in 1_i64..i64::MAX) {
        let Some(parts) = counter_of(&rows.samples()).into_parts() else { return Ok(()) };
        let damaged = [
            plimsoll_window::CounterParts { count: 1 - by, ..parts },
            plimsoll_window::CounterParts { increase: -by, ..parts },
            plimsoll_window::CounterParts { resets: parts.count - 1 + by % 1000 + 1, ..parts },
            plimsoll_window::CounterParts { gap_ms: -by, ..parts },
            plimsoll_window::CounterParts {
                last_time_ms: parts.first_time_ms.saturating_sub(by), ..parts
            },
            plimsoll_window::CounterParts { rate_max_per_s: Some(f64::NAN), ..parts },
            plimsoll_window::CounterParts { rate_max_per_s: Some(-1.0), ..parts },
            plimsoll_window::CounterParts {
                rate_max_per_s: parts.rate_max_per_s.is_none().then_some(1.0), ..parts
            },
        ];
        for parts in damaged {
            prop_assert!(CounterWindow::from_parts(&parts).is_err(), "{:?}", parts);
        }
    }

    #[test]
    fn extrapolation_stays_near_the_growth(rows in counter_rows(40), margin in 0_i64..90_000) {
        let window = counter_of(&rows.samples());
        let (Some(first), Some(last)) = (window.first(), window.last()) else { return Ok(()) };
        let (start_ms, end_ms) = (first.time_ms - margin, last.time_ms + margin);
        let Some(increase) = window.extrapolated_increase(start_ms, end_ms) else {
            prop_assert!(window.count() < 2 || window.span_ms() == 0);
            return Ok(());
        };
        let grown = window.increase() as f64;
        // At most 1.1 mean distances are added on each side.
        prop_assert!(increase >= grown && increase <= grown * (1.0 + 2.2) + 1e-6);
        let rate = window.extrapolated_rate_per_s(start_ms, end_ms);
        let seconds = (end_ms - start_ms) as f64 / 1000.0;
        let apart = rate.map(|rate| (rate * seconds - increase).abs());
        prop_assert!(apart.is_some_and(|apart| apart <= increase * 1e-12));
    }
}

#[test]
fn a_restart_that_passed_the_old_value_is_seen_by_its_epoch() {
    let sample = |time_ms, value, epoch| CounterSample { time_ms, value, epoch };
    let by_value = counter_of(&[sample(0, 90, None), sample(1000, 100, None)]);
    let by_epoch = counter_of(&[sample(0, 90, Some(1)), sample(1000, 100, Some(2))]);
    assert_eq!((by_value.increase(), by_value.resets()), (10, 0));
    assert_eq!((by_epoch.increase(), by_epoch.resets()), (100, 1));
    let unknown = counter_of(&[sample(0, 90, Some(1)), sample(1000, 100, None)]);
    assert_eq!((unknown.increase(), unknown.resets()), (10, 0));
}

/// A counter every `each_min` minutes from time 0: `from`, then `times` additions of `by`, then
/// the same again from zero as often as `again` says.
fn counter_every(
    each_min: i64,
    from: i64,
    by: i64,
    times: i64,
    again: &[i64],
) -> Vec<CounterSample> {
    let first = (0..=times).map(|row| from + row * by);
    let values = first.chain(again.iter().flat_map(|times| (0..=*times).map(move |row| row * by)));
    (0_i64..)
        .zip(values)
        .map(|(row, value)| CounterSample { time_ms: row * each_min * 60_000, value, epoch: None })
        .collect()
}

#[test]
fn extrapolation_is_that_of_prometheus() {
    // (samples, evaluated at minute, range in minutes, increase): the cases of `increase()` and
    // `rate()` in functions.test of Prometheus 3. A range is open on the left.
    let cases = [
        (counter_every(5, 0, 10, 10, &[]), 50, 50, 100.0),
        (counter_every(5, 0, 18, 5, &[5]), 50, 50, 160.0),
        (counter_every(5, 10, 10, 10, &[]), 50, 50, 100.0),
        (counter_every(5, 1, 10, 10, &[]), 50, 50, 100.0),
        (counter_every(5, 0, 10, 10, &[]), 50, 100, 100.0),
        (counter_every(5, 0, 18, 5, &[5]), 50, 100, 162.0),
        (counter_every(5, 10, 10, 10, &[]), 50, 100, 105.0),
        (counter_every(5, 1, 10, 10, &[]), 50, 100, 101.0),
        (counter_every(5, 0, 27, 4, &[5]), 50, 50, 0.08 * 3000.0),
        (counter_every(5, 0, 10, 9, &[1]), 50, 6, 0.0),
        (counter_every(5, 0, 80, 10, &[]), 50, 50, 0.266_666_666_666_666_66 * 3000.0),
        (counter_every(4, 0, 240, 10, &[]), 10, 20, 0.5 * 1200.0),
        (counter_every(4, 60, 240, 10, &[]), 10, 20, 0.55 * 1200.0),
        (counter_every(4, 120, 240, 10, &[]), 10, 20, 0.6 * 1200.0),
        (counter_every(4, 180, 240, 10, &[]), 10, 20, 0.6 * 1200.0),
        (counter_every(4, 0, 240, 10, &[]), 50, 20, 0.6 * 1200.0),
    ];
    for (case, (samples, at_min, range_min, expected)) in cases.into_iter().enumerate() {
        let (start_ms, end_ms) = ((at_min - range_min) * 60_000, at_min * 60_000);
        let inside: Vec<_> = samples
            .into_iter()
            .filter(|sample| start_ms < sample.time_ms && sample.time_ms <= end_ms)
            .collect();
        let window = counter_of(&inside);
        if inside.len() < 2 {
            assert_eq!(window.extrapolated_increase(start_ms, end_ms), None, "case {case}");
            continue;
        }
        let increase = window.extrapolated_increase(start_ms, end_ms).unwrap();
        assert!((increase - expected).abs() <= 1e-9, "case {case}: {increase} not {expected}");
        let rate = window.extrapolated_rate_per_s(start_ms, end_ms).unwrap();
        let expected = expected / (60 * range_min) as f64;
        assert!((rate - expected).abs() <= 1e-12, "case {case}: {rate} not {expected}");
    }
}
