//! What a compared system can do, and who they are.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::answer::Answer;
use super::dataset::Dataset;
use super::get::Tools;
use super::http::Refusal;
use super::question::Question;
use super::server::Server;
use super::sql::Database;

/// The systems, in the order of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Plimsoll, over its frames.
    Plimsoll,
    /// Prometheus, over remote write.
    Prometheus,
    /// `VictoriaMetrics`, over influx lines, its fastest documented way in.
    #[serde(rename = "victoria-metrics")]
    Victoria,
    /// `VictoriaMetrics`, over remote write; answers no questions.
    #[serde(rename = "victoria-metrics-remote-write")]
    VictoriaRemote,
    /// `ClickHouse` in a process of its own, over an Arrow stream.
    #[serde(rename = "clickhouse")]
    ClickHouse,
    /// `DuckDB` in a process of its own, sorted Parquet from an Arrow stream.
    #[serde(rename = "duckdb")]
    DuckDb,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Plimsoll,
        Self::Prometheus,
        Self::Victoria,
        Self::VictoriaRemote,
        Self::ClickHouse,
        Self::DuckDb,
    ];

    /// Its name in tables, measures and budgets.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plimsoll => "plimsoll",
            Self::Prometheus => "prometheus",
            Self::Victoria => "victoria-metrics",
            Self::VictoriaRemote => "victoria-metrics-remote-write",
            Self::ClickHouse => "clickhouse",
            Self::DuckDb => "duckdb",
        }
    }

    /// Whether it is asked questions.
    pub fn answers(self) -> bool {
        self != Self::VictoriaRemote
    }

    /// How often its ingest is measured: the slow ones once.
    pub fn rounds(self) -> usize {
        match self {
            Self::Plimsoll | Self::ClickHouse | Self::DuckDb => 3,
            Self::Victoria => 2,
            Self::Prometheus | Self::VictoriaRemote => 1,
        }
    }

    /// Starts it on an empty folder.
    ///
    /// # Errors
    ///
    /// A sentence that says what is missing.
    pub fn start(self, tools: &Tools, folder: &Path) -> Result<Box<dyn System>, String> {
        std::fs::create_dir_all(folder)
            .map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
        Ok(match self {
            Self::ClickHouse | Self::DuckDb => Box::new(Database::start(self, tools, folder)?),
            _ => Box::new(Server::start(self, tools, folder)?),
        })
    }
}

/// What feeding a data set cost.
#[derive(Debug, Clone, Serialize)]
pub struct Fed {
    /// CPU seconds until everything was accepted.
    pub accepted_cpu_s: f64,
    /// CPU seconds until it lay in its final form as well.
    pub merged_cpu_s: f64,
    /// Peak resident memory of the process.
    pub peak_memory_bytes: u64,
    /// Bytes on disk of the samples in their final form.
    pub bytes: u64,
    /// What makes these numbers doubtful.
    pub caveat: Option<&'static str>,
}

/// One question answered.
#[derive(Debug)]
pub struct Asked {
    /// From the question to the last byte of the answer.
    pub wall_ms: f64,
    /// CPU time of the system meanwhile.
    pub cpu_ms: f64,
    /// The answer, when it is kept.
    pub answer: Option<Answer>,
}

/// A running system.
pub trait System {
    /// Feeds a data set and waits until it lies in its final form.
    ///
    /// # Errors
    ///
    /// What went wrong.
    fn feed(&mut self, data: &Dataset) -> Result<Fed, String>;

    /// Asks a question; keeps the answer when `keep`.
    ///
    /// # Errors
    ///
    /// Why there is no answer.
    fn ask(&mut self, question: &Question, keep: bool) -> Result<Asked, Refusal>;

    /// Bytes of the data set with each other codec it offers, smallest first; empty when it
    /// chooses by itself.
    ///
    /// # Errors
    ///
    /// What went wrong.
    fn other_codecs(&mut self, data: &Dataset) -> Result<Vec<(String, u64)>, String>;

    /// Ends it; gives the folder its data is in.
    ///
    /// # Errors
    ///
    /// When it does not end.
    fn end(&mut self) -> Result<PathBuf, String>;
}
