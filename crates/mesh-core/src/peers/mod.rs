//! Who can be reached and where; whom to dial, and when to try again.
//!
//! A peer is dialled because it is a static seed, because somebody needs it (a transfer, a ticket), or to keep some
//! connections with the neighbourhood. Failures back off from one second to five minutes. Any byte received is proof
//! of life; nothing else is proof of death than an ended connection.

mod addresses;
mod agenda;
mod peer;
mod remember;
mod seeds;
mod table;

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_proto::address::{bare, node_of};
use mesh_proto::limits::NODES_KNOWN_MAX;
use mesh_proto::port::net::LinkClass;
use mesh_proto::port::{Event, Failure, NetCommand};
use mesh_proto::{CommandId, ConnectionId, NodeId, Timestamp, WakeReason};

use crate::Context;
pub use addresses::Addresses;
pub use peer::{Connection, Dealings, FoundBy, Peer};
use seeds::Seeds;
use table::Table;

/// Connections the node opens by itself to keep in touch; needed peers and those who dial us come on top.
const CONNECTIONS_WANTED: usize = 24;
/// Of those, so many are opened however many others dialled us: a crowd can't shut a node in.
const CONNECTIONS_DIALLED_MIN: usize = 8;
/// Dials under way at once.
const DIALS_MAX: usize = 8;
const BACKOFF_MIN: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(300);
/// A seed is the only way in where multicast is blocked, so it is tried more often.
const SEED_BACKOFF_MAX: Duration = Duration::from_secs(15);
/// The node with the greater id waits so long before it dials, so that two that find each other do not both dial.
const POLITENESS: Duration = Duration::from_millis(400);
/// A transfer that needs a peer says so again at each of its steps.
const NEED: Duration = Duration::from_secs(30);
/// A connection that ends sooner counts as a failure.
const SETTLED: Duration = Duration::from_secs(15);
/// How often a peer is dialled that only may be of use.
const TRIES: u8 = 3;

/// The peers. See the module.
#[derive(Debug, Default)]
pub struct Peers {
    table: Table,
    seeds: Seeds,
    dials: BTreeMap<CommandId, NodeId>,
}

impl Peers {
    /// A table that will dial these addresses.
    #[must_use]
    pub fn new(seeds: &[String]) -> Self {
        let mut peers = Self::default();
        for address in seeds {
            peers.add_seed(address);
            peers.seeds.name(address);
        }
        peers
    }

    /// Notes that a node may be reachable at these addresses.
    pub fn learn(&mut self, node: NodeId, addresses: &[String], found_by: FoundBy) {
        let is_known = self.table.find(node).is_some();
        if !is_known && self.table.len() >= NODES_KNOWN_MAX {
            return;
        }
        self.table.change_or_add(node, |peer| {
            if !is_known {
                peer.found_by = found_by;
            }
            for address in addresses {
                if peer.addresses.add(bare(address)) {
                    // News of an address is a reason to try at once, whatever failed before.
                    peer.not_before = Timestamp::ZERO;
                }
            }
        });
    }

    /// Puts off dialling a newly found node a little if it is the one to dial first.
    pub fn be_polite(&mut self, ctx: &Context, node: NodeId) {
        let may_wait = |peer: &Peer| !peer.is_needed(ctx.now) && !peer.is_connected();
        if ctx.node > node && self.table.find(node).is_some_and(may_wait) {
            let until = ctx.now.after(POLITENESS);
            self.table.change(node, |peer| peer.not_before = peer.not_before.max(until));
        }
    }

    /// A transfer needs this peer: for a while it is dialled whatever the number of connections.
    pub fn need(&mut self, ctx: &Context, node: NodeId) {
        let until = ctx.now.after(NEED);
        // Transfers say it at each step: half the time is time enough to say it again.
        if self.table.find(node).is_some_and(|peer| until.since(peer.needed_until) > NEED / 2) {
            self.table.change(node, |peer| {
                if !peer.is_needed(ctx.now) {
                    peer.not_before = Timestamp::ZERO;
                }
                peer.needed_until = until;
            });
        }
    }

    /// Whether a person named this peer or a transfer needs it.
    #[must_use]
    pub fn is_needed(&self, now: Timestamp, node: NodeId) -> bool {
        self.table.find(node).is_some_and(|peer| peer.seed || peer.is_needed(now))
    }

