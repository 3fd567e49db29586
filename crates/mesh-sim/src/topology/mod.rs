//! Networks: made from a recipe, read from a file, written for others, and the ways through them.
//!
//! | part | what it does |
//! |---|---|
//! | `graph` | nodes, links, radio channels, as data |
//! | `make` | segment, line, ring, star, grid, tree, geometric, small world, scale free, two villages |
//! | `import` | NetJSON, node-link JSON, GraphML, GML |
//! | `export` | NetJSON, node-link JSON, GraphML |
//! | `routes` | the cheapest ways while links and nodes go up and down |
//!
//! Start at [`TopologyPlan`], [`import::read`] and [`Routes`]. Invariant: a topology that anything here hands out
//! passes [`Topology::check`].

mod components;
mod error;
pub mod export;
mod graph;
pub mod import;
mod make;
mod routes;

pub use error::TopologyError;
pub use graph::{
    CHANNELS_MAX, CHANNELS_PER_LINK_MAX, DirectedLink, LINKS_MAX, Link, NAME_BYTES_MAX, NODES_MAX, Node, Path,
    Position, RadioChannel, Role, Topology,
};
pub use make::{
    Air, Connect, File, GEOMETRIC_NODES_MAX, Geometric, Grid, Line, REDRAWS_MAX, Ring, ScaleFree, Segment, SmallWorld,
    Star, TopologyPlan, Tree, TwoVillages,
};
pub use routes::Routes;
