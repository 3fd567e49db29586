//! Static addresses whose nodes are not known yet: whoever answers there is wanted.
//!
//! Invariant: whenever one of them or a connection changed, all are looked at once more; else only when one is due.

use std::collections::BTreeMap;

use mesh_proto::address::node_of;
use mesh_proto::port::{Failure, NetCommand};
use mesh_proto::{CommandId, NodeId, Timestamp};

use super::{SEED_BACKOFF_MAX, backoff};
use crate::Context;

/// A static address whose node is not known yet.
#[derive(Debug, Clone)]
struct SeedAddress {
    address: String,
    node: Option<NodeId>,
    dialling: bool,
    failures: u32,
    not_before: Timestamp,
}

/// The static addresses. See the module.
#[derive(Debug, Default)]
pub(super) struct Seeds {
    seeds: Vec<SeedAddress>,
    dials: BTreeMap<CommandId, usize>,
    /// Static addresses that name their node.
    named: Vec<(NodeId, String)>,
    /// Whether what follows may have changed.
    recheck: bool,
    /// When the next one is to be dialled.
    due: Option<Timestamp>,
}

impl Seeds {
    /// Adds one, unless it is known.
    pub(super) fn add(&mut self, address: &str) {
        if self.seeds.iter().any(|seed| seed.address == address) {
            return;
        }
        let address = address.to_owned();
        self.seeds.push(SeedAddress { address, node: None, dialling: false, failures: 0, not_before: Timestamp::ZERO });
        self.recheck = true;
    }

    /// Notes which node an address names, if it does.
    pub(super) fn name(&mut self, address: &str) {
        self.named.extend(node_of(address).map(|node| (node, address.to_owned())));
    }

    /// A peer connected: it may be one that answers at one of them.
    pub(super) fn recheck(&mut self) {
        self.recheck = true;
    }

    /// A peer's last connection ended; `settled` says whether it had stood for a while.
    pub(super) fn on_gone(&mut self, now: Timestamp, node: NodeId, settled: bool) {
        for seed in self.seeds.iter_mut().filter(|seed| seed.node == Some(node)) {
            seed.failures = if settled { 0 } else { seed.failures + 1 };
            seed.not_before = now.after(backoff(seed.failures, SEED_BACKOFF_MAX));
            self.recheck = true;
        }
    }

    /// A dial was answered. Returns whether it was one of ours.
    pub(super) fn on_dialled(&mut self, now: Timestamp, command: CommandId, result: &Result<NodeId, Failure>) -> bool {
        let Some(index) = self.dials.remove(&command) else { return false };
        let seed = &mut self.seeds[index];
        seed.dialling = false;
        match result {
            Ok(node) => seed.node = Some(*node),
            Err(_) => {
                seed.failures += 1;
                seed.not_before = now.after(backoff(seed.failures, SEED_BACKOFF_MAX));
            }
        }
        self.recheck = true;
        true
    }

    /// Dials those at which nobody is connected.
    pub(super) fn run(&mut self, ctx: &mut Context, is_connected: impl Fn(NodeId) -> bool) {
        if !self.recheck && self.due.is_none_or(|at| at > ctx.now) {
            return;
        }
        (self.recheck, self.due) = (false, None);
        for (index, seed) in self.seeds.iter_mut().enumerate() {
            if seed.dialling || seed.node.is_some_and(&is_connected) {
                continue;
            }
            if seed.not_before > ctx.now {
                self.due = Some(self.due.map_or(seed.not_before, |due| due.min(seed.not_before)));
                continue;
            }
            seed.dialling = true;
            let command = ctx.command_id();
            self.dials.insert(command, index);
            ctx.net(NetCommand::Dial { command, node: None, addresses: vec![seed.address.clone()] });
        }
    }

    /// When the next one is to be dialled.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.due
    }

    /// Those nobody answers at.
    pub(super) fn silent(&self, is_silent: impl Fn(NodeId) -> bool) -> impl Iterator<Item = &str> {
        let unnamed = self.seeds.iter().filter(|seed| seed.node.is_none() && seed.failures > 0);
        let named = self.named.iter().filter(move |(node, _)| is_silent(*node));
        unnamed.map(|seed| seed.address.as_str()).chain(named.map(|(_, address)| address.as_str()))
    }
}
