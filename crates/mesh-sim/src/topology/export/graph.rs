//! Graphs with figures of any names, as NetJSON and GraphML: for what is seen of a network besides its topology.
//!
//! Invariant: nodes and edges are written in their order, and both formats carry the same figures.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Serialize, Serializer};

use super::graphml::escape;
use super::json::{Items, NetLink, NetNode, NetworkGraph, write};

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Figure {
    /// Whether something is so.
    Flag(bool),
    /// How many.
    Count(u64),
    /// How much.
    Real(f64),
    /// One of a few words.
    Word(&'static str),
    /// Any text.
    Text(String),
}

/// Figures of a node, an edge or a graph, by name, in the order in which they are written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures(Vec<(&'static str, Figure)>);

impl Figures {
    /// The same with one more.
    #[must_use]
    pub fn with(mut self, name: &'static str, figure: impl Into<Figure>) -> Self {
        self.0.reserve(8);
        self.0.push((name, figure.into()));
        self
    }

    /// The one of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Figure> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, figure)| figure)
    }
}

impl Serialize for Figures {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, figure)| (name, figure)))
    }
}

impl From<bool> for Figure {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<u64> for Figure {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<usize> for Figure {
    fn from(count: usize) -> Self {
        Self::Count(count as u64)
    }
}

impl From<f64> for Figure {
    fn from(real: f64) -> Self {
        Self::Real(real)
    }
}

impl From<&'static str> for Figure {
    fn from(word: &'static str) -> Self {
        Self::Word(word)
    }
}

impl From<String> for Figure {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// A graph. Nodes may be joined by more than one edge.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Graph {
    /// What is said of all of it.
    pub figures: Figures,
    /// Each node by its name, which no other has.
    pub nodes: Vec<(String, Figures)>,
    /// What joins them.
    pub edges: Vec<Edge>,
}

/// What joins two nodes.
#[derive(Debug, Clone, PartialEq)]
pub struct Edge {
    /// Which nodes, by their places in the graph's list.
    pub ends: [u32; 2],
    /// What NetJSON calls its cost: the time of a small frame, in milliseconds.
    pub cost_ms: f64,
    /// What is said of it.
    pub figures: Figures,
}

impl Graph {
    /// As a NetJSON NetworkGraph.
    #[must_use]
    pub fn netjson(&self) -> String {
        write(&NetworkGraph {
            r#type: "NetworkGraph",
            protocol: "mesh-sim",
            version: env!("CARGO_PKG_VERSION"),
            metric: "ms",
            nodes: Items(|| self.nodes.iter().map(|(name, figures)| NetNode { id: name, properties: figures })),
            links: Items(|| {
                self.edges.iter().map(|edge| {
                    let [source, target] = self.names(edge);
                    NetLink { source, target, cost: edge.cost_ms, properties: &edge.figures }
                })
            }),
            properties: &self.figures,
        })
    }

    fn names(&self, edge: &Edge) -> [&str; 2] {
        edge.ends.map(|end| self.nodes[end as usize].0.as_str())
    }

    /// As GraphML with typed keys.
    #[must_use]
    pub fn graphml(&self) -> String {
        let keys = self.keys();
        let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        text.push_str("<graphml xmlns=\"http://graphml.graphdrawing.org/xmlns\">\n");
        for ((of, name), kind) in &keys {
            let name = escape(name);
            let id = format!("{of}-{name}");
            put(&mut text, format_args!("<key id=\"{id}\" for=\"{of}\" attr.name=\"{name}\" attr.type=\"{kind}\"/>"));
        }
        text.push_str("<graph id=\"G\" edgedefault=\"undirected\">\n");
        put_data(&mut text, "graph", &self.figures);
        for (name, figures) in &self.nodes {
            put(&mut text, format_args!("<node id=\"{}\">", escape(name)));
            put_data(&mut text, "node", figures);
            text.push_str("</node>\n");
        }
        for edge in &self.edges {
            let [source, target] = self.names(edge).map(escape);
            put(&mut text, format_args!("<edge source=\"{source}\" target=\"{target}\">"));
            put_data(&mut text, "edge", &edge.figures);
            text.push_str("</edge>\n");
        }
        text.push_str("</graph>\n</graphml>\n");
        text
    }

