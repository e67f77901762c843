//! Speed and size of Plimsoll and of others, side by side in one run.
//!
//! `peers [--quick] [--systems plimsoll,prometheus,...]`; the last line is
//! `budgets: N met, M missed`. `PLIMSOLL_BIN`, `PROMETHEUS_BIN` and `VICTORIA_METRICS_BIN` name
//! other binaries than those it gets by itself.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use plimsoll_bench::peers::run::{self, Plan};
use plimsoll_bench::peers::system::Kind;
use plimsoll_bench::peers::table;
use plimsoll_bench::{result, scenario};

#[derive(Parser)]
struct Arguments {
    /// Small enough for 20 minutes on 2 cores.
    #[arg(long)]
    quick: bool,
    /// Only these systems, by name; what is left out is missing in the table.
    #[arg(long, value_delimiter = ',')]
    systems: Vec<String>,
}

fn main() -> ExitCode {
    match peers(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}

fn peers(arguments: &Arguments) -> Result<(), String> {
    let mut plan = if arguments.quick { Plan::quick() } else { Plan::whole() };
    if !arguments.systems.is_empty() {
        let known = |name: &String| {
            let found = Kind::ALL.into_iter().find(|kind| kind.name() == name);
            let names: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
            found.ok_or_else(|| format!("no system {name}, there are {}", names.join(", ")))
        };
        plan.systems = arguments.systems.iter().map(known).collect::<Result<_, _>>()?;
    }
    let report = run::run(&plan, &target())?;
    let value = serde_json::to_value(&report).map_err(|error| error.to_string())?;
    // A run with some of them is no result to be quoted.
    if arguments.systems.is_empty() {
        result::write("peers", &value)?;
    }
    print!("{}", table::print(&report));
    Ok(())
}

/// The build folder this program lies in, else that of the workspace.
fn target() -> PathBuf {
    let this = std::env::current_exe().ok();
    let found = this.as_deref().and_then(Path::parent).and_then(Path::parent);
    found.map_or_else(|| scenario::folder().join("../target"), Path::to_path_buf)
}
