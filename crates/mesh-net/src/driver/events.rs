//! Turns what the swarm says into reports and tasks.

use std::collections::BTreeMap;
use std::sync::Arc;

use libp2p::core::ConnectedPoint;
use libp2p::swarm::{ConnectionId as SwarmConnectionId, SwarmEvent};
use libp2p::{Multiaddr, PeerId, identify, mdns};
use mesh_proto::limits::{ADDRESSES_PER_NODE_MAX, BULK_STREAMS_PER_CONNECTION_MAX};
use mesh_proto::port::NetInput;
use mesh_proto::port::net::DiscoveredBy;
use tokio::sync::watch;

use super::Driver;
use super::links::Link;
use crate::address::{ip_of, node_id_of, strip_peer, text_of};
use crate::behaviour::{LOOKUP_PROTOCOL, MeshBehaviourEvent, never};
use crate::connection::Connection;
use crate::interfaces::own_address_towards;
use crate::streams::{BULK, CONTROL, Inbound, PROBE};
use crate::{control, probe, source};

/// Probe streams a peer may open on one connection; a second one comes while the first is being given up.
const ECHOES_PER_CONNECTION_MAX: usize = 2;

impl Driver {
    pub(super) async fn handle_event(&mut self, event: SwarmEvent<MeshBehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(MeshBehaviourEvent::Streams(inbound)) => self.handle_inbound(inbound),
            SwarmEvent::Behaviour(
                MeshBehaviourEvent::MdnsV4(mdns::Event::Discovered(found))
                | MeshBehaviourEvent::MdnsV6(mdns::Event::Discovered(found)),
            ) => {
                self.handle_discovered(found).await;
                self.rest_from_multicast_if_flooded();
            }
            SwarmEvent::Behaviour(MeshBehaviourEvent::Identify(identify::Event::Received {
                peer_id,
                connection_id,
                info,
            })) => self.handle_identified(peer_id, connection_id, info),
            SwarmEvent::Behaviour(MeshBehaviourEvent::Lookup(event)) => {
                for input in self.lookup.handle(&mut self.swarm.behaviour_mut().lookup, event) {
                    self.shared.report(input).await;
                }
            }
            SwarmEvent::Behaviour(MeshBehaviourEvent::Limits(event)) => never(event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.handle_connected(peer_id, connection_id, &endpoint).await;
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, cause, num_established, .. } => {
                let why = cause.map_or_else(|| "closed".to_owned(), |cause| cause.to_string());
                self.handle_disconnected(peer_id, connection_id, why, num_established as usize);
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                self.handle_dial_failed(connection_id, &error).await;
            }
            SwarmEvent::NewListenAddr { address, .. } => self.handle_new_listen_address(address).await,
            SwarmEvent::ExpiredListenAddr { address, .. } => self.handle_expired_listen_address(&address),
            SwarmEvent::ListenerClosed { listener_id, reason, .. } => {
                self.handle_listener_closed(listener_id, reason).await;
            }
            SwarmEvent::ListenerError { error, .. } => self.handle_listener_error(&error),
            SwarmEvent::IncomingConnectionError { error, .. } => tracing::debug!(%error, "a connection failed"),
            _ => {}
        }
    }

    async fn handle_connected(&mut self, peer: PeerId, swarm_id: SwarmConnectionId, endpoint: &ConnectedPoint) {
        let Some(node) = node_id_of(&peer) else {
            self.swarm.close_connection(swarm_id);
            return self.handle_dialled_stranger(swarm_id).await;
        };
        let Some(opener) = self.swarm.behaviour().streams.opener(swarm_id) else {
            return;
        };
        let mut address = endpoint.get_remote_address().clone();
        strip_peer(&mut address);
        let (closed, closed_out) = watch::channel(false);
        let id = self.links.next_id();
        let connection = Arc::new(Connection::new(id, node, Arc::clone(&self.shared), opener, closed_out));
        let dialled = endpoint.is_dialer();
        let class = self.interfaces.class_of(&address);
        if dialled {
            self.book.add_connected(peer, address.clone());
        }
        let place = ip_of(&address);
        let own = match endpoint {
            ConnectedPoint::Listener { local_addr, .. } => ip_of(local_addr),
            ConnectedPoint::Dialer { .. } => place.and_then(own_address_towards),
        };
        self.doubt_older(node);
        let address = text_of(&address);
        self.shared.report(NetInput::Connected { connection: id, node, address, dialled, class }).await;
        let (outbox, waiting) = control::outbox();
        let tasks = vec![
            tokio::spawn(control::send_messages(Arc::clone(&connection), waiting)),
            tokio::spawn(probe::probe(Arc::clone(&connection))),
        ];
        self.links.insert(Link {
            swarm_id,
            peer,
            dialled,
            place,
            own,
            connection,
            outbox: Some(outbox),
            getter: None,
            serves: false,
            closed,
            close_reason: None,
            tasks,
        });
        if dialled {
            self.handle_dial_succeeded(swarm_id, node).await;
        }
    }

    /// Ends a connection's tasks, and reports its end once they have said all they had to say.
    pub(super) fn handle_disconnected(
        &mut self,
        peer: PeerId,
        swarm_id: SwarmConnectionId,
        why: String,
        others: usize,
    ) {
        let Some(link) = self.links.remove(swarm_id) else {
            return;
        };
        if others == 0 {
            self.book.remove(&peer);
        }
        let Link { connection, closed, close_reason, tasks, outbox, getter, .. } = link;
        let _ = closed.send(true);
        drop((outbox, getter));
        let why = close_reason.unwrap_or(why);
        self.farewells.spawn(async move {
            for task in tasks {
                let _ = task.await;
            }
            let (id, node) = (connection.id, connection.node);
            connection.report(NetInput::Disconnected { connection: id, node, why }).await;
        });
    }

    /// Gives a stream that a peer opened to a task; one too many is reset, which says "busy".
    fn handle_inbound(&mut self, inbound: Inbound) {
        let Inbound { connection: swarm_id, protocol, stream } = inbound;
        let Some(link) = self.links.by_swarm_id(swarm_id) else {
            return;
        };
        let connection = Arc::clone(&link.connection);
        let task = if protocol == CONTROL {
            let counted = connection.try_count(|of| &of.controls_open, 1);
            counted.map(|counted| tokio::spawn(control::receive_messages(connection, stream, counted)))
        } else if protocol == BULK {
            let counted = connection.try_count(|of| &of.sources_open, BULK_STREAMS_PER_CONNECTION_MAX);
            link.serves |= counted.is_some();
            counted.map(|counted| tokio::spawn(source::serve(connection, stream, counted)))
        } else {
            debug_assert_eq!(protocol, PROBE);
            let counted = connection.try_count(|of| &of.echoes_open, ECHOES_PER_CONNECTION_MAX);
            counted.map(|counted| tokio::spawn(probe::echo(connection, stream, counted)))
        };
        match task {
            Some(task) => link.keep(task),
            None => tracing::debug!(%protocol, peer = %link.peer, "a stream too many was reset"),
        }
    }

    async fn handle_discovered(&mut self, found: Vec<(PeerId, Multiaddr)>) {
        let mut near: BTreeMap<PeerId, Vec<Multiaddr>> = BTreeMap::new();
        for (peer, mut address) in found {
            strip_peer(&mut address);
            if peer != *self.swarm.local_peer_id() && self.is_reachable(&address) {
                near.entry(peer).or_default().push(address);
            }
        }
        for (peer, addresses) in near {
            let Some(node) = node_id_of(&peer) else {
                continue;
            };
            for address in &addresses {
                self.book.add_announced(peer, address.clone());
                if let Some(lookup) = self.swarm.behaviour_mut().lookup.as_mut() {
                    lookup.add_address(&peer, address.clone());
                }
            }
            let addresses = addresses.iter().take(ADDRESSES_PER_NODE_MAX).map(text_of).collect();
            self.shared.report(NetInput::Discovered { node, addresses, by: DiscoveredBy::Mdns }).await;
        }
    }

    /// Whether an address somebody announced to everybody can be meant for us: others' announcements carry all their
    /// addresses on every interface.
    fn is_reachable(&self, address: &Multiaddr) -> bool {
        match ip_of(address) {
            Some(ip) if ip.is_loopback() => self.listening.is_loopback_only(),
            Some(ip) => self.interfaces.is_near(ip),
            None => false,
        }
    }

    /// Remembers where a connected peer listens: its own words, but only at the place it really speaks from.
    fn handle_identified(&mut self, peer: PeerId, swarm_id: SwarmConnectionId, info: identify::Info) {
        let remote = info.listen_addrs;
        let Some(link) = self.links.by_swarm_id(swarm_id) else {
            return;
        };
        let Some(place) = link.place else {
            return;
        };
        let in_lookup = info.protocols.contains(&LOOKUP_PROTOCOL);
        for mut address in remote.into_iter().take(ADDRESSES_PER_NODE_MAX) {
            strip_peer(&mut address);
            if ip_of(&address) != Some(place) {
                continue;
            }
            self.book.add_connected(peer, address.clone());
            if let (true, Some(lookup)) = (in_lookup, self.swarm.behaviour_mut().lookup.as_mut()) {
                lookup.add_address(&peer, address);
            }
        }
    }
}
