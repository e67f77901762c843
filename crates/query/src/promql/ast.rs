//! The parsed form of a query.
//!
//! Holds: the tree is at most [`super::parse::DEPTH_MAX`] deep, so walking it by recursion is safe.
//! Not here: how it is written back as text (`super::print`).

use std::fmt;
use std::sync::Arc;

use super::functions::Function;
use super::matcher::Matcher;
use super::operators::{AggregateOp, BinaryOp, Cardinality};
use super::text::Text;

/// Where in the query something stands: bytes `[start, end)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One after the last byte.
    pub end: usize,
}

impl Span {
    /// Line and column of the start, both counted from 1, the column in bytes.
    pub fn line_column(self, query: &str) -> (usize, usize) {
        let before = &query.as_bytes()[..self.start.min(query.len())];
        let lines = before.split(|byte| *byte == b'\n');
        let column = lines.clone().next_back().map_or(0, <[u8]>::len) + 1;
        let line = lines.count();
        (line, column)
    }
}

/// What an expression evaluates to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One number.
    Scalar,
    /// One value per series.
    Vector,
    /// Many samples per series.
    Matrix,
    /// A text.
    String,
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Scalar => "scalar",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
            Self::String => "string",
        })
    }
}

/// An expression.
#[derive(Clone, Debug)]
pub enum Expr {
    /// A number.
    Number(Number),
    /// A string.
    String(StringLiteral),
    /// `name{matchers}` with modifiers.
    Vector(VectorSelector),
    /// `name{matchers}[range]`.
    Matrix(MatrixSelector),
    /// `expr[range:step]`.
    Subquery(Box<Subquery>),
    /// `function(arguments)`.
    Call(Call),
    /// `sum by (labels) (expr)`.
    Aggregate(Box<Aggregate>),
    /// `-expr`, `+expr`.
    Unary(Box<Unary>),
    /// `left op right`.
    Binary(Box<Binary>),
    /// `(expr)`.
    Paren(Box<Paren>),
}

/// A number literal.
#[derive(Clone, Debug)]
pub struct Number {
    /// Its value; durations in seconds.
    pub value: f64,
    /// Whether it was written as a duration.
    pub duration: bool,
    /// Where it stands.
    pub span: Span,
}

/// A string literal.
#[derive(Clone, Debug)]
pub struct StringLiteral {
    /// Its value.
    pub value: Text,
    /// Where it stands.
    pub span: Span,
}

/// Fixed evaluation time of a selector or subquery.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum At {
    /// `@ seconds`, here in milliseconds.
    Time(i64),
    /// `@ start()`
    Start,
    /// `@ end()`
    End,
}

/// How a selector treats samples around its range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Extension {
    /// Only samples inside.
    #[default]
    None,
    /// The last sample before the range counts as its first value.
    Anchored,
    /// Values at the range's edges are interpolated.
    Smoothed,
}

/// A selector of series.
#[derive(Clone, Debug)]
pub struct VectorSelector {
    /// Which of the query's selections it reads.
    pub slot: usize,
    /// The metric name written before the braces.
    pub name: Option<Arc<str>>,
    /// All conditions, the name's among them.
    pub matchers: Vec<Matcher>,
    /// `offset`
    pub offset: Option<DurationExpr>,
    /// `@`
    pub at: Option<At>,
    /// `anchored`, `smoothed`
    pub extension: Extension,
    /// Where it stands.
    pub span: Span,
}

/// A selector of samples in a range.
#[derive(Clone, Debug)]
pub struct MatrixSelector {
    /// Which series; holds the modifiers too.
    pub selector: VectorSelector,
    /// How far back.
    pub range: DurationExpr,
    /// Where it stands.
    pub span: Span,
}

/// An expression evaluated over a range.
#[derive(Clone, Debug)]
pub struct Subquery {
    /// What is evaluated.
    pub expr: Expr,
    /// How far back.
    pub range: DurationExpr,
    /// How often; `None` means the engine's default.
    pub step: Option<DurationExpr>,
    /// `offset`
    pub offset: Option<DurationExpr>,
    /// `@`
    pub at: Option<At>,
    /// Where it stands.
    pub span: Span,
}

/// A function call.
#[derive(Clone, Debug)]
pub struct Call {
    /// What is called.
    pub function: &'static Function,
    /// With what.
    pub args: Vec<Expr>,
    /// The selection that `info()` reads; unused by other functions.
    pub slot: usize,
    /// Where it stands.
    pub span: Span,
}

/// An aggregation.
#[derive(Clone, Debug)]
pub struct Aggregate {
    /// How values are combined.
    pub op: AggregateOp,
    /// What is aggregated.
    pub expr: Expr,
    /// `k`, the quantile, the ratio or the label.
    pub param: Option<Expr>,
    /// The labels of `by` or `without`.
    pub grouping: Vec<Arc<str>>,
    /// Whether `grouping` is what to leave out.
    pub without: bool,
    /// Where it stands.
    pub span: Span,
}

