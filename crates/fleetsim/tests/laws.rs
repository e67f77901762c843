//! Laws of the made-up fleet: it repeats itself, its counters grow, and its truth is plain
//! arithmetic over its own rows.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use plimsoll_fleetsim::{
    BLKIO_METRICS, CONTAINER_METRICS, Cgroup, DeathCause, EventKind, Fleet, FleetConfig,
    NETWORK_METRICS, Rows, Scope, ServiceKind, Subject, TickRows, is_counter,
};
use proptest::prelude::*;
use std::collections::BTreeMap;

const HOUR_MS: i64 = 3_600_000;

fn demo() -> Fleet {
    Fleet::new(FleetConfig::demo()).unwrap()
}

fn all_rows(fleet: &Fleet, from_ms: i64, to_ms: i64) -> Vec<TickRows> {
    let mut ticks = fleet.ticks(from_ms, to_ms);
    let mut all = Vec::new();
    while let Some(rows) = ticks.next_rows() {
        all.push(rows.clone());
    }
    all
}

/// Every value of every row as (container, part, metric, start, time, value), in order.
fn samples(all: &[TickRows]) -> Vec<(u32, &'static str, &'static str, i64, i64, i64)> {
    let mut samples = Vec::new();
    let mut add = |rows: &Rows, metrics: &[&'static str]| {
        for row in 0..rows.len() {
            for (column, metric) in metrics.iter().enumerate() {
                if let Some(value) = rows.values[column][row] {
                    samples.push((
                        rows.container[row],
                        rows.part[row],
                        *metric,
                        rows.started_at_ms[row],
                        rows.time_ms[row],
                        value,
                    ));
                }
            }
        }
    };
    for tick in all {
        add(&tick.containers, CONTAINER_METRICS);
        add(&tick.networks, NETWORK_METRICS);
        add(&tick.devices, BLKIO_METRICS);
    }
    samples
}

#[test]
fn demo_has_the_promised_size() {
    let fleet = demo();
    let config = fleet.config();
    assert_eq!(fleet.nodes().len(), 3);
    assert_eq!(fleet.services().len(), 12);
    let desired: u32 = fleet.services().iter().map(|s| s.desired_at(config.start_ms)).sum();
    assert_eq!(desired, 40);
    let moved = FleetConfig::demo().around(1_800_000_000_123, 6 * HOUR_MS, HOUR_MS);
    let fleet = Fleet::new(moved).unwrap();
    let past = all_rows(&fleet, 1_800_000_000_123 - 6 * HOUR_MS, 1_800_000_000_123);
    assert!(past.len() > 3 * 2_100, "{} ticks of backfill", past.len());
}

#[test]
fn demo_shows_everything_that_can_happen() {
    let fleet = demo();
    let kinds = |test: fn(&EventKind) -> bool| fleet.events().iter().any(|e| test(&e.kind));
    assert!(kinds(|k| matches!(k, EventKind::Oom)));
    assert!(kinds(|k| matches!(k, EventKind::Kill { signal: 15 })));
    assert!(kinds(|k| matches!(k, EventKind::Die { exit_code: 137, .. })));
    assert!(kinds(|k| matches!(k, EventKind::Die { exit_code: 0, .. })));
    assert!(kinds(|k| matches!(k, EventKind::Deploy { .. })));
    assert!(kinds(|k| matches!(k, EventKind::Scale { .. })));
    assert!(kinds(|k| matches!(k, EventKind::Restart)));
    assert!(kinds(|k| matches!(k, EventKind::Destroy)));
    let moved = fleet.containers().windows(2).any(|pair| {
        pair[0].service == pair[1].service
            && pair[0].slot_number == pair[1].slot_number
            && pair[0].task_id.is_some()
            && pair[0].node != pair[1].node
    });
    assert!(moved, "no replacement landed on another node");
}

#[test]
fn no_two_runs_of_a_slot_overlap_and_events_are_sorted() {
    let fleet = demo();
    for container in fleet.containers() {
        let runs: Vec<_> = container.runs.iter().map(|&r| &fleet.runs()[r as usize]).collect();
        for pair in runs.windows(2) {
            assert!(pair[0].ended_ms < pair[1].started_ms);
        }
        for run in &runs {
            assert!(run.started_ms < run.ended_ms);
            assert!(container.created_ms <= run.started_ms);
            if let Some(removed) = container.removed_ms {
                assert!(run.ended_ms <= removed, "{} outlives its removal", container.name);
            }
        }
    }
    assert!(fleet.events().windows(2).all(|pair| pair[0].time_ms <= pair[1].time_ms));
    let ids: std::collections::BTreeSet<_> = fleet.containers().iter().map(|c| &c.id).collect();
    assert_eq!(ids.len(), fleet.containers().len());
}

#[test]
fn running_containers_are_those_with_rows() {
    let fleet = demo();
    let start = fleet.config().start_ms;
    for tick in all_rows(&fleet, start + HOUR_MS, start + HOUR_MS + 60_000) {
        for row in 0..tick.containers.len() {
            let container = &fleet.containers()[tick.containers.container[row] as usize];
            let run = fleet.run_at(container, tick.containers.time_ms[row]).unwrap();
            assert_eq!(run.started_ms, tick.containers.started_at_ms[row]);
            assert_eq!(container.node, tick.node);
        }
    }
}

