//! Laws: an answer does not depend on how a query is asked.

use plimsoll_query::promql::{
    Engine, Labels, MemorySource, RangeTimes, Series, Stop, Value, parse,
};
use proptest::prelude::*;

fn never() -> Option<Stop> {
    None
}

/// Series `m` and `n` with gaps, resets and ends.
fn source() -> impl Strategy<Value = MemorySource> {
    let sample = prop_oneof![
        6 => (0u32..100).prop_map(f64::from),
        1 => Just(f64::NAN),
        1 => Just(f64::from_bits(plimsoll_query::promql::STALE_BITS)),
    ];
    let series = prop::collection::vec(prop::option::weighted(0.8, sample), 0..60);
    prop::collection::vec(series, 1..6).prop_map(|all| {
        let mut source = MemorySource::new();
        for (index, samples) in all.into_iter().enumerate() {
            let name = if index % 2 == 0 { "m_total" } else { "n_total" };
            let pairs = [("__name__", name.to_owned()), ("s", (index / 2).to_string())];
            let labels = Labels::from_pairs(pairs);
            for (value, time_ms) in samples.into_iter().zip((0i64..).step_by(15_000)) {
                if let Some(value) = value {
                    source.push(&labels, time_ms, value);
                }
            }
        }
        source
    })
}

fn query() -> impl Strategy<Value = &'static str> {
    prop::sample::select(
        vec![
            "m_total",
            "rate(m_total[1m])",
            "sum by (s) ({__name__=~\"._total\"})",
            "m_total + on(s) n_total",
            "m_total > n_total",
            "m_total or on(s) n_total",
            "m_total unless n_total",
            "sum_over_time(m_total[2m:30s])",
            "increase(m_total[90s] smoothed)",
            "changes(m_total[1m] anchored)",
            "quantile_over_time(0.5, m_total[2m])",
            "max_over_time(rate(m_total[45s])[2m:10s] offset 15s)",
            "topk(1, m_total)",
            "count_values(\"v\", m_total)",
            "stddev(m_total) - avg(n_total)",
            "absent(m_total)",
            "absent_over_time(m_total[20s])",
            "predict_linear(m_total[2m], 60)",
            "timestamp(m_total)",
            "m_total + fill(1) n_total",
            "scalar(n_total) * m_total",
            "last_over_time(m_total[30s]) @ 200",
        ]
        .into_iter()
        .filter(|query| parse(query).is_ok())
        .collect::<Vec<_>>(),
    )
}

/// The points of an answer, NaN made comparable.
fn points(value: Value) -> Vec<(Labels, i64, u64)> {
    let bits = |value: f64| if value.is_nan() { 1 } else { value.to_bits() };
    let of_series = |series: Series| {
        let both = series.times.into_iter().zip(series.values);
        both.map(|(time, value)| (series.labels.clone(), time, bits(value))).collect::<Vec<_>>()
    };
    let mut out: Vec<(Labels, i64, u64)> = match value {
        Value::Matrix(all) => all.into_iter().flat_map(of_series).collect(),
        Value::Vector(all) => {
            all.into_iter().map(|s| (s.labels, s.time_ms, bits(s.value))).collect()
        }
        Value::Scalar { time_ms, value } => vec![(Labels::empty(), time_ms, bits(value))],
        Value::String { .. } => Vec::new(),
    };
    out.sort();
    out
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    /// STEPS: a range query gives at each step what an instant query gives there.
    #[test]
    fn steps(source in source(), query in query(), step_s in 5i64..90, start_s in -60i64..300) {
        let engine = Engine::default();
        let (start_ms, step_ms) = (start_s * 1000, step_s * 1000);
        let times = RangeTimes { start_ms, end_ms: start_ms + 7 * step_ms, step_ms };
        let whole = engine.range(&source, query, times, &never);
        let mut single = Vec::new();
        let mut failed = false;
        for step in 0..8 {
            match engine.instant(&source, query, start_ms + step * step_ms, &never) {
                Ok(answer) => single.extend(points(answer.value)),
                Err(_) => failed = true,
            }
        }
        single.sort();
        match whole {
            Ok(answer) => {
                prop_assert!(!failed);
                prop_assert_eq!(points(answer.value), single);
            }
            Err(_) => prop_assert!(failed),
        }
    }

    /// PRINT: a query written back and read again gives the same answer.
    #[test]
    fn print(source in source(), query in query(), time_s in -60i64..900) {
        let engine = Engine::default();
        let written = parse(query).unwrap().expr.to_string();
        let one = engine.instant(&source, query, time_s * 1000, &never);
        let two = engine.instant(&source, &written, time_s * 1000, &never);
        match (one, two) {
            (Ok(one), Ok(two)) => prop_assert_eq!(points(one.value), points(two.value)),
            (one, two) => prop_assert_eq!(one.is_err(), two.is_err()),
        }
    }

    /// LIMIT: whatever text is asked, reading it ends, and what is read is written and read again.
    #[test]
    fn any_text_is_read_or_refused(text in "[a-z0-9(){}\\[\\]\"'=~!<>+*/%^@:,. \\-]{0,60}") {
        if let Ok(query) = parse(&text) {
            let written = query.expr.to_string();
            let again = parse(&written);
            prop_assert!(again.is_ok(), "{written}: {again:?}");
            prop_assert_eq!(again.unwrap().expr.to_string(), written);
        }
    }
}
