//! Why a query cannot be read.

use std::fmt;
use std::sync::Arc;

use plimsoll_model::ErrorClass;

use crate::promql::ast::{Kind, Span};

/// A query that cannot be read, and where.
#[derive(Clone, Debug)]
pub struct ParseError {
    /// Line of the fault, from 1.
    pub line: usize,
    /// Column of the fault in bytes, from 1.
    pub column: usize,
    /// Bytes of the query that are at fault.
    pub span: Span,
    /// What is wrong.
    pub fault: ParseFault,
}

/// What is wrong with a query.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are what the messages name")]
pub enum ParseFault {
    /// Something else was expected here.
    #[error("unexpected {found}, expected {expected}")]
    Unexpected { found: String, expected: &'static str },
    /// There is nothing to evaluate.
    #[error("no expression found in input")]
    Empty,
    /// The query has too many bytes.
    #[error("the query is longer than {bytes_max} bytes")]
    TooLong { bytes_max: usize },
    /// The query is nested too deep.
    #[error("the query is nested deeper than {depth_max} expressions")]
    TooDeep { depth_max: usize },
    /// No such function.
    #[error("unknown function with name {name:?}")]
    UnknownFunction { name: String },
    /// Too few or too many arguments.
    #[error("expected {expected} argument(s) in call to {name:?}, got {found}")]
    Arguments { name: &'static str, expected: String, found: usize },
    /// An expression has the wrong kind for its place.
    #[error("expected type {expected} in {place}, got {found}")]
    Kind { place: String, expected: &'static str, found: Kind },
    /// A modifier stands after something it cannot change.
    #[error("{modifier} must be preceded by {expected}")]
    Modifier { modifier: &'static str, expected: &'static str },
    /// A modifier was given twice.
    #[error("{modifier} may not be set multiple times")]
    Repeated { modifier: &'static str },
    /// A modifier stands before the range it belongs behind.
    #[error("no {modifier} allowed before range")]
    BeforeRange { modifier: &'static str },
    /// Two modifiers exclude each other.
    #[error("anchored and smoothed modifiers cannot be used together")]
    AnchoredAndSmoothed,
    /// A selector would match everything.
    #[error("vector selector must contain at least one non-empty matcher")]
    EmptySelector,
    /// The metric's name is given twice.
    #[error("metric name must not be set twice: {first:?} or {second:?}")]
    NameTwice { first: Arc<str>, second: Arc<str> },
    /// A regular expression is malformed or too large.
    #[error("invalid regular expression {pattern:?}: {reason}")]
    Regex { pattern: String, reason: String },
    /// A string that must be text is not UTF-8.
    #[error("{place} is not valid UTF-8")]
    NotText { place: &'static str },
    /// A name that labels cannot have.
    #[error("invalid label name {name:?}")]
    LabelName { name: String },
    /// A comparison of two scalars lacks `bool`.
    #[error("comparisons between scalars must use BOOL modifier")]
    NeedsBool,
    /// `bool` stands with something that does not compare.
    #[error("bool modifier can only be used on comparison operators")]
    NeedsComparison,
    /// Matching clauses stand between other things than vectors.
    #[error("vector matching only allowed between instant vectors")]
    MatchingScalars,
    /// A set operator stands between other things than vectors.
    #[error("set operator {op:?} not allowed in binary scalar expression")]
    SetOfScalars { op: &'static str },
    /// A set operator has a grouping or fill clause.
    #[error("no {clause} allowed for {op:?} operation")]
    SetClause { op: &'static str, clause: &'static str },
    /// A label is both matched on and copied.
    #[error("label {label:?} must not occur in ON and GROUP clause at once")]
    OnAndGroup { label: Arc<str> },
    /// A duration that must be positive is not.
    #[error("duration must be greater than 0")]
    NotPositive,
    /// A time that does not fit.
    #[error("timestamp out of bounds for @ modifier: {seconds}")]
    Timestamp { seconds: f64 },
}

impl ParseError {
    pub(in crate::promql) fn new(query: &str, span: Span, fault: ParseFault) -> Self {
        let (line, column) = span.line_column(query);
        Self { line, column, span, fault }
    }

    pub(in crate::promql) fn unexpected(
        query: &str,
        span: Span,
        found: &str,
        expected: &'static str,
    ) -> Self {
        let mut found: String = found.chars().take(40).collect();
        if !found.contains(' ') {
            found = format!("\"{found}\"");
        }
        Self::new(query, span, ParseFault::Unexpected { found, expected })
    }

    /// The class of the error: always [`ErrorClass::Invalid`].
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Invalid
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: parse error: {}", self.line, self.column, self.fault)
    }
}

impl std::error::Error for ParseError {}
