//! What the scheduler keeps of one request.
//!
//! Invariant: `open` holds grants in the order they were given, none of them empty.

use std::collections::VecDeque;

use crate::drr::FlowKey;
use crate::window::GrantMark;

/// A grant, or what is left of it, that no receipt came for yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OpenGrant {
    pub(crate) bytes: u64,
    pub(crate) peer_mark: GrantMark,
    pub(crate) uplink_mark: GrantMark,
    /// Whether the uplink's window counts it: not once it must have left the uplink, receipt or no.
    pub(crate) in_uplink: bool,
}

/// A request the scheduler knows.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) flow: FlowKey,
    /// Bytes not granted yet; 0 once it is not waiting any more.
    pub(crate) remaining_bytes: u64,
    pub(crate) finished: bool,
    pub(crate) open: VecDeque<OpenGrant>,
}

impl Entry {
    /// Bytes granted and not receipted.
    pub(crate) fn open_bytes(&self) -> u64 {
        self.open.iter().map(|grant| grant.bytes).sum()
    }

    /// Those of them that the uplink's window counts.
    pub(crate) fn open_bytes_in_uplink(&self) -> u64 {
        self.open.iter().filter(|grant| grant.in_uplink).map(|grant| grant.bytes).sum()
    }
}
