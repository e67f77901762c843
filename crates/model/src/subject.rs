//! Who a row is about: the dimensions a reader groups and filters by.
//!
//! A subject names one container incarnation or one node. `service` is the stable
//! identity that outlives containers: the Swarm service without its stack prefix, the
//! Compose service, or the container's name where there is neither.
//! An empty string means "has none" and is stored as null.

use std::sync::Arc;

/// One grouping column that tables share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dimension {
    /// The fleet, as configured; `default` unless said otherwise.
    Cluster,
    /// The machine's host name as its engine reports it.
    Node,
    /// Swarm stack or Compose project.
    Stack,
    /// Stable service name inside the stack.
    Service,
    /// Replica: Swarm slot (or node id of a global service) or Compose number.
    Slot,
    /// The container's name, without the leading slash.
    Container,
    /// The container's 64-hex id.
    ContainerId,
    /// Image reference as the container was created from.
    Image,
}

impl Dimension {
    /// All dimensions of a container row, in column order.
    pub const CONTAINER: &'static [Self] = &[
        Self::Cluster,
        Self::Node,
        Self::Stack,
        Self::Service,
        Self::Slot,
        Self::Container,
        Self::ContainerId,
        Self::Image,
    ];
    /// All dimensions of a node row, in column order.
    pub const NODE: &'static [Self] = &[Self::Cluster, Self::Node];

    /// The column and label name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Node => "node",
            Self::Stack => "stack",
            Self::Service => "service",
            Self::Slot => "slot",
            Self::Container => "container",
            Self::ContainerId => "container_id",
            Self::Image => "image",
        }
    }

    /// The dimension with this column name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::CONTAINER.iter().copied().find(|dimension| dimension.name() == name)
    }
}

/// The dimensions of one row. Strings are shared: cloning is cheap.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject {
    /// See [`Dimension::Service`]. First, so that subjects sort as rows do.
    pub service: Arc<str>,
    /// See [`Dimension::ContainerId`].
    pub container_id: Arc<str>,
    /// See [`Dimension::Cluster`].
    pub cluster: Arc<str>,
    /// See [`Dimension::Node`].
    pub node: Arc<str>,
    /// See [`Dimension::Stack`].
    pub stack: Arc<str>,
    /// See [`Dimension::Slot`].
    pub slot: Arc<str>,
    /// See [`Dimension::Container`].
    pub container: Arc<str>,
    /// See [`Dimension::Image`].
    pub image: Arc<str>,
}

impl Default for Subject {
    fn default() -> Self {
        let none: Arc<str> = Arc::from("");
        Self {
            service: none.clone(),
            container_id: none.clone(),
            cluster: none.clone(),
            node: none.clone(),
            stack: none.clone(),
            slot: none.clone(),
            container: none.clone(),
            image: none,
        }
    }
}

impl Subject {
    /// The subject of a node's own rows.
    pub fn node(cluster: &str, node: &str) -> Self {
        Self { cluster: Arc::from(cluster), node: Arc::from(node), ..Self::default() }
    }

    /// The value of one dimension; empty when it has none.
    pub fn get(&self, dimension: Dimension) -> &Arc<str> {
        match dimension {
            Dimension::Cluster => &self.cluster,
            Dimension::Node => &self.node,
            Dimension::Stack => &self.stack,
            Dimension::Service => &self.service,
            Dimension::Slot => &self.slot,
            Dimension::Container => &self.container,
            Dimension::ContainerId => &self.container_id,
            Dimension::Image => &self.image,
        }
    }

    /// Sets the value of one dimension.
    pub fn set(&mut self, dimension: Dimension, value: Arc<str>) {
        let place = match dimension {
            Dimension::Cluster => &mut self.cluster,
            Dimension::Node => &mut self.node,
            Dimension::Stack => &mut self.stack,
            Dimension::Service => &mut self.service,
            Dimension::Slot => &mut self.slot,
            Dimension::Container => &mut self.container,
            Dimension::ContainerId => &mut self.container_id,
            Dimension::Image => &mut self.image,
        };
        *place = value;
    }
}
