//! Cuts a query into tokens.
//!
//! Numbers may be written in decimal, hexadecimal, with `_` between digits, or as durations
//! (`5m` is 300). Inside square brackets a colon stands alone; elsewhere it is part of names.

use super::ast::Span;
use super::parse::ParseError;
use super::text::{Text, unquote};

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A word: name, keyword or function.
    Word,
    /// A metric name with a colon in it.
    MetricWord,
    /// A number, and whether it was written as a duration.
    Number(f64, bool),
    /// A string literal.
    Text(Text),
    /// An operator or bracket.
    Symbol(&'static str),
    /// The end of the query.
    End,
}

/// Operators and brackets, longest first.
const SYMBOLS: [&str; 29] = [
    "==", "=~", "!=", "!~", "<=", ">=", "</", ">/", "=", "<", ">", "+", "-", "*", "/", "%", "^",
    "(", ")", "{", "}", "[", "]", ",", "@", ":", ";", "!", "$",
];

/// Cuts a query into tokens; the last one is [`Token::End`].
pub(super) fn tokens(query: &str) -> Result<Vec<(Token, Span)>, ParseError> {
    let mut lexer = Lexer { query, at: 0, brackets: 0, out: Vec::new() };
    lexer.run()?;
    Ok(lexer.out)
}

struct Lexer<'q> {
    query: &'q str,
    at: usize,
    brackets: usize,
    out: Vec<(Token, Span)>,
}

impl Lexer<'_> {
    fn run(&mut self) -> Result<(), ParseError> {
        loop {
            self.skip_blank();
            let rest = &self.query[self.at..];
            let Some(first) = rest.chars().next() else {
                self.push(Token::End, 0);
                return Ok(());
            };
            let second = rest[first.len_utf8()..].chars().next();
            let digit = first.is_ascii_digit()
                || (first == '.' && second.is_some_and(|c| c.is_ascii_digit()));
            let colon_name = first == ':' && self.brackets == 0;
            if digit {
                self.number(rest)?;
            } else if first.is_ascii_alphabetic() || first == '_' || colon_name {
                self.word(rest);
            } else if matches!(first, '"' | '\'' | '`') {
                self.text(rest, first)?;
            } else {
                self.symbol(rest, first)?;
            }
        }
    }

    fn push(&mut self, token: Token, len: usize) {
        self.out.push((token, Span { start: self.at, end: self.at + len }));
        self.at += len;
    }

    fn fail(&self, len: usize, found: &str, expected: &'static str) -> ParseError {
        let span = Span { start: self.at, end: self.at + len };
        ParseError::unexpected(self.query, span, found, expected)
    }

    fn skip_blank(&mut self) {
        loop {
            let rest = &self.query[self.at..];
            let trimmed = rest.trim_start_matches([' ', '\t', '\n', '\r']);
            self.at += rest.len() - trimmed.len();
            if !trimmed.starts_with('#') {
                return;
            }
            self.at += trimmed.find('\n').unwrap_or(trimmed.len());
        }
    }

    fn word(&mut self, rest: &str) {
        let colons = self.brackets == 0;
        let len = rest
            .bytes()
            .take_while(|b| b.is_ascii_alphanumeric() || *b == b'_' || (colons && *b == b':'))
            .count();
        let token = if rest[..len].contains(':') { Token::MetricWord } else { Token::Word };
        self.push(token, len);
    }

    fn text(&mut self, rest: &str, quote: char) -> Result<(), ParseError> {
        let mut escaped = false;
        let close = rest[1..].char_indices().find(|(_, c)| {
            let found = *c == quote && !escaped;
            escaped = *c == '\\' && !escaped && quote != '`';
            found
        });
        let Some((index, _)) = close else {
            return Err(self.fail(rest.len(), "an unterminated string", "a closing quote"));
        };
        let len = index + 2;
        match unquote(&rest[..len]) {
            Some(text) => self.push(Token::Text(text), len),
            None => return Err(self.fail(len, &rest[..len], "a string with known escapes")),
        }
        Ok(())
    }

    fn symbol(&mut self, rest: &str, first: char) -> Result<(), ParseError> {
        let Some(symbol) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) else {
            let found = first.to_string();
            return Err(self.fail(first.len_utf8(), &found, "an expression or operator"));
        };
        match *symbol {
            "[" => self.brackets += 1,
            "]" => self.brackets = self.brackets.saturating_sub(1),
            _ => {}
        }
        self.push(Token::Symbol(symbol), symbol.len());
        Ok(())
    }

    fn number(&mut self, rest: &str) -> Result<(), ParseError> {
        let len = number_len(rest);
        let word = rest[len..]
            .bytes()
            .take_while(|b| b.is_ascii_alphanumeric() || *b == b'_' || *b == b'.')
            .count();
        if word == 0 {
            if let Some(value) = parse_number(&rest[..len]) {
                self.push(Token::Number(value, false), len);
                return Ok(());
            }
        } else if let Some(ms) = parse_duration_ms(&rest[..len + word]) {
            self.push(Token::Number(ms as f64 / 1000.0, true), len + word);
            return Ok(());
        }
        Err(self.fail(len + word, &rest[..len + word], "a number or duration"))
    }
}

