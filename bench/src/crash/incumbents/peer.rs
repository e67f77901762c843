//! The systems that are asked, each started as its manual says, with nothing else tuned.
//!
//! All get the same load: requests of 20 samples, one for each of 20 series, one moment each.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use plimsoll_model::time::SystemClock;
use plimsoll_model::{Batch, BatchBuilder, Dimension, Filter, Subject, TimeRange};
use plimsoll_store::{ScanLimits, ScanRequest, Store, StoreOptions};
use plimsoll_wire::{FrameEncoder, FrameId, FrameLimits, SenderId};
use reqwest::blocking::Client;

use crate::peers::process::free_port;

/// Series, and samples of one request.
pub const SERIES: u64 = 20;
/// How long a system may take to start.
const START_MAX: Duration = Duration::from_secs(60);

/// Which system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Prometheus with remote write.
    Prometheus,
    /// VictoriaMetrics, single node.
    VictoriaMetrics,
    /// This project's server.
    Plimsoll,
}

impl Kind {
    /// All, in the order of the table.
    pub const ALL: [Self; 3] = [Self::Prometheus, Self::VictoriaMetrics, Self::Plimsoll];

    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prometheus => "Prometheus",
            Self::VictoriaMetrics => "VictoriaMetrics",
            Self::Plimsoll => "Plimsoll",
        }
    }
}

/// A running system.
#[derive(Debug)]
pub struct Peer {
    kind: Kind,
    child: Child,
    port: u16,
    client: Client,
    data: PathBuf,
}

impl Peer {
    /// Starts a system on `data` and waits until it answers.
    ///
    /// # Errors
    ///
    /// A sentence, when it ended or did not answer within a minute.
    pub fn start(kind: Kind, program: &Path, data: &Path, scratch: &Path) -> Result<Self, String> {
        let text = |error: std::io::Error| format!("{}: {error}", program.display());
        let port = free_port()?;
        let address = format!("127.0.0.1:{port}");
        std::fs::create_dir_all(data).map_err(text)?;
        let settings = scratch.join(format!("{}.settings", kind.name()));
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(scratch.join(format!("{}.log", kind.name())))
            .map_err(text)?;
        let mut command = Command::new(program);
        match kind {
            Kind::Prometheus => {
                std::fs::write(&settings, "global: {}\n").map_err(text)?;
                command
                    .arg(format!("--config.file={}", settings.display()))
                    .arg(format!("--storage.tsdb.path={}", data.display()))
                    .arg(format!("--web.listen-address={address}"))
                    .args(["--web.enable-remote-write-receiver", "--log.level=error"]);
            }
            Kind::VictoriaMetrics => {
                command
                    .arg(format!("-storageDataPath={}", data.display()))
                    .arg(format!("-httpListenAddr={address}"))
                    .args(["-loggerLevel=ERROR", "-memory.allowedBytes=256MB"]);
            }
            Kind::Plimsoll => {
                let least = "[storage]\ndisk_free_bytes_min = 16777216\n";
                std::fs::write(&settings, least).map_err(text)?;
                command.arg("--config").arg(&settings).arg("serve").arg("--data").arg(data);
                command.args(["--listen", &address]);
            }
        }
        let errors = log.try_clone().map_err(text)?;
        let child =
            command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn().map_err(text)?;
        let client = Client::builder()
            .timeout(Duration::from_secs(30))
            .build()
            .map_err(|error| error.to_string())?;
        let mut peer = Self { kind, child, port, client, data: data.to_owned() };
        peer.wait_ready()?;
        Ok(peer)
    }

