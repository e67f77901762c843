//! What every metric was when it was released: `schemas/metrics.lock`.
//!
//! One line per metric: table, column, series with fixed labels, kind, type, unit, shown unit,
//! since. A line that once stood in the file stands in it for ever.
//!
//! Holds NAME: a metric never changes meaning, kind or unit, and never vanishes.
//! Not here: the comparison with the checked-in file (a test does it).

use std::collections::HashSet;
use std::fmt::Write as _;

use super::{ColumnType, Kind, Metric, Registry, Table};

/// How a registry differs from a lock file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LockChanges {
    /// Lines of the file that the registry no longer has: forbidden.
    pub lost: Vec<String>,
    /// Lines of the registry that the file does not have yet: to be appended.
    pub new: Vec<String>,
}

/// The line of one metric; fields are separated by one space.
pub fn lock_line(table: &Table, metric: &Metric) -> String {
    let mut line = format!("{} {} {}", table.name(), metric.column, series(metric));
    // Writing to a String cannot fail.
    let _ = write!(line, " {} {} {}", metric.kind.name(), metric.column_type.name(), metric.unit);
    let _ = match &metric.shown {
        Some(shown) => write!(line, " {}={}/{}", shown.unit, metric.unit, shown.divide_by),
        None => write!(line, " {}", metric.unit),
    };
    let _ = write!(line, " {}", metric.since);
    line
}

/// The lines of all tables and metrics, in registry order. The first line of a table names its
/// dimensions and keys.
pub fn lock_lines(registry: &Registry) -> Vec<String> {
    let mut lines = Vec::new();
    for table in registry.tables() {
        let dimensions: Vec<_> = table.dimensions().iter().map(|d| d.name()).collect();
        lines.push(format!(
            "{} dimensions={} keys={}",
            table.name(),
            dimensions.join(","),
            table.keys().join(",")
        ));
        lines.extend(table.metrics().iter().map(|metric| lock_line(table, metric)));
    }
    lines
}

/// Compares a lock file's text with a registry. Empty lines and lines that begin with `#` do not
/// count.
pub fn compare_lock(lock: &str, registry: &Registry) -> LockChanges {
    let locked: Vec<&str> =
        lock.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let known: HashSet<&str> = locked.iter().copied().collect();
    let lines = lock_lines(registry);
    let present: HashSet<&str> = lines.iter().map(String::as_str).collect();
    let lost = locked.iter().filter(|line| !present.contains(*line));
    LockChanges {
        lost: lost.map(|line| (*line).to_owned()).collect(),
        new: lines.iter().filter(|line| !known.contains(line.as_str())).cloned().collect(),
    }
}

/// A series name with its fixed labels, as PromQL writes it: `name{a="b"}`.
pub fn series(metric: &Metric) -> String {
    if metric.labels.is_empty() {
        return metric.name.clone();
    }
    let labels: Vec<_> =
        metric.labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{}{{{}}}", metric.name, labels.join(","))
}

impl Kind {
    /// The word used in the registry files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::State => "state",
        }
    }
}

impl ColumnType {
    /// The word used in the registry files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Float => "float",
            Self::Text => "text",
        }
    }
}
