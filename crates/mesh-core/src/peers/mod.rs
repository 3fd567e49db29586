//! Who can be reached and where; whom to dial, and when to try again.
//!
//! A peer is dialled because it is a static seed, because somebody needs it (a transfer, a ticket), or to keep some
//! connections with the neighbourhood. Failures back off from one second to five minutes. Any byte received is proof
//! of life; nothing else is proof of death than an ended connection.

mod peer;
mod remember;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mesh_proto::address::{bare, node_of};
use mesh_proto::limits::{ADDRESSES_PER_NODE_MAX, NODES_KNOWN_MAX};
use mesh_proto::port::{Event, Failure, NetCommand};
use mesh_proto::{CommandId, ConnectionId, NodeId, Timestamp, WakeReason};

use crate::Context;
pub use peer::{Connection, Peer};

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
const TRIES: u32 = 3;

/// A static address whose node is not known yet.
#[derive(Debug, Clone)]
struct SeedAddress {
    address: String,
    node: Option<NodeId>,
    dialling: bool,
    failures: u32,
    not_before: Timestamp,
}

/// The table of peers. See the module.
#[derive(Debug, Default)]
pub struct Peers {
    peers: BTreeMap<NodeId, Peer>,
    seeds: Vec<SeedAddress>,
    dials: BTreeMap<CommandId, Option<NodeId>>,
    seed_dials: BTreeMap<CommandId, usize>,
    /// Static addresses that name their node.
    named_seeds: Vec<(NodeId, String)>,
    remembered: BTreeSet<NodeId>,
}

impl Peers {
    /// A table that will dial these addresses.
    #[must_use]
    pub fn new(seeds: &[String]) -> Self {
        let mut peers = Self::default();
        for address in seeds {
            peers.add_seed(address);
            peers.named_seeds.extend(node_of(address).map(|node| (node, address.clone())));
        }
        peers
    }

    /// Notes that a node may be reachable at these addresses.
    pub fn learn(&mut self, node: NodeId, addresses: &[String], found_by: &'static str) {
        if !self.peers.contains_key(&node) && self.peers.len() >= NODES_KNOWN_MAX {
            return;
        }
        let peer = self.peers.entry(node).or_default();
        if peer.found_by.is_empty() {
            peer.found_by = found_by;
        }
        for address in addresses {
            let address = bare(address);
            if !peer.addresses.iter().any(|known| known == address) {
                peer.addresses.push(address.to_owned());
                // News of an address is a reason to try at once, whatever failed before.
                peer.not_before = Timestamp::ZERO;
            }
        }
        let excess = peer.addresses.len().saturating_sub(ADDRESSES_PER_NODE_MAX);
        peer.addresses.drain(..excess);
    }

    /// Puts off dialling a newly found node a little if it is the one to dial first.
    pub fn be_polite(&mut self, ctx: &Context, node: NodeId) {
        if let Some(peer) = self.peers.get_mut(&node)
            && ctx.node > node
            && !peer.is_needed(ctx.now)
            && peer.connections.is_empty()
        {
            peer.not_before = peer.not_before.max(ctx.now.after(POLITENESS));
        }
    }

    /// A transfer needs this peer: for a while it is dialled whatever the number of connections.
    pub fn need(&mut self, ctx: &Context, node: NodeId) {
        if let Some(peer) = self.peers.get_mut(&node) {
            if !peer.is_needed(ctx.now) {
                peer.not_before = Timestamp::ZERO;
            }
            peer.needed_until = ctx.now.after(NEED);
        }
    }

    /// Whether a person named this peer or a transfer needs it.
    #[must_use]
    pub fn is_needed(&self, now: Timestamp, node: NodeId) -> bool {
        self.peers.get(&node).is_some_and(|peer| peer.seed || peer.is_needed(now))
    }

    /// This peer may be of use: it is dialled soon, a few times at most.
    pub fn try_soon(&mut self, node: NodeId) {
        if let Some(peer) = self.peers.get_mut(&node).filter(|peer| peer.is_dialable()) {
            peer.tries = TRIES;
            peer.not_before = Timestamp::ZERO;
        }
    }

