//! Counts what happened, without spying: nothing here knows a person, a content or an address.
//!
//! | to | look in |
//! |---|---|
//! | count, keep and merge | [`counters`] |
//! | show to a monitoring system | [`openmetrics`] |
//! | show to a person | [`summary`] |
//!
//! Invariant: counters saturate and never wrap; the set of counters is fixed at compile time, so no input can make them
//! take more memory.

pub mod counters;
pub mod openmetrics;
pub mod summary;

pub use counters::{Counters, DecodeCountersError, Direction, EventKind, Purpose, SourceClass};
pub use openmetrics::{Family, render};
pub use summary::Summary;
