//! What a rollup keeps of each kind of metric, read from `schemas/rollups.toml`.
//!
//! Not here: the arithmetic (`window`), building rollups (`store`).

use std::sync::LazyLock;

use serde::Deserialize;

use super::file::RegistryError;
use super::table::Kind;
use super::{Metric, Table, schema};

/// Everything `schemas/rollups.toml` says.
#[derive(Debug, Clone, PartialEq, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct RollupRules {
    format: u32,
    /// Lengths of buckets, shortest first.
    #[serde(rename = "resolution")]
    pub resolutions: Vec<Resolution>,
    /// Columns that all counters of a row share.
    pub shared: Vec<SharedStatistic>,
    #[serde(rename = "statistic")]
    statistics: Vec<Statistic>,
    /// Sketches for quantiles.
    pub sketch: SketchRule,
    keep_raw: KeepRaw,
}

/// A length of buckets.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resolution {
    /// Name, also in paths of segments.
    pub name: String,
    /// Length of one bucket; buckets begin at multiples of it since 1970 in UTC.
    pub length_ms: i64,
    /// What it means.
    pub help: String,
}

/// A column that all counters of a rollup row share.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SharedStatistic {
    /// The rollup column.
    pub statistic: String,
    /// Only in tables that have this column.
    pub when_column: String,
    /// How it is stored.
    #[serde(rename = "type")]
    pub value_type: StatisticType,
    /// What it means.
    pub help: String,
}

/// One number that a rollup keeps of a metric.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statistic {
    kind: StatisticKind,
    /// Suffix of the rollup column.
    pub name: String,
    /// How it is stored.
    #[serde(rename = "type")]
    pub value_type: StatisticType,
    /// What it means.
    pub help: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum StatisticKind {
    Counter,
    Gauge,
    State,
}

/// How a statistic is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StatisticType {
    /// Unix milliseconds UTC.
    Time,
    /// As the metric itself.
    Value,
    /// Wide enough for the exact sum of the metric's values.
    Sum,
    /// `Int64`.
    Int,
    /// `Float64`.
    Float,
}

/// Sketches for quantiles.
#[derive(Debug, Clone, PartialEq, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct SketchRule {
    /// The resolution that has them.
    pub resolution: String,
    /// Suffix of the rollup column.
    pub name: String,
    kinds: Vec<StatisticKind>,
    /// Largest relative error of a quantile.
    pub relative_error: f64,
    /// Most bins of one sketch.
    pub bins_max: usize,
    /// What is sketched of a counter.
    pub counter: String,
    /// What is sketched of a gauge.
    pub gauge: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct KeepRaw {
    tables: Vec<String>,
}

/// The embedded file.
const TEXT: &str = include_str!("../../../../schemas/rollups.toml");

// A broken embedded file cannot pass the tests.
static EMBEDDED: LazyLock<RollupRules> =
    LazyLock::new(|| RollupRules::parse(TEXT).unwrap_or_default());

impl RollupRules {
    /// The rules this program was built with.
    pub fn embedded() -> &'static Self {
        &EMBEDDED
    }

    /// Reads the text of a `rollups.toml`.
    ///
    /// # Errors
    ///
    /// [`RegistryError`] says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, RegistryError> {
        schema::parse("rollups", text, |file: &Self| file.format)
    }

    /// What is kept of a metric of this kind, in column order.
    pub fn statistics(&self, kind: Kind) -> impl Iterator<Item = &Statistic> {
        let kind = StatisticKind::from(kind);
        self.statistics.iter().filter(move |statistic| statistic.kind == kind)
    }

    /// Whether hourly rollups keep a sketch of this metric.
    pub fn has_sketch(&self, metric: &Metric) -> bool {
        let is_number = metric.column_type != super::ColumnType::Text;
        is_number && self.sketch.kinds.contains(&StatisticKind::from(metric.kind))
    }

    /// Whether a table is rolled up at all; the others are kept raw.
    pub fn rolls_up(&self, table: &Table) -> bool {
        !self.keep_raw.tables.iter().any(|name| name == table.name())
    }
}

impl Statistic {
    /// Name of the rollup column of a metric.
    pub fn column(&self, metric: &Metric) -> String {
        format!("{}_{}", metric.column, self.name)
    }
}

impl From<Kind> for StatisticKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Counter => Self::Counter,
            Kind::Gauge => Self::Gauge,
            Kind::State => Self::State,
        }
    }
}
