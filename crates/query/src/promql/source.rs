//! Where series come from: what the engine asks for, and what it gets.

use std::sync::Arc;

use plimsoll_model::ErrorClass;

use super::engine::{Interrupt, Limits, Stop};
use super::labels::Labels;
use super::matcher::Matcher;

/// Samples of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// What names the series.
    pub labels: Labels,
    /// When each sample was taken, in Unix milliseconds, strictly increasing.
    pub times: Vec<i64>,
    /// One value per time; [`super::STALE_BITS`] ends the series.
    pub values: Vec<f64>,
    /// When what each sample counts began, in Unix milliseconds, 0 where that is not known. Empty
    /// where it is known of no sample. Counters that restarted unseen are found by it.
    pub starts_ms: Vec<i64>,
}

impl Series {
    /// A series of whose samples it is not known when they began to count.
    pub fn new(labels: Labels, times: Vec<i64>, values: Vec<f64>) -> Self {
        Self { labels, times, values, starts_ms: Vec::new() }
    }
}

/// What one selector of a query needs.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Conditions that every series must satisfy.
    pub matchers: Vec<Matcher>,
    /// Earliest sample time that can matter, Unix milliseconds, included.
    pub first_ms: i64,
    /// Latest sample time that can matter, Unix milliseconds, included.
    pub last_ms: i64,
    /// What the samples are for; a source may answer from coarser data that gives the same result.
    pub hints: Hints,
}

/// What the samples of a selection are for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hints {
    /// The function or aggregation around the selector, if any.
    pub function: Option<&'static str>,
    /// The labels of the aggregation around the selector, or around the range function around it.
    /// Series must still come one by one.
    pub grouping: Vec<Arc<str>>,
    /// Whether `grouping` names the labels to keep (`by`).
    pub by: bool,
    /// Time between evaluations, in milliseconds; 0 for a single one.
    pub step_ms: i64,
    /// Length of the selector's range in milliseconds; 0 for an instant selector.
    pub range_ms: i64,
    /// End of the first evaluation's range, Unix milliseconds, `offset` and `@` applied: the
    /// ranges end at `end_ms + n * step_ms`.
    pub end_ms: i64,
}

/// A place that series come from.
pub trait SeriesSource {
    /// Fetches all selections of a query at once: the series of each, in any order.
    ///
    /// Samples outside the asked times may be returned; they are ignored. `interrupt` says whether
    /// to stop; a source that reads for long asks it often.
    ///
    /// # Errors
    ///
    /// [`SourceError`] when a limit is reached or the data cannot be read.
    fn select(
        &self,
        selections: &[Selection],
        limits: &Limits,
        interrupt: &dyn Interrupt,
    ) -> Result<Vec<Vec<Series>>, SourceError>;
}

/// Why series cannot be fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// A matching series holds native histograms.
    #[error("native histograms are not supported: series {labels}")]
    NativeHistogram {
        /// The series.
        labels: Labels,
    },
    /// Too many series match.
    #[error("the query selects more than {series_max} series")]
    Series {
        /// The limit.
        series_max: usize,
    },
    /// Too many samples match.
    #[error("the query reads more than {samples_max} samples")]
    Samples {
        /// The limit.
        samples_max: usize,
    },
    /// The query was stopped while reading.
    #[error("query {stop}")]
    Stopped {
        /// Why.
        stop: Stop,
    },
    /// The store failed.
    #[error("the series could not be read")]
    Store {
        /// What class the failure is of.
        class: ErrorClass,
        /// The failure.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl SourceError {
    /// What kind of failure it is.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NativeHistogram { .. } => ErrorClass::Invalid,
            Self::Series { .. } | Self::Samples { .. } | Self::Stopped { .. } => {
                ErrorClass::Limited
            }
            Self::Store { class, .. } => *class,
        }
    }
}
