//! Runs scripts.

use regex::Regex;

use super::compare::{compare, compare_value};
use super::pin::pin;
use super::script::{Command, Eval, Loaded, ScriptError, When, parse_script};
use super::sequence::Place;
use crate::promql::engine::{Engine, RangeTimes, Stop};
use crate::promql::error::QueryError;
use crate::promql::labels::{BUCKET, Labels, METRIC_NAME};
use crate::promql::memory::MemorySource;
use crate::promql::parse::parse;
use crate::promql::value::{Answer, InstantSample, Value};

/// How a script went.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Evaluations that gave what was expected.
    pub passed: usize,
    /// Evaluations that did not.
    pub failures: Vec<Failure>,
    /// Evaluations that need native histograms.
    pub unsupported: usize,
}

/// An evaluation that did not give what was expected.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// The line of the script, from 1.
    pub line: usize,
    /// The query.
    pub query: String,
    /// What is wrong.
    pub reason: String,
}

/// How one evaluation went.
enum Outcome {
    Passed,
    Unsupported,
    Failed(String),
}

/// Runs a script over series in memory.
///
/// An instant query is also evaluated as the middle of a range query and, where it can be fixed to
/// its time with `@`, at other times; all must agree.
///
/// # Errors
///
/// [`ScriptError`] when the script cannot be read.
pub fn run_script(text: &str) -> Result<Report, ScriptError> {
    let commands = parse_script(text)?;
    let mut runner = Runner { source: MemorySource::new() };
    let mut report = Report::default();
    for command in commands {
        match command {
            Command::Clear => runner.source.clear(),
            Command::Load { step_ms, histograms, series } => {
                for one in &series {
                    runner.load(one, step_ms, histograms);
                }
            }
            Command::Eval(eval) => match runner.evaluate(&eval) {
                Outcome::Passed => report.passed += 1,
                Outcome::Unsupported => report.unsupported += 1,
                Outcome::Failed(reason) => {
                    let (line, query) = (eval.line, eval.query);
                    report.failures.push(Failure { line, query, reason });
                }
            },
        }
    }
    Ok(report)
}

struct Runner {
    source: MemorySource,
}

impl Runner {
    fn load(&mut self, one: &Loaded, step_ms: i64, histograms: bool) {
        let labels = &one.labels;
        let base = if histograms { histogram_of(labels) } else { None };
        let starts = one.starts.iter().copied().cycle().map(Some).chain(std::iter::repeat(None));
        for ((place, start), step) in one.places.iter().zip(starts).zip(0i64..) {
            let time_ms = step_ms.saturating_mul(step);
            let start_ms = start.flatten().map_or(0, |start| time_ms.saturating_add(start));
            match place {
                Place::Blank => {}
                Place::Value(value) => {
                    self.source.push_started(labels, time_ms, *value, start_ms);
                    if let Some(base) = &base {
                        self.source.push_histogram(base, time_ms);
                    }
                }
                Place::Histogram => self.source.push_histogram(labels, time_ms),
            }
        }
    }

    fn evaluate(&self, eval: &Eval) -> Outcome {
        if eval.expects_histograms() {
            return Outcome::Unsupported;
        }
        let result = match eval.when {
            When::Range(times) => self.range(&eval.query, times),
            When::Instant(time_ms) => self.instant(&eval.query, time_ms),
        };
        let answer = match (result, &eval.fails) {
            (Err(error), _) if error.is_native_histogram() => return Outcome::Unsupported,
            (Err(error), Some(pattern)) => {
                let text = error.to_string();
                return if pattern.accepts(&text) {
                    Outcome::Passed
                } else {
                    Outcome::Failed(format!("expected error {pattern:?}, got {text}"))
                };
            }
            (Err(error), None) => return Outcome::Failed(format!("unexpected error: {error}")),
            (Ok(_), Some(_)) => return Outcome::Failed("expected an error".to_owned()),
            (Ok(answer), None) => answer,
        };
        let checked = compare(eval, &answer).and_then(|()| match eval.when {
            When::Range(_) => Ok(()),
            When::Instant(time_ms) => self.elsewhere(eval, time_ms, &answer.value),
        });
        match checked {
            Ok(()) => Outcome::Passed,
            Err(reason) => Outcome::Failed(reason),
        }
    }

