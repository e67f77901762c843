//! Reads times and durations as people and programs write them in questions.
//!
//! A time is RFC 3339 (`2026-11-20T08:00:00Z`, `2026-11-20`), Unix seconds (`1795161600.5`),
//! `now`, or relative to now (`-6h`, `now-90s`). A duration is a chain of numbers with units
//! (`1h30m`, `500ms`) or plain seconds (`15`, `0.5`).
//!
//! Keeps true: what is read is whole milliseconds; nothing wraps around.
//! Not here: which times a question allows (`history::request`).

use plimsoll_model::ErrorClass;

/// First time that is accepted: 1970-01-01T00:00:00Z, in Unix milliseconds.
pub const TIME_MS_MIN: i64 = 0;
/// Last time that is accepted: 2200-01-01T00:00:00Z, in Unix milliseconds.
pub const TIME_MS_MAX: i64 = 7_258_118_400_000;

/// What [`parse_time_ms`] accepts, for error messages.
pub const TIME_ALLOWED: &str = "a time from 1970 to 2200 as RFC 3339 (2026-11-20T08:00:00Z), \
     Unix seconds (1795161600), `now` or relative to now (-6h)";

/// Why a text is not a time or a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimeError {
    /// The text has none of the forms of a time.
    #[error("{found:?} is not a time")]
    Time {
        /// The text.
        found: String,
    },
    /// The text has none of the forms of a duration.
    #[error("{found:?} is not a duration")]
    Duration {
        /// The text.
        found: String,
    },
    /// The time is one we do not keep.
    #[error("{found:?} is not between 1970 and 2200")]
    Range {
        /// The text.
        found: String,
    },
}

impl TimeError {
    /// Always the asker's mistake.
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Invalid
    }
}

/// Units of a duration and their length in milliseconds; `y` is 365 days, as in PromQL.
const UNITS: &[(&str, i64)] = &[
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("w", 604_800_000),
    ("y", 31_536_000_000),
];

/// Reads a time.
///
/// A blank between `T` and the offset's digits counts as the `+` that a form decoder ate.
///
/// # Errors
///
/// [`TimeError`] when the text has none of the forms of the module's head, or lies outside
/// [`TIME_MS_MIN`], [`TIME_MS_MAX`].
pub fn parse_time_ms(text: &str, now_ms: i64) -> Result<i64, TimeError> {
    let found = || TimeError::Time { found: text.to_owned() };
    let trimmed = text.trim();
    let time_ms = if let Some(rest) = trimmed.strip_prefix("now") {
        if rest.is_empty() { now_ms } else { relative(rest, now_ms).ok_or_else(found)? }
    } else if trimmed.starts_with('-') || trimmed.starts_with('+') {
        relative(trimmed, now_ms).ok_or_else(found)?
    } else if let Ok(seconds) = trimmed.parse::<f64>() {
        milliseconds(seconds).ok_or_else(found)?
    } else {
        rfc3339_ms(trimmed).ok_or_else(found)?
    };
    if (TIME_MS_MIN..=TIME_MS_MAX).contains(&time_ms) {
        Ok(time_ms)
    } else {
        Err(TimeError::Range { found: text.to_owned() })
    }
}

/// Reads a duration in milliseconds, zero included.
///
/// # Errors
///
/// [`TimeError::Duration`] when the text has none of the forms of the module's head or the
/// duration is longer than `i64` milliseconds.
pub fn parse_duration_ms(text: &str) -> Result<i64, TimeError> {
    duration_ms(text.trim()).ok_or_else(|| TimeError::Duration { found: text.to_owned() })
}

/// Writes a duration in the shortest form that [`parse_duration_ms`] reads back as the same.
pub fn format_duration_ms(duration_ms: i64) -> String {
    if duration_ms == 0 {
        return "0s".to_owned();
    }
    let mut rest = duration_ms.unsigned_abs();
    let mut text = String::from(if duration_ms < 0 { "-" } else { "" });
    for (unit, length_ms) in UNITS.iter().rev().filter(|(unit, _)| !matches!(*unit, "y" | "w")) {
        let length = length_ms.unsigned_abs();
        if rest >= length {
            text.push_str(&(rest / length).to_string());
            text.push_str(unit);
            rest %= length;
        }
    }
    text
}

