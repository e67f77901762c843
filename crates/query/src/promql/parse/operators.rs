//! Reads signs, binary operators and their matching clauses, by precedence.

use std::sync::Arc;

use super::{ParseError, ParseFault, Parsed, Parser};
use crate::promql::ast::{Binary, Expr, Matching, Span, Unary};
use crate::promql::operators::{BINARY, BinaryOp, Cardinality};
use crate::promql::token::{Token, parse_number};

/// Precedence of what a sign applies to: only powers bind tighter.
const SIGN_PRECEDENCE: u8 = 6;

impl Parser<'_> {
    /// Reads an expression of operators that bind at least as tight as `precedence_min`.
    pub(super) fn expression(&mut self, precedence_min: u8) -> Result<Parsed, ParseError> {
        let mut left = self.nested(Self::signed)?;
        while let Some((op, precedence)) = self.binary_operator() {
            if precedence < precedence_min {
                break;
            }
            self.advance();
            let (returns_bool, matching) = self.matching(op)?;
            // Powers group from the right, everything else from the left.
            let right_min = precedence + u8::from(op != BinaryOp::Pow);
            let right = self.nested(|parser| parser.expression(right_min))?;
            let span = Span { start: left.expr.span().start, end: right.expr.span().end };
            let depth = self.above(left.depth.max(right.depth), span)?;
            let (left_expr, right_expr) = (left.expr, right.expr);
            let binary =
                Binary { op, left: left_expr, right: right_expr, returns_bool, matching, span };
            left = Parsed { expr: Expr::Binary(Box::new(binary)), depth };
        }
        Ok(left)
    }

    fn binary_operator(&self) -> Option<(BinaryOp, u8)> {
        let symbol = match self.token() {
            Token::Symbol(symbol) => *symbol,
            Token::Word => self.word(),
            _ => return None,
        };
        let found = BINARY.iter().find(|(name, _, _)| name.eq_ignore_ascii_case(symbol));
        found.map(|(_, op, precedence)| (*op, *precedence))
    }

    fn signed(&mut self) -> Result<Parsed, ParseError> {
        let negative = self.is_symbol("-");
        if !negative && !self.is_symbol("+") {
            return self.postfix();
        }
        let start = self.advance().start;
        let inner = self.nested(|parser| parser.expression(SIGN_PRECEDENCE))?;
        let span = Span { start, end: inner.expr.span().end };
        if let Expr::Number(mut number) = inner.expr {
            number.value = if negative { -number.value } else { number.value };
            number.span = span;
            return Ok(Parsed { expr: Expr::Number(number), depth: inner.depth });
        }
        let depth = self.above(inner.depth, span)?;
        let unary = Unary { negative, expr: inner.expr, span };
        Ok(Parsed { expr: Expr::Unary(Box::new(unary)), depth })
    }

    /// Reads `bool`, `on`/`ignoring`, `group_left`/`group_right` and `fill` clauses.
    fn matching(&mut self, op: BinaryOp) -> Result<(bool, Matching), ParseError> {
        let mut matching = Matching::default();
        let returns_bool = self.is_keyword("bool");
        self.at += usize::from(returns_bool);
        if self.is_keyword("on") || self.is_keyword("ignoring") {
            matching.on = self.is_keyword("on");
            self.advance();
            matching.labels = self.label_list()?;
            matching.has_labels = true;
            self.grouping(&mut matching)?;
        }
        self.fills(&mut matching)?;
        if op.is_set() {
            let clause = if matching.cardinality != Cardinality::OneToOne {
                Some("grouping")
            } else if matching.fill_left.is_some() || matching.fill_right.is_some() {
                Some("fill modifier")
            } else {
                None
            };
            if let Some(clause) = clause {
                return Err(self.error(ParseFault::SetClause { op: op.symbol(), clause }));
            }
            matching.cardinality = Cardinality::ManyToMany;
        }
        Ok((returns_bool, matching))
    }

    fn grouping(&mut self, matching: &mut Matching) -> Result<(), ParseError> {
        let left = self.is_keyword("group_left");
        if !left && !self.is_keyword("group_right") {
            return Ok(());
        }
        let span = self.advance();
        matching.cardinality = if left { Cardinality::ManyToOne } else { Cardinality::OneToMany };
        if self.is_symbol("(") {
            matching.include = self.label_list()?;
        }
        let both = |label: &&Arc<str>| matching.on && matching.include.contains(label);
        if let Some(label) = matching.labels.iter().find(both) {
            let fault = ParseFault::OnAndGroup { label: label.clone() };
            return Err(self.error_at(span, fault));
        }
        Ok(())
    }

    /// Reads `fill(n)`, or `fill_left(n)` and `fill_right(n)` in any order.
    ///
    /// These words are metric names too; they are clauses only before a parenthesis.
    fn fills(&mut self, matching: &mut Matching) -> Result<(), ParseError> {
        while self.peek(1) == &Token::Symbol("(") {
            let (left, right) = match self.word().to_ascii_lowercase().as_str() {
                "fill" => (true, true),
                "fill_left" => (true, false),
                "fill_right" => (false, true),
                _ => return Ok(()),
            };
            let span = self.advance();
            self.expect("(", "\"(\"")?;
            let value = self.signed_number()?;
            self.expect(")", "\")\"")?;
            let taken =
                (left && matching.fill_left.is_some()) || (right && matching.fill_right.is_some());
            if taken {
                return Err(self.error_at(span, ParseFault::Repeated { modifier: "fill" }));
            }
            matching.fill_left = if left { Some(value) } else { matching.fill_left };
            matching.fill_right = if right { Some(value) } else { matching.fill_right };
        }
        Ok(())
    }

    /// Reads a number with an optional sign.
    pub(super) fn signed_number(&mut self) -> Result<f64, ParseError> {
        let negative = self.is_symbol("-");
        if negative || self.is_symbol("+") {
            self.advance();
        }
        let value = match self.token() {
            Token::Number(value, _) => *value,
            _ => match special_number(self.word()) {
                Some(value) => value,
                None => return Err(self.unexpected("a number")),
            },
        };
        self.advance();
        Ok(if negative { -value } else { value })
    }
}

/// The value of the words `Inf` and `NaN`, in any case.
pub(super) fn special_number(word: &str) -> Option<f64> {
    let known = word.eq_ignore_ascii_case("inf") || word.eq_ignore_ascii_case("nan");
    if known { parse_number(word) } else { None }
}
