//! A history answer as CSV: RFC 4180 quoting, one line per group and step.
//!
//! A text cell that a spreadsheet would run as a formula gets a leading `'`.

use std::borrow::Cow;
use std::fmt::Write as _;

use plimsoll_query::history::HistoryAnswer;
use plimsoll_query::time::format_time_ms;

/// Columns: `time` (RFC 3339), the grouping labels, `value` (empty: no samples), `unit`.
pub(super) fn write(answer: &HistoryAnswer) -> String {
    let mut text = String::from("time");
    for name in super::column_names(answer) {
        text.push(',');
        text.push_str(&cell(&name));
    }
    text.push_str(",value,unit\r\n");
    let times: Vec<String> = answer.times_ms.iter().map(|time| format_time_ms(*time)).collect();
    for group in &answer.groups {
        let unit = cell(&group.unit);
        let mut labels = String::new();
        for label in &group.labels {
            labels.push(',');
            labels.push_str(&cell(label));
        }
        for (time, value) in times.iter().zip(&group.values) {
            let value = value.map(|value| value.to_string()).unwrap_or_default();
            // Writing to a String cannot fail.
            let _ = write!(text, "{time}{labels},{value},{unit}\r\n");
        }
    }
    text
}

/// A text as one cell.
fn cell(text: &str) -> Cow<'_, str> {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let guarded = if is_formula { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) };
    if guarded.contains([',', '"', '\r', '\n']) {
        return Cow::Owned(format!("\"{}\"", guarded.replace('"', "\"\"")));
    }
    guarded
}

#[cfg(test)]
mod tests {
    use plimsoll_query::history::HistoryGroup;

    use super::*;

    #[test]
    fn cells_are_quoted_and_no_formula_gets_through() {
        for (text, expected) in [
            ("web", "web"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("=1+1", "'=1+1"),
            ("@x", "'@x"),
            ("-2,5", "\"'-2,5\""),
            ("two\nlines", "\"two\nlines\""),
            ("", ""),
        ] {
            assert_eq!(cell(text), expected);
        }
    }

    #[test]
    fn a_missing_value_is_an_empty_cell() {
        let answer = HistoryAnswer {
            metric: "cpu".to_owned(),
            unit: "cores".to_owned(),
            fields: Vec::new(),
            label_names: vec!["service".to_owned(), "time".to_owned()],
            times_ms: vec![0, 60_000],
            step_ms: 60_000,
            groups: vec![HistoryGroup {
                labels: vec!["web".to_owned(), String::new()],
                unit: "cores".to_owned(),
                values: vec![Some(0.5), None],
                coverage: 0.5,
            }],
            resolution: "raw".to_owned(),
            coverage: Some(0.5),
            gaps: Vec::new(),
            series_gaps: Vec::new(),
            warnings: Vec::new(),
            rows: 1,
        };
        let expected = "time,service,label.time,value,unit\r\n\
             1970-01-01T00:00:00Z,web,,0.5,cores\r\n\
             1970-01-01T00:01:00Z,web,,,cores\r\n";
        assert_eq!(write(&answer), expected);
    }
}
