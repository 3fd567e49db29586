//! Whose record goes from a full book. Keys cost nothing: strangers who fill it could else keep a founder from noting whom she
//! threw out, and all who joined from noting their own.

use std::collections::BTreeSet;

use mesh_analytics::EventKind;
use mesh_proto::record::{Record, RecordKind, RecordName};
use mesh_proto::{CommunityId, MemberId, NodeId, SharedRecord};

use super::Records;
use crate::Context;

/// So many records are looked at for one that may go.
const LOOKED_AT_MAX: usize = 1024;

/// How near the signer of a record is to this node. In a full book who is nearer takes the place of who is less so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Nearness {
    /// Nobody here knows it.
    Stranger,
    /// A member of a community that was joined: less than the community, which may have to throw it out.
    MemberOfJoined,
    /// A community that was joined.
    Joined,
    /// A member of a community founded here, or this node's member, whose key is elsewhere.
    Close,
    /// A key that is here: this node's, its member's, that of a community founded here.
    Here,
}

impl Records {
    /// Lets a record go whose signer is less near than that of `record`; `ours` is as near as can be. A revocation goes
    /// with what it takes back, and last.
    pub(super) fn make_room(&mut self, ctx: &mut Context, record: &SharedRecord, ours: bool) {
        let Some(name) = record.outline().map(|outline| *outline.name()) else { return };
        let joined = self.joined();
        let near = if ours { Nearness::Here } else { self.nearness_of(ctx, record, &name, &joined) };
        if near == Nearness::Stranger {
            return;
        }
        // From anywhere: beside a name's own place may stand what can't go.
        let mut from = RecordName { signer: [0; 32], ..name };
        from.signer[..8].copy_from_slice(&ctx.random_below(u64::MAX).to_be_bytes());
        let is_idle = |other: &RecordName| other.kind != RecordKind::Revocation || self.taken_back(other).is_empty();
        let others = || {
            self.book.all_from(&from).take(LOOKED_AT_MAX).map(|other| {
                let rank = (self.nearness(ctx, other, &joined), !is_idle(other));
                (rank, *other)
            })
        };
        let first = others().find(|(rank, _)| *rank == (Nearness::Stranger, false));
        let least = first.or_else(|| others().min_by_key(|(rank, _)| *rank));
        let Some((_, gone)) = least.filter(|((other, _), _)| *other < near) else { return };
        let mut all = if gone.kind == RecordKind::Revocation { self.taken_back(&gone) } else { Vec::new() };
        all.push(gone);
        for gone in all {
            self.book.remove(&gone);
            self.keeping.note(ctx, gone);
            self.changed |=
                matches!(gone.kind, RecordKind::Node | RecordKind::NodeCertificate | RecordKind::Membership);
        }
        ctx.count(EventKind::LimitRecords);
    }

    /// How near the signer of a record is that is not in the book yet. `joined` are our communities.
    fn nearness_of(
        &self,
        ctx: &Context,
        record: &SharedRecord,
        name: &RecordName,
        joined: &BTreeSet<CommunityId>,
    ) -> Nearness {
        match record.record() {
            Ok(Record::Node(said)) if said.node != ctx.node => {
                let member = said.member().filter(|member| self.is_certified(*member, said.node));
                member.map_or(Nearness::Stranger, |member| self.nearness_of_member(ctx, member, joined))
            }
            _ => self.nearness(ctx, name, joined),
        }
    }

    /// The same of one that is.
    fn nearness(&self, ctx: &Context, name: &RecordName, joined: &BTreeSet<CommunityId>) -> Nearness {
        let (node, member) = (NodeId(name.signer), MemberId(name.signer));
        let community = match joined.contains(&CommunityId(name.signer)) {
            _ if self.own_communities.contains(&name.signer) => Nearness::Here,
            true => Nearness::Joined,
            false => Nearness::Stranger,
        };
        match name.kind {
            RecordKind::Node | RecordKind::Catalogue | RecordKind::Version if node == ctx.node => Nearness::Here,
            RecordKind::Node | RecordKind::Catalogue | RecordKind::Version => {
                let member = self.member_of(node);
                member.map_or(Nearness::Stranger, |member| self.nearness_of_member(ctx, member, joined))
            }
            RecordKind::NodeCertificate => self.nearness_of_member(ctx, member, joined),
            RecordKind::Membership => community,
            RecordKind::Revocation => community.max(self.nearness_of_member(ctx, member, joined)),
        }
    }

    fn nearness_of_member(&self, ctx: &Context, member: MemberId, joined: &BTreeSet<CommunityId>) -> Nearness {
        let of_community = |community: &CommunityId| match self.own_communities.contains(&community.0) {
            true => Nearness::Close,
            false => Nearness::MemberOfJoined,
        };
        match self.own() {
            _ if self.own_member == Some(member.0) => Nearness::Here,
            Some(own) if own == member => Nearness::Close,
            _ => {
                let communities = joined.iter().filter(|community| self.belongs(ctx, member, **community));
                communities.map(of_community).max().unwrap_or(Nearness::Stranger)
            }
        }
    }

    /// What is known here that a revocation takes back.
    fn taken_back(&self, revocation: &RecordName) -> Vec<RecordName> {
        let vouchers = [RecordKind::NodeCertificate, RecordKind::Membership];
        let named = vouchers.map(|kind| RecordName { kind, ..*revocation });
        named.into_iter().filter(|name| self.book.find(name).is_some()).collect()
    }
}
