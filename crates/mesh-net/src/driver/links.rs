//! The connections that stand, and which of them a message or a fetch takes.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use libp2p::PeerId;
use libp2p::swarm::ConnectionId as SwarmConnectionId;
use mesh_proto::{ConnectionId, NodeId};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::connection::Connection;
use crate::control::Outbox;
use crate::getter::Getter;

/// One connection, as the loop sees it.
pub(super) struct Link {
    pub(super) swarm_id: SwarmConnectionId,
    pub(super) peer: PeerId,
    pub(super) dialled: bool,
    /// From where the peer speaks.
    pub(super) place: Option<IpAddr>,
    /// On which address of ours it stands.
    pub(super) own: Option<IpAddr>,
    pub(super) connection: Arc<Connection>,
    /// `None` once it is being closed on purpose.
    pub(super) outbox: Option<Outbox>,
    pub(super) getter: Option<Getter>,
    /// Whether the peer fetches over it.
    pub(super) serves: bool,
    pub(super) closed: watch::Sender<bool>,
    pub(super) close_reason: Option<String>,
    pub(super) tasks: Vec<JoinHandle<()>>,
}

impl Link {
    /// Keeps a task to wait for at the end; forgets those that are over.
    pub(super) fn keep(&mut self, task: JoinHandle<()>) {
        self.tasks.retain(|task| !task.is_finished());
        self.tasks.push(task);
    }

    fn is_open(&self) -> bool {
        self.outbox.is_some() && self.close_reason.is_none()
    }

    fn fetches(&self) -> bool {
        self.getter.as_ref().is_some_and(Getter::lives)
    }
}

/// Which connection a fetch should take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FetchPath {
    /// This one: payload already comes over it, or none flows yet.
    Free(ConnectionId),
    /// All carry payload the other way; this is the best of them.
    Shared(ConnectionId),
    /// There is none.
    None,
}

/// All connections, oldest first.
#[derive(Default)]
pub(super) struct Links {
    links: BTreeMap<ConnectionId, Link>,
    by_swarm_id: HashMap<SwarmConnectionId, ConnectionId>,
    last_id: u64,
}

impl Links {
    pub(super) fn next_id(&mut self) -> ConnectionId {
        self.last_id += 1;
        ConnectionId(self.last_id)
    }

    pub(super) fn insert(&mut self, link: Link) {
        let id = link.connection.id;
        self.by_swarm_id.insert(link.swarm_id, id);
        self.links.insert(id, link);
    }

    pub(super) fn remove(&mut self, swarm_id: SwarmConnectionId) -> Option<Link> {
        let id = self.by_swarm_id.remove(&swarm_id)?;
        self.links.remove(&id)
    }

    pub(super) fn by_swarm_id(&mut self, swarm_id: SwarmConnectionId) -> Option<&mut Link> {
        let id = self.by_swarm_id.get(&swarm_id)?;
        self.links.get_mut(id)
    }

    pub(super) fn by_id(&mut self, id: ConnectionId) -> Option<&mut Link> {
        self.links.get_mut(&id)
    }

    pub(super) fn ids(&self) -> Vec<ConnectionId> {
        self.links.keys().copied().collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// All connections that stand on this address of ours.
    pub(super) fn standing_on(&self, own: IpAddr) -> Vec<ConnectionId> {
        self.links.values().filter(|link| link.own == Some(own)).map(|link| link.connection.id).collect()
    }

    /// All connections to a node.
    pub(super) fn of_node(&self, node: NodeId) -> Vec<ConnectionId> {
        self.links.values().filter(|link| link.connection.node == node).map(|link| link.connection.id).collect()
    }

    /// The connection messages to a node take: the newest whose control stream stands, else the newest.
    pub(super) fn for_message(&self, node: NodeId) -> Option<&Link> {
        let open = || self.links.values().rev().filter(|link| link.connection.node == node && link.is_open());
        open().find(|link| link.connection.control_ready.load(Ordering::Relaxed)).or_else(|| open().next())
    }

    /// The connection a fetch from a node takes. Payload should flow one way per connection.
    pub(super) fn for_fetch(&self, node: NodeId) -> FetchPath {
        let open: Vec<&Link> =
            self.links.values().filter(|link| link.connection.node == node && link.is_open()).collect();
        let best = open
            .iter()
            .find(|link| link.fetches() && !link.serves)
            .or_else(|| open.iter().find(|link| !link.serves && link.dialled))
            .or_else(|| open.iter().find(|link| !link.serves))
            .map(|link| link.connection.id);
        let shared = open.iter().find(|link| link.fetches()).or(open.first()).map(|link| link.connection.id);
        match (best, shared) {
            (Some(id), _) => FetchPath::Free(id),
            (None, Some(id)) => FetchPath::Shared(id),
            (None, None) => FetchPath::None,
        }
    }
}
