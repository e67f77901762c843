//! What still fits: more replicas, the loss of a node, moving a service.
//!
//! Packing is first-fit decreasing: largest first (by the larger share of a node it needs), each
//! onto the first node it may run on that has room. It may miss a packing that exists, and never
//! claims one that does not.

use serde::Serialize;

/// An amount of CPU and memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Amount {
    /// Cores.
    pub cpu_cores: f64,
    /// Bytes.
    pub memory_bytes: f64,
}

impl Amount {
    fn fits_in(self, room: Self) -> bool {
        self.cpu_cores <= room.cpu_cores + 1e-9 && self.memory_bytes <= room.memory_bytes + 1e-3
    }

    fn less(self, other: Self) -> Self {
        Self {
            cpu_cores: self.cpu_cores - other.cpu_cores,
            memory_bytes: self.memory_bytes - other.memory_bytes,
        }
    }

    /// The larger of the shares of `whole` this takes.
    fn share_of(self, whole: Self) -> f64 {
        let share = |part: f64, of: f64| if of > 0.0 { part / of } else { 0.0 };
        let cpu = share(self.cpu_cores, whole.cpu_cores);
        cpu.max(share(self.memory_bytes, whole.memory_bytes))
    }
}

/// A machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// What it has.
    pub capacity: Amount,
}

/// One replica of a service.
#[derive(Debug, Clone, PartialEq)]
pub struct Replica {
    /// Its name.
    pub name: String,
    /// What it needs: its reservation, its 95th percentile or its peak.
    pub needs: Amount,
    /// Index of the node it runs on; `None`: it is to be placed.
    pub node: Option<usize>,
    /// Indexes of the nodes its constraints allow; `None`: all.
    pub allowed: Option<Vec<usize>>,
}

impl Replica {
    fn may_run_on(&self, node: usize) -> bool {
        self.allowed.as_ref().is_none_or(|allowed| allowed.contains(&node))
    }
}

/// Room left on each node, in node order; negative where more is needed than is there.
pub fn room(nodes: &[Node], replicas: &[Replica]) -> Vec<Amount> {
    let mut room: Vec<Amount> = nodes.iter().map(|node| node.capacity).collect();
    for replica in replicas {
        if let Some(left) = replica.node.and_then(|node| room.get_mut(node)) {
            *left = left.less(replica.needs);
        }
    }
    room
}

/// What packing came to.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Packing {
    /// Name of each placed replica, and the index of its node.
    pub placed: Vec<(String, usize)>,
    /// Names of replicas without a place.
    pub homeless: Vec<String>,
}

/// Packs replicas into the room that is left, first-fit decreasing. `room` shrinks.
pub fn pack(room: &mut [Amount], replicas: &[&Replica]) -> Packing {
    let whole = room.iter().fold(Amount::default(), |held, of| Amount {
        cpu_cores: held.cpu_cores.max(of.cpu_cores),
        memory_bytes: held.memory_bytes.max(of.memory_bytes),
    });
    let mut order = replicas.to_vec();
    order.sort_by(|one, other| {
        let (one_share, other_share) = (one.needs.share_of(whole), other.needs.share_of(whole));
        other_share.total_cmp(&one_share).then_with(|| one.name.cmp(&other.name))
    });
    let mut packing = Packing::default();
    for replica in order {
        let mut places = room.iter_mut().enumerate();
        let place =
            places.find(|(node, left)| replica.may_run_on(*node) && replica.needs.fits_in(**left));
        match place {
            Some((node, left)) => {
                *left = left.less(replica.needs);
                packing.placed.push((replica.name.clone(), node));
            }
            None => packing.homeless.push(replica.name.clone()),
        }
    }
    packing
}

/// How many more replicas like `one` fit beside what runs, at most `most`.
pub fn fits_more(nodes: &[Node], replicas: &[Replica], one: &Replica, most: usize) -> usize {
    let mut room = room(nodes, replicas);
    let mut fitted = 0;
    while fitted < most && pack(&mut room, &[one]).homeless.is_empty() {
        fitted += 1;
    }
    fitted
}

