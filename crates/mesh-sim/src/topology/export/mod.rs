//! Topologies for other programs: NetJSON, node-link JSON, GraphML.
//!
//! Links carry figures that any program understands (`latency_ms`, `rate_bytes_per_s`, `loss_ppm` and so on: means, of
//! the first direction), and beside them `mesh_quality`, `mesh_back` and `mesh_channels`, from which
//! [`read`](super::import::read) restores all there is.
//!
//! [`Graph`] is for what is seen of a network besides.
//! Invariant: a topology that is written here and read again is the same topology.

mod figures;
mod graph;
mod graphml;
mod json;
#[cfg(test)]
mod tests;

pub use graph::{Edge, Graph};
pub use graphml::graphml;
pub use json::{netjson, node_link};