    /// This peer may be of use: it is dialled soon, a few times at most.
    pub fn try_soon(&mut self, node: NodeId) {
        if self.table.find(node).is_some_and(Peer::is_dialable) {
            self.table.change(node, |peer| (peer.tries, peer.not_before) = (TRIES, Timestamp::ZERO));
        }
    }

    /// Adds a static address. If it names its node, that node is dialled like any needed peer; else whoever answers.
    pub fn add_seed(&mut self, address: &str) {
        let Some(node) = node_of(address) else { return self.seeds.add(address) };
        self.learn(node, &[address.to_owned()], FoundBy::Seed);
        if self.table.find(node).is_some_and(|peer| !peer.named) {
            self.table.change(node, |peer| (peer.named, peer.not_before) = (true, Timestamp::ZERO));
        }
    }

    /// A connection stands. Returns whether it is the first with this peer.
    pub fn on_connected(&mut self, ctx: &mut Context, node: NodeId, connection: Connection) -> bool {
        let dialled = connection.dialled;
        let is_first = self.table.change_or_add(node, |peer| {
            if dialled {
                peer.addresses.put_first(&connection.address);
            }
            peer.tries = 0;
            let connections = &mut peer.dealings_mut().connections;
            // Hardly ever is there a second one.
            connections.reserve_exact(1);
            connections.push(connection);
            connections.len() == 1
        });
        self.seeds.recheck();
        if dialled {
            self.remember(ctx, node);
        }
        is_first
    }

    /// A connection ended. Returns whether it was the last with this peer.
    pub fn on_disconnected(&mut self, ctx: &Context, node: NodeId, connection: ConnectionId) -> bool {
        let ended = self.table.change(node, |peer| {
            let connections = &mut peer.dealings_mut().connections;
            let ended = connections.iter().find(|standing| standing.id == connection);
            // Who closes us out again and again is not to be dialled every second.
            let settled = ended.is_some_and(|ended| ctx.now.since(ended.since) >= SETTLED);
            connections.retain(|standing| standing.id != connection);
            peer.failures = if settled { 0 } else { peer.failures + 1 };
            peer.not_before = ctx.now.after(backoff(peer.failures, peer.backoff_max(ctx.now)));
            (!peer.is_connected(), settled)
        });
        let Some((gone, settled)) = ended else { return false };
        if gone {
            self.seeds.on_gone(ctx.now, node, settled);
        }
        gone
    }

    /// A dial was answered. Returns whether it was one of ours.
    pub fn on_dialled(&mut self, ctx: &Context, command: CommandId, result: &Result<NodeId, Failure>) -> bool {
        if self.seeds.on_dialled(ctx.now, command, result) {
            if let Ok(node) = result {
                self.table.change(*node, |peer| (peer.seed, peer.found_by) = (true, FoundBy::Seed));
            }
            return true;
        }
        let Some(node) = self.dials.remove(&command) else { return false };
        self.table.change(node, |peer| {
            peer.dialling = false;
            if result.is_err() {
                peer.failures += 1;
                peer.not_before = ctx.now.after(backoff(peer.failures, peer.backoff_max(ctx.now)));
            }
        });
        true
    }

    /// A round trip was measured.
    pub fn on_rtt(&mut self, node: NodeId, rtt_us: u64) {
        self.table.note(node, |dealings| dealings.rtt_us = Some(rtt_us));
    }

    /// What a peer gives per second was measured.
    pub fn on_goodput(&mut self, node: NodeId, bytes_per_s: u64) {
        self.table.note(node, |dealings| dealings.goodput_bytes_per_s = Some(bytes_per_s));
    }

    /// Content bytes came from a peer. Returns what kind of path leads to it.
    pub fn on_received(&mut self, node: NodeId, bytes: u64) -> LinkClass {
        self.note_bytes(node, |dealings| dealings.received_bytes += bytes)
    }

    /// A peer receipted content bytes. Returns what kind of path leads to it.
    pub fn on_sent(&mut self, node: NodeId, bytes: u64) -> LinkClass {
        self.note_bytes(node, |dealings| dealings.sent_bytes += bytes)
    }

