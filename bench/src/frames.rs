//! Made-up fleets as frames, in a file that a measured process reads: making rows must not
//! count as ingesting them.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use plimsoll_fleetsim::{
    BLKIO_METRICS, CONTAINER_METRICS, Fleet, FleetConfig, NETWORK_METRICS, Rows,
};
use plimsoll_model::{Batch, BatchBuilder, Dimension, Subject, Table};
use plimsoll_wire::{FrameEncoder, FrameId, FrameLimits, SenderId};

use crate::scenario::{self, Scenario};

/// A file of requests: each a little-endian `u32` length and that many bytes of frames.
#[derive(Debug)]
pub struct FrameFile {
    /// Where it lies.
    pub path: PathBuf,
    /// Samples in all frames.
    pub samples: u64,
    /// Rows in all frames.
    pub rows: u64,
}

/// One table of one node while its frame fills.
struct Pending {
    builder: BatchBuilder,
    table: &'static Table,
    metrics: &'static [&'static str],
}

impl Pending {
    fn new(table: &str, metrics: &'static [&'static str]) -> Result<Self, String> {
        let table = Batch::find_table(table).map_err(|error| error.to_string())?;
        Ok(Self { builder: BatchBuilder::new(table), table, metrics })
    }

    fn add(&mut self, rows: &Rows, subjects: &[Subject]) -> Result<(), String> {
        let problem = |error: plimsoll_model::batch::RowError| error.to_string();
        for row in 0..rows.len() {
            let subject = &subjects[rows.container[row] as usize];
            self.builder.row(rows.time_ms[row], subject, &[rows.part[row]]);
            self.builder.int("started_at_ms", Some(rows.started_at_ms[row])).map_err(problem)?;
            for (metric, values) in self.metrics.iter().zip(&rows.values) {
                self.builder.int(metric, values[row]).map_err(problem)?;
            }
        }
        Ok(())
    }

    fn take(&mut self) -> Result<Option<Batch>, String> {
        if self.builder.num_rows() == 0 {
            return Ok(None);
        }
        let full = std::mem::replace(&mut self.builder, BatchBuilder::new(self.table));
        full.finish().map(Some).map_err(|error| error.to_string())
    }
}

/// The subjects of all containers of a fleet, by container index.
pub fn subjects(fleet: &Fleet) -> Vec<Subject> {
    let cluster = fleet.config().cluster.clone();
    let subject = |container: &plimsoll_fleetsim::Container| {
        let service = fleet.service_of(container);
        let node = &fleet.nodes()[container.node];
        let mut subject = Subject::node(&cluster, &node.hostname);
        subject.set(Dimension::Stack, service.stack.clone().unwrap_or_default().into());
        subject.set(Dimension::Service, service.name.as_str().into());
        subject.set(Dimension::Slot, container.slot_number.to_string().into());
        subject.set(Dimension::Container, container.name.as_str().into());
        subject.set(Dimension::ContainerId, container.id.as_str().into());
        subject.set(Dimension::Image, container.image.clone());
        subject
    };
    fleet.containers().iter().map(subject).collect()
}

/// The frames of a scenario, made once and kept in `folder`.
///
/// # Errors
///
/// A sentence that says what could not be made or written.
pub fn file(name: &str, scenario: &Scenario, folder: &Path) -> Result<FrameFile, String> {
    let path = folder.join(format!("{name}.frames"));
    let counts = folder.join(format!("{name}.counts"));
    if let (true, Ok(text)) = (path.exists(), std::fs::read_to_string(&counts)) {
        let numbers: Vec<u64> = text.split_whitespace().filter_map(|n| n.parse().ok()).collect();
        if let [samples, rows] = numbers[..] {
            return Ok(FrameFile { path, samples, rows });
        }
    }
    let problem = |error: std::io::Error| format!("cannot write {}: {error}", path.display());
    std::fs::create_dir_all(folder).map_err(problem)?;
    let out = BufWriter::new(File::create(&path).map_err(problem)?);
    let (samples, rows) = make(scenario, out)?;
    std::fs::write(&counts, format!("{samples} {rows}\n")).map_err(problem)?;
    Ok(FrameFile { path, samples, rows })
}

