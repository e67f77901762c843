//! Makes PromQL series out of stored rows.
//!
//! Every metric column of every table is a series under the registry's `name` with its fixed
//! labels, its second names (`schemas/labels.toml`), the row's dimensions and keys, and the labels
//! that cAdvisor's and node exporter's dashboards look for. Values are in the shown unit.
//!
//! A text column is the value 1 with the text as a label; when the text changes, one series ends
//! and another begins. A series of a container known to have died ends one millisecond after its
//! last sample; what is only silent is left to PromQL's lookback.
//!
//! Matchers on dimensions and keys narrow the scan; all matchers are checked on the final labels,
//! so narrowing never changes an answer.
//! Not here: names and fixed labels (`series::names`), labels of a row (`series::labels`), values
//! (`series::values`), which containers died (`series::lives`).

mod labels;
mod lives;
mod names;
mod values;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use plimsoll_model::{Dimension, Registry, Table, TimeRange};
use plimsoll_store::{Scan, ScanError, ScanLimits, ScanRequest, SeriesRows};
use rustc_hash::FxHashMap;

use crate::container_labels::{ContainerLabels, container_labels_of};
use crate::promql::{
    Interrupt, Limits, Matcher, STALE_BITS, Selection, Series, SeriesSource, SourceError, Stop,
};
use labels::{pushed_down, series_labels};
use lives::{Lives, lives};
use names::{Shown, catalogue};
use values::Pieces;

/// How far before a range the newest row of `container_info` may lie, in milliseconds.
const INFO_BEFORE_MS: i64 = 7_200_000;

/// Series out of rows; `scan` answers as a store's scan does.
#[derive(Debug)]
pub struct StoreSource<S> {
    scan: S,
    stop: Arc<AtomicBool>,
}

impl<S: Fn(&ScanRequest) -> Result<Scan, ScanError>> StoreSource<S> {
    /// A source over `scan`; setting `stop` ends a scan early, a query's interrupt all else.
    pub fn new(scan: S, stop: Arc<AtomicBool>) -> Self {
        Self { scan, stop }
    }

    fn scan_limits(&self, limits: &Limits) -> ScanLimits {
        ScanLimits {
            rows_max: u64::try_from(limits.samples_max).unwrap_or(u64::MAX),
            series_max: limits.series_max,
            stop: self.stop.clone(),
        }
    }

    fn one(
        &self,
        selection: &Selection,
        of_containers: &OfContainers,
        budget: &mut Budget<'_>,
    ) -> Result<Vec<Series>, SourceError> {
        let mut by_table: BTreeMap<usize, Vec<&Shown>> = BTreeMap::new();
        for shown in catalogue().iter().filter(|shown| shown.may_match(&selection.matchers)) {
            by_table.entry(shown.table.index()).or_default().push(shown);
        }
        let mut found = Vec::new();
        for all in by_table.into_values() {
            let Some(table) = all.first().map(|shown| shown.table) else { continue };
            let scan = self.rows(table, &all, selection, budget)?;
            let columns = names::columns(&all);
            for rows in &scan.series {
                budget.check_stop()?;
                for shown in &all {
                    let place = Place { selection, columns: &columns, of_containers };
                    place.add(shown, rows, budget, &mut found)?;
                }
            }
        }
        Ok(found)
    }

    fn rows(
        &self,
        table: &'static Table,
        all: &[&Shown],
        selection: &Selection,
        budget: &Budget<'_>,
    ) -> Result<Scan, SourceError> {
        let before_ms = if names::is_info(table) { INFO_BEFORE_MS } else { 0 };
        let request = ScanRequest {
            table,
            metrics: names::columns(all),
            range: TimeRange::new(
                selection.first_ms.saturating_sub(before_ms),
                selection.last_ms.saturating_add(1),
            ),
            filter: pushed_down(&selection.matchers, table, all),
            limits: self.scan_limits(budget.limits),
        };
        (self.scan)(&request).map_err(|error| budget.error(error))
    }

    /// What is read once for all selections.
    fn of_containers(
        &self,
        selections: &[Selection],
        budget: &Budget<'_>,
    ) -> Result<OfContainers, SourceError> {
        let needed = selections.iter().filter(|selection| {
            let mut shown = catalogue().iter();
            shown.any(|shown| {
                let is_container = shown.table.dimensions().contains(&Dimension::ContainerId);
                is_container && shown.may_match(&selection.matchers)
            })
        });
        let ranges: Vec<(i64, i64)> =
            needed.map(|selection| (selection.first_ms, selection.last_ms)).collect();
        let first_ms = ranges.iter().map(|range| range.0).min();
        let last_ms = ranges.iter().map(|range| range.1).max();
        let (Some(first_ms), Some(last_ms)) = (first_ms, last_ms) else {
            return Ok(OfContainers::default());
        };
        let range = TimeRange::new(first_ms, last_ms.saturating_add(1));
        let labels = container_labels_of(&self.scan, range, self.scan_limits(budget.limits))
            .map_err(|error| budget.error(error))?;
        let lives = lives(&self.scan, range, self.scan_limits(budget.limits))
            .map_err(|error| budget.error(error))?;
        Ok(OfContainers { labels, lives })
    }
}

