//! The cheapest way from node to node: what a routing protocol in a steady state would have found.
//!
//! The cost of a direction is its mean latency and the time of 64 KiB at its rate. Trees are computed when first asked
//! for, one per source (Dijkstra 1959), and kept until a change concerns them.
//!
//! Invariant: an answer depends on the topology and on what is up now, never on what was asked or up before. Of equally
//! cheap ways a node is reached by the direction with the lowest number.

#[cfg(test)]
mod tests;
mod tree;

use std::collections::{BTreeSet, VecDeque};

use mesh_proto::port::net::LinkClass;

use super::graph::{DirectedLink, Role, Topology};
use tree::Tree;

/// Memory that kept trees may take; beyond it the oldest is dropped.
const TREES_BYTES_MAX: usize = 256 << 20;

/// Ways through a topology while nodes and links go up and down. Everything is up at first.
#[derive(Debug, Clone)]
pub struct Routes {
    network: Network,
    trees: Vec<Option<Box<Tree>>>,
    /// Sources of kept trees, oldest first.
    kept: VecDeque<u32>,
    kept_max: usize,
}

/// The network as Dijkstra's algorithm reads it.
#[derive(Debug, Clone)]
struct Network {
    /// Where each node's directions begin in `out`, and one more.
    begins: Vec<u32>,
    /// Directions away from each node, by number.
    out: Vec<Out>,
    /// By direction.
    ends: Vec<(u32, u32)>,
    costs_ns: Vec<u64>,
    links_up: Vec<bool>,
    nodes_up: Vec<bool>,
    /// Whether a direction stays within a segment, and a node is a switch.
    same_segment: Vec<bool>,
    switches: Vec<bool>,
}

#[derive(Debug, Clone, Copy)]
struct Out {
    to: u32,
    directed: DirectedLink,
}

impl Network {
    fn out_of(&self, node: u32) -> &[Out] {
        let (begin, end) = (self.begins[node as usize], self.begins[node as usize + 1]);
        &self.out[begin as usize..end as usize]
    }

    fn cost_ns(&self, directed: DirectedLink) -> u64 {
        self.costs_ns[directed.0 as usize]
    }

    fn is_up(&self, directed: DirectedLink) -> bool {
        self.links_up[directed.0 as usize]
    }
}

impl Routes {
    /// The ways through a topology.
    #[must_use]
    pub fn new(topology: &Topology) -> Self {
        let ends: Vec<(u32, u32)> = topology.directed_links().map(|directed| topology.ends(directed)).collect();
        let mut by_node: Vec<DirectedLink> = topology.directed_links().collect();
        by_node.sort_by_key(|directed| ends[directed.0 as usize].0);
        let out: Vec<Out> = by_node.iter().map(|d| Out { to: ends[d.0 as usize].1, directed: *d }).collect();
        let nodes = topology.nodes.len();
        let begins = (0..=nodes as u32).map(|node| by_node.partition_point(|d| ends[d.0 as usize].0 < node) as u32);
        let qualities = || topology.directed_links().map(|directed| topology.quality(directed));
        let network = Network {
            begins: begins.collect(),
            out,
            costs_ns: qualities().map(|quality| quality.routing_cost_ns()).collect(),
            links_up: vec![true; ends.len()],
            nodes_up: vec![true; nodes],
            same_segment: qualities().map(|quality| quality.class == LinkClass::SameSegment).collect(),
            switches: topology.nodes.iter().map(|node| node.role == Role::Switch).collect(),
            ends,
        };
        let kept_max = (TREES_BYTES_MAX / Tree::bytes(nodes)).max(1);
        Self { network, trees: vec![None; nodes], kept: VecDeque::new(), kept_max }
    }

    /// The directions to take from one node to another, in order; none from a node to itself. `None` if there is no
    /// way, or one of the two is down.
    ///
    /// # Panics
    /// If there is no node of one of the numbers.
    pub fn route(&mut self, from: u32, to: u32) -> Option<Vec<DirectedLink>> {
        if !self.is_node_up(from) || !self.is_node_up(to) {
            return None;
        }
        let (tree, network) = self.tree(from);
        let mut links = Vec::new();
        let mut at = to;
        while at != from {
            let via = tree.via(at)?;
            links.push(via);
            at = network.ends[via.0 as usize].0;
        }
        links.reverse();
        Some(links)
    }

