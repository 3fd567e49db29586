//! Trees whose roots are gateways to the internet.
//!
//! Invariant: every peer has exactly one way up, and a gateway at its end.

use serde::{Deserialize, Serialize};

use super::super::error::TopologyError;
use super::super::graph::{Role, Topology};
use super::builder::Builder;
use crate::Stream;
use crate::link::{LinkChoice, Preset};

/// Gateways, each the root of a tree that is filled level by level, and the internet above them: the last node, a
/// router. Node i has the gateways first, then their children, then theirs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tree {
    /// Peers and gateways, 1 to 99,999.
    pub nodes: u32,
    /// How many of them are gateways, 1 to `nodes`. Default 1.
    #[serde(default = "one")]
    pub gateways: u32,
    /// Children of each node, 1 to 1,000, as long as there are nodes. Default 3.
    #[serde(default = "three")]
    pub children: u32,
    /// Kinds of link, from child to parent. Default: `mesh_radio`.
    #[serde(default)]
    pub links: Vec<LinkChoice>,
    /// Kinds of link from a gateway to the internet. Default: `dsl`.
    #[serde(default)]
    pub uplinks: Vec<LinkChoice>,
}

fn one() -> u32 {
    1
}

fn three() -> u32 {
    3
}

/// Most children of a node.
const CHILDREN_MAX: u32 = 1000;

impl Tree {
    /// Makes it.
    ///
    /// # Errors
    /// If a parameter is outside its range.
    pub fn make(&self, seed: u64) -> Result<Topology, TopologyError> {
        if !(1..=CHILDREN_MAX).contains(&self.children) {
            return Err(TopologyError::out_of_range("children", self.children, "1 to 1000"));
        }
        let mut builder = Builder::with_peers(seed, &self.links, Preset::MeshRadio, (self.nodes, 1))?;
        if !(1..=self.nodes).contains(&self.gateways) {
            return Err(TopologyError::out_of_range("gateways", self.gateways, "1 to `nodes`"));
        }
        for node in self.gateways..self.nodes {
            builder.link(node, (node - self.gateways) / self.children);
        }
        let internet = builder.node("internet".to_owned(), Role::Router, None);
        let default = [LinkChoice::preset(Preset::Dsl)];
        let uplinks = if self.uplinks.is_empty() { &default[..] } else { &self.uplinks };
        let mut luck = Stream::new(seed, "topology uplinks", 0);
        for gateway in 0..self.gateways {
            let node = builder.node_mut(gateway);
            (node.name, node.role) = (format!("gateway-{gateway}"), Role::Gateway);
            let uplink = LinkChoice::draw(uplinks, &mut luck).expect("the list is not empty, nor are weights 0");
            builder.link_of(gateway, internet, uplink.clone());
        }
        builder.finish()
    }
}
