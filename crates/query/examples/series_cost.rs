//! What a dashboard waits for between rows and answer: 2,000 containers, six hours at 15 s.
//!
//! Rows are in memory, so reading files costs nothing here; what is left is making series of rows
//! and evaluating. Shows the best of several rounds.
#![expect(clippy::print_stdout, reason = "an example reports to the terminal")]
#![expect(clippy::unwrap_used, reason = "an example ends where it fails")]

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, DictionaryArray, Int64Array, new_null_array};
use plimsoll_model::{Clock, Registry, Subject, SystemClock};
use plimsoll_query::promql::{Engine, RangeTimes};
use plimsoll_query::series::{SeriesCache, StoreSource};
use plimsoll_store::{Chunk, Scan, ScanError, ScanRequest, SeriesKey, SeriesRows};

const CONTAINERS: usize = 2_000;
const EVERY_MS: i64 = 15_000;
const ROWS: usize = 1_440;
const ROUNDS: usize = 5;

struct Fleet {
    keys: Vec<Arc<SeriesKey>>,
    times: Int64Array,
    usage: ArrayRef,
    started: ArrayRef,
    labels: ArrayRef,
}

fn fleet() -> Fleet {
    let keys = (0..CONTAINERS).map(|index| {
        let text = |text: String| -> Arc<str> { Arc::from(text) };
        let subject = Subject {
            service: text(format!("service-{}", index / 20)),
            slot: text((index % 20).to_string()),
            container: text(format!("shop_service-{}.{}", index / 20, index % 20)),
            container_id: text(format!("{index:064x}")),
            node: text(format!("node-{}", index % 40)),
            cluster: text("default".to_owned()),
            stack: text("shop".to_owned()),
            image: text("registry.example/shop/service:1.2.3".to_owned()),
        };
        Arc::new(SeriesKey { subject, keys: Vec::new() })
    });
    let rows = i64::try_from(ROWS).unwrap();
    let labels: DictionaryArray<Int32Type> = std::iter::repeat_n(
        r#"{"com.docker.stack.namespace":"shop","com.docker.swarm.service.name":"shop_x"}"#,
        ROWS,
    )
    .collect();
    Fleet {
        keys: keys.collect(),
        times: (0..rows).map(|row| row * EVERY_MS).collect(),
        usage: Arc::new((0..rows).map(|row| row * 3_000_000).collect::<Int64Array>()),
        started: Arc::new(Int64Array::from(vec![-60_000; ROWS])),
        labels: Arc::new(labels),
    }
}

impl Fleet {
    fn scan(&self, request: &ScanRequest) -> Scan {
        let times = self.times.values();
        let is_info = request.table.name() == "container_info";
        let from = times.partition_point(|time_ms| *time_ms < request.range.start_ms);
        let until = times.partition_point(|time_ms| *time_ms < request.range.end_ms);
        // Containers are described once an hour.
        let rows = if is_info { (until - from).min(6) } else { until - from };
        let column = |metric: &usize| {
            let metric = &request.table.metrics()[*metric];
            match metric.column.as_str() {
                "cpu_usage_us" | "memory_usage_bytes" => self.usage.slice(from, rows),
                "started_at_ms" => self.started.slice(from, rows),
                "labels" => self.labels.slice(from, rows),
                _ => new_null_array(&metric.column_type.arrow(), rows),
            }
        };
        let columns: Vec<ArrayRef> = request.metrics.iter().map(column).collect();
        let series = self.keys.iter().map(|key| {
            let times_ms = times.slice(from, rows);
            SeriesRows {
                key: key.clone(),
                chunks: vec![Chunk { times_ms, columns: columns.clone() }],
            }
        });
        let is_known = rows > 0 && (is_info || request.table.name() == "container");
        Scan { series: if is_known { series.collect() } else { Vec::new() }, ..Scan::default() }
    }
}

fn main() {
    let (fleet, clock) = (fleet(), SystemClock::new());
    let cache = Arc::new(SeriesCache::new());
    assert!(Registry::embedded().table("container").is_some());
    let end_ms = EVERY_MS * i64::try_from(ROWS).unwrap();
    let range = RangeTimes { start_ms: 300_000, end_ms, step_ms: 60_000 };
    for (query, is_range) in [
        ("sum by (service) (rate(container_cpu_usage_seconds_total{id!=\"/\"}[5m]))", true),
        ("sum by (service) (container_memory_usage_bytes{id!=\"/\"})", true),
        ("container_memory_usage_bytes{id!=\"/\"}", false),
        ("count(container_memory_usage_bytes{id!=\"/\"})", false),
        ("topk(5, rate(container_cpu_usage_seconds_total{id!=\"/\"}[5m]))", false),
    ] {
        let mut best = Duration::MAX;
        let mut samples = 0;
        for _ in 0..ROUNDS {
            let scan =
                |request: &ScanRequest| -> Result<Scan, ScanError> { Ok(fleet.scan(request)) };
            let source =
                StoreSource::new(scan, Arc::new(AtomicBool::new(false))).with_cache(cache.clone());
            let begun = clock.monotonic();
            let engine = Engine::default();
            let answer = if is_range {
                engine.range(&source, query, range, &|| None).unwrap()
            } else {
                engine.instant(&source, query, end_ms - EVERY_MS, &|| None).unwrap()
            };
            best = best.min(clock.monotonic().saturating_sub(begun));
            samples = answer.stats.samples;
        }
        let kind = if is_range { "6 h at 1 m" } else { "instant" };
        println!("{:8.1} ms  {samples:9} samples  {kind:10}  {query}", best.as_secs_f64() * 1e3);
    }
}
