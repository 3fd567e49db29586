//! Experiments: a scenario over seeds, over a grid of parameters, or against another; and the hunt for runs that fail.
//!
//! | file | what it does |
//! |---|---|
//! | `play` | one run: demands and faults at their times |
//! | `communities` | what people do to found, join and leave communities |
//! | `observer`, `measures` | what is seen, and what comes of it as figures |
//! | `invariants` | what must hold of every node at any moment |
//! | `run` | one run from scenario and seed to its figures |
//! | `batch` | many runs side by side |
//! | [`hunt`] | random scenarios and faults, and the smallest that still fail |
//!
//! Invariant: runs share nothing; their results stand in the order of the seeds, however they were scheduled.

mod batch;
mod communities;
pub mod hunt;
mod invariants;
mod measures;
mod observer;
mod play;
mod run;

pub use batch::{Batch, Progress, Variation, grid, run_all};
pub use measures::{MEASURES, MeasureInfo};
pub use run::{Run, RunError, run, snapshots, tapped, told};
