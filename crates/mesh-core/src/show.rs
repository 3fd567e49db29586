//! What the node shows of itself: lists, status, topology, and the doctor's findings.

use mesh_proto::address::with_node;
use mesh_proto::port::UserRequestId;
use mesh_proto::port::user::{ErrorKind, UserCommand, UserError, UserReply};
use mesh_proto::port::view::{
    CatalogueView, ContentView, DoctorView, Finding, LinkView, PeerView, StatusView, TopologyView,
};
use mesh_proto::record::{CatalogueEntry, Subject};
use mesh_proto::{MemberId, NodeId};

use crate::node::Node;
use crate::peers::Peer;
use crate::transfer::state::Transfer;

/// Clocks further apart than this make expiries and versions hard to judge.
const CLOCK_SKEW_MS_MAX: u64 = 10 * 60 * 1000;
/// Less free space than this is worth a word.
const FREE_BYTES_MIN: u64 = 1 << 30;
/// Multicast should have found somebody by then, if there is anybody.
const MDNS_PATIENCE_MS: u64 = 10_000;

impl Node {
    /// Answers what needs no work.
    pub(crate) fn show(&self, command: &UserCommand) -> Result<UserReply, UserError> {
        Ok(match command {
            UserCommand::List => UserReply::Contents(self.list()),
            UserCommand::Browse => UserReply::Catalogue(self.catalogue("")),
            UserCommand::Search { text } => UserReply::Catalogue(self.catalogue(text)),
            UserCommand::Status => UserReply::Status(Box::new(self.status())),
            UserCommand::Peers => UserReply::Peers(self.peer_views()),
            UserCommand::Topology => UserReply::Topology(self.topology()),
            _ => return Err(UserError::new(ErrorKind::Internal, "this command is not handled", "please report it")),
        })
    }

    fn list(&self) -> Vec<ContentView> {
        let complete = self.contents.all().map(|content| {
            let ticket = self.ticket(content.stored.content, &content.treatment.name, content.stored.total_bytes);
            content.view(ticket)
        });
        let fetching = self.transfers.all().map(|transfer| self.content_view(transfer));
        complete.chain(fetching).collect()
    }

    fn content_view(&self, transfer: &Transfer) -> ContentView {
        let stored = transfer.stored.as_ref();
        let size_bytes = stored.map_or(0, |stored| stored.total_bytes);
        ContentView {
            content_id: transfer.content,
            name: transfer.order.name.clone(),
            kind: stored.map_or(mesh_proto::record::ContentKind::File, |stored| stored.kind),
            size_bytes,
            path: transfer.order.target.clone(),
            state: transfer.state_in_list().to_owned(),
            have_bytes: transfer.have_bytes,
            listed: false,
            pinned: self.contents.repairing(transfer.content).is_some_and(|treatment| treatment.pinned),
            access: transfer.order.access.clone(),
            ticket: transfer.order.ticket.clone(),
        }
    }

    fn catalogue(&self, words: &str) -> Vec<CatalogueView> {
        let found = self.records.search(words);
        found.into_iter().filter_map(|(entry, publisher)| self.catalogue_view(&entry, publisher)).collect()
    }

    fn catalogue_view(&self, entry: &CatalogueEntry, publisher: NodeId) -> Option<CatalogueView> {
        let Subject::Content(content) = entry.subject else { return None };
        let addresses = match publisher == self.ctx.node {
            true => self.own_addresses(),
            false => self.records.addresses_of(publisher),
        };
        Some(CatalogueView {
            content_id: content,
            name: entry.name.clone(),
            kind: entry.kind,
            size_bytes: entry.size_bytes,
            tags: entry.tags.clone(),
            publisher,
            holders: u32::try_from(self.records.holders(content).len()).unwrap_or(u32::MAX),
            here: self.contents.find(content).is_some(),
            ticket: crate::contents::ticket(content, &entry.name, entry.size_bytes, publisher, &addresses),
        })
    }

    fn status(&self) -> StatusView {
        let hello_name = self.config.node_name.clone();
        StatusView {
            node: self.ctx.node,
            name: hello_name,
            agent: self.config.agent.clone(),
            member: self.records.member_of(self.ctx.node).or(self.own_keys.member.map(MemberId)),
            uptime_ms: self.ctx.now.0 / 1_000_000,
            listening: self.listening.iter().map(|address| with_node(address, self.ctx.node)).collect(),
            peers_connected: count(self.peers.connected().len()),
            nodes_known: count(self.peers.all().count()),
            contents: count(self.contents.len()),
            transfers: self.transfers.all().map(|transfer| transfer.view(self.ctx.now)).collect(),
            requests_waiting: count(self.serving.waiting()),
            unreceipted_bytes: self.serving.unreceipted_bytes(),
            limit_up_bytes_per_s: self.settings.up_bytes_per_s,
            limit_down_bytes_per_s: self.settings.down_bytes_per_s,
            quota_bytes: self.settings.quota_bytes,
            counters: mesh_analytics::openmetrics::views(&self.counters),
        }
    }

    fn peer_views(&self) -> Vec<PeerView> {
        let others = self.peers.all().filter(|(node, _)| *node != self.ctx.node);
        others.map(|(node, peer)| self.peer_view(node, peer)).collect()
    }