#[test]
fn values_at_a_tick_are_those_of_its_row() {
    let fleet = demo();
    let start = fleet.config().start_ms;
    let from = start + 30 * 60_000;
    for (container, _, metric, _, time_ms, value) in samples(&all_rows(&fleet, from, from + 20_000))
    {
        let shown = fleet.values_at(&fleet.containers()[container as usize], time_ms).unwrap();
        assert_eq!(shown[metric], value, "{metric}");
    }
}

#[test]
fn memory_is_page_aligned_below_its_limit_and_quiet_containers_are_flat() {
    let config = FleetConfig::bench(10, 20, 2);
    let fleet = Fleet::new(config).unwrap();
    let (start, end) = (fleet.config().start_ms, fleet.config().end_ms);
    let mut ranges: BTreeMap<(u32, &str), (i64, i64)> = BTreeMap::new();
    let mut ticks = fleet.ticks(start, end);
    while let Some(tick) = ticks.next_rows() {
        let column = |name: &str| CONTAINER_METRICS.iter().position(|m| *m == name).unwrap();
        let rows = &tick.containers;
        for row in 0..rows.len() {
            let value = |name: &str| rows.values[column(name)][row].unwrap();
            assert_eq!(value("memory_usage_bytes") % 4_096, 0);
            assert!(value("memory_usage_bytes") <= value("memory_limit_bytes"));
            assert!(value("memory_working_set_bytes") <= value("memory_usage_bytes"));
            assert!(
                value("memory_rss_bytes") + value("memory_cache_bytes")
                    <= value("memory_usage_bytes")
            );
            assert!(value("cpu_throttled_periods") <= value("cpu_periods"));
        }
        for (container, part, metric, _, _, value) in samples(std::slice::from_ref(tick)) {
            assert!(part.is_empty() || part == "eth0" || part == "8:0");
            let range = ranges.entry((container, metric)).or_insert((value, value));
            *range = (range.0.min(value), range.1.max(value));
        }
    }
    let flat = ranges.values().filter(|(least, most)| least == most).count();
    let share = flat * 100 / ranges.len();
    assert!((30..=55).contains(&share), "{share} % of the series are constant");
}

#[test]
fn a_leak_fills_the_memory_before_the_oom_kill() {
    let fleet = demo();
    let start = fleet.config().start_ms;
    let truth = fleet.truth(start, start + 3 * HOUR_MS);
    let deaths = truth.deaths(Scope::Service("data_worker"), start, start + 3 * HOUR_MS);
    let ooms: Vec<_> = deaths.iter().filter(|d| d.cause == DeathCause::Oom).collect();
    assert!(!ooms.is_empty());
    let limit = 192 << 20;
    for death in ooms {
        let scope = Scope::ContainerId(&death.container_id);
        let before = (death.time_ms - 60_000, death.time_ms);
        if let Some(usage) = truth.gauge("memory_rss_bytes", scope, before.0, before.1) {
            assert!(usage.max > limit * 9 / 10, "{} of {limit}", usage.max);
        }
    }
}

#[test]
fn truth_knows_replicas_and_unlimited_memory() {
    let fleet = demo();
    let start = fleet.config().start_ms;
    let truth = fleet.truth(start, start + 60_000);
    assert_eq!(truth.desired_replicas("shop_api", start), Some(6));
    assert_eq!(truth.desired_replicas("no such", start), None);
    assert_eq!(truth.running(Scope::Service("shop_api"), start + 1), 6);
    let all = (start, start + 60_000);
    let redis = Scope::Service("shop_redis");
    assert_eq!(truth.gauge("memory_limit_bytes", redis, all.0, all.1), None);
    assert!(truth.gauge("memory_usage_bytes", redis, all.0, all.1).is_some());
    let exporter = Scope::Service("nodeexp");
    assert_eq!(truth.growth("rx_bytes", exporter, all.0, all.1), None);
    assert_eq!(truth.growth("memory_usage_bytes", redis, all.0, all.1), None);
    assert_eq!(truth.growth("no such", redis, all.0, all.1), None);
    let scaled = fleet.events().iter().find_map(|event| match (&event.kind, event.subject) {
        (EventKind::Scale { replicas_new, .. }, Subject::Service(service)) => {
            Some((event.time_ms, service, *replicas_new))
        }
        _ => None,
    });
    let (at, service, replicas) = scaled.unwrap();
    assert_eq!(fleet.services()[service].desired_at(at), replicas);
    assert_ne!(fleet.services()[service].desired_at(at - 1), replicas);
}

#[test]
fn node_cpu_modes_add_up_to_elapsed_time() {
    let fleet = demo();
    let start = fleet.config().start_ms;
    let truth = fleet.truth(start, start + HOUR_MS);
    let modes = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];
    for node in fleet.nodes() {
        let of = |metric: &str| truth.node_samples(metric, &node.hostname, start, i64::MAX);
        let times = of("memory_total_bytes");
        let elapsed = times.last().unwrap().0 - times[0].0;
        let grown = |mode: &&str| {
            let metric = format!("cpu_{mode}_us");
            truth.node_growth(&metric, &node.hostname, start, i64::MAX).unwrap()
        };
        let sum: i64 = modes.iter().map(grown).sum();
        assert_eq!(sum, elapsed * 1_000 * i64::from(node.cores));
    }
}

