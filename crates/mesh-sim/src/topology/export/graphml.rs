//! GraphML with typed keys.
//!
//! Invariant: whatever stands in a name, the document is well-formed.

use std::borrow::Cow;
use std::fmt::{Display, Write as _};

use serde::Serialize;

use super::super::graph::Topology;
use super::figures::{LinkFigures, NodeFigures, name};

/// Keys: their names, what has them, their type.
const KEYS: [(&str, &str, &str); 13] = [
    ("mesh_channels", "all", "string"),
    ("label", "node", "string"),
    ("role", "node", "string"),
    ("x_m", "node", "double"),
    ("y_m", "node", "double"),
    ("latency_ms", "edge", "double"),
    ("rate_bytes_per_s", "edge", "long"),
    ("loss_ppm", "edge", "int"),
    ("class", "edge", "string"),
    ("metered", "edge", "boolean"),
    ("cost_ms", "edge", "double"),
    ("mesh_quality", "edge", "string"),
    ("mesh_back", "edge", "string"),
];

/// Writes GraphML.
#[must_use]
pub fn graphml(topology: &Topology) -> String {
    let mut document = Document(String::new());
    document.line("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
    document.line("<graphml xmlns=\"http://graphml.graphdrawing.org/xmlns\">");
    for (name, of, kind) in KEYS {
        document.line(format_args!("<key id=\"{name}\" for=\"{of}\" attr.name=\"{name}\" attr.type=\"{kind}\"/>"));
    }
    document.line("<graph id=\"G\" edgedefault=\"undirected\">");
    if !topology.channels.is_empty() {
        document.json("mesh_channels", &topology.channels);
    }
    for node in &topology.nodes {
        document.line(format_args!("<node id=\"{}\">", escape(&node.name)));
        document.node(&NodeFigures::of(node));
        document.line("</node>");
    }
    for link in &topology.links {
        let [source, target] = [link.a, link.b].map(|end| escape(name(topology, end)));
        document.line(format_args!("<edge source=\"{source}\" target=\"{target}\">"));
        document.link(&LinkFigures::of(link), link.quality.routing_cost_ns());
        document.line("</edge>");
    }
    document.line("</graph>");
    document.line("</graphml>");
    document.0
}

struct Document(String);

impl Document {
    fn line(&mut self, line: impl Display) {
        writeln!(self.0, "{line}").expect("writing into memory does not fail");
    }

    fn data(&mut self, key: &str, value: impl Display) {
        self.line(format_args!("<data key=\"{key}\">{value}</data>"));
    }

    fn json(&mut self, key: &str, value: &impl Serialize) {
        let text = serde_json::to_string(value).expect("text, numbers and lists are all JSON");
        self.data(key, escape(&text));
    }

    fn node(&mut self, figures: &NodeFigures<'_>) {
        let NodeFigures { label, role, x_m, y_m } = figures;
        if let Some(label) = label {
            self.data("label", escape(label));
        }
        self.data("role", role);
        for (key, metres) in [("x_m", x_m), ("y_m", y_m)] {
            if let Some(metres) = metres {
                self.data(key, metres);
            }
        }
    }

    fn link(&mut self, figures: &LinkFigures<'_>, cost_ns: u64) {
        self.data("latency_ms", figures.latency_ms);
        self.data("rate_bytes_per_s", figures.rate_bytes_per_s);
        self.data("loss_ppm", figures.loss_ppm);
        let class = serde_json::to_string(&figures.class).expect("a name is JSON");
        self.data("class", class.trim_matches('"'));
        self.data("metered", figures.metered);
        self.data("cost_ms", cost_ns as f64 / 1e6);
        self.json("mesh_quality", figures.mesh_quality);
        if let Some(back) = figures.mesh_back {
            self.json("mesh_back", back);
        }
        if !figures.mesh_channels.is_empty() {
            self.json("mesh_channels", &figures.mesh_channels);
        }
    }
}

/// Text as it may stand in XML, in quotes or outside. Line ends and tabs are kept by number; what no XML can hold is
/// replaced.
pub(super) fn escape(text: &str) -> Cow<'_, str> {
    let is_plain = |letter: char| letter >= ' ' && !"<>&\"'\u{fffe}\u{ffff}".contains(letter);
    if text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match letter {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\t' | '\n' | '\r' => _ = write!(escaped, "&#{};", u32::from(letter)),
            letter if is_plain(letter) => escaped.push(letter),
            _ => escaped.push(char::REPLACEMENT_CHARACTER),
        }
    }
    Cow::Owned(escaped)
}
