//! Reads a script into commands.

use regex::Regex;

use super::sequence::{Place, parse_series, parse_starts, signed};
use crate::promql::engine::RangeTimes;
use crate::promql::labels::Labels;
use crate::promql::text::unquote;
use crate::promql::token::parse_duration_ms;

/// A script that cannot be read.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ScriptError {
    /// A line is no command.
    #[error("line {line}: unknown command {text:?}")]
    Command {
        /// The line, from 1.
        line: usize,
        /// What it says.
        text: String,
    },
    /// A series or its values cannot be read.
    #[error("line {line}: cannot read series at {text:?}")]
    Series {
        /// The line, from 1.
        line: usize,
        /// Where reading stopped.
        text: String,
    },
    /// A duration cannot be read.
    #[error("line {line}: {text:?} is no duration")]
    Duration {
        /// The line, from 1.
        line: usize,
        /// What it says.
        text: String,
    },
    /// An `expect` line cannot be read.
    #[error("line {line}: cannot read expectation {text:?}")]
    Expect {
        /// The line, from 1.
        line: usize,
        /// What it says.
        text: String,
    },
}

/// One command of a script.
#[derive(Debug)]
pub(super) enum Command {
    /// Forget all series.
    Clear,
    /// Add series.
    Load { step_ms: i64, histograms: bool, series: Vec<Loaded> },
    /// Evaluate a query.
    Eval(Box<Eval>),
}

/// A series to load.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) labels: Labels,
    pub(super) places: Vec<Place>,
    /// Start of each sample relative to its time, in milliseconds; repeated where shorter.
    pub(super) starts: Vec<Option<i64>>,
}

/// When a query is evaluated.
#[derive(Clone, Copy, Debug)]
pub(super) enum When {
    Instant(i64),
    Range(RangeTimes),
}

/// A query and what is expected of it.
#[derive(Debug)]
pub(super) struct Eval {
    pub(super) line: usize,
    pub(super) query: String,
    pub(super) when: When,
    pub(super) series: Vec<(Labels, Vec<Place>)>,
    pub(super) scalar: Option<f64>,
    pub(super) string: Option<String>,
    /// Times of the samples of an expected range vector.
    pub(super) range_vector: Option<RangeTimes>,
    pub(super) ordered: bool,
    pub(super) fails: Option<Pattern>,
    pub(super) warnings: Vec<Pattern>,
    pub(super) infos: Vec<Pattern>,
    pub(super) no_warnings: bool,
    pub(super) no_infos: bool,
}

impl Eval {
    /// Whether the expectation holds native histograms.
    pub(super) fn expects_histograms(&self) -> bool {
        self.series
            .iter()
            .any(|(_, places)| places.iter().any(|place| matches!(place, Place::Histogram)))
    }
}

/// What a text must be.
#[derive(Debug)]
pub(super) enum Pattern {
    Any,
    Exact(String),
    Matching(Regex),
}

impl Pattern {
    /// Whether a text is what it must be.
    pub(super) fn accepts(&self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => exact == text,
            Self::Matching(regex) => regex.is_match(text),
        }
    }
}

/// Reads a script.
pub(super) fn parse_script(text: &str) -> Result<Vec<Command>, ScriptError> {
    // Comments are blank lines, and so end what is below a command.
    let blank_comment = |line: &'_ str| -> String {
        let line = line.trim();
        if line.starts_with('#') { String::new() } else { line.to_owned() }
    };
    let lines: Vec<String> = text.lines().map(blank_comment).collect();
    let mut commands = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let number = at + 1;
        let line = lines[at].as_str();
        at += 1;
        let below_end =
            lines[at..].iter().position(String::is_empty).map_or(lines.len(), |n| at + n);
        let below: Vec<(usize, &str)> =
            (at..below_end).map(|index| (index + 1, lines[index].as_str())).collect();
        let word = line.split_whitespace().next().unwrap_or("").to_ascii_lowercase();
        match word.as_str() {
            "" => continue,
            "clear" => {
                commands.push(Command::Clear);
                continue;
            }
            "load" | "load_with_nhcb" => commands.push(parse_load(line, number, &below)?),
            eval if eval == "eval" || eval.starts_with("eval_") => {
                let (eval, used) = parse_eval(line, number, &below)?;
                commands.push(Command::Eval(Box::new(eval)));
                at += used;
                continue;
            }
            _ => return Err(ScriptError::Command { line: number, text: line.to_owned() }),
        }
        at = below_end;
    }
    Ok(commands)
}

fn duration(text: &str, line: usize) -> Result<i64, ScriptError> {
    let ms = if text == "0" { Some(0) } else { parse_duration_ms(text) };
    ms.ok_or_else(|| ScriptError::Duration { line, text: text.to_owned() })
}

