//! Two villages with one bridge: the smallest network that splits.
//!
//! Invariant: every path between the villages goes over the bridge, which is the last link.

use serde::{Deserialize, Serialize};

use super::super::error::TopologyError;
use super::super::graph::{Role, Topology};
use super::builder::Builder;
use crate::link::{LinkChoice, Preset};

/// Two segments, each with a switch, and a bridge between the switches. The first village has the lower numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TwoVillages {
    /// Peers of both villages, 2 to 99,998. The two switches are the nodes after them.
    pub nodes: u32,
    /// Peers of the first village, 1 to `nodes` − 1. Default: half of them, rounded down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<u32>,
    /// Kinds of link from peer to switch. Default: `wifi`.
    #[serde(default)]
    pub links: Vec<LinkChoice>,
    /// The bridge, from the first village to the second. Default: `village_bridge`.
    #[serde(default = "bridge")]
    pub bridge: Box<LinkChoice>,
}

fn bridge() -> Box<LinkChoice> {
    Box::new(LinkChoice::preset(Preset::VillageBridge))
}

impl TwoVillages {
    /// Makes it.
    ///
    /// # Errors
    /// If a parameter is outside its range.
    pub fn make(&self, seed: u64) -> Result<Topology, TopologyError> {
        let mut builder = Builder::with_peers(seed, &self.links, Preset::Wifi, (self.nodes, 2))?;
        let first = self.first.unwrap_or(self.nodes / 2);
        if !(1..self.nodes).contains(&first) {
            return Err(TopologyError::out_of_range("first", first, "1 to `nodes` - 1"));
        }
        let switches = ["switch-0", "switch-1"].map(|name| builder.node(name.to_owned(), Role::Switch, None));
        for peer in 0..self.nodes {
            builder.link(peer, switches[usize::from(peer >= first)]);
        }
        builder.link_of(switches[0], switches[1], LinkChoice::clone(&self.bridge));
        builder.finish()
    }
}
