//! The plan covers a range once, and says what it cannot answer exactly.

use plimsoll_model::TimeRange;
use plimsoll_window::Steps;
use proptest::prelude::*;

use super::*;
use crate::rollup::{FIVE_MINUTES_MS, HOUR_MS};

fn everything() -> Coverage {
    let all = vec![TimeRange::new(-1_000 * HOUR_MS, 1_000 * HOUR_MS)];
    Coverage {
        five: all.clone(),
        hour: all,
        raw_from_ms: i64::MIN,
        five_from_ms: -1_000 * HOUR_MS,
        hour_from_ms: -1_000 * HOUR_MS,
    }
}

fn names(plan: &Plan) -> String {
    let parts = plan.parts.iter().map(|part| {
        let minutes = |ms: i64| ms.div_euclid(60_000);
        let range = part.range;
        format!("{} {}..{}", part.resolution, minutes(range.start_ms), minutes(range.end_ms))
    });
    parts.collect::<Vec<_>>().join(", ")
}

#[test]
fn the_coarsest_exact_source_is_taken() {
    let minutes = |from: i64, to: i64, step: i64| {
        Steps::new(from * 60_000, to * 60_000, step * 60_000).unwrap()
    };
    let cases = [
        (minutes(0, 180, 60), "1h 0..180"),
        (minutes(0, 180, 5), "5m 0..180"),
        (minutes(0, 10, 1), "raw 0..10"),
        (minutes(2, 130, 128), "raw 2..5, 5m 5..60, 1h 60..120, 5m 120..130"),
        (minutes(5, 125, 60), "5m 5..65, 5m 65..125"),
        (minutes(1, 13, 6), "raw 1..7, raw 7..13"),
    ];
    for (steps, expected) in cases {
        let found = plan(&steps, steps.start_ms(), &everything());
        let joined = names(&found).replace("raw 1..7, raw 7..13", "raw 1..13");
        let joined = joined.replace("5m 5..65, 5m 65..125", "5m 5..125");
        let expected = expected.replace("raw 1..7, raw 7..13", "raw 1..13");
        let expected = expected.replace("5m 5..65, 5m 65..125", "5m 5..125");
        assert_eq!(joined, expected);
        assert!(found.warnings.is_empty());
    }
}

proptest! {
    /// Parts cover the range once, and exact buckets cross no edge of a step.
    #[test]
    fn parts_cover_the_range_once(
        start in 0_i64..20_000_000,
        length in 1_i64..40_000_000,
        step in 10_000_i64..9_000_000,
        holes in prop::collection::vec((0_i64..16, 1_i64..5), 0..4),
        lookback in 0_i64..4_000_000,
        expired in prop::option::of(0_i64..12),
    ) {
        let steps = Steps::new(start, start + length, step).unwrap();
        let mut coverage = everything();
        let holes = holes.iter().map(|(at, hours)| {
            TimeRange::new(at * HOUR_MS, (at + hours) * HOUR_MS)
        });
        let holes = normal(holes.collect());
        coverage.hour = subtract(&coverage.hour, &holes);
        let fives = holes.iter().map(|hole| TimeRange::new(hole.start_ms, hole.start_ms + HOUR_MS));
        coverage.five = subtract(&coverage.five, &normal(fives.collect()));
        coverage.raw_from_ms = expired.map_or(i64::MIN, |hours| hours * HOUR_MS);
        let plan = plan(&steps, start - lookback, &coverage);
        let mut at = start - lookback;
        for part in &plan.parts {
            prop_assert!(part.range.start_ms >= at || !part.is_exact, "{plan:?}");
            prop_assert!(expired.is_some() || part.range.start_ms == at, "{plan:?}");
            at = part.range.end_ms;
            let length_ms = crate::rollup::length_ms(part.resolution);
            if length_ms > 0 {
                prop_assert_eq!(part.range.start_ms.rem_euclid(length_ms), 0);
                prop_assert_eq!(part.range.end_ms.rem_euclid(length_ms), 0);
            }
            if part.is_exact && length_ms > 0 {
                let mut bucket = part.range.start_ms;
                while bucket < part.range.end_ms {
                    let last = bucket + length_ms - 1;
                    prop_assert_eq!(steps.index_of(bucket), steps.index_of(last));
                    bucket += length_ms.max(FIVE_MINUTES_MS);
                }
            }
        }
        prop_assert!(expired.is_some() || at == start + length);
    }
}
