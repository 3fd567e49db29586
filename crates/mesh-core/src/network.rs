//! What the network reports, routed to the part concerned.

use mesh_analytics::EventKind;
use mesh_proto::bulk::{RefuseReason, SpanRequest};
use mesh_proto::extensions::Extensions;
use mesh_proto::message::{Found, Holding, Message, PageReply, PageRequest, Unsupported};
use mesh_proto::planted::Defect;
use mesh_proto::port::net::{DiscoveredBy, FetchOutcome, ServeId, ServeState};
use mesh_proto::port::store::StoreCommand;
use mesh_proto::port::{Event, Failure, NetCommand, NetInput};
use mesh_proto::record::Access;
use mesh_proto::{ChunkSet, CommandId, ConnectionId, ContentId, NodeId};

use crate::interest::{News, Offer, tell_more};
use crate::node::{Follows, Node, Pending};
use crate::peers::{Connection, FoundBy, Peer};
use crate::serve::Asker;
use crate::spread::CROWD_MIN;
use crate::transfer::{Around, Ended, Fetched};

/// Pages of ours being read for peers at once; more are answered "not here", and asked again later.
pub(crate) const PAGE_READS_MAX: usize = 256;

impl Node {
    pub(crate) fn on_net(&mut self, input: NetInput) -> Follows {
        match input {
            NetInput::Listening { address } => self.on_listening(address),
            NetInput::ListenFailed { address, why } => {
                let message = format!("can't listen on {address}: {why}");
                self.listen_failures.insert(address, why);
                self.ctx.report(Event::Warning { message });
            }
            NetInput::Discovered { node, addresses, by } => self.on_discovered(node, &addresses, by),
            NetInput::Connected { connection, node, address, dialled, class } => {
                self.ctx.count(EventKind::ConnectionOpened);
                if !dialled {
                    self.strangers.on_connected(&self.ctx, connection, node, &address);
                }
                let connection = Connection { id: connection, address, class, dialled, since: self.ctx.now };
                if self.peers.on_connected(&mut self.ctx, node, connection) {
                    self.peers.report(&mut self.ctx, node, None);
                    self.meet(node);
                }
            }
            NetInput::Disconnected { connection, node, why } => {
                self.ctx.count(EventKind::ConnectionClosed);
                self.strangers.on_disconnected(connection);
                self.serving.on_connection_ended(connection);
                if self.peers.on_disconnected(&self.ctx, node, connection) {
                    self.part(node);
                    self.serving.on_disconnected(node);
                    self.peers.report(&mut self.ctx, node, Some(why));
                }
            }
            NetInput::Dialled { command, result } => self.on_dialled(command, &result),
            NetInput::Received { node, message, .. } => self.on_message(node, message),
            NetInput::Malformed { node, why, .. } => {
                self.ctx.count(EventKind::MessageRefused);
                let why = format!("it broke the protocol: {why}");
                self.ctx.net(NetCommand::Disconnect { node, why });
            }
            NetInput::UnknownMessage { node, number, .. } => self.answer_unknown(node, number),
            NetInput::Rtt { node, rtt_us, .. } => {
                self.peers.on_rtt(node, rtt_us);
                self.serving.set_rtt(self.ctx.now, node, rtt_us);
                return Follows::Grants;
            }
            NetInput::SpanRequested { serve, connection, node, request } => {
                self.on_span_requested(serve, node, connection, &request);
            }
            NetInput::SpanWithdrawn { .. } | NetInput::Granted { state: ServeState::Gone, .. }
                if self.ctx.planted.is(Defect::LeakGrant) => {}
            NetInput::SpanWithdrawn { serve } => self.serving.on_withdrawn(serve),
            NetInput::Granted { command, sent_bytes, state, .. } => {
                let Some(content) = self.serving.on_granted(command, sent_bytes, &state) else {
                    return Follows::Grants;
                };
                let why = "its bytes could not be read as they were shared".to_owned();
                self.on_changed(content, why);
            }
            NetInput::Receipt { serve, drained_bytes } => {
                self.serving.on_receipt(&self.ctx, serve, drained_bytes);
                return Follows::Grants;
            }
            NetInput::FetchProgress { command, received_bytes, .. } => {
                if !self.transfers.on_fetch_progress(&mut self.ctx, command, received_bytes) {
                    return Follows::Nothing;
                }
            }
            NetInput::Fetched { outcome: FetchOutcome::Disconnected, .. } if self.ctx.planted.is(Defect::LoseWant) => {}
            NetInput::Fetched { command, outcome, received_bytes, chunks_verified, aside_bytes } => {
                let chunks_verified = chunks_verified + u32::from(self.ctx.planted.is(Defect::OffByOneSpan));
                let ended = Ended { outcome, received_bytes, chunks_verified, aside_bytes };
                if let Some(Fetched { content, node, chunks }) =
                    self.transfers.on_fetched(&mut self.ctx, command, &ended)
                {
                    self.interests.grew(&self.ctx, content, chunks);
                    self.answer_seekers(content);
                    self.note_goodput(content, node);
                }
            }
            NetInput::ProvidersFound { command, nodes } => {
                let mut around = Around { peers: &mut self.peers, records: &self.records };
                self.transfers.on_providers(&self.ctx, command, &nodes, &mut around);
            }
        }
        Follows::Anything
    }

