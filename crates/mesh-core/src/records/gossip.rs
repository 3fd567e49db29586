//! What is said to peers of records, and heard from them.
//!
//! News is passed on as `rumours` has it; now and then, and when they connect, two nodes compare what they know (see
//! `evening`). All of it keeps to a twentieth of a link's rate: after each message the peer is told nothing more by itself
//! for twenty times as long as the message took; what it missed is found by comparing. Only answers are not held back.

use std::time::Duration;

use mesh_analytics::EventKind;
use mesh_proto::extensions::Extensions;
use mesh_proto::limits::RECORDS_PER_MESSAGE_MAX;
use mesh_proto::message::{Hello, Message, RecordList, Records as RecordsMessage};
use mesh_proto::planted::Defect;
use mesh_proto::port::KeysCommand;
use mesh_proto::record::{RecordKind, RecordName};
use mesh_proto::record_list::Listed;
use mesh_proto::shared_record::Outline;
use mesh_proto::{NodeId, SharedRecord, Timestamp};

use super::rumours::Naming;
use super::{Asked, Connected, Kept, PeerHello, Records};
use crate::Context;

/// Records of one peer that may wait for verification; what is more is asked for again later.
pub(super) const UNVERIFIED_MAX: usize = 1024;

/// So many times what a message takes of its link's time, nothing more is said there unasked.
const LINK_SHARE: u64 = 20;
/// What is owed beyond this is forgiven: on the slowest links what must be said would silence us for hours.
const OWED_MAX: Duration = Duration::from_secs(60);
/// A record on the wire, beside its body.
const RECORD_HEAD_BYTES: usize = 100;
/// A name in a list or a request.
const NAME_BYTES: usize = 72;
/// A frame and its envelope.
const FRAME_BYTES: usize = 40;

impl Records {
    /// A peer's first connection: we say who we are, and begin to compare.
    pub fn on_connected(&mut self, ctx: &mut Context, node: NodeId) {
        self.connected.insert(node, Connected::default());
        let hello = Hello {
            agent: self.config.agent.clone(),
            name: self.config.node_name.clone(),
            credentials: self.own_credentials(ctx),
            clock: ctx.unix(),
            extensions: Extensions::default(),
        };
        ctx.send(node, Message::Hello(hello));
        self.send_all_holdings(ctx, node);
        // One of the two begins to compare.
        if ctx.node < node {
            self.to_compare.insert(node);
        }
        self.plan_gossip(ctx);
    }

    /// A peer's last connection ended.
    pub fn on_disconnected(&mut self, ctx: &Context, node: NodeId) {
        self.connected.remove(&node);
        self.to_compare.remove(&node);
        self.under_way.retain(|_, (asked, _)| *asked != node);
        // What it was asked for is asked of others now.
        self.ask_others_at = self.connected.values().any(|peer| !peer.lacking.is_empty()).then_some(ctx.now);
        if self.connected.is_empty() {
            self.next_gossip = None;
        }
    }

    /// What the way to a peer bears is known.
    pub fn set_rate(&mut self, node: NodeId, bytes_per_s: u64) {
        if let Some(peer) = self.connected.get_mut(&node) {
            peer.rate_bytes_per_s = bytes_per_s;
        }
    }

    /// Says something of records to a peer, and notes what its link pays for it.
    pub(super) fn say(&mut self, ctx: &mut Context, node: NodeId, message: Message) {
        if let Some(peer) = self.connected.get_mut(&node) {
            peer.owe(ctx.now, bytes_of(&message));
        }
        ctx.send(node, message);
    }

    fn plan_gossip(&mut self, ctx: &mut Context) {
        let interval = self.config.gossip_interval_ms;
        if interval > 0 && self.next_gossip.is_none_or(|at| at <= ctx.now) {
            let wait_ms = interval / 2 + ctx.random_below(interval);
            self.next_gossip = Some(ctx.now.after(Duration::from_millis(wait_ms)));
        }
    }

    pub(super) fn gossip(&mut self, ctx: &mut Context) {
        self.next_gossip = None;
        self.want_from_all(ctx);
        let peers = self.may_be_told(ctx.now);
        let pick = usize::try_from(ctx.random_below(peers.len() as u64)).unwrap_or(0);
        if let Some(node) = peers.get(pick) {
            self.send_summary(ctx, *node);
        }
        if !self.connected.is_empty() {
            self.plan_gossip(ctx);
        }
    }

    /// Peers whose links bear something more now.
    fn may_be_told(&self, now: Timestamp) -> Vec<NodeId> {
        self.connected.iter().filter(|(_, peer)| peer.not_before <= now).map(|(node, _)| *node).collect()
    }

    /// A record is news: others hear of it.
    pub(super) fn pass_on(&mut self, ctx: &mut Context, name: RecordName, from: Option<NodeId>, asked_for: bool) {
        // Who connects later compares.
        if !self.connected.is_empty() {
            let nodes = self.book.node_count();
            self.rumours.add(ctx, name, from, asked_for, nodes);
        }
    }

