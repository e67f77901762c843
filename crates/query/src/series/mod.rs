//! Makes PromQL series out of stored rows.
//!
//! Every metric column of every table is a series under the registry's `name` with its fixed
//! labels, its second names and the series made of several columns (`schemas/labels.toml`), the
//! row's dimensions and keys, and the labels that cAdvisor's and node exporter's dashboards look
//! for. Values are in the shown unit.
//!
//! A text column is the value 1 with the text as a label; when the text changes, one series ends
//! and another begins. A series of a container that died, or in whose place another runs, ends one
//! millisecond after its last sample; what is only silent is left to PromQL's lookback.
//!
//! Matchers on dimensions and keys narrow the scan; all matchers are checked on the final labels,
//! so narrowing never changes an answer. Everything one query reads of a table with the same
//! matchers and times is one scan.
//! Not here: names and fixed labels (`series::names`), labels of a row (`series::labels`), values
//! (`series::values`, `series::made`), deaths (`series::lives`, `series::ends`), which series there
//! are (`series::index`).

mod ends;
mod index;
mod labels;
mod lives;
mod made;
mod names;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use plimsoll_model::{Filter, Kind, Registry, Table, TimeRange};
use plimsoll_store::{Chunk, Scan, ScanError, ScanLimits, ScanRequest, SeriesKey, SeriesRows};

use crate::promql::{
    Interrupt, Limits, Matcher, Selection, Series, SeriesSource, SourceError, Stop,
};
pub use index::{Find, SeriesHelp, series_help, series_names};
pub use labels::SeriesCache;
use labels::{pushed_down, series_labels};
use lives::{Described, Life, Lives, lives};
use names::{Reading, Shown, catalogue};
use values::{INFO_LIFE_MS, Piece};

/// What stands before the name of a container's label.
const LABEL_PREFIX: &str = "container_label_";

/// Series out of rows; `scan` answers as a store's scan does.
pub struct StoreSource<S> {
    scan: S,
    stop: Arc<AtomicBool>,
    cache: Arc<SeriesCache>,
    /// What scans said of what they left out.
    warnings: Mutex<BTreeSet<String>>,
}

impl<S> std::fmt::Debug for StoreSource<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreSource").finish_non_exhaustive()
    }
}

/// What one selection wants of one table.
struct Ask<'a> {
    /// Position of the selection.
    at: usize,
    selection: &'a Selection,
    table: &'static Table,
    shown: Vec<&'static Shown>,
    range: TimeRange,
    filter: Filter,
    /// Metrics that are read, sorted.
    columns: Vec<usize>,
}

impl<S: Fn(&ScanRequest) -> Result<Scan, ScanError>> StoreSource<S> {
    /// A source over `scan`; setting `stop` ends a scan early, a query's interrupt all else.
    pub fn new(scan: S, stop: Arc<AtomicBool>) -> Self {
        Self { scan, stop, cache: Arc::default(), warnings: Mutex::default() }
    }

    /// What a reader must know of everything read so far: what was left out, and why.
    pub fn warnings(&self) -> Vec<String> {
        let warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        warnings.iter().cloned().collect()
    }

    /// The same source with label sets that other queries made.
    #[must_use]
    pub fn with_cache(self, cache: Arc<SeriesCache>) -> Self {
        Self { cache, ..self }
    }

    fn scan_limits(&self, limits: &Limits) -> ScanLimits {
        ScanLimits {
            rows_max: u64::try_from(limits.samples_max).unwrap_or(u64::MAX),
            series_max: limits.series_max,
            stop: self.stop.clone(),
        }
    }

