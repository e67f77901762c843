//! Laws of sketches.

use plimsoll_window::Sketch;
use proptest::prelude::*;

/// Magnitudes from 1e-9 to 1e15, zeros among them, each with a sign drawn from `signs`.
fn values(signs: &'static [f64]) -> impl Strategy<Value = Vec<f64>> {
    let magnitude =
        (1.0_f64..10.0, -9_i32..15).prop_map(|(digits, power)| digits * 10_f64.powi(power));
    let value = prop_oneof![9 => magnitude, 1 => Just(0.0)];
    let signed = (value, prop::sample::select(signs)).prop_map(|(value, sign)| value * sign);
    prop::collection::vec(signed, 1..200)
}

fn sketch_of(values: &[f64]) -> Sketch {
    let mut sketch = Sketch::new();
    for value in values {
        sketch.insert(*value);
    }
    sketch
}

fn merged(a: &Sketch, b: &Sketch) -> Sketch {
    let mut sketch = a.clone();
    sketch.merge(b);
    sketch
}

/// The exact neighbours of a quantile and the weight of the upper one.
fn exact(values: &[f64], q: f64) -> (f64, f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let position = q * (sorted.len() - 1) as f64;
    let lower = position.floor() as usize;
    let upper = (lower + 1).min(sorted.len() - 1);
    (sorted[lower], sorted[upper], position - position.floor())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_quantile_is_within_one_percent(values in values(&[1.0]), q in 0.0_f64..=1.0) {
        let (low, high, weight) = exact(&values, q);
        let expected = if weight > 0.0 { low * (1.0 - weight) + high * weight } else { low };
        let found = sketch_of(&values).quantile(q).unwrap_or(f64::NAN);
        let error = Sketch::RELATIVE_ERROR * expected;
        prop_assert!((found - expected).abs() <= error, "{} {}", found, expected);
    }

    #[test]
    fn neighbours_of_both_signs_are_within_one_percent(
        values in values(&[1.0, -1.0]), q in 0.0_f64..=1.0,
    ) {
        let (low, high, weight) = exact(&values, q);
        let expected = if weight > 0.0 { low * (1.0 - weight) + high * weight } else { low };
        let found = sketch_of(&values).quantile(q).unwrap_or(f64::NAN);
        let error = Sketch::RELATIVE_ERROR * (low.abs() * (1.0 - weight) + high.abs() * weight);
        prop_assert!((found - expected).abs() <= error * (1.0 + 1e-9), "{} {}", found, expected);
    }

    #[test]
    fn minimum_and_maximum_are_exact(values in values(&[1.0, -1.0])) {
        let sketch = sketch_of(&values);
        let min = values.iter().copied().reduce(f64::min);
        let max = values.iter().copied().reduce(f64::max);
        prop_assert_eq!((sketch.min(), sketch.max()), (min, max));
        prop_assert_eq!((sketch.quantile(0.0), sketch.quantile(1.0)), (min, max));
        prop_assert_eq!(sketch.count(), values.len() as u64);
    }

    #[test]
    fn merge_is_associative_and_commutative(
        a in values(&[1.0, -1.0]), b in values(&[1.0]), c in values(&[-1.0]),
    ) {
        let [a, b, c] = [a, b, c].map(|values| sketch_of(&values));
        prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
        prop_assert_eq!(merged(&a, &b).to_bytes(), merged(&b, &a).to_bytes());
        prop_assert_eq!(merged(&a, &Sketch::new()), a.clone());
        prop_assert_eq!(merged(&Sketch::new(), &a), a);
    }

    #[test]
    fn cut_anywhere_is_the_same_sketch(
        values in values(&[1.0, -1.0]), cut in any::<prop::sample::Index>(),
    ) {
        let (early, late) = values.split_at(cut.index(values.len()));
        prop_assert_eq!(merged(&sketch_of(early), &sketch_of(late)), sketch_of(&values));
    }

    #[test]
    fn counting_often_is_counting_repeatedly(value in -1e15_f64..1e15, times in 0_u64..50) {
        let mut often = Sketch::new();
        often.insert_n(value, times);
        let repeated = vec![value; usize::try_from(times).unwrap_or(0)];
        prop_assert_eq!(often, sketch_of(&repeated));
    }

    #[test]
    fn bytes_are_the_sketch(values in values(&[1.0, -1.0]), times in 1_u64..u64::MAX) {
        let mut sketch = sketch_of(&values);
        sketch.insert_n(values[0], times);
        prop_assert_eq!(Sketch::from_bytes(&sketch.to_bytes()), Ok(sketch));
    }

    #[test]
    fn damaged_bytes_are_an_error(
        values in values(&[1.0, -1.0]), at in any::<prop::sample::Index>(), flip in 1_u8..,
    ) {
        let whole = sketch_of(&values).to_bytes();
        let mut flipped = whole.clone();
        let at = at.index(whole.len());
        flipped[at] ^= flip;
        prop_assert!(Sketch::from_bytes(&flipped).is_err());
        prop_assert!(Sketch::from_bytes(&whole[..at]).is_err());
        let mut longer = whole;
        longer.push(flip);
        prop_assert!(Sketch::from_bytes(&longer).is_err());
    }

    #[test]
    fn any_bytes_are_a_sketch_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(sketch) = Sketch::from_bytes(&bytes) {
            prop_assert_eq!(sketch.to_bytes(), bytes);
        }
    }
}

#[test]
fn values_at_the_edges_are_counted() {
    let edges =
        [f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN_POSITIVE, -0.0, 1e-9, f64::NAN];
    let sketch = sketch_of(&edges);
    assert_eq!(sketch.count(), 6);
    assert_eq!((sketch.min(), sketch.max()), (Some(f64::NEG_INFINITY), Some(f64::INFINITY)));
    assert_eq!(sketch.quantile(0.3), Some(0.0));
    assert_eq!(Sketch::from_bytes(&sketch.to_bytes()), Ok(sketch));
    let empty = Sketch::new();
    assert_eq!((empty.quantile(0.5), empty.min(), empty.count()), (None, None, 0));
    assert_eq!(Sketch::from_bytes(&empty.to_bytes()), Ok(empty));
    assert_eq!(sketch_of(&[1.0]).quantile(1.5), None);
    assert_eq!(sketch_of(&[1.0]).quantile(f64::NAN), None);
}

#[test]
fn an_hour_of_samples_takes_little() {
    let hour: Vec<f64> = (0..3600).map(|second| 40.0 + f64::from(second % 97)).collect();
    let bytes = sketch_of(&hour).to_bytes().len();
    assert!(bytes <= 300, "{bytes}");
}

#[test]
fn bytes_of_version_1_are_read_for_ever() {
    let written = [
        1, 1, 1, 2, 0, 0, 0, 0, 0, 0, 0, 192, 0, 0, 0, 0, 0, 0, 8, 64, 176, 8, 1, 141, 8, 1, 55, 2,
        200, 24, 168, 205,
    ];
    let sketch = sketch_of(&[-2.0, 0.0, 1.0, 3.0, 3.0]);
    assert_eq!(sketch.to_bytes(), written);
    assert_eq!(Sketch::from_bytes(&written), Ok(sketch));
}