    /// Tells peers what news is due.
    pub(super) fn spread(&mut self, ctx: &mut Context) {
        let mut peers = self.may_be_told(ctx.now);
        for end in (1..peers.len()).rev() {
            let pick = ctx.random_below(end as u64 + 1);
            peers.swap(end, usize::try_from(pick).unwrap_or(end));
        }
        for (node, names) in self.rumours.take_telling(ctx, &peers) {
            self.send_records(ctx, node, &names);
        }
        let peers: Vec<NodeId> = self.connected.keys().copied().collect();
        for (node, naming) in self.rumours.take_naming(ctx.now, &peers) {
            let bears = self.connected.get(&node).is_some_and(|peer| peer.not_before <= ctx.now);
            match naming {
                Naming::Names(names) if bears => {
                    let known = names.iter().filter_map(|name| self.book.find(name));
                    let listed: Vec<Listed> = known.filter_map(SharedRecord::outline).map(Outline::listed).collect();
                    self.say(ctx, node, Message::RecordList(RecordList::new(&[], Vec::new(), &listed, false)));
                }
                Naming::Names(_) | Naming::Compare => _ = self.to_compare.insert(node),
            }
        }
    }

    /// Sends what is here of these names, in as few messages as it takes.
    fn send_records(&mut self, ctx: &mut Context, node: NodeId, names: &[RecordName]) {
        let found: Vec<SharedRecord> = names.iter().filter_map(|name| self.book.find(name)).cloned().collect();
        for records in found.chunks(RECORDS_PER_MESSAGE_MAX) {
            let records = records.to_vec();
            self.say(ctx, node, Message::Records(RecordsMessage { records, extensions: Extensions::default() }));
        }
    }

    /// Returns whether the message was one of ours.
    pub fn on_message(&mut self, ctx: &mut Context, node: NodeId, message: &Message) -> bool {
        if self.is_liar(node) {
            return matches!(message, Message::Records(_) | Message::Hello(_));
        }
        match message {
            Message::Hello(hello) => self.on_hello(ctx, node, hello),
            Message::Summary(summary) => self.on_summary(ctx, node, summary),
            Message::Split(split) => self.on_split(ctx, node, split),
            Message::RecordList(list) => self.on_list(ctx, node, list),
            Message::RecordsWanted(wanted) => self.on_wanted(ctx, node, &wanted.names),
            Message::Records(records) => self.on_records(ctx, node, records.records.clone()),
            Message::Holdings(holdings) => self.on_holdings(node, holdings),
            _ => return false,
        }
        true
    }

    fn on_hello(&mut self, ctx: &mut Context, node: NodeId, hello: &Hello) {
        let skew = i128::from(hello.clock.0) - i128::from(ctx.unix().0);
        let clock_skew_ms = i64::try_from(skew).unwrap_or(i64::MAX);
        if let Some(peer) = self.connected.get_mut(&node) {
            let (agent, name) = (hello.agent.clone(), hello.name.clone());
            peer.hello = Some(PeerHello { agent, name, clock_skew_ms });
            peer.greeted_at = ctx.now;
        }
        self.on_records(ctx, node, hello.credentials.clone());
    }

    fn on_wanted(&mut self, ctx: &mut Context, node: NodeId, names: &[RecordName]) {
        names.iter().for_each(|name| self.rumours.is_known_by(name, node));
        self.send_records(ctx, node, names);
    }

    fn on_records(&mut self, ctx: &mut Context, node: NodeId, records: Vec<SharedRecord>) {
        let Some(peer) = self.connected.get_mut(&node) else { return };
        let mut fresh = Vec::new();
        for record in records {
            let Some(outline) = record.outline() else { continue };
            let name = outline.name();
            if peer.wanted.remove(name) {
                peer.keep_evening(ctx.now);
            }
            match self.book.find(name) {
                Some(known) if *known == record => self.rumours.is_known_by(name, node),
                Some(_) if ctx.planted.is(Defect::AcceptOldVersion) => fresh.push(record),
                Some(_) if self.book.version(name).is_some_and(|version| outline.version < version) => {}
                _ => fresh.push(record),
            }
        }
        let too_many = peer.unverified + fresh.len() > UNVERIFIED_MAX;
        if too_many {
            ctx.count_many(EventKind::LimitQueue, fresh.len() as u64);
        }
        if fresh.is_empty() || too_many {
            return self.want_more(ctx, node);
        }
        peer.unverified += fresh.len();
        let command = ctx.command_id();
        ctx.keys(KeysCommand::Verify { command, records: fresh.clone() });
        self.asked.insert(command, Asked::Verify { from: node, records: fresh });
    }

