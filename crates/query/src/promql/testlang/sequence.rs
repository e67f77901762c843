//! Reads series as scripts write them: `name{labels} 1 2+3x4 _ stale`.

use super::script::ScriptError;
use crate::promql::STALE_BITS;
use crate::promql::ast::Span;
use crate::promql::labels::{Labels, METRIC_NAME, Pair};
use crate::promql::token::{Token, parse_duration_ms, parse_number, tokens};

/// Longest sequence of values that a script may write.
const VALUES_MAX: usize = 1_000_000;

/// One place in a sequence of values.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// Nothing.
    Blank,
    /// A float.
    Value(f64),
    /// A native histogram, whose content is not read.
    Histogram,
}

/// Reads one line: labels and values.
pub(super) fn parse_series(line: &str, number: usize) -> Result<(Labels, Vec<Place>), ScriptError> {
    let fail = |text: &str| ScriptError::Series { line: number, text: text.to_owned() };
    let name_len = line.find(|c: char| c == '{' || c.is_whitespace()).unwrap_or(line.len());
    let (name, mut rest) = line.split_at(name_len);
    let mut pairs: Vec<Pair> = Vec::new();
    if !name.is_empty() {
        pairs.push((METRIC_NAME.into(), name.into()));
    }
    if rest.starts_with('{') && !rest.starts_with("{{") {
        let close = closing_brace(rest).ok_or_else(|| fail(rest))?;
        read_labels(&rest[1..close], &mut pairs).ok_or_else(|| fail(&rest[..=close]))?;
        rest = &rest[close + 1..];
    }
    let mut places = Vec::new();
    for item in items(rest) {
        read_item(item, &mut places).ok_or_else(|| fail(item))?;
        if places.len() > VALUES_MAX {
            return Err(fail(item));
        }
    }
    Ok((Labels::from_pairs(pairs), places))
}

fn closing_brace(text: &str) -> Option<usize> {
    let (mut quote, mut escaped) = (None, false);
    for (index, c) in text.char_indices() {
        match quote {
            Some(open) => {
                if c == open && !escaped {
                    quote = None;
                }
                escaped = c == '\\' && !escaped && open != '`';
            }
            None if matches!(c, '"' | '\'' | '`') => quote = Some(c),
            None if c == '}' => return Some(index),
            None => {}
        }
    }
    None
}

fn read_labels(text: &str, pairs: &mut Vec<Pair>) -> Option<()> {
    let all: Vec<(Token, Span)> = tokens(text).ok()?;
    let mut rest = all.as_slice();
    loop {
        match rest {
            [(Token::End, _)] | [] => return Some(()),
            [(name @ (Token::Word | Token::Text(_)), span), (Token::Symbol("="), _), value, ..] => {
                let name = match name {
                    Token::Text(name) => name.as_str()?.to_owned(),
                    _ => text[span.start..span.end].to_owned(),
                };
                let Token::Text(value) = &value.0 else {
                    return None;
                };
                pairs.push((name.into(), value.as_str()?.into()));
                rest = &rest[3..];
            }
            [(Token::Text(name), _), ..] => {
                pairs.push((METRIC_NAME.into(), name.as_str()?.into()));
                rest = &rest[1..];
            }
            _ => return None,
        }
        match rest.first() {
            Some((Token::Symbol(","), _)) => rest = &rest[1..],
            Some((Token::End, _)) => {}
            _ => return None,
        }
    }
}

/// Splits at blanks outside histograms.
fn items(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let mut end = 0;
        while let Some(c) = rest[end..].chars().next() {
            if rest[end..].starts_with("{{") {
                end += rest[end..].find("}}").map_or(rest.len() - end, |close| close + 2);
            } else if c.is_whitespace() {
                break;
            } else {
                end += c.len_utf8();
            }
        }
        out.push(&rest[..end]);
        rest = rest[end..].trim_start();
    }
    out
}

fn read_item(item: &str, places: &mut Vec<Place>) -> Option<()> {
    if item.starts_with("{{") {
        let count = match item.rfind("}}")? {
            close if close + 2 == item.len() => 0,
            close => item[close + 2..].strip_prefix('x')?.parse::<usize>().ok()?,
        };
        places.extend(std::iter::repeat_n(Place::Histogram, count.min(VALUES_MAX) + 1));
        return Some(());
    }
    let (body, count) = match item.split_once('x') {
        Some((body, count)) => (body, Some(count.parse::<usize>().ok()?.min(VALUES_MAX))),
        None => (item, None),
    };
    if body == "_" {
        places.extend(std::iter::repeat_n(Place::Blank, count.unwrap_or(1)));
        return Some(());
    }
    let count = count.unwrap_or(0) + 1;
    if body == "stale" {
        let stale = Place::Value(f64::from_bits(STALE_BITS));
        places.extend(std::iter::repeat_n(stale, count));
        return Some(());
    }
    let (mut value, step) = if let Some(value) = signed(body) {
        (value, 0.0)
    } else {
        let is_sign = |(index, c): &(usize, char)| {
            let before = body[..*index].chars().next_back();
            *index > 0 && matches!(c, '+' | '-') && !matches!(before, Some('e' | 'E'))
        };
        let (split, _) = body.char_indices().find(is_sign)?;
        (signed(&body[..split])?, signed(&body[split..])?)
    };
    for _ in 0..count {
        places.push(Place::Value(value));
        if step != 0.0 {
            value += step;
        }
    }
    Some(())
}

/// Reads starts of samples relative to their times, in milliseconds: `-30s`, `_`, `-1m-1mx3`, `*`.
pub(super) fn parse_starts(text: &str, number: usize) -> Result<Vec<Option<i64>>, ScriptError> {
    let mut starts = Vec::new();
    for item in text.split_whitespace() {
        let read = read_starts(item, &mut starts);
        if read.is_none() || starts.len() > VALUES_MAX {
            return Err(ScriptError::Series { line: number, text: item.to_owned() });
        }
    }
    Ok(starts)
}

fn read_starts(item: &str, starts: &mut Vec<Option<i64>>) -> Option<()> {
    let (body, count) = match item.split_once('x') {
        Some((body, count)) => (body, Some(count.parse::<usize>().ok()?.min(VALUES_MAX))),
        None => (item, None),
    };
    if body == "_" {
        starts.extend(std::iter::repeat_n(None, count.unwrap_or(1)));
        return Some(());
    }
    let (mut start, step) = if body == "*" {
        (starts.iter().rev().find_map(|start| *start).unwrap_or(0), 0)
    } else {
        let split = body.get(1..)?.find(['+', '-']).map_or(body.len(), |index| index + 1);
        let step = if split == body.len() { 0 } else { signed_duration(&body[split..])? };
        (signed_duration(&body[..split])?, step)
    };
    for _ in 0..=count.unwrap_or(0) {
        starts.push(Some(start));
        start = start.saturating_add(step);
    }
    Some(())
}

fn signed_duration(text: &str) -> Option<i64> {
    let digits = text.trim_start_matches(['+', '-']);
    let ms = if digits == "0" { 0 } else { parse_duration_ms(digits)? };
    Some(if text.starts_with('-') { -ms } else { ms })
}

/// Reads a number with an optional sign.
pub(super) fn signed(text: &str) -> Option<f64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1.0, digits),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    parse_number(digits).map(|value| sign * value)
}