/// A sign.
#[derive(Clone, Debug)]
pub struct Unary {
    /// Whether values change sign.
    pub negative: bool,
    /// Of what.
    pub expr: Expr,
    /// Where it stands.
    pub span: Span,
}

/// How series of two sides find each other.
#[derive(Clone, Debug, Default)]
pub struct Matching {
    /// How many series of each side may match.
    pub cardinality: Cardinality,
    /// Whether `labels` are the only ones that count; otherwise they are the ones that do not.
    pub on: bool,
    /// Whether `on` or `ignoring` was written.
    pub has_labels: bool,
    /// The labels of `on` or `ignoring`.
    pub labels: Vec<Arc<str>>,
    /// Labels taken from the "one" side.
    pub include: Vec<Arc<str>>,
    /// Value of a series that the left side lacks.
    pub fill_left: Option<f64>,
    /// Value of a series that the right side lacks.
    pub fill_right: Option<f64>,
}

/// A binary operation.
#[derive(Clone, Debug)]
pub struct Binary {
    /// The operator.
    pub op: BinaryOp,
    /// Its left side.
    pub left: Expr,
    /// Its right side.
    pub right: Expr,
    /// `bool`: comparisons return 0 or 1.
    pub returns_bool: bool,
    /// How series find each other.
    pub matching: Matching,
    /// Where it stands.
    pub span: Span,
}

/// An expression in parentheses.
#[derive(Clone, Debug)]
pub struct Paren {
    /// What is inside.
    pub expr: Expr,
    /// Where it stands.
    pub span: Span,
}

/// A duration, known once step and range of the query are.
#[derive(Clone, Debug)]
pub enum DurationExpr {
    /// So many seconds, and whether they were written as a duration.
    Seconds(f64, bool, Span),
    /// The query's step.
    Step(Span),
    /// From the query's start to its end.
    Range(Span),
    /// The smaller of two.
    Min(Box<(DurationExpr, DurationExpr)>, Span),
    /// The larger of two.
    Max(Box<(DurationExpr, DurationExpr)>, Span),
    /// `-d`, `+d`
    Sign(bool, Box<DurationExpr>, Span),
    /// `a op b`
    Binary(BinaryOp, Box<(DurationExpr, DurationExpr)>, Span),
    /// `(d)`
    Paren(Box<DurationExpr>, Span),
}

impl DurationExpr {
    /// Where it stands.
    pub fn span(&self) -> Span {
        match self {
            Self::Seconds(_, _, span)
            | Self::Step(span)
            | Self::Range(span)
            | Self::Min(_, span)
            | Self::Max(_, span)
            | Self::Sign(_, _, span)
            | Self::Binary(_, _, span)
            | Self::Paren(_, span) => *span,
        }
    }
}

impl Expr {
    /// Where the expression stands.
    pub fn span(&self) -> Span {
        match self {
            Self::Number(e) => e.span,
            Self::String(e) => e.span,
            Self::Vector(e) => e.span,
            Self::Matrix(e) => e.span,
            Self::Subquery(e) => e.span,
            Self::Call(e) => e.span,
            Self::Aggregate(e) => e.span,
            Self::Unary(e) => e.span,
            Self::Binary(e) => e.span,
            Self::Paren(e) => e.span,
        }
    }

    /// What the expression evaluates to.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Number(_) => Kind::Scalar,
            Self::String(_) => Kind::String,
            Self::Vector(_) | Self::Aggregate(_) => Kind::Vector,
            Self::Matrix(_) | Self::Subquery(_) => Kind::Matrix,
            Self::Call(e) => e.function.returns,
            Self::Unary(e) => e.expr.kind(),
            Self::Binary(e) => match (e.left.kind(), e.right.kind()) {
                (Kind::Scalar, Kind::Scalar) => Kind::Scalar,
                _ => Kind::Vector,
            },
            Self::Paren(e) => e.expr.kind(),
        }
    }

    /// The expression without parentheses around it.
    pub fn bare(&self) -> &Self {
        let mut expr = self;
        while let Self::Paren(paren) = expr {
            expr = &paren.expr;
        }
        expr
    }

    /// The expressions directly below, in the order they are written.
    pub fn children(&self) -> Vec<&Self> {
        match self {
            Self::Number(_) | Self::String(_) | Self::Vector(_) | Self::Matrix(_) => Vec::new(),
            Self::Subquery(e) => vec![&e.expr],
            Self::Call(e) => e.args.iter().collect(),
            Self::Aggregate(e) => e.param.iter().chain([&e.expr]).collect(),
            Self::Unary(e) => vec![&e.expr],
            Self::Binary(e) => vec![&e.left, &e.right],
            Self::Paren(e) => vec![&e.expr],
        }
    }
}
