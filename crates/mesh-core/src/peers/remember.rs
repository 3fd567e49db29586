//! Peers remembered across restarts: those we reached by dialling, so that a node finds its neighbours again by itself.
//!
//! A few of them, chosen by lot, are its anchors: dialled whoever else is connected. Who would shut a node in with a
//! crowd would have to be all of them.

use bincode::{Decode, Encode};
use mesh_proto::port::store::{Row, StoreCommand, Table};
use mesh_proto::{NodeId, codec};

use super::{Peer, Peers};
use crate::Context;

/// Peers remembered across restarts.
const REMEMBERED_MAX: usize = 256;
/// How many of them are anchors.
const ANCHORS: usize = 8;
/// Who did not answer so often in a row may be forgotten for somebody who does.
const FORGOTTEN_AFTER: u32 = 6;

/// A peer as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
struct Remembered {
    addresses: Vec<String>,
    last_connected_unix_ms: u64,
}

fn key_of(node: NodeId) -> Vec<u8> {
    node.0.to_vec()
}

impl Peers {
    /// Takes a peer remembered from an earlier run.
    pub fn load_row(&mut self, row: &Row) {
        let Ok(key) = <[u8; 32]>::try_from(row.key.as_slice()) else { return };
        let Ok(remembered) = codec::decode::<Remembered, 65_536>(&row.value) else { return };
        self.remembered.insert(NodeId(key));
        self.learn(NodeId(key), &remembered.addresses, "remembered");
    }

    /// Remembers a peer that answered.
    pub(super) fn remember(&mut self, ctx: &mut Context, node: NodeId) {
        let Some(peer) = self.peers.get(&node) else { return };
        let mut delete = Vec::new();
        if !self.remembered.contains(&node) && self.remembered.len() >= REMEMBERED_MAX {
            let Some(gone) = self.most_silent() else { return };
            self.remembered.remove(&gone);
            delete.push((Table::Peer, key_of(gone)));
        }
        let remembered = Remembered { addresses: peer.addresses.clone(), last_connected_unix_ms: ctx.unix().0 };
        let row = Row { table: Table::Peer, key: key_of(node), value: codec::encode(&remembered) };
        self.remembered.insert(node);
        let command = ctx.command_id();
        ctx.store(StoreCommand::Write { command, put: vec![row], delete });
    }

    /// Draws lots for the anchors that are missing, and gives up those that do not answer.
    pub(super) fn choose_anchors(&mut self, ctx: &mut Context) {
        let is_silent = |peer: &Peer| peer.failures >= FORGOTTEN_AFTER && peer.connections.is_empty();
        let mut anchors = 0;
        for peer in self.peers.values_mut().filter(|peer| peer.anchor) {
            peer.anchor = !is_silent(peer);
            anchors += usize::from(peer.anchor);
        }
        while anchors < ANCHORS {
            let candidates: Vec<NodeId> = self
                .remembered
                .iter()
                .filter(|node| self.peers.get(node).is_some_and(|peer| !peer.anchor && !is_silent(peer)))
                .copied()
                .collect();
            let Some(node) = candidates.get(ctx.random_below(candidates.len() as u64) as usize) else { return };
            if let Some(peer) = self.peers.get_mut(node) {
                (peer.anchor, peer.not_before) = (true, peer.not_before.min(ctx.now));
            }
            anchors += 1;
        }
    }

    /// Of those remembered, who has not answered the longest.
    fn most_silent(&self) -> Option<NodeId> {
        let failures = |node: &NodeId| self.peer(*node).map_or(u32::MAX, |peer| peer.failures);
        let silent = self.remembered.iter().filter(|node| failures(node) >= FORGOTTEN_AFTER);
        silent.max_by_key(|node| failures(node)).copied()
    }
}
