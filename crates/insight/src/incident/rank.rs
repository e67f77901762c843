//! Ranks containers, services and nodes by how unusual they were.
//!
//! A container's score is the root of the summed squares of its families' shifts, each family
//! counted by its loudest metric and weighed by [`Family::weight`]. A service is as unusual as
//! its most unusual replica; a node as the root mean square of its containers. Containers that
//! appeared or went silent come before all that only changed, silent ones first.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::Spans;
use super::change::{Change, Samples, change_of};
use super::metrics::Family;
use super::read::{Container, Track};
use super::words;
use crate::robust::real;

/// Shift from which a metric counts as changed.
pub const CHANGED_Z_MIN: f64 = 3.0;
/// Score of what appeared; silence scores twice as much. Above any shift seen in practice.
const APPEARED_SCORE: f64 = 500.0;
/// Share of the first score from which a service may have been the first mover.
const FIRST_MOVER_SHARE: f64 = 0.5;
/// Samples a container needs in the baseline to go silent, or in the window to appear.
const PRESENCE_SAMPLES_MIN: usize = 3;

/// Whether something was there in baseline and window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// In both.
    Stayed,
    /// Only in the window.
    Appeared,
    /// Only before it.
    WentSilent,
}

/// One metric's part in a score.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricChange {
    /// Name of the metric.
    pub metric: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// Its family.
    pub family: Family,
    /// What its shift was multiplied by.
    pub weight: f64,
    /// The numbers.
    #[serde(flatten)]
    pub change: Change,
}

impl MetricChange {
    /// The weighed shift, never negative.
    pub fn score(&self) -> f64 {
        self.weight * self.change.z.abs()
    }
}

/// How unusual a container, service or node was.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SubjectChange {
    /// Its name: the service, container or node.
    pub name: String,
    /// The service (empty for nodes).
    pub service: String,
    /// The node it ran on last (empty for services on several).
    pub node: String,
    /// How unusual; 0 is as always.
    pub score: f64,
    /// Whether it was there all the time.
    pub presence: Presence,
    /// Replicas (of a service) or containers (of a node) that changed.
    pub changed: usize,
    /// How many there were.
    pub of: usize,
    /// Earliest onset among the metrics that changed, Unix milliseconds.
    pub onset_ms: Option<i64>,
    /// Why, in words and numbers.
    pub reason: String,
    /// The metrics behind the score, loudest first.
    pub metrics: Vec<MetricChange>,
}

/// What changed, most unusual first.
#[derive(Debug, Default)]
pub(super) struct Ranking {
    pub(super) services: Vec<SubjectChange>,
    pub(super) containers: Vec<SubjectChange>,
    pub(super) nodes: Vec<SubjectChange>,
}

impl Ranking {
    /// See [`super::IncidentAnswer::first_mover`].
    pub(super) fn first_mover(&self) -> Option<String> {
        let floor = self.services.first()?.score * FIRST_MOVER_SHARE;
        let loud = self.services.iter().filter(|of| of.score >= floor && of.score > 0.0);
        let moved = loud.filter_map(|of| Some((of.onset_ms?, of)));
        moved.min_by_key(|(onset_ms, _)| *onset_ms).map(|(_, of)| of.name.clone())
    }
}

pub(super) fn rank(containers: &[Container], spans: &Spans) -> Ranking {
    let mut judged: Vec<SubjectChange> =
        containers.iter().filter_map(|container| judge(container, spans)).collect();
    judged.sort_by(louder);
    let by = |key: &dyn Fn(&SubjectChange) -> String| {
        let mut groups: BTreeMap<String, Vec<&SubjectChange>> = BTreeMap::new();
        for of in &judged {
            groups.entry(key(of)).or_default().push(of);
        }
        groups
    };
    let services = by(&|of| of.service.clone()).into_iter().map(|(name, of)| service(name, &of));
    let mut services: Vec<SubjectChange> = services.collect();
    services.sort_by(louder);
    let nodes = by(&|of| of.node.clone()).into_iter().filter(|(name, _)| !name.is_empty());
    let mut nodes: Vec<SubjectChange> = nodes.map(|(name, of)| node(name, &of)).collect();
    nodes.sort_by(louder);
    Ranking { services, containers: judged, nodes }
}

fn louder(one: &SubjectChange, other: &SubjectChange) -> std::cmp::Ordering {
    other.score.total_cmp(&one.score).then_with(|| one.name.cmp(&other.name))
}

fn is_changed(of: &SubjectChange) -> bool {
    of.presence != Presence::Stayed || of.score >= CHANGED_Z_MIN
}

fn judge(container: &Container, spans: &Spans) -> Option<SubjectChange> {
    let mut metrics: Vec<MetricChange> =
        container.tracks.iter().filter_map(|track| metric_change(track, spans)).collect();
    metrics.sort_by(|one, other| other.score().total_cmp(&one.score()));
    let presence = presence(container, spans)?;
    let shifts: f64 = loudest_of_families(&metrics).iter().map(|score| score * score).sum();
    let score = match presence {
        Presence::Stayed => shifts.sqrt().min(APPEARED_SCORE),
        Presence::Appeared => APPEARED_SCORE,
        Presence::WentSilent => 2.0 * APPEARED_SCORE,
    };
    let changed = metrics.iter().filter(|of| of.change.z.abs() >= CHANGED_Z_MIN);
    let onset_ms = changed.filter_map(|of| of.change.onset_ms).min();
    let subject = &container.subject;
    let service: &Arc<str> =
        if subject.service.is_empty() { &subject.container } else { &subject.service };
    Some(SubjectChange {
        name: subject.container.to_string(),
        service: service.to_string(),
        node: subject.node.to_string(),
        score,
        presence,
        changed: usize::from(score >= CHANGED_Z_MIN),
        of: 1,
        onset_ms,
        reason: words::reason(presence, &metrics, onset_ms, spans.window.start_ms),
        metrics,
    })
}

