//! Plimsoll, Prometheus and `VictoriaMetrics`: processes that speak HTTP and PromQL.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::answer::Answer;
use super::dataset::Dataset;
use super::get::Tools;
use super::http::{Http, Refusal, timed};
use super::process::{Process, free_port};
use super::question::{Names, Question, Shape};
use super::requests::send_all;
use super::system::{Asked, Fed, Kind, System};
use crate::cost::folder_bytes;

/// How long compaction may take.
const COMPACTION_MAX: Duration = Duration::from_secs(900);
/// How often a server that was started again looks for something to compact, seconds.
const COMPACT_INTERVAL_S: u32 = 2;
/// What it means when the status does not say how much there is left to compact.
const NO_PENDING: &str =
    "the status has no store.compaction_pending: taken as compacted once it was idle";
/// Between two looks at the state of a server.
const LOOK: Duration = Duration::from_millis(200);

/// One running server.
pub struct Server {
    kind: Kind,
    program: PathBuf,
    folder: PathBuf,
    process: Process,
    http: Http,
    caveat: Option<&'static str>,
}

impl Server {
    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    ///
    /// A sentence that says what is missing.
    pub fn start(kind: Kind, tools: &Tools, folder: &Path) -> Result<Self, String> {
        let program = match kind {
            Kind::Plimsoll => tools.plimsoll.clone()?,
            Kind::Prometheus => tools.prometheus.clone()?,
            _ => tools.victoria.clone()?,
        };
        let (process, http) = launch(kind, &program, folder)?;
        Ok(Self { kind, program, folder: folder.to_owned(), process, http, caveat: None })
    }

    fn names(&self) -> Names {
        if self.kind == Kind::Plimsoll { Names::Plimsoll } else { Names::Peers }
    }

    /// Sends every request of the data set.
    fn send(&self, data: &Dataset) -> Result<(), String> {
        let http = &self.http;
        match self.kind {
            Kind::Plimsoll => send_all(&data.frames(), |body| {
                let kind = [("content-type", "application/vnd.plimsoll.frames")];
                let answer = http.post("/api/v1/frames", &kind, body)?;
                let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
                match answer["data"]["rejected"].as_array() {
                    Some(rejected) if rejected.is_empty() => Ok(()),
                    _ => Err(format!("frames were not all taken: {answer}")),
                }
            }),
            Kind::Victoria => send_all(&data.lines(), |body| {
                http.post("/write?precision=ms", &[], body).map(drop)
            }),
            _ => send_all(&data.remote_write(), |body| {
                let headers = [
                    ("content-type", "application/x-protobuf"),
                    ("content-encoding", "snappy"),
                    ("x-prometheus-remote-write-version", "0.1.0"),
                ];
                http.post("/api/v1/write", &headers, body).map(drop)
            }),
        }
    }

    /// Brings everything into its final form; gives the folder to weigh and the CPU seconds of
    /// processes that ended on the way.
    fn settle(&mut self) -> Result<(PathBuf, f64), String> {
        match self.kind {
            Kind::Plimsoll => self.settle_plimsoll(),
            Kind::Prometheus => {
                let body = self.http.post("/api/v1/admin/tsdb/snapshot", &[], Vec::new())?;
                let answer: Value = serde_json::from_str(&body).unwrap_or_default();
                let name = answer["data"]["name"].as_str().ok_or("the snapshot has no name")?;
                Ok((self.folder.join("data/snapshots").join(name), 0.0))
            }
            _ => {
                for path in ["/internal/force_flush", "/internal/force_merge"] {
                    self.http.get(path, &[]).map_err(|error| format!("{path}: {error:?}"))?;
                }
                self.process.wait_idle(3);
                Ok((self.folder.join("data"), 0.0))
            }
        }
    }

    /// Ends the server, which brings its heads into segments, starts it again and waits until
    /// there is nothing left to compact.
    fn settle_plimsoll(&mut self) -> Result<(PathBuf, f64), String> {
        let ended_cpu_s = self.process.end()?;
        let peak = self.process.peak_memory_bytes();
        (self.process, self.http) = launch(self.kind, &self.program, &self.folder)?;
        self.process.remember_peak(peak);
        let start = Instant::now();
        while start.elapsed() < COMPACTION_MAX {
            std::thread::sleep(LOOK);
            let status = self.http.get("/api/v1/status", &[]);
            let status = status.map_err(|error| format!("no status: {error:?}"))?;
            let status: Value = serde_json::from_str(&status).unwrap_or_default();
            match status["data"]["store"]["compaction_pending"].as_u64() {
                Some(0) => break,
                Some(_) => {}
                None => {
                    self.caveat = Some(NO_PENDING);
                    self.process.wait_idle(3 * COMPACT_INTERVAL_S);
                    break;
                }
            }
        }
        Ok((self.folder.join("data/segments"), ended_cpu_s))
    }
}

