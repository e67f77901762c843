//! Reads label lists and what stands in a selector's braces.

use std::sync::Arc;

use super::{ParseError, ParseFault, Parser};
use crate::promql::ast::{Expr, Extension, Span, VectorSelector};
use crate::promql::labels::METRIC_NAME;
use crate::promql::matcher::{MatchOp, Matcher};
use crate::promql::text::Text;
use crate::promql::token::Token;

impl Parser<'_> {
    /// Reads a selector's braces, after its name where it has one.
    pub(super) fn selector(&mut self, name: Option<(&str, Span)>) -> Result<Expr, ParseError> {
        let start = name.map_or(self.span().start, |(_, span)| span.start);
        let mut matchers = Vec::new();
        let mut metric: Option<Arc<str>> = None;
        if let Some((word, _)) = name {
            matchers.push(Matcher::metric(word));
            metric = Some(word.into());
        }
        if self.accept("{") {
            while !self.is_symbol("}") {
                let span = self.span();
                let (matcher, is_name) = self.matcher()?;
                if is_name {
                    if let Some(first) = metric {
                        let second = matcher.value;
                        return Err(self.error_at(span, ParseFault::NameTwice { first, second }));
                    }
                    metric = Some(matcher.value.clone());
                }
                matchers.push(matcher);
                if !self.accept(",") {
                    break;
                }
            }
            self.expect("}", "\",\" or \"}\"")?;
        }
        let named_twice = matchers
            .iter()
            .skip(1)
            .find(|m| &*m.name == METRIC_NAME && m.op == MatchOp::Equal && name.is_some());
        let span = Span { start, end: self.last_end() };
        if let (Some(first), Some(matcher)) = (&metric, named_twice) {
            let fault =
                ParseFault::NameTwice { first: first.clone(), second: matcher.value.clone() };
            return Err(self.error_at(span, fault));
        }
        let selector = VectorSelector {
            slot: self.next_slot(),
            name: name.map(|(word, _)| word.into()),
            matchers,
            offset: None,
            at: None,
            extension: Extension::None,
            span,
        };
        Ok(Expr::Vector(selector))
    }

    /// Reads `label op "value"` or a quoted metric name; says which of the two it was.
    fn matcher(&mut self) -> Result<(Matcher, bool), ParseError> {
        let quoted = matches!(self.token(), Token::Text(_));
        let (name, span) = match self.token() {
            Token::Word => {
                let span = self.advance();
                (self.text_of(span).to_owned(), span)
            }
            Token::Text(text) => {
                let text = text.clone();
                let span = self.advance();
                (self.utf8(&text, span, "a quoted name")?, span)
            }
            _ => return Err(self.unexpected("a label name or \"}\"")),
        };
        let op = match self.token() {
            Token::Symbol("=") => MatchOp::Equal,
            Token::Symbol("!=") => MatchOp::NotEqual,
            Token::Symbol("=~") => MatchOp::Regex,
            Token::Symbol("!~") => MatchOp::NotRegex,
            _ if quoted => return Ok((Matcher::metric(&name), true)),
            _ => return Err(self.unexpected("a label matching operator")),
        };
        if name.is_empty() {
            return Err(self.error_at(span, ParseFault::LabelName { name }));
        }
        self.advance();
        let (value, span) = self.string("a string")?;
        let value = self.utf8(&value, span, "a label value")?;
        let matcher = Matcher::new(&name, op, &value).map_err(|error| {
            let fault = ParseFault::Regex { pattern: value.clone(), reason: error.to_string() };
            self.error_at(span, fault)
        })?;
        Ok((matcher, false))
    }

    /// Reads label names in parentheses.
    pub(super) fn label_list(&mut self) -> Result<Vec<Arc<str>>, ParseError> {
        self.expect("(", "\"(\"")?;
        let mut labels = Vec::new();
        while !self.is_symbol(")") {
            match self.token() {
                Token::Word => {
                    let span = self.advance();
                    labels.push(self.text_of(span).into());
                }
                Token::Text(text) => {
                    let text = text.clone();
                    let span = self.advance();
                    let name = self.utf8(&text, span, "a label name")?;
                    if name.is_empty() {
                        return Err(self.error_at(span, ParseFault::LabelName { name }));
                    }
                    labels.push(name.into());
                }
                _ => return Err(self.unexpected("a label name")),
            }
            if !self.accept(",") {
                break;
            }
        }
        self.expect(")", "\",\" or \")\"")?;
        Ok(labels)
    }

    fn utf8(&self, text: &Text, span: Span, place: &'static str) -> Result<String, ParseError> {
        match text.as_str() {
            Some(valid) => Ok(valid.to_owned()),
            None => Err(self.error_at(span, ParseFault::NotText { place })),
        }
    }
}