    fn on_listening(&mut self, address: String) {
        if self.listening.insert(address.clone()) {
            self.ctx.report(Event::Listening { address });
            let addresses = self.own_addresses();
            self.records.set_addresses(&mut self.ctx, addresses);
        }
    }

    /// Where others may reach us, best first: loopback only if there is nothing else.
    pub(crate) fn own_addresses(&self) -> Vec<String> {
        let is_local = |address: &&String| address.starts_with("/ip4/127.") || address.starts_with("/ip6/::1/");
        let far: Vec<String> = self.listening.iter().filter(|address| !is_local(address)).cloned().collect();
        let mut addresses = if far.is_empty() { self.listening.iter().cloned().collect() } else { far };
        addresses.sort_by_key(|address| !address.starts_with("/ip4/"));
        addresses.truncate(mesh_proto::limits::ADDRESSES_PER_NODE_MAX);
        addresses
    }

    fn on_discovered(&mut self, node: NodeId, addresses: &[String], by: DiscoveredBy) {
        let how = match by {
            DiscoveredBy::Mdns => FoundBy::Mdns,
            DiscoveredBy::Kademlia => FoundBy::Kademlia,
        };
        if by == DiscoveredBy::Mdns {
            self.found_by_mdns += 1;
        }
        self.peers.learn(node, addresses, how);
        self.peers.be_polite(&self.ctx, node);
    }

    fn on_dialled(&mut self, command: CommandId, result: &Result<NodeId, Failure>) {
        if result.is_err() {
            self.ctx.count(EventKind::DialFailed);
        }
        if !self.peers.on_dialled(&self.ctx, command, result) {
            self.on_done(command, &result.clone().map(|_| ()));
        }
    }

    /// A peer is new to us: it is greeted.
    fn meet(&mut self, node: NodeId) {
        self.records.on_connected(&mut self.ctx, node);
        self.note_rate(node);
    }

    /// What was said to a peer, and by it, counts no longer. What it fetches ends with the connection it is fetched over.
    fn part(&mut self, node: NodeId) {
        self.records.on_disconnected(&self.ctx, node);
        self.transfers.on_disconnected(node);
        self.interests.on_disconnected(node);
        self.spread.on_disconnected(node);
    }

    /// Whether a peer that says hello came back before anybody here missed it, after a power cut say: it said so before,
    /// and has made a connection since. It remembers nothing of what was said then.
    fn began_anew(&self, node: NodeId) -> bool {
        let greeted = self.records.greeted_at(node);
        let connections = self.peers.peer(node).map(|peer| &peer.dealings().connections);
        greeted.zip(connections).is_some_and(|(at, connections)| connections.iter().any(|made| made.since > at))
    }

    fn on_message(&mut self, node: NodeId, message: Message) {
        if let Some(extension) = message.extensions().first_required() {
            self.ctx.count(EventKind::MessageRefused);
            let refusal =
                Unsupported { message: message.number(), extension: Some(extension), extensions: Default::default() };
            self.ctx.send(node, Message::Unsupported(refusal));
            return;
        }
        if matches!(message, Message::Hello(_)) && self.began_anew(node) {
            self.part(node);
            self.meet(node);
        }
        if self.records.on_message(&mut self.ctx, node, &message) {
            return;
        }
        match message {
            Message::HaveRequest(request) => {
                self.interests.add(&self.ctx, node, request.content);
                self.transfers.on_asked(&self.ctx, node, request.content);
                self.answer_have(node, request.content);
            }
            Message::Have(have) => {
                self.transfers.on_have(&mut self.ctx, node, &have);
            }
            Message::HaveMore(more) => self.transfers.on_have_more(&mut self.ctx, node, &more),
            Message::Find(find) => self.on_find(node, find.key),
            Message::Found(found) => self.transfers.on_found(&self.ctx, node, &found.key),
            Message::Uninterested(message) => self.interests.remove(node, message.content),
            Message::PageRequest(request) => self.on_page_request(node, &request),
            Message::PageReply(reply) => {
                self.transfers.set_room(self.room());
                self.transfers.on_page_reply(&mut self.ctx, node, &reply);
            }
            Message::DialMe(message) => {
                self.peers.learn(node, &message.addresses, FoundBy::ItAsked);
                self.peers.try_soon(node);
            }
            Message::Want(_) => self.answer_unknown(node, 31),
            Message::ParcelOffer(_) => self.answer_unknown(node, 33),
            _ => {}
        }
    }

