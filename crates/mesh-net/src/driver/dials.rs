//! Dialling: for a command, or for a second connection that a fetch needs.
//!
//! Invariant: every `Dial` command is answered once, whatever becomes of its attempts.

use std::collections::{HashMap, VecDeque};

use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId as SwarmConnectionId, DialError};
use libp2p::{Multiaddr, PeerId};
use mesh_proto::limits::ADDRESSES_PER_NODE_MAX;
use mesh_proto::port::net::FetchOutcome;
use mesh_proto::port::{Failure, NetInput};
use mesh_proto::{CommandId, NodeId};

use super::Driver;
use crate::address::{self, node_id_of, peer_id_of};
use crate::getter::Fetch;

/// Dial commands under way; more are answered as failed.
const DIALS_MAX: usize = 1024;
/// Fetches that wait for a second connection; more take the one there is.
const FETCHES_WAITING_MAX: usize = 1024;

/// One attempt under way.
enum Attempt {
    /// For a command; these addresses are left to try if it fails.
    Command { command: CommandId, left: VecDeque<Multiaddr> },
    /// For fetches that wait for a second connection to this peer.
    Fetches { peer: PeerId },
}

/// All attempts under way.
#[derive(Default)]
pub(super) struct Dials {
    attempts: HashMap<SwarmConnectionId, Attempt>,
    fetches: HashMap<PeerId, Vec<Fetch>>,
}

impl Dials {
    /// Takes a fetch that waits for a second connection, if it is there.
    pub(super) fn take_fetch(&mut self, command: CommandId) -> Option<Fetch> {
        for fetches in self.fetches.values_mut() {
            if let Some(position) = fetches.iter().position(|fetch| fetch.command == command) {
                return Some(fetches.remove(position));
            }
        }
        None
    }

    fn fetches_waiting(&self) -> usize {
        self.fetches.values().map(Vec::len).sum()
    }
}

impl Driver {
    pub(super) async fn dial(&mut self, command: CommandId, node: Option<NodeId>, addresses: Vec<String>) {
        if self.dials.attempts.len() >= DIALS_MAX {
            return self.answer_dial(command, Err(Failure::passing("too many dials are under way"))).await;
        }
        let mut peer = node.map(|node| peer_id_of(&node));
        let mut targets = VecDeque::new();
        let mut last_error = "no address to dial".to_owned();
        for text in addresses.iter().take(ADDRESSES_PER_NODE_MAX) {
            match address::parse(text) {
                Ok(target) => {
                    peer = peer.or(target.peer);
                    targets.push_back(target.address);
                }
                Err(error) => last_error = error.to_string(),
            }
        }
        if targets.is_empty() {
            return self.answer_dial(command, Err(Failure::lasting(last_error))).await;
        }
        match peer {
            Some(peer) => {
                let options = second_connection(peer, targets.into());
                self.attempt(options, Attempt::Command { command, left: VecDeque::new() }).await;
            }
            None => self.dial_next(command, targets, last_error).await,
        }
    }

    /// Tries the addresses of an unknown node one after the other.
    async fn dial_next(&mut self, command: CommandId, mut left: VecDeque<Multiaddr>, why: String) {
        match left.pop_front() {
            Some(address) => {
                let options = DialOpts::unknown_peer_id().address(address).allocate_new_port().build();
                Box::pin(self.attempt(options, Attempt::Command { command, left })).await;
            }
            None => self.answer_dial(command, Err(Failure::passing(why))).await,
        }
    }

    async fn attempt(&mut self, options: DialOpts, attempt: Attempt) {
        let id = options.connection_id();
        self.dials.attempts.insert(id, attempt);
        if let Err(error) = self.swarm.dial(options) {
            self.handle_dial_failed(id, &error).await;
        }
    }

    /// Keeps a fetch until a second connection to its peer stands; gives it back if none can be dialled.
    pub(super) async fn fetch_over_new_connection(&mut self, peer: PeerId, fetch: Fetch) -> Option<Fetch> {
        let addresses = self.book.addresses(&peer);
        if addresses.is_empty() || self.dials.fetches_waiting() >= FETCHES_WAITING_MAX {
            return Some(fetch);
        }
        let waiting = self.dials.fetches.entry(peer).or_default();
        waiting.push(fetch);
        if waiting.len() == 1 {
            let options = second_connection(peer, addresses);
            self.attempt(options, Attempt::Fetches { peer }).await;
        }
        None
    }

    /// A connection of ours stands: answers the dial it came from. `Connected` was reported before.
    pub(super) async fn handle_dial_succeeded(&mut self, id: SwarmConnectionId, node: NodeId) {
        match self.dials.attempts.remove(&id) {
            Some(Attempt::Command { command, .. }) => self.answer_dial(command, Ok(node)).await,
            Some(Attempt::Fetches { peer }) => self.release_fetches(peer).await,
            None => {}
        }
    }

    pub(super) async fn handle_dial_failed(&mut self, id: SwarmConnectionId, error: &DialError) {
        match self.dials.attempts.remove(&id) {
            Some(Attempt::Command { command, left }) => self.dial_next(command, left, describe(error)).await,
            Some(Attempt::Fetches { peer }) => {
                tracing::debug!(%error, "no second connection; payload flows both ways over one");
                self.release_fetches(peer).await;
            }
            None => {}
        }
    }

    /// A peer is reached that can't be one of ours.
    pub(super) async fn handle_dialled_stranger(&mut self, id: SwarmConnectionId) {
        if let Some(Attempt::Command { command, .. }) = self.dials.attempts.remove(&id) {
            let why = Failure::lasting("whoever answers there has no Ed25519 key");
            self.answer_dial(command, Err(why)).await;
        }
    }

    /// Answers all that is under way, because the network stops.
    pub(super) async fn give_up_dials(&mut self) {
        let dials = std::mem::take(&mut self.dials);
        for attempt in dials.attempts.into_values() {
            if let Attempt::Command { command, .. } = attempt {
                self.answer_dial(command, Err(Failure::passing("this node stops"))).await;
            }
        }
        for fetch in dials.fetches.into_values().flatten() {
            self.shared.report(fetch.never_began(FetchOutcome::Disconnected)).await;
        }
    }

    async fn release_fetches(&mut self, peer: PeerId) {
        for fetch in self.dials.fetches.remove(&peer).unwrap_or_default() {
            self.fetch_over_standing_connection(peer, fetch).await;
        }
    }

    async fn answer_dial(&mut self, command: CommandId, result: Result<NodeId, Failure>) {
        self.shared.report(NetInput::Dialled { command, result }).await;
    }
}

/// Dials also a peer we are connected to. A port of its own, because the listening one may be in use towards it.
fn second_connection(peer: PeerId, addresses: Vec<Multiaddr>) -> DialOpts {
    DialOpts::peer_id(peer).condition(PeerCondition::Always).addresses(addresses).allocate_new_port().build()
}

fn describe(error: &DialError) -> String {
    match error {
        DialError::LocalPeerId { .. } => "that address is this node's own".to_owned(),
        DialError::WrongPeerId { obtained, .. } => match node_id_of(obtained) {
            Some(node) => format!("another node answers there: {node}"),
            None => "another program answers there".to_owned(),
        },
        DialError::Transport(failed) => failed
            .iter()
            .map(|(address, error)| format!("{}: {}", address::text_of(address), innermost(error)))
            .collect::<Vec<_>>()
            .join("; "),
        other => other.to_string(),
    }
}

/// The last cause: the system's own words, without the layers around them.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
