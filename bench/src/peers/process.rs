//! A measured process: its start, what it costs, its end.
//!
//! Keeps true: a process that was started here is ended here, by its id, at the latest when its
//! [`Process`] is dropped.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long a process may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks at a process.
const LOOK: Duration = Duration::from_millis(50);

/// A running process.
#[derive(Debug)]
pub struct Process {
    child: Child,
    peak_memory_bytes: u64,
}

/// Nanoseconds on a CPU of each thread.
#[derive(Debug, Clone, Default)]
pub struct Threads(HashMap<u32, u64>);

impl Process {
    /// Starts a command whose output goes to a file; standard input and output may be taken by
    /// the caller when `piped`.
    ///
    /// # Errors
    ///
    /// A sentence that names the command.
    pub fn start(command: &mut Command, log: &Path, piped: bool) -> Result<Self, String> {
        let problem = |error: std::io::Error| format!("cannot start {command:?}: {error}");
        let file = File::create(log).map_err(problem)?;
        let copy = file.try_clone().map_err(problem)?;
        let (input, output) = if piped {
            (Stdio::piped(), Stdio::piped())
        } else {
            (Stdio::null(), Stdio::from(copy))
        };
        let started = command.stdin(input).stdout(output).stderr(Stdio::from(file)).spawn();
        let child = started.map_err(|error| format!("cannot start {command:?}: {error}"))?;
        Ok(Self { child, peak_memory_bytes: 0 })
    }

    /// The child, for its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Whether it ended by itself.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until `ready` says so.
    ///
    /// # Errors
    ///
    /// When the process ends or takes too long.
    pub fn wait_until(&mut self, mut ready: impl FnMut() -> bool) -> Result<(), String> {
        let start = Instant::now();
        while !ready() {
            if self.has_ended() {
                return Err("the process ended at once".to_owned());
            }
            if start.elapsed() > PATIENCE {
                return Err("the process did not get ready".to_owned());
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Waits until it has used next to no CPU for so many seconds.
    pub fn wait_idle(&mut self, seconds: u32) {
        let start = Instant::now();
        let mut quiet = 0;
        while quiet < seconds && start.elapsed() < PATIENCE * 5 {
            let before_s = self.cpu_s();
            std::thread::sleep(Duration::from_secs(1));
            quiet = if self.cpu_s() - before_s < 0.06 { quiet + 1 } else { 0 };
        }
    }

    /// CPU seconds (user + system) so far, those of its ended children included.
    pub fn cpu_s(&self) -> f64 {
        stat_seconds(&format!("/proc/{}/stat", self.child.id()), [11, 12, 13, 14])
    }

    /// Peak resident memory so far, in bytes.
    pub fn peak_memory_bytes(&mut self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(path).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        self.peak_memory_bytes = self.peak_memory_bytes.max(kib.unwrap_or(0) * 1024);
        self.peak_memory_bytes
    }

    /// Counts the peak of an earlier process of the same system as this one's.
    pub fn remember_peak(&mut self, bytes: u64) {
        self.peak_memory_bytes = self.peak_memory_bytes.max(bytes);
    }

    /// CPU time of each thread so far, for [`Process::cpu_ms_since`].
    pub fn cpu_before(&self) -> Threads {
        let folder = format!("/proc/{}/task", self.child.id());
        let Ok(entries) = fs::read_dir(folder) else { return Threads::default() };
        let time = |entry: fs::DirEntry| {
            let thread = entry.file_name().to_str()?.parse().ok()?;
            let text = fs::read_to_string(entry.path().join("schedstat")).ok()?;
            Some((thread, text.split_whitespace().next()?.parse().ok()?))
        };
        Threads(entries.flatten().filter_map(time).collect())
    }

    /// CPU milliseconds of this process since then, exact to the nanosecond; a thread that
    /// ended meanwhile is not counted.
    pub fn cpu_ms_since(&self, before: &Threads) -> f64 {
        let after = self.cpu_before();
        let grew = |(thread, now): (&u32, &u64)| now - before.0.get(thread).unwrap_or(&0).min(now);
        after.0.iter().map(grew).sum::<u64>() as f64 / 1e6
    }

    /// Asks it to end and waits; gives all CPU seconds of its life.
    ///
    /// # Errors
    ///
    /// When it did not end in time and was killed.
    pub fn end(&mut self) -> Result<f64, String> {
        let before_s = stat_seconds("/proc/self/stat", [13, 14]);
        if let Some(pid) = Pid::from_raw(self.child.id().cast_signed())
            && !self.has_ended()
        {
            // It may end by itself meanwhile.
            let _ = kill_process(pid, Signal::TERM);
        }
        let start = Instant::now();
        while !self.has_ended() {
            self.peak_memory_bytes();
            if start.elapsed() > PATIENCE {
                self.kill();
                return Err("a process did not end when asked".to_owned());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(stat_seconds("/proc/self/stat", [13, 14]) - before_s)
    }

    fn kill(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.has_ended() {
            self.kill();
        }
    }
}

/// Sums fields of a `stat` file, counted after the name, in seconds.
fn stat_seconds<const N: usize>(path: &str, fields: [usize; N]) -> f64 {
    let stat = fs::read_to_string(path).unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let words: Vec<&str> = after_name.split_whitespace().collect();
    let field = |at: usize| words.get(at).and_then(|n| n.parse::<f64>().ok()).unwrap_or(0.0);
    let ticks: f64 = fields.into_iter().map(field).sum();
    ticks / rustix::param::clock_ticks_per_second() as f64
}

/// A free port of the loopback address.
///
/// # Errors
///
/// What the operating system said.
pub fn free_port() -> Result<u16, String> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    listener.local_addr().map(|address| address.port()).map_err(|error| error.to_string())
}
