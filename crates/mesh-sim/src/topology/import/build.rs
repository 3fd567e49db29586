//! From what a file says to a topology.
//!
//! Invariant: every link of the file is a link of the topology, or a direction of one, unless it leads from a node to
//! itself.

use std::collections::BTreeMap;

use super::super::graph::{Link, Node, Position, RadioChannel, Topology};
use super::error::{ImportError, Place, Problem, quoted};
use super::figures::{LinkFigures, NodeFigures};
use super::graph::{FileLink, FileNode, Graph};
use crate::link::{LATENCY_NS_MAX, Latency, LinkQuality, Loss};

/// Above this a cost with the metric ETX is in units of 1/1024, as olsrd writes it.
const ETX_UNITS_FROM: f64 = 1024.0;
/// The worst a link can be: a frame in a hundred arrives.
const ETX_MAX: f64 = 100.0;

/// The topology that a file describes.
pub(super) fn topology(graph: Graph, default: &LinkQuality) -> Result<Topology, ImportError> {
    let Graph { pairs_directions, cost_is_etx, channels, mut nodes, links } = graph;
    nodes.sort_by_key(|node| !node.figures.role.unwrap_or_default().runs_the_program());
    let mut builder = Build {
        numbers: numbers(&nodes)?,
        nodes: &nodes,
        default,
        cost_is_etx,
        one_way: pairs_directions.then(BTreeMap::new),
        links: Vec::with_capacity(links.len()),
    };
    for link in links {
        builder.add(link)?;
    }
    let links = builder.links;
    checked(nodes.into_iter().map(node).collect(), links, channels)
}

fn checked(nodes: Vec<Node>, links: Vec<Link>, channels: Vec<RadioChannel>) -> Result<Topology, ImportError> {
    let topology = Topology { nodes, links, channels };
    topology.check().map_err(|error| ImportError::new(Place::File, error.into()))?;
    Ok(topology)
}

fn numbers(nodes: &[FileNode]) -> Result<BTreeMap<&str, u32>, ImportError> {
    let mut numbers = BTreeMap::new();
    for (number, node) in (0u32..).zip(nodes) {
        if numbers.insert(node.id.as_str(), number).is_some() {
            return Err(ImportError::new(node.place, Problem::NodeTwice(quoted(&node.id))));
        }
    }
    Ok(numbers)
}

fn node(FileNode { id, figures, .. }: FileNode) -> Node {
    let NodeFigures { label, role, x_m, y_m, .. } = figures;
    let position = x_m.zip(y_m).and_then(|(x_m, y_m)| Position::from_metres(x_m, y_m));
    Node { name: id, label, role: role.unwrap_or_default(), position }
}

struct Build<'a> {
    numbers: BTreeMap<&'a str, u32>,
    nodes: &'a [FileNode],
    default: &'a LinkQuality,
    cost_is_etx: bool,
    /// Links by their ends whose other direction has not come yet, if directions are paired.
    one_way: Option<BTreeMap<(u32, u32), usize>>,
    links: Vec<Link>,
}

impl Build<'_> {
    fn add(&mut self, link: FileLink) -> Result<(), ImportError> {
        let number = |id: &str| {
            let found = self.numbers.get(id).copied();
            found.ok_or_else(|| ImportError::new(link.place, Problem::NoSuchNode(quoted(id))))
        };
        let (a, b) = (number(&link.source)?, number(&link.target)?);
        if a == b {
            return Ok(());
        }
        let figures = link.figures;
        let there = self.quality(&figures, a, b);
        if let Some(quality) = figures.quality {
            // Our own export says everything of both directions.
            let back = figures.back.map(|back| *back);
            self.links.push(Link { a, b, quality: *quality, back, channels: figures.channels });
            return Ok(());
        }
        if let Some(one_way) = &mut self.one_way {
            if let Some(index) = one_way.remove(&(b, a)) {
                let link = &mut self.links[index];
                link.back = Some(there).filter(|back| *back != link.quality);
                return Ok(());
            }
            one_way.insert((a, b), self.links.len());
        }
        let back = Some(self.quality(&figures, b, a)).filter(|back| *back != there);
        self.links.push(Link { a, b, quality: there, back, channels: figures.channels });
        Ok(())
    }

    fn quality(&self, figures: &LinkFigures, from: u32, to: u32) -> LinkQuality {
        let bounds =
            [self.nodes[from as usize].figures.up_bytes_per_s, self.nodes[to as usize].figures.down_bytes_per_s];
        let bound = bounds.into_iter().flatten().min();
        let said = figures.rate_bytes_per_s.or(bound).unwrap_or(self.default.rate_bytes_per_s);
        let rate = said.min(bound.unwrap_or(u64::MAX));
        let rate = if self.cost_is_etx { (rate as f64 / etx(figures.cost)) as u64 } else { rate };
        let mut quality = self.default.clone();
        if rate != quality.rate_bytes_per_s {
            let plain = LinkQuality::new(quality.latency, rate.max(1));
            (quality.rate_bytes_per_s, quality.buffer_bytes) = (plain.rate_bytes_per_s, plain.buffer_bytes);
        }
        if let Some(ppm) = figures.loss_ppm {
            quality.loss = if ppm == 0 { Loss::None } else { Loss::Independent { ppm } };
        }
        quality.latency = latency(figures).unwrap_or(quality.latency);
        quality
    }
}

fn latency(figures: &LinkFigures) -> Option<Latency> {
    let time_ns = figures.latency_ns?;
    Some(match figures.jitter_ns.unwrap_or(0) {
        0 => Latency::Constant { time_ns },
        jitter_ns => Latency::Uniform {
            min_ns: time_ns.saturating_sub(jitter_ns),
            max_ns: time_ns.saturating_add(jitter_ns).min(LATENCY_NS_MAX),
        },
    })
}

/// How often a frame is sent until it arrives.
fn etx(cost: Option<f64>) -> f64 {
    let cost = cost.filter(|cost| cost.is_finite()).unwrap_or(1.0);
    let times = if cost >= ETX_UNITS_FROM { cost / 1024.0 } else { cost };
    times.clamp(1.0, ETX_MAX)
}
