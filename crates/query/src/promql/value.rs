//! What a query evaluates to.

use super::labels::Labels;
use super::source::Series;

/// The answer to a query.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The result.
    pub value: Value,
    /// Texts that say the result is likely not what was meant.
    pub warnings: Vec<String>,
    /// Texts worth knowing.
    pub infos: Vec<String>,
    /// What it took.
    pub stats: Stats,
}

/// What a query took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Series read.
    pub series: usize,
    /// Samples read.
    pub samples: usize,
}

/// A result.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// One number.
    Scalar {
        /// Evaluation time in Unix milliseconds.
        time_ms: i64,
        /// The number.
        value: f64,
    },
    /// A text.
    String {
        /// Evaluation time in Unix milliseconds.
        time_ms: i64,
        /// The text.
        value: String,
    },
    /// One value per series, in the order the query gives.
    Vector(Vec<InstantSample>),
    /// Many values per series, sorted by labels.
    Matrix(Vec<Series>),
}

/// One value of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct InstantSample {
    /// What names the series.
    pub labels: Labels,
    /// Evaluation time in Unix milliseconds.
    pub time_ms: i64,
    /// The value.
    pub value: f64,
}
