//! What a query's answer says besides its values: warnings and infos, in Prometheus's words.
//!
//! Holds: each text is kept once, and at most [`NOTES_MAX`] of them.

use std::collections::{BTreeMap, BTreeSet};

use super::ast::Span;
use super::eval::dates::format_time;
use super::text::{rounded_number, short_number};

/// Most notes one answer carries.
const NOTES_MAX: usize = 100;

/// How much a note matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoteLevel {
    /// The result is likely not what was meant.
    Warning,
    /// Something worth knowing.
    Info,
}

/// A warning or info.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Note {
    /// A quantile outside `[0, 1]`.
    Quantile {
        /// The value.
        found: f64,
    },
    /// A ratio outside `[-1, 1]`.
    Ratio {
        /// The value.
        found: f64,
        /// What was used instead.
        used: f64,
    },
    /// A classic histogram's bucket without a usable upper bound.
    BucketLabel {
        /// The metric.
        metric: String,
        /// What `le` says.
        found: String,
    },
    /// Bucket counts that shrink as bounds grow.
    Monotonicity {
        /// The metric.
        metric: String,
        /// Lowest bound where the count had to be raised.
        lowest: f64,
        /// Highest bound where the count had to be raised.
        highest: f64,
        /// Largest raise.
        difference: f64,
        /// How many histograms were raised.
        count: usize,
        /// When the first of them was, Unix milliseconds.
        first_ms: i64,
        /// When the last of them was, Unix milliseconds.
        last_ms: i64,
    },
    /// A rate of something that is not named like a counter.
    NotCounter {
        /// The metric.
        metric: String,
    },
    /// An operator that only works on native histograms.
    FloatOperands {
        /// The operator.
        op: &'static str,
    },
}

impl Note {
    /// How much the note matters.
    pub fn level(&self) -> NoteLevel {
        match self {
            Self::Quantile { .. } | Self::Ratio { .. } | Self::BucketLabel { .. } => {
                NoteLevel::Warning
            }
            Self::Monotonicity { .. } | Self::NotCounter { .. } | Self::FloatOperands { .. } => {
                NoteLevel::Info
            }
        }
    }

    /// Joins what another note about monotonicity says.
    fn join(&mut self, other: &Self) {
        if let (
            Self::Monotonicity { lowest, highest, difference, count, first_ms, last_ms, .. },
            Self::Monotonicity {
                lowest: other_lowest,
                highest: other_highest,
                difference: other_difference,
                count: other_count,
                first_ms: other_first_ms,
                last_ms: other_last_ms,
                ..
            },
        ) = (self, other)
        {
            *lowest = lowest.min(*other_lowest);
            *highest = highest.max(*other_highest);
            *difference = difference.max(*other_difference);
            *count += other_count;
            *first_ms = (*first_ms).min(*other_first_ms);
            *last_ms = (*last_ms).max(*other_last_ms);
        }
    }

    fn text(&self) -> String {
        let kind = match self.level() {
            NoteLevel::Warning => "PromQL warning: ",
            NoteLevel::Info => "PromQL info: ",
        };
        let rest = match self {
            Self::Quantile { found } => {
                let found = short_number(*found);
                format!("quantile value should be between 0 and 1, got {found}")
            }
            Self::Ratio { found, used } => {
                let (found, used) = (short_number(*found), short_number(*used));
                format!("ratio value should be between -1 and 1, got {found}, capping to {used}")
            }
            Self::BucketLabel { metric, found } => {
                let metric = of_metric(metric);
                let text = "bucket label \"le\" is missing or has a malformed value of";
                format!("{text} {found:?}{metric}")
            }
            Self::Monotonicity {
                metric,
                lowest,
                highest,
                difference,
                count,
                first_ms,
                last_ms,
            } => {
                let metric = of_metric(metric);
                let (lowest, highest) = (short_number(*lowest), short_number(*highest));
                let difference = rounded_number(*difference);
                let (first, last) = (format_time(*first_ms), format_time(*last_ms));
                format!(
                    "input to histogram_quantile needed to be fixed for monotonicity (see \
                     https://prometheus.io/docs/prometheus/latest/querying/functions/\
                     #histogram_quantile){metric}, from buckets {lowest} to {highest}, \
                     with a max diff of {difference}, \
                     over {count} samples from {first} to {last}"
                )
            }
            Self::NotCounter { metric } => format!(
                "metric might not be a counter, name does not end in \
                 _total/_sum/_count/_bucket: {metric:?}"
            ),
            Self::FloatOperands { op } => format!(
                "incompatible sample types encountered for binary operator {op:?}: \
                 float {op} float"
            ),
        };
        format!("{kind}{rest}")
    }
}

fn of_metric(metric: &str) -> String {
    if metric.is_empty() { String::new() } else { format!(" for metric name {metric:?}") }
}

/// The notes of one query.
#[derive(Debug, Default)]
pub(super) struct Annotations {
    texts: BTreeSet<(NoteLevel, String)>,
    /// What was raised, by metric, line and column.
    raised: BTreeMap<(String, (usize, usize)), Note>,
}

impl Annotations {
    /// Adds a note about a place in the query. Those about monotonicity are joined per metric.
    pub(super) fn add(&mut self, note: &Note, span: Span, query: &str) {
        if let Note::Monotonicity { metric, .. } = note {
            let place = span.line_column(query);
            let known = self.raised.entry((metric.clone(), place));
            known.and_modify(|known| known.join(note)).or_insert_with(|| note.clone());
            return;
        }
        if self.texts.len() < NOTES_MAX {
            let (line, column) = span.line_column(query);
            self.texts.insert((note.level(), format!("{} ({line}:{column})", note.text())));
        }
    }

    /// All texts of a level, sorted.
    pub(super) fn texts(&self, level: NoteLevel) -> Vec<String> {
        let chosen = self.texts.iter().filter(|(found, _)| *found == level);
        let mut texts: Vec<String> = chosen.map(|(_, text)| text.clone()).collect();
        let raised = self.raised.iter().filter(|(_, note)| note.level() == level);
        texts.extend(
            raised
                .take(NOTES_MAX)
                .map(|((_, (line, column)), note)| format!("{} ({line}:{column})", note.text())),
        );
        texts
    }
}
