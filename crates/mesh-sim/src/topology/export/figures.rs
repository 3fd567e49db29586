//! The figures of nodes and links that every format carries.
//!
//! Invariant: names and meanings are the same in all formats, and those that the import reads.

use mesh_proto::port::net::LinkClass;
use serde::Serialize;

use super::super::graph::{Link, Node, Topology};
use crate::link::LinkQuality;

/// What is written of a node besides its name.
#[derive(Debug, Serialize)]
pub(super) struct NodeFigures<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<&'a str>,
    pub role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x_m: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub y_m: Option<f64>,
}

impl<'a> NodeFigures<'a> {
    pub fn of(node: &'a Node) -> Self {
        Self {
            label: node.label.as_deref(),
            role: node.role.name(),
            x_m: node.position.map(|position| position.x_m()),
            y_m: node.position.map(|position| position.y_m()),
        }
    }
}

/// What is written of a link besides its ends.
#[derive(Debug, Serialize)]
pub(super) struct LinkFigures<'a> {
    pub latency_ms: f64,
    pub rate_bytes_per_s: u64,
    pub loss_ppm: u32,
    pub class: LinkClass,
    pub metered: bool,
    pub mesh_quality: &'a LinkQuality,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mesh_back: Option<&'a LinkQuality>,
    #[serde(skip_serializing_if = "<[u32]>::is_empty")]
    pub mesh_channels: &'a [u32],
}

impl<'a> LinkFigures<'a> {
    pub fn of(link: &'a Link) -> Self {
        Self {
            latency_ms: link.quality.latency.mean_ns() as f64 / 1e6,
            rate_bytes_per_s: link.quality.rate_bytes_per_s,
            loss_ppm: link.quality.loss.mean_ppm(),
            class: link.quality.class,
            metered: link.quality.is_metered,
            mesh_quality: &link.quality,
            mesh_back: link.back.as_ref(),
            mesh_channels: &link.channels,
        }
    }
}

/// A node's name by its number.
pub(super) fn name(topology: &Topology, node: u32) -> &str {
    &topology.nodes[node as usize].name
}
