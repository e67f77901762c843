//! The recommenders answer what a direct transcription of their originals answers.
//!
//! `python/recommend.py` is the transcription; `cases/recommend.json` is what it wrote.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use plimsoll_insight::capacity::krr::{self, KrrOptions, Withheld};
use plimsoll_insight::capacity::vpa::{Bounds, OutOfMemory, VpaOptions, recommend};
use plimsoll_insight::capacity::{HOUR_MS, Point};
use serde_json::Value;

fn cases() -> Vec<Value> {
    serde_json::from_str(include_str!("cases/recommend.json")).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn points(value: &Value) -> Vec<Point> {
    let point = |of: &Value| Point { time_ms: of[0].as_i64().unwrap(), value: number(&of[1]) };
    value.as_array().unwrap().iter().map(point).collect()
}

fn same(found: f64, expected: &Value, what: &str) {
    let expected = number(expected);
    let close = (found - expected).abs() <= 1e-9 * expected.abs();
    assert!(close, "{what}: found {found}, expected {expected}");
}

fn same_bounds(found: Bounds, expected: &Value, what: &str) {
    same(found.target, &expected["target"], what);
    same(found.lower, &expected["lower"], what);
    same(found.upper.unwrap(), &expected["upper"], what);
}

#[test]
fn vpa_is_the_transcription() {
    for case in cases() {
        let kill = |of: &Value| OutOfMemory {
            time_ms: of[0].as_i64().unwrap(),
            request_bytes: number(&of[1]),
        };
        let kills: Vec<OutOfMemory> = case["ooms"].as_array().unwrap().iter().map(kill).collect();
        let (cpu, memory) = (points(&case["cpu"]), points(&case["memory"]));
        let found = recommend(&cpu, &memory, &kills, &VpaOptions::default()).unwrap();
        same(found.confidence_days, &case["vpa"]["confidence_days"], "confidence");
        same_bounds(found.cpu_cores, &case["vpa"]["cpu_cores"], "cpu");
        same_bounds(found.memory_bytes, &case["vpa"]["memory_bytes"], "memory");
    }
}

#[test]
fn krr_is_the_transcription() {
    for case in cases() {
        let cpu = points(&case["cpu"]);
        let (one, other) = cpu.split_at(cpu.len() / 2);
        let replicas = [one.to_vec(), other.to_vec()];
        let few = KrrOptions { points_min: 10, ..KrrOptions::SIMPLE };
        let expected = &case["krr"];
        let simple = krr::cpu(&replicas, &few).unwrap();
        same(simple.request, &expected["simple_cpu"], "cpu");
        assert_eq!(simple.limit, None);
        let limit = KrrOptions { points_min: 10, ..KrrOptions::SIMPLE_LIMIT };
        let limit = krr::cpu(&replicas, &limit).unwrap();
        same(limit.request, &expected["limit_cpu"][0], "request");
        same(limit.limit.unwrap(), &expected["limit_cpu"][1], "limit");
        let memory = krr::memory(&[points(&case["memory"])], case["oom_limit"].as_f64(), &few);
        let memory = memory.unwrap();
        same(memory.request, &expected["memory"], "memory");
        assert_eq!(memory.limit, Some(memory.request));
    }
}

#[test]
fn thin_data_is_withheld_with_a_reason() {
    let point = |index: i64| Point { time_ms: index * 60_000, value: 1.0 };
    let few: Vec<Point> = (0..50).map(point).collect();
    let short: Vec<Point> = (0..120).map(point).collect();
    let options = KrrOptions::SIMPLE;
    assert_eq!(krr::cpu(&[], &options), Err(Withheld::NoData));
    let found = krr::cpu(&[few], &options);
    assert_eq!(found, Err(Withheld::TooFewPoints { found: 50, needed: 100 }));
    let found = krr::cpu(&[short], &options);
    let reason = Withheld::TooShort { found_ms: 119 * 60_000, needed_ms: 3 * HOUR_MS };
    assert_eq!(found, Err(reason));
    assert_eq!(reason.to_string(), "samples span 2.0 h, 3.0 h are needed");
}