    fn answer_unknown(&mut self, node: NodeId, number: u16) {
        if number % 2 == 1 {
            let refusal = Unsupported { message: number, extension: None, extensions: Extensions::default() };
            self.ctx.send(node, Message::Unsupported(refusal));
        }
    }

    /// What we hold of a content and under which rule, whoever asks.
    fn offer(&self, content: ContentId) -> Option<Offer> {
        if let Some(known) = self.contents.find(content) {
            let served = known.is_served(self.ctx.unix());
            return served.then(|| Offer { holding: Holding::Complete, access: known.treatment.access.clone() });
        }
        let transfer = self.transfers.find(content)?;
        let holding = if transfer.have.is_empty() { Holding::None } else { Holding::Partial(transfer.have.clone()) };
        Some(Offer { holding, access: transfer.order.access.clone() })
    }

    /// What a peer may be told we hold.
    fn offer_to(&self, node: NodeId, content: ContentId) -> Option<Offer> {
        self.offer(content).filter(|offer| self.records.may_fetch(&self.ctx, node, &offer.access))
    }

    /// A peer looks for a content without naming it: only if it may have it and there is some of it here is it told.
    fn on_find(&mut self, node: NodeId, key: [u8; 32]) {
        let content = self.contents.by_discovery_key(&key).or_else(|| self.transfers.by_discovery_key(&key));
        let Some(content) = content else { return };
        match self.offer_to(node, content) {
            None => {}
            Some(Offer { holding: Holding::None, .. }) => self.transfers.on_sought_in_vain(node, content),
            Some(_) => {
                let found = Found { key, extensions: Extensions::default() };
                self.ctx.send(node, Message::Found(found));
            }
        }
    }

    /// The first of a content is here: those who looked for it before are told now.
    fn answer_seekers(&mut self, content: ContentId) {
        for node in self.transfers.take_seekers(content) {
            self.on_find(node, content.discovery_key());
        }
    }

    fn answer_have(&mut self, node: NodeId, content: ContentId) {
        let offer = self.offer_to(node, content);
        let others: Vec<NodeId> = match (&offer, self.transfers.find(content)) {
            (Some(_), Some(transfer)) => transfer.sources.keys().copied().collect(),
            _ => Vec::new(),
        };
        self.interests.answer(&mut self.ctx, node, content, offer, &others);
    }

    pub(crate) fn tell_interested(&mut self) {
        for News { content, nodes, added } in self.interests.take_due(self.ctx.now) {
            // Who was told that nothing is here does not know for whom it is: with the first of it, that is told too.
            let added = added.filter(|added| !self.is_first(content, added));
            for node in nodes {
                match &added {
                    None => self.answer_have(node, content),
                    Some(added) if self.offer_to(node, content).is_some() => {
                        tell_more(&mut self.ctx, node, content, added.clone(), ChunkSet::new());
                    }
                    Some(_) => {}
                }
            }
            if self.ctx.planted.is(Defect::RearmTimer) {
                self.interests.changed(&self.ctx, content, true);
            }
        }
    }

    /// Whether these chunks are all that is here of a content that is on its way.
    fn is_first(&self, content: ContentId, added: &ChunkSet) -> bool {
        self.transfers.find(content).is_some_and(|transfer| transfer.have == *added)
    }

    fn on_page_request(&mut self, node: NodeId, request: &PageRequest) {
        let PageRequest { content, page, .. } = *request;
        let reading = self.pages_for_peers.len();
        if self.offer_to(node, content).is_none() || reading >= PAGE_READS_MAX {
            self.send_page(node, content, page, None);
            return;
        }
        let command = self.ctx.command_id();
        self.pages_for_peers.insert(command, (node, content, page));
        self.ctx.store(StoreCommand::ReadPage { command, content, page });
    }

