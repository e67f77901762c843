//! Rows as Prometheus remote write 1.0 bodies: Protocol Buffers in a raw snappy block.
//!
//! The message is `WriteRequest { timeseries = 1 }`, `TimeSeries { labels = 1, samples = 2 }`,
//! `Label { name = 1, value = 2 }`, `Sample { double value = 1, int64 timestamp = 2 }`.

use std::collections::BTreeMap;

use super::metric::METRICS;
use super::rows::{Labels, Row};

/// Makes bodies.
#[derive(Debug)]
pub struct RemoteWrite {
    /// Encoded labels per container and metric, made when first needed.
    labels: Vec<Option<Vec<Vec<u8>>>>,
    known: Vec<Labels>,
    message: Vec<u8>,
}

impl RemoteWrite {
    /// For the containers of one fleet.
    pub fn new(known: Vec<Labels>) -> Self {
        Self { labels: vec![None; known.len()], known, message: Vec::new() }
    }

    /// One body with a series per container and metric, each with its samples in order.
    ///
    /// # Errors
    ///
    /// When the message is too large to be compressed.
    pub fn body(&mut self, rows: &[Row]) -> Result<Vec<u8>, String> {
        let mut by_container: BTreeMap<usize, Vec<&Row>> = BTreeMap::new();
        for row in rows {
            by_container.entry(row.container).or_default().push(row);
        }
        self.message.clear();
        let mut samples = Vec::new();
        for (container, rows) in by_container {
            let labels =
                self.labels[container].get_or_insert_with(|| encode_labels(&self.known[container]));
            for (metric, labels) in labels.iter().enumerate() {
                samples.clear();
                for row in &rows {
                    if let Some(value) = row.values[metric] {
                        sample(&mut samples, value as f64, row.time_ms);
                    }
                }
                if !samples.is_empty() {
                    self.message.push(0x0a);
                    varint(&mut self.message, (labels.len() + samples.len()) as u64);
                    self.message.extend_from_slice(labels);
                    self.message.extend_from_slice(&samples);
                }
            }
        }
        snap::raw::Encoder::new().compress_vec(&self.message).map_err(|error| error.to_string())
    }
}

fn encode_labels(labels: &Labels) -> Vec<Vec<u8>> {
    let of = |metric: &super::metric::Metric| {
        let mut out = Vec::new();
        label(&mut out, "__name__", &metric.peer_name());
        for (name, value) in &labels.pairs {
            label(&mut out, name, value);
        }
        out
    };
    METRICS.iter().map(of).collect()
}

fn label(out: &mut Vec<u8>, name: &str, value: &str) {
    let mut body = Vec::new();
    text(&mut body, 0x0a, name);
    text(&mut body, 0x12, value);
    out.push(0x0a);
    varint(out, body.len() as u64);
    out.extend(body);
}

fn text(out: &mut Vec<u8>, tag: u8, value: &str) {
    out.push(tag);
    varint(out, value.len() as u64);
    out.extend_from_slice(value.as_bytes());
}

fn sample(out: &mut Vec<u8>, value: f64, time_ms: i64) {
    let start = out.len();
    out.extend([0x12, 0, 0x09]);
    out.extend(value.to_le_bytes());
    out.push(0x10);
    varint(out, time_ms.cast_unsigned());
    // A value of 8 and a time of at most 10 bytes: the length fits one byte.
    out[start + 1] = (out.len() - start - 2) as u8;
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number > 127 {
        out.push((number & 127) as u8 | 128);
        number >>= 7;
    }
    out.push(number as u8);
}
