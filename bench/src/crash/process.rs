//! A running writer process, as the rigs see it: what it acknowledged, and how it is killed.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// What a writer is told.
#[derive(Debug, Clone, Default)]
pub struct Orders {
    /// Number of its first frame.
    pub first: u64,
    /// Frames that are kept already and are sent once more.
    pub again: Vec<u64>,
    /// Space the store leaves free, in bytes.
    pub disk_free_bytes_min: u64,
    /// Bugs that are planted in the writer, by name; needs the feature `sabotage`.
    pub sabotage: String,
}

/// What a writer said so far.
#[derive(Debug, Clone, Default)]
pub struct Heard {
    /// Frames it acknowledged.
    pub acked: BTreeSet<u64>,
    /// Frames sent again that it kept a second time.
    pub twice: u64,
    /// Times the store refused a frame for the moment.
    pub refusals: u64,
}

/// A running writer. It is killed when the value is dropped.
#[derive(Debug)]
pub struct Writer {
    child: Child,
    heard: Arc<Mutex<Heard>>,
    reader: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts this program as a writer and waits until its store is open.
    ///
    /// # Errors
    ///
    /// A sentence that says what it printed instead.
    pub fn start(folder: &Path, orders: &Orders) -> Result<Self, String> {
        let this = std::env::current_exe().map_err(|error| error.to_string())?;
        let again: Vec<String> = orders.again.iter().map(u64::to_string).collect();
        let mut child = Command::new(this)
            .arg("write")
            .arg(folder)
            .arg(orders.first.to_string())
            .arg(format!("--again={}", again.join(",")))
            .arg(format!("--disk-free-min={}", orders.disk_free_bytes_min))
            .env("PLIMSOLL_SABOTAGE", &orders.sabotage)
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start the writer: {error}"))?;
        let output = child.stdout.take().ok_or("the writer has no output")?;
        let mut lines = BufReader::new(output).lines();
        match lines.next() {
            Some(Ok(line)) if line == "ready" => {}
            other => {
                let _ = child.wait();
                return Err(format!("the writer did not open its store: {other:?}"));
            }
        }
        let heard = Arc::new(Mutex::new(Heard::default()));
        let noted = Arc::clone(&heard);
        let reader = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut heard = noted.lock().unwrap_or_else(PoisonError::into_inner);
                match line.as_str() {
                    "refused" => heard.refusals += 1,
                    "twice" => heard.twice += 1,
                    number => heard.acked.extend(number.parse::<u64>().ok()),
                }
            }
        });
        Ok(Self { child, heard, reader: Some(reader) })
    }

    /// What it said until now.
    pub fn heard(&self) -> Heard {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Number of frames acknowledged until now, without copying them.
    pub fn acked(&self) -> usize {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).acked.len()
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|ended| ended.is_none())
    }

    /// `kill -9`; gives all that it said before.
    ///
    /// # Errors
    ///
    /// A sentence; also when it had ended by itself.
    pub fn kill(mut self) -> Result<Heard, String> {
        if !self.is_alive() {
            return Err("the writer ended by itself".to_owned());
        }
        self.end()?;
        Ok(self.heard())
    }

    fn end(&mut self) -> Result<(), String> {
        self.child.kill().map_err(|error| format!("cannot kill the writer: {error}"))?;
        self.child.wait().map_err(|error| format!("cannot wait for the writer: {error}"))?;
        match self.reader.take().map(JoinHandle::join) {
            Some(Err(_)) => Err("the reader of the writer's output failed".to_owned()),
            _ => Ok(()),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if self.reader.is_some() {
            let _ = self.end();
        }
    }
}
