//! How windows of each kind stand in rollup columns.
//!
//! A kind names its fields in the order of its cells; the names are statistics of
//! `schemas/rollups.toml`, and a test compares the two.
//!
//! Holds CORRUPT: parts that no samples can give are an error, not a window.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, StringArray};
use plimsoll_model::{ColumnType, Kind, Metric, Table};
use plimsoll_window::{
    CounterParts, CounterWindow, GaugeParts, GaugeValue, GaugeWindow, PartsError,
};

use super::cells::{Cell, value};
use super::epochs::RowEpochs;
use super::state::{StateValue, StateWindow};

/// Which window a metric has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WindowKind {
    Counter,
    Int,
    Float,
    State,
}

impl WindowKind {
    /// `None`: the metric is not rolled up (a counter or gauge of texts or, counters, floats).
    pub(super) fn of(metric: &Metric) -> Option<Self> {
        match (metric.kind, metric.column_type) {
            (Kind::Counter, ColumnType::Int) => Some(Self::Counter),
            (Kind::Gauge, ColumnType::Int) => Some(Self::Int),
            (Kind::Gauge, ColumnType::Float) => Some(Self::Float),
            (Kind::State, ColumnType::Int | ColumnType::Text) => Some(Self::State),
            _ => None,
        }
    }

    /// Names of the cells of a row.
    pub(super) fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Counter => CounterWindow::FIELDS_KEPT,
            Self::Int | Self::Float => GaugeWindow::<i64>::FIELDS_KEPT,
            Self::State => StateWindow::FIELDS_KEPT,
        }
    }
}

/// For each field of a metric's kind, the metric of the rollup table that keeps it.
pub(super) fn fields_of(rollup: &Table, metric: &Metric, kind: WindowKind) -> Vec<Option<usize>> {
    let fields = kind.fields().iter();
    fields.map(|field| column_of(rollup, &format!("{}_{field}", metric.column))).collect()
}

/// The metric of a rollup table that stands in this column.
pub(super) fn column_of(rollup: &Table, column: &str) -> Option<usize> {
    rollup.column_index(column)?.checked_sub(rollup.metrics_start())
}

/// Columns of a scanned rollup chunk, by field; `None` when the table has no such column.
pub(super) struct Fields<'a> {
    pub(super) arrays: Vec<Option<&'a ArrayRef>>,
    pub(super) epochs: &'a [RowEpochs],
}

impl Fields<'_> {
    fn int(&self, field: usize, row: usize) -> Option<i64> {
        let array = self.arrays.get(field).copied().flatten()?;
        value(array.as_primitive_opt::<Int64Type>(), row)
    }

    fn float(&self, field: usize, row: usize) -> Option<f64> {
        let array = self.arrays.get(field).copied().flatten()?;
        value(array.as_primitive_opt::<Float64Type>(), row)
    }

    fn state(&self, field: usize, row: usize) -> Option<StateValue> {
        let array = self.arrays.get(field).copied().flatten()?;
        if array.is_null(row) {
            return None;
        }
        if let Some(code) = value(array.as_primitive_opt::<Int64Type>(), row) {
            return Some(StateValue::Int(code));
        }
        let texts = array.as_dictionary_opt::<Int32Type>()?;
        let key = usize::try_from(value(Some(texts.keys()), row)?).ok()?;
        let values = texts.values().as_any().downcast_ref::<StringArray>()?;
        (key < values.len()).then(|| StateValue::Text(values.value(key).into()))
    }
}

/// A window that rollups keep.
pub(super) trait Kept: Sized + Clone {
    /// Statistics, in the order of cells.
    const FIELDS_KEPT: &'static [&'static str];

    /// Adds the cells of a window to `out`; none when it is empty.
    fn cells(&self, out: &mut Vec<Cell>);

    /// The window of a stored row; `None` when the row has none.
    fn read(fields: &Fields<'_>, row: usize) -> Result<Option<Self>, PartsError>;

    /// This stretch followed by a later one.
    fn joined(&self, later: &Self) -> Self;

    /// Time of the oldest sample; of an empty window it means nothing.
    fn first_time_ms(&self) -> i64;
}

const MISSING: PartsError = PartsError::Impossible { field: "first or last" };

impl Kept for CounterWindow {
    const FIELDS_KEPT: &'static [&'static str] = &[
        "first_time",
        "first",
        "last_time",
        "last",
        "count",
        "increase",
        "rate_max",
        "resets",
        "gap_ms",
    ];

    fn cells(&self, out: &mut Vec<Cell>) {
        let Some(parts) = self.into_parts() else { return };
        out.extend([
            Cell::Int(parts.first_time_ms),
            Cell::Int(parts.first),
            Cell::Int(parts.last_time_ms),
            Cell::Int(parts.last),
            Cell::Int(parts.count),
            Cell::Int(parts.increase),
            parts.rate_max_per_s.map_or(Cell::Null, Cell::Float),
            Cell::Int(parts.resets),
            Cell::Int(parts.gap_ms),
        ]);
    }

    fn read(fields: &Fields<'_>, row: usize) -> Result<Option<Self>, PartsError> {
        let Some(count) = fields.int(4, row) else { return Ok(None) };
        let int = |field| fields.int(field, row).ok_or(MISSING);
        let epochs = fields.epochs.get(row).copied().unwrap_or_default();
        let parts = CounterParts {
            first_time_ms: int(0)?,
            first: int(1)?,
            first_epoch: epochs.first,
            last_time_ms: int(2)?,
            last: int(3)?,
            last_epoch: epochs.last,
            count,
            increase: int(5)?,
            resets: int(7)?,
            gap_ms: int(8)?,
            rate_max_per_s: fields.float(6, row),
        };
        Self::from_parts(&parts).map(Some)
    }

    fn joined(&self, later: &Self) -> Self {
        self.merge(later)
    }

    fn first_time_ms(&self) -> i64 {
        self.first().map_or(0, |first| first.time_ms)
    }
}

