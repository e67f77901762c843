//! `ClickHouse` and `DuckDB`, each in a Python process that does nothing else.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command};

use serde_json::{Value, json};

use super::answer::Answer;
use super::dataset::Dataset;
use super::get::Tools;
use super::http::{Refusal, timed};
use super::metric::METRICS;
use super::process::Process;
use super::question::Question;
use super::system::{Asked, Fed, Kind, System};
use crate::scenario;

/// What the table of samples is called.
const TABLE: &str = "samples";
/// Codecs of number columns that are tried in `ClickHouse`; the smallest counts. The first is
/// the one whose ingest is measured.
const CODECS: [&str; 4] =
    ["Delta(8), ZSTD(1)", "DoubleDelta, ZSTD(1)", "Delta(8), ZSTD(3)", "T64, ZSTD(3)"];

/// One running database.
pub struct Database {
    kind: Kind,
    folder: PathBuf,
    process: Process,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Database {
    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    ///
    /// A sentence that says what is missing.
    pub fn start(kind: Kind, tools: &Tools, folder: &Path) -> Result<Self, String> {
        let mut command = Command::new(tools.python.clone()?);
        command.arg(scenario::folder().join("python/engine.py")).arg(kind.name()).arg(folder);
        let mut process = Process::start(&mut command, &folder.join("log.txt"), true)?;
        let input = process.child().stdin.take();
        let output = process.child().stdout.take().ok_or("the database has no output")?;
        let output = BufReader::new(output);
        let mut this = Self { kind, folder: folder.to_owned(), process, input, output };
        this.read().map_err(|error| format!("{}: {error}", kind.name()))?;
        Ok(this)
    }

    fn read(&mut self) -> Result<Value, String> {
        let mut line = String::new();
        self.output.read_line(&mut line).map_err(|error| error.to_string())?;
        if line.is_empty() {
            let log = std::fs::read_to_string(self.folder.join("log.txt")).unwrap_or_default();
            return Err(format!("ended: {}", log.lines().last().unwrap_or_default()));
        }
        let answer: Value = serde_json::from_str(&line).map_err(|error| error.to_string())?;
        match answer["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer),
        }
    }

    fn run(&mut self, sql: &str, arrow: Option<&Path>, keep: bool) -> Result<Value, String> {
        let asked = json!({ "sql": sql, "arrow": arrow, "keep": keep });
        let input = self.input.as_mut().ok_or("the database was ended")?;
        writeln!(input, "{asked}").map_err(|error| error.to_string())?;
        self.read()
    }

    fn create_clickhouse(
        &mut self,
        data: &Dataset,
        table: &str,
        codec: &str,
    ) -> Result<(), String> {
        let mut columns = vec!["ts DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1))".to_owned()];
        for label in ["container", "container_id", "image", "node", "service", "stack"] {
            columns.push(format!("{label} LowCardinality(String)"));
        }
        for (metric, nullable) in METRICS.iter().zip(&data.nullable) {
            let number = if *nullable { "Nullable(Int64)" } else { "Int64" };
            columns.push(format!("{} {number} CODEC({codec})", metric.field));
        }
        let sql = format!(
            "CREATE TABLE {table} ({}) ENGINE = MergeTree ORDER BY (container_id, ts)",
            columns.join(", ")
        );
        self.run(&sql, None, false).map(drop)
    }

    fn insert_clickhouse(&mut self, data: &Dataset, table: &str) -> Result<(), String> {
        let path = data.columns();
        let sql =
            format!("INSERT INTO {table} SELECT * FROM file('{}', 'ArrowStream')", path.display());
        self.run(&sql, None, false).map(drop)
    }

    fn merge_clickhouse(&mut self, table: &str) -> Result<u64, String> {
        self.run(&format!("OPTIMIZE TABLE {table} FINAL"), None, false)?;
        let sql = format!(
            "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND table = '{table}'"
        );
        let answer = self.run(&sql, None, true)?;
        let bytes = &answer["rows"][0][0];
        let bytes = bytes.as_u64().or_else(|| bytes.as_str()?.parse().ok());
        bytes.ok_or_else(|| format!("no size of the table: {answer}"))
    }

    fn feed_clickhouse(&mut self, data: &Dataset) -> Result<Fed, String> {
        self.create_clickhouse(data, TABLE, CODECS[0])?;
        let before_s = self.process.cpu_s();
        self.insert_clickhouse(data, TABLE)?;
        let accepted_cpu_s = self.process.cpu_s() - before_s;
        let bytes = self.merge_clickhouse(TABLE)?;
        let merged_cpu_s = self.process.cpu_s() - before_s;
        let peak_memory_bytes = self.process.peak_memory_bytes();
        Ok(Fed { accepted_cpu_s, merged_cpu_s, peak_memory_bytes, bytes, caveat: None })
    }

    fn feed_duckdb(&mut self, data: &Dataset) -> Result<Fed, String> {
        let path = self.folder.join("samples.parquet");
        let before_s = self.process.cpu_s();
        let copy = format!(
            "COPY (SELECT * FROM arriving ORDER BY container_id, ts) TO '{}' \
             (FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION v2)",
            path.display()
        );
        self.run(&copy, Some(&data.columns()), false)?;
        let cpu_s = self.process.cpu_s() - before_s;
        let view = format!("CREATE VIEW {TABLE} AS FROM read_parquet('{}')", path.display());
        self.run(&view, None, false)?;
        let bytes = std::fs::metadata(&path).map_err(|error| error.to_string())?.len();
        let peak_memory_bytes = self.process.peak_memory_bytes();
        Ok(Fed {
            accepted_cpu_s: cpu_s,
            merged_cpu_s: cpu_s,
            peak_memory_bytes,
            bytes,
            caveat: None,
        })
    }
}

impl System for Database {
    fn feed(&mut self, data: &Dataset) -> Result<Fed, String> {
        if self.kind == Kind::ClickHouse {
            self.feed_clickhouse(data)
        } else {
            self.feed_duckdb(data)
        }
    }

    fn ask(&mut self, question: &Question, keep: bool) -> Result<Asked, Refusal> {
        let sql = match self.kind {
            Kind::ClickHouse => question.clickhouse(),
            _ => question.duckdb(),
        };
        let before = self.process.cpu_before();
        let (answer, whole_ms) = timed(|| self.run(&sql, None, keep));
        let cpu_ms = self.process.cpu_ms_since(&before);
        let answer = answer.map_err(Refusal::Failed)?;
        // Without the way through the pipe: a program would call it in its own process.
        let wall_ms = answer["ms"].as_f64().unwrap_or(whole_ms);
        let rows = answer["rows"].as_array();
        let answer = rows.map(|rows| Answer::of_rows(question, rows));
        Ok(Asked { wall_ms, cpu_ms, answer })
    }

    fn other_codecs(&mut self, data: &Dataset) -> Result<Vec<(String, u64)>, String> {
        let mut sizes = Vec::new();
        if self.kind != Kind::ClickHouse {
            return Ok(sizes);
        }
        for (at, codec) in CODECS.iter().enumerate().skip(1) {
            let table = format!("other_{at}");
            self.create_clickhouse(data, &table, codec)?;
            self.insert_clickhouse(data, &table)?;
            sizes.push(((*codec).to_owned(), self.merge_clickhouse(&table)?));
            self.run(&format!("DROP TABLE {table} SYNC"), None, false)?;
        }
        sizes.sort_by_key(|(_, bytes)| *bytes);
        Ok(sizes)
    }

    fn end(&mut self) -> Result<PathBuf, String> {
        self.input = None;
        self.process.end()?;
        Ok(self.folder.clone())
    }
}
