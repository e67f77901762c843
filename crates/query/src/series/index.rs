//! Which series and labels there are, from indexes alone where that is possible.
//!
//! A series counts as being there when its row's subject has rows in the range; whether this one
//! column is null in all of them is not looked at. Series whose labels stand in cells are looked
//! for in the last hour of the range.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use plimsoll_model::{Kind, TimeRange};
use plimsoll_store::scan::SeriesRequest;
use plimsoll_store::{Scan, ScanError, ScanRequest, SeriesKey};

use super::labels::pushed_down;
use super::lives::Described;
use super::names::{Shown, catalogue};
use super::{Budget, StoreSource};
use crate::promql::{
    Hints, Interrupt, Labels, Limits, METRIC_NAME, Matcher, Selection, SeriesSource, SourceError,
};

/// How much of a range is looked at for labels that stand in cells, in milliseconds.
const CELLS_MS: i64 = 3_600_000;

/// Which series are looked for.
#[derive(Debug, Clone)]
pub struct Find<'a> {
    /// Each set finds the series that satisfy all its matchers; no set finds all series.
    pub matchers: &'a [Vec<Matcher>],
    /// Times in which a series must have rows.
    pub range: TimeRange,
    /// What may be read.
    pub limits: &'a Limits,
}

/// What one name of series means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeriesHelp {
    /// The name.
    pub name: &'static str,
    /// `counter` or `gauge`.
    pub kind: &'static str,
    /// What it means.
    pub help: &'static str,
    /// The unit of its values; empty where it says too little.
    pub unit: &'static str,
}

/// The names of all series there can be, each once, sorted.
pub fn series_names() -> Vec<&'static str> {
    series_help().into_iter().map(|help| help.name).collect()
}

/// What all series there can be mean, each name once, sorted.
pub fn series_help() -> Vec<SeriesHelp> {
    let mut all: BTreeMap<&str, SeriesHelp> = BTreeMap::new();
    for shown in catalogue() {
        let kind = if shown.kind == Kind::Counter { "counter" } else { "gauge" };
        let unit = shown.unit.as_str();
        let help = SeriesHelp { name: &shown.name, kind, help: &shown.help, unit };
        all.entry(&shown.name).or_insert(help);
    }
    all.into_values().collect()
}

/// Keys of rows by table, filter and range, as a store's index gives them.
type Keys<'a> = dyn Fn(&SeriesRequest) -> Result<Vec<Arc<SeriesKey>>, ScanError> + 'a;

impl<S: Fn(&ScanRequest) -> Result<Scan, ScanError>> StoreSource<S> {
    /// The label sets of series, sorted and each once; at most `count_max`, and whether there are
    /// more. `keys` answers as a store's `series` does.
    ///
    /// # Errors
    ///
    /// [`SourceError`] when a limit is reached or the rows cannot be read.
    pub fn label_sets(
        &self,
        find: &Find<'_>,
        count_max: usize,
        interrupt: &dyn Interrupt,
        keys: &Keys<'_>,
    ) -> Result<(Vec<Labels>, bool), SourceError> {
        let mut found: HashSet<Labels> = HashSet::new();
        let mut more = false;
        self.visit(find, false, interrupt, keys, &mut |_, labels| {
            more = found.len() >= count_max && !found.contains(labels);
            if !more {
                found.insert(labels.clone());
            }
            !more
        })?;
        let mut found: Vec<Labels> = found.into_iter().collect();
        found.sort_unstable();
        Ok((found, more))
    }

    /// The names of all labels that series have, sorted.
    ///
    /// # Errors
    ///
    /// As [`StoreSource::label_sets`].
    pub fn label_names(
        &self,
        find: &Find<'_>,
        interrupt: &dyn Interrupt,
        keys: &Keys<'_>,
    ) -> Result<BTreeSet<Arc<str>>, SourceError> {
        let mut names: BTreeSet<Arc<str>> = BTreeSet::new();
        self.visit(find, true, interrupt, keys, &mut |_, labels| {
            for (name, _) in labels.pairs() {
                if !names.contains(name) {
                    names.insert(name.clone());
                }
            }
            true
        })?;
        Ok(names)
    }

