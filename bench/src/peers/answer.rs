//! Answers in one form, so that those of different systems can be compared.

use std::collections::BTreeMap;

use serde_json::Value;

use super::metric::METRICS;
use super::question::{Key, Names, Question};

/// Values by group and Unix second; texts, and the last values of all metrics, are at second 0.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer(pub BTreeMap<String, BTreeMap<i64, f64>>);

/// How two values may differ and still agree, as a share.
const TOLERANCE: f64 = 0.02;
/// Share of values that must agree: windows at the edges of a gap or a restart differ by design.
const AGREE_MIN: f64 = 0.9;

impl Answer {
    /// From what a PromQL server answered.
    ///
    /// # Errors
    ///
    /// What is not as it should be.
    pub fn of_promql(question: &Question, names: Names, body: &str) -> Result<Self, String> {
        let whole: Value = serde_json::from_str(body).map_err(|error| error.to_string())?;
        if whole["status"] != "success" {
            return Err(format!("the answer is no success: {}", whole["error"]));
        }
        let mut answer = Self::default();
        if let Some(texts) = whole["data"].as_array() {
            for text in texts.iter().filter_map(Value::as_str) {
                answer.add(text.to_owned(), 0, 0.0);
            }
            return Ok(answer);
        }
        let result = whole["data"]["result"].as_array().ok_or("no result")?;
        for series in result {
            let Some((key, scale)) = key_of(question, names, &series["metric"]) else { continue };
            let one = series["value"].as_array().map(|_| &series["value"]);
            let many = series["values"].as_array().into_iter().flatten();
            for point in one.into_iter().chain(many) {
                let time_s = point[0].as_f64().ok_or("a point has no time")?.round() as i64;
                let value = point[1].as_str().and_then(|text| text.parse::<f64>().ok());
                let time_s = if question.key == Key::MetricAndContainer { 0 } else { time_s };
                answer.add(key.clone(), time_s, value.ok_or("a point has no value")? * scale);
            }
        }
        Ok(answer)
    }

    /// From rows of a database.
    pub fn of_rows(question: &Question, rows: &[Value]) -> Self {
        let mut answer = Self::default();
        for row in rows {
            let text = row[0].as_str().unwrap_or_default();
            match question.key {
                Key::Text => answer.add(text.to_owned(), 0, 0.0),
                Key::Label(_) => {
                    if let (Some(time), Some(value)) = (number(&row[1]), number(&row[2])) {
                        answer.add(text.to_owned(), time as i64, value);
                    }
                }
                Key::MetricAndContainer => {
                    for (at, metric) in METRICS.iter().enumerate() {
                        if let Some(value) = number(&row[at + 1]) {
                            answer.add(format!("{} {text}", metric.field), 0, value);
                        }
                    }
                }
            }
        }
        answer
    }

    fn add(&mut self, key: String, time_s: i64, value: f64) {
        self.0.entry(key).or_default().insert(time_s, value);
    }

    /// How many values there are.
    pub fn values(&self) -> usize {
        self.0.values().map(BTreeMap::len).sum()
    }

    /// None when `self` agrees with `other`, else how it differs.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let missing = other.0.keys().filter(|key| !self.0.contains_key(*key)).count();
        let extra = self.0.keys().filter(|key| !other.0.contains_key(*key)).count();
        if missing + extra > 0 {
            return Some(format!("{missing} groups missing, {extra} more"));
        }
        let (mut all, mut near, mut worst) = (0_usize, 0_usize, 0.0_f64);
        for (key, values) in &other.0 {
            for (time_s, value) in values {
                all += 1;
                let mine = self.0.get(key).and_then(|values| values.get(time_s));
                let off = mine.map_or(f64::INFINITY, |mine| distance(*mine, *value));
                near += usize::from(off <= TOLERANCE);
                worst = worst.max(off);
            }
        }
        (all > 0 && (near as f64) < all as f64 * AGREE_MIN).then(|| {
            format!("{} of {all} values are off by more than 2 %, worst {worst:.2}", all - near)
        })
    }
}

fn distance(a: f64, b: f64) -> f64 {
    let size = a.abs().max(b.abs());
    if size < 1e-6 { 0.0 } else { (a - b).abs() / size }
}

/// A number, also one that is written as text.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

/// The group of a series and what its values are multiplied with to get the unit that was fed.
fn key_of(question: &Question, names: Names, labels: &Value) -> Option<(String, f64)> {
    let text = |name: &str| labels[name].as_str().unwrap_or_default().to_owned();
    let scale = |metric: &super::metric::Metric| match names {
        Names::Plimsoll => metric.divide_by,
        Names::Peers => 1.0,
    };
    match question.key {
        Key::Label(name) => Some((text(name), scale(&METRICS[question.metric]))),
        Key::Text => Some((text(""), 1.0)),
        Key::MetricAndContainer => {
            let name = text("__name__");
            let is_it = |metric: &&super::metric::Metric| match names {
                Names::Peers => metric.peer_name() == name,
                Names::Plimsoll => {
                    let label = metric.label.is_none_or(|(label, value)| text(label) == value);
                    metric.series == name && label
                }
            };
            let metric = METRICS.iter().find(is_it)?;
            Some((format!("{} {}", metric.field, text("container_id")), scale(metric)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(values: &[(&str, i64, f64)]) -> Answer {
        let mut answer = Answer::default();
        values.iter().for_each(|(key, time, value)| answer.add((*key).to_owned(), *time, *value));
        answer
    }

    /// Two per cent are the same, three are not, and groups count first.
    #[test]
    fn answers_are_compared_loosely() {
        let one = answer(&[("a", 1, 100.0), ("b", 1, 5.0)]);
        assert_eq!(answer(&[("a", 1, 101.9), ("b", 1, 5.0)]).difference(&one), None);
        assert!(answer(&[("a", 1, 103.1), ("b", 1, 5.0)]).difference(&one).is_some());
        assert_eq!(
            answer(&[("a", 1, 100.0)]).difference(&one).as_deref(),
            Some("1 groups missing, 0 more")
        );
    }
}
