//! Whose node is whose, who belongs where, and who may fetch what.
//!
//! It takes two to belong together. A node is a member's if the member certified it and the node names the member; a member is
//! of a community of ours if the community counts it in and ours was joined. Keys cost nothing: else anybody could call other
//! people's nodes his own, and themselves of his community.

use std::collections::BTreeSet;

use mesh_proto::planted::Defect;
use mesh_proto::record::{Access, Record, RecordKind, RecordName};
use mesh_proto::{CommunityId, MemberId, NodeId, SharedRecord, UnixMs};

use super::Records;
use crate::Context;

/// Credentials told to whoever connects.
const CREDENTIALS_MAX: usize = 8;

impl Records {
    pub(super) fn is_revoked(&self, signer: [u8; 32], subject: [u8; 32]) -> bool {
        self.book.find(&RecordName { kind: RecordKind::Revocation, signer, subject }).is_some()
    }

    /// The member that a node says it belongs to.
    fn named_by(&self, node: NodeId) -> Option<MemberId> {
        // Our own key says it at once; the record follows.
        let by_key = self.own_member.filter(|_| self.own_node == Some(node)).map(MemberId);
        by_key.or_else(|| self.book.node(node)?.member())
    }

    /// The member that owns a node: the one that the node names, if it certified the node and did not take that back.
    #[must_use]
    pub fn member_of(&self, node: NodeId) -> Option<MemberId> {
        self.named_by(node).filter(|member| self.is_certified(*member, node))
    }

    pub(super) fn is_certified(&self, member: MemberId, node: NodeId) -> bool {
        self.find_certificate(member, node).is_some() && !self.is_revoked(member.0, node.0)
    }

    fn find_certificate(&self, member: MemberId, node: NodeId) -> Option<&SharedRecord> {
        let kind = RecordKind::NodeCertificate;
        self.book.find(&RecordName { kind, signer: member.0, subject: node.0 })
    }

    /// This node's member.
    pub(super) fn own(&self) -> Option<MemberId> {
        self.own_node.and_then(|node| self.member_of(node)).or(self.own_member.map(MemberId))
    }

    /// The communities that were joined or founded on this node's member's nodes.
    pub(super) fn joined(&self) -> BTreeSet<CommunityId> {
        let own = self.own();
        let certified = own.into_iter().flat_map(|own| self.book.vouched_for(RecordKind::NodeCertificate, own.0));
        let nodes = certified.map(NodeId).filter(|node| self.member_of(*node) == own);
        let named = nodes.chain(self.own_node).filter_map(|node| self.book.node(node));
        let founded = self.own_communities.iter().copied().map(CommunityId);
        named.flat_map(|record| record.communities()).chain(founded).chain(self.just_joined.iter().copied()).collect()
    }

    /// Whether a community counts a member as its own.
    #[must_use]
    pub fn belongs(&self, ctx: &Context, member: MemberId, community: CommunityId) -> bool {
        let name = RecordName { kind: RecordKind::Membership, signer: community.0, subject: member.0 };
        let Some(Ok(Record::Membership(membership))) = self.book.find(&name).map(|known| known.record()) else {
            return false;
        };
        let expired = |at: UnixMs| at.0 > 0 && ctx.clock_trusted() && at < ctx.unix();
        let revoked = self.is_revoked(community.0, member.0) && !ctx.planted.is(Defect::ServeRevoked);
        !expired(membership.expires) && !revoked
    }

    /// Whether somebody here knows whose node this is: our own member's, or one of a community of ours.
    #[must_use]
    pub fn is_acquainted(&self, ctx: &Context, node: NodeId) -> bool {
        let Some(member) = self.member_of(node) else { return false };
        let own = self.own();
        let is_ours = |community: &CommunityId| {
            self.own_communities.contains(&community.0) || own.is_some_and(|own| self.belongs(ctx, own, *community))
        };
        let shares = |community: &CommunityId| self.belongs(ctx, member, *community) && is_ours(community);
        own == Some(member) || self.joined().iter().any(shares)
    }

    /// Whether a peer may have a content.
    #[must_use]
    pub fn may_fetch(&self, ctx: &Context, node: NodeId, access: &Access) -> bool {
        if ctx.planted.is(Defect::ServeBeyondAccess) {
            return true;
        }
        let member = self.member_of(node);
        // By the key that is here, not by what was accepted: who leads a person to accept gets nothing of hers by it.
        let is_own = member.is_some_and(|member| self.own_member == Some(member.0));
        is_own || self.admits(ctx, member, access)
    }

    /// Whether a rule of somebody else's lets this node have a content.
    #[must_use]
    pub fn admits_us(&self, ctx: &Context, access: &Access) -> bool {
        self.admits(ctx, self.member_of(ctx.node), access)
    }

    fn admits(&self, ctx: &Context, member: Option<MemberId>, access: &Access) -> bool {
        match (access, member) {
            (Access::Ticket | Access::Public, _) => true,
            (Access::Community(community), Some(member)) => self.belongs(ctx, member, *community),
            (Access::Members(members), Some(member)) => members.contains(&member),
            _ => false,
        }
    }

    /// What says whose node this is: what its communities say, its member's certificate, and its own record. Each counts
    /// for more when those before it are known.
    pub(super) fn own_credentials(&self, ctx: &Context) -> Vec<SharedRecord> {
        let node = ctx.node;
        let Some(member) = self.member_of(node) else { return Vec::new() };
        let record = self.book.find(&RecordName { kind: RecordKind::Node, signer: node.0, subject: node.0 });
        let standing = self.joined().into_iter().filter(|community| self.belongs(ctx, member, *community));
        let memberships = standing.filter_map(|community| {
            self.book.find(&RecordName { kind: RecordKind::Membership, signer: community.0, subject: member.0 })
        });
        let certificate = self.find_certificate(member, node);
        memberships.take(CREDENTIALS_MAX - 2).chain(certificate).chain(record).cloned().collect()
    }
}
