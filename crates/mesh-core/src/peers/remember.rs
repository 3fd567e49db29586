//! Peers remembered across restarts: those we reached by dialling, so that a node finds its neighbours again by itself.
//!
//! A few of them, chosen by lot, are its anchors: dialled whoever else is connected. Who would shut a node in with a
//! crowd would have to be all of them.

use bincode::{Decode, Encode};
use mesh_proto::port::store::{Row, StoreCommand, Table};
use mesh_proto::{NodeId, codec};

use super::{FoundBy, Peers};
use crate::Context;

/// Peers remembered across restarts.
const REMEMBERED_MAX: usize = 256;
/// How many of them are anchors.
const ANCHORS: usize = 8;
/// Who did not answer so often in a row may be forgotten for somebody who does.
pub(super) const FORGOTTEN_AFTER: u32 = 6;

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
        self.learn(NodeId(key), &remembered.addresses, FoundBy::Remembered);
        self.table.change(NodeId(key), |peer| peer.remembered = true);
    }

    /// Remembers a peer that answered.
    pub(super) fn remember(&mut self, ctx: &mut Context, node: NodeId) {
        let Some(peer) = self.table.find(node) else { return };
        let addresses = peer.addresses.to_vec();
        let mut delete = Vec::new();
        if !peer.remembered && self.table.remembered().len() >= REMEMBERED_MAX {
            let Some(gone) = self.most_silent() else { return };
            self.table.change(gone, |peer| peer.remembered = false);
            delete.push((Table::Peer, key_of(gone)));
        }
        let remembered = Remembered { addresses, last_connected_unix_ms: ctx.unix().0 };
        let row = Row { table: Table::Peer, key: key_of(node), value: codec::encode(&remembered) };
        self.table.change(node, |peer| peer.remembered = true);
        let command = ctx.command_id();
        ctx.store(StoreCommand::Write { command, put: vec![row], delete });
    }

    /// Draws lots for the anchors that are missing, and gives up those that do not answer.
    pub(super) fn choose_anchors(&mut self, ctx: &mut Context) {
        while let Some(silent) = self.table.silent_anchor() {
            self.table.change(silent, |peer| peer.anchor = false);
        }
        while self.table.anchors() < ANCHORS {
            let candidates = self.table.candidates();
            let lot = ctx.random_below(candidates.len() as u64);
            let Some(node) = candidates.iter().nth(lot as usize).copied() else { return };
            self.table.change(node, |peer| {
                (peer.anchor, peer.not_before) = (true, peer.not_before.min(ctx.now));
            });
        }
    }

    /// Of those remembered, who has not answered the longest.
    fn most_silent(&self) -> Option<NodeId> {
        let failures = |node: &NodeId| self.peer(*node).map_or(u32::MAX, |peer| peer.failures);
        let silent = self.table.remembered().iter().filter(|node| failures(node) >= FORGOTTEN_AFTER);
        silent.max_by_key(|node| failures(node)).copied()
    }
}
