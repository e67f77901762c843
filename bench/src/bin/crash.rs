//! Kills a writing store, or cuts its power, and counts what is missing afterwards.
//!
//! `crash --cycles N [--power ext4|xfs|btrfs] [--seed S]`; the last line is
//! `cycles=N restarts=.. acked=.. acked_lost=0 duplicated=0 wrong=0`.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::{Parser, Subcommand};
use plimsoll_bench::crash::power::Rig;
use plimsoll_bench::crash::{Tally, judge, writer};

/// Frames one writer writes at the most, so that a forgotten one ends by itself.
const FRAMES_MAX: u64 = 200_000;

#[derive(Parser)]
struct Arguments {
    /// How many kills or power cuts.
    #[arg(long, default_value_t = 50)]
    cycles: u64,
    /// Cut the power of a disk with this file system instead of killing the process.
    #[arg(long)]
    power: Option<String>,
    /// Draws the moments of the kills.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(subcommand)]
    command: Option<Role>,
}

#[derive(Subcommand)]
enum Role {
    /// The process that is killed.
    #[command(hide = true)]
    Write { folder: PathBuf, first: u64 },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match (&arguments.command, &arguments.power) {
        (Some(Role::Write { folder, first }), _) => {
            writer::run(folder, *first, FRAMES_MAX).map(|()| Tally::default())
        }
        (None, None) => kills(&arguments),
        (None, Some(file_system)) => power_cuts(&arguments, file_system),
    };
    match result {
        Ok(_) if arguments.command.is_some() => ExitCode::SUCCESS,
        Ok(tally) => {
            println!("{tally}");
            if tally.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(text) => {
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}

/// Pseudo-random numbers that are the same for the same seed (xorshift64*).
struct Dice(u64);

impl Dice {
    fn between_ms(&mut self, low: u64, high: u64) -> Duration {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        Duration::from_millis(low + number % (high - low))
    }
}

/// A running writer and what it said so far.
struct Writer {
    child: Child,
    acked: Arc<Mutex<BTreeSet<u64>>>,
    reader: std::thread::JoinHandle<()>,
}

impl Writer {
    /// Starts a writer and waits until its store is open.
    fn start(folder: &Path, first: u64) -> Result<Self, String> {
        let this = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut child = Command::new(this)
            .arg("write")
            .arg(folder)
            .arg(first.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start the writer: {error}"))?;
        let output = child.stdout.take().ok_or("the writer has no output")?;
        let mut lines = BufReader::new(output).lines();
        match lines.next() {
            Some(Ok(line)) if line == "ready" => {}
            other => return Err(format!("the writer did not open its store: {other:?}")),
        }
        let acked = Arc::new(Mutex::new(BTreeSet::new()));
        let heard = Arc::clone(&acked);
        let reader = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Ok(n) = line.parse() {
                    heard.lock().unwrap_or_else(PoisonError::into_inner).insert(n);
                }
            }
        });
        Ok(Self { child, acked, reader })
    }

    fn acked(&self) -> BTreeSet<u64> {
        self.acked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// `kill -9`; gives all that was acknowledged before.
    fn kill(mut self) -> Result<BTreeSet<u64>, String> {
        self.child.kill().map_err(|error| format!("cannot kill the writer: {error}"))?;
        self.child.wait().map_err(|error| format!("cannot wait for the writer: {error}"))?;
        self.reader.join().map_err(|_| "the reader of the writer's output failed".to_owned())?;
        Ok(self.acked.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

fn kills(arguments: &Arguments) -> Result<Tally, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let data = folder.path().join("data");
    let mut dice = Dice(arguments.seed.max(1));
    let mut tally = Tally::default();
    let mut acked = BTreeSet::new();
    let mut next = 0;
    for _ in 0..arguments.cycles {
        let writer = Writer::start(&data, next)?;
        std::thread::sleep(dice.between_ms(5, 500));
        acked.extend(writer.kill()?);
        let found = judge::read(&data)?;
        judge::compare(&found, &acked, &mut tally);
        next = found.next();
        tally.cycles += 1;
        tally.restarts += 2;
        tally.acked = acked.len() as u64;
        if !tally.is_clean() {
            break;
        }
    }
    Ok(tally)
}

fn power_cuts(arguments: &Arguments, file_system: &str) -> Result<Tally, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let mut rig = Rig::build(folder.path(), file_system)?;
    let mut dice = Dice(arguments.seed.max(1));
    let mut tally = Tally::default();
    let data = rig.data();
    let mut writer = Writer::start(&data, 0)?;
    for cycle in 0..arguments.cycles {
        std::thread::sleep(dice.between_ms(5, 250));
        let acked = writer.acked();
        let found = rig.cut(judge::read)?;
        judge::compare(&found, &acked, &mut tally);
        tally.cycles += 1;
        tally.restarts += 1;
        tally.acked += acked.len() as u64;
        if !tally.is_clean() {
            break;
        }
        if cycle % 25 == 24 {
            // A fresh writer on an empty directory: reading all of it must stay cheap.
            writer.kill()?;
            std::fs::remove_dir_all(&data).map_err(|error| error.to_string())?;
            writer = Writer::start(&data, 0)?;
        }
    }
    writer.kill()?;
    Ok(tally)
}
