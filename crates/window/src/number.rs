//! The conversions of integers to floating point that every answer uses.
//!
//! They live in one place so that each number is computed from the same integers in the same
//! way wherever it is asked for, which is what makes results equal bit by bit.

/// The nearest `f64`; exact up to 2^53.
#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "rounding to the nearest f64 is the wish, and `From` does not offer it"
)]
pub(crate) const fn from_i64(value: i64) -> f64 {
    value as f64
}

/// The nearest `f64`; exact up to 2^53.
#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "rounding to the nearest f64 is the wish, and `From` does not offer it"
)]
pub(crate) const fn from_u64(value: u64) -> f64 {
    value as f64
}

/// The nearest `f64`; exact up to 2^53.
#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "rounding to the nearest f64 is the wish, and `From` does not offer it"
)]
pub(crate) const fn from_i128(value: i128) -> f64 {
    value as f64
}

/// The integer part, saturating; `NaN` gives 0.
#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the saturating conversion is the wish, and `From` does not offer it"
)]
pub(crate) const fn to_u64(value: f64) -> u64 {
    value as u64
}

/// The integer part, saturating; `NaN` gives 0.
#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "the saturating conversion is the wish, and `From` does not offer it"
)]
pub(crate) const fn to_i32(value: f64) -> i32 {
    value as i32
}

/// A length as a count.
pub(crate) fn count_of(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// A count as a stored column value; a count past `i64::MAX` cannot be reached by counting.
pub(crate) fn stored(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Time from `earlier_ms` to `later_ms`, never negative, saturating.
pub(crate) fn elapsed_ms(earlier_ms: i64, later_ms: i64) -> i64 {
    later_ms.saturating_sub(earlier_ms).max(0)
}

/// `amount` per second over `elapsed_ms`, which is positive.
pub(crate) fn per_second(amount: i64, elapsed_ms: i64) -> f64 {
    from_i64(amount) * 1000.0 / from_i64(elapsed_ms)
}