    /// Reads what the asks of one scan want and makes their series.
    fn answer(
        &self,
        asks: &[Ask<'_>],
        described: &Described,
        budget: &mut Budget<'_>,
        out: &mut [Vec<Series>],
    ) -> Result<(), SourceError> {
        let Some(first) = asks.first() else { return Ok(()) };
        let mut columns: Vec<usize> =
            asks.iter().flat_map(|ask| ask.columns.iter().copied()).collect();
        columns.sort_unstable();
        columns.dedup();
        let request = ScanRequest {
            table: first.table,
            metrics: columns.clone(),
            range: first.range,
            filter: first.filter.clone(),
            limits: self.scan_limits(budget.limits),
        };
        let mut scan = (self.scan)(&request).map_err(|error| budget.error(error))?;
        if !scan.warnings.is_empty() {
            let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
            warnings.extend(scan.warnings.drain(..));
        }
        for ask in asks {
            let lives = self.lives(ask, budget)?;
            let state = state_of(ask.table).filter(|state| ask.columns.contains(state));
            let state = state.and_then(|state| columns.binary_search(&state).ok());
            let place = Place { ask, columns: &columns, described, lives, state };
            let Some(found) = out.get_mut(ask.at) else { continue };
            for rows in &scan.series {
                budget.check_stop()?;
                place.rows(rows, &self.cache, budget, found)?;
            }
            for shown in &ask.shown {
                place.groups(shown, &scan.series, &self.cache, budget, found)?;
            }
        }
        Ok(())
    }

    /// The lives of containers whose states stand in another table than the asked one.
    fn lives(&self, ask: &Ask<'_>, budget: &Budget<'_>) -> Result<Lives, SourceError> {
        let container = registry().table("container");
        let (Some(table), true) = (container, ask.shown.iter().any(|of| of.of_containers())) else {
            return Ok(Lives::default());
        };
        if ask.table == table || (ask.selection.hints.range_ms > 0 && !names::is_info(ask.table)) {
            return Ok(Lives::default());
        }
        let range = range_of(ask.selection, 0);
        let filter = pushed_down(&ask.selection.matchers, table, &ask.shown);
        lives(&self.scan, range, filter, self.scan_limits(budget.limits))
            .map_err(|error| budget.error(error))
    }

    /// What is read once for all selections: descriptions, if labels or ends need them.
    fn described(&self, asks: &[Ask<'_>], budget: &Budget<'_>) -> Result<Described, SourceError> {
        let needed = || {
            asks.iter().filter(|ask| {
                let of_containers = ask.shown.iter().any(|shown| shown.of_containers());
                of_containers && needs_descriptions(ask.selection)
            })
        };
        let first_ms = needed().map(|ask| ask.selection.first_ms).min();
        let last_ms = needed().map(|ask| ask.selection.last_ms).max();
        let (Some(first_ms), Some(last_ms)) = (first_ms, last_ms) else {
            return Ok(Described::default());
        };
        let range = TimeRange::new(first_ms, last_ms.saturating_add(1));
        Described::read(&self.scan, range, self.scan_limits(budget.limits), &self.cache)
            .map_err(|error| budget.error(error))
    }
}

/// Whether labels of containers can matter, or who took the place of whom.
fn needs_descriptions(selection: &Selection) -> bool {
    let hints = &selection.hints;
    let is_label = |name: &str| name.starts_with(LABEL_PREFIX);
    let leaves_out = hints.by && !hints.grouping.iter().any(|name| is_label(name));
    let matched = selection.matchers.iter().any(|matcher| is_label(&matcher.name));
    hints.range_ms == 0 || !leaves_out || matched
}

fn range_of(selection: &Selection, before_ms: i64) -> TimeRange {
    TimeRange::new(
        selection.first_ms.saturating_sub(before_ms),
        selection.last_ms.saturating_add(1),
    )
}

/// The metric that tells the state of what the rows are about.
fn state_of(table: &Table) -> Option<usize> {
    (table.name() == "container").then(|| table.metric_index("state")).flatten()
}

/// What each selection wants of each table.
fn asks(selections: &[Selection]) -> Vec<Ask<'_>> {
    let mut asks = Vec::new();
    for (at, selection) in selections.iter().enumerate() {
        let mut by_table: BTreeMap<usize, Vec<&'static Shown>> = BTreeMap::new();
        for shown in catalogue().iter().filter(|shown| shown.may_match(&selection.matchers)) {
            by_table.entry(shown.table.index()).or_default().push(shown);
        }
        for shown in by_table.into_values() {
            let Some(table) = shown.first().map(|shown| shown.table) else { continue };
            let before_ms = if names::is_info(table) { INFO_LIFE_MS } else { 0 };
            let all = shown.iter().flat_map(|of| of.metrics.iter().copied().chain(of.epoch));
            // Deaths end what an instant selector sees, and blank out what gauges say.
            let is_mortal = selection.hints.range_ms == 0
                || shown.iter().any(|of| of.kind != Kind::Counter && !of.outlives());
            let mut columns: Vec<usize> =
                all.chain(state_of(table).filter(|_| is_mortal)).collect();
            columns.sort_unstable();
            columns.dedup();
            let filter = pushed_down(&selection.matchers, table, &shown);
            let range = range_of(selection, before_ms);
            asks.push(Ask { at, selection, table, shown, range, filter, columns });
        }
    }
    asks
}

/// Puts asks that one scan can answer together.
fn shared(asks: Vec<Ask<'_>>) -> Vec<Vec<Ask<'_>>> {
    let mut all: BTreeMap<(usize, TimeRange, String), Vec<Ask<'_>>> = BTreeMap::new();
    for ask in asks {
        let filter: Vec<String> = ask.filter.matchers().iter().map(ToString::to_string).collect();
        all.entry((ask.table.index(), ask.range, filter.join(","))).or_default().push(ask);
    }
    all.into_values().collect()
}

/// What the series of one ask are made with.
struct Place<'a> {
    ask: &'a Ask<'a>,
    /// Which metrics the rows hold.
    columns: &'a [usize],
    described: &'a Described,
    /// Lives of containers, where rows do not tell them.
    lives: Lives,
    /// Where rows tell the state of their container.
    state: Option<usize>,
}

impl Place<'_> {
    /// The series of one series of rows, but those made of several.
    fn rows(
        &self,
        rows: &SeriesRows,
        cache: &SeriesCache,
        budget: &mut Budget<'_>,
        found: &mut Vec<Series>,
    ) -> Result<(), SourceError> {
        let id = &rows.key.subject.container_id;
        let own = self.state.map(|position| Life::of(rows, position));
        let life = own.as_ref().or_else(|| self.lives.get(id));
        let selection = self.ask.selection;
        let is_replaced = selection.hints.range_ms == 0
            && !id.is_empty()
            && rows.chunks.last().map(Chunk::last_ms).is_some_and(|last_ms| {
                self.described.replaced(&rows.key, last_ms, selection.last_ms)
            });
        for shown in self.ask.shown.iter().filter(|of| !matches!(of.reading, Reading::Made(_))) {
            let plain = (!shown.has_texts()).then(|| self.labels(shown, &rows.key, cache));
            if plain.as_ref().is_some_and(|of| !Matcher::all_match(&selection.matchers, of)) {
                continue;
            }
            for mut piece in values::pieces(shown, self.columns, rows, selection, life) {
                if piece.times.is_empty() {
                    continue;
                }
                if !shown.outlives() {
                    if let Some(life) = life {
                        ends::cut(&mut piece, life, shown.kind != Kind::Counter);
                    }
                    if is_replaced {
                        ends::end_before(&mut piece, i64::MAX);
                    }
                }
                let labels = plain.clone();
                self.add(shown, &rows.key, labels, piece, budget, found)?;
            }
        }
        Ok(())
    }

