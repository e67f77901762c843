//! Times and durations as the engine writes them.

/// What the engine writes for no time at all.
pub(super) const NEVER: &str = "0001-01-01T00:00:00Z";

/// RFC 3339 with nanoseconds, from Unix milliseconds.
pub(super) fn rfc3339(time_ms: i64) -> String {
    let (day, in_day) = (time_ms.div_euclid(86_400_000), time_ms.rem_euclid(86_400_000));
    let (year, month, day) = civil(day);
    let (s, ms) = (in_day / 1_000, in_day % 1_000);
    let (hour, minute, second) = (s / 3_600, s / 60 % 60, s % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}000000Z")
}

/// Year, month and day of a day number since 1970-01-01, by the algorithm of Howard Hinnant's
/// `civil_from_days`.
fn civil(day: i64) -> (i64, i64, i64) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096).div_euclid(365);
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// How long something lasted, in words.
pub(super) fn lasted(ms: i64) -> String {
    let s = ms.max(0) / 1_000;
    match s {
        0 => "Less than a second".to_owned(),
        1 => "1 second".to_owned(),
        2..=59 => format!("{s} seconds"),
        60..=119 => "About a minute".to_owned(),
        120..=3_599 => format!("{} minutes", s / 60),
        3_600..=7_199 => "About an hour".to_owned(),
        7_200..=172_799 => format!("{} hours", s / 3_600),
        172_800..=1_209_599 => format!("{} days", s / 86_400),
        _ => format!("{} weeks", s / 604_800),
    }
}

#[cfg(test)]
mod tests {
    use super::{lasted, rfc3339};

    #[test]
    fn times_are_written_as_the_engine_does() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(rfc3339(951_782_400_123), "2000-02-29T00:00:00.123000000Z");
        assert_eq!(rfc3339(1_795_132_799_999), "2026-11-19T23:59:59.999000000Z");
        assert_eq!(lasted(61_000), "About a minute");
    }
}
