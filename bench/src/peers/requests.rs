//! Files of prepared requests, and sending them from several connections.
//!
//! A file is a row of requests: a little-endian `u32` length, a `u32` lane, and the body. Requests
//! of one lane must arrive in their order; lanes do not wait for each other.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::sync::mpsc;

/// Connections a file is sent from.
pub const CONNECTIONS: usize = 4;
/// Requests that wait per connection.
const WAITING_MAX: usize = 4;

/// Writes a file of requests.
#[derive(Debug)]
pub struct RequestWriter {
    out: BufWriter<File>,
}

impl RequestWriter {
    /// Creates the file.
    ///
    /// # Errors
    ///
    /// A sentence that names the file.
    pub fn create(path: &Path) -> Result<Self, String> {
        let file = File::create(path)
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        Ok(Self { out: BufWriter::with_capacity(1 << 20, file) })
    }

    /// Adds a request.
    ///
    /// # Errors
    ///
    /// What the operating system said.
    pub fn push(&mut self, lane: usize, body: &[u8]) -> Result<(), String> {
        let length = u32::try_from(body.len()).map_err(|error| error.to_string())?;
        let lane = u32::try_from(lane).map_err(|error| error.to_string())?;
        self.out
            .write_all(&length.to_le_bytes())
            .and_then(|()| self.out.write_all(&lane.to_le_bytes()))
            .and_then(|()| self.out.write_all(body))
            .map_err(|error| format!("cannot write requests: {error}"))
    }

    /// Ends the file.
    ///
    /// # Errors
    ///
    /// What the operating system said.
    pub fn finish(mut self) -> Result<(), String> {
        self.out.flush().map_err(|error| format!("cannot write requests: {error}"))
    }
}

/// The requests of a file: lane and body.
#[derive(Debug)]
pub struct RequestReader {
    input: BufReader<File>,
}

impl RequestReader {
    /// Opens a file.
    ///
    /// # Errors
    ///
    /// A sentence that names the file.
    pub fn open(path: &Path) -> Result<Self, String> {
        let file =
            File::open(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        Ok(Self { input: BufReader::with_capacity(1 << 20, file) })
    }
}

impl Iterator for RequestReader {
    type Item = (usize, Vec<u8>);

    fn next(&mut self) -> Option<Self::Item> {
        let mut number = [0; 4];
        self.input.read_exact(&mut number).ok()?;
        let length = u32::from_le_bytes(number) as usize;
        self.input.read_exact(&mut number).ok()?;
        let lane = u32::from_le_bytes(number) as usize;
        let mut body = vec![0; length];
        self.input.read_exact(&mut body).ok()?;
        Some((lane, body))
    }
}

/// Sends all requests of a file with `send`, each lane in order.
///
/// # Errors
///
/// The first error of `send`.
pub fn send_all(
    path: &Path,
    send: impl Fn(Vec<u8>) -> Result<(), String> + Sync,
) -> Result<(), String> {
    let reader = RequestReader::open(path)?;
    std::thread::scope(|scope| {
        let mut lanes = Vec::new();
        let mut threads = Vec::new();
        for _ in 0..CONNECTIONS {
            let (sender, receiver) = mpsc::sync_channel::<Vec<u8>>(WAITING_MAX);
            lanes.push(sender);
            threads.push(scope.spawn(|| receiver.into_iter().try_for_each(&send)));
        }
        for (lane, body) in reader {
            // A connection that gave up says why when it is joined.
            if lanes[lane % CONNECTIONS].send(body).is_err() {
                break;
            }
        }
        drop(lanes);
        for thread in threads {
            thread.join().map_err(|_| "a sending thread failed".to_owned())??;
        }
        Ok(())
    })
}
