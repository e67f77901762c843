//! The fleet: everything that is drawn once from its configuration.
//!
//! Keeps true: two fleets of equal configurations are equal in every byte they give out.
//!
//! Not here: values over time (`ticks`), right answers (`truth`), the engine's API (`engine`).

use crate::config::{ConfigError, FleetConfig, Orchestrator};
use crate::event::{self, Event};
use crate::life::{Container, Lives, Run};
use crate::node::Node;
use crate::profile::Slot;
use crate::rng::child;
use crate::service::{self, Service};
use crate::ticks::{NodeCursor, Ticks};
use std::collections::{BTreeMap, HashMap};

/// The visits of one replica slot to one node.
#[derive(Debug, Clone)]
pub(crate) struct Track {
    pub(crate) slot: u32,
    /// How long after its node's tick it is read.
    pub(crate) spread_ms: i64,
    /// Positions of its runs there, oldest first.
    pub(crate) runs: Vec<u32>,
}

/// A made-up fleet.
#[derive(Debug, Clone)]
pub struct Fleet {
    config: FleetConfig,
    nodes: Vec<Node>,
    services: Vec<Service>,
    slots: Vec<Slot>,
    containers: Vec<Container>,
    runs: Vec<Run>,
    events: Vec<Event>,
    tracks: Vec<Vec<Track>>,
    by_id: HashMap<String, usize>,
}

impl Fleet {
    /// Draws the fleet of a configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when the configuration makes no fleet.
    pub fn new(config: FleetConfig) -> Result<Self, ConfigError> {
        let config = config.checked()?;
        let nodes: Vec<Node> = (0..config.nodes as usize).map(|i| Node::draw(&config, i)).collect();
        let (services, places) = service::plan(&config);
        let draw = |(index, place): (usize, service::Place)| {
            Slot::draw(&config, index, place, &services[place.service])
        };
        let slots: Vec<Slot> = places.into_iter().enumerate().map(draw).collect();
        let mut lives = Lives::default();
        for (index, slot) in slots.iter().enumerate() {
            lives.walk(&config, &services[slot.place.service], slot, index);
        }
        let Lives { containers, runs } = lives;
        let tracks = tracks(&config, &slots, &containers, &runs);
        let events = event::all(&config, &services, &containers, &runs);
        let by_id = containers.iter().map(|c| (c.id.clone(), c.index)).collect();
        Ok(Self { config, nodes, services, slots, containers, runs, events, tracks, by_id })
    }

    /// What it was made from.
    pub fn config(&self) -> &FleetConfig {
        &self.config
    }

    /// All nodes; node 0 is the Swarm manager.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// All services.
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// All containers that ever live.
    pub fn containers(&self) -> &[Container] {
        &self.containers
    }

    /// All runs of all containers.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// All events, oldest first.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The container with a 64-hex id.
    pub fn container_by_id(&self, id: &str) -> Option<&Container> {
        self.by_id.get(id).map(|&index| &self.containers[index])
    }

    /// The service of a container.
    pub fn service_of(&self, container: &Container) -> &Service {
        &self.services[container.service]
    }

    /// The labels the engine shows on a container.
    pub fn labels(&self, container: &Container) -> BTreeMap<String, String> {
        let service = self.service_of(container);
        let node = &self.nodes[container.node];
        let mut labels = BTreeMap::new();
        let mut put = |key: &str, value: &str| labels.insert(key.to_owned(), value.to_owned());
        match service.orchestrator {
            Orchestrator::Swarm => {
                let task = container.task_id.as_deref().unwrap_or_default();
                if let Some(stack) = &service.stack {
                    put("com.docker.stack.namespace", stack);
                }
                put("com.docker.swarm.node.id", &node.swarm_id);
                put("com.docker.swarm.service.id", &service.id);
                put("com.docker.swarm.service.name", &service.name);
                put("com.docker.swarm.task", "");
                put("com.docker.swarm.task.id", task);
                put("com.docker.swarm.task.name", &container.name);
            }
            Orchestrator::Compose => {
                put("com.docker.compose.container-number", &container.slot_number.to_string());
                put("com.docker.compose.oneoff", "False");
                put("com.docker.compose.project", service.stack.as_deref().unwrap_or_default());
                put("com.docker.compose.service", &service.name);
                put("com.docker.compose.version", "2.29.1");
            }
            Orchestrator::Plain => {}
        }
        labels
    }

    /// The run of a container at a time of its node's clock.
    pub fn run_at(&self, container: &Container, time_ms: i64) -> Option<&Run> {
        let index = self.run_index_at(&container.runs, time_ms)?;
        Some(&self.runs[index as usize])
    }

    /// Of runs sorted by time, the one that covers a time.
    pub(crate) fn run_index_at(&self, runs: &[u32], time_ms: i64) -> Option<u32> {
        let later = runs.partition_point(|&run| self.runs[run as usize].started_ms <= time_ms);
        let run = *runs.get(later.checked_sub(1)?)?;
        (time_ms < self.runs[run as usize].ended_ms).then_some(run)
    }

    /// Rows of all nodes for the ticks in `[from_ms, to_ms)`, tick by tick and node by node.
    ///
    /// Counters need the ticks before, so a late `from_ms` costs as much as its past.
    pub fn ticks(&self, from_ms: i64, to_ms: i64) -> Ticks<'_> {
        let cursors = (0..self.nodes.len()).map(|node| NodeCursor::new(self, node)).collect();
        Ticks::new(self, cursors, from_ms, to_ms)
    }

    /// As [`Fleet::ticks`], for one node; no rows when there is no such node.
    pub fn ticks_of_node(&self, node: usize, from_ms: i64, to_ms: i64) -> Ticks<'_> {
        let known = self.nodes.get(node).map(|_| NodeCursor::new(self, node));
        Ticks::new(self, known.into_iter().collect(), from_ms, to_ms)
    }

    pub(crate) fn slot(&self, index: u32) -> &Slot {
        &self.slots[index as usize]
    }

    pub(crate) fn tracks(&self, node: usize) -> &[Track] {
        &self.tracks[node]
    }
}

fn tracks(
    config: &FleetConfig,
    slots: &[Slot],
    containers: &[Container],
    runs: &[Run],
) -> Vec<Vec<Track>> {
    let mut nodes: Vec<BTreeMap<u32, Vec<u32>>> = vec![BTreeMap::new(); config.nodes as usize];
    for (index, run) in runs.iter().enumerate() {
        let node = containers[run.container as usize].node;
        nodes[node].entry(run.slot).or_default().push(index as u32);
    }
    let spread = |slot: u32| {
        let most = config.clock.spread_ms.clamp(0, config.interval_ms / 4) as u64;
        (child(slots[slot as usize].seed, 0x59EA) % (most + 1)) as i64
    };
    let make = |visits: BTreeMap<u32, Vec<u32>>| {
        let each = visits.into_iter();
        each.map(|(slot, runs)| Track { slot, spread_ms: spread(slot), runs }).collect()
    };
    nodes.into_iter().map(make).collect()
}
