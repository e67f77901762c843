//! Rows as wide influx lines: all values of a container at one moment in one line.

use std::fmt::Write;

use super::metric::METRICS;
use super::rows::{Labels, Row};

/// What the lines are called; with `_` and a field's name it makes the name of a series.
pub const MEASUREMENT: &str = "container";

/// Makes lines.
#[derive(Debug)]
pub struct Lines {
    /// Measurement and tags of each container.
    heads: Vec<String>,
}

impl Lines {
    /// For the containers of one fleet.
    pub fn new(labels: &[Labels]) -> Self {
        let head = |labels: &Labels| {
            let tag = |(name, value): &(&str, String)| format!(",{name}={}", escaped(value));
            format!("{MEASUREMENT}{} ", labels.pairs.iter().map(tag).collect::<String>())
        };
        Self { heads: labels.iter().map(head).collect() }
    }

    /// Adds the line of a row; none for a row without values.
    pub fn add(&self, row: &Row, out: &mut String) {
        if row.values.iter().all(Option::is_none) {
            return;
        }
        out.push_str(&self.heads[row.container]);
        let mut comma = "";
        for (metric, value) in METRICS.iter().zip(row.values) {
            if let Some(value) = value {
                // Writing to a text does not fail.
                let _ = write!(out, "{comma}{}={value}i", metric.field);
                comma = ",";
            }
        }
        let _ = writeln!(out, " {}", row.time_ms);
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace(' ', "\\ ").replace(',', "\\,").replace('=', "\\=")
}
