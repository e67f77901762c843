//! Series held in memory: the source of tests and of the test language.

use std::collections::BTreeMap;

use super::engine::{Interrupt, Limits};
use super::labels::Labels;
use super::matcher::Matcher;
use super::source::{Selection, Series, SeriesSource, SourceError};

/// Series in memory, in the order of their labels.
#[derive(Clone, Debug, Default)]
pub struct MemorySource {
    /// Value and start of each sample by time.
    series: BTreeMap<Labels, BTreeMap<i64, (f64, i64)>>,
    /// Times at which a series holds something else than a float.
    histograms: BTreeMap<Labels, Vec<i64>>,
}

impl MemorySource {
    /// A source without series.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a sample; a sample of the same series and time is replaced.
    pub fn push(&mut self, labels: &Labels, time_ms: i64, value: f64) {
        self.push_started(labels, time_ms, value, 0);
    }

    /// Adds a sample of which it is known when it began to count; see [`Series::starts_ms`].
    pub fn push_started(&mut self, labels: &Labels, time_ms: i64, value: f64, start_ms: i64) {
        self.series.entry(labels.clone()).or_default().insert(time_ms, (value, start_ms));
    }

    /// Notes that a series holds a native histogram, which cannot be read.
    pub fn push_histogram(&mut self, labels: &Labels, time_ms: i64) {
        self.histograms.entry(labels.clone()).or_default().push(time_ms);
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        self.series.clear();
        self.histograms.clear();
    }

    fn check_histograms(&self, selection: &Selection) -> Result<(), SourceError> {
        let asked = selection.first_ms..=selection.last_ms;
        for (labels, times) in &self.histograms {
            if Matcher::all_match(&selection.matchers, labels)
                && times.iter().any(|time| asked.contains(time))
            {
                return Err(SourceError::NativeHistogram { labels: labels.clone() });
            }
        }
        Ok(())
    }
}

impl SeriesSource for MemorySource {
    fn select(
        &self,
        selections: &[Selection],
        limits: &Limits,
        interrupt: &dyn Interrupt,
    ) -> Result<Vec<Vec<Series>>, SourceError> {
        let mut out = Vec::with_capacity(selections.len());
        let (mut series_read, mut samples_read) = (0, 0);
        for selection in selections {
            if let Some(stop) = interrupt.stop() {
                return Err(SourceError::Stopped { stop });
            }
            self.check_histograms(selection)?;
            let mut found = Vec::new();
            for (labels, samples) in &self.series {
                if !Matcher::all_match(&selection.matchers, labels) {
                    continue;
                }
                if selection.first_ms > selection.last_ms {
                    continue;
                }
                let range = samples.range(selection.first_ms..=selection.last_ms);
                let mut one = Series::new(labels.clone(), Vec::new(), Vec::new());
                for (time_ms, (value, start_ms)) in range {
                    one.times.push(*time_ms);
                    one.values.push(*value);
                    one.starts_ms.push(*start_ms);
                }
                if one.times.is_empty() {
                    continue;
                }
                if one.starts_ms.iter().all(|start_ms| *start_ms == 0) {
                    one.starts_ms.clear();
                }
                series_read += 1;
                samples_read += one.times.len();
                if series_read > limits.series_max {
                    return Err(SourceError::Series { series_max: limits.series_max });
                }
                if samples_read > limits.samples_max {
                    return Err(SourceError::Samples { samples_max: limits.samples_max });
                }
                found.push(one);
            }
            out.push(found);
        }
        Ok(out)
    }
}