fn parse_load(line: &str, number: usize, below: &[(usize, &str)]) -> Result<Command, ScriptError> {
    let (word, step) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let step_ms = duration(step.trim(), number)?;
    let mut series = Vec::new();
    let (mut all, mut next) = (Vec::new(), None);
    for (number, line) in below {
        let (word, values) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        if let Some(name) = word.strip_suffix("@st") {
            let starts = parse_starts(values, *number)?;
            if name.is_empty() {
                all = starts;
            } else {
                next = Some(starts);
            }
            continue;
        }
        let (labels, places) = parse_series(line, *number)?;
        let starts = next.take().unwrap_or_else(|| all.clone());
        series.push(Loaded { labels, places, starts });
    }
    Ok(Command::Load { step_ms, histograms: word.ends_with("nhcb"), series })
}

/// Reads an `eval` command; returns how many of the lines below belong to it.
fn parse_eval(
    line: &str,
    number: usize,
    below: &[(usize, &str)],
) -> Result<(Eval, usize), ScriptError> {
    let bad = || ScriptError::Command { line: number, text: line.to_owned() };
    let (word, rest) = line.split_once(char::is_whitespace).ok_or_else(bad)?;
    let rest = rest.trim_start();
    let (kind, rest) = rest.split_once(char::is_whitespace).ok_or_else(bad)?;
    let mut rest = rest.trim_start();
    let mut named = |name: &str| -> Result<i64, ScriptError> {
        let after = rest.strip_prefix(name).ok_or_else(bad)?.trim_start();
        let (text, after) = after.split_once(char::is_whitespace).ok_or_else(bad)?;
        rest = after.trim_start();
        duration(text, number)
    };
    let when = match kind {
        "instant" => When::Instant(named("at ")?),
        "range" => When::Range(RangeTimes {
            start_ms: named("from ")?,
            end_ms: named("to ")?,
            step_ms: named("step ")?,
        }),
        _ => return Err(bad()),
    };
    let mut eval = Eval {
        line: number,
        query: rest.to_owned(),
        when,
        series: Vec::new(),
        scalar: None,
        string: None,
        range_vector: None,
        ordered: word.ends_with("_ordered"),
        fails: word.ends_with("_fail").then_some(Pattern::Any),
        warnings: if word.ends_with("_warn") { vec![Pattern::Any] } else { Vec::new() },
        infos: if word.ends_with("_info") { vec![Pattern::Any] } else { Vec::new() },
        no_warnings: false,
        no_infos: false,
    };
    for (index, (number, line)) in below.iter().enumerate() {
        if !parse_expected(&mut eval, line, *number)? {
            return Ok((eval, index + 1));
        }
    }
    Ok((eval, below.len()))
}

/// Reads one line below an `eval`; says whether more may follow.
fn parse_expected(eval: &mut Eval, line: &str, number: usize) -> Result<bool, ScriptError> {
    let bad = || ScriptError::Expect { line: number, text: line.to_owned() };
    if eval.fails.is_some() {
        if let Some(message) = line.strip_prefix("expected_fail_message") {
            eval.fails = Some(Pattern::Exact(message.trim().to_owned()));
            return Ok(false);
        }
        if let Some(pattern) = line.strip_prefix("expected_fail_regexp") {
            let regex = Regex::new(pattern.trim()).map_err(|_| bad())?;
            eval.fails = Some(Pattern::Matching(regex));
            return Ok(false);
        }
    }
    if let Some(rest) = line.strip_prefix("expect range vector") {
        let words: Vec<&str> = rest.split_whitespace().collect();
        let ["from", start, "to", end, "step", step] = words[..] else {
            return Err(bad());
        };
        eval.range_vector = Some(RangeTimes {
            start_ms: duration(start, number)?,
            end_ms: duration(end, number)?,
            step_ms: duration(step, number)?,
        });
        return Ok(true);
    }
    if let Some(literal) = line.strip_prefix("expect string") {
        let text = unquote(literal.trim()).ok_or_else(bad)?;
        eval.string = Some(text.lossy());
        return Ok(true);
    }
    if line == "expect" || line.starts_with("expect ") {
        parse_expectation(eval, line["expect".len()..].trim(), bad)?;
        return Ok(true);
    }
    if let Some(value) = signed(line) {
        eval.scalar = Some(value);
        return Ok(false);
    }
    eval.series.push(parse_series(line, number)?);
    Ok(true)
}

fn parse_expectation(
    eval: &mut Eval,
    rest: &str,
    bad: impl Fn() -> ScriptError,
) -> Result<(), ScriptError> {
    let (what, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let rest = rest.trim_start();
    let pattern = if rest.is_empty() {
        Pattern::Any
    } else if let Some(message) = rest.strip_prefix("msg:") {
        Pattern::Exact(message.trim().to_owned())
    } else if let Some(pattern) = rest.strip_prefix("regex:") {
        Pattern::Matching(Regex::new(pattern.trim()).map_err(|_| bad())?)
    } else {
        return Err(bad());
    };
    match what {
        "ordered" => eval.ordered = true,
        "fail" => eval.fails = Some(pattern),
        "warn" => eval.warnings.push(pattern),
        "info" => eval.infos.push(pattern),
        "no_warn" => eval.no_warnings = true,
        "no_info" => eval.no_infos = true,
        _ => return Err(bad()),
    }
    Ok(())
}
