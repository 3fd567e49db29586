//! Small worlds: a ring of neighbourhoods with a few shortcuts (Watts and Strogatz 1998).
//!
//! Invariant: no two links join the same nodes.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::super::components::Components;
use super::super::error::TopologyError;
use super::super::graph::{LINKS_MAX, Topology, check_size};
use super::builder::Builder;
use crate::Stream;
use crate::link::{LinkChoice, Preset};

/// Peers in a ring, each linked to its nearest; then each link's far end moves with a probability to a peer drawn from
/// all. If that leaves parts that do not reach peer 0, each gets one link more, from its lowest peer to one drawn from
/// peer 0's part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmallWorld {
    /// Peers, 3 to 100,000.
    pub nodes: u32,
    /// K: neighbours of each peer before links move; even, 2 to `nodes` − 1. Default 4.
    #[serde(default = "four")]
    pub neighbours: u32,
    /// Links that move, in parts per million. Default 100,000: one in ten.
    #[serde(default = "a_tenth")]
    pub rewired_ppm: u32,
    /// Kinds of link. Default: `mesh_radio`.
    #[serde(default)]
    pub links: Vec<LinkChoice>,
}

fn four() -> u32 {
    4
}

fn a_tenth() -> u32 {
    100_000
}

/// A link for whose end so many draws find no free peer stays where it is: its peer is linked to nearly all.
const DRAWS_MAX: u32 = 100;

impl SmallWorld {
    /// Makes it.
    ///
    /// # Errors
    /// If a parameter is outside its range.
    pub fn make(&self, seed: u64) -> Result<Topology, TopologyError> {
        let mut builder = Builder::with_peers(seed, &self.links, Preset::MeshRadio, (self.nodes, 3))?;
        if self.neighbours < 2 || !self.neighbours.is_multiple_of(2) || self.neighbours >= self.nodes {
            return Err(TopologyError::out_of_range("neighbours", self.neighbours, "even, 2 to `nodes` - 1"));
        }
        if self.rewired_ppm > 1_000_000 {
            return Err(TopologyError::out_of_range("rewired_ppm", self.rewired_ppm, "0 to 1000000"));
        }
        check_size("links", u64::from(self.nodes) * u64::from(self.neighbours) / 2, LINKS_MAX)?;
        let mut shape = Stream::new(seed, "topology shape", 0);
        let mut around = self.rewire(&mut shape);
        join(&mut around, &mut shape);
        for (peer, neighbours) in (0u32..).zip(&around) {
            neighbours.range(peer + 1..).for_each(|neighbour| builder.link(peer, *neighbour));
        }
        builder.finish()
    }

    /// The neighbours of each peer after links have moved.
    fn rewire(&self, shape: &mut Stream) -> Vec<BTreeSet<u32>> {
        let nodes = self.nodes;
        let mut around = vec![BTreeSet::new(); nodes as usize];
        for (peer, step) in (0..nodes).flat_map(|peer| (1..=self.neighbours / 2).map(move |step| (peer, step))) {
            link(&mut around, peer, (peer + step) % nodes);
        }
        for (step, peer) in (1..=self.neighbours / 2).flat_map(|step| (0..nodes).map(move |peer| (step, peer))) {
            if !shape.one_in_a_million(self.rewired_ppm) {
                continue;
            }
            let is_free = |end: &u32| *end != peer && !around[peer as usize].contains(end);
            let end = (0..DRAWS_MAX).map(|_| shape.below(u64::from(nodes)) as u32).find(is_free);
            if let Some(end) = end {
                let old = (peer + step) % nodes;
                around[peer as usize].remove(&old);
                around[old as usize].remove(&peer);
                link(&mut around, peer, end);
            }
        }
        around
    }
}

fn link(around: &mut [BTreeSet<u32>], a: u32, b: u32) {
    around[a as usize].insert(b);
    around[b as usize].insert(a);
}

/// Links every part to peer 0's.
fn join(around: &mut [BTreeSet<u32>], shape: &mut Stream) {
    let mut components = Components::new(around.len());
    for (peer, neighbours) in (0u32..).zip(around.iter()) {
        neighbours.iter().for_each(|neighbour| _ = components.join(peer, *neighbour));
    }
    if components.count() <= 1 {
        return;
    }
    let lowest: Vec<u32> = (0..around.len() as u32).map(|peer| components.lowest(peer)).collect();
    let of_first: Vec<u32> = (0..around.len() as u32).filter(|peer| lowest[*peer as usize] == 0).collect();
    for peer in (1..around.len() as u32).filter(|peer| lowest[*peer as usize] == *peer) {
        let end = of_first[shape.below(of_first.len() as u64) as usize];
        link(around, peer, end);
    }
}
