//! What faulty queries are told: place, what was found, what was expected.

use plimsoll_model::ErrorClass;
use plimsoll_query::promql::{parse, parse_selector};

#[test]
fn faulty_queries_name_place_and_expectation() {
    let cases = [
        ("", "1:1: parse error: no expression found in input"),
        ("sum(", "1:5: parse error: unexpected the end of the query, expected an expression"),
        ("foo{a=}", "1:7: parse error: unexpected \"}\", expected a string"),
        ("foo{a 1}", "1:7: parse error: unexpected \"1\", expected a label matching operator"),
        ("foo bar", "1:5: parse error: unexpected \"bar\", expected an operator or the end"),
        ("foo\n  + )", "2:5: parse error: unexpected \")\", expected an expression"),
        ("foo[5m", "1:7: parse error: unexpected"),
        ("foo[0s]", "1:5: parse error: duration must be greater than 0"),
        ("foo[5x]", "1:5: parse error: unexpected \"5x\", expected a number or duration"),
        ("rate(foo)", "1:6: parse error: expected type range vector in call to function \"rate\""),
        ("nope(foo)", "1:1: parse error: unknown function with name \"nope\""),
        ("rate()", "1:1: parse error: expected 1 argument(s) in call to \"rate\", got 0"),
        ("round(foo, 1, 2)", "1:1: parse error: expected at most 2 argument(s)"),
        ("label_join(foo)", "1:1: parse error: expected at least 3 argument(s)"),
        ("topk(foo)", "1:5: parse error: expected 2 argument(s) in call to \"topk\", got 1"),
        ("{}", "1:1: parse error: vector selector must contain at least one non-empty matcher"),
        ("{a=\"\"}", "1:1: parse error: vector selector must contain at least one non-empty"),
        ("foo{__name__=\"bar\"}", "1:1: parse error: metric name must not be set twice"),
        ("foo{\"bar\"}", "1:5: parse error: metric name must not be set twice"),
        ("foo{a=~\"(\"}", "1:8: parse error: invalid regular expression \"(\""),
        ("1 == 2", "1:1: parse error: comparisons between scalars must use BOOL modifier"),
        ("foo + bool bar", "1:1: parse error: bool modifier can only be used on comparison"),
        ("1 and 2", "1:1: parse error: set operator \"and\" not allowed in binary scalar"),
        ("1 + on(a) 2", "1:1: parse error: vector matching only allowed between instant vectors"),
        ("foo and on(a) group_left bar", "1:26: parse error: no grouping allowed for \"and\""),
        ("foo or fill(0) bar", "1:16: parse error: no fill modifier allowed for \"or\""),
        ("foo * on(a) group_left(a) bar", "1:13: parse error: label \"a\" must not occur in ON"),
        ("foo offset 5m offset 5m", "1:15: parse error: offset may not be set multiple times"),
        ("foo offset 5m[5m]", "1:14: parse error: no offset modifiers allowed before range"),
        ("(foo) offset 5m", "1:7: parse error: offset modifier must be preceded by"),
        ("foo anchored", "1:5: parse error: anchored modifier must be preceded by a range"),
        ("foo[5m] anchored smoothed", "1:18: parse error: anchored and smoothed modifiers cannot"),
        ("foo @ 1e300", "1:7: parse error: timestamp out of bounds for @ modifier"),
        ("foo @ bar", "1:7: parse error: unexpected \"bar\", expected a number"),
        ("1[5m:1m]", "1:1: parse error: expected type instant vector in subquery, got scalar"),
        ("-\"a\"", "1:2: parse error: expected type scalar or instant vector in unary expression"),
        ("\"a", "1:1: parse error: unexpected an unterminated string, expected a closing quote"),
        ("\"\\q\"", "1:1: parse error: unexpected"),
        ("foo $ bar", "1:5: parse error: unexpected \"$\", expected an operator or the end"),
        ("foo ? bar", "1:5: parse error: unexpected \"?\", expected an expression or operator"),
        ("sum by foo (bar)", "1:8: parse error: unexpected \"foo\", expected \"(\""),
        ("sum(foo,)", "1:9: parse error: unexpected \")\", expected an expression"),
        ("info(foo, bar)", "1:11: parse error: expected type label matchers in braces"),
    ];
    for (query, expected) in cases {
        let error = parse(query).expect_err(query);
        let text = error.to_string();
        assert!(text.starts_with(expected), "{query:?} says\n  {text}\nnot\n  {expected}");
        assert_eq!(error.class(), ErrorClass::Invalid);
    }
}

#[test]
fn selectors_are_read_alone() {
    let matchers = parse_selector("up{job=~\"a|b\", node!=\"c\"}").unwrap();
    let shown: Vec<String> = matchers.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["__name__=\"up\"", "job=~\"a|b\"", "node!=\"c\""]);
    for other in ["up[5m]", "up offset 1m", "up @ 1", "1", "sum(up)", "(up)", "{}"] {
        assert!(parse_selector(other).is_err(), "{other}");
    }
}

#[test]
fn queries_are_written_in_one_form() {
    let cases = [
        ("sum(foo)by(a,b)", "sum by (a, b) (foo)"),
        ("SUM without(a)(rate(foo[300]))", "sum without (a) (rate(foo[5m]))"),
        ("foo{b=\"1\",a!~'x'}", "foo{b=\"1\",a!~\"x\"}"),
        ("{\"my.metric\",\"my.label\"=\"1\"}", "{\"my.metric\",\"my.label\"=\"1\"}"),
        ("foo offset -5m@100", "foo @ 100.000 offset -5m"),
        ("foo[1h30m:]offset 2m", "foo[1h30m:] offset 2m"),
        ("a+b*c^-d", "a + b * c ^ -d"),
        ("(a+b)*c", "(a + b) * c"),
        ("a>bool on(x)group_left(y)b", "a > bool on (x) group_left (y) b"),
        ("a+fill_left(1)fill_right(1)b", "a + fill (1) b"),
        ("rate(foo[step()*2]smoothed)", "rate(foo[step() * 2] smoothed)"),
        ("foo[min(5m,step())]", "foo[min_of(5m, step())]"),
        ("1000000", "1e+06"),
        ("0x1F+1_000+5m", "31 + 1000 + 5m"),
        ("topk(5,foo)", "topk(5, foo)"),
        ("foo atan2 bar", "foo atan2 bar"),
        (
            "label_replace(a,'b',\"c\",`d`,\"\\\\d\")",
            "label_replace(a, \"b\", \"c\", \"d\", \"\\\\d\")",
        ),
        ("-foo", "-foo"),
        ("foo # comment\n + bar", "foo + bar"),
        ("offset offset 5m", "offset offset 5m"),
        ("sum", "sum"),
        ("Inf - nan", "+Inf - NaN"),
    ];
    for (query, expected) in cases {
        let written = parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
        assert_eq!(written.expr.to_string(), expected, "{query}");
        let again = parse(expected).unwrap_or_else(|error| panic!("{expected}: {error}"));
        assert_eq!(again.expr.to_string(), expected);
    }
}
