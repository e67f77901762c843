//! One condition of a selector: label name, operator, value.
//!
//! Regular expressions match the whole value, may span lines and are linear in its length.

use std::fmt;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use super::labels::{Labels, METRIC_NAME};
use super::text::{is_plain_label_name, quoted};

/// Largest compiled size of one regular expression, in bytes.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// How a matcher compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
}

impl MatchOp {
    /// How the operator is written.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }
}

/// One condition on one label. A label that a series lacks has the empty value.
#[derive(Clone, Debug)]
pub struct Matcher {
    /// The label's name.
    pub name: Arc<str>,
    /// How to compare.
    pub op: MatchOp,
    /// The value or regular expression as written.
    pub value: Arc<str>,
    regex: Option<Regex>,
}

impl Matcher {
    /// A matcher.
    ///
    /// # Errors
    ///
    /// The regular expression is malformed or compiles to more than 1 MiB.
    pub fn new(name: &str, op: MatchOp, value: &str) -> Result<Self, regex::Error> {
        let regex = match op {
            MatchOp::Regex | MatchOp::NotRegex => Some(anchored(value)?),
            MatchOp::Equal | MatchOp::NotEqual => None,
        };
        Ok(Self { name: name.into(), op, value: value.into(), regex })
    }

    /// The matcher `__name__="name"`.
    pub fn metric(name: &str) -> Self {
        Self { name: METRIC_NAME.into(), op: MatchOp::Equal, value: name.into(), regex: None }
    }

    /// The compiled expression of a regex matcher.
    pub fn regex(&self) -> Option<&Regex> {
        self.regex.as_ref()
    }

    /// Whether a label value satisfies the condition.
    pub fn matches(&self, value: &str) -> bool {
        match self.op {
            MatchOp::Equal => value == &*self.value,
            MatchOp::NotEqual => value != &*self.value,
            MatchOp::Regex => self.regex.as_ref().is_some_and(|regex| regex.is_match(value)),
            MatchOp::NotRegex => !self.regex.as_ref().is_some_and(|regex| regex.is_match(value)),
        }
    }

    /// Whether all conditions hold for a label set.
    pub fn all_match(matchers: &[Self], labels: &Labels) -> bool {
        matchers.iter().all(|matcher| matcher.matches(labels.value(&matcher.name)))
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.op, &self.value) == (&other.name, other.op, &other.value)
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = quoted(self.value.as_bytes());
        if is_plain_label_name(&self.name) {
            write!(out, "{}{}{value}", self.name, self.op.symbol())
        } else {
            write!(out, "{}{}{value}", quoted(self.name.as_bytes()), self.op.symbol())
        }
    }
}

/// Compiles an expression so that it matches whole values only, `.` matching line ends too.
pub(super) fn anchored(pattern: &str) -> Result<Regex, regex::Error> {
    // The pattern is compiled alone first, so that it cannot close the group around it.
    RegexBuilder::new(pattern).size_limit(REGEX_BYTES_MAX).build()?;
    RegexBuilder::new(&format!("^(?s:{pattern})$")).size_limit(REGEX_BYTES_MAX).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_match_whole_values() {
        let matcher = Matcher::new("a", MatchOp::Regex, "b|c.*").unwrap();
        assert!(matcher.matches("b") && matcher.matches("c\nd"));
        assert!(!matcher.matches("ab") && !matcher.matches("bb"));
        assert!(Matcher::new("a", MatchOp::Regex, "a)|(b").is_err());
        assert!(Matcher::new("a", MatchOp::NotRegex, "(a{1000}){1000}").is_err());
    }
}
