//! The metric registry: what tables and metrics exist, read from `schemas/metrics/*.toml`.
//!
//! Metrics are data. The files are embedded at build time; Rust never repeats a name that
//! stands in them, except where code computes that very metric.
//!
//! Holds NAME together with `schemas/metrics.lock` (`registry::lock`).
//! Not here: reading the files' text form (`registry::file`), labels and units
//! (`registry::labels`), rollup columns (`registry::rollups`), events (`registry::events`),
//! configuration keys (`registry::config`), generated pages (`registry::reference`).

mod config;
mod events;
mod file;
mod labels;
mod lock;
mod reference;
mod rollup_tables;
mod rollups;
mod schema;
mod table;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

pub use config::{ConfigKey, ConfigSchema, ConfigSection, ConfigType, ConfigValue};
pub use events::{EventRule, EventRules, Severity, Teller, Verdict, split_action};
pub use file::RegistryError;
pub use labels::{
    DimensionHelp, Exposition, Identity, IdentityPart, IdentityRule, InfoSeries, LabelRules,
    MadeSeries, MadeValue, Redaction, SecretPatterns, SeriesAlias, StateSeries, Unit,
};
pub use lock::{LockChanges, compare_lock, lock_line, lock_lines, series};
pub use reference::{config_markdown, events_markdown, reference_markdown};
pub use rollup_tables::{EPOCHS_OTHER, SUM_REST};
pub use rollups::{Resolution, RollupRules, SharedStatistic, SketchRule, Statistic, StatisticType};
pub use table::{Column, ColumnType, Kind, Metric, Shown, Source, Table};

/// The embedded metric files: table name and TOML text.
pub const METRIC_FILES: &[(&str, &str)] = &[
    ("container", include_str!("../../../../schemas/metrics/container.toml")),
    ("container_network", include_str!("../../../../schemas/metrics/container_network.toml")),
    ("container_blkio", include_str!("../../../../schemas/metrics/container_blkio.toml")),
    ("container_info", include_str!("../../../../schemas/metrics/container_info.toml")),
    ("node", include_str!("../../../../schemas/metrics/node.toml")),
    ("node_cpu", include_str!("../../../../schemas/metrics/node_cpu.toml")),
    ("node_disk", include_str!("../../../../schemas/metrics/node_disk.toml")),
    ("node_filesystem", include_str!("../../../../schemas/metrics/node_filesystem.toml")),
    ("node_network", include_str!("../../../../schemas/metrics/node_network.toml")),
    ("event", include_str!("../../../../schemas/metrics/event.toml")),
];

/// All tables, in the order of [`METRIC_FILES`].
#[derive(Debug)]
pub struct Registry {
    tables: Vec<Table>,
}

static EMBEDDED: LazyLock<Registry> = LazyLock::new(|| {
    // A broken embedded file cannot pass the tests; production then runs with what parses.
    let tables = METRIC_FILES
        .iter()
        .enumerate()
        .filter_map(|(index, (name, text))| file::parse_table(index, name, text).ok())
        .collect();
    Registry { tables }
});

impl Registry {
    /// The registry this program was built with.
    pub fn embedded() -> &'static Self {
        &EMBEDDED
    }

    /// Reads a registry from (table name, TOML text) pairs.
    ///
    /// # Errors
    ///
    /// [`RegistryError`] names the file, the entry and what is wrong with it.
    pub fn parse(files: &[(&str, &str)]) -> Result<Self, RegistryError> {
        let tables = files
            .iter()
            .enumerate()
            .map(|(index, (name, text))| file::parse_table(index, name, text))
            .collect::<Result<_, _>>()?;
        Ok(Self { tables })
    }

    /// All tables.
    pub fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// The table with this name.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.name() == name)
    }

    /// Every metric with this series name, with its table. Several metrics may share a name
    /// and differ in their fixed labels (`node_cpu_seconds_total{mode="user"}`).
    pub fn metrics_named<'a>(
        &'a self,
        name: &'a str,
    ) -> impl Iterator<Item = (&'a Table, &'a Metric)> {
        self.tables.iter().flat_map(move |table| {
            table
                .metrics()
                .iter()
                .filter(move |metric| metric.name == name)
                .map(move |m| (table, m))
        })
    }
}
