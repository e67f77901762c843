//! Which subjects a question is about: matchers on dimensions, keys and labels.
//!
//! The same filter narrows scans, fences tokens and selects retention rules.
//! A missing label matches as the empty string, as in Prometheus.

use regex::Regex;

use crate::ErrorClass;

/// How a label is compared.
#[derive(Debug, Clone)]
enum Test {
    Equal(String),
    NotEqual(String),
    Matches(Regex),
    NotMatches(Regex),
}

/// One comparison of one label.
#[derive(Debug, Clone)]
pub struct Matcher {
    label: String,
    test: Test,
}

/// Why a matcher cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MatcherError {
    /// The pattern is not a regular expression of the RE2 class, or is too large.
    #[error(
        "label {label:?} has the pattern {pattern:?}, which is not a usable regular expression"
    )]
    Pattern {
        /// The label that was to be matched.
        label: String,
        /// The pattern as given.
        pattern: String,
        /// What the parser said.
        source: Box<regex::Error>,
    },
}

impl MatcherError {
    /// Always the asker's mistake.
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Invalid
    }
}

/// Largest compiled pattern, in bytes: hostile patterns end here, not in swap.
const PATTERN_BYTES_MAX: usize = 1 << 20;

impl Matcher {
    /// `label="value"`.
    pub fn equal(label: impl Into<String>, value: impl Into<String>) -> Self {
        Self { label: label.into(), test: Test::Equal(value.into()) }
    }

    /// `label!="value"`.
    pub fn not_equal(label: impl Into<String>, value: impl Into<String>) -> Self {
        Self { label: label.into(), test: Test::NotEqual(value.into()) }
    }

    /// `label=~"pattern"`, anchored at both ends.
    ///
    /// # Errors
    ///
    /// [`MatcherError::Pattern`] when the pattern does not compile.
    pub fn matches(label: impl Into<String>, pattern: &str) -> Result<Self, MatcherError> {
        let label = label.into();
        let test = Test::Matches(anchored(&label, pattern)?);
        Ok(Self { label, test })
    }

    /// `label!~"pattern"`, anchored at both ends.
    ///
    /// # Errors
    ///
    /// [`MatcherError::Pattern`] when the pattern does not compile.
    pub fn not_matches(label: impl Into<String>, pattern: &str) -> Result<Self, MatcherError> {
        let label = label.into();
        let test = Test::NotMatches(anchored(&label, pattern)?);
        Ok(Self { label, test })
    }

    /// The label that is compared.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The value an equality matcher asks for; `None` for other matchers.
    pub fn equal_value(&self) -> Option<&str> {
        match &self.test {
            Test::Equal(value) => Some(value),
            _ => None,
        }
    }

    /// Whether this value passes; a missing label is passed as `""`.
    pub fn accepts(&self, value: &str) -> bool {
        match &self.test {
            Test::Equal(wanted) => value == wanted,
            Test::NotEqual(unwanted) => value != unwanted,
            Test::Matches(pattern) => pattern.is_match(value),
            Test::NotMatches(pattern) => !pattern.is_match(value),
        }
    }
}

impl std::fmt::Display for Matcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (operator, value) = match &self.test {
            Test::Equal(value) => ("=", value.as_str()),
            Test::NotEqual(value) => ("!=", value.as_str()),
            Test::Matches(pattern) => ("=~", unanchored(pattern)),
            Test::NotMatches(pattern) => ("!~", unanchored(pattern)),
        };
        write!(f, "{}{operator}{value:?}", self.label)
    }
}

fn anchored(label: &str, pattern: &str) -> Result<Regex, MatcherError> {
    regex::RegexBuilder::new(&format!("^(?s:{pattern})$"))
        .size_limit(PATTERN_BYTES_MAX)
        .build()
        .map_err(|source| MatcherError::Pattern {
            label: label.to_owned(),
            pattern: pattern.to_owned(),
            source: Box::new(source),
        })
}

fn unanchored(pattern: &Regex) -> &str {
    let text = pattern.as_str();
    text.strip_prefix("^(?s:").and_then(|rest| rest.strip_suffix(")$")).unwrap_or(text)
}

/// All matchers must accept (logical and). No matcher accepts everything.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    matchers: Vec<Matcher>,
}

impl Filter {
    /// A filter of these matchers.
    pub fn new(matchers: Vec<Matcher>) -> Self {
        Self { matchers }
    }

    /// The matchers, in the order given.
    pub fn matchers(&self) -> &[Matcher] {
        &self.matchers
    }

    /// Adds a matcher that must accept as well.
    pub fn push(&mut self, matcher: Matcher) {
        self.matchers.push(matcher);
    }

    /// Whether every matcher accepts; `value_of` gives a label's value, `""` when missing.
    pub fn accepts<'a>(&self, value_of: impl Fn(&str) -> &'a str) -> bool {
        self.matchers.iter().all(|matcher| matcher.accepts(value_of(matcher.label())))
    }
}
