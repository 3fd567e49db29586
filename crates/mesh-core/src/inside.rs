//! What an observer sees who stands outside of the protocol: a simulator's invariants, a test, a debugger.
//!
//! Invariant: looking changes nothing.

use mesh_proto::limits::{CONNECTIONS_MAX, NODES_KNOWN_MAX, TRANSFERS_MAX};
use mesh_proto::{ContentId, MemberId, NodeId};

use crate::Node;

/// How full something bounded is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// What.
    pub name: &'static str,
    /// How many are in it.
    pub len: usize,
    /// How many may be.
    pub len_max: usize,
}

/// A node's knowledge and load at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inside {
    /// Nodes whose record it has, itself included.
    pub nodes_known: usize,
    /// What is listed, as far as it knows.
    pub catalogue_entries: usize,
    /// Equal for nodes that know the same records.
    pub records_sum: u64,
    /// Peers with a connection.
    pub peers_connected: usize,
    /// Transfers, those that wait included.
    pub transfers: usize,
    /// Requests of peers that wait or are served.
    pub serves: usize,
    /// Bytes granted and not receipted.
    pub unreceipted_bytes: u64,
}

impl Node {
    /// What the node knows and does at this moment.
    #[must_use]
    pub fn inside(&self) -> Inside {
        let summary = self.records.summary();
        Inside {
            nodes_known: self.records.nodes().count(),
            catalogue_entries: self.records.catalogue().count(),
            records_sum: summary.iter().fold(0, |sum, bucket| sum.rotate_left(7) ^ bucket),
            peers_connected: self.peers.connected().count(),
            transfers: self.transfers.count(),
            serves: self.serving.waiting(),
            unreceipted_bytes: self.serving.unreceipted_bytes(),
        }
    }

    /// Everything of the node that is bounded by count, and how full it is.
    #[must_use]
    pub fn loads(&self) -> Vec<Load> {
        let load = |name, len, len_max| Load { name, len, len_max };
        vec![
            load("peers known", self.peers.all().count(), NODES_KNOWN_MAX + CONNECTIONS_MAX),
            load("node records", self.records.nodes().count(), NODES_KNOWN_MAX),
            load("transfers", self.transfers.count(), TRANSFERS_MAX),
            load("requests of peers", self.serving.waiting(), mesh_fair::uplink::REQUESTS_MAX),
        ]
    }

    /// Whether the node holds all of a content and would serve it.
    #[must_use]
    pub fn holds(&self, content: ContentId) -> bool {
        self.contents.find(content).is_some_and(|known| known.stored.complete && known.changed.is_none())
    }

    /// Whether the node bans a peer for a content that it fetches.
    #[must_use]
    pub fn bans(&self, peer: NodeId, content: ContentId) -> bool {
        let source = self.transfers.find(content).and_then(|transfer| transfer.sources.get(&peer));
        source.is_some_and(|source| source.banned)
    }

    /// Whose a node is, as far as this one knows.
    #[must_use]
    pub fn member_of(&self, node: NodeId) -> Option<MemberId> {
        self.records.member_of(node)
    }
}
