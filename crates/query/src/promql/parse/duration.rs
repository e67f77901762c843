//! Reads durations and arithmetic on them.
//!
//! In brackets any arithmetic may stand; after `offset` only one operand unless in parentheses.

use super::{ParseError, ParseFault, Parser};
use crate::promql::ast::{DurationExpr, Span};
use crate::promql::operators::BinaryOp;
use crate::promql::token::Token;

/// Operators of duration arithmetic with their precedence.
const OPERATORS: [(&str, BinaryOp, u8); 6] = [
    ("+", BinaryOp::Add, 1),
    ("-", BinaryOp::Sub, 1),
    ("*", BinaryOp::Mul, 2),
    ("/", BinaryOp::Div, 2),
    ("%", BinaryOp::Mod, 2),
    ("^", BinaryOp::Pow, 3),
];

impl Parser<'_> {
    /// Reads a duration in brackets; a literal one must be positive.
    pub(super) fn positive_duration(&mut self) -> Result<DurationExpr, ParseError> {
        self.duration_nodes = 0;
        let duration = self.duration(0)?;
        match duration {
            DurationExpr::Seconds(seconds, _, span) if seconds.is_nan() || seconds <= 0.0 => {
                Err(self.error_at(span, ParseFault::NotPositive))
            }
            _ => Ok(duration),
        }
    }

    /// Reads the operand of `offset`.
    pub(super) fn offset_duration(&mut self) -> Result<DurationExpr, ParseError> {
        self.duration_nodes = 0;
        self.nested(Self::duration_operand)
    }

    fn duration(&mut self, precedence_min: u8) -> Result<DurationExpr, ParseError> {
        let mut left = self.nested(Self::duration_operand)?;
        while let Some((op, precedence)) = self.duration_operator() {
            if precedence < precedence_min {
                break;
            }
            self.duration_nodes = self.above(self.duration_nodes, left.span())?;
            self.advance();
            let right_min = precedence + u8::from(op != BinaryOp::Pow);
            let right = self.nested(|parser| parser.duration(right_min))?;
            let span = Span { start: left.span().start, end: right.span().end };
            left = DurationExpr::Binary(op, Box::new((left, right)), span);
        }
        Ok(left)
    }

    fn duration_operator(&self) -> Option<(BinaryOp, u8)> {
        let Token::Symbol(symbol) = self.token() else {
            return None;
        };
        let found = OPERATORS.iter().find(|(name, _, _)| name == symbol);
        found.map(|(_, op, precedence)| (*op, *precedence))
    }

    fn duration_operand(&mut self) -> Result<DurationExpr, ParseError> {
        let start = self.span().start;
        let expected = "number, duration, step(), range(), min_of() or max_of()";
        match self.token() {
            Token::Number(seconds, duration) => {
                let (seconds, duration) = (*seconds, *duration);
                Ok(DurationExpr::Seconds(seconds, duration, self.advance()))
            }
            Token::Symbol("(") => {
                self.advance();
                let inner = self.nested(|parser| parser.duration(0))?;
                let end = self.expect(")", "\")\"")?.end;
                Ok(DurationExpr::Paren(Box::new(inner), Span { start, end }))
            }
            Token::Symbol(sign @ ("-" | "+")) => {
                let negative = *sign == "-";
                self.advance();
                let inner = self.nested(Self::signed_operand)?;
                let span = Span { start, end: inner.span().end };
                if let DurationExpr::Seconds(seconds, duration, _) = inner {
                    let seconds = if negative { -seconds } else { seconds };
                    return Ok(DurationExpr::Seconds(seconds, duration, span));
                }
                Ok(DurationExpr::Sign(negative, Box::new(inner), span))
            }
            Token::Word if self.peek(1) == &Token::Symbol("(") => self.duration_call(expected),
            _ => Err(self.unexpected(expected)),
        }
    }

    /// Reads what a sign in a duration applies to: in brackets powers bind tighter.
    fn signed_operand(&mut self) -> Result<DurationExpr, ParseError> {
        if self.in_brackets() { self.duration(3) } else { self.duration_operand() }
    }

    /// Whether this token stands inside brackets or parentheses of a duration.
    fn in_brackets(&self) -> bool {
        let before = self.tokens[..self.at.min(self.tokens.len())].iter().rev();
        let mut signs = before.skip_while(|(token, _)| matches!(token, Token::Symbol("-" | "+")));
        !matches!(signs.next(), Some((Token::Word, _)))
    }

    fn duration_call(&mut self, expected: &'static str) -> Result<DurationExpr, ParseError> {
        let start = self.span().start;
        let name = self.word().to_ascii_lowercase();
        let pair = match name.as_str() {
            "step" | "range" => false,
            "min" | "max" | "min_of" | "max_of" => true,
            _ => return Err(self.unexpected(expected)),
        };
        self.advance();
        self.expect("(", "\"(\"")?;
        if !pair {
            let span = Span { start, end: self.expect(")", "\")\"")?.end };
            let step = name == "step";
            return Ok(if step { DurationExpr::Step(span) } else { DurationExpr::Range(span) });
        }
        let first = self.nested(|parser| parser.duration(0))?;
        self.expect(",", "\",\"")?;
        let second = self.nested(|parser| parser.duration(0))?;
        let span = Span { start, end: self.expect(")", "\")\"")?.end };
        let both = Box::new((first, second));
        Ok(if name.starts_with("min") {
            DurationExpr::Min(both, span)
        } else {
            DurationExpr::Max(both, span)
        })
    }
}