    /// All figures there are, with the type that holds each of its values.
    fn keys(&self) -> BTreeMap<(&'static str, &str), &'static str> {
        let of_graph = self.figures.0.iter().map(|figure| ("graph", figure));
        let of_nodes = self.nodes.iter().flat_map(|(_, figures)| figures.0.iter().map(|figure| ("node", figure)));
        let of_edges = self.edges.iter().flat_map(|edge| edge.figures.0.iter().map(|figure| ("edge", figure)));
        let mut keys: BTreeMap<(&'static str, &str), &'static str> = BTreeMap::new();
        for (of, (name, figure)) in of_graph.chain(of_nodes).chain(of_edges) {
            let kind = kind_of(figure);
            keys.entry((of, *name)).and_modify(|known| *known = wider(known, kind)).or_insert(kind);
        }
        keys
    }
}

fn kind_of(figure: &Figure) -> &'static str {
    match figure {
        Figure::Flag(_) => "boolean",
        Figure::Count(_) => "long",
        Figure::Real(_) => "double",
        Figure::Word(_) | Figure::Text(_) => "string",
    }
}

/// A type that holds the values of both.
fn wider(one: &'static str, other: &'static str) -> &'static str {
    match (one, other) {
        _ if one == other => one,
        ("long" | "double", "long" | "double") => "double",
        _ => "string",
    }
}

fn put_data(text: &mut String, of: &str, figures: &Figures) {
    for (name, figure) in &figures.0 {
        let value = match figure {
            Figure::Flag(flag) => Cow::Owned(flag.to_string()),
            Figure::Count(count) => Cow::Owned(count.to_string()),
            Figure::Real(real) => Cow::Owned(real.to_string()),
            Figure::Word(word) => escape(word),
            Figure::Text(text) => escape(text),
        };
        put(text, format_args!("<data key=\"{of}-{}\">{value}</data>", escape(name)));
    }
}

fn put(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("writing into memory does not fail");
}

#[cfg(test)]
mod tests {
    use super::super::super::import::{Format, read};
    use super::*;
    use crate::link::{Latency, LinkQuality};

    fn graph() -> Graph {
        let node = |name: &str, figures| (name.to_owned(), figures);
        let of = Figures::default;
        Graph {
            figures: of().with("time_s", 1.5),
            nodes: vec![
                node("a & b", of().with("runs", true).with("peers", 3_usize)),
                node("c", of().with("runs", false).with("peers", 2.5).with("label", "<c>".to_owned())),
            ],
            edges: vec![
                Edge { ends: [0, 1], cost_ms: 0.5, figures: of().with("kind", "link").with("latency_ms", 0.5) },
                Edge { ends: [0, 1], cost_ms: 2.0, figures: of().with("kind", "connection") },
            ],
        }
    }

    #[test]
    fn a_key_has_the_type_of_all_its_values() {
        let graph = graph();
        let keys = graph.keys();
        assert_eq!(keys[&("node", "runs")], "boolean");
        assert_eq!(keys[&("node", "peers")], "double");
        assert_eq!(keys[&("edge", "kind")], "string");
        assert_eq!(keys[&("graph", "time_s")], "double");
        let text = graph.graphml();
        assert!(text.contains("<key id=\"node-peers\" for=\"node\" attr.name=\"peers\" attr.type=\"double\"/>"));
        assert!(text.contains("<data key=\"node-label\">&lt;c&gt;</data>"), "{text}");
    }

    #[test]
    fn both_formats_are_read_by_others_rules() {
        let unused = LinkQuality::new(Latency::Constant { time_ns: 1 }, 1);
        let graph = graph();
        for (format, text) in [(Format::Json, graph.netjson()), (Format::GraphMl, graph.graphml())] {
            let topology = read(format, text.as_bytes(), &unused).unwrap_or_else(|error| panic!("{error}\n{text}"));
            let names: Vec<&str> = topology.nodes.iter().map(|node| node.name.as_str()).collect();
            assert_eq!(names, ["a & b", "c"]);
            assert_eq!(topology.links.len(), 2);
        }
    }
}