    fn note_bytes(&mut self, node: NodeId, note: impl FnOnce(&mut Dealings)) -> LinkClass {
        self.table.note(node, note).and_then(Peer::class).unwrap_or(LinkClass::Farther)
    }

    /// Opens what should be open and is due.
    pub fn run(&mut self, ctx: &mut Context) {
        self.table.set_own(ctx.node);
        self.table.end_needs(ctx.now);
        self.dial_seeds(ctx);
        self.choose_anchors(ctx);
        while let Some(node) = self.next_due(ctx.now) {
            let addresses = self.table.change(node, |peer| {
                peer.dialling = true;
                peer.tries = peer.tries.saturating_sub(1);
                peer.addresses.to_vec()
            });
            let command = ctx.command_id();
            self.dials.insert(command, node);
            ctx.net(NetCommand::Dial { command, node: Some(node), addresses: addresses.unwrap_or_default() });
        }
    }

    /// Who is to be dialled now.
    fn next_due(&self, now: Timestamp) -> Option<NodeId> {
        let is_due = |next: &(Timestamp, NodeId)| next.0 <= now && self.dials.len() < DIALS_MAX;
        let spare = || self.table.next_spare().filter(|_| self.room() > 0);
        let next = self.table.next_wanted().filter(is_due).or_else(|| spare().filter(is_due));
        next.map(|(_, node)| node)
    }

    /// How many more connections the node should open by itself.
    fn room(&self) -> usize {
        let wanted = CONNECTIONS_WANTED.saturating_sub(self.table.connected().len());
        let own = CONNECTIONS_DIALLED_MIN.saturating_sub(self.table.dialled());
        wanted.max(own).saturating_sub(self.dials.len())
    }

    fn dial_seeds(&mut self, ctx: &mut Context) {
        let Self { table, seeds, .. } = self;
        let is_connected = |own, node| node == own || is_connected(table, node);
        let own = ctx.node;
        seeds.run(ctx, |node| is_connected(own, node));
    }

    /// When a dial falls due.
    #[must_use]
    pub fn deadline(&self) -> Option<(Timestamp, WakeReason)> {
        let spare = self.table.next_spare().filter(|_| self.room() > 0);
        let peers = self.table.next_wanted().into_iter().chain(spare).map(|(at, _)| at);
        let peers = peers.filter(|_| self.dials.len() < DIALS_MAX);
        peers.chain(self.seeds.due()).min().map(|at| (at, "dial a peer"))
    }

    /// One peer.
    #[must_use]
    pub fn peer(&self, node: NodeId) -> Option<&Peer> {
        self.table.find(node)
    }

    /// How many peers are known.
    #[must_use]
    pub fn count(&self) -> usize {
        self.table.len()
    }

    /// All peers known: for people only, as it costs the more the more there are.
    pub fn all(&self) -> impl Iterator<Item = (NodeId, &Peer)> {
        self.table.all()
    }

    /// Peers with a connection.
    pub fn connected(&self) -> impl ExactSizeIterator<Item = NodeId> + '_ {
        self.table.connected()
    }

    /// Whether a connection with it stands.
    #[must_use]
    pub fn is_connected(&self, node: NodeId) -> bool {
        is_connected(&self.table, node)
    }

    /// Static addresses nobody answers at.
    pub fn silent_seeds(&self) -> impl Iterator<Item = &str> {
        let is_silent = |peer: &Peer| peer.failures > 0 && !peer.is_connected();
        self.seeds.silent(move |node| self.peer(node).is_some_and(is_silent))
    }

    /// Tells of a peer's first or last connection.
    pub fn report(&self, ctx: &mut Context, node: NodeId, ended: Option<String>) {
        let event = match ended {
            Some(why) => Event::PeerDisconnected { node, why },
            None => {
                let address = self.peer(node).and_then(|peer| peer.dealings().connections.first());
                Event::PeerConnected { node, address: address.map(|at| at.address.clone()).unwrap_or_default() }
            }
        };
        ctx.report(event);
    }
}

fn is_connected(table: &Table, node: NodeId) -> bool {
    table.find(node).is_some_and(Peer::is_connected)
}

fn backoff(failures: u32, longest: Duration) -> Duration {
    BACKOFF_MIN.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(longest)
}

#[cfg(test)]
mod tests;
