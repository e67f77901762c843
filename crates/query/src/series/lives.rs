//! When containers were dead: from the states their rows tell, and from who took their place.
//!
//! Not here: what that does to their series (`series::ends`).

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, PrimitiveArray};
use plimsoll_model::{Filter, TimeRange};
use plimsoll_store::{Chunk, Scan, ScanError, ScanLimits, ScanRequest, SeriesKey, SeriesRows};
use rustc_hash::FxHashMap;

use super::labels::SeriesCache;
use super::registry;
use crate::container_labels::newest_text;
use crate::promql::Pair;

/// States of a container that no longer runs.
const DEAD_STATES: &[&str] = &["exited", "dead", "removing"];
/// How long before a range its containers were described at the latest: two hours.
const DESCRIBED_BEFORE_MS: i64 = 7_200_000;
/// The label of a container that is a task of a Swarm service, as series have it.
const SWARM_LABEL: &str = "container_label_com_docker_swarm_service_name";

/// What is known of a container's life.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Life {
    /// Time of its last row.
    pub(super) last_ms: i64,
    /// Half-open stretches in which its rows say that it is dead, in order; one may end never.
    pub(super) dead: Vec<(i64, i64)>,
}

/// Lives by container id.
pub(super) type Lives = FxHashMap<Arc<str>, Life>;

impl Life {
    /// The life that the rows of a container tell; `position`: where its state stands.
    pub(super) fn of(rows: &SeriesRows, position: usize) -> Self {
        let mut dead: Vec<(i64, i64)> = Vec::new();
        let mut since_ms: Option<i64> = None;
        for chunk in &rows.chunks {
            each_state(chunk, position, |time_ms, is_dead| match (is_dead, since_ms) {
                (true, None) => since_ms = Some(time_ms),
                (false, Some(from_ms)) => {
                    dead.push((from_ms, time_ms));
                    since_ms = None;
                }
                _ => {}
            });
        }
        dead.extend(since_ms.map(|from_ms| (from_ms, i64::MAX)));
        Self { last_ms: rows.chunks.last().map_or(i64::MIN, Chunk::last_ms), dead }
    }

    /// When it died for good; `None` when it was last seen alive.
    pub(super) fn dead_ms(&self) -> Option<i64> {
        self.dead.last().filter(|(_, to_ms)| *to_ms == i64::MAX).map(|(from_ms, _)| *from_ms)
    }
}

/// Tells each row that has a state: its time, and whether the container is dead.
fn each_state(chunk: &Chunk, position: usize, mut tell: impl FnMut(i64, bool)) {
    let states = chunk.columns.get(position).and_then(|of| of.as_dictionary_opt::<Int32Type>());
    let Some(states) = states else { return };
    let Some(texts) = states.values().as_string_opt::<i32>() else { return };
    let dead: Vec<bool> =
        texts.iter().map(|text| text.is_some_and(|text| DEAD_STATES.contains(&text))).collect();
    if !dead.contains(&true) {
        // Nobody died; what matters is the first row that tells a life, if one died before.
        let first = (0..states.len()).find(|row| states.is_valid(*row));
        if let Some(time_ms) = first.and_then(|row| chunk.times_ms.get(row)) {
            tell(*time_ms, false);
        }
        return;
    }
    let keys = states.keys().values().iter().enumerate();
    for ((row, key), time_ms) in keys.zip(chunk.times_ms.iter()) {
        if states.is_valid(row) {
            let is_dead = usize::try_from(*key).ok().and_then(|key| dead.get(key)).copied();
            tell(*time_ms, is_dead.unwrap_or(false));
        }
    }
}

