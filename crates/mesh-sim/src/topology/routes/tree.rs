//! The cheapest ways from one source to every node.
//!
//! Invariant: it is the one tree in which every node is reached at the least cost, and of the directions that give it
//! by the lowest number. Nodes that are down are reached, as the last of a way, but pass nothing on; the source always
//! does.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::super::graph::DirectedLink;
use super::Network;

/// Not reached.
const NEVER: u64 = u64::MAX;
const NO_LINK: u32 = u32::MAX;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tree {
    source: u32,
    /// By node: the cost of reaching it, and by which direction.
    reached: Vec<(u64, u32)>,
}

impl Tree {
    /// Memory of a tree over so many nodes.
    pub fn bytes(nodes: usize) -> usize {
        size_of::<Self>() + nodes * size_of::<(u64, u32)>()
    }

    pub fn new(network: &Network, source: u32) -> Self {
        let mut reached = vec![(NEVER, NO_LINK); network.nodes_up.len()];
        reached[source as usize] = (0, NO_LINK);
        let mut waiting = BinaryHeap::from([Reverse((0, source))]);
        while let Some(Reverse((cost, node))) = waiting.pop() {
            let passes_on = node == source || network.nodes_up[node as usize];
            if cost > reached[node as usize].0 || !passes_on {
                continue;
            }
            for out in network.out_of(node) {
                if !network.is_up(out.directed) {
                    continue;
                }
                let offer = (cost.saturating_add(network.cost_ns(out.directed)), out.directed.0);
                let best = &mut reached[out.to as usize];
                if offer < *best && offer.0 < NEVER {
                    if offer.0 < best.0 {
                        waiting.push(Reverse((offer.0, out.to)));
                    }
                    *best = offer;
                }
            }
        }
        Self { source, reached }
    }

    pub fn source(&self) -> u32 {
        self.source
    }

    /// The last direction of the way to a node.
    pub fn via(&self, node: u32) -> Option<DirectedLink> {
        Some(self.reached[node as usize].1).filter(|link| *link != NO_LINK).map(DirectedLink)
    }

    /// What the way to a node costs.
    pub fn cost_ns(&self, node: u32) -> Option<u64> {
        Some(self.reached[node as usize].0).filter(|cost| *cost != NEVER)
    }

    /// Whether some way goes over this direction.
    pub fn takes(&self, network: &Network, directed: DirectedLink) -> bool {
        self.reached[network.ends[directed.0 as usize].1 as usize].1 == directed.0
    }

    /// Whether a new tree would go over this direction, now that it is up.
    pub fn would_take(&self, network: &Network, directed: DirectedLink) -> bool {
        let (from, to) = network.ends[directed.0 as usize];
        let passes_on = from == self.source || network.nodes_up[from as usize];
        let Some(cost) = self.cost_ns(from).filter(|_| passes_on) else { return false };
        (cost.saturating_add(network.cost_ns(directed)), directed.0) < self.reached[to as usize]
    }
}
