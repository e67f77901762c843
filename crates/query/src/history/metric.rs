//! Which stored columns a question's `metric` means, and how their values are shown.
//!
//! Four short names stand for what people ask most: `cpu`, `memory`, `io`, `network`. Anything
//! else is a series name, a column, or `table.column` of the registry.
//! Not here: reading the other parameters (`history::request`).

use plimsoll_model::{ColumnType, Kind, Metric, Registry, Table};

use crate::nearest::nearest;
use crate::parameters::ParameterError;

/// How stored values become what is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// A counter: its growth per second.
    Rate,
    /// A gauge or a number that holds: the value itself.
    Level,
}

/// The columns that answer a question.
#[derive(Debug, Clone)]
pub struct MetricChoice {
    /// The metric as it was asked for.
    pub name: String,
    /// The table to read.
    pub table: &'static Table,
    /// Indexes into [`Table::metrics`], at least one. Several are read each for itself and
    /// answered side by side (bytes received, bytes sent): see [`MetricChoice::fields`].
    pub metrics: Vec<usize>,
    /// How values are read.
    pub reading: Reading,
    /// What a stored value (or rate) of the first column is divided by to get
    /// [`MetricChoice::unit`].
    pub divide_by: f64,
    /// Unit of the answer, for the first column.
    pub unit: String,
}

/// One of the columns that answer a question, and how its values are shown.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldChoice {
    /// The metric as it was asked for, or the column's name where a question has several.
    pub name: String,
    /// Index into [`Table::metrics`].
    pub metric: usize,
    /// What a stored value (or rate) is divided by.
    pub divide_by: f64,
    /// Unit of a value, or of growth per second.
    pub unit: String,
    /// Unit of a sum: of growth itself for counters, else the same.
    pub unit_total: String,
}

struct Short {
    name: &'static str,
    table: &'static str,
    columns: &'static [&'static str],
    unit: Option<&'static str>,
}

const SHORT: &[Short] = &[
    Short { name: "cpu", table: "container", columns: &["cpu_usage_us"], unit: Some("cores") },
    Short {
        name: "memory",
        table: "container",
        columns: &["memory_working_set_bytes"],
        unit: None,
    },
    Short {
        name: "io",
        table: "container_blkio",
        columns: &["read_bytes", "write_bytes", "read_ops", "write_ops"],
        unit: None,
    },
    Short {
        name: "network",
        table: "container_network",
        columns: &["rx_bytes", "tx_bytes"],
        unit: None,
    },
];

const ALLOWED: &str = "cpu, memory, io, network, or a metric of the registry by its series name, \
     column or table.column";

impl MetricChoice {
    /// Finds what `name` means.
    ///
    /// # Errors
    ///
    /// [`ParameterError`] when nothing has that name, several columns have it (they are listed),
    /// or its values are texts.
    pub fn parse(name: &str) -> Result<Self, ParameterError> {
        let registry = Registry::embedded();
        if let Some(short) = SHORT.iter().find(|short| short.name == name)
            && let Some(table) = registry.table(short.table)
        {
            let metrics = short.columns.iter().filter_map(|column| table.metric_index(column));
            let choice = Self::of(name, table, metrics.collect());
            return choice.map(|choice| match short.unit {
                Some(unit) => Self { unit: unit.to_owned(), ..choice },
                None => choice,
            });
        }
        let found = candidates(registry, name);
        match found.as_slice() {
            [] => Err(unknown(registry, name)),
            [(table, index)] => Self::of(name, table, vec![*index]),
            several => {
                let names: Vec<String> = several
                    .iter()
                    .filter_map(|(table, index)| table.metrics().get(*index).map(|m| (table, m)))
                    .map(|(table, metric)| format!("{}.{}", table.name(), metric.column))
                    .collect();
                Err(error(name, format!("one of {}", names.join(", "))))
            }
        }
    }

    fn of(name: &str, table: &'static Table, metrics: Vec<usize>) -> Result<Self, ParameterError> {
        let first = metrics.first().and_then(|index| table.metrics().get(*index));
        let Some(first) = first.filter(|metric| metric.column_type != ColumnType::Text) else {
            return Err(error(name, "a metric whose values are numbers".to_owned()));
        };
        let reading = if first.kind == Kind::Counter { Reading::Rate } else { Reading::Level };
        let (unit, divide_by) = shown(first);
        let unit = unit_of(reading, unit);
        Ok(Self { name: name.to_owned(), table, metrics, reading, divide_by, unit })
    }

    /// The columns of the answer, in order; at least one.
    pub fn fields(&self) -> Vec<FieldChoice> {
        let single = self.metrics.len() == 1;
        let metrics = self.metrics.iter();
        let metrics = metrics.filter_map(|index| Some((*index, self.table.metrics().get(*index)?)));
        let field = |(metric, of): (usize, &Metric)| {
            let (unit_total, divide_by) = shown(of);
            let unit_total = unit_total.to_owned();
            let (name, unit) = if single {
                (self.name.clone(), self.unit.clone())
            } else {
                (of.column.clone(), unit_of(self.reading, &unit_total))
            };
            FieldChoice { name, metric, divide_by, unit, unit_total }
        };
        metrics.map(field).collect()
    }
}

/// Unit and divisor of what is shown of a metric.
fn shown(metric: &Metric) -> (&str, f64) {
    match &metric.shown {
        Some(shown) => (shown.unit.as_str(), shown.divide_by),
        None => (metric.unit.as_str(), 1.0),
    }
}

fn unit_of(reading: Reading, unit: &str) -> String {
    match reading {
        Reading::Rate => format!("{unit}_per_second"),
        Reading::Level => unit.to_owned(),
    }
}

/// Every metric of this series name, column or `table.column`.
fn candidates(registry: &'static Registry, name: &str) -> Vec<(&'static Table, usize)> {
    let qualified = name.split_once('.');
    let mut found = Vec::new();
    for table in registry.tables() {
        for (index, metric) in table.metrics().iter().enumerate() {
            let by_table = qualified.is_some_and(|(table_name, column)| {
                table.name() == table_name && metric.column == column
            });
            if by_table || metric.name == name || metric.column == name {
                found.push((table, index));
            }
        }
    }
    // A column of the container table is what a bare name means when others share it.
    let is_column = |(table, index): &&(&Table, usize)| {
        table.name() == "container" && column(table, *index) == Some(name)
    };
    if let Some(own) = found.iter().find(is_column) {
        return vec![*own];
    }
    found
}

fn column(table: &Table, index: usize) -> Option<&str> {
    table.metrics().get(index).map(|metric: &Metric| metric.column.as_str())
}

fn unknown(registry: &'static Registry, name: &str) -> ParameterError {
    let metrics = registry.tables().iter().flat_map(Table::metrics);
    let names = metrics.flat_map(|metric| [metric.name.as_str(), metric.column.as_str()]);
    match nearest(name, SHORT.iter().map(|short| short.name).chain(names)) {
        Some(meant) => error(name, format!("{ALLOWED}; did you mean `{meant}`?")),
        None => error(name, ALLOWED.to_owned()),
    }
}

fn error(found: &str, allowed: String) -> ParameterError {
    ParameterError::Value { parameter: "metric".to_owned(), found: found.to_owned(), allowed }
}
