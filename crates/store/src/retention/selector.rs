//! Reads selectors: `{stack="batch",service=~"etl.*"}`.
//!
//! Not here: PromQL, which has more (`query`).

use plimsoll_model::{ErrorClass, Filter, Matcher, MatcherError};

/// Why a text is not a selector.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SelectorError {
    /// The text does not have the form `{label="value",...}`.
    #[error("{text:?} is not a selector at byte {at}: expected {expected}")]
    Syntax {
        /// The text.
        text: String,
        /// Where.
        at: usize,
        /// What should stand there.
        expected: &'static str,
    },
    /// A pattern does not compile.
    #[error("the selector cannot be used")]
    Matcher(#[from] MatcherError),
}

impl SelectorError {
    /// Always the asker's mistake.
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Invalid
    }
}

/// Reads a selector; `{}` accepts everything.
///
/// Labels are letters, digits and `_`; values stand in double quotes, with `\"`, `\\` and `\n`.
///
/// # Errors
///
/// [`SelectorError`] says where the text is wrong.
pub fn parse_selector(text: &str) -> Result<Filter, SelectorError> {
    let mut input = Input { text, at: 0 };
    input.space();
    input.take("{", "{")?;
    let mut filter = Filter::default();
    input.space();
    while !input.rest().starts_with('}') {
        filter.push(input.matcher()?);
        input.space();
        if !input.rest().starts_with('}') {
            input.take(",", ", or }")?;
            input.space();
        }
    }
    input.take("}", "}")?;
    input.space();
    if input.rest().is_empty() { Ok(filter) } else { Err(input.wrong("the end")) }
}

struct Input<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Input<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn wrong(&self, expected: &'static str) -> SelectorError {
        SelectorError::Syntax { text: self.text.to_owned(), at: self.at, expected }
    }

    fn space(&mut self) {
        let rest = self.rest();
        let skipped = rest.len().saturating_sub(rest.trim_start().len());
        self.at = self.at.saturating_add(skipped);
    }

    fn take(&mut self, token: &str, expected: &'static str) -> Result<(), SelectorError> {
        if !self.rest().starts_with(token) {
            return Err(self.wrong(expected));
        }
        self.at = self.at.saturating_add(token.len());
        Ok(())
    }

    fn matcher(&mut self) -> Result<Matcher, SelectorError> {
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let label = rest.get(..end.unwrap_or(rest.len())).unwrap_or("");
        if label.is_empty() {
            return Err(self.wrong("a label"));
        }
        self.at = self.at.saturating_add(label.len());
        self.space();
        // The longer ones first.
        let operator = ["=~", "!~", "!=", "="].into_iter().find(|o| self.rest().starts_with(o));
        let operator = operator.ok_or_else(|| self.wrong("=, !=, =~ or !~"))?;
        self.at = self.at.saturating_add(operator.len());
        self.space();
        let value = self.quoted()?;
        Ok(match operator {
            "=~" => Matcher::matches(label, &value)?,
            "!~" => Matcher::not_matches(label, &value)?,
            "!=" => Matcher::not_equal(label, value),
            _ => Matcher::equal(label, value),
        })
    }

    fn quoted(&mut self) -> Result<String, SelectorError> {
        self.take("\"", "a value in double quotes")?;
        let mut value = String::new();
        let mut characters = self.rest().char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.at = self.at.saturating_add(at).saturating_add(1);
                    return Ok(value);
                }
                '\\' => match characters.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, escaped)) => value.push(escaped),
                    None => break,
                },
                other => value.push(other),
            }
        }
        self.at = self.text.len();
        Err(self.wrong("a closing quote"))
    }
}