    /// What the way from one node to another costs, in nanoseconds.
    ///
    /// # Panics
    /// If there is no node of one of the numbers.
    pub fn cost_ns(&mut self, from: u32, to: u32) -> Option<u64> {
        let are_up = self.is_node_up(from) && self.is_node_up(to);
        if are_up { self.tree(from).0.cost_ns(to) } else { None }
    }

    /// The nodes that hear a node's multicast, in order, without itself: one link away within its segment, or more
    /// behind switches; those that are up, over what is up.
    ///
    /// # Panics
    /// If there is no node of this number.
    #[must_use]
    pub fn segment_of(&self, node: u32) -> Vec<u32> {
        let network = &self.network;
        let mut heard = BTreeSet::new();
        let mut asking = if self.is_node_up(node) { vec![node] } else { Vec::new() };
        while let Some(at) = asking.pop() {
            for Out { to, directed } in network.out_of(at) {
                let reaches = network.is_up(*directed) && network.same_segment[directed.0 as usize];
                if reaches && self.is_node_up(*to) && heard.insert(*to) && network.switches[*to as usize] {
                    asking.push(*to);
                }
            }
        }
        heard.remove(&node);
        heard.into_iter().filter(|heard| !network.switches[*heard as usize]).collect()
    }

    /// Whether a node is up.
    ///
    /// # Panics
    /// If there is none of this number.
    #[must_use]
    pub fn is_node_up(&self, node: u32) -> bool {
        self.network.nodes_up[node as usize]
    }

    /// Whether a direction is up.
    ///
    /// # Panics
    /// If there is none of this number.
    #[must_use]
    pub fn is_link_up(&self, directed: DirectedLink) -> bool {
        self.network.is_up(directed)
    }

    /// One direction of a link goes up or down.
    ///
    /// # Panics
    /// If there is none of this number.
    pub fn set_link_up(&mut self, directed: DirectedLink, up: bool) {
        if self.network.is_up(directed) == up {
            return;
        }
        self.network.links_up[directed.0 as usize] = up;
        let network = &self.network;
        match up {
            true => drop_trees(&mut self.trees, &mut self.kept, |tree| tree.would_take(network, directed)),
            false => drop_trees(&mut self.trees, &mut self.kept, |tree| tree.takes(network, directed)),
        }
    }

    /// A node goes up or down; one that is down passes nothing on.
    ///
    /// # Panics
    /// If there is none of this number.
    pub fn set_node_up(&mut self, node: u32, up: bool) {
        if self.is_node_up(node) == up {
            return;
        }
        self.network.nodes_up[node as usize] = up;
        let network = &self.network;
        let out = || network.out_of(node).iter().map(|out| out.directed);
        match up {
            true => drop_trees(&mut self.trees, &mut self.kept, |tree| {
                out().any(|directed| network.is_up(directed) && tree.would_take(network, directed))
            }),
            false => drop_trees(&mut self.trees, &mut self.kept, |tree| {
                tree.source() != node && out().any(|directed| tree.takes(network, directed))
            }),
        }
    }

    /// Changes what a direction costs, as when a fault makes it slower. A cost of 0 counts as 1.
    ///
    /// # Panics
    /// If there is none of this number.
    pub fn set_cost_ns(&mut self, directed: DirectedLink, cost_ns: u64) {
        let old = std::mem::replace(&mut self.network.costs_ns[directed.0 as usize], cost_ns.max(1));
        let network = &self.network;
        let is_less = cost_ns < old;
        drop_trees(&mut self.trees, &mut self.kept, |tree| {
            tree.takes(network, directed) || is_less && network.is_up(directed) && tree.would_take(network, directed)
        });
    }

    /// The tree of a source, and what it is a tree of.
    fn tree(&mut self, source: u32) -> (&Tree, &Network) {
        if self.trees[source as usize].is_none() {
            if self.kept.len() >= self.kept_max {
                let oldest = self.kept.pop_front().expect("at least one is kept");
                self.trees[oldest as usize] = None;
            }
            self.kept.push_back(source);
        }
        let network = &self.network;
        (self.trees[source as usize].get_or_insert_with(|| Box::new(Tree::new(network, source))), network)
    }
}

/// Drops the trees that a change concerns.
fn drop_trees(trees: &mut [Option<Box<Tree>>], kept: &mut VecDeque<u32>, is_concerned: impl Fn(&Tree) -> bool) {
    kept.retain(|source| {
        let tree = &mut trees[*source as usize];
        if tree.as_ref().is_some_and(|tree| is_concerned(tree)) {
            *tree = None;
        }
        tree.is_some()
    });
}
