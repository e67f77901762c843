//! Who a container is: its subject, from the engine's labels.
//!
//! The rules are the `[[identity]]` entries of `schemas/labels.toml`: Swarm first, then Compose,
//! then the container's own name. The same service keeps the same identity through every
//! container that runs it.

use std::collections::BTreeMap;
use std::sync::Arc;

use plimsoll_model::Subject;

const SWARM_SERVICE: &str = "com.docker.swarm.service.name";
const SWARM_TASK: &str = "com.docker.swarm.task.name";
const SWARM_STACK: &str = "com.docker.stack.namespace";
const COMPOSE_PROJECT: &str = "com.docker.compose.project";
const COMPOSE_SERVICE: &str = "com.docker.compose.service";
const COMPOSE_NUMBER: &str = "com.docker.compose.container-number";

/// The subject of a container.
///
/// `node`: the subject of its machine. `name`: with or without the engine's leading slash.
pub(crate) fn subject(
    node: &Subject,
    id: &Arc<str>,
    name: &str,
    image: &str,
    labels: &BTreeMap<String, String>,
) -> Subject {
    let name = name.trim_start_matches('/');
    let label = |key: &str| labels.get(key).map_or("", String::as_str);
    let (stack, service, slot) = if labels.contains_key(SWARM_SERVICE) {
        let (stack, full) = (label(SWARM_STACK), label(SWARM_SERVICE));
        let own = full.strip_prefix(stack).and_then(|rest| rest.strip_prefix('_'));
        let service = own.filter(|_| !stack.is_empty()).unwrap_or(full);
        (stack, service, swarm_slot(full, label(SWARM_TASK)))
    } else if labels.contains_key(COMPOSE_SERVICE) {
        (label(COMPOSE_PROJECT), label(COMPOSE_SERVICE), label(COMPOSE_NUMBER))
    } else {
        ("", name, "")
    };
    Subject {
        service: Arc::from(service),
        container_id: id.clone(),
        cluster: node.cluster.clone(),
        node: node.node.clone(),
        stack: Arc::from(stack),
        slot: Arc::from(slot),
        container: Arc::from(name),
        image: Arc::from(image),
    }
}

/// The slot in a task's name `service.slot.task`; for a global service that is a node's id.
/// A service's name may hold points itself.
fn swarm_slot<'a>(service: &str, task: &'a str) -> &'a str {
    let rest = task.strip_prefix(service).and_then(|rest| rest.strip_prefix('.'));
    rest.and_then(|rest| rest.split_once('.')).map_or("", |(slot, _)| slot)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(name: &str, labels: &[(&str, &str)]) -> (String, String, String) {
        let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let node = Subject::node("default", "n1");
        let subject = subject(&node, &Arc::from("id"), name, "bb", &labels);
        let text = |value: &Arc<str>| value.to_string();
        (text(&subject.stack), text(&subject.service), text(&subject.slot))
    }

    fn expected(stack: &str, service: &str, slot: &str) -> (String, String, String) {
        (stack.to_owned(), service.to_owned(), slot.to_owned())
    }

    #[test]
    fn swarm_services_lose_the_prefix_of_their_stack() {
        let stack = [
            (SWARM_SERVICE, "shop_web.v2"),
            (SWARM_STACK, "shop"),
            (SWARM_TASK, "shop_web.v2.3.oqfo2bk74hwc9ekt72a6qrweh"),
        ];
        assert_eq!(names("/x", &stack), expected("shop", "web.v2", "3"));
        let alone = [(SWARM_SERVICE, "shop_web"), (SWARM_TASK, "shop_web.1.abc")];
        assert_eq!(names("/x", &alone), expected("", "shop_web", "1"));
        let global = [(SWARM_SERVICE, "log"), (SWARM_TASK, "log.k4lv4t87k9i4.oqfo2bk7")];
        assert_eq!(names("/x", &global), expected("", "log", "k4lv4t87k9i4"));
    }

    #[test]
    fn compose_services_and_plain_containers_have_their_names() {
        let compose = [(COMPOSE_PROJECT, "shop"), (COMPOSE_SERVICE, "db"), (COMPOSE_NUMBER, "2")];
        assert_eq!(names("/shop-db-2", &compose), expected("shop", "db", "2"));
        assert_eq!(names("/cache", &[]), expected("", "cache", ""));
    }
}
