//! Whose record goes from a full book. Keys cost nothing: strangers who fill it could else keep a founder from noting whom she
//! threw out, and all who joined from noting their own.

use std::collections::BTreeSet;

use mesh_analytics::EventKind;
use mesh_proto::record::{RecordKind, RecordName};
use mesh_proto::{CommunityId, MemberId, NodeId};

use super::Records;
use crate::Context;

/// So many records are looked at for one that may go.
const LOOKED_AT_MAX: usize = 1024;

/// How near the signer of a record is to this node. In a full book who is nearer takes the place of who is less so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Nearness {
    /// Nobody here knows it.
    Stranger,
    /// It is this node's member, whose key is elsewhere, or a member of a community that was joined or founded here, or
    /// such a community.
    Joined,
    /// It is a key that is here: this node's, its member's, that of a community founded here; or it is certified by one.
    Here,
}

impl Records {
    /// Lets a record go whose signer is less near than that of `name`; `ours` is as near as can be. A revocation goes with
    /// what it takes back, and last.
    pub(super) fn make_room(&mut self, ctx: &mut Context, name: &RecordName, ours: bool) {
        let joined = self.joined();
        let near = if ours { Nearness::Here } else { self.nearness(ctx, name, &joined) };
        if near == Nearness::Stranger {
            return;
        }
        let is_idle = |other: &RecordName| other.kind != RecordKind::Revocation || self.taken_back(other).is_empty();
        let others = || {
            self.book.all_from(name).take(LOOKED_AT_MAX).map(|other| {
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
            self.changed |= matches!(gone.kind, RecordKind::NodeCertificate | RecordKind::Membership);
        }
        ctx.count(EventKind::LimitRecords);
    }

    /// How near the signer of a record is. `joined` are our communities.
    fn nearness(&self, ctx: &Context, name: &RecordName, joined: &BTreeSet<CommunityId>) -> Nearness {
        let of_community = |community: CommunityId| match joined.contains(&community) {
            _ if self.own_communities.contains(&community.0) => Nearness::Here,
            true => Nearness::Joined,
            false => Nearness::Stranger,
        };
        let of_member = |member: MemberId| {
            let is_own = |own: MemberId| if self.own_member == Some(own.0) { Nearness::Here } else { Nearness::Joined };
            let own = self.own().filter(|own| *own == member).map(is_own);
            let is_joined = || joined.iter().any(|community| self.belongs(ctx, member, *community));
            own.or_else(|| is_joined().then_some(Nearness::Joined))
        };
        let nearest = match name.kind {
            // What a node says of itself may be the very record that is judged: its certificates tell.
            RecordKind::Node | RecordKind::Catalogue | RecordKind::Version => {
                let node = NodeId(name.signer);
                let members = self.book.vouchers(RecordKind::NodeCertificate, node.0).map(MemberId);
                let certified = members.filter(|member| self.is_certified(*member, node)).filter_map(of_member);
                (node == ctx.node).then_some(Nearness::Here).into_iter().chain(certified).max()
            }
            RecordKind::NodeCertificate => of_member(MemberId(name.signer)),
            RecordKind::Membership => Some(of_community(CommunityId(name.signer))),
            RecordKind::Revocation => {
                of_member(MemberId(name.signer)).max(Some(of_community(CommunityId(name.signer))))
            }
        };
        nearest.unwrap_or(Nearness::Stranger)
    }

    /// What is known here that a revocation takes back.
    fn taken_back(&self, revocation: &RecordName) -> Vec<RecordName> {
        let vouchers = [RecordKind::NodeCertificate, RecordKind::Membership];
        let named = vouchers.map(|kind| RecordName { kind, ..*revocation });
        named.into_iter().filter(|name| self.book.find(name).is_some()).collect()
    }
}
