//! Kills a writing store, cuts its power or fills its disk, and counts what is missing afterwards.
//!
//! `crash --cycles N [--power ext4|ext4-writeback|xfs|btrfs | --disk-full] [--seed S]`; the last
//! line is `cycles=N restarts=.. acked=.. acked_lost=0 duplicated=0 wrong=0`.
//! `crash --incumbents` asks the same questions of Prometheus and VictoriaMetrics.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use plimsoll_bench::crash::process::Orders;
use plimsoll_bench::crash::rigs::{self, Plan};
use plimsoll_bench::crash::{Tally, incumbents, writer};

/// Frames one writer writes at the most, so that a forgotten one ends by itself.
const FRAMES_MAX: u64 = 200_000;

#[derive(Parser)]
struct Arguments {
    /// How many kills, power cuts or fillings.
    #[arg(long, default_value_t = 50)]
    cycles: u64,
    /// Cut the power of a disk with this file system instead of killing the process.
    #[arg(long)]
    power: Option<String>,
    /// Fill a small disk instead.
    #[arg(long, conflicts_with = "power")]
    disk_full: bool,
    /// Compare with Prometheus and VictoriaMetrics; `--cycles` applies to each question.
    #[arg(long)]
    incumbents: bool,
    /// The `plimsoll` program for `--incumbents`.
    #[arg(long, default_value = "target/release/plimsoll")]
    plimsoll: PathBuf,
    /// Where `--incumbents` writes its numbers.
    #[arg(long, default_value = "bench/results/incumbents.json")]
    results: PathBuf,
    /// Draws the moments of the kills.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Fail when a Debian package is missing instead of installing it.
    #[arg(long)]
    no_install: bool,
    /// Plant bugs in the writer, separated by commas; needs a build with the feature `sabotage`.
    #[arg(long, default_value = "")]
    sabotage: String,
    #[command(subcommand)]
    command: Option<Role>,
}

#[derive(Subcommand)]
enum Role {
    /// The process that is killed.
    #[command(hide = true)]
    Write {
        folder: PathBuf,
        first: u64,
        #[arg(long, default_value = "")]
        again: String,
        #[arg(long, default_value_t = 0)]
        disk_free_min: u64,
        #[arg(long, default_value_t = FRAMES_MAX)]
        frames: u64,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(Role::Write { folder, first, again, disk_free_min, frames }) = &arguments.command {
        let again = again.split(',').filter_map(|number| number.parse().ok()).collect();
        let (first, disk_free_bytes_min) = (*first, *disk_free_min);
        let orders = Orders { first, again, disk_free_bytes_min, sabotage: String::new() };
        return end(writer::run(folder, &orders, *frames).map(|()| None));
    }
    if !arguments.sabotage.is_empty() && !cfg!(feature = "sabotage") {
        return end(Err("this build cannot plant bugs: it lacks the feature `sabotage`".into()));
    }
    let plan = Plan {
        cycles: arguments.cycles,
        seed: arguments.seed,
        sabotage: arguments.sabotage.clone(),
        install: !arguments.no_install,
    };
    if arguments.incumbents {
        return end(incumbents::run(&plan, &arguments.plimsoll, &arguments.results).map(|()| None));
    }
    let tally = match &arguments.power {
        Some(file_system) => rigs::power_cuts(&plan, file_system),
        None if arguments.disk_full => rigs::disk_full(&plan),
        None => rigs::kills(&plan),
    };
    end(tally.map(Some))
}

fn end(result: Result<Option<Tally>, String>) -> ExitCode {
    match result {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(tally)) => {
            println!("{tally}");
            if tally.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(text) => {
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}