/// A gauge's value in cells.
pub(super) trait GaugeCell: GaugeValue {
    fn cell(self) -> Cell;
    fn rest_cell(self) -> Cell;
    fn at(fields: &Fields<'_>, field: usize, row: usize) -> Option<Self>;
}

impl GaugeCell for i64 {
    fn cell(self) -> Cell {
        Cell::Int(self)
    }

    fn rest_cell(self) -> Cell {
        Cell::not_zero(self)
    }

    fn at(fields: &Fields<'_>, field: usize, row: usize) -> Option<Self> {
        fields.int(field, row)
    }
}

impl GaugeCell for f64 {
    fn cell(self) -> Cell {
        Cell::Float(self)
    }

    fn rest_cell(self) -> Cell {
        if self == 0.0 { Cell::Null } else { Cell::Float(self) }
    }

    fn at(fields: &Fields<'_>, field: usize, row: usize) -> Option<Self> {
        fields.float(field, row)
    }
}

impl<V: GaugeCell> Kept for GaugeWindow<V> {
    const FIELDS_KEPT: &'static [&'static str] = &[
        "first_time",
        "first",
        "last_time",
        "last",
        "count",
        "min",
        "max",
        "sum",
        "sum_rest",
        "changes",
        "gap_ms",
    ];

    fn cells(&self, out: &mut Vec<Cell>) {
        let Some(parts) = self.into_parts() else { return };
        out.extend([
            Cell::Int(parts.first_time_ms),
            parts.first.cell(),
            Cell::Int(parts.last_time_ms),
            parts.last.cell(),
            Cell::Int(parts.count),
            parts.min.cell(),
            parts.max.cell(),
            parts.sum.cell(),
            parts.sum_rest.rest_cell(),
            Cell::Int(parts.changes),
            Cell::Int(parts.gap_ms),
        ]);
    }

    fn read(fields: &Fields<'_>, row: usize) -> Result<Option<Self>, PartsError> {
        let Some(count) = fields.int(4, row) else { return Ok(None) };
        let int = |field| fields.int(field, row).ok_or(MISSING);
        let own = |field| V::at(fields, field, row).ok_or(MISSING);
        let parts = GaugeParts {
            first_time_ms: int(0)?,
            first: own(1)?,
            last_time_ms: int(2)?,
            last: own(3)?,
            count,
            min: own(5)?,
            max: own(6)?,
            sum: own(7)?,
            sum_rest: V::at(fields, 8, row).unwrap_or_default(),
            changes: int(9)?,
            gap_ms: int(10)?,
        };
        Self::from_parts(&parts).map(Some)
    }

    fn joined(&self, later: &Self) -> Self {
        self.merge(later)
    }

    fn first_time_ms(&self) -> i64 {
        self.first().map_or(0, |first| first.time_ms)
    }
}

impl Kept for StateWindow {
    const FIELDS_KEPT: &'static [&'static str] =
        &["first_time", "first", "last_time", "last", "count", "changes"];

    fn cells(&self, out: &mut Vec<Cell>) {
        let state = |state: &StateValue| match state {
            StateValue::Int(code) => Cell::Int(*code),
            StateValue::Text(text) => Cell::Text(text.clone()),
        };
        out.extend([
            Cell::Int(self.first_time_ms),
            state(&self.first),
            Cell::Int(self.last_time_ms),
            state(&self.last),
            Cell::Int(self.count),
            Cell::Int(self.changes),
        ]);
    }

    fn read(fields: &Fields<'_>, row: usize) -> Result<Option<Self>, PartsError> {
        let Some(count) = fields.int(4, row) else { return Ok(None) };
        let int = |field| fields.int(field, row).ok_or(MISSING);
        let state = |field| fields.state(field, row).ok_or(MISSING);
        Ok(Some(Self {
            first_time_ms: int(0)?,
            first: state(1)?,
            last_time_ms: int(2)?,
            last: state(3)?,
            count,
            changes: int(5)?,
        }))
    }

    fn joined(&self, later: &Self) -> Self {
        self.merge(later)
    }

    fn first_time_ms(&self) -> i64 {
        self.first_time_ms
    }
}

#[cfg(test)]
mod tests {
    use plimsoll_model::registry::{RollupRules, SUM_REST};
    use plimsoll_model::{Kind, Registry, Table};

    use super::WindowKind;

    #[test]
    fn every_statistic_of_the_rules_is_kept() {
        let kinds = [
            (Kind::Counter, WindowKind::Counter),
            (Kind::Gauge, WindowKind::Int),
            (Kind::State, WindowKind::State),
        ];
        for (kind, window) in kinds {
            let rules = RollupRules::embedded().statistics(kind);
            let mut names: Vec<String> = rules.map(|statistic| statistic.name.clone()).collect();
            let mut fields: Vec<&str> = window.fields().to_vec();
            fields.retain(|field| *field != SUM_REST);
            names.sort();
            fields.sort_unstable();
            assert_eq!(names, fields, "{kind:?}");
        }
        let tables = Registry::embedded().tables().iter();
        let rolled = tables.filter(|table| RollupRules::embedded().rolls_up(table));
        for metric in rolled.flat_map(Table::metrics) {
            assert!(WindowKind::of(metric).is_some(), "{}", metric.column);
        }
    }
}
