//! The right answers, found the slow and plain way.
//!
//! Keeps the rows of a range and goes through all of them for every question.
//!
//! Keeps true: an answer uses only samples whose time is in `[from_ms, to_ms)`.
//!
//! Not here: the rows themselves (`ticks`).

use crate::fleet::Fleet;
use crate::life::{Container, DeathCause};
use crate::rows::{
    BLKIO_AT, NETWORK_AT, NODE_METRICS, NodeRow, Rows, TickRows, is_counter_at, position,
};
use std::collections::BTreeMap;

/// Which containers a question is about. Names are the engine's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope<'a> {
    /// All of them.
    All,
    /// Those on the node with this host name.
    Node(&'a str),
    /// Those of this Swarm stack or Compose project.
    Stack(&'a str),
    /// Those of the service with this name.
    Service(&'a str),
    /// Those of one slot of a service, whichever ids it had.
    Slot(&'a str, u32),
    /// Those with this name.
    Container(&'a str),
    /// The one with this 64-hex id.
    ContainerId(&'a str),
}

/// What the samples of a gauge amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GaugeTruth {
    /// Number of samples.
    pub samples: u64,
    /// Their sum.
    pub sum: i64,
    /// The smallest.
    pub min: i64,
    /// The largest.
    pub max: i64,
}

impl GaugeTruth {
    /// The mean of the samples.
    pub fn average(&self) -> f64 {
        self.sum as f64 / self.samples as f64
    }
}

/// The end of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death {
    /// When, Unix milliseconds of its node.
    pub time_ms: i64,
    /// 64-hex id.
    pub container_id: String,
    /// Container name.
    pub container: String,
    /// Service name.
    pub service: String,
    /// Host name.
    pub node: String,
    /// Why.
    pub cause: DeathCause,
}

/// The rows of a fleet in a range, and answers about them.
#[derive(Debug, Clone)]
pub struct Truth<'a> {
    fleet: &'a Fleet,
    containers: Vec<Kept>,
    networks: Vec<Kept>,
    devices: Vec<Kept>,
    hosts: Vec<(usize, NodeRow)>,
}

#[derive(Debug, Clone)]
struct Kept {
    time_ms: i64,
    container: usize,
    part: &'static str,
    values: Vec<Option<i64>>,
}

/// Samples of one series, as (time, value).
type Series = Vec<(i64, i64)>;

impl Fleet {
    /// Answers about the rows of `[from_ms, to_ms)`, which are made again and kept.
    pub fn truth(&self, from_ms: i64, to_ms: i64) -> Truth<'_> {
        let mut truth = Truth::empty(self);
        let mut ticks = self.ticks(from_ms, to_ms);
        while let Some(rows) = ticks.next_rows() {
            truth.keep(rows);
        }
        truth
    }
}

impl<'a> Truth<'a> {
    /// No rows yet; [`Truth::keep`] adds some.
    pub fn empty(fleet: &'a Fleet) -> Self {
        let (containers, networks, devices) = (Vec::new(), Vec::new(), Vec::new());
        Self { fleet, containers, networks, devices, hosts: Vec::new() }
    }

    /// Adds the rows of one node at one tick.
    pub fn keep(&mut self, rows: &TickRows) {
        keep(&mut self.containers, &rows.containers);
        keep(&mut self.networks, &rows.networks);
        keep(&mut self.devices, &rows.devices);
        self.hosts.extend(rows.host.iter().map(|host| (rows.node, host.clone())));
    }

    /// How much a counter grew between consecutive samples, summed over the series in scope.
    ///
    /// A value below the one before it counts whole: its container had started again. The
    /// first sample of a series adds nothing. None when there is no such counter or no sample.
    pub fn growth(&self, metric: &str, scope: Scope<'_>, from_ms: i64, to_ms: i64) -> Option<i64> {
        if !is_counter_at(position(metric)?) {
            return None;
        }
        let all = self.series(metric, scope, from_ms, to_ms);
        (!all.is_empty()).then(|| all.values().map(|samples| increase(samples)).sum())
    }

    /// Number, sum, least and greatest of the samples of a gauge in scope. None when there are
    /// none.
    pub fn gauge(
        &self,
        metric: &str,
        scope: Scope<'_>,
        from_ms: i64,
        to_ms: i64,
    ) -> Option<GaugeTruth> {
        let all = self.series(metric, scope, from_ms, to_ms);
        let values: Vec<i64> = all.values().flatten().map(|(_, value)| *value).collect();
        Some(GaugeTruth {
            samples: values.len() as u64,
            sum: values.iter().sum(),
            min: *values.iter().min()?,
            max: *values.iter().max()?,
        })
    }

    /// Number of samples of a metric in scope.
    pub fn samples(&self, metric: &str, scope: Scope<'_>, from_ms: i64, to_ms: i64) -> usize {
        self.series(metric, scope, from_ms, to_ms).values().map(Vec::len).sum()
    }

    /// The last sample of each series in scope, by container id and part (interface, device).
    pub fn last(
        &self,
        metric: &str,
        scope: Scope<'_>,
        from_ms: i64,
        to_ms: i64,
    ) -> BTreeMap<(String, &'static str), (i64, i64)> {
        let all = self.series(metric, scope, from_ms, to_ms);
        let last = all.into_iter().filter_map(|((container, part), samples)| {
            let id = self.fleet.containers()[container].id.clone();
            Some(((id, part), *samples.last()?))
        });
        last.collect()
    }

    /// How much a CPU mode of a node grew; as [`Truth::growth`].
    pub fn node_growth(
        &self,
        metric: &str,
        hostname: &str,
        from_ms: i64,
        to_ms: i64,
    ) -> Option<i64> {
        let samples = self.node_samples(metric, hostname, from_ms, to_ms);
        (!samples.is_empty()).then(|| increase(&samples))
    }

    /// The samples of a metric of [`NODE_METRICS`], oldest first, as (time, value).
    pub fn node_samples(
        &self,
        metric: &str,
        hostname: &str,
        from_ms: i64,
        to_ms: i64,
    ) -> Vec<(i64, i64)> {
        let Some(position) = NODE_METRICS.iter().position(|name| *name == metric) else {
            return Vec::new();
        };
        let mut samples: Series = Vec::new();
        for (node, row) in &self.hosts {
            let asked = self.fleet.nodes()[*node].hostname == hostname;
            if asked && (from_ms..to_ms).contains(&row.time_ms) {
                samples.push((row.time_ms, row.values[position]));
            }
        }
        samples.sort_by_key(|(time_ms, _)| *time_ms);
        samples
    }

    /// Which containers in scope ended in `[from_ms, to_ms)`, and of what; oldest first. From
    /// the plan of the fleet, not from kept rows.
    pub fn deaths(&self, scope: Scope<'_>, from_ms: i64, to_ms: i64) -> Vec<Death> {
        let mut deaths = Vec::new();
        for run in self.fleet.runs() {
            let container = &self.fleet.containers()[run.container as usize];
            let Some(cause) = run.cause else { continue };
            if (from_ms..to_ms).contains(&run.ended_ms) && covers(self.fleet, scope, container) {
                deaths.push(Death {
                    time_ms: run.ended_ms,
                    container_id: container.id.clone(),
                    container: container.name.clone(),
                    service: self.fleet.service_of(container).name.clone(),
                    node: self.fleet.nodes()[container.node].hostname.clone(),
                    cause,
                });
            }
        }
        deaths.sort_by(|a, b| (a.time_ms, &a.container_id).cmp(&(b.time_ms, &b.container_id)));
        deaths
    }

    /// How many replicas the services with a name wanted at a time; none when there is no such
    /// service.
    pub fn desired_replicas(&self, service: &str, at_ms: i64) -> Option<u32> {
        let named = self.fleet.services().iter().filter(|known| known.name == service);
        named.map(|known| known.desired_at(at_ms)).reduce(|a, b| a + b)
    }

    /// How many containers in scope ran at a time.
    pub fn running(&self, scope: Scope<'_>, at_ms: i64) -> usize {
        let mut running = 0;
        for container in self.fleet.containers() {
            let runs = self.fleet.run_at(container, at_ms).is_some();
            if runs && covers(self.fleet, scope, container) {
                running += 1;
            }
        }
        running
    }

    /// All samples of a metric in scope, by container and part, oldest first.
    fn series(
        &self,
        metric: &str,
        scope: Scope<'_>,
        from_ms: i64,
        to_ms: i64,
    ) -> BTreeMap<(usize, &'static str), Series> {
        let mut series: BTreeMap<(usize, &'static str), Series> = BTreeMap::new();
        let Some(position) = position(metric) else { return series };
        let (rows, column) = match position {
            p if p < NETWORK_AT => (&self.containers, p),
            p if p < BLKIO_AT => (&self.networks, p - NETWORK_AT),
            p => (&self.devices, p - BLKIO_AT),
        };
        for row in rows {
            let container = &self.fleet.containers()[row.container];
            let asked = (from_ms..to_ms).contains(&row.time_ms);
            if asked
                && covers(self.fleet, scope, container)
                && let Some(value) = row.values[column]
            {
                series.entry((row.container, row.part)).or_default().push((row.time_ms, value));
            }
        }
        for samples in series.values_mut() {
            samples.sort_by_key(|(time_ms, _)| *time_ms);
        }
        series
    }
}

fn keep(kept: &mut Vec<Kept>, rows: &Rows) {
    for row in 0..rows.len() {
        kept.push(Kept {
            time_ms: rows.time_ms[row],
            container: rows.container[row] as usize,
            part: rows.part[row],
            values: rows.values.iter().map(|column| column[row]).collect(),
        });
    }
}

fn increase(samples: &[(i64, i64)]) -> i64 {
    let mut sum = 0;
    for pair in samples.windows(2) {
        let (before, after) = (pair[0].1, pair[1].1);
        sum += if after >= before { after - before } else { after };
    }
    sum
}

fn covers(fleet: &Fleet, scope: Scope<'_>, container: &Container) -> bool {
    let service = fleet.service_of(container);
    match scope {
        Scope::All => true,
        Scope::Node(hostname) => fleet.nodes()[container.node].hostname == hostname,
        Scope::Stack(stack) => service.stack.as_deref() == Some(stack),
        Scope::Service(name) => service.name == name,
        Scope::Slot(name, number) => service.name == name && container.slot_number == number,
        Scope::Container(name) => container.name == name,
        Scope::ContainerId(id) => container.id == id,
    }
}
