//! Makes the same rows into a file per way of feeding, before anything is measured.
//!
//! Keeps true: all files of a [`Dataset`] hold the same samples.

use std::path::{Path, PathBuf};

use plimsoll_fleetsim::{Fleet, FleetConfig};
use serde::{Deserialize, Serialize};

use super::columns::Columns;
use super::frames::Frames;
use super::lines::Lines;
use super::metric::CPU;
use super::remote_write::RemoteWrite;
use super::requests::RequestWriter;
use super::rows::{Joiner, Row, labels};

/// How large a fleet is and how it is fed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Names the folder of its files.
    pub name: String,
    /// Docker nodes.
    pub nodes: u32,
    /// Containers on each.
    pub containers_per_node: u32,
    /// Hours of history, sampled every 10 s.
    pub hours: u32,
    /// How many of the 24 metrics are fed, counted from the first.
    pub metrics: usize,
    /// Scrapes of one remote write request and influx body.
    pub scrapes_per_request: usize,
    /// Whether it ends at a midnight; else it lies inside one UTC day.
    pub ends_at_midnight: bool,
}

/// Ticks of one node in one frame.
const TICKS_PER_FRAME: u64 = 6;
/// Nodes in one remote write request.
const NODES_PER_REQUEST: usize = 4;
/// Lines in one influx body.
const LINES_PER_BODY: usize = 1_000;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// Days after which a prepared data set is made anew, so that it stays within retention.
const KEPT_DAYS: i64 = 5;

/// Prepared files of one fleet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Dataset {
    /// What it was made from.
    pub size: Size,
    /// Start of its history, Unix milliseconds.
    pub start_ms: i64,
    /// End of its history, exclusive.
    pub end_ms: i64,
    /// Samples, the same in every file.
    pub samples: u64,
    /// Rows: one per container and moment.
    pub rows: u64,
    /// Containers.
    pub containers: usize,
    /// Its services, sorted.
    pub services: Vec<String>,
    /// Id of a container that was there all the time and used the most CPU.
    pub one_container: String,
    /// Metrics that were not reported now and then, by field.
    pub nullable: Vec<bool>,
    /// Where its files lie.
    pub folder: PathBuf,
}

impl Dataset {
    /// Requests of frames.
    pub fn frames(&self) -> PathBuf {
        self.folder.join("frames.requests")
    }

    /// Remote write bodies.
    pub fn remote_write(&self) -> PathBuf {
        self.folder.join("remote-write.requests")
    }

    /// Influx bodies.
    pub fn lines(&self) -> PathBuf {
        self.folder.join("lines.requests")
    }

    /// The Arrow stream.
    pub fn columns(&self) -> PathBuf {
        self.folder.join("rows.arrow")
    }
}

/// The files of a size, made at the first call and kept in `folder` for some days.
///
/// `now_ms`: what the clock shows. History ends a whole day before the current one, so that
/// every day of it is complete.
///
/// # Errors
///
/// A sentence that says what could not be made or written.
pub fn prepare(size: &Size, folder: &Path, now_ms: i64) -> Result<Dataset, String> {
    let folder = folder.join(&size.name);
    let about = folder.join("dataset.json");
    if let Some(kept) = std::fs::read(&about).ok().and_then(|t| read(&t, size, &folder, now_ms)) {
        return Ok(kept);
    }
    std::fs::create_dir_all(&folder)
        .map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    let midnight_ms = now_ms - now_ms.rem_euclid(DAY_MS) - DAY_MS;
    let mut config = FleetConfig::bench(size.nodes, size.containers_per_node, size.hours);
    let after_midnight_ms = i64::from(size.hours.min(12)) * HOUR_MS;
    config.end_ms =
        if size.ends_at_midnight { midnight_ms } else { midnight_ms - DAY_MS + after_midnight_ms };
    config.start_ms = config.end_ms - i64::from(size.hours) * HOUR_MS;
    let dataset = make(size, config, &folder)?;
    let text = serde_json::to_vec_pretty(&dataset).map_err(|error| error.to_string())?;
    std::fs::write(&about, text)
        .map_err(|error| format!("cannot write {}: {error}", about.display()))?;
    Ok(dataset)
}

fn read(text: &[u8], size: &Size, folder: &Path, now_ms: i64) -> Option<Dataset> {
    let mut kept: Dataset = serde_json::from_slice(text).ok()?;
    folder.clone_into(&mut kept.folder);
    let is_fresh = kept.end_ms > now_ms - KEPT_DAYS * DAY_MS;
    (kept.size == *size && is_fresh).then_some(kept)
}

fn make(size: &Size, config: FleetConfig, folder: &Path) -> Result<Dataset, String> {
    let fleet = Fleet::new(config).map_err(|error| error.to_string())?;
    let mut services: Vec<String> = fleet.services().iter().map(|s| s.name.clone()).collect();
    services.sort_unstable();
    services.dedup();
    let mut dataset = Dataset {
        size: size.clone(),
        start_ms: fleet.config().start_ms,
        end_ms: fleet.config().end_ms,
        samples: 0,
        rows: 0,
        containers: fleet.containers().len(),
        services,
        one_container: String::new(),
        nullable: vec![false; size.metrics],
        folder: folder.to_owned(),
    };
    let mut writers = Writers::new(&fleet, size, &dataset)?;
    let mut known = Known::new(&fleet);
    let joiner = Joiner::new(size.metrics);
    let mut rows = Vec::new();
    let mut ticks = fleet.ticks(dataset.start_ms, dataset.end_ms);
    while let Some(tick) = ticks.next_rows() {
        rows.clear();
        joiner.add(tick, &mut rows);
        for row in &rows {
            dataset.rows += 1;
            for (value, nullable) in row.values.iter().zip(&mut dataset.nullable) {
                dataset.samples += u64::from(value.is_some());
                *nullable |= value.is_none();
            }
            known.add(row);
        }
        writers.add(tick.node, tick.tick, &rows)?;
    }
    writers.finish()?;
    dataset.one_container =
        known.busiest().map_or_else(String::new, |at| fleet.containers()[at].id.clone());
    Ok(dataset)
}

