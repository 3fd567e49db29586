//! Which topology: one recipe of all, as a scenario file names it.
//!
//! Invariant: adding a recipe touches this file, its own, and no other.

use serde::{Deserialize, Serialize};

use super::super::error::TopologyError;
use super::super::graph::Topology;
use super::file::File;
use super::geometric::Geometric;
use super::regular::{Grid, Line, Ring, Segment, Star};
use super::scale_free::ScaleFree;
use super::small_world::SmallWorld;
use super::tree::Tree;
use super::villages::TwoVillages;

/// A recipe. In a file, a table whose `kind` is one of these in small letters, such as
/// `topology = { kind = "geometric", nodes = 200, side_m = 2000, range_m = 250 }`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum TopologyPlan {
    /// All peers on one switch.
    Segment(Segment),
    /// One peer after the other.
    Line(Line),
    /// A line that closes.
    Ring(Ring),
    /// One peer in the middle of all others.
    Star(Star),
    /// Rows and columns.
    Grid(Grid),
    /// Trees whose roots are gateways to the internet.
    Tree(Tree),
    /// A wireless neighbourhood.
    Geometric(Geometric),
    /// Neighbours all around, and a few shortcuts.
    SmallWorld(SmallWorld),
    /// A few peers with many links, many with few.
    ScaleFree(ScaleFree),
    /// Two segments and one bridge.
    TwoVillages(TwoVillages),
    /// A real network.
    File(Box<File>),
}

impl TopologyPlan {
    /// Makes the topology of a seed.
    ///
    /// # Errors
    /// If a parameter is outside its range, or there would be too many nodes or links.
    pub fn make(&self, seed: u64) -> Result<Topology, TopologyError> {
        match self {
            Self::Segment(segment) => segment.make(seed),
            Self::Line(line) => line.make(seed),
            Self::Ring(ring) => ring.make(seed),
            Self::Star(star) => star.make(seed),
            Self::Grid(grid) => grid.make(seed),
            Self::Tree(tree) => tree.make(seed),
            Self::Geometric(geometric) => geometric.make(seed),
            Self::SmallWorld(small_world) => small_world.make(seed),
            Self::ScaleFree(scale_free) => scale_free.make(seed),
            Self::TwoVillages(villages) => villages.make(seed),
            Self::File(file) => file.make(seed),
        }
    }

    /// Keeps what another plan read from the same file.
    pub(crate) fn keep(&mut self, other: &Self) {
        if let (Self::File(own), Self::File(other)) = (self, other) {
            own.keep(other);
        }
    }
}
