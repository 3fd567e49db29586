//! A deterministic world in virtual time: the same seed gives the same run, bit for bit, on any machine.
//!
//! [`Kernel`] drives any [`Machine`](mesh_proto::Machine) without knowing what it does; a [`World`] says what becomes of
//! the machines' outputs. Randomness comes from [`Stream`]s, one per purpose and node, so that what one part of a run
//! draws never shifts what another does.
//!
//! | module | what it does |
//! |---|---|
//! | [`sim`] | a world of product nodes, to build, step, disturb and look into: start here |
//! | `kernel` | virtual time, events in order, machines and their timeouts |
//! | `kernel::queue` | two event queues that give the same order |
//! | `random` | named, counter-based streams of random numbers |
//! | `capture` | every event of a run |
//! | `flow` | how payload shares links |
//! | `packet` | single packets, to check `flow` against |
//! | `link`, `topology` | what links are like; who is joined by them, and the ways through |
//! | `draw` | distributions, arrivals and samples over those streams |
//! | `select` | which nodes and links of a world are meant |
//! | `workload` | what people do: share, get, come and go |
//! | `fault` | what goes wrong: plans, their schedule, random ones, and smaller ones |
//! | `world` | the product's nodes, and everything between their brains |
//! | `scenario`, `experiment` | worlds as TOML files; runs over seeds, grids, comparisons, the hunt |
//! | `result` | from what runs measured to figures, tables, plots and files |
//!
//! Invariants: a run is sequential and depends on nothing but its inputs; observing it changes nothing.

pub mod capture;
pub mod draw;
pub mod experiment;
pub mod fault;
pub mod flow;
pub mod kernel;
pub mod link;
pub mod packet;
pub mod random;
pub mod result;
pub mod scenario;
pub mod select;
pub mod sim;
pub mod topology;
pub mod workload;
pub mod world;

/// What the document shows in Rust is run with the tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/simulation.md")]
struct Document;

pub use kernel::{Kernel, Member, Stage, World};
pub use random::Stream;
