//! What a table and a metric are.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::Dimension;

/// How a metric's values behave over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Grows while its subject lives, starts again from zero when it restarts.
    Counter,
    /// Goes up and down.
    Gauge,
    /// One of a few words or codes that holds until it changes.
    State,
}

/// How a column's values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// `Int64`.
    Int,
    /// `Float64`.
    Float,
    /// Dictionary-encoded `Utf8`.
    Text,
}

/// How a stored value is shown: divided by a constant into another unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// The unit after division.
    pub unit: String,
    /// What the stored value is divided by.
    pub divide_by: f64,
}

/// Where a value comes from, as documentation: engine field or cgroup file for each version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// On cgroup v1.
    pub v1: Option<String>,
    /// On cgroup v2.
    pub v2: Option<String>,
    /// The source's own unit, where it differs from the stored one.
    pub unit: Option<String>,
}

/// One metric: a column of a table and the series it is shown as.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Series name as PromQL and cAdvisor users know it.
    pub name: String,
    /// Column in the table and in Parquet files.
    pub column: String,
    /// How its values behave.
    pub kind: Kind,
    /// How its values are stored.
    pub column_type: ColumnType,
    /// Stored unit.
    pub unit: String,
    /// What division makes the shown series; `None`: shown as stored.
    pub shown: Option<Shown>,
    /// Labels that tell apart metrics of one name (`mode="user"`).
    pub labels: BTreeMap<String, String>,
    /// What it means, one sentence.
    pub help: String,
    /// Registry format version that added it.
    pub since: u32,
    /// Field of the engine's answer.
    pub engine: Source,
    /// File of the cgroup tree.
    pub cgroup: Source,
    /// File under `/proc` or `/sys`, where that is the source.
    pub proc: Option<String>,
    /// Names in other systems: system to name.
    pub alias: BTreeMap<String, String>,
}

/// One column of a table, metric or not.
#[derive(Debug, Clone, PartialEq)]
pub enum Column {
    /// Unix milliseconds UTC, never null.
    Time,
    /// A shared grouping column.
    Dimension(Dimension),
    /// A key of this table beside the subject (`interface`, `device`), by index into `keys`.
    Key(usize),
    /// A metric, by index into `metrics`.
    Metric(usize),
}

/// Rows of one shape.
#[derive(Debug)]
pub struct Table {
    index: usize,
    name: String,
    help: String,
    dimensions: &'static [Dimension],
    keys: Vec<String>,
    metrics: Vec<Metric>,
    columns: Vec<Column>,
    by_name: HashMap<String, usize>,
    schema: SchemaRef,
}

impl Table {
    pub(super) fn new(
        index: usize,
        name: String,
        help: String,
        dimensions: &'static [Dimension],
        keys: Vec<String>,
        metrics: Vec<Metric>,
    ) -> Self {
        let mut columns = vec![Column::Time];
        columns.extend(dimensions.iter().map(|dimension| Column::Dimension(*dimension)));
        columns.extend((0..keys.len()).map(Column::Key));
        columns.extend((0..metrics.len()).map(Column::Metric));
        let mut fields = vec![Field::new("time", time_type(), false)];
        fields.extend(dimensions.iter().map(|d| Field::new(d.name(), text_type(), true)));
        fields.extend(keys.iter().map(|key| Field::new(key, text_type(), true)));
        fields.extend(metrics.iter().map(|m| Field::new(&m.column, m.column_type.arrow(), true)));
        let by_name =
            fields.iter().enumerate().map(|(i, field)| (field.name().clone(), i)).collect();
        let schema = Arc::new(Schema::new(fields));
        Self { index, name, help, dimensions, keys, metrics, columns, by_name, schema }
    }

    /// Position in the registry; stable within one build only.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Name, also the name of its folder in a data directory.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What one row says.
    pub fn help(&self) -> &str {
        &self.help
    }

    /// Grouping columns, in column order.
    pub fn dimensions(&self) -> &'static [Dimension] {
        self.dimensions
    }

    /// Key columns beside the subject, in column order.
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// Metrics, in column order.
    pub fn metrics(&self) -> &[Metric] {
        &self.metrics
    }

    /// All columns in order: time, dimensions, keys, metrics. Same order as [`Table::schema`].
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The full Arrow schema.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Position of a column in [`Table::schema`].
    pub fn column_index(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// Position of the first metric column in [`Table::schema`].
    pub fn metrics_start(&self) -> usize {
        self.columns.len().saturating_sub(self.metrics.len())
    }

    /// Index into [`Table::metrics`] of the metric stored in this column.
    pub fn metric_index(&self, column: &str) -> Option<usize> {
        self.metrics.iter().position(|metric| metric.column == column)
    }
}

/// Two tables are the same when their names are: names are unique in a registry.
impl PartialEq for Table {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Table {}

impl ColumnType {
    /// The Arrow type of a column.
    pub fn arrow(self) -> DataType {
        match self {
            Self::Int => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Text => text_type(),
        }
    }
}

fn text_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some(Arc::from("UTC")))
}
