//! Topologies by recipe: [`TopologyPlan`] says which, and [`TopologyPlan::make`] makes it.
//!
//! Invariant: the same plan and seed give the same topology on every machine, and it is always connected. The shape and
//! the choice of links come from streams of their own: other links do not change the shape.

mod builder;
mod file;
mod geometric;
mod plan;
mod regular;
mod scale_free;
mod small_world;
#[cfg(test)]
mod tests;
mod tree;
mod villages;

pub use file::File;
pub use geometric::{Air, Connect, GEOMETRIC_NODES_MAX, Geometric, REDRAWS_MAX};
pub use plan::TopologyPlan;
pub use regular::{Grid, Line, Ring, Segment, Star};
pub use scale_free::ScaleFree;
pub use small_world::SmallWorld;
pub use tree::Tree;
pub use villages::TwoVillages;
