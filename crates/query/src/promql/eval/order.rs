//! Functions that order series: `sort`, `sort_desc`, `sort_by_label`, `sort_by_label_desc`.
//!
//! Only an instant query keeps the order; the answers of range queries are sorted by labels.

use std::cmp::Ordering;

use super::call::{argument, text_argument};
use super::statistics::nan_first;
use super::{Evaluator, Grid, Row, is_absent};
use crate::promql::ast::Call;
use crate::promql::error::QueryError;

impl Evaluator<'_> {
    /// Orders by value; NaN comes last either way.
    pub(super) fn sort(
        &mut self,
        call: &Call,
        grid: Grid,
        descending: bool,
    ) -> Result<Vec<Row>, QueryError> {
        let mut rows = self.vector(argument(call, 0)?, grid)?;
        if grid.steps == 1 {
            rows.retain(|row| !row.is_empty());
            rows.sort_by(|a, b| by_value(a.values[0], b.values[0], descending));
        }
        Ok(rows)
    }

    /// Orders by labels in natural order, then by all labels.
    pub(super) fn sort_by_label(
        &mut self,
        call: &Call,
        grid: Grid,
        descending: bool,
    ) -> Result<Vec<Row>, QueryError> {
        let mut names = Vec::new();
        for index in 1..call.args.len() {
            names.push(text_argument(call, index)?.lossy());
        }
        let mut rows = self.vector(argument(call, 0)?, grid)?;
        rows.sort_by(|a, b| {
            let by_name = |name: &String| natural(a.labels.value(name), b.labels.value(name));
            let order = names.iter().map(by_name).find(|order| order.is_ne());
            let order = order.unwrap_or_else(|| a.labels.cmp(&b.labels));
            if descending { order.reverse() } else { order }
        });
        Ok(rows)
    }
}

/// Order of values, ascending or descending, NaN (and steps without value) last.
pub(super) fn by_value(a: f64, b: f64, descending: bool) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (false, false) if descending => nan_first(b, a),
        (false, false) => nan_first(a, b),
        (a_nan, b_nan) => (a_nan, is_absent(a)).cmp(&(b_nan, is_absent(b))),
    }
}

/// Order of texts in which runs of digits compare as numbers.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a_rest, mut b_rest) = (a, b);
    while !a_rest.is_empty() && !b_rest.is_empty() {
        let (a_chunk, a_digits) = chunk(a_rest);
        let (b_chunk, b_digits) = chunk(b_rest);
        let order = if a_digits && b_digits {
            let (a_trimmed, b_trimmed) =
                (a_chunk.trim_start_matches('0'), b_chunk.trim_start_matches('0'));
            let lengths = a_trimmed.len().cmp(&b_trimmed.len());
            let numbers = lengths.then_with(|| a_trimmed.cmp(b_trimmed));
            numbers.then_with(|| a_chunk.len().cmp(&b_chunk.len()))
        } else {
            a_chunk.cmp(b_chunk)
        };
        if order.is_ne() {
            return order;
        }
        a_rest = &a_rest[a_chunk.len()..];
        b_rest = &b_rest[b_chunk.len()..];
    }
    a_rest.len().cmp(&b_rest.len())
}

/// The first run of digits or of other characters, and whether it is digits.
fn chunk(text: &str) -> (&str, bool) {
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(text.len());
    (&text[..end], digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_compare_as_numbers() {
        assert_eq!(natural("cpu9", "cpu10"), Ordering::Less);
        assert_eq!(natural("1.11.3", "1.2.3"), Ordering::Greater);
        assert_eq!(natural("4m5", "4m600"), Ordering::Less);
        assert_eq!(natural("a", "a"), Ordering::Equal);
    }
}
