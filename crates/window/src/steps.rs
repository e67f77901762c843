//! A grid of steps over time.
//!
//! Steps are half open, `[start, end)`, of one length, without holes; the last one is cut at the
//! grid's end. Every time inside the grid belongs to exactly one step.
//! PromQL's ranges are open on the left, `(start, end]`; in whole milliseconds that is
//! `[start + 1, end + 1)`, which is how a caller writes them here.

/// The most steps one grid may have; it bounds what a fold allocates.
pub const STEPS_MAX: usize = 1_000_000;

/// A grid of half-open steps, in Unix milliseconds.
///
/// An empty grid (`start_ms == end_ms`) has no steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steps {
    start_ms: i64,
    end_ms: i64,
    step_ms: i64,
    len: usize,
}

/// Why a grid cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StepsError {
    /// A step must last at least one millisecond.
    #[error("a step of {step_ms} ms does not advance")]
    Step {
        /// The step asked for.
        step_ms: i64,
    },
    /// The end lies before the start, or aligning left the range of time.
    #[error("the range from {start_ms} to {end_ms} ms is not a range")]
    Range {
        /// The start asked for.
        start_ms: i64,
        /// The end asked for.
        end_ms: i64,
    },
    /// More steps than [`STEPS_MAX`].
    #[error("{steps} steps are more than {STEPS_MAX}")]
    TooMany {
        /// How many steps the range would have.
        steps: u64,
    },
}

impl Steps {
    /// The grid that starts at `start_ms` and covers `[start_ms, end_ms)`.
    ///
    /// # Errors
    ///
    /// [`StepsError`] when the step is not positive, the end lies before the start, or the grid
    /// would have more than [`STEPS_MAX`] steps.
    pub fn new(start_ms: i64, end_ms: i64, step_ms: i64) -> Result<Self, StepsError> {
        let length = match u64::try_from(step_ms) {
            Ok(length) if length > 0 => length,
            _ => return Err(StepsError::Step { step_ms }),
        };
        if end_ms < start_ms {
            return Err(StepsError::Range { start_ms, end_ms });
        }
        let steps = end_ms.abs_diff(start_ms).div_ceil(length);
        match usize::try_from(steps) {
            Ok(len) if len <= STEPS_MAX => Ok(Self { start_ms, end_ms, step_ms, len }),
            _ => Err(StepsError::TooMany { steps }),
        }
    }

    /// The grid of whole steps at multiples of `step_ms` that covers `[start_ms, end_ms)`:
    /// the start is rounded down, the end up.
    ///
    /// # Errors
    ///
    /// As [`Steps::new`]; also [`StepsError::Range`] when rounding leaves the range of time.
    pub fn aligned(start_ms: i64, end_ms: i64, step_ms: i64) -> Result<Self, StepsError> {
        if step_ms < 1 {
            return Err(StepsError::Step { step_ms });
        }
        let range = StepsError::Range { start_ms, end_ms };
        let down = |time: i64| time.checked_sub(time.checked_rem_euclid(step_ms)?);
        let start = down(start_ms).ok_or(range)?;
        let end = match down(end_ms) {
            Some(whole) if whole == end_ms => end_ms,
            Some(below) => below.checked_add(step_ms).ok_or(range)?,
            None => return Err(range),
        };
        Self::new(start, end, step_ms)
    }

    /// First instant of the grid.
    pub fn start_ms(&self) -> i64 {
        self.start_ms
    }

    /// First instant after the grid.
    pub fn end_ms(&self) -> i64 {
        self.end_ms
    }

    /// Length of one step; the last one may be shorter.
    pub fn step_ms(&self) -> i64 {
        self.step_ms
    }

    /// Number of steps.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no steps.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Index of the step that holds `time_ms`; `None` outside the grid.
    pub fn index_of(&self, time_ms: i64) -> Option<usize> {
        if time_ms < self.start_ms || time_ms >= self.end_ms {
            return None;
        }
        let length = u64::try_from(self.step_ms).ok()?;
        usize::try_from(time_ms.abs_diff(self.start_ms).checked_div(length)?).ok()
    }

    /// Start and end of step `index`, half open; `None` past the last step.
    pub fn bounds(&self, index: usize) -> Option<(i64, i64)> {
        if index >= self.len {
            return None;
        }
        let offset_ms = i128::try_from(index).ok()?.checked_mul(i128::from(self.step_ms))?;
        let start_ms = i64::try_from(i128::from(self.start_ms).checked_add(offset_ms)?).ok()?;
        Some((start_ms, start_ms.saturating_add(self.step_ms).min(self.end_ms)))
    }

    /// Start and end of every step, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (i64, i64)> + use<> {
        let grid = *self;
        (0..grid.len).filter_map(move |index| grid.bounds(index))
    }
}