    pub(super) fn on_verified(&mut self, ctx: &mut Context, from: NodeId, records: Vec<SharedRecord>, valid: &[bool]) {
        let bad = valid.iter().filter(|valid| !**valid).count();
        ctx.count_many(EventKind::SignatureRefused, bad as u64);
        if let Some(peer) = self.connected.get_mut(&from) {
            peer.unverified = peer.unverified.saturating_sub(records.len());
            peer.bad_signatures = peer.bad_signatures.saturating_add(u32::try_from(bad).unwrap_or(u32::MAX));
        }
        let mut had_news = false;
        // What vouches first: in a full book the rest is a stranger's without it.
        let mut judged: Vec<(&SharedRecord, &bool)> = records.iter().zip(valid).collect();
        judged.sort_by_key(|(record, _)| match record.kind {
            RecordKind::Membership => 0,
            RecordKind::NodeCertificate => 1,
            _ => 2,
        });
        for (record, valid) in judged {
            let Some(name) = record.outline().map(Outline::name) else { continue };
            let asked_for = self.under_way.remove(name).is_some();
            if !valid {
                continue;
            }
            match self.keep(ctx, record, false) {
                Kept::News => {
                    had_news = true;
                    self.pass_on(ctx, *name, Some(from), asked_for);
                    self.on_own_from_elsewhere(ctx, record);
                }
                // It came from another peer meanwhile.
                Kept::Before if self.book.find(name) == Some(record) => {
                    self.rumours.is_known_by(name, from);
                }
                Kept::Before | Kept::No => {}
            }
        }
        if let Some(peer) = self.connected.get_mut(&from) {
            peer.had_news |= had_news && peer.evening;
        }
        self.want_more(ctx, from);
    }
}

impl Connected {
    /// A message takes the link's time.
    fn owe(&mut self, now: Timestamp, bytes: usize) {
        let us = (bytes as u64).saturating_mul(LINK_SHARE * 1_000_000).checked_div(self.rate_bytes_per_s);
        let until = self.not_before.max(now).after(Duration::from_micros(us.unwrap_or(0)));
        self.not_before = until.min(now.after(OWED_MAX));
    }
}

/// About how many bytes a message takes: what records and names make of it.
fn bytes_of(message: &Message) -> usize {
    FRAME_BYTES
        + match message {
            Message::Records(message) => {
                message.records.iter().map(|signed| RECORD_HEAD_BYTES + signed.body.len()).sum()
            }
            Message::RecordList(list) => list.buckets.len() + list.known.len() * NAME_BYTES,
            Message::RecordsWanted(wanted) => wanted.names.len() * NAME_BYTES,
            Message::Summary(summary) => summary.buckets.len() * 9,
            Message::Split(split) => split.sums.len() * 9,
            _ => 0,
        }
}

#[cfg(test)]
mod tests {
    use mesh_proto::UnixMs;
    use mesh_proto::port::{NetCommand, Output};
    use mesh_proto::record::{Record, RecordKind, Revocation, Signed};

    use super::super::RecordsConfig;
    use super::*;

    const SLOW: NodeId = NodeId([2; 32]);
    const FAST: NodeId = NodeId([3; 32]);

    /// A revocation that came as news: any record will do.
    fn bring_news(records: &mut Records, ctx: &mut Context, number: u64) {
        let (mut subject, extensions) = ([0; 32], Extensions::default());
        subject[..8].copy_from_slice(&number.to_be_bytes());
        let body = Record::Revocation(Revocation { subject, issued: UnixMs(0), reason: String::new(), extensions });
        let signed =
            Signed { kind: RecordKind::Revocation, signer: [9; 32], body: body.encode_body(), signature: [[0; 32]; 2] };
        records.adopt(ctx, &signed.into());
    }

    /// The messages sent and to whom.
    fn sent(ctx: &mut Context) -> Vec<(NodeId, Message)> {
        let outputs = std::iter::from_fn(|| ctx.pop());
        let sent = outputs.filter_map(|output| match output {
            Output::Net(NetCommand::Send { node, message }) => Some((node, message)),
            _ => None,
        });
        sent.collect()
    }

    #[test]
    fn a_slow_link_is_told_no_more_than_its_budget() {
        let mut ctx = Context::new([1; 32]);
        ctx.node = NodeId([1; 32]);
        let config = RecordsConfig { node_name: String::new(), agent: String::new(), gossip_interval_ms: 20_000 };
        let mut records = Records::new(config);
        for (node, rate) in [(SLOW, 1_000), (FAST, 10_000_000)] {
            records.on_connected(&mut ctx, node);
            records.set_rate(node, rate);
        }
        let (mut slow_bytes, mut fast_bytes, mut number) = (0, 0, 0);
        while ctx.now < Timestamp(600_000_000_000) {
            // News every second.
            if ctx.now.0 / 1_000_000_000 > number {
                number += 1;
                bring_news(&mut records, &mut ctx, number);
            }
            records.on_tick(&mut ctx);
            for (node, message) in sent(&mut ctx) {
                let bytes = message.encode_frame().len();
                *if node == SLOW { &mut slow_bytes } else { &mut fast_bytes } += bytes;
            }
            let next = records.deadline().map_or(Timestamp(u64::MAX), |(at, _)| at);
            ctx.now = next.max(ctx.now.after(Duration::from_millis(1))).min(ctx.now.after(Duration::from_secs(1)));
        }
        let budget = 600 * 1_000 / 20;
        assert!(slow_bytes <= budget * 11 / 10, "{slow_bytes} bytes for {budget}");
        assert!(slow_bytes >= budget / 4, "{slow_bytes} bytes of {budget} used");
        assert!(fast_bytes >= 590 * 150, "the other misses nothing: {fast_bytes}");
    }
}