#[test]
fn a_configuration_out_of_range_makes_no_fleet() {
    let mut config = FleetConfig::demo();
    config.interval_ms = 10;
    assert_eq!(
        Fleet::new(config).unwrap_err().to_string(),
        "interval_ms is 10, allowed are 1000 to 3600000"
    );
    let mut leak = plimsoll_fleetsim::ServiceConfig::plain("leak", ServiceKind::Leaky, 1);
    leak.memory_limit_bytes = None;
    let mut config = FleetConfig::demo();
    config.layout = plimsoll_fleetsim::Layout::Services(vec![leak]);
    assert_eq!(
        Fleet::new(config).unwrap_err().to_string(),
        "leaky service leak has no memory limit"
    );
}

fn any_config() -> impl Strategy<Value = FleetConfig> {
    (any::<u64>(), any::<bool>(), any::<bool>(), 0.0..200.0_f64).prop_map(
        |(seed, v1, demo, ends)| {
            let mut config = if demo { FleetConfig::demo() } else { FleetConfig::bench(3, 4, 24) };
            config.seed = seed;
            config.cgroup = if v1 { Cgroup::V1 } else { Cgroup::V2 };
            config.end_ms = config.start_ms + 24 * HOUR_MS;
            config.churn.busy_ends_per_day = ends;
            config.churn.deploys_per_day = ends / 4.0;
            config.churn.scales_per_day = ends / 8.0;
            config
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// The same configuration gives the same rows and events, from wherever they are begun.
    #[test]
    fn same(config in any_config()) {
        let (one, two) = (Fleet::new(config.clone()).unwrap(), Fleet::new(config).unwrap());
        let start = one.config().start_ms;
        let whole = all_rows(&one, start, start + HOUR_MS);
        prop_assert_eq!(&whole, &all_rows(&two, start, start + HOUR_MS));
        prop_assert_eq!(one.events(), two.events());
        let late = all_rows(&two, start + HOUR_MS / 2, start + HOUR_MS);
        prop_assert_eq!(&whole[whole.len() - late.len()..], &late[..]);
    }

    /// A counter falls only when its container started again since.
    #[test]
    fn grow(config in any_config()) {
        let fleet = Fleet::new(config).unwrap();
        let start = fleet.config().start_ms;
        let mut last: BTreeMap<(u32, &str, &str), (i64, i64, i64)> = BTreeMap::new();
        for (container, part, metric, started, time, value) in
            samples(&all_rows(&fleet, start, start + 2 * HOUR_MS))
        {
            prop_assert!(value >= 0, "{} of {}", metric, value);
            let before = last.insert((container, part, metric), (started, time, value));
            if let Some((started_before, time_before, value_before)) = before {
                prop_assert!(time > time_before);
                prop_assert!(started >= started_before);
                if is_counter(metric) && started == started_before {
                    prop_assert!(value >= value_before, "{} fell", metric);
                }
            }
        }
    }

    /// Truth is what adding up the rows by hand gives.
    #[test]
    fn truth(config in any_config(), minutes in 5_i64..60) {
        let fleet = Fleet::new(config).unwrap();
        let start = fleet.config().start_ms;
        let (from, to) = (start + 60_000, start + minutes * 60_000);
        let truth = fleet.truth(start, start + HOUR_MS);
        let rows = all_rows(&fleet, start, start + HOUR_MS);
        let mut last: BTreeMap<(u32, &str, &str), i64> = BTreeMap::new();
        let mut growth: BTreeMap<(String, &str), i64> = BTreeMap::new();
        let mut sums: BTreeMap<(String, &str), (u64, i64)> = BTreeMap::new();
        for (container, part, metric, _, time, value) in samples(&rows) {
            if time < from || time >= to {
                continue;
            }
            let service = fleet.service_of(&fleet.containers()[container as usize]).name.clone();
            let before = last.insert((container, part, metric), value);
            let grown = before.map_or(0, |b| if value >= b { value - b } else { value });
            *growth.entry((service.clone(), metric)).or_default() += grown;
            let sum = sums.entry((service, metric)).or_default();
            *sum = (sum.0 + 1, sum.1 + value);
        }
        for ((service, metric), grown) in growth {
            let scope = Scope::Service(&service);
            let (count, sum) = sums[&(service.clone(), metric)];
            prop_assert_eq!(truth.samples(metric, scope, from, to) as u64, count);
            if is_counter(metric) {
                prop_assert_eq!(truth.growth(metric, scope, from, to), Some(grown));
            } else {
                let gauge = truth.gauge(metric, scope, from, to).unwrap();
                prop_assert_eq!((gauge.samples, gauge.sum), (count, sum));
                prop_assert!(gauge.min <= gauge.max);
            }
        }
    }
}
