//! The swarm's side: hands out an [`Opener`] per connection and passes on the streams that peers opened.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::behaviour::FromSwarm;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId, StreamProtocol};
use tokio::sync::mpsc;

use super::handler::Handler;
use super::{OPEN_QUEUE_MAX, Opener, Stream};
use crate::pulse::Pulse;

/// A stream that a peer opened.
#[derive(Debug)]
pub(crate) struct Inbound {
    pub(crate) connection: ConnectionId,
    pub(crate) protocol: StreamProtocol,
    pub(crate) stream: Stream,
}

/// The behaviour. Its queue is bounded by the handlers', which wait while the swarm's task is busy.
#[derive(Default)]
pub(crate) struct Behaviour {
    openers: HashMap<ConnectionId, Opener>,
    inbound: VecDeque<Inbound>,
}

impl Behaviour {
    /// What opens streams on this connection; `None` if it is gone.
    pub(crate) fn opener(&self, connection: ConnectionId) -> Option<Opener> {
        self.openers.get(&connection).cloned()
    }

    fn handler(&mut self, connection: ConnectionId) -> Handler {
        let (requests, receiver) = mpsc::channel(OPEN_QUEUE_MAX);
        let pulse = Arc::new(Pulse::new());
        self.openers.insert(connection, Opener { requests, pulse: Arc::clone(&pulse) });
        Handler::new(receiver, pulse)
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Inbound;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler(connection))
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler(connection))
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        let gone = match event {
            FromSwarm::ConnectionClosed(closed) => closed.connection_id,
            FromSwarm::DialFailure(failure) => failure.connection_id,
            FromSwarm::ListenFailure(failure) => failure.connection_id,
            _ => return,
        };
        self.openers.remove(&gone);
    }

    fn on_connection_handler_event(&mut self, _: PeerId, connection: ConnectionId, event: THandlerOutEvent<Self>) {
        let (protocol, stream) = event;
        self.inbound.push_back(Inbound { connection, protocol, stream });
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Inbound, THandlerInEvent<Self>>> {
        self.inbound.pop_front().map_or(Poll::Pending, |inbound| Poll::Ready(ToSwarm::GenerateEvent(inbound)))
    }
}

/// Nothing is told to handlers through the swarm; their openers reach them directly.
pub(super) type ToHandler = Infallible;
