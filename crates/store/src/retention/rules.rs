//! How long what is kept: ages by resolution, and rules that give some series other ages.
//!
//! A rule is a selector and ages: `{stack="batch"} raw=2d 5m=30d`. The first rule whose selector
//! accepts a series counts; what it does not name has the general age.

use std::time::Duration;

use plimsoll_model::registry::RollupRules;
use plimsoll_model::{ErrorClass, Filter, Table};

use super::{SelectorError, parse_selector};
use crate::scan::SeriesKey;
use crate::segment::Resolution;

/// Age past which rows of each resolution are not returned, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ages {
    /// Raw rows.
    pub raw_ms: i64,
    /// Windows of five minutes.
    pub five_minute_ms: i64,
    /// Windows of one hour, and raw rows of tables that are not rolled up.
    pub hour_ms: i64,
}

impl Ages {
    /// Ages as durations.
    pub fn new(raw: Duration, five_minute: Duration, hour: Duration) -> Self {
        let ms = |age: Duration| i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        Self { raw_ms: ms(raw), five_minute_ms: ms(five_minute), hour_ms: ms(hour) }
    }

    /// The age of one resolution of a rolled-up table.
    pub fn of(&self, resolution: Resolution) -> i64 {
        match resolution {
            Resolution::Raw => self.raw_ms,
            Resolution::FiveMinutes => self.five_minute_ms,
            Resolution::Hour => self.hour_ms,
        }
    }

    /// The age of one resolution of a table: tables that are not rolled up are kept as long as
    /// the longest resolution.
    pub fn of_table(&self, table: &Table, resolution: Resolution) -> i64 {
        if RollupRules::embedded().rolls_up(table) { self.of(resolution) } else { self.hour_ms }
    }
}

/// Why a text is not a retention rule.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// The selector is none.
    #[error("the rule {rule:?} has no usable selector")]
    Selector {
        /// The rule.
        rule: String,
        /// What is wrong with it.
        source: SelectorError,
    },
    /// An age is none.
    #[error("the rule {rule:?} says {found:?}, expected raw=, 5m= or 1h= and a time such as 2d")]
    Age {
        /// The rule.
        rule: String,
        /// The part that is wrong.
        found: String,
    },
    /// The rule names no age.
    #[error("the rule {rule:?} gives no age")]
    Empty {
        /// The rule.
        rule: String,
    },
}

impl RuleError {
    /// Always the asker's mistake.
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Invalid
    }
}

/// Other ages for some series.
#[derive(Debug, Clone)]
pub struct Rule {
    text: String,
    filter: Filter,
    ages_ms: [Option<i64>; 3],
}

impl Rule {
    /// Reads a rule.
    ///
    /// # Errors
    ///
    /// [`RuleError`] says which part is wrong.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        let rule = text.trim().to_owned();
        let end = rule.rfind('}').map_or(0, |at| at.saturating_add(1));
        let (selector, ages) = rule.split_at_checked(end).unwrap_or((&rule, ""));
        let filter = parse_selector(selector)
            .map_err(|source| RuleError::Selector { rule: rule.clone(), source })?;
        let mut found = [None; 3];
        for part in ages.split_whitespace() {
            let wrong = || RuleError::Age { rule: rule.clone(), found: part.to_owned() };
            let (name, age) = part.split_once('=').ok_or_else(wrong)?;
            let resolution: Resolution = name.parse().map_err(|_| wrong())?;
            let age_ms = parse_duration_ms(age).ok_or_else(wrong)?;
            if let Some(place) = found.get_mut(index(resolution)) {
                *place = Some(age_ms);
            }
        }
        if found.iter().all(Option::is_none) {
            return Err(RuleError::Empty { rule });
        }
        Ok(Self { text: rule, filter, ages_ms: found })
    }

    /// The rule as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The age it gives a resolution.
    pub fn age_ms(&self, resolution: Resolution) -> Option<i64> {
        self.ages_ms.get(index(resolution)).copied().flatten()
    }

    /// Whether it is about a series.
    pub fn accepts(&self, table: &Table, key: &SeriesKey) -> bool {
        key.accepted_by(table, &self.filter)
    }
}

fn index(resolution: Resolution) -> usize {
    match resolution {
        Resolution::Raw => 0,
        Resolution::FiveMinutes => 1,
        Resolution::Hour => 2,
    }
}

/// The general ages and the rules, in the order in which they count.
#[derive(Debug, Clone)]
pub struct Rules {
    /// For series no rule accepts.
    pub ages: Ages,
    /// The first that accepts a series counts.
    pub rules: Vec<Rule>,
}

impl Rules {
    /// The rule that counts for a series.
    pub fn rule(&self, table: &Table, key: &SeriesKey) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.accepts(table, key))
    }

    /// The age of one resolution of a series.
    pub fn age_ms(&self, table: &Table, resolution: Resolution, key: &SeriesKey) -> i64 {
        let own = self.rule(table, key).and_then(|rule| rule.age_ms(resolution));
        own.unwrap_or_else(|| self.ages.of_table(table, resolution))
    }

    /// The longest age any series of a table may have at a resolution.
    pub fn age_max_ms(&self, table: &Table, resolution: Resolution) -> i64 {
        let own = self.rules.iter().filter_map(|rule| rule.age_ms(resolution));
        own.fold(self.ages.of_table(table, resolution), i64::max)
    }
}

/// Milliseconds of a time such as `90s`, `5m`, `12h`, `2d`, `1w`, `3y` (365 days).
pub fn parse_duration_ms(text: &str) -> Option<i64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let unit_ms = match unit {
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 7 * 86_400_000,
        "y" => 365 * 86_400_000,
        _ => return None,
    };
    number.parse::<i64>().ok()?.checked_mul(unit_ms)
}
