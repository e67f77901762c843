//! Strings of the language: quoting, unquoting, names that need no quotes, numbers as text.
//!
//! String literals may hold any bytes (`"\xff"`), so a literal's value is a [`Text`].

use std::fmt;

/// The value of a string literal: bytes that are UTF-8 unless an escape broke them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text(pub(super) Vec<u8>);

impl Text {
    /// The text, or `None` when escapes made it invalid UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// The text with replacement characters where it is not UTF-8.
    pub fn lossy(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

/// Writes the literal in double quotes, with escapes.
impl fmt::Display for Text {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&quoted(&self.0))
    }
}

/// Bytes as a double-quoted literal that reads back as the same bytes.
pub fn quoted(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                '\r' => out.push_str("\\r"),
                c if c.is_ascii_control() => push_escape(&mut out, 'x', 2, c as u32),
                c if c.is_control() => push_escape(&mut out, 'u', 4, c as u32),
                c => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            push_escape(&mut out, 'x', 2, u32::from(*byte));
        }
    }
    out.push('"');
    out
}

/// Appends an escape in hexadecimal.
fn push_escape(out: &mut String, kind: char, digits: usize, code: u32) {
    out.extend(['\\', kind]);
    out.push_str(&format_hex(code, digits));
}

fn format_hex(code: u32, digits: usize) -> String {
    format!("{code:0digits$x}")
}

/// Reads a quoted literal (`"…"`, `'…'` with escapes, or a raw one in back quotes).
///
/// Returns `None` when the quotes do not match or an escape is unknown. Escapes are Go's:
/// `\a \b \f \n \r \t \v \\ \' \" \xHH \ooo \uHHHH \UHHHHHHHH`.
pub fn unquote(literal: &str) -> Option<Text> {
    let quote = literal.chars().next()?;
    let inner = literal.get(1..literal.len().checked_sub(1)?)?;
    if !literal.ends_with(quote) || literal.len() < 2 {
        return None;
    }
    match quote {
        '`' => (!inner.contains('`')).then(|| Text::from(inner)),
        '"' | '\'' => unescape(inner, quote),
        _ => None,
    }
}

fn unescape(inner: &str, quote: char) -> Option<Text> {
    let mut out = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(c) = rest.chars().next() {
        if c == quote || c == '\n' {
            return None;
        }
        if c != '\\' {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            rest = &rest[c.len_utf8()..];
            continue;
        }
        let escape = rest[1..].chars().next()?;
        let after = &rest[1 + escape.len_utf8()..];
        let simple = match escape {
            'a' => Some(7),
            'b' => Some(8),
            'f' => Some(12),
            'n' => Some(b'\n'),
            'r' => Some(b'\r'),
            't' => Some(b'\t'),
            'v' => Some(11),
            '\\' => Some(b'\\'),
            '\'' | '"' if escape == quote => Some(quote as u8),
            _ => None,
        };
        if let Some(byte) = simple {
            out.push(byte);
            rest = after;
            continue;
        }
        rest = numeric_escape(escape, &rest[1..], after, &mut out)?;
    }
    Some(Text(out))
}

/// Appends what `\x`, `\u`, `\U` or an octal escape means; returns what follows it.
fn numeric_escape<'t>(
    escape: char,
    from_escape: &'t str,
    after: &'t str,
    out: &mut Vec<u8>,
) -> Option<&'t str> {
    let (digits, radix, source) = match escape {
        'x' => (2, 16, after),
        'u' => (4, 16, after),
        'U' => (8, 16, after),
        '0'..='7' => (3, 8, from_escape),
        _ => return None,
    };
    let code = u32::from_str_radix(source.get(..digits)?, radix).ok()?;
    if matches!(escape, 'u' | 'U') {
        out.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut [0; 4]).as_bytes());
    } else {
        out.push(u8::try_from(code).ok()?);
    }
    Some(&source[digits..])
}

/// Whether a label name can be written without quotes.
pub fn is_plain_label_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Whether a metric name can be written without quotes.
pub fn is_plain_metric_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_' || b == b':')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
}

/// A number in decimal notation without exponent, as `count_values` writes it.
pub fn plain_number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() }
    } else {
        format!("{value}")
    }
}

/// A number in its shortest form, with an exponent where it is very large or small (`1e+06`).
pub fn short_number(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return plain_number(value);
    }
    let scientific = format!("{value:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let power: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&power) {
        return plain_number(value);
    }
    let sign = if power < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", power.abs())
}

/// A number with two significant digits (`%.2g`).
pub fn rounded_number(value: f64) -> String {
    let scientific = format!("{value:.1e}");
    let rounded = scientific.parse::<f64>().unwrap_or(value);
    let power: i32 = scientific.split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or(0);
    if (-4..2).contains(&power) || rounded == 0.0 || !rounded.is_finite() {
        return plain_number(rounded);
    }
    let mantissa = scientific.split('e').next().unwrap_or("").trim_end_matches(".0");
    format!("{mantissa}e{}{:02}", if power < 0 { '-' } else { '+' }, power.abs())
}

/// A number as a quantile label holds it: always with a point or exponent (`1.0`, `0.5`).
pub fn label_number(value: f64) -> String {
    let text = short_number(value);
    if value.is_finite() && !text.contains(['.', 'e']) { format!("{text}.0") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_read_back() {
        for bytes in [&b"plain"[..], b"a\"b\\c\n", b"a\xc5z", "\u{7f}\u{85}é".as_bytes()] {
            assert_eq!(unquote(&quoted(bytes)), Some(Text(bytes.to_vec())));
        }
        assert_eq!(unquote(r"'\x41\102\u0043'"), Some(Text::from("ABC")));
        assert_eq!(unquote("`a\\n`"), Some(Text::from("a\\n")));
        assert_eq!(unquote(r#""\q""#), None);
        assert_eq!(unquote("\"a"), None);
        assert_eq!(unquote("\""), None);
    }

    #[test]
    fn numbers_are_written_like_go() {
        assert_eq!(short_number(1e6), "1e+06");
        assert_eq!(short_number(123_456.0), "123456");
        assert_eq!(short_number(0.000_01), "1e-05");
        assert_eq!(short_number(123.5), "123.5");
        assert_eq!(rounded_number(0.123), "0.12");
        assert_eq!(rounded_number(2.0), "2");
        assert_eq!(rounded_number(120.0), "1.2e+02");
        assert_eq!(rounded_number(1000.0), "1e+03");
        assert_eq!(label_number(1.0), "1.0");
        assert_eq!(plain_number(f64::NEG_INFINITY), "-Inf");
    }
}