    pub(crate) fn on_page_for_peer(&mut self, command: CommandId, bytes: Option<Vec<u8>>) {
        if let Some((node, content, page)) = self.pages_for_peers.remove(&command) {
            self.send_page(node, content, page, bytes);
        }
    }

    fn send_page(&mut self, node: NodeId, content: ContentId, page: mesh_proto::PageId, bytes: Option<Vec<u8>>) {
        let reply = PageReply { content, page, bytes, extensions: Extensions::default() };
        self.ctx.send(node, Message::PageReply(reply));
    }

    fn on_span_requested(&mut self, serve: ServeId, node: NodeId, connection: ConnectionId, request: &SpanRequest) {
        let member = self.records.member_of(node);
        let foreign_account = request.for_member.is_some() && request.for_member != member;
        let refusal = match self.offer(request.content) {
            _ if foreign_account => Some(RefuseReason::NotAllowed),
            None => Some(RefuseReason::NotHeld),
            Some(offer) if !self.records.may_fetch(&self.ctx, node, &offer.access) => Some(RefuseReason::NotAllowed),
            Some(Offer { holding: Holding::Partial(held), .. }) if !held.contains_range(request.chunks) => {
                Some(RefuseReason::NotHeld)
            }
            Some(Offer { holding: Holding::None, .. }) => Some(RefuseReason::NotHeld),
            Some(_) => None,
        };
        match refusal {
            Some(reason) => self.serving.refuse(&mut self.ctx, serve, reason),
            None => {
                self.advise(node, request);
                let rtt_us = self.peers.peer(node).and_then(|peer| peer.dealings().rtt_us);
                self.serving.enqueue(&mut self.ctx, serve, Asker { node, connection, member, rtt_us }, request);
            }
        }
    }

    /// Tells one of a crowd what the others are given here.
    fn advise(&mut self, node: NodeId, request: &SpanRequest) {
        let SpanRequest { content, chunks, .. } = *request;
        if self.interests.count(content) < CROWD_MIN || self.contents.find(content).is_none() {
            return;
        }
        let waiting = self.serving.given_to_others(node, content, chunks);
        if let Some(given) = self.spread.on_asked(self.ctx.now, content, node, chunks, &waiting) {
            tell_more(&mut self.ctx, node, content, ChunkSet::new(), given);
        }
    }

    pub(crate) fn recheck_access(&mut self) {
        let mut rules: std::collections::BTreeMap<ContentId, Option<Access>> = Default::default();
        for content in self.serving.contents() {
            rules.insert(content, self.offer(content).map(|offer| offer.access));
        }
        let (records, ctx) = (&self.records, &self.ctx);
        let denied = self.serving.find(|node, content| match rules.get(&content) {
            Some(Some(access)) => !records.may_fetch(ctx, node, access),
            _ => true,
        });
        for serve in denied {
            self.serving.end(&mut self.ctx, serve, RefuseReason::NotAllowed);
        }
        self.tell_of_restricted();
    }

    /// Who was told that nothing is here may be let in now, and the other way round.
    fn tell_of_restricted(&mut self) {
        let is_restricted =
            |content: &ContentId| self.offer(*content).is_some_and(|offer| offer.access.is_restricted());
        let restricted: Vec<ContentId> = self.interests.contents().filter(is_restricted).collect();
        for content in restricted {
            self.interests.changed(&self.ctx, content, false);
        }
    }

    /// A source's measured rate is the link's goodput, as far as we know it.
    fn note_goodput(&mut self, content: ContentId, node: NodeId) {
        let source = self.transfers.find(content).and_then(|transfer| transfer.sources.get(&node));
        let rate = source.map_or(0, |source| source.rate_bytes_per_s());
        if rate > 0 {
            self.peers.on_goodput(node, rate);
            self.note_rate(node);
        }
    }

    /// Tells the record keeper what the way to a peer bears.
    fn note_rate(&mut self, node: NodeId) {
        if let Some(rate) = self.peers.peer(node).and_then(Peer::rate_bytes_per_s) {
            self.records.set_rate(node, rate);
        }
    }

    pub(crate) fn dial(&mut self, request: mesh_proto::port::UserRequestId, address: String) {
        let command = self.ctx.command_id();
        self.pending.insert(command, Pending::Plain { request });
        let node = mesh_proto::address::node_of(&address);
        self.peers.add_seed(&address);
        self.ctx.net(NetCommand::Dial { command, node, addresses: vec![address] });
    }
}