    fn peer_view(&self, node: NodeId, peer: &Peer) -> PeerView {
        let hello = self.records.hello_of(node);
        let dealings = peer.dealings();
        let mut addresses: Vec<String> = dealings.connections.iter().map(|at| at.address.clone()).collect();
        let others = peer.addresses.to_vec();
        addresses
            .extend(others.into_iter().filter(|known| !dealings.connections.iter().any(|at| at.address == *known)));
        PeerView {
            node,
            name: hello.map(|hello| hello.name.clone()).unwrap_or_default(),
            agent: hello.map(|hello| hello.agent.clone()).unwrap_or_default(),
            member: self.records.member_of(node),
            connected: peer.is_connected(),
            addresses,
            class: peer.class(),
            rtt_us: peer.dealings().rtt_us,
            goodput_bytes_per_s: peer.dealings().goodput_bytes_per_s,
            cost_ms_per_mib: peer.cost_ms_per_mib(),
            sent_bytes: dealings.sent_bytes,
            received_bytes: dealings.received_bytes,
            found_by: peer.found_by.as_str().to_owned(),
        }
    }

    fn topology(&self) -> TopologyView {
        let links = self.peers.all().filter_map(|(node, peer)| {
            Some(LinkView {
                source: self.ctx.node,
                target: node,
                class: peer.class()?,
                rtt_us: peer.dealings().rtt_us,
                goodput_bytes_per_s: peer.dealings().goodput_bytes_per_s,
                cost_ms_per_mib: peer.cost_ms_per_mib()?,
            })
        });
        let mut nodes: Vec<NodeId> = self.peers.all().map(|(node, _)| node).collect();
        nodes.push(self.ctx.node);
        nodes.sort_unstable();
        nodes.dedup();
        TopologyView { node: self.ctx.node, nodes, links: links.collect() }
    }

    pub(crate) fn reply_doctor(&mut self, request: UserRequestId) {
        let mut findings =
            vec![self.look_at_peers(), self.look_at_multicast(), self.look_at_clock(), self.look_at_disk()];
        findings.extend(self.listen_failures.iter().map(|(address, why)| {
            let cure = "stop the program that uses the port, or choose another with `listen` in mesh.toml";
            let severity = if self.listening.is_empty() { "problem" } else { "warning" };
            finding(severity, "listening", format!("can't listen on {address}: {why}"), cure)
        }));
        findings.extend(
            self.repairs
                .iter()
                .map(|repair| finding("note", "store", format!("at start the store was repaired: {repair}"), "")),
        );
        findings.extend(self.contents.all().filter_map(|content| {
            let why = content.changed.as_ref()?;
            let cure = "restore the file, or share it again as it is now";
            Some(finding("warning", "contents", format!("{}: {why}", content.stored.path), cure))
        }));
        findings.extend(self.peers.silent_seeds().map(|address| {
            let cure = "check the address, that the other node runs, and that nothing blocks its port";
            finding("warning", "static peers", format!("nobody answers at {address}"), cure)
        }));
        let rank = |severity: &str| ["problem", "warning", "note", "ok"].iter().position(|known| *known == severity);
        findings.sort_by_key(|finding| rank(&finding.severity));
        self.ctx.reply(request, UserReply::Doctor(DoctorView { findings }));
    }

    fn look_at_peers(&self) -> Finding {
        match (self.listening.is_empty(), self.peers.connected().len()) {
            (true, _) => finding(
                "problem",
                "listening",
                "the node listens nowhere, so no peer can reach it".to_owned(),
                "check `listen` in mesh.toml and that a network is up",
            ),
            (_, 0) => finding(
                "warning",
                "peers",
                "no peer is connected".to_owned(),
                "start a node on another machine of this network, or name one with --peer ADDRESS",
            ),
            (_, peers) => finding("ok", "peers", format!("{peers} connected"), ""),
        }
    }

    fn look_at_multicast(&self) -> Finding {
        let waited = self.ctx.now.0 / 1_000_000 > MDNS_PATIENCE_MS;
        match self.found_by_mdns {
            _ if !self.config.mdns => finding(
                "note",
                "multicast",
                "looking for nodes by multicast DNS is switched off".to_owned(),
                "leave out --no-mdns and set `mdns = true` in mesh.toml, or name a peer with --peer ADDRESS",
            ),
            0 if waited => finding(
                "note",
                "multicast",
                "no node was found by multicast DNS".to_owned(),
                "on networks that filter multicast name a peer with --peer ADDRESS; the others are found through it",
            ),
            0 => finding("ok", "multicast", "too early to tell".to_owned(), ""),
            times => finding("ok", "multicast", format!("found nodes {times} times"), ""),
        }
    }

    fn look_at_clock(&self) -> Finding {
        let mut skews: Vec<u64> = self
            .peers
            .connected()
            .filter_map(|node| self.records.hello_of(node))
            .map(|hello| hello.clock_skew_ms.unsigned_abs())
            .collect();
        skews.sort_unstable();
        match skews.get(skews.len() / 2) {
            Some(skew) if *skew > CLOCK_SKEW_MS_MAX => finding(
                "warning",
                "clock",
                format!("most peers' clocks are {} minutes from this one", skew / 60_000),
                "set the date; until then expiries may be judged wrongly",
            ),
            _ => finding("ok", "clock", "agrees with the peers, as far as there are any".to_owned(), ""),
        }
    }

    fn look_at_disk(&self) -> Finding {
        let usage = self.usage;
        match usage.free_bytes < FREE_BYTES_MIN {
            true => finding(
                "warning",
                "disk",
                format!("only {} free", mesh_proto::ByteCount(usage.free_bytes)),
                "free some space, or set a quota with `mesh-node quota`",
            ),
            false => finding("ok", "disk", format!("{} free", mesh_proto::ByteCount(usage.free_bytes)), ""),
        }
    }
}

fn finding(severity: &str, subject: &str, message: String, cure: &str) -> Finding {
    Finding { severity: severity.to_owned(), subject: subject.to_owned(), message, cure: cure.to_owned() }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