    fn wait_ready(&mut self) -> Result<(), String> {
        let path = match self.kind {
            Kind::Prometheus => "-/ready",
            Kind::VictoriaMetrics => "health",
            Kind::Plimsoll => "readyz",
        };
        let started = Instant::now();
        while started.elapsed() < START_MAX {
            let answer = self.client.get(self.url(path)).send();
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            if !self.is_alive() {
                return Err(format!("{} ended while starting", self.kind.name()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(format!("{} did not answer within a minute", self.kind.name()))
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    /// Whether its process still runs.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|ended| ended.is_none())
    }

    /// Sends one request; whether it was acknowledged, or with which status it was refused.
    pub fn send(&self, body: &[u8]) -> Result<bool, u16> {
        let request = match self.kind {
            Kind::Plimsoll => self
                .client
                .post(self.url("api/v1/frames"))
                .header("content-type", "application/vnd.plimsoll.frames"),
            _ => self
                .client
                .post(self.url("api/v1/write"))
                .header("content-encoding", "snappy")
                .header("content-type", "application/x-protobuf")
                .header("x-prometheus-remote-write-version", "0.1.0"),
        };
        match request.body(body.to_vec()).send() {
            Ok(answer) if answer.status().is_success() => Ok(true),
            Ok(answer) => Err(answer.status().as_u16()),
            Err(_) => Ok(false),
        }
    }

    /// `kill -9`.
    ///
    /// # Errors
    ///
    /// A sentence that says what the system refused.
    pub fn kill(&mut self) -> Result<(), String> {
        self.child.kill().and_then(|()| self.child.wait()).map(drop).map_err(|e| e.to_string())
    }

    /// Counts all samples it has, then kills it.
    ///
    /// # Errors
    ///
    /// A sentence that says what it answered.
    pub fn count(mut self) -> Result<u64, String> {
        match self.kind {
            Kind::Prometheus => {
                let url = self.url("api/v1/query?query=crash_seq%5B1h%5D");
                let text = self.get(&url)?;
                let answer: serde_json::Value =
                    serde_json::from_str(&text).map_err(|error| error.to_string())?;
                let series = answer["data"]["result"].as_array().ok_or(text)?;
                let counts = series.iter().filter_map(|one| one["values"].as_array());
                Ok(counts.map(|values| values.len() as u64).sum())
            }
            Kind::VictoriaMetrics => {
                self.get(&self.url("internal/force_flush"))?;
                std::thread::sleep(Duration::from_millis(300));
                let text = self.get(&self.url("api/v1/export?match[]=crash_seq"))?;
                let lines = text.lines().map(|line| {
                    let one: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
                    one["values"].as_array().map_or(0, |values| values.len() as u64)
                });
                Ok(lines.sum())
            }
            Kind::Plimsoll => {
                // It answered that it is ready; its rows are read where they lie.
                self.kill()?;
                count_rows(&self.data)
            }
        }
    }

    fn get(&self, url: &str) -> Result<String, String> {
        let answer = self.client.get(url).send().map_err(|error| error.to_string())?;
        let status = answer.status();
        let text = answer.text().map_err(|error| error.to_string())?;
        if status.is_success() { Ok(text) } else { Err(format!("{status}: {text}")) }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if self.is_alive() {
            let _ = self.kill();
        }
    }
}

fn count_rows(data: &Path) -> Result<u64, String> {
    let mut options = StoreOptions::new(data);
    options.disk_free_bytes_min = 0;
    let clock = Arc::new(SystemClock::new());
    let store = Store::open(options, clock).map_err(|error| error.to_string())?;
    let table = Batch::find_table("container").map_err(|error| error.to_string())?;
    let metric = table.metric_index("cpu_usage_us").ok_or("no metric cpu_usage_us")?;
    let request = ScanRequest {
        table,
        metrics: vec![metric],
        range: TimeRange::ALL,
        filter: Filter::default(),
        limits: ScanLimits::new(u64::MAX, usize::MAX),
    };
    Ok(store.scan(&request).map_err(|error| error.to_string())?.rows)
}

/// Makes the bodies of requests.
#[derive(Debug)]
pub struct Bodies {
    encoder: FrameEncoder,
    epoch: u64,
}

impl Bodies {
    /// For one life of a sender.
    ///
    /// # Errors
    ///
    /// A sentence that says what the encoder refused.
    pub fn new(epoch: u64) -> Result<Self, String> {
        let encoder =
            FrameEncoder::new(FrameLimits::default()).map_err(|error| error.to_string())?;
        Ok(Self { encoder, epoch })
    }

    /// The body of request `n` with samples at `time_ms`.
    ///
    /// # Errors
    ///
    /// A sentence that says what could not be encoded.
    pub fn body(&mut self, kind: Kind, n: u64, time_ms: i64) -> Result<Vec<u8>, String> {
        if kind == Kind::Plimsoll { self.frame(n, time_ms) } else { remote_write(n, time_ms) }
    }

    fn frame(&mut self, n: u64, time_ms: i64) -> Result<Vec<u8>, String> {
        let table = Batch::find_table("container").map_err(|error| error.to_string())?;
        let mut builder = BatchBuilder::new(table);
        for series in 0..SERIES {
            let mut subject = Subject::node("crash", "n1");
            subject.set(Dimension::ContainerId, format!("{series:064x}").into());
            builder.row(time_ms, &subject, &[]);
            builder.int("cpu_usage_us", Some(n as i64)).map_err(|error| error.to_string())?;
        }
        let batch = builder.finish().map_err(|error| error.to_string())?;
        let id =
            FrameId { sender: SenderId(*b"crash-rig-remote"), epoch: self.epoch, sequence: n + 1 };
        self.encoder.encode(&batch, id).map_err(|error| error.to_string())
    }
}

fn remote_write(n: u64, time_ms: i64) -> Result<Vec<u8>, String> {
    let mut message = Vec::new();
    for series in 0..SERIES {
        let mut one = Vec::new();
        for (name, value) in [("__name__", "crash_seq".to_owned()), ("i", series.to_string())] {
            let label = [field(1, name.as_bytes()), field(2, value.as_bytes())].concat();
            one.extend(field(1, &label));
        }
        let mut sample = vec![0x09];
        sample.extend((n as f64).to_le_bytes());
        sample.push(0x10);
        varint(&mut sample, time_ms.cast_unsigned());
        one.extend(field(2, &sample));
        message.extend(field(1, &one));
    }
    snap::raw::Encoder::new().compress_vec(&message).map_err(|error| error.to_string())
}

fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    varint(&mut out, bytes.len() as u64);
    out.extend(bytes);
    out
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number > 127 {
        out.push((number & 127) as u8 | 128);
        number >>= 7;
    }
    out.push(number as u8);
}