/// The command line of a server, and the path that says that it is ready.
fn command(kind: Kind, program: &Path, folder: &Path, port: u16) -> Result<Command, String> {
    let mut command = Command::new(program);
    let data = folder.join("data");
    let listen = format!("127.0.0.1:{port}");
    match kind {
        Kind::Plimsoll => {
            command.arg("serve").arg("--data").arg(&data).args(["--listen", &listen]);
            command.env("PLIMSOLL_RETENTION_RAW_DAYS", "60");
            command.env("PLIMSOLL_STORAGE_COMPACT_INTERVAL_S", COMPACT_INTERVAL_S.to_string());
        }
        Kind::Prometheus => {
            let config = folder.join("prometheus.yml");
            std::fs::write(&config, "global:\n  scrape_interval: 1h\n")
                .map_err(|error| format!("cannot write {}: {error}", config.display()))?;
            command
                .arg(format!("--config.file={}", config.display()))
                .arg(format!("--storage.tsdb.path={}", data.display()))
                .arg(format!("--web.listen-address={listen}"))
                .args(["--storage.tsdb.retention.time=90y", "--web.enable-remote-write-receiver"])
                .args(["--web.enable-admin-api", "--query.max-samples=500000000"])
                .arg("--query.timeout=5m");
        }
        _ => {
            command
                .arg(format!("-storageDataPath={}", data.display()))
                .arg(format!("-httpListenAddr={listen}"))
                .args(["-retentionPeriod=100y", "-search.latencyOffset=0s"])
                .arg("-search.maxQueryDuration=300s");
        }
    }
    Ok(command)
}

fn launch(kind: Kind, program: &Path, folder: &Path) -> Result<(Process, Http), String> {
    let port = free_port()?;
    let http = Http::new(port)?;
    let log = folder.join("log.txt");
    let mut process = Process::start(&mut command(kind, program, folder, port)?, &log, false)?;
    let ready = match kind {
        Kind::Plimsoll => "/readyz",
        Kind::Prometheus => "/-/ready",
        _ => "/health",
    };
    process.wait_until(|| http.is_ready(ready)).map_err(|error| {
        let log = std::fs::read_to_string(&log).unwrap_or_default();
        let last = log.lines().last().unwrap_or_default().to_owned();
        format!("{}: {error}: {last}", kind.name())
    })?;
    Ok((process, http))
}

impl System for Server {
    fn feed(&mut self, data: &Dataset) -> Result<Fed, String> {
        self.send(data)?;
        let accepted_cpu_s = self.process.cpu_s();
        let (folder, ended_cpu_s) = self.settle()?;
        let bytes = match self.kind {
            Kind::Plimsoll => raw_bytes(&folder),
            _ => folder_bytes(&folder),
        };
        Ok(Fed {
            accepted_cpu_s,
            merged_cpu_s: ended_cpu_s + self.process.cpu_s(),
            peak_memory_bytes: self.process.peak_memory_bytes(),
            bytes,
            caveat: self.caveat,
        })
    }

    fn ask(&mut self, question: &Question, keep: bool) -> Result<Asked, Refusal> {
        let names = self.names();
        let query = question.promql(names);
        let (path, mut form) = match &question.shape {
            Shape::Instant { time_s } => {
                ("/api/v1/query".to_owned(), vec![("time", time_s.to_string())])
            }
            Shape::Range { from_s, to_s, step_s } => (
                "/api/v1/query_range".to_owned(),
                vec![
                    ("start", from_s.to_string()),
                    ("end", to_s.to_string()),
                    ("step", step_s.to_string()),
                ],
            ),
            Shape::LabelValues { from_s, to_s } => (
                format!("/api/v1/label/{query}/values"),
                vec![("start", from_s.to_string()), ("end", to_s.to_string())],
            ),
        };
        if question.label().is_none() {
            form.push(("query", query));
        }
        if self.kind == Kind::Victoria {
            // Its cache of earlier results would answer instead of the data.
            form.push(("nocache", "1".to_owned()));
        }
        let before = self.process.cpu_before();
        let (body, wall_ms) = timed(|| self.http.get(&path, &form));
        let cpu_ms = self.process.cpu_ms_since(&before);
        let body = body?;
        let answer = keep.then(|| Answer::of_promql(question, names, &body));
        let answer = answer.transpose().map_err(Refusal::Failed)?;
        Ok(Asked { wall_ms, cpu_ms, answer })
    }

    fn other_codecs(&mut self, _data: &Dataset) -> Result<Vec<(String, u64)>, String> {
        Ok(Vec::new())
    }

    fn end(&mut self) -> Result<PathBuf, String> {
        self.process.end()?;
        Ok(self.folder.join("data"))
    }
}

/// Bytes of all files under `segments/table=*/resolution=raw/`.
pub fn raw_bytes(segments: &Path) -> u64 {
    let Ok(tables) = std::fs::read_dir(segments) else { return 0 };
    tables.flatten().map(|table| folder_bytes(&table.path().join("resolution=raw"))).sum()
}