/// What one container did over the whole history.
struct Known {
    rows: Vec<u64>,
    cpu: Vec<i64>,
}

impl Known {
    fn new(fleet: &Fleet) -> Self {
        let containers = fleet.containers().len();
        Self { rows: vec![0; containers], cpu: vec![0; containers] }
    }

    fn add(&mut self, row: &Row) {
        self.rows[row.container] += 1;
        self.cpu[row.container] = self.cpu[row.container].max(row.values[CPU].unwrap_or(0));
    }

    /// Of the containers with the most rows (a missed scrape aside), the one with most CPU time.
    fn busiest(&self) -> Option<usize> {
        let most = self.rows.iter().max()?;
        let whole = |at: &usize| self.rows[*at] * 100 >= most * 99;
        (0..self.rows.len()).filter(whole).max_by_key(|at| self.cpu[*at])
    }
}

/// All files while they are written.
struct Writers {
    subjects: Vec<plimsoll_model::Subject>,
    frames: Frames,
    frames_out: RequestWriter,
    frames_sent: usize,
    remote: RemoteWrite,
    remote_out: RequestWriter,
    lines: Lines,
    lines_out: RequestWriter,
    columns: Columns,
    /// Rows that wait for their frame, by node.
    by_node: Vec<Vec<Row>>,
    /// Rows that wait for their remote write request, by group of nodes.
    by_group: Vec<Vec<Row>>,
    body: String,
    body_lines: usize,
    body_lane: usize,
    scrapes_per_request: u64,
}

impl Writers {
    fn new(fleet: &Fleet, size: &Size, dataset: &Dataset) -> Result<Self, String> {
        let labels = labels(fleet);
        let nodes = fleet.nodes().len();
        Ok(Self {
            subjects: crate::frames::subjects(fleet),
            frames: Frames::new(nodes, size.metrics)?,
            frames_out: RequestWriter::create(&dataset.frames())?,
            frames_sent: 0,
            remote: RemoteWrite::new(labels.clone()),
            remote_out: RequestWriter::create(&dataset.remote_write())?,
            lines: Lines::new(&labels),
            lines_out: RequestWriter::create(&dataset.lines())?,
            columns: Columns::create(&dataset.columns(), &labels, size.metrics)?,
            by_node: vec![Vec::new(); nodes],
            by_group: vec![Vec::new(); nodes.div_ceil(NODES_PER_REQUEST)],
            body: String::new(),
            body_lines: 0,
            body_lane: 0,
            scrapes_per_request: size.scrapes_per_request as u64,
        })
    }

    fn add(&mut self, node: usize, tick: u64, rows: &[Row]) -> Result<(), String> {
        for row in rows {
            self.columns.add(row)?;
            self.lines.add(row, &mut self.body);
            self.body_lines += 1;
            if self.body_lines == LINES_PER_BODY {
                self.send_lines()?;
            }
        }
        self.by_node[node].extend_from_slice(rows);
        if (tick + 1).is_multiple_of(TICKS_PER_FRAME) {
            self.send_frames(node)?;
        }
        let group = node / NODES_PER_REQUEST;
        self.by_group[group].extend_from_slice(rows);
        let is_last =
            (node + 1).is_multiple_of(NODES_PER_REQUEST) || node + 1 == self.by_node.len();
        if is_last && (tick + 1).is_multiple_of(self.scrapes_per_request) {
            self.send_group(group)?;
        }
        Ok(())
    }

    fn send_frames(&mut self, node: usize) -> Result<(), String> {
        let rows = std::mem::take(&mut self.by_node[node]);
        match self.frames.add(node, &rows, &self.subjects)? {
            Some(request) => {
                self.frames_sent += 1;
                self.frames_out.push(self.frames_sent, &request)
            }
            None => Ok(()),
        }
    }

    fn send_group(&mut self, group: usize) -> Result<(), String> {
        let rows = std::mem::take(&mut self.by_group[group]);
        if rows.is_empty() {
            return Ok(());
        }
        self.remote_out.push(group, &self.remote.body(&rows)?)
    }

    /// Influx bodies may arrive in any order: each takes the next connection.
    fn send_lines(&mut self) -> Result<(), String> {
        let body = std::mem::take(&mut self.body);
        self.body_lines = 0;
        self.body_lane += 1;
        self.lines_out.push(self.body_lane, body.as_bytes())
    }

    fn finish(mut self) -> Result<(), String> {
        for node in 0..self.by_node.len() {
            self.send_frames(node)?;
        }
        if let Some(request) = self.frames.take() {
            self.frames_out.push(0, &request)?;
        }
        for group in 0..self.by_group.len() {
            self.send_group(group)?;
        }
        if !self.body.is_empty() {
            self.send_lines()?;
        }
        self.frames_out.finish()?;
        self.remote_out.finish()?;
        self.lines_out.finish()?;
        self.columns.finish()
    }
}
