//! Which segments of one day to merge so that few remain and each row is rewritten seldom.
//!
//! Segments stand in order of arrival. When there are too many, the shortest tail is merged that
//! leaves every remaining segment larger than all after it together. Sizes then fall by half at
//! least, so their number is bounded by a logarithm, and a row is rewritten only when its segment
//! at least doubles.

use std::ops::Range;

/// The tail to merge of segments with these `rows`, earliest arrival first, so that at most `max`
/// remain; `None` when there are no more than that.
pub(super) fn tail(rows: &[u64], max: usize) -> Option<Range<usize>> {
    if rows.len() <= max.max(1) {
        return None;
    }
    let mut start = rows.len().saturating_sub(2);
    let mut sum: u64 = rows.iter().skip(start).fold(0, |sum, rows| sum.saturating_add(*rows));
    // Take in the one before while it is no larger than the tail.
    while let Some(before) = start.checked_sub(1).and_then(|at| rows.get(at)) {
        if *before > sum {
            break;
        }
        sum = sum.saturating_add(*before);
        start = start.saturating_sub(1);
    }
    Some(start..rows.len())
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "tests add small numbers")]
mod tests {
    use proptest::prelude::*;

    use super::tail;

    #[test]
    fn equal_segments_become_one() {
        assert_eq!(tail(&[10; 9], 8), Some(0..9));
        assert_eq!(tail(&[10; 8], 8), None);
    }

    #[test]
    fn a_large_segment_is_left_alone() {
        assert_eq!(tail(&[1000, 1, 1, 1], 3), Some(1..4));
        assert_eq!(tail(&[1000, 500, 9, 4], 3), Some(2..4));
    }

    proptest! {
        /// However sizes fall, merging ends within the bound and rewrites a row few times.
        #[test]
        fn merging_ends_within_the_bound(sizes in prop::collection::vec(1_u64..10_000, 1..400)) {
            let (mut live, mut rewritten, mut total) = (Vec::<u64>::new(), 0_u64, 0_u64);
            for size in sizes {
                live.push(size);
                total += size;
                while let Some(range) = tail(&live, 8) {
                    let sum: u64 = live.drain(range).sum();
                    rewritten += sum;
                    live.push(sum);
                }
                prop_assert!(live.len() <= 8);
            }
            let doublings = f64::from(u32::try_from(total).unwrap()).log2() + 1.0;
            let bound = f64::from(u32::try_from(total).unwrap()) * doublings;
            prop_assert!(f64::from(u32::try_from(rewritten).unwrap()) <= bound);
        }
    }
}