    /// Adds a static address. If it names its node, that node is dialled like any needed peer; else whoever answers.
    pub fn add_seed(&mut self, address: &str) {
        if let Some(node) = node_of(address) {
            self.learn(node, &[address.to_owned()], "seed");
            if let Some(peer) = self.peers.get_mut(&node).filter(|peer| !peer.named) {
                (peer.named, peer.not_before) = (true, Timestamp::ZERO);
            }
        } else if !self.seeds.iter().any(|seed| seed.address == address) {
            let address = address.to_owned();
            self.seeds.push(SeedAddress {
                address,
                node: None,
                dialling: false,
                failures: 0,
                not_before: Timestamp::ZERO,
            });
        }
    }

    /// A connection stands. Returns whether it is the first with this peer.
    pub fn on_connected(&mut self, ctx: &mut Context, node: NodeId, connection: Connection) -> bool {
        let (address, dialled) = (connection.address.clone(), connection.dialled);
        let peer = self.peers.entry(node).or_default();
        peer.connections.push(connection);
        peer.tries = 0;
        if peer.found_by.is_empty() {
            peer.found_by = "it dialled";
        }
        if dialled {
            peer.addresses.retain(|known| known != &address);
            peer.addresses.insert(0, address);
            peer.addresses.truncate(ADDRESSES_PER_NODE_MAX);
            self.remember(ctx, node);
        }
        self.peers.get(&node).is_some_and(|peer| peer.connections.len() == 1)
    }

    /// A connection ended. Returns whether it was the last with this peer.
    pub fn on_disconnected(&mut self, ctx: &Context, node: NodeId, connection: ConnectionId) -> bool {
        let Some(peer) = self.peers.get_mut(&node) else { return false };
        let ended = peer.connections.iter().find(|standing| standing.id == connection);
        // Who closes us out again and again is not to be dialled every second.
        let settled = ended.is_some_and(|ended| ctx.now.since(ended.since) >= SETTLED);
        let failures = |before: u32| if settled { 0 } else { before + 1 };
        peer.connections.retain(|standing| standing.id != connection);
        peer.failures = failures(peer.failures);
        peer.not_before = ctx.now.after(backoff(peer.failures, peer.backoff_max(ctx.now)));
        let gone = peer.connections.is_empty();
        if gone {
            for seed in self.seeds.iter_mut().filter(|seed| seed.node == Some(node)) {
                seed.failures = failures(seed.failures);
                seed.not_before = ctx.now.after(backoff(seed.failures, SEED_BACKOFF_MAX));
            }
        }
        gone
    }

    /// A dial was answered. Returns whether it was one of ours.
    pub fn on_dialled(&mut self, ctx: &Context, command: CommandId, result: &Result<NodeId, Failure>) -> bool {
        if let Some(index) = self.seed_dials.remove(&command) {
            let seed = &mut self.seeds[index];
            seed.dialling = false;
            match result {
                Ok(node) => {
                    seed.node = Some(*node);
                    if let Some(peer) = self.peers.get_mut(node) {
                        peer.seed = true;
                        peer.found_by = "seed";
                    }
                }
                Err(_) => {
                    seed.failures += 1;
                    seed.not_before = ctx.now.after(backoff(seed.failures, SEED_BACKOFF_MAX));
                }
            }
            return true;
        }
        let Some(node) = self.dials.remove(&command) else { return false };
        if let Some(peer) = node.and_then(|node| self.peers.get_mut(&node)) {
            peer.dialling = false;
            if result.is_err() {
                peer.failures += 1;
                let longest = peer.backoff_max(ctx.now);
                peer.not_before = ctx.now.after(backoff(peer.failures, longest));
            }
        }
        true
    }

    /// A round trip was measured.
    pub fn on_rtt(&mut self, node: NodeId, rtt_us: u64) {
        if let Some(peer) = self.peers.get_mut(&node) {
            peer.rtt_us = Some(rtt_us);
        }
    }

    /// Opens what should be open and is due.
    pub fn run(&mut self, ctx: &mut Context) {
        self.dial_seeds(ctx);
        self.choose_anchors(ctx);
        let mut room = self.room();
        let due: Vec<NodeId> = self
            .peers
            .iter()
            .filter(|(node, peer)| **node != ctx.node && peer.is_due(ctx.now))
            .map(|(node, _)| *node)
            .collect();
        for node in due {
            if self.dials.len() >= DIALS_MAX {
                break;
            }
            let Some(peer) = self.peers.get_mut(&node) else { continue };
            if !peer.is_wanted(ctx.now) && room == 0 {
                continue;
            }
            room = room.saturating_sub(1);
            peer.dialling = true;
            peer.tries = peer.tries.saturating_sub(1);
            let addresses = peer.addresses.clone();
            let command = ctx.command_id();
            self.dials.insert(command, Some(node));
            ctx.net(NetCommand::Dial { command, node: Some(node), addresses });
        }
    }

