//! Why a query has no answer.

use plimsoll_model::ErrorClass;

use super::ast::{Kind, Span};
use super::engine::Stop;
use super::labels::Labels;
use super::parse::ParseError;
use super::source::SourceError;

/// A query without an answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The query cannot be read.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// The series cannot be fetched.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The query was stopped.
    #[error("query {stop}")]
    Stopped {
        /// Why.
        stop: Stop,
    },
    /// The answer would have too many points per series.
    #[error(
        "exceeded maximum resolution of {points_max} points per timeseries; \
         try decreasing the query resolution (?step=XX)"
    )]
    Points {
        /// The limit.
        points_max: usize,
    },
    /// The query needs more memory than it may use.
    #[error("query processing would load more than {values_max} values into memory")]
    Values {
        /// The limit.
        values_max: usize,
    },
    /// The step between points is not positive.
    #[error("zero or negative query resolution step widths are not accepted, got {step_ms} ms")]
    Step {
        /// The step.
        step_ms: i64,
    },
    /// The range ends before it starts.
    #[error("the query's end {end_ms} ms is before its start {start_ms} ms")]
    Range {
        /// Where it starts, Unix milliseconds.
        start_ms: i64,
        /// Where it ends, Unix milliseconds.
        end_ms: i64,
    },
    /// A range query evaluates to something that has no value per step.
    #[error("invalid expression type \"{kind}\" for range query, must be Scalar or instant Vector")]
    RangeKind {
        /// What it evaluates to.
        kind: Kind,
    },
    /// A computed duration is not positive.
    #[error("{line}:{column}: duration must be greater than 0")]
    DurationNotPositive {
        /// Line in the query.
        line: usize,
        /// Column in the query.
        column: usize,
    },
    /// A computed duration divides by zero.
    #[error("{line}:{column}: division by zero in a duration")]
    DurationByZero {
        /// Line in the query.
        line: usize,
        /// Column in the query.
        column: usize,
    },
    /// A computed duration or time does not fit.
    #[error("{line}:{column}: duration is out of range")]
    DurationRange {
        /// Line in the query.
        line: usize,
        /// Column in the query.
        column: usize,
    },
    /// Two results have the same labels.
    #[error("vector cannot contain metrics with the same labelset")]
    SameLabels,
    /// Several series of the side that must have one match.
    #[error(
        "found duplicate series for the match group {group} on the {side} hand-side of the \
         operation: [{first}, {second}];many-to-many matching not allowed: matching labels must \
         be unique on one side"
    )]
    DuplicateMatch {
        /// The labels they share.
        group: Labels,
        /// "left" or "right".
        side: &'static str,
        /// One series.
        first: Labels,
        /// Another series.
        second: Labels,
    },
    /// Several series match one, and the query does not say so.
    #[error(
        "multiple matches for labels: many-to-one matching must be explicit \
         (group_left/group_right)"
    )]
    ManyToOne,
    /// Grouping labels leave several results alike.
    #[error("multiple matches for labels: grouping labels must ensure unique matches")]
    GroupingNotUnique,
    /// The parameter of an aggregation is not a number.
    #[error("{what} value is NaN")]
    ParameterNan {
        /// "Parameter" or "Ratio".
        what: &'static str,
    },
    /// The parameter of an aggregation does not fit an integer.
    #[error("Scalar value {value} {direction} int64")]
    ParameterRange {
        /// The value.
        value: f64,
        /// "overflows" or "underflows".
        direction: &'static str,
    },
    /// A label name is not text.
    #[error("invalid label name {name}")]
    LabelName {
        /// The name in quotes.
        name: String,
    },
    /// A label name that a function sets or reads is not text.
    #[error("invalid {role} label name in {function}(): {name}")]
    FunctionLabel {
        /// "source" or "destination".
        role: &'static str,
        /// The function.
        function: &'static str,
        /// The name.
        name: String,
    },
    /// The expression of `label_replace` is malformed.
    #[error("invalid regular expression in label_replace(): {pattern}")]
    LabelRegex {
        /// The expression.
        pattern: String,
    },
    /// A factor of `double_exponential_smoothing` is outside (0, 1).
    #[error("invalid {what} factor. Expected: 0 < {letter}f < 1, got: {found}")]
    Smoothing {
        /// "smoothing" or "trend".
        what: &'static str,
        /// "s" or "t".
        letter: char,
        /// The factor.
        found: f64,
    },
    /// A modifier does not work with a function.
    #[error("{modifier} modifier can only be used with: {allowed} - not with {function}")]
    Extension {
        /// "anchored" or "smoothed".
        modifier: &'static str,
        /// The functions it works with.
        allowed: &'static str,
        /// The function.
        function: &'static str,
    },
    /// A function that only makes sense for native histograms.
    #[error("{function}() needs native histograms, which are not supported")]
    NativeHistogram {
        /// The function.
        function: &'static str,
    },
    /// Two info series with the same identity at the same time.
    #[error(
        "found duplicate series for info metric: existing {first} @ {time_ms}, \
         new {second} @ {time_ms}"
    )]
    DuplicateInfo {
        /// One series.
        first: Labels,
        /// Another series.
        second: Labels,
        /// When, in Unix milliseconds.
        time_ms: i64,
    },
    /// Two info metrics that disagree about a label.
    #[error("conflicting label: {label}")]
    InfoConflict {
        /// The label.
        label: String,
    },
    /// The engine met a tree that the checker does not let through.
    #[error("the expression at bytes {}..{} has an unexpected kind", span.start, span.end)]
    Unchecked {
        /// Where.
        span: Span,
    },
}

impl QueryError {
    /// What kind of failure it is.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Parse(error) => error.class(),
            Self::Source(error) => error.class(),
            Self::Stopped { .. } | Self::Points { .. } | Self::Values { .. } => ErrorClass::Limited,
            Self::Unchecked { .. } => ErrorClass::Bug,
            _ => ErrorClass::Invalid,
        }
    }

    /// Whether the only reason is that native histograms are not supported.
    pub fn is_native_histogram(&self) -> bool {
        matches!(
            self,
            Self::NativeHistogram { .. } | Self::Source(SourceError::NativeHistogram { .. })
        )
    }
}
