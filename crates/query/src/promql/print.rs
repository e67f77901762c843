//! Writes a parsed query back as text, in one canonical form.
//!
//! Holds: the text reads back as the same query.

use std::fmt::{self, Display, Formatter, Result, Write};
use std::sync::Arc;

use super::ast::{
    Aggregate, At, Binary, Call, DurationExpr, Expr, Extension, Matching, Subquery, VectorSelector,
};
use super::labels::METRIC_NAME;
use super::matcher::MatchOp;
use super::operators::Cardinality;
use super::text::{is_plain_label_name, quoted, short_number};
use super::token::UNITS;

impl Display for Expr {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        match self {
            Self::Number(number) if number.duration => write_seconds(out, number.value),
            Self::Number(number) => write_number(out, number.value),
            Self::String(literal) => literal.value.fmt(out),
            Self::Vector(selector) => {
                write_selector(out, selector)?;
                write_modifiers(out, selector)
            }
            Self::Matrix(matrix) => {
                write_selector(out, &matrix.selector)?;
                write!(out, "[{}]", matrix.range)?;
                write_modifiers(out, &matrix.selector)
            }
            Self::Subquery(subquery) => write_subquery(out, subquery),
            Self::Call(call) => write_call(out, call),
            Self::Aggregate(aggregate) => write_aggregate(out, aggregate),
            Self::Unary(unary) => {
                out.write_char(if unary.negative { '-' } else { '+' })?;
                unary.expr.fmt(out)
            }
            Self::Binary(binary) => write_binary(out, binary),
            Self::Paren(paren) => write!(out, "({})", paren.expr),
        }
    }
}

impl Display for DurationExpr {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        match self {
            Self::Seconds(seconds, _, _) => write_seconds(out, *seconds),
            Self::Step(_) => out.write_str("step()"),
            Self::Range(_) => out.write_str("range()"),
            Self::Min(pair, _) => write!(out, "min_of({}, {})", Part(&pair.0), Part(&pair.1)),
            Self::Max(pair, _) => write!(out, "max_of({}, {})", Part(&pair.0), Part(&pair.1)),
            Self::Sign(negative, inner, _) => {
                write!(out, "{}{}", if *negative { '-' } else { '+' }, Part(inner))
            }
            Self::Binary(op, pair, _) => {
                write!(out, "{} {} {}", Part(&pair.0), op.symbol(), Part(&pair.1))
            }
            Self::Paren(inner, _) => write!(out, "({})", Part(inner)),
        }
    }
}

/// A part of duration arithmetic: factors stay numbers.
struct Part<'d>(&'d DurationExpr);

impl Display for Part<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        match self.0 {
            DurationExpr::Seconds(seconds, false, _) => write_number(out, *seconds),
            other => other.fmt(out),
        }
    }
}

/// Writes a number so that it reads back as the same one.
fn write_number(out: &mut Formatter<'_>, value: f64) -> Result {
    out.write_str(&short_number(value))
}

/// Writes seconds as a duration where whole milliseconds allow it.
fn write_seconds(out: &mut Formatter<'_>, seconds: f64) -> Result {
    let ms = seconds * 1000.0;
    if ms == 0.0 {
        return out.write_str("0s");
    }
    if ms != ms.round() || ms.abs() > 9e15 {
        return write_number(out, seconds);
    }
    if ms < 0.0 {
        out.write_char('-')?;
    }
    let mut rest = ms.abs() as i64;
    for (unit, length_ms) in UNITS {
        // Years and weeks only where nothing is left, as Prometheus writes them.
        let whole = !matches!(unit, "y" | "w") || rest % length_ms == 0;
        if rest >= length_ms && whole {
            write!(out, "{}{unit}", rest / length_ms)?;
            rest %= length_ms;
        }
    }
    Ok(())
}

fn write_selector(out: &mut Formatter<'_>, selector: &VectorSelector) -> Result {
    if let Some(name) = &selector.name {
        out.write_str(name)?;
    }
    let is_name = |index: usize| index == 0 && selector.name.is_some();
    let shown = selector.matchers.iter().enumerate().filter(|(index, _)| !is_name(*index));
    let texts: Vec<String> = shown
        .map(|(_, matcher)| match matcher.op {
            MatchOp::Equal if &*matcher.name == METRIC_NAME => quoted(matcher.value.as_bytes()),
            _ => matcher.to_string(),
        })
        .collect();
    if texts.is_empty() && selector.name.is_some() {
        return Ok(());
    }
    write!(out, "{{{}}}", texts.join(","))
}

