//! What this node says of itself: where it is reachable, whose it is, which communities were joined on it.
//!
//! Invariant: what was accepted and joined stands in the node's own record, and is said again in each later one.

use std::collections::BTreeSet;
use std::time::Duration;

use mesh_proto::port::user::{ErrorKind, UserError, UserReply};
use mesh_proto::port::{KeyRole, UserRequestId};
use mesh_proto::record::{NodeRecord, Record, Signed, Subject};
use mesh_proto::{CommunityId, MemberId, SharedRecord};

use super::identity::{Made, Step, failed};
use super::revoke::BEGIN_ANEW;
use super::{Asked, Records};
use crate::Context;

/// Changes of our own record wait so long for more.
const DEBOUNCE: Duration = Duration::from_millis(300);
/// A record of ours that came from elsewhere is outdone so late: if another node uses a copy of our key, the two must not
/// fill the network with records that outdo each other.
const RECLAIM: Duration = Duration::from_secs(30);

impl Records {
    /// We listen elsewhere: the record that says so is signed and spread soon.
    pub fn set_addresses(&mut self, ctx: &mut Context, addresses: Vec<String>) {
        if self.addresses != addresses {
            self.addresses = addresses;
            self.own_due = Some(ctx.now.after(DEBOUNCE));
        }
    }

    /// There is another to say of ourselves: the record that says so is signed and spread soon.
    pub(super) fn change_own_record(&mut self, ctx: &Context) {
        let soon = ctx.now.after(DEBOUNCE);
        self.own_due = Some(self.own_due.map_or(soon, |due| due.min(soon)));
    }

    /// A record of our own was signed and is kept, if it is: what else there is to say since it was begun is said soon.
    pub(super) fn say_what_is_left(&mut self, ctx: &Context, signed: &Signed) {
        let is_kept = self.book.node(ctx.node).is_some_and(|known| Record::Node(known).encode_body() == signed.body);
        if is_kept && self.own_record(ctx).1 {
            self.change_own_record(ctx);
        }
    }

    /// What is to be said of ourselves, and whether that is news.
    fn own_record(&self, ctx: &Context) -> (Record, bool) {
        let known = self.book.node(ctx.node);
        let version = known.as_ref().map_or(1, |known| known.version.saturating_add(1));
        let before = known.as_ref().and_then(NodeRecord::member);
        let member = self.own_member.map(MemberId).or(self.accepted).or(before);
        let before = known.iter().flat_map(NodeRecord::communities);
        let founded = self.own_communities.iter().copied().map(CommunityId);
        let communities: BTreeSet<CommunityId> =
            before.chain(founded).chain(self.just_joined.iter().copied()).collect();
        let record = NodeRecord {
            node: ctx.node,
            version,
            addresses: self.addresses.clone(),
            name: self.config.node_name.clone(),
            agent: self.config.agent.clone(),
            written: ctx.unix(),
            extensions: NodeRecord::belonging(member, communities),
        };
        let is_news = known.is_none_or(|known| {
            let again = NodeRecord { version, agent: record.agent.clone(), written: record.written, ..known };
            again != record
        });
        (Record::Node(record), is_news)
    }

    pub(super) fn sign_own_record(&mut self, ctx: &mut Context) {
        if let (record, true) = self.own_record(ctx) {
            self.sign(ctx, KeyRole::Node, &record, Asked::SignOwn);
        }
    }

    /// The node says that it is a member's. The member's certificate may come before or after.
    pub(super) fn accept(
        &mut self,
        ctx: &mut Context,
        request: UserRequestId,
        member: MemberId,
    ) -> Result<(), UserError> {
        match self.own_member {
            Some(own) if own == member.0 => {
                ctx.reply(request, UserReply::Done);
                return Ok(());
            }
            Some(_) => {
                let cure = "begin a node without one in another data folder (--data DIR)";
                return Err(failed(ErrorKind::Exists, "this node has its own member's key, and is that one's", cure));
            }
            None => {}
        }
        if self.is_revoked(member.0, ctx.node.0) {
            let why = "that member took back that the node is its own, and that is for ever";
            return Err(failed(ErrorKind::Denied, why, BEGIN_ANEW));
        }
        self.accepted = Some(member);
        self.say_own(ctx, request);
        Ok(())
    }

    /// Answers when what this node says of itself now is signed and kept.
    pub(super) fn say_own(&mut self, ctx: &mut Context, request: UserRequestId) {
        match self.own_record(ctx) {
            (record, true) => {
                let last = Step::Last { request, made: Made::Nothing };
                self.sign(ctx, KeyRole::Node, &record, Asked::Person(last));
            }
            (_, false) => self.keeping.answer(ctx, request, UserReply::Done),
        }
    }

    /// A record of our own that a peer had and we had not: from a life before the disk was lost, or before the identity
    /// moved. It says where we were and what we listed then, and beats what we say now until we outdo it.
    pub(super) fn on_own_from_elsewhere(&mut self, ctx: &mut Context, signed: &SharedRecord) {
        if signed.signer != ctx.node.0 {
            return;
        }
        match signed.record() {
            Ok(Record::Node(_)) => {
                self.own_due.get_or_insert(ctx.now.after(RECLAIM));
            }
            Ok(Record::Catalogue(entry)) => {
                if let Subject::Content(content) = entry.subject
                    && !self.held.contains(&content)
                {
                    self.withdraw(ctx, content);
                }
            }
            _ => {}
        }
    }
}
