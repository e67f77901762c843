//! The `plimsoll` program: builds the parts, puts them together and runs them.
//!
//! Nothing but this program makes a store, a server or a collector.
//! Not here: what the parts do (the other crates).

mod care;
mod cli;
mod keep;
mod live;
mod local;
mod logging;
mod settings;
mod simulate;
mod terminal;
mod up;

use std::process::ExitCode;

use clap::Parser as _;
use plimsoll_model::chain;

use cli::{Cli, Command, ConfigCommand};
use settings::Settings;
use terminal::Terminal;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Why the program ends with an error.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Settings(#[from] settings::SettingsError),
    #[error(transparent)]
    Up(#[from] up::UpError),
    #[error(transparent)]
    Care(#[from] care::CareError),
    #[error(transparent)]
    Keep(#[from] keep::KeepError),
    #[error("cannot start the threads of the program")]
    Runtime { source: std::io::Error },
    #[error("cannot write to the terminal")]
    Terminal { source: std::io::Error },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut terminal = Terminal::new();
    match run(&cli, &mut terminal) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nothing is left to tell it to when this fails too.
            let _ = terminal.complain(&format!("plimsoll: {}", chain(&failure)));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli, terminal: &mut Terminal) -> Result<(), Failure> {
    let told = |source| Failure::Terminal { source };
    match &cli.command {
        Command::Version => {
            let line = concat!("plimsoll ", env!("CARGO_PKG_VERSION"));
            terminal.line(line).map_err(told)
        }
        Command::Config { command } => {
            let settings = Settings::load(cli.config.as_deref(), std::env::vars(), &[])?;
            match command {
                ConfigCommand::Show => terminal.text(&settings.show()).map_err(told),
                ConfigCommand::Check => terminal.line("the configuration is fine").map_err(told),
            }
        }
        Command::Retention { server, dry_run: _ } => Ok(keep::dry_run(&server.server, terminal)?),
        Command::Delete { server, selectors, from, to } => {
            Ok(keep::delete(&server.server, selectors, from, to, terminal)?)
        }
        Command::Verify(folder) => Ok(care::verify(&folder.data, terminal)?),
        Command::Backup { data, target } => Ok(care::backup(&data.data, target, terminal)?),
        Command::Restore { backup, data } => Ok(care::restore(backup, &data.data, terminal)?),
        Command::Up(flags) => {
            let overrides = flags.overrides();
            let settings = Settings::load(cli.config.as_deref(), std::env::vars(), &overrides)?;
            up(&settings, flags.plan(), terminal)
        }
        Command::Serve(flags) => {
            let overrides = flags.overrides();
            let settings = Settings::load(cli.config.as_deref(), std::env::vars(), &overrides)?;
            up(&settings, up::Plan { collect: up::Collect::Nothing }, terminal)
        }
    }
}

fn up(settings: &Settings, plan: up::Plan, terminal: &mut Terminal) -> Result<(), Failure> {
    logging::start(settings);
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Some(workers) = settings.optional_int("server", "workers") {
        runtime.worker_threads(usize::try_from(workers).unwrap_or(1));
    }
    let runtime = runtime.enable_all().build().map_err(|source| Failure::Runtime { source })?;
    Ok(runtime.block_on(up::run(settings, plan, terminal))?)
}
