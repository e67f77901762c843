//! Laws of step grids.

use plimsoll_window::{STEPS_MAX, Steps, StepsError};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_time_inside_is_in_exactly_one_step(
        start in any::<i64>(), length in 0_u64..100_000, step in 1_i64..5000, at in any::<i64>(),
    ) {
        let Some(end) = start.checked_add_unsigned(length) else { return Ok(()) };
        let steps = Steps::new(start, end, step).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let bounds: Vec<_> = steps.iter().collect();
        prop_assert_eq!(bounds.len(), steps.len());
        prop_assert_eq!(steps.is_empty(), length == 0);
        prop_assert!(bounds.windows(2).all(|pair| pair[0].1 == pair[1].0));
        prop_assert!(bounds.iter().all(|(from, to)| from < to && to - from <= step));
        prop_assert_eq!(bounds.first().map_or(start, |first| first.0), start);
        prop_assert_eq!(bounds.last().map_or(end, |last| last.1), end);
        let near = start.saturating_add(at.rem_euclid(110_000)).saturating_sub(5000);
        let found = bounds.iter().position(|(from, to)| (*from..*to).contains(&near));
        prop_assert_eq!(steps.index_of(near), found);
    }

    #[test]
    fn an_aligned_grid_covers_the_range_with_whole_steps(
        start in any::<i64>(), length in 0_u64..1_000_000, step in 1_i64..100_000,
    ) {
        let Some(end) = start.checked_add_unsigned(length) else { return Ok(()) };
        let Ok(steps) = Steps::aligned(start, end, step) else {
            prop_assert!(start < i64::MIN + step || end > i64::MAX - step || length > 900_000);
            return Ok(());
        };
        prop_assert!(steps.start_ms() <= start && end <= steps.end_ms());
        prop_assert!(steps.start_ms().abs_diff(start) < step.unsigned_abs());
        prop_assert!(steps.end_ms().abs_diff(end) < step.unsigned_abs());
        prop_assert_eq!(steps.start_ms().rem_euclid(step), 0);
        prop_assert!(steps.iter().all(|(from, to)| to - from == step));
    }
}

#[test]
fn grids_that_cannot_be_are_refused() {
    assert_eq!(Steps::new(0, 10, 0), Err(StepsError::Step { step_ms: 0 }));
    assert_eq!(Steps::new(0, 10, -5), Err(StepsError::Step { step_ms: -5 }));
    assert_eq!(Steps::new(10, 0, 5), Err(StepsError::Range { start_ms: 10, end_ms: 0 }));
    let most = i64::try_from(STEPS_MAX).unwrap();
    assert!(Steps::new(0, most, 1).is_ok());
    assert_eq!(Steps::new(0, most + 1, 1), Err(StepsError::TooMany { steps: 1_000_001 }));
    assert!(matches!(Steps::new(i64::MIN, i64::MAX, 1), Err(StepsError::TooMany { .. })));
    assert!(Steps::new(i64::MIN, i64::MAX, i64::MAX).is_ok_and(|steps| steps.len() == 3));
    assert!(Steps::aligned(-600, 600, 300).is_ok_and(|steps| steps.len() == 4));
    assert!(Steps::aligned(-601, 601, 300).is_ok_and(|steps| steps.len() == 6));
    assert!(Steps::aligned(i64::MIN, i64::MIN + 5, 10).is_err());
    assert!(Steps::aligned(i64::MAX - 5, i64::MAX, 10).is_err());
}