    /// The values of one label, sorted.
    ///
    /// # Errors
    ///
    /// As [`StoreSource::label_sets`].
    pub fn label_values(
        &self,
        find: &Find<'_>,
        label: &str,
        interrupt: &dyn Interrupt,
        keys: &Keys<'_>,
    ) -> Result<BTreeSet<Arc<str>>, SourceError> {
        let mut values: BTreeSet<Arc<str>> = BTreeSet::new();
        self.visit(find, true, interrupt, keys, &mut |alike, labels| {
            if label == METRIC_NAME {
                values.extend(alike.iter().map(|shown| Arc::from(shown.name.as_str())));
                return true;
            }
            if let Some((_, value)) = labels.pairs().iter().find(|(name, _)| &**name == label)
                && !values.contains(value)
            {
                values.insert(value.clone());
            }
            true
        })?;
        Ok(values)
    }

    /// Shows label sets until told to stop; `alike` shows one for all that differ in name only.
    fn visit(
        &self,
        find: &Find<'_>,
        alike: bool,
        interrupt: &dyn Interrupt,
        keys: &Keys<'_>,
        show: &mut dyn FnMut(&[&'static Shown], &Labels) -> bool,
    ) -> Result<(), SourceError> {
        let budget = Budget { limits: find.limits, interrupt, series: 0, samples: 0 };
        let limits = self.scan_limits(find.limits);
        let described = Described::read(&self.scan, find.range, limits, &self.cache)
            .map_err(|error| budget.error(error))?;
        let everything = [Vec::new()];
        let sets = if find.matchers.is_empty() { &everything } else { find.matchers };
        for matchers in sets {
            for group in groups(matchers, alike) {
                budget.check_stop()?;
                let Some(shown) = group.first() else { continue };
                if shown.has_texts() {
                    if !self.visit_cells(&group, matchers, find, interrupt, show)? {
                        return Ok(());
                    }
                    continue;
                }
                let request = SeriesRequest {
                    table: shown.table,
                    range: find.range,
                    filter: pushed_down(matchers, shown.table, &group),
                    limits: self.scan_limits(find.limits),
                };
                for key in keys(&request).map_err(|error| budget.error(error))? {
                    let of = described.labels.get(&key.subject.container_id);
                    let labels = self.cache.labels(shown, &key, of);
                    // Names were looked at when the groups were made.
                    let mut others = matchers.iter().filter(|of| &*of.name != METRIC_NAME);
                    if others.all(|matcher| matcher.matches(labels.value(&matcher.name)))
                        && !show(&group, &labels)
                    {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    fn visit_cells(
        &self,
        group: &[&'static Shown],
        matchers: &[Matcher],
        find: &Find<'_>,
        interrupt: &dyn Interrupt,
        show: &mut dyn FnMut(&[&'static Shown], &Labels) -> bool,
    ) -> Result<bool, SourceError> {
        for shown in group {
            let mut matchers = matchers.to_vec();
            matchers.push(Matcher::metric(&shown.name));
            let last_ms = find.range.end_ms.saturating_sub(1);
            let selection = Selection {
                matchers,
                first_ms: find.range.start_ms.max(last_ms.saturating_sub(CELLS_MS)),
                last_ms,
                hints: Hints { range_ms: 1, ..Hints::default() },
            };
            let found = self.select(&[selection], find.limits, interrupt)?;
            for series in found.iter().flatten() {
                if !show(&[*shown], &series.labels) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

/// What can match, in groups of which one speaks for all: those alike but for the name, or each
/// alone.
fn groups(matchers: &[Matcher], alike: bool) -> Vec<Vec<&'static Shown>> {
    let mut groups: BTreeMap<(usize, String), Vec<&'static Shown>> = BTreeMap::new();
    for shown in catalogue().iter().filter(|shown| shown.may_match(matchers)) {
        let shape = if alike && !shown.has_texts() {
            let fixed = shown.fixed.iter().filter(|(name, _)| &**name != METRIC_NAME);
            let fixed: Vec<String> = fixed.map(|(name, value)| format!("{name}={value}")).collect();
            let keys = shown.keys.iter().map(|of| format!("{}{}{}", of.label, of.before, of.key));
            let keys: Vec<String> = keys.collect();
            format!("{};{};{:?}", fixed.join(","), keys.join(","), shown.instance)
        } else {
            format!("#{}", shown.id)
        };
        groups.entry((shown.table.index(), shape)).or_default().push(shown);
    }
    groups.into_values().collect()
}
