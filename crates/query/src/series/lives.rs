//! Until when containers were seen, and which are known to have died.

use std::sync::Arc;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use plimsoll_model::{Filter, TimeRange};
use plimsoll_store::{Chunk, Scan, ScanError, ScanLimits, ScanRequest};
use rustc_hash::FxHashMap;

use super::registry;

/// States of a container that no longer runs.
const DEAD_STATES: &[&str] = &["exited", "dead", "removing"];

/// The end of a container, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Life {
    /// Time of its last row.
    pub(super) last_ms: i64,
    /// Time of the first row since which it is dead; `None` when it was last seen alive.
    pub(super) dead_ms: Option<i64>,
}

/// Lives by container id.
pub(super) type Lives = FxHashMap<Arc<str>, Life>;

/// The lives of all containers with rows in the range.
pub(super) fn lives(
    scan: impl Fn(&ScanRequest) -> Result<Scan, ScanError>,
    range: TimeRange,
    limits: ScanLimits,
) -> Result<Lives, ScanError> {
    let table = registry().table("container");
    let Some((table, state)) = table.and_then(|of| Some((of, of.metric_index("state")?))) else {
        return Ok(Lives::default());
    };
    let (metrics, filter) = (vec![state], Filter::default());
    let found = scan(&ScanRequest { table, metrics, range, filter, limits })?;
    let mut lives = Lives::default();
    for series in &found.series {
        let Some(last_ms) = series.chunks.last().map(Chunk::last_ms) else { continue };
        let mut dead_ms = None;
        for (time_ms, is_dead) in series.chunks.iter().flat_map(deaths) {
            dead_ms = if is_dead { dead_ms.or(Some(time_ms)) } else { None };
        }
        let life = Life { last_ms, dead_ms };
        let id = series.key.subject.container_id.clone();
        let known = lives.entry(id).or_insert(life);
        if known.last_ms < last_ms {
            *known = life;
        }
    }
    Ok(lives)
}

/// Each row that tells a state: its time, and whether the container is dead.
fn deaths(chunk: &Chunk) -> Vec<(i64, bool)> {
    let states = chunk.columns.first().and_then(|states| states.as_dictionary_opt::<Int32Type>());
    let Some(states) = states else { return Vec::new() };
    let Some(texts) = states.values().as_string_opt::<i32>() else { return Vec::new() };
    let dead: Vec<bool> =
        texts.iter().map(|text| text.is_some_and(|text| DEAD_STATES.contains(&text))).collect();
    let keys = states.keys().values().iter().enumerate();
    let rows = keys.zip(chunk.times_ms.iter()).filter(|((row, _), _)| states.is_valid(*row));
    rows.map(|((_, key), time_ms)| {
        let is_dead = usize::try_from(*key).ok().and_then(|key| dead.get(key)).copied();
        (*time_ms, is_dead.unwrap_or(false))
    })
    .collect()
}
