//! The labels of containers, read from the newest description of each.
//!
//! Descriptions (`container_info`) are written when something changes and every hour, so those
//! of the hours before a range speak for its start.
//! Not here: which labels a question uses (`history`).

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use plimsoll_model::{Filter, Registry, TimeRange};
use plimsoll_store::{Scan, ScanError, ScanLimits, ScanRequest, SeriesRows, Store};
use rustc_hash::FxHashMap;

/// Labels of one container by name.
pub type ContainerLabels = BTreeMap<String, String>;

/// How long before a range its containers were described at the latest: two hours.
const BEFORE_MS: i64 = 7_200_000;

/// Labels by container id of every container described in the range or shortly before it.
///
/// # Errors
///
/// [`ScanError`] as the store gives it.
pub fn container_labels(
    store: &Store,
    range: TimeRange,
    limits: ScanLimits,
) -> Result<FxHashMap<Arc<str>, ContainerLabels>, ScanError> {
    container_labels_of(|request| store.scan(request), range, limits)
}

/// As [`container_labels`], from any source of rows that keeps the contract of a scan.
///
/// # Errors
///
/// As [`container_labels`].
pub fn container_labels_of(
    scan: impl Fn(&ScanRequest) -> Result<Scan, ScanError>,
    range: TimeRange,
    limits: ScanLimits,
) -> Result<FxHashMap<Arc<str>, ContainerLabels>, ScanError> {
    let table = Registry::embedded().table("container_info");
    let Some((table, labels)) = table.and_then(|t| Some((t, t.metric_index("labels")?))) else {
        return Ok(FxHashMap::default());
    };
    let scan = scan(&ScanRequest {
        table,
        metrics: vec![labels],
        range: TimeRange::new(range.start_ms.saturating_sub(BEFORE_MS), range.end_ms),
        filter: Filter::default(),
        limits,
    })?;
    let described = scan.series.iter().filter_map(|series| {
        let labels = serde_json::from_str(&newest_text(series, 0)?).ok()?;
        Some((series.key.subject.container_id.clone(), labels))
    });
    Ok(described.collect())
}

/// What cAdvisor writes before the name of a container label.
const CADVISOR_PREFIX: &str = "container_label_";

/// The value of a label by its name, or by the name cAdvisor gives it (`container_label_` and
/// the name with every character but letters, digits and `_` made a `_`); `""` when missing.
pub fn label_value<'a>(labels: &'a ContainerLabels, name: &str) -> &'a str {
    let plain = labels.get(name);
    let spelled = || {
        let wanted = name.strip_prefix(CADVISOR_PREFIX)?;
        labels.iter().find(|(name, _)| is_spelled(name, wanted)).map(|(_, value)| value)
    };
    plain.or_else(spelled).map_or("", String::as_str)
}

fn is_spelled(name: &str, wanted: &str) -> bool {
    let spelled = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
    spelled.eq(wanted.chars())
}

/// The newest reported text of a scanned column.
pub fn newest_text(series: &SeriesRows, position: usize) -> Option<String> {
    series.chunks.iter().rev().find_map(|chunk| {
        let column = chunk.columns.get(position)?.as_dictionary_opt::<Int32Type>()?;
        let values = column.values().as_string_opt::<i32>()?;
        let row = (0..column.len()).rev().find(|row| !column.is_null(*row))?;
        let key = usize::try_from(*column.keys().values().get(row)?).ok()?;
        (key < values.len()).then(|| values.value(key).to_owned())
    })
}
