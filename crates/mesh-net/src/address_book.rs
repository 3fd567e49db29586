//! Where peers can be dialled again, for a second connection to one we already talk to.
//!
//! Holds what was seen to work, what the peer itself said, and what was announced to everybody; whom to dial first is not
//! decided here. Anybody on the same network can announce any number of peers, so at the limit the ones heard of longest
//! ago go, and never one that we are connected to.

use std::collections::{BTreeMap, HashMap};

use libp2p::{Multiaddr, PeerId};
use mesh_proto::limits::{ADDRESSES_PER_NODE_MAX, NODES_KNOWN_MAX};

/// What is known of one peer.
#[derive(Debug, Default)]
struct Entry {
    /// Newest first.
    addresses: Vec<Multiaddr>,
    /// When it was last announced, if we are not connected to it: its key in the order of those.
    announced: Option<u64>,
}

/// Dialable addresses of peers.
#[derive(Debug, Default)]
pub(crate) struct AddressBook {
    peers: HashMap<PeerId, Entry>,
    /// Peers that were only announced, the one heard of longest ago first.
    announced: BTreeMap<u64, PeerId>,
    last: u64,
}

impl AddressBook {
    /// Remembers where a peer that we are connected to can be dialled.
    pub(crate) fn add_connected(&mut self, peer: PeerId, address: Multiaddr) {
        let entry = self.peers.entry(peer).or_default();
        entry.remember(address);
        if let Some(before) = entry.announced.take() {
            self.announced.remove(&before);
        }
        self.shrink();
    }

    /// Remembers where a peer is said to be.
    pub(crate) fn add_announced(&mut self, peer: PeerId, address: Multiaddr) {
        let is_connected = self.peers.get(&peer).is_some_and(|entry| entry.announced.is_none());
        let entry = self.peers.entry(peer).or_default();
        entry.remember(address);
        if !is_connected {
            self.last += 1;
            if let Some(before) = entry.announced.replace(self.last) {
                self.announced.remove(&before);
            }
            self.announced.insert(self.last, peer);
        }
        self.shrink();
    }

    /// Forgets a peer we are no longer connected to.
    pub(crate) fn remove(&mut self, peer: &PeerId) {
        if let Some(Entry { announced: Some(announced), .. }) = self.peers.remove(peer) {
            self.announced.remove(&announced);
        }
    }

    /// Where a peer may answer.
    pub(crate) fn addresses(&self, peer: &PeerId) -> Vec<Multiaddr> {
        self.peers.get(peer).map(|entry| entry.addresses.clone()).unwrap_or_default()
    }

    fn shrink(&mut self) {
        if self.peers.len() > NODES_KNOWN_MAX
            && let Some((_, oldest)) = self.announced.pop_first()
        {
            self.peers.remove(&oldest);
        }
    }
}

impl Entry {
    fn remember(&mut self, address: Multiaddr) {
        self.addresses.retain(|known| *known != address);
        self.addresses.insert(0, address);
        self.addresses.truncate(ADDRESSES_PER_NODE_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address() -> Multiaddr {
        "/ip4/192.0.2.1/tcp/1".parse().unwrap()
    }

    #[test]
    fn at_the_limit_the_peer_heard_of_longest_ago_goes() {
        let peers: Vec<PeerId> = (0..=NODES_KNOWN_MAX).map(|_| PeerId::random()).collect();
        let mut book = AddressBook::default();
        book.add_connected(peers[0], address());
        peers[1..NODES_KNOWN_MAX].iter().for_each(|peer| book.add_announced(*peer, address()));
        // Heard again, connected or not: neither is the oldest then.
        book.add_announced(peers[0], address());
        book.add_announced(peers[1], address());
        book.add_announced(peers[NODES_KNOWN_MAX], address());
        let forgotten: Vec<usize> =
            (0..peers.len()).filter(|index| book.addresses(&peers[*index]).is_empty()).collect();
        assert_eq!(forgotten, [2]);
        assert_eq!((book.peers.len(), book.announced.len()), (NODES_KNOWN_MAX, NODES_KNOWN_MAX - 1));
    }

    #[test]
    fn a_peer_that_is_connected_to_and_left_is_forgotten() {
        let (peer, mut book) = (PeerId::random(), AddressBook::default());
        book.add_announced(peer, address());
        book.add_connected(peer, address());
        assert!(book.announced.is_empty());
        book.remove(&peer);
        assert!(book.addresses(&peer).is_empty());
        book.add_announced(peer, address());
        book.remove(&peer);
        assert!(book.announced.is_empty());
    }
}
