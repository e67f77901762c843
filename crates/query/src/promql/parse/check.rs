//! Checks the kinds of all parts of a query.

use super::{ParseError, ParseFault};
use crate::promql::ast::{Aggregate, Binary, Call, Expr, Kind, VectorSelector};
use crate::promql::functions::Builtin;

/// Checks an expression and everything below it.
pub(super) fn check(query: &str, expr: &Expr) -> Result<(), ParseError> {
    let info = matches!(expr, Expr::Call(call) if matches!(call.function.builtin, Builtin::Info));
    for (index, child) in expr.children().into_iter().enumerate() {
        // The second argument of info() is a set of label conditions, which may be empty.
        if !(info && index == 1 && matches!(child, Expr::Vector(_))) {
            check(query, child)?;
        }
    }
    match expr {
        Expr::Number(_) | Expr::String(_) | Expr::Paren(_) => Ok(()),
        Expr::Vector(selector) => check_selector(query, selector),
        Expr::Matrix(matrix) => check_selector(query, &matrix.selector),
        Expr::Subquery(subquery) => expect(query, &subquery.expr, Kind::Vector, "subquery"),
        Expr::Call(call) => check_call(query, call),
        Expr::Aggregate(aggregate) => check_aggregate(query, aggregate),
        Expr::Unary(unary) => expect_number(query, &unary.expr, "unary expression"),
        Expr::Binary(binary) => check_binary(query, binary),
    }
}

fn check_selector(query: &str, selector: &VectorSelector) -> Result<(), ParseError> {
    if selector.matchers.iter().all(|matcher| matcher.matches("")) {
        return Err(ParseError::new(query, selector.span, ParseFault::EmptySelector));
    }
    Ok(())
}

fn expect(query: &str, expr: &Expr, kind: Kind, place: &str) -> Result<(), ParseError> {
    let found = expr.kind();
    if found == kind {
        return Ok(());
    }
    let expected = match kind {
        Kind::Scalar => "scalar",
        Kind::Vector => "instant vector",
        Kind::Matrix => "range vector",
        Kind::String => "string",
    };
    let fault = ParseFault::Kind { place: place.to_owned(), expected, found };
    Err(ParseError::new(query, expr.span(), fault))
}

fn expect_number(query: &str, expr: &Expr, place: &str) -> Result<(), ParseError> {
    let found = expr.kind();
    if matches!(found, Kind::Scalar | Kind::Vector) {
        return Ok(());
    }
    let expected = "scalar or instant vector";
    let fault = ParseFault::Kind { place: place.to_owned(), expected, found };
    Err(ParseError::new(query, expr.span(), fault))
}

fn check_call(query: &str, call: &Call) -> Result<(), ParseError> {
    let function = call.function;
    let (declared, found) = (function.args.len(), call.args.len());
    let optional = usize::from(function.variadic.unsigned_abs().min(1));
    let fewest = declared - optional.min(declared);
    let most = if function.variadic < 0 { usize::MAX } else { declared };
    if found < fewest || found > most {
        let expected = match (function.variadic, found < fewest) {
            (0, _) => declared.to_string(),
            (_, true) => format!("at least {fewest}"),
            (_, false) => format!("at most {most}"),
        };
        let fault = ParseFault::Arguments { name: function.name, expected, found };
        return Err(ParseError::new(query, call.span, fault));
    }
    let place = format!("call to function {:?}", function.name);
    for (index, arg) in call.args.iter().enumerate() {
        let kind = function.args[index.min(declared - 1)];
        if kind == Kind::String && !matches!(arg.bare(), Expr::String(_)) {
            let found = arg.kind();
            let fault = ParseFault::Kind { place, expected: "string", found };
            return Err(ParseError::new(query, arg.span(), fault));
        }
        expect(query, arg, kind, &place)?;
    }
    if matches!(function.builtin, Builtin::Info)
        && let Some(second) = call.args.get(1)
        && !matches!(second, Expr::Vector(selector) if selector.name.is_none())
    {
        let expected = "label matchers in braces";
        let fault = ParseFault::Kind { place, expected, found: second.kind() };
        return Err(ParseError::new(query, second.span(), fault));
    }
    Ok(())
}

fn check_aggregate(query: &str, aggregate: &Aggregate) -> Result<(), ParseError> {
    let place = format!("aggregation {:?}", aggregate.op.name());
    expect(query, &aggregate.expr, Kind::Vector, &place)?;
    match (&aggregate.param, aggregate.op.parameter()) {
        (Some(param), Some(kind)) => expect(query, param, kind, &place),
        _ => Ok(()),
    }
}

fn check_binary(query: &str, binary: &Binary) -> Result<(), ParseError> {
    let fail = |fault| Err(ParseError::new(query, binary.span, fault));
    let comparison = binary.op.is_comparison();
    if binary.returns_bool && !comparison {
        return fail(ParseFault::NeedsComparison);
    }
    expect_number(query, &binary.left, "binary expression")?;
    expect_number(query, &binary.right, "binary expression")?;
    let scalars = [&binary.left, &binary.right].iter().filter(|e| e.kind() == Kind::Scalar).count();
    if comparison && !binary.returns_bool && scalars == 2 {
        return fail(ParseFault::NeedsBool);
    }
    if scalars > 0 {
        let matching = &binary.matching;
        if binary.op.is_set() {
            return fail(ParseFault::SetOfScalars { op: binary.op.symbol() });
        }
        if matching.has_labels || matching.fill_left.is_some() || matching.fill_right.is_some() {
            return fail(ParseFault::MatchingScalars);
        }
        if binary.op.is_trim() && scalars == 2 {
            return fail(ParseFault::SetOfScalars { op: binary.op.symbol() });
        }
    }
    Ok(())
}
