//! Links: what one is like, as data, and what becomes of a frame on it.
//!
//! | file | what it holds |
//! |---|---|
//! | `quality`, `choice` | one direction of a link; a kind of link, as in a scenario file |
//! | `preset` | links by name |
//! | `latency`, `normal` | distributions of latency |
//! | `loss`, `burst`, `trace` | loss: none, independent, in bursts, replayed |
//! | `schedule` | when a link is there |
//! | `state` | a link as it runs |
//! | `queue` | the buffer before it |
//! | `units` | "100 Mbit/s", "64 KiB", "5 ms" |
//!
//! Start at [`LinkChoice`] for data and at [`LinkState`] for a run. Invariant: nothing here knows of nodes, events or
//! other links.

mod burst;
mod choice;
mod error;
mod latency;
mod loss;
mod normal;
mod preset;
mod quality;
mod queue;
mod schedule;
mod state;
#[cfg(test)]
mod tests;
mod trace;
pub mod units;

pub use choice::{CHANNEL_MAX, LinkChoice, WEIGHT_MAX};
pub use error::LinkError;
pub use latency::{LATENCY_NS_MAX, Latency, SHAPE_MAX, SIGMA_MAX};
pub use loss::{Loss, PPM, SLOW_NS, STAY_NS_MAX};
pub use preset::Preset;
pub use quality::{BUFFER_BYTES_MAX, LinkQuality, RATE_BYTES_PER_S_MAX, ROUTING_BYTES};
pub use queue::LinkQueue;
pub(crate) use queue::time_at;
pub use schedule::{PERIOD_NS_MAX, Schedule, WINDOWS_MAX, Window};
pub use state::LinkState;
pub use trace::{TRACE_PERIOD_NS_MAX, TRACE_STEPS_MAX, TraceSteps};