fn write_modifiers(out: &mut Formatter<'_>, selector: &VectorSelector) -> Result {
    match selector.extension {
        Extension::None => {}
        Extension::Anchored => out.write_str(" anchored")?,
        Extension::Smoothed => out.write_str(" smoothed")?,
    }
    write_at(out, selector.at)?;
    write_offset(out, selector.offset.as_ref())
}

fn write_at(out: &mut Formatter<'_>, at: Option<At>) -> Result {
    match at {
        None => Ok(()),
        Some(At::Start) => out.write_str(" @ start()"),
        Some(At::End) => out.write_str(" @ end()"),
        Some(At::Time(ms)) => write!(out, " @ {:.3}", ms as f64 / 1000.0),
    }
}

fn write_offset(out: &mut Formatter<'_>, offset: Option<&DurationExpr>) -> Result {
    match offset {
        None => Ok(()),
        Some(offset) => write!(out, " offset {offset}"),
    }
}

fn write_subquery(out: &mut Formatter<'_>, subquery: &Subquery) -> Result {
    write!(out, "{}[{}:", subquery.expr, subquery.range)?;
    if let Some(step) = &subquery.step {
        step.fmt(out)?;
    }
    out.write_char(']')?;
    write_at(out, subquery.at)?;
    write_offset(out, subquery.offset.as_ref())
}

fn write_list(out: &mut Formatter<'_>, exprs: &[&Expr]) -> Result {
    for (index, expr) in exprs.iter().enumerate() {
        out.write_str(if index == 0 { "" } else { ", " })?;
        expr.fmt(out)?;
    }
    Ok(())
}

fn write_call(out: &mut Formatter<'_>, call: &Call) -> Result {
    write!(out, "{}(", call.function.name)?;
    write_list(out, &call.args.iter().collect::<Vec<_>>())?;
    out.write_char(')')
}

fn write_labels(out: &mut Formatter<'_>, labels: &[Arc<str>]) -> Result {
    let shown: Vec<String> = labels
        .iter()
        .map(
            |name| {
                if is_plain_label_name(name) { name.to_string() } else { quoted(name.as_bytes()) }
            },
        )
        .collect();
    write!(out, "({})", shown.join(", "))
}

fn write_aggregate(out: &mut Formatter<'_>, aggregate: &Aggregate) -> Result {
    out.write_str(aggregate.op.name())?;
    if aggregate.without || !aggregate.grouping.is_empty() {
        out.write_str(if aggregate.without { " without " } else { " by " })?;
        write_labels(out, &aggregate.grouping)?;
        out.write_char(' ')?;
    }
    out.write_char('(')?;
    let args: Vec<&Expr> = aggregate.param.iter().chain([&aggregate.expr]).collect();
    write_list(out, &args)?;
    out.write_char(')')
}

fn write_binary(out: &mut Formatter<'_>, binary: &Binary) -> Result {
    write!(out, "{} {}", binary.left, binary.op.symbol())?;
    if binary.returns_bool {
        out.write_str(" bool")?;
    }
    write_matching(out, &binary.matching)?;
    write!(out, " {}", binary.right)
}

fn write_matching(out: &mut Formatter<'_>, matching: &Matching) -> fmt::Result {
    if matching.has_labels {
        out.write_str(if matching.on { " on " } else { " ignoring " })?;
        write_labels(out, &matching.labels)?;
    }
    let group = match matching.cardinality {
        Cardinality::ManyToOne => " group_left ",
        Cardinality::OneToMany => " group_right ",
        Cardinality::OneToOne | Cardinality::ManyToMany => "",
    };
    if !group.is_empty() {
        out.write_str(group)?;
        write_labels(out, &matching.include)?;
    }
    match (matching.fill_left, matching.fill_right) {
        (Some(left), Some(right)) if left.to_bits() == right.to_bits() => {
            write!(out, " fill ({})", short_number(left))
        }
        (left, right) => {
            for (word, value) in [("fill_left", left), ("fill_right", right)] {
                if let Some(value) = value {
                    write!(out, " {word} ({})", short_number(value))?;
                }
            }
            Ok(())
        }
    }
}