/// The lives of all containers that a filter over dimensions lets through.
pub(super) fn lives(
    scan: impl Fn(&ScanRequest) -> Result<Scan, ScanError>,
    range: TimeRange,
    filter: Filter,
    limits: ScanLimits,
) -> Result<Lives, ScanError> {
    let table = registry().table("container");
    let Some((table, state)) = table.and_then(|of| Some((of, of.metric_index("state")?))) else {
        return Ok(Lives::default());
    };
    let found = scan(&ScanRequest { table, metrics: vec![state], range, filter, limits })?;
    let mut lives = Lives::default();
    for series in &found.series {
        let life = Life::of(series, 0);
        let known = lives.entry(series.key.subject.container_id.clone()).or_default();
        if known.last_ms <= life.last_ms {
            *known = life;
        }
    }
    Ok(lives)
}

/// What the newest descriptions say of containers.
#[derive(Debug, Default)]
pub(super) struct Described {
    /// Labels as series have them, by container id.
    pub(super) labels: FxHashMap<Arc<str>, Arc<[Pair]>>,
    /// Starts of the containers in one place, with their ids.
    places: FxHashMap<Place, Vec<(i64, Arc<str>)>>,
}

/// What one container at a time is: cluster, node (if it stays there), stack, service, slot.
type Place = [Arc<str>; 5];

impl Described {
    /// Reads the descriptions of all containers of a range.
    pub(super) fn read(
        scan: impl Fn(&ScanRequest) -> Result<Scan, ScanError>,
        range: TimeRange,
        limits: ScanLimits,
        cache: &SeriesCache,
    ) -> Result<Self, ScanError> {
        let mut all = Self::default();
        let Some(table) = registry().table("container_info") else { return Ok(all) };
        let columns = ["labels", "started_at_ms"].map(|name| table.metric_index(name));
        let [Some(labels), Some(started)] = columns else { return Ok(all) };
        let range =
            TimeRange::new(range.start_ms.saturating_sub(DESCRIBED_BEFORE_MS), range.end_ms);
        let (metrics, filter) = (vec![labels, started], Filter::default());
        for series in scan(&ScanRequest { table, metrics, range, filter, limits })?.series {
            let pairs = newest_text(&series, 0).and_then(|json| cache.described(&json));
            let is_swarm = pairs
                .as_ref()
                .is_some_and(|all| all.iter().any(|(name, _)| &**name == SWARM_LABEL));
            let id = series.key.subject.container_id.clone();
            let first_ms = series.chunks.first().map_or(i64::MAX, Chunk::first_ms);
            let started_ms = newest_int(&series, 1).unwrap_or(first_ms);
            if let Some(place) = place(&series.key, is_swarm) {
                all.places.entry(place).or_default().push((started_ms, id.clone()));
            }
            if let Some(pairs) = pairs {
                all.labels.insert(id, pairs);
            }
        }
        Ok(all)
    }

    /// Whether another container took this one's place between its last row and a time.
    pub(super) fn replaced(&self, key: &SeriesKey, last_ms: i64, until_ms: i64) -> bool {
        let id = &key.subject.container_id;
        [true, false].into_iter().filter_map(|is_swarm| place(key, is_swarm)).any(|place| {
            let others = self.places.get(&place).into_iter().flatten();
            others.into_iter().any(|(started_ms, other)| {
                other != id && (last_ms.saturating_add(1)..=until_ms).contains(started_ms)
            })
        })
    }
}

/// The place of a container; a Swarm task may move to another node, any other stays.
fn place(key: &SeriesKey, is_swarm: bool) -> Option<Place> {
    let of = &key.subject;
    if of.service.is_empty() || (is_swarm && of.slot.is_empty()) {
        return None;
    }
    let node = if is_swarm { Arc::from("") } else { of.node.clone() };
    Some([of.cluster.clone(), node, of.stack.clone(), of.service.clone(), of.slot.clone()])
}

fn newest_int(series: &SeriesRows, position: usize) -> Option<i64> {
    series.chunks.iter().rev().find_map(|chunk| {
        let column = chunk.columns.get(position)?.as_primitive_opt::<Int64Type>()?;
        let row = (0..column.len()).rev().find(|row| column.is_valid(*row))?;
        PrimitiveArray::values(column).get(row).copied()
    })
}
