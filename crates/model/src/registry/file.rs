//! Reads one `schemas/metrics/<table>.toml`.
//!
//! Unknown keys are errors, so that a misspelt one cannot be lost.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;

use super::table::{ColumnType, Kind, Metric, Shown, Source, Table};
use crate::{Dimension, ErrorClass};

/// Why a schema file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// Not TOML, or a key or value that the format does not have.
    #[error("schema file {file} cannot be read")]
    Syntax {
        /// Table the metric file is for, or name of the schema file.
        file: String,
        /// What the parser said.
        source: Box<toml::de::Error>,
    },
    /// The file says it is for another table or format.
    #[error("schema file {file} has {key} = {found:?}, expected {expected:?}")]
    Mismatch {
        /// Table the file is for.
        file: String,
        /// Which key.
        key: &'static str,
        /// What stands there.
        found: String,
        /// What must stand there.
        expected: String,
    },
    /// Two entries share what must be unique.
    #[error("metric file {file} has {what} {name:?} twice")]
    Twice {
        /// Table the file is for.
        file: String,
        /// Column or series.
        what: &'static str,
        /// The repeated name.
        name: String,
    },
}

impl RegistryError {
    /// Registry files ship with the program.
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Bug
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TableFile {
    format: u32,
    table: String,
    help: String,
    dimensions: DimensionsFile,
    #[serde(default)]
    key: Vec<String>,
    #[serde(default)]
    metric: Vec<MetricFile>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum DimensionsFile {
    Container,
    Node,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum KindFile {
    Counter,
    Gauge,
    State,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "lowercase")]
enum TypeFile {
    #[default]
    Int,
    Float,
    Text,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShownFile {
    unit: String,
    divide_by: f64,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct SourceFile {
    v1: Option<String>,
    v2: Option<String>,
    unit: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MetricFile {
    name: String,
    column: String,
    kind: KindFile,
    #[serde(default, rename = "type")]
    column_type: TypeFile,
    unit: String,
    shown: Option<ShownFile>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    help: String,
    since: u32,
    #[serde(default)]
    engine: SourceFile,
    #[serde(default)]
    cgroup: SourceFile,
    proc: Option<String>,
    #[serde(default)]
    alias: BTreeMap<String, String>,
}

/// Metric file format that this program reads.
const FORMAT: u32 = 1;

pub(super) fn parse_table(index: usize, name: &str, text: &str) -> Result<Table, RegistryError> {
    let file: TableFile = toml::from_str(text).map_err(|source| RegistryError::Syntax {
        file: name.to_owned(),
        source: Box::new(source),
    })?;
    let mismatch = |key, found: String, expected: String| RegistryError::Mismatch {
        file: name.to_owned(),
        key,
        found,
        expected,
    };
    if file.format != FORMAT {
        return Err(mismatch("format", file.format.to_string(), FORMAT.to_string()));
    }
    if file.table != name {
        return Err(mismatch("table", file.table, name.to_owned()));
    }
    let dimensions = match file.dimensions {
        DimensionsFile::Container => Dimension::CONTAINER,
        DimensionsFile::Node => Dimension::NODE,
    };
    let metrics: Vec<Metric> = file.metric.into_iter().map(metric).collect();
    check_unique(name, dimensions, &file.key, &metrics)?;
    Ok(Table::new(index, file.table, file.help, dimensions, file.key, metrics))
}

fn metric(file: MetricFile) -> Metric {
    let source = |file: SourceFile| Source { v1: file.v1, v2: file.v2, unit: file.unit };
    Metric {
        name: file.name,
        column: file.column,
        kind: match file.kind {
            KindFile::Counter => Kind::Counter,
            KindFile::Gauge => Kind::Gauge,
            KindFile::State => Kind::State,
        },
        column_type: match file.column_type {
            TypeFile::Int => ColumnType::Int,
            TypeFile::Float => ColumnType::Float,
            TypeFile::Text => ColumnType::Text,
        },
        unit: file.unit,
        shown: file.shown.map(|shown| Shown { unit: shown.unit, divide_by: shown.divide_by }),
        labels: file.labels,
        help: file.help,
        since: file.since,
        engine: source(file.engine),
        cgroup: source(file.cgroup),
        proc: file.proc,
        alias: file.alias,
    }
}

fn check_unique(
    file: &str,
    dimensions: &[Dimension],
    keys: &[String],
    metrics: &[Metric],
) -> Result<(), RegistryError> {
    let twice = |what, name: &str| RegistryError::Twice {
        file: file.to_owned(),
        what,
        name: name.to_owned(),
    };
    let mut columns: HashSet<&str> = HashSet::from(["time"]);
    let names = dimensions.iter().map(|dimension| dimension.name());
    let names = names.chain(keys.iter().map(String::as_str));
    for name in names.chain(metrics.iter().map(|metric| metric.column.as_str())) {
        if !columns.insert(name) {
            return Err(twice("column", name));
        }
    }
    let mut series = HashSet::new();
    for metric in metrics {
        if !series.insert((&metric.name, &metric.labels)) {
            return Err(twice("series", &metric.name));
        }
    }
    Ok(())
}
