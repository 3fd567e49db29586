//! Single packets, to check [`flow`](crate::flow) against: links with queues, and senders as in real systems.
//!
//! It is as small as it can be while being right about what the flow model leaves out: queues, windows, what is lost
//! and sent again. Too slow for whole worlds (some ten million events for a gigabyte).
//!
//! | module | what it does |
//! |---|---|
//! | `network` | events, paths, receivers |
//! | `link` | a queue per flow, served in turn, and a finite buffer |
//! | `sender` | what to send when; what is lost |
//! | `window` | Reno and Cubic |
//! | `bandwidth` | a sender that finds its rate as BBR does |
//! | `comparison` | the same flows by packets and by flow model |
//!
//! Simplifications: all packets are of one size and without headers; paths don't reorder, and acknowledgements are not
//! lost, so a packet is known to be lost as soon as a later one is acknowledged (RFC 8985 without a reordering window).
//!
//! Invariant: a run depends on its links, flows and seed only.

mod bandwidth;
pub mod comparison;
mod link;
mod network;
mod sender;
#[cfg(test)]
mod tests;
mod window;

use mesh_proto::Timestamp;

pub use network::{Outcome, run};

/// Segments of one flow.
pub const SEGMENTS_MAX: u64 = 1 << 24;

/// One direction of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkPlan {
    /// Bytes it sends per second.
    pub rate_bytes_per_s: u64,
    /// How long a sent packet is on its way.
    pub delay_ns: u64,
    /// Bytes that may wait, of all flows together. Beyond, the flow with the longest queue loses its oldest packet.
    pub buffer_bytes: u64,
    /// Which of the sent packets are lost on the way.
    pub loss: Loss,
}

/// Which packets are lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// So many out of a million, independently of each other.
    Independent {
        /// Out of a million.
        ppm: u32,
    },
    /// The last of each so many, as response functions assume; 0 for none.
    Every {
        /// Packets.
        packets: u64,
    },
}

/// How a sender finds its rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// RFC 5681.
    Reno,
    /// RFC 9438.
    Cubic,
    /// Like BBR, version 1 (Cardwell et al. 2016).
    Bandwidth,
}

/// One flow: so many bytes, from a start on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowPlan {
    /// When it begins to send.
    pub start: Timestamp,
    /// How much; rounded up to whole segments, at most [`SEGMENTS_MAX`] of them.
    pub bytes: u64,
    /// The links it crosses, in order.
    pub path: Vec<usize>,
    /// How long an acknowledgement takes back.
    pub back_ns: u64,
    /// How its sender finds its rate.
    pub control: Control,
}
