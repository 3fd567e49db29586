//! A real network from a file, as a recipe of its own.
//!
//! The file is read by whoever reads the scenario: nothing here opens anything. Invariant: what was read stays when other
//! values of the scenario are set.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::super::error::TopologyError;
use super::super::graph::Topology;
use super::super::import::{self, Format, ImportError};
use crate::link::{LinkChoice, Preset};

/// A network from a file: NetJSON or node-link JSON (`.json`), GraphML (`.graphml`, `.xml`) or GML (`.gml`), at most 64
/// MiB.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Where it lies, from the scenario's folder.
    pub path: String,
    /// What its links are like where it does not say; both ways alike. Default: the preset `mesh_radio`.
    #[serde(default = "mesh_radio")]
    pub link: LinkChoice,
    /// What was read.
    #[serde(skip)]
    topology: Option<Arc<Topology>>,
}

fn mesh_radio() -> LinkChoice {
    LinkChoice::preset(Preset::MeshRadio)
}

impl File {
    /// Takes the file's bytes.
    ///
    /// # Errors
    /// If they are not what the file's name says, or describe no network; with the place.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), ImportError> {
        let format = Format::of_name(&self.path).unwrap_or(Format::Json);
        self.topology = Some(Arc::new(import::read(format, bytes, &self.link.quality)?));
        Ok(())
    }

    /// Makes it: the same for every seed.
    ///
    /// # Errors
    /// If nobody read the file.
    pub fn make(&self, _: u64) -> Result<Topology, TopologyError> {
        let read = self.topology.as_deref().cloned();
        read.ok_or_else(|| TopologyError::NotRead { path: self.path.clone() })
    }

    /// Keeps what another read from the same file with the same links.
    pub(super) fn keep(&mut self, other: &Self) {
        if self.path == other.path && self.link == other.link {
            self.topology.clone_from(&other.topology);
        }
    }
}
