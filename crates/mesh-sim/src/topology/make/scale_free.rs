//! Scale-free networks: who has many links gets more (Barabási and Albert 1999).
//!
//! Invariant: the network grows in one piece, so it is connected.

use serde::{Deserialize, Serialize};

use super::super::error::TopologyError;
use super::super::graph::{LINKS_MAX, Topology, check_size};
use super::builder::Builder;
use crate::Stream;
use crate::link::{LinkChoice, Preset};

/// Begins with `links_each` + 1 peers that are all linked; each further peer is linked to `links_each` different ones
/// before it, drawn in proportion to the links they have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScaleFree {
    /// Peers, 2 to 100,000.
    pub nodes: u32,
    /// m: links of each new peer, 1 to 100 and below `nodes`. Default 2.
    #[serde(default = "two")]
    pub links_each: u32,
    /// Kinds of link, from the newer peer to the older. Default: `mesh_radio`.
    #[serde(default)]
    pub links: Vec<LinkChoice>,
}

fn two() -> u32 {
    2
}

const LINKS_EACH_MAX: u32 = 100;

impl ScaleFree {
    /// Makes it.
    ///
    /// # Errors
    /// If a parameter is outside its range.
    pub fn make(&self, seed: u64) -> Result<Topology, TopologyError> {
        let mut builder = Builder::with_peers(seed, &self.links, Preset::MeshRadio, (self.nodes, 2))?;
        if !(1..=LINKS_EACH_MAX).contains(&self.links_each) || self.links_each >= self.nodes {
            return Err(TopologyError::out_of_range("links_each", self.links_each, "1 to 100, and below `nodes`"));
        }
        check_size("links", u64::from(self.nodes) * u64::from(self.links_each), LINKS_MAX)?;
        let mut shape = Stream::new(seed, "topology shape", 0);
        // Each peer as often as it has links: drawing from it draws in proportion to links.
        let mut ends: Vec<u32> = Vec::new();
        for peer in 1..self.nodes {
            let older = if peer <= self.links_each { (0..peer).collect() } else { self.draw(&ends, &mut shape) };
            for end in older {
                builder.link(peer, end);
                ends.extend([peer, end]);
            }
        }
        builder.finish()
    }

    fn draw(&self, ends: &[u32], shape: &mut Stream) -> Vec<u32> {
        let mut drawn: Vec<u32> = Vec::new();
        // There are more than `links_each` peers with links each, so another is always found.
        while drawn.len() < self.links_each as usize {
            let end = ends[shape.below(ends.len() as u64) as usize];
            if !drawn.contains(&end) {
                drawn.push(end);
            }
        }
        drawn
    }
}
