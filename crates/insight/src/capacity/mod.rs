//! What services use, what they should ask for, when it ends, and what still fits.
//!
//! Pure: functions of samples the caller has read. [`usage`] sums up what was used, [`vpa`] and
//! [`krr`] recommend requests by two known algorithms, [`forecast`] looks ahead, [`headroom`]
//! packs what runs onto what is there.
//!
//! Not here: reading samples, parsing parameters, writing answers.

pub mod forecast;
pub mod headroom;
pub mod histogram;
pub mod krr;
pub mod usage;
pub mod vpa;

/// One value at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Unix milliseconds UTC.
    pub time_ms: i64,
    /// The value, in the unit the caller speaks of.
    pub value: f64,
}

/// Milliseconds of a day.
pub const DAY_MS: i64 = 86_400_000;
/// Milliseconds of an hour.
pub const HOUR_MS: i64 = 3_600_000;
