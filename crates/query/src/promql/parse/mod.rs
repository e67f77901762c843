//! Reads a query: from text to a checked [`Expr`].
//!
//! Holds: every accepted tree is at most [`DEPTH_MAX`] deep and has the right kinds everywhere.
//! Written for this engine because the available parser crate lacks much of today's language
//! (docs/decisions/0010-promql-parser.md).

mod check;
mod duration;
mod error;
mod operators;
mod primary;
mod selector;

use super::ast::{Expr, Extension, Span, VectorSelector};
use super::matcher::Matcher;
use super::text::Text;
use super::token::{Token, tokens};

pub use error::{ParseError, ParseFault};

/// Deepest nesting of a query's expressions.
pub const DEPTH_MAX: usize = 160;

/// Longest query, in bytes.
pub const QUERY_BYTES_MAX: usize = 1 << 18;

/// A parsed query.
#[derive(Clone, Debug)]
pub struct Query {
    /// What to evaluate.
    pub expr: Expr,
    /// How many selections its selectors read: their slots are `0..selections`.
    pub selections: usize,
}

/// Reads a query and checks the kinds of all its parts.
///
/// # Errors
///
/// [`ParseError`] names the place, what was found and what was expected.
pub fn parse(query: &str) -> Result<Query, ParseError> {
    if query.len() > QUERY_BYTES_MAX {
        let fault = ParseFault::TooLong { bytes_max: QUERY_BYTES_MAX };
        return Err(ParseError::new("", Span::default(), fault));
    }
    let tokens = tokens(query)?;
    let mut parser = Parser { query, tokens, at: 0, nesting: 0, slots: 0, duration_nodes: 0 };
    if parser.token() == &Token::End {
        return Err(parser.error(ParseFault::Empty));
    }
    let parsed = parser.expression(0)?;
    if parser.token() != &Token::End {
        return Err(parser.unexpected("an operator or the end of the query"));
    }
    check::check(query, &parsed.expr)?;
    Ok(Query { expr: parsed.expr, selections: parser.slots })
}

/// Reads a selector without range, offset or `@`, as `match[]` parameters hold it.
///
/// # Errors
///
/// [`ParseError`] where it is something else.
pub fn parse_selector(selector: &str) -> Result<Vec<Matcher>, ParseError> {
    let parsed = parse(selector)?;
    match parsed.expr {
        Expr::Vector(VectorSelector {
            matchers,
            offset: None,
            at: None,
            extension: Extension::None,
            ..
        }) => Ok(matchers),
        other => {
            let (place, expected) = ("a series selector".to_owned(), "plain instant vector");
            let fault = ParseFault::Kind { place, expected, found: other.kind() };
            Err(ParseError::new(selector, other.span(), fault))
        }
    }
}

/// An expression and how deep it is.
struct Parsed {
    expr: Expr,
    depth: usize,
}

struct Parser<'q> {
    query: &'q str,
    tokens: Vec<(Token, Span)>,
    at: usize,
    nesting: usize,
    slots: usize,
    duration_nodes: usize,
}

impl<'q> Parser<'q> {
    fn token(&self) -> &Token {
        self.tokens.get(self.at).map_or(&Token::End, |(token, _)| token)
    }

    fn peek(&self, ahead: usize) -> &Token {
        self.tokens.get(self.at + ahead).map_or(&Token::End, |(token, _)| token)
    }

    fn span(&self) -> Span {
        let end = Span { start: self.query.len(), end: self.query.len() };
        self.tokens.get(self.at).map_or(end, |(_, span)| *span)
    }

    /// Where the token before this one ended.
    fn last_end(&self) -> usize {
        self.at.checked_sub(1).and_then(|at| self.tokens.get(at)).map_or(0, |(_, span)| span.end)
    }

    fn text_of(&self, span: Span) -> &'q str {
        &self.query[span.start..span.end]
    }

    /// The word at this token, or "" when it is no word.
    fn word(&self) -> &'q str {
        match self.token() {
            Token::Word | Token::MetricWord => self.text_of(self.span()),
            _ => "",
        }
    }

    /// Whether this token is a keyword, in any case.
    fn is_keyword(&self, keyword: &str) -> bool {
        self.token() == &Token::Word && self.word().eq_ignore_ascii_case(keyword)
    }

    fn is_symbol(&self, symbol: &str) -> bool {
        matches!(self.token(), Token::Symbol(found) if *found == symbol)
    }

    fn advance(&mut self) -> Span {
        let span = self.span();
        self.at += 1;
        span
    }

    /// Takes a symbol if it is next.
    fn accept(&mut self, symbol: &str) -> bool {
        let found = self.is_symbol(symbol);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: &str, expected: &'static str) -> Result<Span, ParseError> {
        if self.is_symbol(symbol) { Ok(self.advance()) } else { Err(self.unexpected(expected)) }
    }

    /// Takes a string literal.
    fn string(&mut self, expected: &'static str) -> Result<(Text, Span), ParseError> {
        let Token::Text(text) = self.token().clone() else {
            return Err(self.unexpected(expected));
        };
        let span = self.advance();
        Ok((text, span))
    }

    fn error(&self, fault: ParseFault) -> ParseError {
        self.error_at(self.span(), fault)
    }

    fn error_at(&self, span: Span, fault: ParseFault) -> ParseError {
        ParseError::new(self.query, span, fault)
    }

    fn unexpected(&self, expected: &'static str) -> ParseError {
        let span = self.span();
        let found = match self.token() {
            Token::End => "the end of the query",
            _ => self.text_of(span),
        };
        ParseError::unexpected(self.query, span, found, expected)
    }

    fn next_slot(&mut self) -> usize {
        self.slots += 1;
        self.slots - 1
    }

    /// Runs a part of the parser one level deeper.
    fn nested<T>(
        &mut self,
        part: impl FnOnce(&mut Self) -> Result<T, ParseError>,
    ) -> Result<T, ParseError> {
        if self.nesting >= DEPTH_MAX {
            return Err(self.error(ParseFault::TooDeep { depth_max: DEPTH_MAX }));
        }
        self.nesting += 1;
        let result = part(self);
        self.nesting -= 1;
        result
    }

    /// The depth of a node above others.
    fn above(&self, below: usize, span: Span) -> Result<usize, ParseError> {
        if below >= DEPTH_MAX {
            return Err(self.error_at(span, ParseFault::TooDeep { depth_max: DEPTH_MAX }));
        }
        Ok(below + 1)
    }
}