fn make(scenario: &Scenario, out: impl Write) -> Result<(u64, u64), String> {
    let config = FleetConfig::bench(scenario.nodes, scenario.containers_per_node, scenario.hours);
    let (start_ms, end_ms) = (config.start_ms, config.end_ms);
    let fleet = Fleet::new(config).map_err(|error| error.to_string())?;
    let subjects = subjects(&fleet);
    let mut maker = Maker::new(scenario, out)?;
    let mut pending = Vec::new();
    for _ in fleet.nodes() {
        pending.push([
            Pending::new("container", CONTAINER_METRICS)?,
            Pending::new("container_network", NETWORK_METRICS)?,
            Pending::new("container_blkio", BLKIO_METRICS)?,
        ]);
    }
    let mut ticks = fleet.ticks(start_ms, end_ms);
    while let Some(tick) = ticks.next_rows() {
        let node = tick.node;
        let tables = &mut pending[node];
        tables[0].add(&tick.containers, &subjects)?;
        tables[1].add(&tick.networks, &subjects)?;
        tables[2].add(&tick.devices, &subjects)?;
        if (tick.tick + 1) % scenario.ticks_per_frame as u64 == 0 {
            maker.take(node, tables)?;
        }
    }
    for (node, tables) in pending.iter_mut().enumerate() {
        maker.take(node, tables)?;
    }
    maker.finish()
}

/// Encodes batches and puts the frames into requests.
struct Maker<'a, W> {
    scenario: &'a Scenario,
    out: W,
    encoder: FrameEncoder,
    sequences: Vec<u64>,
    request: Vec<u8>,
    frames: usize,
    samples: u64,
    rows: u64,
}

impl<'a, W: Write> Maker<'a, W> {
    fn new(scenario: &'a Scenario, out: W) -> Result<Self, String> {
        let encoder =
            FrameEncoder::new(FrameLimits::default()).map_err(|error| error.to_string())?;
        Ok(Self {
            scenario,
            out,
            encoder,
            sequences: vec![0; scenario.nodes as usize],
            request: Vec::new(),
            frames: 0,
            samples: 0,
            rows: 0,
        })
    }

    fn take(&mut self, node: usize, tables: &mut [Pending]) -> Result<(), String> {
        for table in tables {
            let Some(batch) = table.take()? else { continue };
            // The epoch column is bookkeeping, not a sample anybody asked for.
            self.samples += (batch.samples() - batch.num_rows()) as u64;
            self.rows += batch.num_rows() as u64;
            self.sequences[node] += 1;
            let mut sender = [0; 16];
            sender[..8].copy_from_slice(&(node as u64 + 1).to_le_bytes());
            let id = FrameId { sender: SenderId(sender), epoch: 1, sequence: self.sequences[node] };
            let frame = self.encoder.encode(&batch, id).map_err(|error| error.to_string())?;
            self.request.extend(frame);
            self.frames += 1;
            if self.frames == self.scenario.frames_per_request {
                self.send()?;
            }
        }
        Ok(())
    }

    fn send(&mut self) -> Result<(), String> {
        let length = u32::try_from(self.request.len()).map_err(|error| error.to_string())?;
        self.out
            .write_all(&length.to_le_bytes())
            .and_then(|()| self.out.write_all(&self.request))
            .map_err(|error| format!("cannot write frames: {error}"))?;
        self.request.clear();
        self.frames = 0;
        Ok(())
    }

    fn finish(mut self) -> Result<(u64, u64), String> {
        if self.frames > 0 {
            self.send()?;
        }
        self.out.flush().map_err(|error| format!("cannot write frames: {error}"))?;
        Ok((self.samples, self.rows))
    }
}

/// Reads a frame file request by request.
#[derive(Debug)]
pub struct Requests {
    input: BufReader<File>,
}

impl Requests {
    /// Opens a frame file.
    ///
    /// # Errors
    ///
    /// A sentence that names the file.
    pub fn open(path: &Path) -> Result<Self, String> {
        let file =
            File::open(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        Ok(Self { input: BufReader::with_capacity(1 << 20, file) })
    }
}

impl Iterator for Requests {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let mut length = [0; 4];
        self.input.read_exact(&mut length).ok()?;
        let mut body = vec![0; u32::from_le_bytes(length) as usize];
        self.input.read_exact(&mut body).ok()?;
        Some(Bytes::from(body))
    }
}

/// Where made frames are kept between runs.
pub fn folder() -> PathBuf {
    scenario::folder().parent().map_or_else(PathBuf::new, |root| root.join("target/bench-data"))
}

/// The end of a scenario's made-up history, Unix milliseconds.
pub fn end_ms(scenario: &Scenario) -> i64 {
    FleetConfig::bench(scenario.nodes, scenario.containers_per_node, scenario.hours).end_ms
}
