//! What goes wrong in a world, as data: plans, when and to whom they happen, random plans, and smaller ones.
//!
//! | file | what it does |
//! |---|---|
//! | `what` | the kinds of faults and their parameters |
//! | `plan` | faults with their time and place; how they stand in TOML |
//! | `schedule` | a plan's beginnings and ends in the run of a seed |
//! | `nemesis` | random plans |
//! | `severity` | the parameters of a random fault |
//! | `shrink` | the search for the smallest plan and shortest run that still fail |
//! | `smaller` | the smaller forms of one fault |
//!
//! Invariant: what a fault does to whom, and when, follows from the seed and its own number only: taking another fault
//! out of the plan changes nothing about it.

mod nemesis;
#[cfg(test)]
mod nemesis_tests;
mod plan;
mod schedule;
mod severity;
mod shrink;
#[cfg(test)]
mod shrink_tests;
mod smaller;
#[cfg(test)]
mod tests;
mod what;

pub use nemesis::Nemesis;
pub use plan::{FAULTS_MAX, Fault, FaultError, FaultPlan, When};
pub use schedule::{FaultEvent, OCCURRENCES_MAX, Phase, TARGETS_MAX, Targets};
pub use shrink::{Case, Shrinker, TRIES_MAX};
pub use what::{DiskAfter, FaultKind, Split, Target, What};
