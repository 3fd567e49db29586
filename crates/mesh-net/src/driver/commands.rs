//! Carries out commands.

use std::sync::Arc;
use std::time::Duration;

use libp2p::PeerId;
use mesh_proto::message::Message;
use mesh_proto::port::NetCommand;
use mesh_proto::port::net::{FetchOutcome, ServeId};
use mesh_proto::{CommandId, ConnectionId, NodeId};
use tokio::sync::mpsc::error::TrySendError;

use super::Driver;
use super::links::FetchPath;
use crate::address::{node_id_of, peer_id_of};
use crate::connection::CloseRequest;
use crate::getter::{Fetch, Getter, GetterCommand};
use crate::source::{SourceCommand, gone};

/// How long what was sent before a `Disconnect` gets to arrive.
const LAST_WORDS_MS: u64 = 1000;

impl Driver {
    pub(super) async fn handle_command(&mut self, command: NetCommand) {
        match command {
            NetCommand::Dial { command, node, addresses } => self.dial(command, node, addresses).await,
            NetCommand::Disconnect { node, why } => self.disconnect(node, &why),
            NetCommand::Close { connection, why } => self.end_connection(connection, why),
            NetCommand::Send { node, message } => self.send(node, &message),
            NetCommand::Fetch { command, node, request, stall_ms_max } => {
                let stall = Duration::from_millis(stall_ms_max.max(1));
                self.fetch(node, Fetch { command, request, stall }).await;
            }
            NetCommand::CancelFetch { fetch } => self.cancel_fetch(fetch).await,
            NetCommand::Grant { command, serve, bytes } => self.grant(command, serve, bytes).await,
            NetCommand::Refuse { serve, reason } => {
                if let Some(source) = self.shared.routes.serve(serve) {
                    let refusal = SourceCommand::Refuse { serve, reason };
                    if source.try_send(refusal).is_err() {
                        tracing::warn!("a source has too much to do for a refusal");
                    }
                }
            }
            NetCommand::Provide { keys } => {
                self.lookup.provide(&mut self.swarm.behaviour_mut().lookup, keys);
            }
            NetCommand::FindProviders { command, key } => {
                let answer = self.lookup.find(&mut self.swarm.behaviour_mut().lookup, command, key);
                if let Some(answer) = answer {
                    self.shared.report(answer).await;
                }
            }
            NetCommand::SetPingInterval { interval_ms } => {
                self.probe_interval.send_replace(interval_ms);
            }
        }
    }

    fn send(&mut self, node: NodeId, message: &Message) {
        let Some((id, outbox)) =
            self.links.for_message(node).and_then(|link| Some((link.connection.id, link.outbox.clone()?)))
        else {
            return tracing::debug!(message = message.name(), "dropped: its peer is not connected");
        };
        if !outbox.put(message) {
            self.close_connection(id, "too slow: too many messages wait for it".to_owned());
        }
    }

    fn disconnect(&mut self, node: NodeId, why: &str) {
        for id in self.links.of_node(node) {
            self.end_connection(id, why.to_owned());
        }
    }

    /// Ends a connection once what was sent before has arrived, or soon anyway.
    pub(super) fn end_connection(&mut self, id: ConnectionId, why: String) {
        let Some(link) = self.links.by_id(id) else {
            return;
        };
        link.close_reason.get_or_insert_with(|| why.clone());
        link.outbox = None;
        let connection = Arc::clone(&link.connection);
        let last_resort = tokio::spawn(async move {
            tokio::select! {
                () = connection.closed() => {}
                () = tokio::time::sleep(Duration::from_millis(LAST_WORDS_MS)) => connection.close(why).await,
            }
        });
        link.keep(last_resort);
    }

    /// Closes one connection now; the first reason given is the one reported.
    pub(super) fn close_connection(&mut self, id: ConnectionId, why: String) {
        if let Some(link) = self.links.by_id(id) {
            link.close_reason.get_or_insert(why);
            link.outbox = None;
            let swarm_id = link.swarm_id;
            self.swarm.close_connection(swarm_id);
        }
    }

    /// Closes a connection as one of its tasks asks.
    pub(super) fn carry_out(&mut self, CloseRequest { connection, why, is_cut }: CloseRequest) {
        match is_cut {
            true => self.abandon_connection(connection, why),
            false => self.close_connection(connection, why),
        }
    }

    async fn fetch(&mut self, node: NodeId, fetch: Fetch) {
        let peer = peer_id_of(&node);
        match self.links.for_fetch(node) {
            FetchPath::Free(id) => self.fetch_over(id, fetch).await,
            FetchPath::Shared(_) => {
                if let Some(fetch) = self.fetch_over_new_connection(peer, fetch).await {
                    self.fetch_over_standing_connection(peer, fetch).await;
                }
            }
            FetchPath::None => self.shared.report(fetch.never_began(FetchOutcome::Disconnected)).await,
        }
    }

    /// Fetches over whatever connection stands, also against the flow.
    pub(super) async fn fetch_over_standing_connection(&mut self, peer: PeerId, fetch: Fetch) {
        let path = node_id_of(&peer).map_or(FetchPath::None, |node| self.links.for_fetch(node));
        match path {
            FetchPath::Free(id) | FetchPath::Shared(id) => self.fetch_over(id, fetch).await,
            FetchPath::None => self.shared.report(fetch.never_began(FetchOutcome::Disconnected)).await,
        }
    }

    async fn fetch_over(&mut self, id: ConnectionId, fetch: Fetch) {
        let Some(link) = self.links.by_id(id) else {
            return self.shared.report(fetch.never_began(FetchOutcome::Disconnected)).await;
        };
        if !link.getter.as_ref().is_some_and(Getter::lives) {
            let (getter, task) = Getter::start(Arc::clone(&link.connection));
            link.getter = Some(getter);
            link.keep(task);
        }
        let refused = match &link.getter {
            Some(getter) => getter.try_fetch(&link.connection, fetch),
            None => Some(fetch),
        };
        if let Some(fetch) = refused {
            self.shared.report(fetch.never_began(FetchOutcome::Disconnected)).await;
        }
    }

    async fn cancel_fetch(&mut self, command: CommandId) {
        if let Some(fetch) = self.dials.take_fetch(command) {
            return self.shared.report(fetch.never_began(FetchOutcome::Cancelled)).await;
        }
        let Some(getter) = self.shared.routes.fetch(command) else {
            return;
        };
        if let Err(TrySendError::Full(cancel)) = getter.try_send(GetterCommand::Cancel(command)) {
            // A getter that far behind is waiting for the store; the cancellation waits with it.
            tokio::spawn(async move { getter.send(cancel).await });
        }
    }

    async fn grant(&mut self, command: CommandId, serve: ServeId, bytes: u64) {
        let handed_over = match self.shared.routes.serve(serve) {
            Some(source) => source.try_send(SourceCommand::Grant { command, serve, bytes }).is_ok(),
            None => false,
        };
        if !handed_over {
            self.shared.report(gone(command, serve)).await;
        }
    }
}