    /// The series that are made of several columns, and of rows that differ in keys only.
    fn groups(
        &self,
        shown: &'static Shown,
        all: &[SeriesRows],
        cache: &SeriesCache,
        budget: &mut Budget<'_>,
        found: &mut Vec<Series>,
    ) -> Result<(), SourceError> {
        let Reading::Made(made) = &shown.reading else { return Ok(()) };
        let mut groups: BTreeMap<(&SeriesKey, Vec<&str>), Vec<&SeriesRows>> = BTreeMap::new();
        let mut named: BTreeMap<(String, String), &SeriesKey> = BTreeMap::new();
        for rows in all {
            let subject = &rows.key.subject;
            let place = (subject.cluster.to_string(), subject.node.to_string());
            let key: &SeriesKey = named.entry(place).or_insert(&rows.key);
            let keys = shown.keys.iter();
            let kept = keys.filter_map(|of| rows.key.keys.get(of.key)).map(AsRef::as_ref);
            groups.entry((key, kept.collect())).or_default().push(rows);
        }
        for group in groups.values() {
            budget.check_stop()?;
            let Some(first) = group.first() else { continue };
            let plain = (!shown.has_texts()).then(|| self.labels(shown, &first.key, cache));
            for piece in made::pieces(made, self.columns, group) {
                self.add(shown, &first.key, plain.clone(), piece, budget, found)?;
            }
        }
        Ok(())
    }

    fn labels(
        &self,
        shown: &Shown,
        key: &Arc<SeriesKey>,
        cache: &SeriesCache,
    ) -> crate::promql::Labels {
        cache.labels(shown, key, self.described.labels.get(&key.subject.container_id))
    }

    fn add(
        &self,
        shown: &Shown,
        key: &SeriesKey,
        plain: Option<crate::promql::Labels>,
        piece: Piece,
        budget: &mut Budget<'_>,
        found: &mut Vec<Series>,
    ) -> Result<(), SourceError> {
        let labels = plain.unwrap_or_else(|| {
            let described = self.described.labels.get(&key.subject.container_id);
            series_labels(shown, key, described.map(AsRef::as_ref), &piece.labels)
        });
        let Piece { times, values, starts_ms, .. } = piece;
        if times.is_empty() || !Matcher::all_match(&self.ask.selection.matchers, &labels) {
            return Ok(());
        }
        budget.take(times.len())?;
        let mut series = Series::new(labels, times, values);
        series.starts_ms = starts_ms;
        found.push(series);
        Ok(())
    }
}

impl<S: Fn(&ScanRequest) -> Result<Scan, ScanError>> SeriesSource for StoreSource<S> {
    fn select(
        &self,
        selections: &[Selection],
        limits: &Limits,
        interrupt: &dyn Interrupt,
    ) -> Result<Vec<Vec<Series>>, SourceError> {
        let mut budget = Budget { limits, interrupt, series: 0, samples: 0 };
        let asks = asks(selections);
        let described = self.described(&asks, &budget)?;
        let mut out: Vec<Vec<Series>> = selections.iter().map(|_| Vec::new()).collect();
        for asks in shared(asks) {
            budget.check_stop()?;
            self.answer(&asks, &described, &mut budget, &mut out)?;
        }
        Ok(out)
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

/// The registry whose tables are shown.
fn registry() -> &'static Registry {
    Registry::embedded()
}
