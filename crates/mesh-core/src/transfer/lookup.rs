//! The wider lookup: asked who else may hold a content when nobody who is connected holds any of it that is missing.
//!
//! What it answers proves nothing: the nodes it names are dialled a few times at most, and asked by the discovery key
//! like every connected peer, so that a node that lies about holding a content does not learn its id this way.

use std::time::Duration;

use mesh_proto::port::NetCommand;
use mesh_proto::{CommandId, ContentId, NodeId, Timestamp};

use super::state::{Phase, Transfer};
use super::{Around, Purpose, Transfers};
use crate::Context;
use crate::peers::FoundBy;

/// Neighbours and the ticket's peers get so long to answer first.
const PATIENCE: Duration = Duration::from_secs(3);
/// The wait between two look-ups for one content: it doubles from the first to the last.
const AGAIN_MIN: Duration = Duration::from_secs(20);
const AGAIN_MAX: Duration = Duration::from_secs(600);
/// Look-ups under way at once.
const LOOKUPS_MAX: usize = 4;
/// Nodes tried of one answer.
const TRIED_MAX: usize = 16;

/// A transfer's look-ups.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lookups {
    under_way: bool,
    done: u32,
    not_before: Timestamp,
}

impl Transfers {
    /// Asks the wider lookup if it is on, if it is time, and if there is need.
    pub(super) fn look_wider(&mut self, ctx: &mut Context, content: ContentId, around: &Around<'_>) {
        if !self.wider_lookup || self.lookups >= LOOKUPS_MAX || around.peers.connected().next().is_none() {
            return;
        }
        let Some(transfer) = self.transfers.get_mut(&content) else { return };
        let due = transfer.lookups.not_before.max(transfer.begun.after(PATIENCE));
        if transfer.lookups.under_way || ctx.now < due {
            return;
        }
        if !transfer.lacks_sources() {
            transfer.lookups = Lookups { not_before: ctx.now.after(AGAIN_MIN), ..Lookups::default() };
            return;
        }
        transfer.lookups.under_way = true;
        let key = transfer.key;
        self.lookups += 1;
        let command = self.expect(ctx, content, Purpose::Lookup);
        ctx.net(NetCommand::FindProviders { command, key });
    }

    /// The wider lookup answered: those it names are dialled. `find_holders` asks them once they are connected.
    pub fn on_providers(&mut self, ctx: &Context, command: CommandId, nodes: &[NodeId], around: &mut Around<'_>) {
        let Some((content, Purpose::Lookup)) = self.purposes.remove(&command) else { return };
        self.lookups = self.lookups.saturating_sub(1);
        let Some(transfer) = self.transfers.get_mut(&content) else { return };
        let lookups = &mut transfer.lookups;
        let wait = AGAIN_MIN.saturating_mul(1 << lookups.done.min(8)).min(AGAIN_MAX);
        *lookups = Lookups { under_way: false, done: lookups.done.saturating_add(1), not_before: ctx.now.after(wait) };
        for node in nodes.iter().filter(|node| **node != ctx.node).take(TRIED_MAX) {
            let addresses = around.records.addresses_of(*node);
            if !addresses.is_empty() {
                around.peers.learn(*node, &addresses, FoundBy::Kademlia);
            }
            around.peers.try_soon(*node);
        }
    }
}

impl Transfer {
    /// Whether nobody connected holds any of what is missing, as far as they said.
    fn lacks_sources(&self) -> bool {
        let usable = self.sources.values().filter(|source| !source.banned && !source.denied);
        match self.phase {
            Phase::Locating => !usable.into_iter().any(|source| source.holds_something()),
            Phase::Fetching => {
                let mut usable = usable.filter(|source| source.holds_something());
                !usable.any(|source| !source.fetches.is_empty() || !source.held_of(&self.open).is_empty())
            }
            _ => false,
        }
    }
}
