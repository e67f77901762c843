//! A Plimsoll server process on a free port with its data in a temporary folder.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::wait::wait_until;

/// How long a server may take until it answers.
const START_MAX: Duration = Duration::from_secs(30);

/// A running server. It is stopped when the value is dropped.
pub struct Server {
    child: Child,
    address: String,
    log: PathBuf,
}

/// A program under test, by the variable that names it.
///
/// # Panics
///
/// When the variable is not set.
pub fn program(variable: &str) -> PathBuf {
    std::env::var_os(variable)
        .map(PathBuf::from)
        .unwrap_or_else(|| panic!("{variable} is not set: run `cargo xtask test e2e`"))
}

/// A loopback port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Server {
    /// Starts `plimsoll ARGUMENTS --data FOLDER --listen 127.0.0.1:PORT` and waits until ready.
    ///
    /// # Panics
    ///
    /// When it does not get ready, with its log.
    pub fn start(data: &Path, arguments: &[&str]) -> Self {
        Self::start_on(data, arguments, free_port())
    }

    /// As [`Server::start`], on a given port.
    ///
    /// # Panics
    ///
    /// When it does not get ready, with its log.
    pub fn start_on(data: &Path, arguments: &[&str], port: u16) -> Self {
        let address = format!("127.0.0.1:{port}");
        std::fs::create_dir_all(data).unwrap();
        let log = data.with_extension(format!("{port}.log"));
        let file = std::fs::File::create(&log).unwrap();
        let child = Command::new(program("PLIMSOLL_TEST_BIN"))
            .args(arguments)
            .arg("--data")
            .arg(data)
            .args(["--listen", &address])
            .stdout(Stdio::from(file.try_clone().unwrap()))
            .stderr(Stdio::from(file))
            .spawn()
            .unwrap();
        let mut server = Self { child, address, log };
        let ready = wait_until(START_MAX, || {
            if server.child.try_wait().unwrap().is_some() {
                return Some(false);
            }
            server.status_code("/readyz").filter(|code| *code == 200).map(|_| true)
        });
        assert_eq!(ready, Some(true), "the server is not ready: {}", server.log());
        server
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it printed so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Status code of a GET; `None` when nobody answers.
    pub fn status_code(&self, path: &str) -> Option<u16> {
        let answer = reqwest::blocking::get(format!("{}{path}", self.url())).ok()?;
        Some(answer.status().as_u16())
    }

    /// GET as JSON.
    ///
    /// # Panics
    ///
    /// When the answer is not a 2xx with JSON.
    pub fn json(&self, path: &str) -> Value {
        let answer = reqwest::blocking::get(format!("{}{path}", self.url())).unwrap();
        let status = answer.status();
        let text = answer.text().unwrap();
        assert!(status.is_success(), "GET {path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("GET {path}: {error}: {text}"))
    }

    /// Kills it as a crash would.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop and waits; whether it ended well.
    pub fn stop(&mut self) -> bool {
        let id = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &id]).status().unwrap();
        let ended = wait_until(Duration::from_secs(20), || self.child.try_wait().unwrap());
        ended.is_some_and(|status| status.success())
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.try_wait().ok().flatten().is_none() && !self.stop() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