/// The loudest score of each family.
fn loudest_of_families(metrics: &[MetricChange]) -> Vec<f64> {
    let mut loudest: BTreeMap<Family, f64> = BTreeMap::new();
    for of in metrics {
        let held = loudest.entry(of.family).or_default();
        *held = held.max(of.score());
    }
    loudest.into_values().collect()
}

fn metric_change(track: &Track, spans: &Spans) -> Option<MetricChange> {
    let (before, window, after) = split(track, spans);
    let samples = Samples { before: &before, window, after: &after };
    let change = change_of(&samples, track.watched.quiet)?;
    let family = track.watched.family;
    let weight = family.weight(change.direction);
    Some(MetricChange {
        metric: track.watched.name,
        unit: track.watched.unit,
        family,
        weight,
        change,
    })
}

fn split<'a>(track: &'a Track, spans: &Spans) -> (Vec<f64>, &'a [(i64, f64)], Vec<f64>) {
    let at = |time_ms: i64| track.points.partition_point(|(at_ms, _)| *at_ms < time_ms);
    let (first, last) = (at(spans.window.start_ms), at(spans.window.end_ms));
    let values = |points: &[(i64, f64)]| points.iter().map(|(_, value)| *value).collect();
    let slice = |from, to| track.points.get(from..to).unwrap_or(&[]);
    let after = slice(at(spans.after_ms), track.points.len());
    (values(slice(0, first)), slice(first, last), values(after))
}

/// `None` when it was in neither, or too briefly to tell.
fn presence(container: &Container, spans: &Spans) -> Option<Presence> {
    let (mut before, mut inside) = (0, 0);
    for track in &container.tracks {
        let (past, window, _) = split(track, spans);
        before = before.max(past.len());
        inside = inside.max(window.len());
    }
    match (before, inside) {
        (0, inside) if inside > 0 => Some(Presence::Appeared),
        (before, 0) if before >= PRESENCE_SAMPLES_MIN => Some(Presence::WentSilent),
        (_, 0) => None,
        _ => Some(Presence::Stayed),
    }
}

fn service(name: String, replicas: &[&SubjectChange]) -> SubjectChange {
    let silent = replicas.iter().filter(|of| of.presence == Presence::WentSilent).count();
    let appeared = replicas.iter().filter(|of| of.presence == Presence::Appeared).count();
    let stayed: Vec<&&SubjectChange> =
        replicas.iter().filter(|of| of.presence == Presence::Stayed).collect();
    let of = replicas.len();
    // Replicas that were replaced under new names are a deploy, not a loss.
    let replaced = silent > 0 && appeared >= silent;
    let presence = match (silent, appeared) {
        (silent, _) if silent == of => Presence::WentSilent,
        (_, appeared) if appeared == of => Presence::Appeared,
        _ => Presence::Stayed,
    };
    let loudest = if replaced { stayed.first().map(|of| **of) } else { replicas.first().copied() };
    let changed = replicas.iter().filter(|of| is_changed(of)).count();
    let mut reason = loudest.map_or_else(String::new, |of| of.reason.clone());
    if replaced {
        reason = format!("{silent} of {of} replicas were replaced; {reason}");
    } else if of > 1 {
        reason = format!("{changed} of {of} replicas changed; {reason}");
    }
    let nodes = replicas.iter().map(|of| of.node.as_str());
    let node = replicas.first().map_or("", |of| of.node.as_str());
    let one_node = nodes.clone().all(|other| other == node);
    SubjectChange {
        service: name.clone(),
        name,
        node: if one_node { node.to_owned() } else { String::new() },
        score: loudest.map_or(0.0, |of| of.score),
        presence,
        changed,
        of,
        onset_ms: replicas.iter().filter_map(|of| of.onset_ms).min(),
        reason,
        metrics: loudest.map_or_else(Vec::new, |of| of.metrics.clone()),
    }
}

fn node(name: String, containers: &[&SubjectChange]) -> SubjectChange {
    let of = containers.len();
    let squares: f64 = containers.iter().map(|of| of.score.min(50.0).powi(2)).sum();
    let changed = containers.iter().filter(|of| is_changed(of)).count();
    let all_silent = containers.iter().all(|of| of.presence == Presence::WentSilent);
    let loudest = containers.first();
    let told = loudest.map_or_else(String::new, |of| format!("{}: {}", of.name, of.reason));
    SubjectChange {
        node: name.clone(),
        name,
        service: String::new(),
        score: if all_silent { 2.0 * APPEARED_SCORE } else { (squares / real(of.max(1))).sqrt() },
        presence: if all_silent { Presence::WentSilent } else { Presence::Stayed },
        changed,
        of,
        onset_ms: containers.iter().filter_map(|of| of.onset_ms).min(),
        reason: format!("{changed} of {of} containers changed; most: {told}"),
        metrics: Vec::new(),
    }
}
