//! Statistics that a few wild values do not move: medians, spreads, two-sample distance.
//!
//! All functions take values in any order, ignore nothing (callers leave out values that are not
//! finite), and answer `None` when there are too few values to say anything.

/// A count as a number to calculate with; exact below 2^53.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub(crate) fn real(count: usize) -> f64 {
    count as f64
}

/// A stored integer as a number to calculate with; exact below 2^53.
#[expect(clippy::cast_precision_loss, reason = "a share of 1e-16 is below any measurement")]
pub(crate) fn real_i64(value: i64) -> f64 {
    value as f64
}

/// The whole part of a number that is known to lie in `[0, max]`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to [0, max] first"
)]
pub(crate) fn index_of(value: f64, max: usize) -> usize {
    (value.clamp(0.0, real(max)) as usize).min(max)
}

/// Makes a median's sigma of a median absolute deviation under a normal distribution.
const MAD_TO_SIGMA: f64 = 1.4826;
/// Width of the middle 80 % of a normal distribution, in sigmas.
const MIDDLE_80_SIGMAS: f64 = 2.563;

/// The median.
pub fn median(values: &[f64]) -> Option<f64> {
    quantile(values, 0.5)
}

/// The quantile `share` (0 to 1), linear between the two nearest values (type 7 of Hyndman and
/// Fan, as numpy does it).
pub fn quantile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    quantile_sorted(&sorted, share)
}

/// As [`quantile`], of values that rise.
pub fn quantile_sorted(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = share.clamp(0.0, 1.0) * real(last);
    let below = index_of(place.floor(), last);
    let (low, high) = (*sorted.get(below)?, *sorted.get((below + 1).min(last))?);
    Some(low + (high - low) * (place - real(below)))
}

/// Median absolute deviation from the median, scaled to be a standard deviation for normal data.
pub fn mad_sigma(values: &[f64]) -> Option<f64> {
    let middle = median(values)?;
    let away: Vec<f64> = values.iter().map(|value| (value - middle).abs()).collect();
    median(&away).map(|mad| mad * MAD_TO_SIGMA)
}

/// The larger of [`mad_sigma`] and the spread of the middle 80 %: values that mostly stand still
/// but step now and then are not taken for constant.
pub fn sigma(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (quantile_sorted(&sorted, 0.1)?, quantile_sorted(&sorted, 0.9)?);
    Some(mad_sigma(values)?.max((high - low) / MIDDLE_80_SIGMAS))
}

/// Distance between the third and the first quartile.
pub fn interquartile_range(values: &[f64]) -> Option<f64> {
    Some(quantile(values, 0.75)? - quantile(values, 0.25)?)
}

/// Two-sample Kolmogorov-Smirnov test.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct KolmogorovSmirnov {
    /// Largest distance between the two empirical distributions, 0 to 1.
    pub distance: f64,
    /// About how likely so large a distance is if both samples have one origin, 0 to 1
    /// (asymptotic, with Stephens' correction for small samples).
    pub p_value: f64,
}

/// Compares two samples; `None` when one is empty.
pub fn kolmogorov_smirnov(one: &[f64], other: &[f64]) -> Option<KolmogorovSmirnov> {
    if one.is_empty() || other.is_empty() {
        return None;
    }
    let (mut left, mut right) = (one.to_vec(), other.to_vec());
    left.sort_by(f64::total_cmp);
    right.sort_by(f64::total_cmp);
    let share = |sorted: &[f64], at: f64| {
        real(sorted.partition_point(|value| *value <= at)) / real(sorted.len())
    };
    let points = left.iter().chain(&right);
    let distance =
        points.map(|at| (share(&left, *at) - share(&right, *at)).abs()).fold(0.0, f64::max);
    let (n, m) = (real(left.len()), real(right.len()));
    let root = (n * m / (n + m)).sqrt();
    let lambda = (root + 0.12 + 0.11 / root) * distance;
    Some(KolmogorovSmirnov { distance, p_value: kolmogorov_tail(lambda) })
}

/// The tail of Kolmogorov's distribution.
fn kolmogorov_tail(lambda: f64) -> f64 {
    // Below this the series converges slowly and the answer is 1 to six digits.
    if lambda < 0.3 {
        return 1.0;
    }
    let mut sum = 0.0;
    let mut sign = 1.0;
    for k in 1..=100_usize {
        let term = (-2.0 * lambda * lambda * real(k * k)).exp();
        sum += sign * term;
        sign = -sign;
        if term < 1e-12 {
            break;
        }
    }
    (2.0 * sum).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_numpys() {
        let values = [3.0, 1.0, 2.0, 10.0];
        assert_eq!(median(&values), Some(2.5));
        assert_eq!(quantile(&values, 0.75), Some(4.75));
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn one_wild_value_moves_no_spread() {
        let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 1e9];
        assert!(mad_sigma(&values).unwrap() < 5.0);
    }

    #[test]
    fn samples_without_overlap_are_at_distance_one() {
        let found = kolmogorov_smirnov(&[1.0; 20], &[2.0; 20]).unwrap();
        assert!((found.distance - 1.0).abs() < 1e-12);
        assert!(found.p_value < 1e-6);
    }

    proptest::proptest! {
        #[test]
        fn distance_of_a_sample_to_itself_is_zero(
            values in proptest::collection::vec(-1e6..1e6, 1..50),
        ) {
            let found = kolmogorov_smirnov(&values, &values).unwrap();
            proptest::prop_assert!(found.distance.abs() < 1e-12);
            proptest::prop_assert!((found.p_value - 1.0).abs() < 1e-6);
        }
    }
}
