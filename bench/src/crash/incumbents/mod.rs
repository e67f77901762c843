//! R19: the same kill, power cut and full disk for Prometheus, VictoriaMetrics and Plimsoll.
//!
//! One script, one load, one table: acknowledged samples, and how many of them were gone.

mod peer;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::crash::power::{Rig, SmallDisk};
use crate::crash::rigs::Plan;
use peer::{Bodies, Kind, Peer, SERIES};

/// How long a system is written to before a kill or cut.
const WRITE: Duration = Duration::from_secs(15);

/// What one question gave for one system.
#[derive(Debug, Default, Serialize)]
struct Row {
    system: &'static str,
    question: &'static str,
    cycles: u64,
    acked: u64,
    lost: u64,
    /// Requests refused, by HTTP status.
    refused: BTreeMap<u16, u64>,
    /// Times it did not start or answer afterwards, with what was said.
    failures: Vec<String>,
}

/// Asks every question of every system, prints the table and writes the numbers to `results`.
///
/// The Debian packages of the others are looked for below `target/bench-peers`.
///
/// # Errors
///
/// A sentence that says what is missing.
pub fn run(plan: &Plan, plimsoll: &Path, results: &Path) -> Result<(), String> {
    let peers = Path::new("target/bench-peers");
    let programs = [
        peers.join("prometheus/usr/bin/prometheus"),
        peers.join("victoria-metrics/usr/bin/victoria-metrics"),
        plimsoll.to_owned(),
    ];
    for program in &programs {
        if !program.exists() {
            return Err(format!("{} is missing", program.display()));
        }
    }
    let mut rows = Vec::new();
    for (kind, program) in Kind::ALL.into_iter().zip(programs) {
        let scene = Scene { kind, program };
        for (question, ask) in QUESTIONS {
            let mut row = Row { system: kind.name(), question, ..Row::default() };
            for _ in 0..plan.cycles {
                if let Err(text) = ask(&scene, plan, &mut row) {
                    row.failures.push(text);
                }
                row.cycles += 1;
            }
            println!("{} {question}: {row:?}", kind.name());
            rows.push(row);
        }
    }
    print(&rows);
    let json = serde_json::to_string_pretty(&rows).map_err(|error| error.to_string())?;
    std::fs::write(results, json + "\n").map_err(|error| error.to_string())
}

type Ask = fn(&Scene, &Plan, &mut Row) -> Result<(), String>;

const QUESTIONS: [(&str, Ask); 3] = [
    ("kill -9 while writing", Scene::kill),
    ("power cut while writing", Scene::power),
    ("disk full, freed, kill -9", Scene::disk_full),
];

fn print(rows: &[Row]) {
    println!("| fault | system | cycles | acked samples | lost | lost % | failed starts |");
    println!("|---|---|---|---|---|---|---|");
    for (question, _) in QUESTIONS {
        for row in rows.iter().filter(|row| row.question == question) {
            let percent = 100.0 * row.lost as f64 / row.acked.max(1) as f64;
            println!(
                "| {question} | {} | {} | {} | {} | {percent:.1} | {} |",
                row.system,
                row.cycles,
                row.acked,
                row.lost,
                row.failures.len()
            );
        }
    }
}

/// One system and its program.
struct Scene {
    kind: Kind,
    program: PathBuf,
}

/// A sender whose times rise from now on.
struct Sender {
    bodies: Bodies,
    sent: u64,
    last_ms: i64,
    acked: u64,
}

impl Sender {
    fn new() -> Result<Self, String> {
        let bodies = Bodies::new(now_ms().cast_unsigned())?;
        Ok(Self { bodies, sent: 0, last_ms: 0, acked: 0 })
    }

    /// Sends one request at the present moment.
    fn send(&mut self, peer: &Peer, kind: Kind, row: &mut Row) -> Result<(), String> {
        self.last_ms = now_ms().max(self.last_ms + 1);
        let body = self.bodies.body(kind, self.sent, self.last_ms)?;
        self.sent += 1;
        match peer.send(&body) {
            Ok(true) => self.acked += SERIES,
            Ok(false) => *row.refused.entry(0).or_default() += 1,
            Err(status) => *row.refused.entry(status).or_default() += 1,
        }
        std::thread::sleep(Duration::from_millis(4));
        Ok(())
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

impl Scene {
    fn start(&self, data: &Path, scratch: &Path) -> Result<Peer, String> {
        Peer::start(self.kind, &self.program, data, scratch)
    }

    fn write(&self, peer: &Peer, row: &mut Row) -> Result<u64, String> {
        let mut sender = Sender::new()?;
        let started = Instant::now();
        while started.elapsed() < WRITE {
            sender.send(peer, self.kind, row)?;
        }
        Ok(sender.acked)
    }

    fn settle(&self, acked: u64, counted: Result<u64, String>, row: &mut Row) {
        row.acked += acked;
        match counted {
            Ok(found) => row.lost += acked.saturating_sub(found),
            Err(text) => {
                row.lost += acked;
                row.failures.push(text);
            }
        }
    }

    fn kill(&self, _: &Plan, row: &mut Row) -> Result<(), String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let data = folder.path().join("data");
        let mut peer = self.start(&data, folder.path())?;
        let acked = self.write(&peer, row)?;
        peer.kill()?;
        let counted = self.start(&data, folder.path()).and_then(Peer::count);
        self.settle(acked, counted, row);
        Ok(())
    }

    fn power(&self, plan: &Plan, row: &mut Row) -> Result<(), String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut rig = Rig::build(folder.path(), "ext4", plan.install)?;
        let data = rig.data();
        let mut peer = self.start(&data, folder.path())?;
        let acked = self.write(&peer, row)?;
        rig.snapshot()?;
        peer.kill()?;
        drop(peer);
        // Some keep absolute paths: what the cut left stands where the disk stood.
        rig.put_snapshot_in_place()?;
        let counted = self.start(&data, folder.path()).and_then(Peer::count);
        self.settle(acked, counted, row);
        Ok(())
    }

    fn disk_full(&self, _: &Plan, row: &mut Row) -> Result<(), String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let disk = SmallDisk::build(folder.path())?;
        let data = disk.folder().join("data");
        let mut peer = self.start(&data, folder.path())?;
        let mut sender = Sender::new()?;
        for _ in 0..200 {
            sender.send(&peer, self.kind, row)?;
        }
        disk.fill()?;
        for _ in 0..1500 {
            sender.send(&peer, self.kind, row)?;
        }
        disk.free()?;
        std::thread::sleep(Duration::from_secs(3));
        for _ in 0..400 {
            sender.send(&peer, self.kind, row)?;
        }
        if !peer.is_alive() {
            row.failures.push("ended while the disk was full".to_owned());
        }
        peer.kill()?;
        let counted = self.start(&data, folder.path()).and_then(Peer::count);
        self.settle(sender.acked, counted, row);
        Ok(())
    }
}