    /// How many more connections the node should open by itself.
    fn room(&self) -> usize {
        let dialled = self.peers.values().filter(|peer| peer.connections.iter().any(|standing| standing.dialled));
        let wanted = CONNECTIONS_WANTED.saturating_sub(self.connected().count());
        let own = CONNECTIONS_DIALLED_MIN.saturating_sub(dialled.count());
        wanted.max(own).saturating_sub(self.dials.len())
    }

    fn dial_seeds(&mut self, ctx: &mut Context) {
        for (index, seed) in self.seeds.iter_mut().enumerate() {
            let connected = seed.node.is_some_and(|node| {
                node == ctx.node || self.peers.get(&node).is_some_and(|peer| !peer.connections.is_empty())
            });
            if connected || seed.dialling || seed.not_before > ctx.now {
                continue;
            }
            seed.dialling = true;
            let command = ctx.command_id();
            self.seed_dials.insert(command, index);
            ctx.net(NetCommand::Dial { command, node: None, addresses: vec![seed.address.clone()] });
        }
    }

    /// When a dial falls due.
    #[must_use]
    pub fn deadline(&self, ctx: &Context) -> Option<(Timestamp, WakeReason)> {
        let has_room = self.room() > 0;
        let can_dial = self.dials.len() < DIALS_MAX;
        let peers = self
            .peers
            .iter()
            .filter(|(node, peer)| {
                can_dial && **node != ctx.node && peer.is_dialable() && (peer.is_wanted(ctx.now) || has_room)
            })
            .map(|(_, peer)| peer.not_before);
        let seeds = self
            .seeds
            .iter()
            .filter(|seed| {
                let connected = seed.node.is_some_and(|node| {
                    node == ctx.node || self.peers.get(&node).is_some_and(|peer| !peer.connections.is_empty())
                });
                !seed.dialling && !connected
            })
            .map(|seed| seed.not_before);
        peers.chain(seeds).min().map(|at| (at, "dial a peer"))
    }

    /// One peer.
    #[must_use]
    pub fn peer(&self, node: NodeId) -> Option<&Peer> {
        self.peers.get(&node)
    }

    /// One peer, to count on.
    pub fn peer_mut(&mut self, node: NodeId) -> Option<&mut Peer> {
        self.peers.get_mut(&node)
    }

    /// All peers known.
    pub fn all(&self) -> impl Iterator<Item = (NodeId, &Peer)> {
        self.peers.iter().map(|(node, peer)| (*node, peer))
    }

    /// Peers with a connection.
    pub fn connected(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.peers.iter().filter(|(_, peer)| !peer.connections.is_empty()).map(|(node, _)| *node)
    }

    /// Whether a connection with it stands.
    #[must_use]
    pub fn is_connected(&self, node: NodeId) -> bool {
        self.peers.get(&node).is_some_and(|peer| !peer.connections.is_empty())
    }

    /// Static addresses nobody answers at.
    pub fn silent_seeds(&self) -> impl Iterator<Item = &str> {
        let unnamed = self.seeds.iter().filter(|seed| seed.node.is_none() && seed.failures > 0);
        let silent =
            |node: &NodeId| self.peer(*node).is_some_and(|peer| peer.failures > 0 && peer.connections.is_empty());
        let named = self.named_seeds.iter().filter(move |(node, _)| silent(node));
        unnamed.map(|seed| seed.address.as_str()).chain(named.map(|(_, address)| address.as_str()))
    }

    /// Tells of a peer's first or last connection.
    pub fn report(&self, ctx: &mut Context, node: NodeId, ended: Option<String>) {
        let event = match ended {
            Some(why) => Event::PeerDisconnected { node, why },
            None => {
                let address = self.peer(node).and_then(|peer| peer.connections.first());
                Event::PeerConnected { node, address: address.map(|at| at.address.clone()).unwrap_or_default() }
            }
        };
        ctx.report(event);
    }
}

fn backoff(failures: u32, longest: Duration) -> Duration {
    BACKOFF_MIN.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(longest)
}