    /// Evaluates an instant query in other ways that must give the same.
    fn elsewhere(&self, eval: &Eval, time_ms: i64, value: &Value) -> Result<(), String> {
        let single = eval.range_vector.is_none() && eval.string.is_none();
        let fixed = Regex::new(r"(?i)\b(start|end|range|step)\(\)")
            .map_or(true, |regex| !regex.is_match(&eval.query));
        if single && fixed {
            self.as_range(eval, &eval.query, time_ms, value)?;
        }
        let Ok(mut parsed) = parse(&eval.query) else {
            return Ok(());
        };
        if !pin(&mut parsed.expr, time_ms) {
            return Ok(());
        }
        let query = parsed.expr.to_string();
        let times = match time_ms {
            0 => vec![-1000, 0, 1000],
            _ => vec![-10 * time_ms, 0, time_ms / 5, time_ms, 10 * time_ms],
        };
        for at_ms in times {
            let same = match self.instant(&query, at_ms) {
                Err(error) if error.is_native_histogram() => Ok(()),
                Err(error) => Err(error.to_string()),
                Ok(answer) => compare_value(eval, &answer.value).and_then(|()| {
                    if single { self.as_range(eval, &query, at_ms, &answer.value) } else { Ok(()) }
                }),
            };
            same.map_err(|reason| format!("as {query} at {at_ms} ms: {reason}"))?;
        }
        Ok(())
    }

    /// Evaluates an instant query as the middle step of a range query.
    fn as_range(
        &self,
        eval: &Eval,
        query: &str,
        time_ms: i64,
        value: &Value,
    ) -> Result<(), String> {
        let step_ms = 60_000;
        let times = RangeTimes { start_ms: time_ms - step_ms, end_ms: time_ms + step_ms, step_ms };
        let answer = match self.range(query, times) {
            Ok(answer) => answer,
            // Only the steps around the middle meet a histogram.
            Err(error) if error.is_native_histogram() => return Ok(()),
            Err(error) => return Err(format!("as a range query: {error}")),
        };
        let Value::Matrix(series) = answer.value else {
            return Err("a range query gave no matrix".to_owned());
        };
        if !series.is_sorted_by(|a, b| a.labels <= b.labels) {
            return Err("the series of a range query are not sorted".to_owned());
        }
        if eval.ordered {
            return Ok(());
        }
        let mut samples = Vec::new();
        for found in series {
            if let Some(index) = found.times.iter().position(|time| *time == time_ms) {
                let (labels, value) = (found.labels, found.values[index]);
                samples.push(InstantSample { labels, time_ms, value });
            }
        }
        let middle = match (value, samples.first()) {
            (Value::Scalar { .. }, Some(sample)) => Value::Scalar { time_ms, value: sample.value },
            _ => Value::Vector(samples),
        };
        compare_value(eval, &middle).map_err(|reason| format!("as a range query: {reason}"))
    }

    fn instant(&self, query: &str, time_ms: i64) -> Result<Answer, QueryError> {
        Engine::default().instant(&self.source, query, time_ms, &never)
    }

    fn range(&self, query: &str, times: RangeTimes) -> Result<Answer, QueryError> {
        Engine::default().range(&self.source, query, times, &never)
    }
}

fn never() -> Option<Stop> {
    None
}

/// The native histogram that a classic histogram's series is part of.
fn histogram_of(labels: &Labels) -> Option<Labels> {
    let name = labels.metric_name();
    let endings = ["_bucket", "_count", "_sum"];
    let base = endings.iter().find_map(|ending| name.strip_suffix(ending))?;
    Some(labels.with_all(&[(METRIC_NAME, base), (BUCKET, "")]))
}
