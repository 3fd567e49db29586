//! Graphs with figures of any names, as NetJSON and GraphML: for what is seen of a network besides its topology.
//!
//! Invariant: nodes and edges are written in their order, and both formats carry the same figures.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::graphml::escape;

/// Figures of a node, an edge or a graph, by name.
pub type Figures = Map<String, Value>;

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
    /// The names of its ends.
    pub ends: [String; 2],
    /// What NetJSON calls its cost: the time of a small frame, in milliseconds.
    pub cost_ms: f64,
    /// What is said of it.
    pub figures: Figures,
}

impl Graph {
    /// As a NetJSON NetworkGraph.
    #[must_use]
    pub fn netjson(&self) -> String {
        let node = |(name, figures): &(String, Figures)| json!({"id": name, "properties": figures});
        let link = |edge: &Edge| {
            let [source, target] = &edge.ends;
            json!({"source": source, "target": target, "cost": edge.cost_ms, "properties": edge.figures})
        };
        let graph = json!({
            "type": "NetworkGraph",
            "protocol": "mesh-sim",
            "version": env!("CARGO_PKG_VERSION"),
            "metric": "ms",
            "nodes": self.nodes.iter().map(node).collect::<Vec<_>>(),
            "links": self.edges.iter().map(link).collect::<Vec<_>>(),
            "properties": self.figures,
        });
        graph.to_string()
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
            let [source, target] = [escape(&edge.ends[0]), escape(&edge.ends[1])];
            put(&mut text, format_args!("<edge source=\"{source}\" target=\"{target}\">"));
            put_data(&mut text, "edge", &edge.figures);
            text.push_str("</edge>\n");
        }
        text.push_str("</graph>\n</graphml>\n");
        text
    }

    /// All figures there are, with the type that holds each of its values.
    fn keys(&self) -> BTreeMap<(&'static str, &str), &'static str> {
        let of_graph = self.figures.iter().map(|figure| ("graph", figure));
        let of_nodes = self.nodes.iter().flat_map(|(_, figures)| figures.iter().map(|figure| ("node", figure)));
        let of_edges = self.edges.iter().flat_map(|edge| edge.figures.iter().map(|figure| ("edge", figure)));
        let mut keys: BTreeMap<(&'static str, &str), &'static str> = BTreeMap::new();
        for (of, (name, value)) in of_graph.chain(of_nodes).chain(of_edges) {
            let kind = kind_of(value);
            keys.entry((of, name.as_str())).and_modify(|known| *known = wider(known, kind)).or_insert(kind);
        }
        keys
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
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

fn put_data(text: &mut String, of: &str, figures: &Figures) {
    for (name, value) in figures {
        let value = match value {
            Value::String(value) => escape(value).into_owned(),
            other => escape(&other.to_string()).into_owned(),
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

    fn figures(value: Value) -> Figures {
        value.as_object().expect("an object").clone()
    }

    fn graph() -> Graph {
        let node = |name: &str, value| (name.to_owned(), figures(value));
        let ends = || ["a & b".to_owned(), "c".to_owned()];
        Graph {
            figures: figures(json!({"time_s": 1.5})),
            nodes: vec![
                node("a & b", json!({"runs": true, "peers": 3})),
                node("c", json!({"runs": false, "peers": 2.5, "label": "<c>"})),
            ],
            edges: vec![
                Edge { ends: ends(), cost_ms: 0.5, figures: figures(json!({"kind": "link", "latency_ms": 0.5})) },
                Edge { ends: ends(), cost_ms: 2.0, figures: figures(json!({"kind": "connection"})) },
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
