//! Shapes without luck: segment, line, ring, star, grid. Only which kind of link lies where is drawn.
//!
//! Invariant: peers are numbered along the shape, from 0.

use serde::{Deserialize, Serialize};

use super::super::error::TopologyError;
use super::super::graph::{NODES_MAX, Role, Topology, check_size};
use super::builder::Builder;
use crate::link::{LinkChoice, Preset};

/// All peers on one switch, each by a link of its own: one local network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segment {
    /// Peers, 1 to 99,999. The switch is the node after them.
    pub nodes: u32,
    /// Kinds of link from peer to switch. Default: `lan`.
    #[serde(default)]
    pub links: Vec<LinkChoice>,
}

/// Each peer linked to the next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Peers, 1 to 100,000.
    pub nodes: u32,
    /// Kinds of link. Default: `mesh_radio`.
    #[serde(default)]
    pub links: Vec<LinkChoice>,
}

/// Each peer linked to the next, and the last to the first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ring {
    /// Peers, 3 to 100,000.
    pub nodes: u32,
    /// Kinds of link. Default: `mesh_radio`.
    #[serde(default)]
    pub links: Vec<LinkChoice>,
}

/// Peer 0 in the middle, all others linked to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Star {
    /// Peers, 2 to 100,000, with the one in the middle.
    pub nodes: u32,
    /// Kinds of link, from the outside to the middle. Default: `wifi`.
    #[serde(default)]
    pub links: Vec<LinkChoice>,
}

/// Peers in rows and columns, each linked to those beside, above and below. Numbered row by row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grid {
    /// Peers in a row, at least 1; no more than 100,000 in all.
    pub columns: u32,
    /// Rows, at least 1.
    pub rows: u32,
    /// Kinds of link. Default: `mesh_radio`.
    #[serde(default)]
    pub links: Vec<LinkChoice>,
}

impl Segment {
    /// Makes it.
    ///
    /// # Errors
    /// If a parameter is outside its range.
    pub fn make(&self, seed: u64) -> Result<Topology, TopologyError> {
        let mut builder = Builder::with_peers(seed, &self.links, Preset::Lan, (self.nodes, 1))?;
        let switch = builder.node("switch".to_owned(), Role::Switch, None);
        (0..self.nodes).for_each(|peer| builder.link(peer, switch));
        builder.finish()
    }
}

impl Line {
    /// Makes it.
    ///
    /// # Errors
    /// If a parameter is outside its range.
    pub fn make(&self, seed: u64) -> Result<Topology, TopologyError> {
        let mut builder = Builder::with_peers(seed, &self.links, Preset::MeshRadio, (self.nodes, 1))?;
        (1..self.nodes).for_each(|peer| builder.link(peer - 1, peer));
        builder.finish()
    }
}

impl Ring {
    /// Makes it.
    ///
    /// # Errors
    /// If a parameter is outside its range.
    pub fn make(&self, seed: u64) -> Result<Topology, TopologyError> {
        let mut builder = Builder::with_peers(seed, &self.links, Preset::MeshRadio, (self.nodes, 3))?;
        (0..self.nodes).for_each(|peer| builder.link(peer, (peer + 1) % self.nodes));
        builder.finish()
    }
}

impl Star {
    /// Makes it.
    ///
    /// # Errors
    /// If a parameter is outside its range.
    pub fn make(&self, seed: u64) -> Result<Topology, TopologyError> {
        let mut builder = Builder::with_peers(seed, &self.links, Preset::Wifi, (self.nodes, 2))?;
        (1..self.nodes).for_each(|peer| builder.link(peer, 0));
        builder.finish()
    }
}

impl Grid {
    /// Makes it.
    ///
    /// # Errors
    /// If a parameter is outside its range.
    pub fn make(&self, seed: u64) -> Result<Topology, TopologyError> {
        let nodes = u64::from(self.columns) * u64::from(self.rows);
        check_size("nodes", nodes, NODES_MAX)?;
        let mut builder = Builder::with_peers(seed, &self.links, Preset::MeshRadio, (nodes as u32, 1))?;
        for peer in 0..nodes as u32 {
            if (peer + 1) % self.columns != 0 {
                builder.link(peer, peer + 1);
            }
            if u64::from(peer) + u64::from(self.columns) < nodes {
                builder.link(peer, peer + self.columns);
            }
        }
        builder.finish()
    }
}
