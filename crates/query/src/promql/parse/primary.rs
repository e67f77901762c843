//! Reads literals, parentheses, calls, aggregations and what may follow them.

use std::sync::Arc;

use super::operators::special_number;
use super::{ParseError, ParseFault, Parsed, Parser};
use crate::promql::ast::{
    Aggregate, At, Call, DurationExpr, Expr, Extension, MatrixSelector, Number, Paren, Span,
    StringLiteral, Subquery,
};
use crate::promql::functions;
use crate::promql::operators::{AGGREGATES, AggregateOp};
use crate::promql::token::Token;

/// Words that only have a meaning after an operator.
const RESERVED: [&str; 5] = ["bool", "on", "ignoring", "group_left", "group_right"];

/// Labels to group by, and whether they are what to leave out.
type Grouping = (bool, Vec<Arc<str>>);

impl Parser<'_> {
    /// Reads an expression with the ranges, offsets and times that follow it.
    pub(super) fn postfix(&mut self) -> Result<Parsed, ParseError> {
        let mut parsed = self.primary()?;
        loop {
            if self.is_symbol("[") {
                parsed = self.range(parsed)?;
            } else if self.is_keyword("offset") {
                let span = self.advance();
                let offset = self.offset_duration()?;
                self.set_offset(&mut parsed.expr, offset, span)?;
            } else if self.is_symbol("@") {
                let span = self.advance();
                let at = self.at_time()?;
                self.set_at(&mut parsed.expr, at, span)?;
            } else if self.is_keyword("anchored") || self.is_keyword("smoothed") {
                let smoothed = self.is_keyword("smoothed");
                let span = self.advance();
                self.set_extension(&mut parsed.expr, smoothed, span)?;
            } else {
                return Ok(parsed);
            }
        }
    }

    fn primary(&mut self) -> Result<Parsed, ParseError> {
        let expr = match self.token() {
            Token::Symbol("(") => return self.parentheses(),
            Token::Symbol("{") => self.selector(None)?,
            Token::Number(value, duration) => {
                let (value, duration) = (*value, *duration);
                Expr::Number(Number { value, duration, span: self.advance() })
            }
            Token::Text(value) => {
                let value = value.clone();
                Expr::String(StringLiteral { value, span: self.advance() })
            }
            Token::Word | Token::MetricWord => return self.word_expression(),
            Token::Symbol(_) | Token::End => return Err(self.unexpected("an expression")),
        };
        Ok(Parsed { expr, depth: 1 })
    }

    fn parentheses(&mut self) -> Result<Parsed, ParseError> {
        let start = self.advance().start;
        let inner = self.nested(|parser| parser.expression(0))?;
        let end = self.expect(")", "an operator or \")\"")?.end;
        let span = Span { start, end };
        let depth = self.above(inner.depth, span)?;
        Ok(Parsed { expr: Expr::Paren(Box::new(Paren { expr: inner.expr, span })), depth })
    }

    /// Reads what starts with a word: a number, an aggregation, a call or a selector.
    fn word_expression(&mut self) -> Result<Parsed, ParseError> {
        let word = self.word();
        let lower = word.to_ascii_lowercase();
        let call = self.peek(1) == &Token::Symbol("(");
        if let Some(value) = special_number(word) {
            let number = Number { value, duration: false, span: self.advance() };
            return Ok(Parsed { expr: Expr::Number(number), depth: 1 });
        }
        if let Some((_, op)) = AGGREGATES.iter().find(|(name, _)| *name == lower)
            && (call || self.next_is_grouping())
        {
            return self.aggregation(*op);
        }
        if call && self.token() == &Token::Word {
            return self.call(word);
        }
        if RESERVED.contains(&lower.as_str()) {
            return Err(self.unexpected("an expression"));
        }
        let span = self.advance();
        Ok(Parsed { expr: self.selector(Some((word, span)))?, depth: 1 })
    }

    fn next_is_grouping(&self) -> bool {
        let next = self.tokens.get(self.at + 1);
        next.is_some_and(|(token, span)| {
            let text = self.text_of(*span);
            token == &Token::Word
                && (text.eq_ignore_ascii_case("by") || text.eq_ignore_ascii_case("without"))
        })
    }

    /// Reads expressions in parentheses, separated by commas; returns the deepest one's depth.
    fn arguments(&mut self) -> Result<(Vec<Expr>, usize, Span), ParseError> {
        let start = self.expect("(", "\"(\"")?.start;
        let (mut args, mut depth) = (Vec::new(), 0);
        if !self.is_symbol(")") {
            loop {
                let arg = self.nested(|parser| parser.expression(0))?;
                depth = depth.max(arg.depth);
                args.push(arg.expr);
                if !self.accept(",") {
                    break;
                }
            }
        }
        let end = self.expect(")", "an operator, \",\" or \")\"")?.end;
        Ok((args, depth, Span { start, end }))
    }

    fn call(&mut self, name: &str) -> Result<Parsed, ParseError> {
        // `start`, `end`, `step` and `range` are keywords and so may be written in any case.
        let lower = name.to_ascii_lowercase();
        let keyword = ["start", "end", "step", "range"].contains(&lower.as_str());
        let Some(function) = functions::find(if keyword { &lower } else { name }) else {
            let fault = ParseFault::UnknownFunction { name: name.to_owned() };
            return Err(self.error(fault));
        };
        let start = self.advance().start;
        let (args, depth, inner) = self.arguments()?;
        let span = Span { start, end: inner.end };
        let depth = self.above(depth, span)?;
        let slot = match function.builtin {
            functions::Builtin::Info => self.next_slot(),
            _ => 0,
        };
        Ok(Parsed { expr: Expr::Call(Call { function, args, slot, span }), depth })
    }

    fn aggregation(&mut self, op: AggregateOp) -> Result<Parsed, ParseError> {
        let start = self.advance().start;
        let mut clause = self.grouping_clause()?;
        let (mut args, depth, inner) = self.arguments()?;
        if clause.is_none() {
            clause = self.grouping_clause()?;
        }
        let span = Span { start, end: self.last_end().max(inner.end) };
        let wanted = 1 + usize::from(op.parameter().is_some());
        let found = args.len();
        let fault = ParseFault::Arguments { name: op.name(), expected: wanted.to_string(), found };
        let Some(expr) = args.pop().filter(|_| found == wanted) else {
            return Err(self.error_at(inner, fault));
        };
        let depth = self.above(depth, span)?;
        let (without, grouping) = clause.unwrap_or_default();
        let aggregate = Aggregate { op, expr, param: args.pop(), grouping, without, span };
        Ok(Parsed { expr: Expr::Aggregate(Box::new(aggregate)), depth })
    }

    /// Reads `by (labels)` or `without (labels)`.
    fn grouping_clause(&mut self) -> Result<Option<Grouping>, ParseError> {
        let without = self.is_keyword("without");
        if !without && !self.is_keyword("by") {
            return Ok(None);
        }
        self.advance();
        Ok(Some((without, self.label_list()?)))
    }

    /// Reads `[range]` or `[range:step]` after an expression.
    fn range(&mut self, parsed: Parsed) -> Result<Parsed, ParseError> {
        let open = self.advance();
        let range = self.positive_duration()?;
        let start = parsed.expr.span().start;
        if self.accept(":") {
            let step = if self.is_symbol("]") { None } else { Some(self.positive_duration()?) };
            let end = self.expect("]", "a duration or \"]\"")?.end;
            let span = Span { start, end };
            let depth = self.above(parsed.depth, span)?;
            let expr = parsed.expr;
            let subquery = Subquery { expr, range, step, offset: None, at: None, span };
            return Ok(Parsed { expr: Expr::Subquery(Box::new(subquery)), depth });
        }
        let end = self.expect("]", "\":\" or \"]\"")?.end;
        let clause = Span { start: open.start, end };
        let Expr::Vector(selector) = parsed.expr else {
            let expected = "a vector selector";
            let fault = ParseFault::Modifier { modifier: "a range", expected };
            return Err(self.error_at(clause, fault));
        };
        let early = if selector.offset.is_some() {
            Some("offset modifiers")
        } else if selector.at.is_some() {
            Some("@ modifiers")
        } else if selector.extension != Extension::None {
            Some("anchored or smoothed modifiers")
        } else {
            None
        };
        if let Some(modifier) = early {
            return Err(self.error_at(clause, ParseFault::BeforeRange { modifier }));
        }
        let matrix = MatrixSelector { selector, range, span: Span { start, end } };
        Ok(Parsed { expr: Expr::Matrix(matrix), depth: parsed.depth })
    }

    /// Reads `seconds`, `start()` or `end()` after `@`.
    fn at_time(&mut self) -> Result<At, ParseError> {
        if self.is_keyword("start") || self.is_keyword("end") {
            let at = if self.is_keyword("start") { At::Start } else { At::End };
            self.advance();
            self.expect("(", "\"(\"")?;
            self.expect(")", "\")\"")?;
            return Ok(at);
        }
        let span = self.span();
        let seconds = self.signed_number()?;
        let ms = (seconds * 1000.0).round();
        if !ms.is_finite() || ms.abs() >= i64::MAX as f64 / 2.0 {
            return Err(self.error_at(span, ParseFault::Timestamp { seconds }));
        }
        Ok(At::Time(ms as i64))
    }

    fn set_offset(
        &self,
        expr: &mut Expr,
        offset: DurationExpr,
        span: Span,
    ) -> Result<(), ParseError> {
        let place = match expr {
            Expr::Vector(selector) => &mut selector.offset,
            Expr::Matrix(matrix) => &mut matrix.selector.offset,
            Expr::Subquery(subquery) => &mut subquery.offset,
            _ => return Err(self.misplaced("offset modifier", span)),
        };
        if place.replace(offset).is_some() {
            return Err(self.error_at(span, ParseFault::Repeated { modifier: "offset" }));
        }
        self.extend_span(expr);
        Ok(())
    }

    fn set_at(&self, expr: &mut Expr, at: At, span: Span) -> Result<(), ParseError> {
        let place = match expr {
            Expr::Vector(selector) => &mut selector.at,
            Expr::Matrix(matrix) => &mut matrix.selector.at,
            Expr::Subquery(subquery) => &mut subquery.at,
            _ => return Err(self.misplaced("@ modifier", span)),
        };
        if place.replace(at).is_some() {
            return Err(self.error_at(span, ParseFault::Repeated { modifier: "@ <timestamp>" }));
        }
        self.extend_span(expr);
        Ok(())
    }

    fn set_extension(&self, expr: &mut Expr, smoothed: bool, span: Span) -> Result<(), ParseError> {
        let place = match expr {
            Expr::Vector(selector) if smoothed => &mut selector.extension,
            Expr::Matrix(matrix) => &mut matrix.selector.extension,
            _ if smoothed => return Err(self.misplaced("smoothed modifier", span)),
            _ => {
                let expected = "a range selector";
                let fault = ParseFault::Modifier { modifier: "anchored modifier", expected };
                return Err(self.error_at(span, fault));
            }
        };
        let wanted = if smoothed { Extension::Smoothed } else { Extension::Anchored };
        let before = std::mem::replace(place, wanted);
        let fault = match before {
            Extension::None => {
                self.extend_span(expr);
                return Ok(());
            }
            same if same == wanted => ParseFault::Repeated { modifier: "anchored or smoothed" },
            _ => ParseFault::AnchoredAndSmoothed,
        };
        Err(self.error_at(span, fault))
    }

    fn misplaced(&self, modifier: &'static str, span: Span) -> ParseError {
        let expected = "an instant vector selector or range vector selector or a subquery";
        self.error_at(span, ParseFault::Modifier { modifier, expected })
    }

    /// Lets an expression's span reach to the last token read.
    fn extend_span(&self, expr: &mut Expr) {
        let end = self.last_end();
        match expr {
            Expr::Vector(selector) => selector.span.end = end,
            Expr::Matrix(matrix) => matrix.span.end = end,
            Expr::Subquery(subquery) => subquery.span.end = end,
            _ => {}
        }
    }
}
