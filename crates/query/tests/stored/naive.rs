//! The same answers by brute force: every value from the list of all pairs or samples.

use std::collections::BTreeMap;

use plimsoll_query::history::{Across, HistoryRequest, Reading, Stat};
use plimsoll_window::GAP_MAX_MS;

/// What one row of one device of one container says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    pub(crate) service: &'static str,
    pub(crate) container: &'static str,
    pub(crate) device: String,
    pub(crate) time_ms: i64,
    pub(crate) started_ms: Option<i64>,
    pub(crate) value: Option<i64>,
}

/// Two consecutive samples of one device.
#[derive(Debug, Clone, Copy)]
struct Step {
    from_ms: i64,
    to_ms: i64,
    growth: i64,
    elapsed_ms: i64,
    counts_for_rates: bool,
}

/// Group label to values; groups without any value are left out.
pub(crate) type Values = BTreeMap<String, Vec<Option<f64>>>;

/// Answers `request`, which groups by `service`, `container` or nothing.
pub(crate) fn answer(samples: &[Sample], request: &HistoryRequest) -> Values {
    let by = request.by.first().map(|by| by.name(request.metric.table).to_owned());
    let mut subjects: BTreeMap<(&str, &str), BTreeMap<&str, Vec<&Sample>>> = BTreeMap::new();
    for sample in samples.iter().filter(|sample| sample.value.is_some()) {
        let devices = subjects.entry((sample.service, sample.container)).or_default();
        devices.entry(&sample.device).or_default().push(sample);
    }
    let mut steps = Vec::new();
    let mut start_ms = request.range.start_ms;
    while start_ms < request.range.end_ms {
        steps.push((start_ms, (start_ms + request.step_ms).min(request.range.end_ms)));
        start_ms += request.step_ms;
    }
    let mut groups: BTreeMap<String, Vec<Vec<f64>>> = BTreeMap::new();
    for ((service, container), devices) in &subjects {
        let label = match by.as_deref() {
            Some("service") => *service,
            Some("container") => *container,
            _ => "",
        };
        for (index, step) in steps.iter().enumerate() {
            if let Some(value) = value(devices, *step, request) {
                let group = groups.entry(label.to_owned()).or_default();
                group.resize(steps.len(), Vec::new());
                group[index].push(value / request.metric.divide_by);
            }
        }
    }
    let across = |values: Vec<f64>| {
        let sum = values.iter().copied().reduce(|a, b| a + b)?;
        Some(match request.across {
            Across::Sum => sum,
            Across::Avg => sum / values.len() as f64,
            Across::Max => values.into_iter().fold(f64::NEG_INFINITY, f64::max),
        })
    };
    groups.into_iter().map(|(label, of)| (label, of.into_iter().map(across).collect())).collect()
}

fn value(
    devices: &BTreeMap<&str, Vec<&Sample>>,
    step: (i64, i64),
    request: &HistoryRequest,
) -> Option<f64> {
    let stat = request.stat;
    let mut at_time: BTreeMap<i64, f64> = BTreeMap::new();
    if request.metric.reading == Reading::Level {
        for sample in devices.values().flatten().filter(|sample| inside(sample.time_ms, step)) {
            *at_time.entry(sample.time_ms).or_default() += sample.value? as f64;
        }
        return statistic(at_time.into_values().collect(), stat);
    }
    let (mut total, mut growth, mut elapsed_ms) = (None, 0, 0);
    for samples in devices.values() {
        let pairs = pairs(samples, request.range.start_ms - GAP_MAX_MS, step);
        let of_step = || pairs.iter().filter(|pair| inside(pair.to_ms, step));
        for pair in of_step() {
            total = Some(total.unwrap_or(0) + pair.growth);
        }
        for pair in of_step().filter(|pair| pair.counts_for_rates) {
            let rate = pair.growth as f64 / (pair.elapsed_ms as f64 / 1_000.0);
            *at_time.entry(pair.to_ms).or_default() += rate;
            growth += pair.growth;
        }
        let rated = of_step().filter(|pair| pair.counts_for_rates);
        elapsed_ms = elapsed_ms.max(rated.map(|pair| pair.elapsed_ms).sum());
    }
    match stat {
        Stat::Sum => total.map(|total: i64| total as f64),
        Stat::Avg => (elapsed_ms > 0).then(|| growth as f64 / (elapsed_ms as f64 / 1_000.0)),
        _ => statistic(at_time.into_values().collect(), stat),
    }
}

fn inside(time_ms: i64, (start_ms, end_ms): (i64, i64)) -> bool {
    time_ms >= start_ms && time_ms < end_ms
}

/// Every pair whose later sample is known to a reader that starts at `known_ms`.
fn pairs(samples: &[&Sample], known_ms: i64, step: (i64, i64)) -> Vec<Step> {
    let mut samples: Vec<&&Sample> = samples.iter().filter(|s| s.time_ms >= known_ms).collect();
    samples.sort_by_key(|sample| sample.time_ms);
    let mut pairs = Vec::new();
    for (index, sample) in samples.iter().enumerate() {
        let value = sample.value.unwrap_or(0);
        let age_ms = sample.started_ms.map(|started_ms| sample.time_ms - started_ms);
        let young = age_ms.filter(|age_ms| *age_ms > 0 && *age_ms <= GAP_MAX_MS);
        let Some(before) = index.checked_sub(1).map(|before| samples[before]) else {
            if let Some(elapsed_ms) = young {
                let from_ms = sample.time_ms - elapsed_ms;
                let counts_for_rates = elapsed_ms >= 1_000;
                let to_ms = sample.time_ms;
                pairs.push(Step { from_ms, to_ms, growth: value, elapsed_ms, counts_for_rates });
            }
            continue;
        };
        let old = before.value.unwrap_or(0);
        let restarted = before.started_ms.is_some()
            && sample.started_ms.is_some()
            && before.started_ms != sample.started_ms;
        let reset = restarted || value < old;
        let (from_ms, to_ms) = (before.time_ms, sample.time_ms);
        let mut pair = Step {
            from_ms,
            to_ms,
            growth: if reset { value } else { value - old },
            elapsed_ms: to_ms - from_ms,
            counts_for_rates: true,
        };
        if !inside(pair.from_ms, step) {
            if pair.elapsed_ms > GAP_MAX_MS && reset {
                pair.elapsed_ms = young.unwrap_or(pair.elapsed_ms);
            }
            let too_short = age_ms == Some(pair.elapsed_ms) && pair.elapsed_ms < 1_000;
            pair.counts_for_rates = pair.elapsed_ms <= GAP_MAX_MS && !too_short;
        }
        pairs.push(pair);
    }
    pairs
}

fn statistic(mut values: Vec<f64>, stat: Stat) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    let sum: f64 = values.iter().sum();
    Some(match stat {
        Stat::Sum => sum,
        Stat::Avg => sum / values.len() as f64,
        Stat::Min => values[0],
        Stat::Max => values[last],
        Stat::Quantile(hundredths) => {
            let rank = f64::from(hundredths) * last as f64 / 100.0;
            let (below, above) = (values[rank.floor() as usize], values[rank.ceil() as usize]);
            below + (above - below) * rank.fract()
        }
    })
}
