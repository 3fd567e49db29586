//! What is known of one peer: where it is, how the way there looks, and whether it should be dialled.

use std::time::Duration;

use mesh_proto::port::net::LinkClass;
use mesh_proto::{ConnectionId, Timestamp};

use super::addresses::Addresses;
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

/// How a peer was first heard of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FoundBy {
    /// It dialled us.
    #[default]
    ItDialled,
    /// Its record.
    Gossip,
    /// Multicast.
    Mdns,
    /// The wider lookup.
    Kademlia,
    /// A static address.
    Seed,
    /// An earlier run.
    Remembered,
    /// It asked to be dialled.
    ItAsked,
    /// A source named it.
    AnotherSource,
}

/// What there was between us and a peer that is or was connected.
#[derive(Debug, Clone, Default)]
pub struct Dealings {
    /// Connections that stand, oldest first.
    pub connections: Vec<Connection>,
    /// The last round trip measured, in microseconds.
    pub rtt_us: Option<u64>,
    /// Bytes per second received from it while it served us.
    pub goodput_bytes_per_s: Option<u64>,
    /// Bytes sent to it, as receipted.
    pub sent_bytes: u64,
    /// Content bytes received from it.
    pub received_bytes: u64,
}

/// What is known of one peer. Most are known by name only, so the rest stands apart.
#[derive(Debug, Clone, Default)]
pub struct Peer {
    dealings: Option<Box<Dealings>>,
    /// Where it may be reached, best first.
    pub addresses: Addresses,
    /// How it was first heard of.
    pub found_by: FoundBy,
    /// A person named it: as a static peer, or in a ticket.
    pub(super) named: bool,
    /// A transfer needs it until then; zero when that is over.
    pub(super) needed_until: Timestamp,
    /// Dials still made whatever the number of connections: it may be of use, but nobody vouches for that.
    pub(super) tries: u8,
    /// One of those that are dialled whoever else is connected.
    pub(super) anchor: bool,
    /// It is remembered across restarts.
    pub(super) remembered: bool,
    pub(super) seed: bool,
    pub(super) dialling: bool,
    pub(super) failures: u32,
    pub(super) not_before: Timestamp,
}

/// Between us and somebody never met there is nothing.
static NO_DEALINGS: Dealings =
    Dealings { connections: Vec::new(), rtt_us: None, goodput_bytes_per_s: None, sent_bytes: 0, received_bytes: 0 };

impl FoundBy {
    /// For people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ItDialled => "it dialled",
            Self::Gossip => "gossip",
            Self::Mdns => "mdns",
            Self::Kademlia => "kademlia",
            Self::Seed => "seed",
            Self::Remembered => "remembered",
            Self::ItAsked => "it asked",
            Self::AnotherSource => "another source",
        }
    }
}

impl Peer {
    /// What there was between us and it.
    #[must_use]
    pub fn dealings(&self) -> &Dealings {
        self.dealings.as_deref().unwrap_or(&NO_DEALINGS)
    }

    pub(super) fn dealings_mut(&mut self) -> &mut Dealings {
        self.dealings.get_or_insert_default()
    }

    /// Whether a connection stands.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        !self.dealings().connections.is_empty()
    }

    pub(super) fn is_dialable(&self) -> bool {
        !self.is_connected() && !self.dialling && !self.seed && !self.addresses.is_empty()
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
        self.failures >= FORGOTTEN_AFTER && !self.is_connected()
    }

    pub(super) fn backoff_max(&self, now: Timestamp) -> Duration {
        if self.is_needed(now) { SEED_BACKOFF_MAX } else { BACKOFF_MAX }
    }

    /// The best class among its connections.
    #[must_use]
    pub fn class(&self) -> Option<LinkClass> {
        self.dealings().connections.iter().map(|connection| connection.class).min()
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
        Some(self.dealings().goodput_bytes_per_s.filter(|rate| *rate > 0).unwrap_or(assumed))
    }

    /// Expected milliseconds per MiB: what a byte from there costs in time.
    #[must_use]
    pub fn cost_ms_per_mib(&self) -> Option<u64> {
        let rate = self.rate_bytes_per_s()?;
        Some((1_048_576_000 / rate).max(1) + self.dealings().rtt_us.unwrap_or(0) / 1000)
    }
}
