//! What is known of one peer: where it is, how the way there looks, and whether it should be dialled.

use std::time::Duration;

use mesh_proto::port::net::LinkClass;
use mesh_proto::{ConnectionId, Timestamp};

use super::remember::FORGOTTEN_AFTER;
use super::{BACKOFF_MAX, SEED_BACKOFF_MAX};

/// A connection that stands.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Which.
    pub id: ConnectionId,
    /// Where the peer is.
    pub address: String,
    /// What the path looks like.
    pub class: LinkClass,
    /// Whether we opened it.
    pub dialled: bool,
    /// Since when it stands.
    pub since: Timestamp,
}

/// What is known of one peer.
#[derive(Debug, Clone, Default)]
pub struct Peer {
    /// Connections that stand, oldest first.
    pub connections: Vec<Connection>,
    /// Where it may be reached, best first.
    pub addresses: Vec<String>,
    /// How it was first heard of.
    pub found_by: &'static str,
    /// The last round trip measured, in microseconds.
    pub rtt_us: Option<u64>,
    /// Bytes per second received from it while it served us.
    pub goodput_bytes_per_s: Option<u64>,
    /// Bytes sent to it, as receipted.
    pub sent_bytes: u64,
    /// Content bytes received from it.
    pub received_bytes: u64,
    /// A person named it: as a static peer, or in a ticket.
    pub(super) named: bool,
    /// A transfer needs it until then; zero when that is over.
    pub(super) needed_until: Timestamp,
    /// Dials still made whatever the number of connections: it may be of use, but nobody vouches for that.
    pub(super) tries: u32,
    /// One of those that are dialled whoever else is connected.
    pub(super) anchor: bool,
    /// It is remembered across restarts.
    pub(super) remembered: bool,
    pub(super) seed: bool,
    pub(super) dialling: bool,
    pub(super) failures: u32,
    pub(super) not_before: Timestamp,
}

impl Peer {
    pub(super) fn is_dialable(&self) -> bool {
        self.connections.is_empty() && !self.dialling && !self.seed && !self.addresses.is_empty()
    }

    pub(super) fn is_needed(&self, now: Timestamp) -> bool {
        self.named || self.needed_until > now
    }

    /// Whether it is dialled whatever the number of connections. Needs that are over count until they are ended.
    pub(super) fn is_wanted(&self) -> bool {
        self.is_needed(Timestamp::ZERO) || self.anchor || self.tries > 0
    }

    /// Whether it has not answered for long.
    pub(super) fn is_silent(&self) -> bool {
        self.failures >= FORGOTTEN_AFTER && self.connections.is_empty()
    }

    pub(super) fn backoff_max(&self, now: Timestamp) -> Duration {
        if self.is_needed(now) { SEED_BACKOFF_MAX } else { BACKOFF_MAX }
    }

    /// The best class among its connections.
    #[must_use]
    pub fn class(&self) -> Option<LinkClass> {
        self.connections.iter().map(|connection| connection.class).min()
    }

    /// Bytes per second that the way there bears, as measured; where nothing was, what its class usually does.
    #[must_use]
    pub fn rate_bytes_per_s(&self) -> Option<u64> {
        let assumed = match self.class()? {
            LinkClass::Loopback => 1_000_000_000,
            LinkClass::SameSegment => 11_500_000,
            LinkClass::Farther => 1_150_000,
            LinkClass::Metered => 115_000,
        };
        Some(self.goodput_bytes_per_s.filter(|rate| *rate > 0).unwrap_or(assumed))
    }

    /// Expected milliseconds per MiB: what a byte from there costs in time.
    #[must_use]
    pub fn cost_ms_per_mib(&self) -> Option<u64> {
        let rate = self.rate_bytes_per_s()?;
        Some((1_048_576_000 / rate).max(1) + self.rtt_us.unwrap_or(0) / 1000)
    }
}
