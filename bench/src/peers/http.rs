//! One HTTP client for all servers, so that none is favoured.

use std::time::{Duration, Instant};

use reqwest::blocking::{Client, Response};

/// How often a server that is busy is asked again.
const TRIES_MAX: usize = 2_000;

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The system has no such path or cannot hold the data.
    Missing,
    /// It has, and failed.
    Failed(String),
}

/// Talks to one server.
#[derive(Debug, Clone)]
pub struct Http {
    client: Client,
    base: String,
}

impl Http {
    /// For a port of the loopback address.
    ///
    /// # Errors
    ///
    /// When the client cannot be set up.
    pub fn new(port: u16) -> Result<Self, String> {
        let client = Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(600))
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { client, base: format!("http://127.0.0.1:{port}") })
    }

    /// Whether a path answers with success.
    pub fn is_ready(&self, path: &str) -> bool {
        let answer = self.client.get(format!("{}{path}", self.base)).send();
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// The body of a path.
    ///
    /// # Errors
    ///
    /// [`Refusal::Missing`] for 404, else what the server said.
    pub fn get(&self, path: &str, form: &[(&str, String)]) -> Result<String, Refusal> {
        let failed = |error: reqwest::Error| Refusal::Failed(error.to_string());
        let request = self.client.get(format!("{}{path}", self.base)).query(form);
        let answer = request.send().map_err(failed)?;
        let status = answer.status();
        let text = answer.text().map_err(failed)?;
        match status.as_u16() {
            200..300 => Ok(text),
            404 => Err(Refusal::Missing),
            _ => Err(Refusal::Failed(format!("{status}: {}", first_line(&text)))),
        }
    }

    /// Posts a body; a server that is busy is asked again until it takes it.
    ///
    /// # Errors
    ///
    /// What the server said when it refuses.
    pub fn post(
        &self,
        path: &str,
        headers: &[(&'static str, &'static str)],
        body: Vec<u8>,
    ) -> Result<String, String> {
        let body = bytes::Bytes::from(body);
        for _ in 0..TRIES_MAX {
            let mut request = self.client.post(format!("{}{path}", self.base)).body(body.clone());
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let answer: Response = request.send().map_err(|error| format!("{path}: {error}"))?;
            let status = answer.status();
            let text = answer.text().map_err(|error| error.to_string())?;
            match status.as_u16() {
                200..300 => return Ok(text),
                429 | 503 => std::thread::sleep(Duration::from_millis(20)),
                _ => return Err(format!("{path}: {status}: {}", first_line(&text))),
            }
        }
        Err(format!("{path}: the server stayed busy"))
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(200).collect()
}

/// Does `work` and says how many milliseconds passed.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed().as_secs_f64() * 1e3)
}
