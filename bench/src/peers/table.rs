//! A run as Markdown.

use std::fmt::Write;

use super::budget::{Operator, Verdict};
use super::run::{Outcome, Report};
use super::system::Kind;

const MIB: f64 = 1_048_576.0;

/// Everything a run found, as Markdown; the last line counts kept promises.
pub fn print(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a text does not fail.
    let _ = write!(out, "## {}\n\n", report.title);
    for (name, version) in &report.versions {
        let _ = writeln!(out, "- {name}: {version}");
    }
    out.push('\n');
    systems(report, &mut out);
    questions(report, &mut out);
    others(report, &mut out);
    promises(&report.verdicts, &mut out);
    let met = report.verdicts.iter().filter(|verdict| verdict.met).count();
    let _ = writeln!(out, "budgets: {met} met, {} missed", report.verdicts.len() - met);
    out
}

fn line(out: &mut String, cells: impl IntoIterator<Item = String>) {
    let cells: Vec<String> = cells.into_iter().collect();
    let _ = writeln!(out, "| {} |", cells.join(" | "));
}

fn rule(out: &mut String, cells: usize) {
    line(out, std::iter::repeat_n("---".to_owned(), cells));
}

fn systems(report: &Report, out: &mut String) {
    let kinds: Vec<Kind> = Kind::ALL.to_vec();
    let heads = kinds.iter().map(|kind| kind.name().to_owned());
    line(out, std::iter::once(String::new()).chain(heads));
    rule(out, kinds.len() + 1);
    let rows: [(&str, &str, f64, usize); 4] = [
        ("million samples per CPU-s, accepted", "accepted_per_cpu_s", 1e6, 2),
        ("million samples per CPU-s, merged", "merged_per_cpu_s", 1e6, 2),
        ("bytes per sample", "bytes_per_sample", 1.0, 3),
        ("peak RSS, MiB", "peak_memory_bytes", MIB, 0),
    ];
    for (title, what, unit, digits) in rows {
        let cell = |kind: &Kind| {
            let found = report.measures.get(&format!("{}.{what}", kind.name()));
            found.map_or_else(|| "missing".to_owned(), |n| format!("{:.digits$}", n / unit))
        };
        line(out, std::iter::once(title.to_owned()).chain(kinds.iter().map(cell)));
    }
    out.push('\n');
    for (kind, problem) in &report.problems {
        let _ = writeln!(out, "- {}: {problem}", kind.name());
    }
}

fn questions(report: &Report, out: &mut String) {
    let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| kind.answers()).collect();
    let _ = write!(out, "\nMedian of the CPU milliseconds of the system, and of wall clock in ");
    let _ = writeln!(out, "brackets; systems took turns, {} times.\n", report.rounds);
    line(out, std::iter::once(String::new()).chain(kinds.iter().map(|k| k.name().to_owned())));
    rule(out, kinds.len() + 1);
    for question in &report.questions {
        let title = format!("{} {}", question.id, question.text);
        let cell = |kind: &Kind| match question.outcomes.get(kind) {
            None | Some(Outcome::Missing) => "missing".to_owned(),
            Some(Outcome::Failed(_)) => "failed".to_owned(),
            Some(Outcome::Answered { cpu_ms, wall_ms, difference, .. }) => {
                let mark = if difference.is_some() { " differs" } else { "" };
                format!("{} ({}){mark}", short(*cpu_ms), short(*wall_ms))
            }
        };
        line(out, std::iter::once(title).chain(kinds.iter().map(cell)));
    }
    out.push('\n');
    for question in &report.questions {
        for (kind, outcome) in &question.outcomes {
            let what = match outcome {
                Outcome::Failed(error) => format!("failed: {error}"),
                Outcome::Answered { difference: Some(text), .. } => format!("differs: {text}"),
                _ => continue,
            };
            let _ = writeln!(out, "- {} {}: {what}", question.id, kind.name());
        }
    }
}

fn others(report: &Report, out: &mut String) {
    out.push_str("\n| measure | |\n| --- | --- |\n");
    let is_shown = |name: &str| {
        ["limit.", "plimsoll.recorded", "plimsoll.scan", "plimsoll.merged_cpu", "clickhouse.codec"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
    };
    for (name, value) in report.measures.iter().filter(|(name, _)| is_shown(name)) {
        line(out, [name.clone(), short(*value)]);
    }
}

fn promises(verdicts: &[Verdict], out: &mut String) {
    out.push_str("\n| budget | limit | found | |\n| --- | --- | --- | --- |\n");
    for verdict in verdicts {
        let sign = match verdict.operator {
            Operator::AtLeast => "≥",
            Operator::AtMost => "≤",
        };
        let number = |value: Option<f64>| value.map_or_else(|| "missing".to_owned(), short);
        let word = if verdict.met { "met" } else { "missed" };
        let text = format!("{}: {}", verdict.id, verdict.text);
        let limit = format!("{sign} {}", number(verdict.limit));
        line(out, [text, limit, number(verdict.found), word.to_owned()]);
    }
    out.push('\n');
}

/// Three digits that matter.
fn short(value: f64) -> String {
    match value.abs() {
        0.0..10.0 => format!("{value:.3}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}
