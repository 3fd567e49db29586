//! Payload as fluid: flows share links and radio channels max–min fairly, so that terabytes cost events by the
//! thousand.
//!
//! A *flow* is one direction of one connection and carries items one after another; a *resource* is one direction of a
//! link, or a radio channel that neighbours share. [`Flows`] is pure: the world calls [`Flows::advance`] when
//! [`Flows::poll_timeout`] says so, and hears which items have left. How fast a flow may go is decided by the share of
//! its narrowest resource, by its ramp, and by the loss on its path. `packet::comparison` shows how
//! far this is from single packets.
//!
//! | module | what it does |
//! |---|---|
//! | `engine` | what the world may ask for |
//! | `service` | what happens when: items end, ramps step, shares are settled |
//! | `state` | what is known of one flow and of one resource |
//! | `share` | who gets how much: max–min shares, recomputed only as far as a change reaches |
//! | `ramp` | how a flow becomes fast, at first and when more becomes free |
//! | `slowed` | the share of a flow that loss keeps from using all of it |
//! | `loss` | how loss slows a flow: formulas and constants, with their sources |
//! | `timers` | the next event of each flow |
//!
//! Invariant: no resource carries more than its capacity, and each flow is held back by something that can be named.

mod engine;
mod loss;
mod ramp;
mod service;
mod share;
mod slowed;
mod state;
#[cfg(test)]
mod tests;
mod timers;

use mesh_proto::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use engine::Flows;
pub use loss::free_rate_bytes_per_s;
#[cfg(test)]
pub(crate) use loss::rate_of;
pub(crate) use loss::{CUBIC_BETA, CUBIC_C};

/// Payload bytes of a segment: 1,500 of Ethernet without the headers of IPv4 and of TCP with timestamps.
pub const SEGMENT_BYTES: u64 = 1448;

/// Flows open at a time.
pub const FLOWS_MAX: usize = 1 << 20;

/// Resources.
pub const RESOURCES_MAX: usize = 1 << 22;

/// Resources on one path.
pub const USES_MAX: usize = 1024;

/// Items waiting in one flow.
pub const ITEMS_MAX: usize = 1 << 16;

/// What the fastest flow carries, also one that uses no resource at all.
pub const RATE_BYTES_PER_S_MAX: f64 = 1e12;

/// One direction of a link, or a channel; by the order of [`Flows::add_resource`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId(pub u32);

/// One direction of a connection. Never means another flow after this one was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId {
    index: u32,
    generation: u32,
}

/// That a flow crosses a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Use {
    /// What is crossed. A resource named twice counts twice.
    pub resource: ResourceId,
    /// Bytes of its capacity that 1,000 bytes of the flow take: airtime on a radio channel, headers on a wire. A use
    /// of 0 counts as none.
    pub weight_permille: u32,
}

/// How the sender finds its rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Congestion {
    /// By the bandwidth it measures; loss hardly matters.
    Bbr,
    /// By loss (RFC 9438), at least as fast as Reno.
    Cubic,
}

/// What of a path matters for how fast a flow may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathQuality {
    /// Round trip without queues.
    pub rtt_ns: u64,
    /// Packets lost out of a million, independently of each other and of how full the path is.
    pub loss_ppm: u32,
    /// How long the queue at the narrowest link may get, in time to drain. Where more becomes free, a Cubic flow has
    /// what it needs in that queue; 0 if queues are kept short.
    pub queue_ns: u64,
    /// How the sender finds its rate.
    pub congestion: Congestion,
}

/// An item has left: its last byte is out of the last queue. It has all arrived half a round trip and `repair_ns`
/// later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// Which flow.
    pub flow: FlowId,
    /// The token given with the item.
    pub token: u64,
    /// When.
    pub at: Timestamp,
    /// A round trip, times the chance that something of the item's last one was lost and has to be sent again.
    pub repair_ns: u64,
}

/// Why a flow was not opened or an item not taken. Nothing has changed then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FlowError {
    /// The flow was closed, or never was.
    #[error("the flow is not open")]
    NotOpen,
    /// A use names a resource that was never added.
    #[error("there is no resource {0}")]
    NoResource(u32),
    /// One of the limits named in this module.
    #[error("more {what} than {limit}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
}
