//! Real networks from files: NetJSON, node-link JSON, GraphML, GML.
//!
//! Nobody vouches for the bytes. Each reader turns its format into the same loose graph of nodes, links and
//! figures; one builder makes a topology of that. Figures that a file may hold, by key (in `properties` or beside
//! `source` and `target`), are:
//!
//! | of a link | means |
//! |---|---|
//! | `latency` | text with a unit, or milliseconds; `latency_ms`: milliseconds |
//! | `jitter` | the same; the latency then lies evenly between latency − jitter and latency + jitter |
//! | `packet_loss`, `packetloss` | the share lost, 0 to 1; `loss_ppm`: in parts per million |
//! | `rate`, `bandwidth` | text with a unit; `rate_bytes_per_s`: a number; `LinkSpeedRaw`: bits per second (Topology Zoo) |
//! | `cost` | with `metric` ETX in NetJSON: how often a frame is sent until it arrives; the rate is divided by it |
//! | `mesh_quality`, `mesh_back`, `mesh_channels` | all that our own exports know |
//!
//! | of a node | means |
//! |---|---|
//! | `label` | what people call it |
//! | `role` | peer, gateway, router, switch; anything else counts as peer |
//! | `x_m`, `y_m` | where it stands |
//! | `host_bandwidth_up`, `host_bandwidth_down` | text with a unit, as in Shadow: no link from it, or to it, is faster |
//!
//! What a file does not say is taken from a given quality. A link from a node to itself is left out. Where a file lists
//! both directions of a directed pair, they become one link. Nodes that run the program are numbered before the others.
//!
//! Invariant: any bytes give a topology that passes its check, or an error with its place; memory stays within a small
//! multiple of the file's length, which is limited.

mod build;
mod error;
mod figures;
mod gml;
mod graph;
mod graphml;
mod json;
#[cfg(test)]
mod tests;

use super::graph::Topology;
use crate::link::LinkQuality;

pub use error::{ImportError, Place, Problem};

/// Longest file: 64 MiB.
pub const IMPORT_BYTES_MAX: usize = 64 << 20;

/// What a file is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Format {
    /// NetJSON NetworkGraph, or node-link JSON with `edges` or `links`.
    Json,
    /// GraphML, one flat graph.
    GraphMl,
    /// GML, as Shadow and the Internet Topology Zoo use it.
    Gml,
}

impl Format {
    /// The format that a file's name tells: `.json`, `.graphml` or `.xml`, `.gml`.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let (_, ending) = name.rsplit_once('.')?;
        match ending.to_ascii_lowercase().as_str() {
            "json" => Some(Self::Json),
            "graphml" | "xml" => Some(Self::GraphMl),
            "gml" => Some(Self::Gml),
            _ => None,
        }
    }
}

/// Reads a network. What the file does not say of a link is as in `default`.
///
/// # Errors
/// If the bytes are not what the format says, or describe no network; with the place.
pub fn read(format: Format, bytes: &[u8], default: &LinkQuality) -> Result<Topology, ImportError> {
    if bytes.len() > IMPORT_BYTES_MAX {
        return Err(ImportError::new(Place::File, Problem::TooLong { bytes: bytes.len() }));
    }
    read_text(format, bytes, default).map_err(|error| error.located(bytes))
}

fn read_text(format: Format, bytes: &[u8], default: &LinkQuality) -> Result<Topology, ImportError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| ImportError::new(Place::Offset(error.valid_up_to()), Problem::NotUtf8))?;
    // Some editors begin a file with a mark that says it is UTF-8.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let graph = match format {
        Format::Json => json::read(text)?,
        Format::GraphMl => graphml::read(text)?,
        Format::Gml => gml::read(text)?,
    };
    build::topology(graph, default)
}
