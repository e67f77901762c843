//! Gets the programs that are compared: Debian packages unpacked into a folder, Python packages
//! in a virtual environment, Plimsoll from this workspace. Nothing is installed on the machine
//! and no service is started.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::scenario;

/// Where each program is, or why it is not to be had.
#[derive(Debug, Clone)]
pub struct Tools {
    /// The release binary of Plimsoll.
    pub plimsoll: Result<PathBuf, String>,
    /// `PROMETHEUS_BIN`, else Debian's.
    pub prometheus: Result<PathBuf, String>,
    /// `VICTORIA_METRICS_BIN`, else Debian's.
    pub victoria: Result<PathBuf, String>,
    /// A Python that has `chdb`, `duckdb` and `pyarrow`.
    pub python: Result<PathBuf, String>,
}

/// The Python packages.
const PYTHON_PACKAGES: [&str; 3] = ["chdb", "duckdb", "pyarrow"];

/// Gets all of them; `target` is the build folder of the workspace.
pub fn tools(target: &Path) -> Tools {
    let peers = target.join("bench-peers");
    Tools {
        plimsoll: given("PLIMSOLL_BIN").unwrap_or_else(plimsoll),
        prometheus: given("PROMETHEUS_BIN").unwrap_or_else(|| debian("prometheus", &peers)),
        victoria: given("VICTORIA_METRICS_BIN")
            .unwrap_or_else(|| debian("victoria-metrics", &peers)),
        python: python(&target.join("bench-python")),
    }
}

/// What each program says its version is.
pub fn versions(tools: &Tools) -> Vec<(&'static str, String)> {
    let said = |program: &Result<PathBuf, String>, arguments: &[&str]| match program {
        Err(error) => error.clone(),
        Ok(program) => match Command::new(program).args(arguments).output() {
            Err(error) => error.to_string(),
            Ok(output) => {
                let all = [output.stdout, output.stderr].concat();
                let text = String::from_utf8_lossy(&all).into_owned();
                let line = text.lines().find(|line| !line.trim().is_empty());
                line.unwrap_or_default().trim().to_owned()
            }
        },
    };
    let ask = "import chdb, duckdb, pyarrow; print('clickhouse', chdb.engine_version, 'in chdb', \
               chdb.__version__, 'duckdb', duckdb.__version__, 'pyarrow', pyarrow.__version__)";
    vec![
        ("plimsoll", said(&tools.plimsoll, &["--version"])),
        ("prometheus", said(&tools.prometheus, &["--version"])),
        ("victoria-metrics", said(&tools.victoria, &["-version"])),
        ("python", said(&tools.python, &["-c", ask])),
    ]
}

fn given(variable: &str) -> Option<Result<PathBuf, String>> {
    let path = PathBuf::from(std::env::var_os(variable)?);
    Some(if path.is_file() {
        Ok(path)
    } else {
        Err(format!("{variable} is {}, which is no file", path.display()))
    })
}

/// Builds the server and finds it beside this program.
fn plimsoll() -> Result<PathBuf, String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let folder = this.parent().ok_or("this program has no folder")?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--release", "-p", "plimsoll"]).current_dir(scenario::folder());
    if let Some(target) = folder.parent() {
        cargo.env("CARGO_TARGET_DIR", target);
    }
    run(&mut cargo)?;
    Ok(folder.join("plimsoll"))
}

/// Downloads a Debian package and unpacks it.
fn debian(package: &str, peers: &Path) -> Result<PathBuf, String> {
    let folder = peers.join(package);
    let program = folder.join("usr/bin").join(package);
    if program.is_file() {
        return Ok(program);
    }
    let problem = |error: std::io::Error| format!("cannot use {}: {error}", folder.display());
    std::fs::create_dir_all(&folder).map_err(problem)?;
    run(Command::new("apt-get").args(["download", package]).current_dir(&folder))?;
    let found = std::fs::read_dir(&folder).map_err(problem)?.flatten().map(|entry| entry.path());
    let file = found.into_iter().find(|path| path.extension().is_some_and(|e| e == "deb"));
    let file = file.ok_or_else(|| format!("apt-get left no package of {package}"))?;
    run(Command::new("dpkg").arg("-x").arg(file).arg(&folder))?;
    Ok(program)
}

/// Makes a virtual environment with the Python packages.
fn python(folder: &Path) -> Result<PathBuf, String> {
    let program = folder.join("bin/python");
    let import = format!("import {}", PYTHON_PACKAGES.join(", "));
    let works = || run(Command::new(&program).args(["-c", &import])).is_ok();
    if program.exists() && works() {
        return Ok(program);
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
    run(Command::new(&program).args(["-m", "pip", "install", "-q"]).args(PYTHON_PACKAGES))?;
    if works() { Ok(program) } else { Err("the Python packages cannot be imported".to_owned()) }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("cannot run {command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().last().unwrap_or_default();
    Err(format!("{command:?} failed: {last}"))
}
