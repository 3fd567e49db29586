//! Where peers can be dialled again, for a second connection to one we already talk to.
//!
//! Holds only what was seen to work or what the peer itself said; whom to dial first is not decided here.

use std::collections::HashMap;

use libp2p::{Multiaddr, PeerId};
use mesh_proto::limits::{ADDRESSES_PER_NODE_MAX, NODES_KNOWN_MAX};

/// Dialable addresses of peers, newest first.
#[derive(Debug, Default)]
pub(crate) struct AddressBook {
    peers: HashMap<PeerId, Vec<Multiaddr>>,
}

impl AddressBook {
    /// Remembers an address; at the limits nothing more is remembered.
    pub(crate) fn add(&mut self, peer: PeerId, address: Multiaddr) {
        if !self.peers.contains_key(&peer) && self.peers.len() >= NODES_KNOWN_MAX {
            return;
        }
        let addresses = self.peers.entry(peer).or_default();
        addresses.retain(|known| *known != address);
        addresses.insert(0, address);
        addresses.truncate(ADDRESSES_PER_NODE_MAX);
    }

    /// Forgets a peer we are no longer connected to.
    pub(crate) fn remove(&mut self, peer: &PeerId) {
        self.peers.remove(peer);
    }

    /// Where a peer may answer.
    pub(crate) fn addresses(&self, peer: &PeerId) -> Vec<Multiaddr> {
        self.peers.get(peer).cloned().unwrap_or_default()
    }
}
