//! What an observer sees who stands outside of the protocol: a simulator's invariants, a test, a debugger.
//!
//! Invariant: looking changes nothing.

use mesh_analytics::{Direction, Purpose, SourceClass};
use mesh_proto::limits::{CONNECTIONS_MAX, NODES_KNOWN_MAX, TRANSFERS_MAX};
use mesh_proto::{ContentId, MemberId, NodeId};

use crate::Node;
use crate::interest::INTERESTS_PER_PEER_MAX;
use crate::network::PAGE_READS_MAX;

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
            nodes_known: self.records.node_count(),
            catalogue_entries: self.records.catalogue().count(),
            records_sum: summary.iter().fold(0, |sum, bucket| sum.rotate_left(7) ^ bucket),
            peers_connected: self.peers.connected().len(),
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
            load("peers known", self.peers.count(), NODES_KNOWN_MAX + CONNECTIONS_MAX),
            load("node records", self.records.node_count(), NODES_KNOWN_MAX),
            load("transfers", self.transfers.count(), TRANSFERS_MAX),
            load("requests of peers", self.serving.waiting(), mesh_fair::uplink::REQUESTS_MAX),
            load("interests of a peer", self.interests.most_of_a_peer(), INTERESTS_PER_PEER_MAX),
            load("pages read for peers", self.pages_for_peers.len(), PAGE_READS_MAX),
        ]
    }

    /// Whether the node holds all of a content and would serve it.
    #[must_use]
    pub fn holds(&self, content: ContentId) -> bool {
        self.contents.find(content).is_some_and(|known| known.stored.complete && known.changed.is_none())
    }

    /// Whether its store is open: before, it knows nothing of what it kept.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.opened
    }

    /// Whether a content is here, or being fetched or made good: not forgotten.
    #[must_use]
    pub fn knows(&self, content: ContentId) -> bool {
        self.contents.find(content).is_some() || self.transfers.find(content).is_some()
    }

    /// How a transfer stands, for who looks for the reason that it does not go on.
    #[must_use]
    pub fn told_of_transfer(&self, content: ContentId) -> Option<String> {
        let transfer = self.transfers.find(content)?;
        let view = transfer.view(self.ctx.now);
        let here = format!("{} ({}), {} of {} bytes", view.state, view.waiting_for, view.done_bytes, view.total_bytes);
        let source = |(node, source): (&NodeId, &crate::transfer::source::Source)| {
            let holds = match source.holds_something() {
                true => "holds some",
                false => "holds nothing",
            };
            let asked = if source.asked { ", asked" } else { "" };
            let kept_off = source.banned || source.denied || source.changed;
            let kept_off = if kept_off { ", not to be asked" } else { "" };
            let connected = if self.peers.is_connected(*node) { "" } else { ", not connected" };
            format!("; {} {holds}{asked}{kept_off}{connected}, {} spans under way", node.short(), source.fetches.len())
        };
        Some(here + &transfer.sources.iter().map(source).collect::<String>())
    }

    /// Content bytes that peers receipted, in this life and those before whose counts were kept.
    #[must_use]
    pub fn receipted_bytes(&self) -> u64 {
        let sent =
            |entry: &(SourceClass, Purpose, Direction, u64)| entry.1 == Purpose::Payload && entry.2 == Direction::Sent;
        self.counters.iter_bytes().filter(sent).map(|(_, _, _, bytes)| bytes).sum()
    }

    /// Requests of peers that wait or are served, and bytes granted and not receipted.
    #[must_use]
    pub fn serves_and_unreceipted_bytes(&self) -> (usize, u64) {
        (self.serving.waiting(), self.serving.unreceipted_bytes())
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
