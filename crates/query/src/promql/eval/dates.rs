//! Parts of dates in UTC, in the proleptic Gregorian calendar.
//!
//! Source of the conversion: Howard Hinnant, "chrono-compatible low-level date algorithms".

/// A part of a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatePart {
    /// 1 to 31.
    DayOfMonth,
    /// Sunday is 0.
    DayOfWeek,
    /// From 1.
    DayOfYear,
    /// 28 to 31.
    DaysInMonth,
    /// 0 to 23.
    Hour,
    /// 0 to 59.
    Minute,
    /// 1 to 12.
    Month,
    /// The year.
    Year,
}

const DAY_SECONDS: i64 = 86_400;

impl DatePart {
    /// The part of the moment that many seconds after 1970-01-01T00:00:00Z.
    pub(in crate::promql) fn of(self, seconds: f64) -> f64 {
        let seconds = seconds as i64;
        let days = seconds.div_euclid(DAY_SECONDS);
        let in_day = seconds.rem_euclid(DAY_SECONDS);
        let (year, month, day) = civil(days);
        let part = match self {
            Self::DayOfMonth => day,
            // 1970-01-01 was a Thursday.
            Self::DayOfWeek => (days + 4).rem_euclid(7),
            Self::DayOfYear => (1..month).map(|m| days_in_month(year, m)).sum::<i64>() + day,
            Self::DaysInMonth => days_in_month(year, month),
            Self::Hour => in_day / 3600,
            Self::Minute => in_day / 60 % 60,
            Self::Month => month,
            Self::Year => year,
        };
        part as f64
    }
}

/// A time in Unix milliseconds as RFC 3339 writes it, to the second, in UTC.
pub(in crate::promql) fn format_time(time_ms: i64) -> String {
    let seconds = time_ms.div_euclid(1000);
    let (year, month, day) = civil(seconds.div_euclid(DAY_SECONDS));
    let in_day = seconds.rem_euclid(DAY_SECONDS);
    let (hour, minute, second) = (in_day / 3600, in_day / 60 % 60, in_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Year, month and day of the day that many days after 1970-01-01.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::{DatePart, format_time};

    #[test]
    fn parts_of_known_moments() {
        // 2024-02-29T23:59:00Z, a Thursday.
        let moment = 1_709_251_140.0;
        let parts = [
            (DatePart::Year, 2024.0),
            (DatePart::Month, 2.0),
            (DatePart::DayOfMonth, 29.0),
            (DatePart::DayOfWeek, 4.0),
            (DatePart::DayOfYear, 60.0),
            (DatePart::DaysInMonth, 29.0),
            (DatePart::Hour, 23.0),
            (DatePart::Minute, 59.0),
        ];
        for (part, expected) in parts {
            assert_eq!(part.of(moment), expected, "{part:?}");
        }
        assert_eq!(format_time(1_709_251_140_999), "2024-02-29T23:59:00Z");
        assert_eq!(DatePart::Year.of(-1.0), 1969.0);
        assert!(DatePart::Year.of(f64::INFINITY) > 0.0);
    }
}