/// What the series of one table and selection are made with.
struct Place<'a> {
    selection: &'a Selection,
    /// Which metrics the rows hold.
    columns: &'a [usize],
    of_containers: &'a OfContainers,
}

impl Place<'_> {
    fn add(
        &self,
        shown: &Shown,
        rows: &SeriesRows,
        budget: &mut Budget<'_>,
        found: &mut Vec<Series>,
    ) -> Result<(), SourceError> {
        let id = &rows.key.subject.container_id;
        let life = self.of_containers.lives.get(id);
        let of_container = self.of_containers.labels.get(id);
        for piece in Pieces::of(shown, self.columns, rows, self.selection, life) {
            let labels = series_labels(shown, &rows.key, of_container, &piece.labels);
            if !Matcher::all_match(&self.selection.matchers, &labels) {
                continue;
            }
            let mut series = Series::new(labels, piece.times, piece.values);
            series.starts_ms = piece.starts_ms;
            if life.is_some_and(|life| life.dead_ms.is_some()) && !shown.outlives() {
                end(&mut series);
            }
            budget.take(series.times.len())?;
            found.push(series);
        }
        Ok(())
    }
}

/// Ends a series one millisecond after its last sample.
fn end(series: &mut Series) {
    let Some(last_ms) = series.times.last().copied() else { return };
    if series.values.last().is_some_and(|value| value.to_bits() == STALE_BITS) {
        return;
    }
    series.times.push(last_ms.saturating_add(1));
    series.values.push(f64::from_bits(STALE_BITS));
    if let Some(start_ms) = series.starts_ms.last().copied() {
        series.starts_ms.push(start_ms);
    }
}

/// Labels and lives of containers, by id.
#[derive(Debug, Default)]
struct OfContainers {
    labels: FxHashMap<Arc<str>, ContainerLabels>,
    lives: Lives,
}

impl<S: Fn(&ScanRequest) -> Result<Scan, ScanError>> SeriesSource for StoreSource<S> {
    fn select(
        &self,
        selections: &[Selection],
        limits: &Limits,
        interrupt: &dyn Interrupt,
    ) -> Result<Vec<Vec<Series>>, SourceError> {
        let mut budget = Budget { limits, interrupt, series: 0, samples: 0 };
        let of_containers = self.of_containers(selections, &budget)?;
        selections.iter().map(|one| self.one(one, &of_containers, &mut budget)).collect()
    }
}

/// Counts what was found against the limits.
struct Budget<'a> {
    limits: &'a Limits,
    interrupt: &'a dyn Interrupt,
    series: usize,
    samples: usize,
}

impl Budget<'_> {
    fn check_stop(&self) -> Result<(), SourceError> {
        self.interrupt.stop().map_or(Ok(()), |stop| Err(SourceError::Stopped { stop }))
    }

    fn error(&self, error: ScanError) -> SourceError {
        match error {
            ScanError::Stopped => {
                SourceError::Stopped { stop: self.interrupt.stop().unwrap_or(Stop::Cancelled) }
            }
            ScanError::Series { .. } => SourceError::Series { series_max: self.limits.series_max },
            ScanError::Rows { .. } => SourceError::Samples { samples_max: self.limits.samples_max },
            other => SourceError::Store { class: other.class(), source: Box::new(other) },
        }
    }

    fn take(&mut self, samples: usize) -> Result<(), SourceError> {
        self.series = self.series.saturating_add(1);
        self.samples = self.samples.saturating_add(samples);
        if self.series > self.limits.series_max {
            return Err(SourceError::Series { series_max: self.limits.series_max });
        }
        if self.samples > self.limits.samples_max {
            return Err(SourceError::Samples { samples_max: self.limits.samples_max });
        }
        Ok(())
    }
}

/// The names of all series there can be, each once, sorted.
pub fn series_names() -> Vec<&'static str> {
    let mut names: Vec<&str> = catalogue().iter().map(|shown| shown.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The registry whose tables are shown.
fn registry() -> &'static Registry {
    Registry::embedded()
}