/// How many bytes at the start of a text look like a number.
fn number_len(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let hex = rest.get(..2).is_some_and(|prefix| prefix.eq_ignore_ascii_case("0x"));
    let digits = |from: usize, hex: bool| {
        let is_digit = |b: &u8| b.is_ascii_digit() || *b == b'_' || (hex && b.is_ascii_hexdigit());
        from + bytes[from..].iter().take_while(|b| is_digit(b)).count()
    };
    if hex {
        return digits(2, true);
    }
    let mut len = digits(0, false);
    if bytes.get(len) == Some(&b'.') {
        len = digits(len + 1, false);
    }
    if matches!(bytes.get(len), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(len + 1), Some(b'+' | b'-')));
        let end = digits(len + 1 + sign, false);
        if end > len + 1 + sign {
            len = end;
        }
    }
    len
}

/// Reads a number: decimal, `0x…`, leading-zero octal, `_` between digits, `Inf`, `NaN`.
pub(super) fn parse_number(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    let lonely = |index: usize| {
        let digit = |at: Option<&u8>| at.is_some_and(u8::is_ascii_hexdigit);
        !(index > 0 && digit(bytes.get(index - 1)) && digit(bytes.get(index + 1)))
    };
    if bytes.iter().enumerate().any(|(index, b)| *b == b'_' && lonely(index)) {
        return None;
    }
    let plain = text.replace('_', "");
    if let Some(hex) = plain.strip_prefix("0x").or_else(|| plain.strip_prefix("0X")) {
        return i64::from_str_radix(hex, 16).ok().map(|value| value as f64);
    }
    if plain.len() > 1
        && plain.starts_with('0')
        && let Ok(octal) = i64::from_str_radix(&plain, 8)
    {
        return Some(octal as f64);
    }
    plain.parse().ok()
}

/// Units of durations, largest first, in milliseconds.
pub(super) const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Reads a duration such as `1h30m`: units from large to small, each at most once.
///
/// Returns milliseconds, or `None` when the text is no duration or too long for 64 bits.
pub fn parse_duration_ms(text: &str) -> Option<i64> {
    let mut total = 0i64;
    let mut next_unit = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let count: i64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let index = UNITS.iter().position(|(unit, _)| *unit == &rest[..letters])?;
        if index < next_unit {
            return None;
        }
        next_unit = index + 1;
        total = total.checked_add(count.checked_mul(UNITS[index].1)?)?;
        rest = &rest[letters..];
    }
    (next_unit > 0).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_durations() {
        assert_eq!(parse_number("1_000.5"), Some(1000.5));
        assert_eq!(parse_number("1__0"), None);
        assert_eq!(parse_number("0x1F"), Some(31.0));
        assert_eq!(parse_number("010"), Some(8.0));
        assert_eq!(parse_number("2."), Some(2.0));
        assert_eq!(parse_duration_ms("1h30m"), Some(5_400_000));
        assert_eq!(parse_duration_ms("1ms"), Some(1));
        assert_eq!(parse_duration_ms("30m1h"), None);
        assert_eq!(parse_duration_ms("5"), None);
        assert_eq!(parse_duration_ms("9999999999999y"), None);
    }

    #[test]
    fn colons_belong_to_names_outside_brackets() {
        let kinds: Vec<Token> = tokens("a:b[5m:1m]").unwrap().into_iter().map(|t| t.0).collect();
        assert_eq!(kinds[0], Token::MetricWord);
        assert_eq!(kinds[2], Token::Number(300.0, true));
        assert_eq!(kinds[3], Token::Symbol(":"));
    }
}