/// What the loss of one node would mean.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NodeLoss {
    /// The node.
    pub node: String,
    /// Whether all it runs finds room elsewhere.
    pub survives: bool,
    /// Replicas that would have to move.
    pub moved: usize,
    /// Those without a place.
    pub homeless: Vec<String>,
}

/// Whether the fleet survives the loss of each single node.
pub fn node_losses(nodes: &[Node], replicas: &[Replica]) -> Vec<NodeLoss> {
    let all = room(nodes, replicas);
    let loss = |(lost, node): (usize, &Node)| {
        let mut left = all.clone();
        if let Some(gone) = left.get_mut(lost) {
            *gone = Amount { cpu_cores: -1.0, memory_bytes: -1.0 };
        }
        let moving: Vec<&Replica> = replicas.iter().filter(|of| of.node == Some(lost)).collect();
        let packing = pack(&mut left, &moving);
        NodeLoss {
            node: node.name.clone(),
            survives: packing.homeless.is_empty(),
            moved: moving.len(),
            homeless: packing.homeless,
        }
    };
    nodes.iter().enumerate().map(loss).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(cpu_cores: f64, gib: f64) -> Amount {
        Amount { cpu_cores, memory_bytes: gib * 1_073_741_824.0 }
    }

    fn node(name: &str) -> Node {
        Node { name: name.to_owned(), capacity: amount(4.0, 8.0) }
    }

    fn replica(name: &str, cpu: f64, node: Option<usize>) -> Replica {
        Replica { name: name.to_owned(), needs: amount(cpu, 1.0), node, allowed: None }
    }

    #[test]
    fn a_fleet_with_room_survives_any_node() {
        let nodes = [node("a"), node("b"), node("c")];
        let replicas =
            [replica("x", 2.0, Some(0)), replica("y", 2.0, Some(1)), replica("z", 2.0, Some(2))];
        assert!(node_losses(&nodes, &replicas).iter().all(|loss| loss.survives));
        let tight =
            [replica("x", 3.0, Some(0)), replica("y", 3.0, Some(1)), replica("z", 3.0, Some(2))];
        let losses = node_losses(&nodes, &tight);
        assert!(losses.iter().all(|loss| !loss.survives && loss.homeless.len() == 1));
    }

    #[test]
    fn constraints_count() {
        let nodes = [node("a"), node("b")];
        let mut bound = replica("x", 1.0, Some(0));
        bound.allowed = Some(vec![0]);
        let losses = node_losses(&nodes, &[bound]);
        assert_eq!(losses[0].homeless, ["x"]);
        assert!(losses[1].survives);
    }

    #[test]
    fn more_replicas_until_a_resource_ends() {
        let nodes = [node("a"), node("b")];
        assert_eq!(fits_more(&nodes, &[], &replica("x", 1.5, None), 100), 4);
        assert_eq!(fits_more(&nodes, &[], &replica("x", 0.1, None), 100), 16);
        assert_eq!(fits_more(&nodes, &[], &replica("x", 5.0, None), 100), 0);
    }

    proptest::proptest! {
        #[test]
        fn packing_never_overfills(sizes in proptest::collection::vec(0.1..4.0_f64, 0..30)) {
            let nodes = [node("a"), node("b"), node("c")];
            let named = sizes.iter().enumerate();
            let replicas: Vec<Replica> =
                named.map(|(at, cpu)| replica(&at.to_string(), *cpu, None)).collect();
            let mut left = room(&nodes, &[]);
            let packing = pack(&mut left, &replicas.iter().collect::<Vec<_>>());
            for of in &left {
                proptest::prop_assert!(of.cpu_cores > -1e-6 && of.memory_bytes > -1.0);
            }
            proptest::prop_assert_eq!(packing.placed.len() + packing.homeless.len(), sizes.len());
        }
    }
}
