//! What every format says: nodes with ids, links between ids, and figures of both.
//!
//! Invariant: there are never more nodes or links than a topology may have.

use super::super::graph::{LINKS_MAX, NAME_BYTES_MAX, NODES_MAX, RadioChannel, check_size};
use super::error::{ImportError, Place, Problem, quoted};
use super::figures::{LinkFigures, NodeFigures};

/// A network as it stands in a file.
#[derive(Debug, Default)]
pub(super) struct Graph {
    /// Whether two links in opposite directions are the two directions of one.
    pub pairs_directions: bool,
    /// Whether `cost` counts how often a frame is sent.
    pub cost_is_etx: bool,
    pub channels: Vec<RadioChannel>,
    pub nodes: Vec<FileNode>,
    pub links: Vec<FileLink>,
}

#[derive(Debug)]
pub(super) struct FileNode {
    pub place: Place,
    pub id: String,
    pub figures: NodeFigures,
}

#[derive(Debug)]
pub(super) struct FileLink {
    pub place: Place,
    pub source: String,
    pub target: String,
    pub figures: LinkFigures,
}

impl Graph {
    pub fn add_node(&mut self, node: FileNode) -> Result<(), ImportError> {
        if node.id.len() > NAME_BYTES_MAX {
            let (key, found) = ("id".to_owned(), format!("\"{}\"", quoted(&node.id)));
            return Err(ImportError::new(node.place, Problem::Value { key, found, allowed: "at most 255 bytes" }));
        }
        let size = check_size("nodes", self.nodes.len() as u64 + 1, NODES_MAX);
        size.map_err(|error| ImportError::new(node.place, error.into()))?;
        self.nodes.push(node);
        Ok(())
    }

    pub fn add_link(&mut self, link: FileLink) -> Result<(), ImportError> {
        let size = check_size("links", self.links.len() as u64 + 1, LINKS_MAX);
        size.map_err(|error| ImportError::new(link.place, error.into()))?;
        self.links.push(link);
        Ok(())
    }
}
