//! Laws of gauge windows.

use super::{cuts, float_samples, gauge_of, gauge_samples, pieces};
use plimsoll_window::{GAP_MAX_MS, GaugeParts, GaugeSample, GaugeValue, GaugeWindow};
use proptest::prelude::*;

fn merged<V: GaugeValue>(
    samples: &[GaugeSample<V>],
    cuts: &[prop::sample::Index],
) -> GaugeWindow<V> {
    pieces(samples, cuts)
        .into_iter()
        .fold(GaugeWindow::default(), |window, piece| window.merge(&gauge_of(piece)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_window_is_its_definition(samples in gauge_samples(60)) {
        let window = gauge_of(&samples);
        let values: Vec<i64> = samples.iter().map(|sample| sample.value).collect();
        let sum: i128 = values.iter().map(|value| i128::from(*value)).sum();
        prop_assert_eq!(window.count(), values.len() as u64);
        prop_assert_eq!(window.min(), values.iter().min().copied());
        prop_assert_eq!(window.max(), values.iter().max().copied());
        prop_assert_eq!(window.sum(), (!values.is_empty()).then_some(sum));
        let changes = values.windows(2).filter(|pair| pair[0] != pair[1]).count();
        prop_assert_eq!(window.changes(), changes as u64);
        let pauses = samples.windows(2).map(|pair| pair[1].time_ms - pair[0].time_ms);
        prop_assert_eq!(window.gap_ms(), pauses.filter(|pause| *pause > GAP_MAX_MS).sum::<i64>());
        prop_assert_eq!(window.first(), samples.first().copied());
        prop_assert_eq!(window.last(), samples.last().copied());
        prop_assert_eq!(window.covered_ms() + window.gap_ms(), window.span_ms());
    }

    #[test]
    fn cut_anywhere_is_the_same_window(samples in gauge_samples(60), cuts in cuts()) {
        prop_assert_eq!(merged(&samples, &cuts), gauge_of(&samples));
    }

    #[test]
    fn merge_is_associative(a in gauge_samples(8), b in gauge_samples(8), c in gauge_samples(8)) {
        let [a, b, c] = [a, b, c].map(|samples| gauge_of(&samples));
        prop_assert_eq!(a.merge(&b).merge(&c), a.merge(&b.merge(&c)));
        prop_assert_eq!(a.merge(&GaugeWindow::default()), a);
        prop_assert_eq!(GaugeWindow::default().merge(&a), a);
    }

    #[test]
    fn cut_anywhere_is_the_same_float_window(samples in float_samples(60), cuts in cuts()) {
        let (cut, whole) = (merged(&samples, &cuts), gauge_of(&samples));
        let magnitude: f64 = samples.iter().map(|sample| sample.value.abs()).sum();
        let (cut_sum, whole_sum) = (cut.sum_f64(), whole.sum_f64());
        prop_assert_eq!(cut_sum.is_some(), whole_sum.is_some());
        let apart = (cut_sum.unwrap_or(0.0) - whole_sum.unwrap_or(0.0)).abs();
        prop_assert!(apart <= 1e-9 * magnitude);
        // Compensated sums agree far better than stated.
        prop_assert!(apart <= 1e-15 * magnitude);
        let apart_from_sum = |window: &GaugeWindow<f64>| window.into_parts()
            .map(|parts| GaugeParts { sum: 0.0, sum_rest: 0.0, ..parts });
        prop_assert_eq!(apart_from_sum(&cut), apart_from_sum(&whole));
    }

    #[test]
    fn order_of_late_rows_does_not_matter(samples in gauge_samples(40)) {
        let mut sorted = samples;
        sorted.dedup_by_key(|sample| sample.time_ms);
        let mut late = sorted.clone();
        late.sort_by_key(|sample| sample.value);
        late.sort_by_key(|sample| sample.time_ms);
        prop_assert_eq!(gauge_of(&late), gauge_of(&sorted));
    }

    #[test]
    fn stored_parts_are_the_window(ints in gauge_samples(40), floats in float_samples(40)) {
        let (ints, floats) = (gauge_of(&ints), gauge_of(&floats));
        if let Some(parts) = ints.into_parts() {
            prop_assert_eq!(GaugeWindow::from_parts(&parts), Ok(ints));
            let sum = ints.sum().unwrap_or(0);
            prop_assert_eq!(parts.sum_rest == 0, i64::try_from(sum).is_ok());
        }
        if let Some(parts) = floats.into_parts() {
            prop_assert_eq!(GaugeWindow::from_parts(&parts), Ok(floats));
        }
    }

    #[test]
    fn damaged_parts_are_refused(samples in gauge_samples(40), by in 1_i64..1000) {
        let Some(parts) = gauge_of(&samples).into_parts() else { return Ok(()) };
        let mut damaged = vec![
            GaugeParts { count: 1 - by, ..parts },
            GaugeParts { changes: -by, ..parts },
            GaugeParts { changes: parts.count - 1 + by, ..parts },
            GaugeParts { gap_ms: -by, ..parts },
            GaugeParts { sum_rest: parts.sum_rest + 64 + by, ..parts },
        ];
        if let Some(max) = parts.min.checked_sub(by) {
            damaged.push(GaugeParts { max, ..parts });
        }
        for parts in damaged {
            prop_assert!(GaugeWindow::from_parts(&parts).is_err(), "{:?}", parts);
        }
    }
}

#[test]
fn what_is_not_a_number_is_not_a_sample() {
    let nan = GaugeSample { time_ms: 5, value: f64::NAN };
    assert!(GaugeWindow::of(nan).is_empty());
    let one = GaugeSample { time_ms: 1, value: 2.5 };
    let window = gauge_of(&[nan, one, nan]);
    assert_eq!(window, GaugeWindow::of(one));
    assert_eq!((window.avg(), window.delta()), (Some(2.5), Some(0.0)));
    let parts = window.into_parts().unwrap();
    assert!(GaugeWindow::from_parts(&GaugeParts { first: f64::NAN, ..parts }).is_err());
    assert!(GaugeWindow::from_parts(&GaugeParts { sum: f64::NAN, ..parts }).is_err());
}

#[test]
fn a_small_value_survives_between_large_ones() {
    let values = [1e16, 1.0, -1e16];
    let samples: Vec<_> =
        (0_i64..).zip(values).map(|(time_ms, value)| GaugeSample { time_ms, value }).collect();
    assert_eq!(gauge_of(&samples).sum_f64(), Some(1.0));
    // What each side lost to rounding survives a merge.
    let sample = |time_ms, value| GaugeSample { time_ms, value };
    let up = gauge_of(&[sample(0, 1e16), sample(1, 1.0)]);
    let down = gauge_of(&[sample(2, -1e16), sample(3, 1.0)]);
    assert_eq!(up.merge(&down).sum_f64(), Some(2.0));
}

#[test]
fn infinities_are_values() {
    let sample = |time_ms, value| GaugeSample { time_ms, value };
    let up = gauge_of(&[sample(0, 1.0), sample(1, f64::INFINITY)]);
    assert_eq!((up.sum_f64(), up.max()), (Some(f64::INFINITY), Some(f64::INFINITY)));
    let both = up.merge(&gauge_of(&[sample(2, f64::NEG_INFINITY)]));
    assert!(both.sum_f64().is_some_and(f64::is_nan));
    assert!(GaugeWindow::from_parts(&both.into_parts().unwrap()).is_ok());
}

#[test]
fn delta_of_a_gauge_extrapolates_below_zero() {
    let sample = |time_ms, value: i64| GaugeSample { time_ms, value };
    let window = gauge_of(&[sample(0, 100), sample(60_000, 40), sample(120_000, -20)]);
    assert_eq!(window.delta(), Some(-120.0));
    assert_eq!(window.extrapolated_delta(-30_000, 150_000), Some(-180.0));
    assert_eq!(gauge_of(&[sample(0, 1)]).extrapolated_delta(0, 1000), None);
}
