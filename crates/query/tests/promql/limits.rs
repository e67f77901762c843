//! LIMIT: whatever is asked, a query ends with an answer or a named error.

use std::cell::Cell;

use plimsoll_model::ErrorClass;
use plimsoll_query::promql::{
    Answer, Engine, EngineOptions, Labels, Limits, MemorySource, QueryError, RangeTimes,
    SourceError, Stats, Stop, parse,
};

fn never() -> Option<Stop> {
    None
}

/// Ten series of a hundred samples, one a second.
fn source() -> MemorySource {
    let mut source = MemorySource::new();
    for series in 0..10 {
        let labels = Labels::from_pairs([("__name__", "m".to_owned()), ("s", series.to_string())]);
        for second in 0..100 {
            source.push(&labels, second * 1000, 1.0);
        }
    }
    source
}

/// The error of a query that must have one; otherwise what it read.
fn error_of(result: Result<Answer, QueryError>) -> Result<QueryError, Stats> {
    match result {
        Err(error) => Ok(error),
        Ok(answer) => Err(answer.stats),
    }
}

fn engine(change: impl Fn(&mut Limits)) -> Engine {
    let mut options = EngineOptions::default();
    change(&mut options.limits);
    Engine::new(options)
}

fn range(end_ms: i64, step_ms: i64) -> RangeTimes {
    RangeTimes { start_ms: 0, end_ms, step_ms }
}

#[test]
fn limits_have_names_and_their_class() {
    let all = source();
    let few = engine(|limits| limits.series_max = 9);
    let error = error_of(few.instant(&all, "m", 1000, &never)).unwrap();
    assert!(matches!(error, QueryError::Source(SourceError::Series { series_max: 9 })));
    assert_eq!(error.class(), ErrorClass::Limited);

    let few = engine(|limits| limits.samples_max = 500);
    let error = error_of(few.instant(&all, "sum_over_time(m[2m])", 100_000, &never)).unwrap();
    assert!(matches!(error, QueryError::Source(SourceError::Samples { samples_max: 500 })));

    let few = engine(|limits| limits.values_max = 500);
    let error = error_of(few.range(&all, "m", range(99_000, 1000), &never)).unwrap();
    assert!(matches!(error, QueryError::Values { values_max: 500 }));
    assert_eq!(error.class(), ErrorClass::Limited);

    let error =
        error_of(Engine::default().range(&all, "m", range(11_001_000, 1000), &never)).unwrap();
    assert!(matches!(error, QueryError::Points { points_max: 11_000 }));
    let most = Engine::default().range(&all, "m", range(11_000_000, 1000), &never);
    assert!(most.is_ok());
}

#[test]
fn faulty_times_are_refused() {
    let all = source();
    let engine = Engine::default();
    let error = error_of(engine.range(&all, "m", range(1000, 0), &never)).unwrap();
    assert!(matches!(error, QueryError::Step { step_ms: 0 }));
    let error = error_of(engine.range(&all, "m", range(-1, 1), &never)).unwrap();
    assert!(matches!(error, QueryError::Range { .. }));
    let error = error_of(engine.range(&all, "m[5m]", range(1000, 1000), &never)).unwrap();
    assert!(matches!(error, QueryError::RangeKind { .. }));
    for time_ms in [i64::MIN, i64::MAX] {
        let answer =
            engine.instant(&all, "sum_over_time(m[1y:1d] offset 1y) or m", time_ms, &never);
        assert!(answer.is_ok(), "{:?}", answer.err());
    }
}

#[test]
fn interrupts_stop_queries() {
    let asked = Cell::new(0);
    let after_some = || {
        asked.set(asked.get() + 1);
        (asked.get() > 5).then_some(Stop::TimedOut)
    };
    let times = range(99_000, 1000);
    let error = error_of(Engine::default().range(&source(), "m", times, &after_some)).unwrap();
    assert_eq!(error.to_string(), "query timed out");
    assert_eq!(error.class(), ErrorClass::Limited);
    assert_eq!(asked.get(), 6);
}

#[test]
fn huge_subqueries_are_refused_before_they_cost() {
    for query in ["vector(1)[100y:1ms]", "sum_over_time(vector(1)[100y:1ms])", "m[1y:1ms]"] {
        let error = error_of(Engine::default().instant(&source(), query, 1000, &never)).unwrap();
        assert_eq!(error.class(), ErrorClass::Limited, "{query}");
    }
}

#[test]
fn labels_that_grow_without_end_are_refused() {
    let mut doubled = "m".to_owned();
    for _ in 0..70 {
        doubled = format!("label_join({doubled}, \"s\", \"\", \"s\", \"s\")");
    }
    let mut replaced = "m".to_owned();
    for _ in 0..70 {
        replaced = format!("label_replace({replaced}, \"s\", \"$1$1$1$1\", \"s\", \"(.*)\")");
    }
    let small = engine(|limits| limits.values_max = 100_000);
    for query in [doubled, replaced] {
        let error = error_of(small.instant(&source(), &query, 1000, &never)).unwrap();
        assert!(matches!(error, QueryError::Values { .. }), "{error}");
    }
}

#[test]
fn hostile_queries_end_with_an_error_on_a_small_stack() {
    let nested = |open: &str, close: &str, count: usize| {
        format!("{}m{}", open.repeat(count), close.repeat(count))
    };
    let queries = vec![
        nested("(", ")", 100_000),
        nested("-", "", 100_000),
        nested("abs(", ")", 100_000),
        nested("sum(", ")", 50_000),
        format!("m{}", "+m".repeat(100_000)),
        format!("m{}", "^m".repeat(100_000)),
        format!("m{}", "[1m:1m]".repeat(30_000)),
        format!("m[{}1m{}]", "(".repeat(50_000), ")".repeat(50_000)),
        format!("m[1m{}]", "+1m".repeat(50_000)),
        format!("m[{}1m]", "-".repeat(100_000)),
        format!("m{{{}}}", "a=\"b\",".repeat(30_000)),
        "(".repeat(100_000),
        "m".repeat(1 << 19),
    ];
    let small = std::thread::Builder::new().stack_size(2 << 20);
    let checked = small.spawn(move || {
        for query in queries {
            // Either the parser refuses, or evaluation works.
            if parse(&query).is_ok() {
                let answer = Engine::default().instant(&source(), &query, 1000, &never);
                assert!(answer.is_ok(), "{:?}", answer.err());
            }
        }
    });
    checked.unwrap().join().unwrap();
}

#[test]
fn the_deepest_allowed_queries_evaluate_on_a_small_stack() {
    let deepest = |make: &dyn Fn(usize) -> String| {
        (1..2000).map(make).take_while(|query| parse(query).is_ok()).last().unwrap()
    };
    let queries = vec![
        deepest(&|count| format!("{}m{}", "abs(".repeat(count), ")".repeat(count))),
        deepest(&|count| format!("{}m{}", "(".repeat(count), ")".repeat(count))),
        deepest(&|count| format!("m{}", " or m".repeat(count))),
        deepest(&|count| format!("{}m{}", "sum(".repeat(count), ")".repeat(count))),
    ];
    let small = std::thread::Builder::new().stack_size(2 << 20);
    let checked = small.spawn(move || {
        for query in queries {
            let answer = Engine::default().instant(&source(), &query, 1000, &never);
            assert!(answer.is_ok(), "{:?}", answer.err());
        }
    });
    checked.unwrap().join().unwrap();
}
