//! What happened in a window of time: one timeline of events, and a ranking of what changed.
//!
//! [`incident`] reads containers' metrics around the window (`read`), judges each against its
//! own past ([`change`]), brings replicas together into services and containers into nodes
//! ([`rank`]), and folds events into a timeline ([`timeline`]).
//!
//! Not here: parsing of parameters, writing of answers (`serve`, the command line).

pub mod change;
pub mod metrics;
pub mod rank;
mod read;
mod request;
pub mod timeline;
mod words;

use plimsoll_model::TimeRange;
use plimsoll_store::{Scan, ScanError, ScanRequest};
use serde::Serialize;

pub use rank::{MetricChange, Presence, SubjectChange};
pub use request::{IncidentError, IncidentLimits, IncidentRequest};
pub use timeline::{TimelineEntry, explained_exit};

/// What happened, with the numbers behind it.
#[derive(Debug, Clone, Serialize)]
pub struct IncidentAnswer {
    /// Start of the window, Unix milliseconds.
    pub from_ms: i64,
    /// End of the window, exclusive.
    pub to_ms: i64,
    /// Start of the baseline before the window.
    pub baseline_from_ms: i64,
    /// End of the time after the window that may count as baseline, exclusive; equal to `to_ms`
    /// when only the past counts.
    pub baseline_to_ms: i64,
    /// What happened, oldest first.
    pub timeline: Vec<TimelineEntry>,
    /// Services, most unusual first.
    pub services: Vec<SubjectChange>,
    /// Containers, most unusual first.
    pub containers: Vec<SubjectChange>,
    /// Nodes, most unusual first.
    pub nodes: Vec<SubjectChange>,
    /// The service that most likely moved first: of those at least half as unusual as the first,
    /// the one with the earliest onset.
    pub first_mover: Option<String>,
    /// Share of the window in which containers that were there have samples, 0 to 1; `None`
    /// when nothing has samples.
    pub coverage: Option<f64>,
    /// Width of the buckets samples were averaged in, milliseconds.
    pub resolution_ms: i64,
    /// What a reader should know about these numbers, one sentence each.
    pub warnings: Vec<String>,
    /// Rows that were read.
    pub rows: u64,
}

/// Says what happened in the window asked about. Blocks: call it where blocking is allowed.
///
/// `scan` is any source that keeps the contract of a store's scan.
///
/// # Errors
///
/// [`IncidentError`] when the window is empty, a limit is reached or the source cannot read.
pub fn incident(
    scan: impl Fn(&ScanRequest) -> Result<Scan, ScanError>,
    request: &IncidentRequest,
    limits: &IncidentLimits,
) -> Result<IncidentAnswer, IncidentError> {
    let spans = request.spans()?;
    let found = read::containers(&scan, request, &spans, limits)?;
    let ranking = rank::rank(&found.found, &spans);
    let events = read::events(&scan, request, limits)?;
    let mut warnings = found.warnings;
    warnings.extend(events.warnings);
    if spans.window_buckets() < 3 {
        warnings.push("the window has fewer than three samples: shifts are uncertain".to_owned());
    }
    Ok(IncidentAnswer {
        from_ms: spans.window.start_ms,
        to_ms: spans.window.end_ms,
        baseline_from_ms: spans.all.start_ms,
        baseline_to_ms: spans.all.end_ms,
        timeline: timeline::timeline(&events.found),
        first_mover: ranking.first_mover(),
        services: ranking.services,
        containers: ranking.containers,
        nodes: ranking.nodes,
        coverage: found.coverage,
        resolution_ms: spans.bucket_ms,
        warnings,
        rows: found.rows.saturating_add(events.rows),
    })
}

/// The stretches of time of one question, cut into buckets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spans {
    pub(crate) window: TimeRange,
    pub(crate) all: TimeRange,
    /// Samples from here on are usual again; between the window's end and this is aftermath.
    pub(crate) after_ms: i64,
    pub(crate) bucket_ms: i64,
}

impl Spans {
    fn window_buckets(&self) -> i64 {
        self.window.len_ms() / self.bucket_ms.max(1)
    }
}
