//! Which containers an engine has, and which of them have to be looked at again.
//!
//! Events say at once that something changed; the full list every half minute finds what they
//! missed. Either way the truth comes from an inspection, and an event that arrives while an
//! inspection runs causes another one. Pure: asks nobody.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use bollard::models::ContainerSummary;

use super::container::ContainerFacts;

/// What a list says of a container; a difference calls for an inspection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Listed {
    state: String,
    name: String,
    health: Option<&'static str>,
}

#[derive(Debug, Default)]
struct Known {
    listed: Option<Listed>,
}

/// Containers by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) running: u64,
    pub(crate) paused: u64,
    pub(crate) stopped: u64,
    /// Containers past the limit, which are not collected.
    pub(crate) left_out: u64,
}

/// The containers of one engine.
#[derive(Debug)]
pub(crate) struct Inventory {
    containers_max: usize,
    known: HashMap<Arc<str>, Known>,
    queue: VecDeque<Arc<str>>,
    queued: HashSet<Arc<str>>,
    inspecting: HashSet<Arc<str>>,
}

impl Inventory {
    /// An empty inventory of at most `containers_max` containers.
    pub(crate) fn new(containers_max: usize) -> Self {
        Self {
            containers_max,
            known: HashMap::new(),
            queue: VecDeque::new(),
            queued: HashSet::new(),
            inspecting: HashSet::new(),
        }
    }

    /// Compares with a full list; returns the containers that are gone.
    pub(crate) fn listed(&mut self, list: Vec<ContainerSummary>) -> (Vec<Arc<str>>, Counts) {
        let mut counts = Counts::default();
        let mut present = HashSet::new();
        for summary in list {
            let Some(id) = summary.id.as_deref().map(Arc::<str>::from) else { continue };
            let seen = summarize(&summary);
            match seen.state.as_str() {
                "running" => counts.running += 1,
                "paused" => counts.paused += 1,
                _ => counts.stopped += 1,
            }
            let changed = self.known.get(&id).is_none_or(|k| k.listed.as_ref() != Some(&seen));
            present.insert(id.clone());
            if changed {
                if !self.look(&id) {
                    counts.left_out += 1;
                    continue;
                }
                self.known.entry(id).or_default().listed = Some(seen);
            }
        }
        let gone = |id: &&Arc<str>| !present.contains(*id);
        let gone: Vec<_> = self.known.keys().filter(gone).cloned().collect();
        for id in &gone {
            self.gone(id);
        }
        (gone, counts)
    }

    /// Puts a container in line for inspection. False when there are too many containers.
    pub(crate) fn look(&mut self, id: &Arc<str>) -> bool {
        if !self.known.contains_key(id) && self.known.len() >= self.containers_max {
            return false;
        }
        self.known.entry(id.clone()).or_default();
        if self.queued.insert(id.clone()) {
            self.queue.push_back(id.clone());
        }
        true
    }

    /// The next container to inspect, if fewer than `concurrency` inspections run. One that is
    /// being inspected waits until that is done.
    pub(crate) fn next(&mut self, concurrency: usize) -> Option<Arc<str>> {
        if self.inspecting.len() >= concurrency {
            return None;
        }
        let at = self.queue.iter().position(|id| !self.inspecting.contains(id))?;
        let id = self.queue.remove(at)?;
        self.queued.remove(&id);
        self.inspecting.insert(id.clone());
        Some(id)
    }

    /// An inspection ended with facts.
    pub(crate) fn inspected(&mut self, facts: &ContainerFacts) {
        self.inspecting.remove(&facts.id);
    }

    /// An inspection failed: the next list tries again.
    pub(crate) fn failed(&mut self, id: &str) {
        self.inspecting.remove(id);
        if let Some(known) = self.known.get_mut(id) {
            known.listed = None;
        }
    }

    /// A container was removed.
    pub(crate) fn gone(&mut self, id: &str) {
        self.known.remove(id);
        self.inspecting.remove(id);
        if self.queued.remove(id) {
            self.queue.retain(|queued| &**queued != id);
        }
    }

    /// Forgets what runs, after the connection broke.
    pub(crate) fn disconnected(&mut self) {
        self.inspecting.clear();
        for known in self.known.values_mut() {
            known.listed = None;
        }
    }

    /// Whether no inspection runs or waits.
    pub(crate) fn is_settled(&self) -> bool {
        self.queue.is_empty() && self.inspecting.is_empty()
    }
}

fn summarize(summary: &ContainerSummary) -> Listed {
    let status = summary.status.as_deref().unwrap_or("");
    let health = ["(healthy)", "(unhealthy)", "(health: starting)"];
    Listed {
        state: summary.state.as_ref().map(ToString::to_string).unwrap_or_default(),
        name: summary.names.iter().flatten().next().cloned().unwrap_or_default(),
        health: health.into_iter().find(|word| status.contains(word)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(id: &str, status: &str) -> ContainerSummary {
        ContainerSummary {
            id: Some(id.to_owned()),
            status: Some(status.to_owned()),
            ..ContainerSummary::default()
        }
    }

    fn facts(id: &str) -> ContainerFacts {
        ContainerFacts { id: Arc::from(id), ..ContainerFacts::default() }
    }

    #[test]
    fn only_what_changed_is_inspected() {
        let mut inventory = Inventory::new(10);
        inventory.listed(vec![summary("a", "Up"), summary("b", "Up (healthy)")]);
        assert_eq!(inventory.next(1).as_deref(), Some("a"));
        assert_eq!(inventory.next(1), None, "one at a time");
        inventory.inspected(&facts("a"));
        assert_eq!(inventory.next(1).as_deref(), Some("b"));
        inventory.inspected(&facts("b"));
        inventory.listed(vec![summary("a", "Up 3 s"), summary("b", "Up (unhealthy)")]);
        assert_eq!(inventory.next(9).as_deref(), Some("b"));
        inventory.failed("b");
        assert!(inventory.is_settled());
        let (gone, _) = inventory.listed(vec![summary("b", "Up (unhealthy)")]);
        assert_eq!(gone, [Arc::from("a")]);
        assert_eq!(inventory.next(9).as_deref(), Some("b"), "what failed is tried again");
    }

    #[test]
    fn an_event_during_an_inspection_causes_another() {
        let mut inventory = Inventory::new(1);
        let id = Arc::from("a");
        assert!(inventory.look(&id));
        assert!(!inventory.look(&Arc::from("b")), "past the limit");
        assert!(inventory.next(4).is_some());
        assert!(inventory.look(&id));
        assert_eq!(inventory.next(4), None);
        inventory.inspected(&facts("a"));
        assert!(inventory.next(4).is_some());
    }
}
