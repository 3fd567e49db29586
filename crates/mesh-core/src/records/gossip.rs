//! Spreading records: news is passed on once, at once; now and then two nodes compare what they know (see `evening`).

use std::time::Duration;

use mesh_analytics::EventKind;
use mesh_proto::NodeId;
use mesh_proto::extensions::Extensions;
use mesh_proto::limits::RECORDS_PER_MESSAGE_MAX;
use mesh_proto::message::{Hello, Message, Records as RecordsMessage};
use mesh_proto::port::KeysCommand;
use mesh_proto::record::{RecordName, Signed};

use super::{Asked, Connected, Kept, PeerHello, Records};
use crate::Context;

/// Records of one peer that may wait for verification; what is more is asked for again later.
pub(super) const UNVERIFIED_MAX: usize = 1024;

impl Records {
    /// A peer's first connection: we say who we are, and begin to compare.
    pub fn on_connected(&mut self, ctx: &mut Context, node: NodeId) {
        self.connected.insert(node, Connected::default());
        let hello = Hello {
            agent: self.config.agent.clone(),
            name: self.config.node_name.clone(),
            credentials: self.own_credentials(ctx.node),
            clock: ctx.unix(),
            extensions: Extensions::default(),
        };
        ctx.send(node, Message::Hello(hello));
        self.send_summary(ctx, node);
        self.send_all_holdings(ctx, node);
        self.plan_gossip(ctx);
    }

    /// A peer's last connection ended.
    pub fn on_disconnected(&mut self, node: NodeId) {
        self.connected.remove(&node);
        if self.connected.is_empty() {
            self.next_gossip = None;
        }
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
        let peers: Vec<NodeId> = self.connected.keys().copied().collect();
        let pick = usize::try_from(ctx.random_below(peers.len() as u64)).unwrap_or(0);
        if let Some(node) = peers.get(pick) {
            self.send_summary(ctx, *node);
            self.plan_gossip(ctx);
        }
    }

    /// Tells everyone but `from` of news, as few messages as it takes.
    pub(super) fn pass_on(&mut self, ctx: &mut Context, news: &[Signed], from: Option<NodeId>) {
        for node in self.connected.keys().filter(|node| Some(**node) != from) {
            for records in news.chunks(RECORDS_PER_MESSAGE_MAX) {
                let records = records.to_vec();
                ctx.send(*node, Message::Records(RecordsMessage { records, extensions: Extensions::default() }));
            }
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
        }
        self.on_records(ctx, node, hello.credentials.clone());
    }

    fn on_wanted(&mut self, ctx: &mut Context, node: NodeId, names: &[RecordName]) {
        let found: Vec<Signed> =
            names.iter().filter_map(|name| self.book.find(name)).map(|known| known.signed.clone()).collect();
        for records in found.chunks(RECORDS_PER_MESSAGE_MAX) {
            let records = records.to_vec();
            ctx.send(node, Message::Records(RecordsMessage { records, extensions: Extensions::default() }));
        }
    }

    fn on_records(&mut self, ctx: &mut Context, node: NodeId, records: Vec<Signed>) {
        let Some(peer) = self.connected.get_mut(&node) else { return };
        peer.wanted = peer.wanted.saturating_sub(records.len());
        let fresh: Vec<Signed> = records
            .into_iter()
            .filter(|signed| match signed.record() {
                Ok(record) => {
                    let known = self.book.find(&record.name(signed.signer));
                    known.is_none_or(|known| record.version() >= known.record.version() && *signed != known.signed)
                }
                Err(_) => false,
            })
            .collect();
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
        self.asked.insert(command, Asked::Verify { from: Some(node), records: fresh });
    }

    pub(super) fn on_verified(
        &mut self,
        ctx: &mut Context,
        from: Option<NodeId>,
        records: Vec<Signed>,
        valid: &[bool],
    ) {
        let bad = valid.iter().filter(|valid| !**valid).count();
        ctx.count_many(EventKind::SignatureRefused, bad as u64);
        if let Some(peer) = from.and_then(|node| self.connected.get_mut(&node)) {
            peer.unverified = peer.unverified.saturating_sub(records.len());
            peer.bad_signatures = peer.bad_signatures.saturating_add(u32::try_from(bad).unwrap_or(u32::MAX));
        }
        let good = records.into_iter().zip(valid).filter(|(_, valid)| **valid).map(|(signed, _)| signed);
        let news: Vec<Signed> = good.filter(|signed| self.keep(ctx, signed) == Kept::News).collect();
        self.pass_on(ctx, &news, from);
        news.iter().for_each(|signed| self.on_own_from_elsewhere(ctx, signed));
        let Some(node) = from else { return };
        if let Some(peer) = self.connected.get_mut(&node) {
            peer.had_news |= !news.is_empty() && peer.evening;
        }
        self.want_more(ctx, node);
    }
}
