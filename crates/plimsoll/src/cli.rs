//! What can be said on the command line.
//!
//! Not here: what it means together with file and environment (`settings`).

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::settings::Override;
use crate::up::{Collect, Plan};

/// Keeps what every container, service and node used.
#[derive(Debug, Parser)]
#[command(name = "plimsoll", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// File of settings; without it every setting has its default.
    #[arg(long, global = true, value_name = "FILE", env = "PLIMSOLL_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Store, answer and collect from this machine, all in one process.
    Up(UpFlags),
    /// Store and answer; agents collect.
    Serve(ServeFlags),
    /// Look at the settings.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Say what retention would take now.
    Retention {
        #[command(flatten)]
        server: ServerFlag,
        /// Only say what would go; nothing is done. The server does it by itself in time.
        #[arg(long, required = true)]
        dry_run: bool,
    },
    /// Delete a range of time of what selectors choose.
    Delete {
        #[command(flatten)]
        server: ServerFlag,
        /// Which rows: `{stack="batch"}`.
        #[arg(required = true, value_name = "SELECTOR")]
        selectors: Vec<String>,
        /// Start of the range: RFC 3339, Unix seconds, or relative such as `-2d`.
        #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
        from: String,
        /// End of the range, exclusive.
        #[arg(long, value_name = "TIME", default_value = "now", allow_hyphen_values = true)]
        to: String,
    },
    /// Check every byte of a data folder; a server may be running on it.
    Verify(DataFlag),
    /// Copy a data folder at one moment; a server may be running on it.
    Backup {
        #[command(flatten)]
        data: DataFlag,
        /// Folder of the backup: absent, empty, or an earlier backup to go on from.
        #[arg(value_name = "DIR")]
        target: PathBuf,
    },
    /// Make a data folder from a backup, whole or not at all.
    Restore {
        /// Folder of the backup.
        #[arg(value_name = "DIR")]
        backup: PathBuf,
        #[command(flatten)]
        data: DataFlag,
    },
    /// Say which version this is.
    Version,
}

/// Which data folder is meant.
#[derive(Debug, Args)]
pub(crate) struct DataFlag {
    /// Folder of all data.
    #[arg(long, value_name = "DIR", default_value = "plimsoll-data")]
    pub(crate) data: PathBuf,
}

/// Which server is asked.
#[derive(Debug, Args)]
pub(crate) struct ServerFlag {
    /// Address of a running server.
    #[arg(long, value_name = "URL", env = "PLIMSOLL_URL", default_value = "http://127.0.0.1:7117")]
    pub(crate) server: String,
}

/// What to do with the settings.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print every setting, and where it comes from.
    Show,
    /// Say what is wrong with the settings.
    Check,
}

/// Where to listen and where to keep data.
#[derive(Debug, Args)]
pub(crate) struct ServeFlags {
    /// Address and port to listen on [default: 127.0.0.1:7117].
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Folder of all data [default: plimsoll-data].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Listen on other than loopback addresses without any check of who asks.
    #[arg(long)]
    insecure_no_auth: bool,
}

/// Flags of `up`.
#[derive(Debug, Args)]
pub(crate) struct UpFlags {
    #[command(flatten)]
    serve: ServeFlags,
    /// Seconds between two samples, 1 to 300 [default: 10].
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    interval: Option<i64>,
    /// Where samples come from [default: auto].
    #[arg(long, value_enum)]
    source: Option<Source>,
    /// Address of the Docker Engine, such as `unix:///var/run/docker.sock`.
    #[arg(long, value_name = "URL")]
    docker_host: Option<String>,
    /// Name of the fleet [default: default].
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// Show a made-up fleet instead of this machine: 3 nodes, 12 services, 40 containers.
    #[arg(long, conflicts_with_all = ["docker_host", "source"])]
    simulate: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Source {
    Auto,
    Cgroup,
    Engine,
}

impl Source {
    fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Cgroup => "cgroup",
            Self::Engine => "engine",
        }
    }
}

/// `10`, `10s`, `1m`.
fn seconds(text: &str) -> Result<i64, String> {
    let allowed = || format!("found {text:?}, allowed is a duration from 1s to 300s");
    let duration_ms = plimsoll_query::time::parse_duration_ms(text).map_err(|_| allowed())?;
    let whole = duration_ms % 1_000 == 0 && (1_000..=300_000).contains(&duration_ms);
    if whole { Ok(duration_ms / 1_000) } else { Err(allowed()) }
}

impl ServeFlags {
    /// The settings these flags stand for.
    pub(crate) fn overrides(&self) -> Vec<Override> {
        let mut overrides = Vec::new();
        let listen = self.listen.as_ref();
        overrides.extend(listen.map(|it| Override::new("--listen", "server", "listen", it)));
        let data = self.data.as_ref().map(|path| path.to_string_lossy().into_owned());
        overrides.extend(data.map(|it| Override::new("--data", "server", "data", it)));
        if self.insecure_no_auth {
            overrides.push(Override::new("--insecure-no-auth", "auth", "insecure", "true"));
        }
        overrides
    }
}

impl UpFlags {
    /// The settings these flags stand for.
    pub(crate) fn overrides(&self) -> Vec<Override> {
        let mut overrides = self.serve.overrides();
        let mut add = |flag, section, key, value: Option<String>| {
            overrides.extend(value.map(|value| Override::new(flag, section, key, value)));
        };
        let interval = self.interval.map(|seconds| seconds.to_string());
        add("--interval", "collect", "interval_s", interval);
        add("--source", "collect", "source", self.source.map(|source| source.name().to_owned()));
        add("--docker-host", "collect", "docker_host", self.docker_host.clone());
        add("--cluster", "agent", "cluster", self.cluster.clone());
        overrides
    }

    /// What to collect.
    pub(crate) fn plan(&self) -> Plan {
        Plan { collect: if self.simulate { Collect::Simulated } else { Collect::Machine } }
    }
}
