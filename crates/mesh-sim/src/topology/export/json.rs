//! NetJSON NetworkGraph, and the node-link JSON of NetworkX and others.
//!
//! Invariant: nodes and links stand in the order of their numbers.

use serde::{Serialize, Serializer};

use super::super::graph::{RadioChannel, Topology};
use super::figures::{LinkFigures, NodeFigures, name};

/// Most nodes and edges take less.
const ITEM_BYTES: usize = 320;

/// Writes NetJSON. The cost of a link is its latency and the time of 64 KiB at its rate, in milliseconds.
#[must_use]
pub fn netjson(topology: &Topology) -> String {
    let graph = NetworkGraph {
        r#type: "NetworkGraph",
        protocol: "mesh-sim",
        version: env!("CARGO_PKG_VERSION"),
        metric: "ms for 64 KiB",
        nodes: Items(|| {
            topology.nodes.iter().map(|node| NetNode { id: &node.name, properties: NodeFigures::of(node) })
        }),
        links: Items(|| {
            topology.links.iter().map(|link| NetLink {
                source: name(topology, link.a),
                target: name(topology, link.b),
                cost: link.quality.routing_cost_ns() as f64 / 1e6,
                properties: LinkFigures::of(link),
            })
        }),
        properties: Properties { mesh_channels: &topology.channels },
    };
    write(&graph, topology.nodes.len() + topology.links.len())
}

/// Writes node-link JSON with the key `edges`, as NetworkX reads it since 3.4 (before, say `edges="edges"`).
#[must_use]
pub fn node_link(topology: &Topology) -> String {
    let graph = NodeLink {
        directed: false,
        multigraph: true,
        graph: Properties { mesh_channels: &topology.channels },
        nodes: Items(|| topology.nodes.iter().map(|node| FlatNode { id: &node.name, figures: NodeFigures::of(node) })),
        edges: Items(|| {
            topology.links.iter().enumerate().map(|(key, link)| FlatLink {
                source: name(topology, link.a),
                target: name(topology, link.b),
                key,
                figures: LinkFigures::of(link),
            })
        }),
    };
    write(&graph, topology.nodes.len() + topology.links.len())
}

/// Writes a graph of so many nodes and edges.
pub(super) fn write<T: Serialize>(graph: &T, items: usize) -> String {
    // A text that grows to megabytes is copied as often as it doubles.
    let mut bytes = Vec::with_capacity(items * ITEM_BYTES);
    serde_json::to_writer(&mut bytes, graph).expect("text, numbers and lists are all JSON");
    String::from_utf8(bytes).expect("JSON is text")
}

/// A list that is made as it is written.
pub(super) struct Items<F>(pub(super) F);

impl<F: Fn() -> I, I: Iterator<Item: Serialize>> Serialize for Items<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((self.0)())
    }
}

#[derive(Serialize)]
pub(super) struct NetworkGraph<N, L, P> {
    pub(super) r#type: &'static str,
    pub(super) protocol: &'static str,
    pub(super) version: &'static str,
    pub(super) metric: &'static str,
    pub(super) nodes: N,
    pub(super) links: L,
    pub(super) properties: P,
}

#[derive(Serialize)]
pub(super) struct NetNode<'a, P> {
    pub(super) id: &'a str,
    pub(super) properties: P,
}

#[derive(Serialize)]
pub(super) struct NetLink<'a, P> {
    pub(super) source: &'a str,
    pub(super) target: &'a str,
    pub(super) cost: f64,
    pub(super) properties: P,
}

#[derive(Serialize)]
struct Properties<'a> {
    #[serde(skip_serializing_if = "<[RadioChannel]>::is_empty")]
    mesh_channels: &'a [RadioChannel],
}

#[derive(Serialize)]
struct NodeLink<'a, N, L> {
    directed: bool,
    multigraph: bool,
    graph: Properties<'a>,
    nodes: N,
    edges: L,
}

#[derive(Serialize)]
struct FlatNode<'a> {
    id: &'a str,
    #[serde(flatten)]
    figures: NodeFigures<'a>,
}

#[derive(Serialize)]
struct FlatLink<'a> {
    source: &'a str,
    target: &'a str,
    /// Tells links between the same nodes apart.
    key: usize,
    #[serde(flatten)]
    figures: LinkFigures<'a>,
}