/// Writes a time as RFC 3339 in UTC with milliseconds where it has any.
pub fn format_time_ms(time_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(time_ms)
        .map_or_else(|_| time_ms.to_string(), |time| time.to_string())
}

fn relative(text: &str, now_ms: i64) -> Option<i64> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("-", rest) => (-1, rest),
        ("+" | " ", rest) => (1, rest),
        _ => return None,
    };
    now_ms.checked_add(duration_ms(rest)?.checked_mul(sign)?)
}

fn duration_ms(text: &str) -> Option<i64> {
    if text.is_empty() {
        return None;
    }
    if let Ok(seconds) = text.parse::<f64>() {
        return if text.starts_with(['-', '+']) { None } else { milliseconds(seconds) };
    }
    let mut rest = text;
    let mut total_ms = 0_i64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at_checked(digits)?;
        let letters = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(letters)?;
        let (_, length_ms) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let part_ms = number.parse::<i64>().ok()?.checked_mul(*length_ms)?;
        total_ms = total_ms.checked_add(part_ms)?;
        rest = tail;
    }
    Some(total_ms)
}

/// Seconds as whole milliseconds; `None` for what is not a number or far outside of time.
#[expect(clippy::cast_possible_truncation, reason = "the bound is checked one line above")]
fn milliseconds(seconds: f64) -> Option<i64> {
    let milliseconds = (seconds * 1_000.0).round();
    (milliseconds.abs() < 9.0e15).then_some(milliseconds as i64)
}

fn rfc3339_ms(text: &str) -> Option<i64> {
    let text = match text.split_once(' ') {
        Some((time, offset)) if time.contains('T') => format!("{time}+{offset}"),
        _ if text.len() == 10 => format!("{text}T00:00:00Z"),
        _ => text.to_owned(),
    };
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW_MS: i64 = 1_795_161_600_000;

    #[test]
    fn times_are_read_in_all_their_forms() {
        for (text, expected) in [
            ("now", NOW_MS),
            ("-6h", NOW_MS - 21_600_000),
            ("now-90s", NOW_MS - 90_000),
            ("now+1m", NOW_MS + 60_000),
            ("1795161600", NOW_MS),
            ("1795161600.25", NOW_MS + 250),
            ("2026-11-20T08:00:00Z", NOW_MS),
            ("2026-11-20T10:00:00+02:00", NOW_MS),
            ("2026-11-20T10:00:00 02:00", NOW_MS),
            ("2026-11-20", NOW_MS - 28_800_000),
        ] {
            assert_eq!(parse_time_ms(text, NOW_MS), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_an_error() {
        for text in ["", "yesterday", "-", "-6", "-6x", "NaN", "inf", "1795161600000", "-100y"] {
            let is_number_of_seconds = text == "-6";
            assert_eq!(parse_time_ms(text, NOW_MS).is_ok(), is_number_of_seconds, "{text}");
        }
    }

    #[test]
    fn durations_are_read_in_all_their_forms() {
        for (text, expected) in
            [("15", 15_000), ("0.5", 500), ("1h30m", 5_400_000), ("500ms", 500), ("1y", UNITS[6].1)]
        {
            assert_eq!(parse_duration_ms(text), Ok(expected), "{text}");
        }
        for text in ["", "-1", "-5m", "1", "5 m", "m", "1.5h", "9999999999999999y", "1h30"] {
            assert_eq!(parse_duration_ms(text).is_ok(), text == "1", "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_written_duration_reads_back(duration_ms in 0_i64..4_000_000_000_000) {
            let text = format_duration_ms(duration_ms);
            prop_assert_eq!(parse_duration_ms(&text), Ok(duration_ms));
        }

        #[test]
        fn a_written_time_reads_back(time_ms in TIME_MS_MIN..TIME_MS_MAX) {
            prop_assert_eq!(parse_time_ms(&format_time_ms(time_ms), 0), Ok(time_ms));
        }

        #[test]
        fn no_text_is_a_panic(text in "\\PC{0,24}") {
            let _ = parse_time_ms(&text, NOW_MS);
            let _ = parse_duration_ms(&text);
        }
    }
}
