//! Graphs with figures of any kind, as NetJSON and GraphML: for what is seen of a network besides its topology.
//!
//! Invariant: nodes and edges are written in their order, and both formats carry the same figures.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Map, Value};

use super::graphml::escape;
use super::json::{Items, NetLink, NetNode, NetworkGraph, write};

/// A graph, with what is said of all of it, of each node and of each edge: structures whose fields are flags, numbers
/// and texts. Nodes may be joined by more than one edge.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph<G, N, E> {
    /// What is said of all of it.
    pub figures: G,
    /// Each node by its name, which no other has.
    pub nodes: Vec<(String, N)>,
    /// What joins them.
    pub edges: Vec<Edge<E>>,
}

/// What joins two nodes.
#[derive(Debug, Clone, PartialEq)]
pub struct Edge<E> {
    /// Which nodes, by their places in the graph's list.
    pub ends: [u32; 2],
    /// What NetJSON calls its cost: the time of a small frame, in milliseconds.
    pub cost_ms: f64,
    /// What is said of it.
    pub figures: E,
}

impl<G: Serialize, N: Serialize, E: Serialize> Graph<G, N, E> {
    /// As a NetJSON NetworkGraph.
    #[must_use]
    pub fn netjson(&self) -> String {
        let graph = NetworkGraph {
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
        };
        write(&graph, self.nodes.len() + self.edges.len())
    }

    fn names(&self, edge: &Edge<E>) -> [&str; 2] {
        edge.ends.map(|end| self.nodes[end as usize].0.as_str())
    }

    /// As GraphML with typed keys.
    #[must_use]
    pub fn graphml(&self) -> String {
        let of_graph = by_name(&self.figures);
        let of_nodes: Vec<_> = self.nodes.iter().map(|(_, figures)| by_name(figures)).collect();
        let of_edges: Vec<_> = self.edges.iter().map(|edge| by_name(&edge.figures)).collect();
        let all = [("graph", std::slice::from_ref(&of_graph)), ("node", &of_nodes), ("edge", &of_edges)];
        let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        text.push_str("<graphml xmlns=\"http://graphml.graphdrawing.org/xmlns\">\n");
        for ((of, name), kind) in kinds(&all) {
            let name = escape(name);
            let id = format!("{of}-{name}");
            put(&mut text, format_args!("<key id=\"{id}\" for=\"{of}\" attr.name=\"{name}\" attr.type=\"{kind}\"/>"));
        }
        text.push_str("<graph id=\"G\" edgedefault=\"undirected\">\n");
        put_data(&mut text, "graph", &of_graph);
        for ((name, _), figures) in self.nodes.iter().zip(&of_nodes) {
            put(&mut text, format_args!("<node id=\"{}\">", escape(name)));
            put_data(&mut text, "node", figures);
            text.push_str("</node>\n");
        }
        for (edge, figures) in self.edges.iter().zip(&of_edges) {
            let [source, target] = self.names(edge).map(escape);
            put(&mut text, format_args!("<edge source=\"{source}\" target=\"{target}\">"));
            put_data(&mut text, "edge", figures);
            text.push_str("</edge>\n");
        }
        text.push_str("</graph>\n</graphml>\n");
        text
    }
}

fn by_name(figures: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(figures) {
        Ok(Value::Object(figures)) => figures,
        other => unreachable!("figures are a structure of flags, numbers and texts, not {other:?}"),
    }
}

/// All figures there are, by what has them and by name, with the type that holds each of their values.
fn kinds<'a>(all: &[(&'static str, &'a [Map<String, Value>])]) -> BTreeMap<(&'static str, &'a str), &'static str> {
    let mut kinds: BTreeMap<(&'static str, &str), &'static str> = BTreeMap::new();
    for (of, figures) in all {
        for (name, figure) in figures.iter().flatten() {
            let kind = kind_of(figure);
            kinds.entry((of, name)).and_modify(|known| *known = wider(known, kind)).or_insert(kind);
        }
    }
    kinds
}

fn kind_of(figure: &Value) -> &'static str {
    match figure {
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "double",
        Value::Number(_) => "long",
        _ => "string",
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

fn put_data(text: &mut String, of: &str, figures: &Map<String, Value>) {
    for (name, figure) in figures {
        let value = match figure {
            Value::String(figure) => escape(figure),
            other => Cow::Owned(other.to_string()),
        };
        put(text, format_args!("<data key=\"{of}-{}\">{value}</data>", escape(name)));
    }
}

fn put(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("writing into memory does not fail");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::import::{Format, read};
    use super::*;
    use crate::link::{Latency, LinkQuality};

    fn graph() -> Graph<Value, Value, Value> {
        Graph {
            figures: json!({"time_s": 1.5}),
            nodes: vec![
                ("a & b".to_owned(), json!({"runs": true, "peers": 3})),
                ("c".to_owned(), json!({"runs": false, "peers": 2.5, "label": "<c>"})),
            ],
            edges: vec![
                Edge { ends: [0, 1], cost_ms: 0.5, figures: json!({"kind": "link", "latency_ms": 0.5}) },
                Edge { ends: [0, 1], cost_ms: 2.0, figures: json!({"kind": "connection"}) },
            ],
        }
    }

    #[test]
    fn a_key_has_the_type_of_all_its_values() {
        let text = graph().graphml();
        for (of, name, kind) in [
            ("graph", "time_s", "double"),
            ("node", "runs", "boolean"),
            ("node", "peers", "double"),
            ("edge", "kind", "string"),
        ] {
            let key = format!("<key id=\"{of}-{name}\" for=\"{of}\" attr.name=\"{name}\" attr.type=\"{kind}\"/>");
            assert!(text.contains(&key), "{key} is not in {text}");
        }
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
