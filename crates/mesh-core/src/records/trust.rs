//! Whose node is whose, who belongs where, and who may fetch what.

use mesh_proto::planted::Defect;
use mesh_proto::record::{Access, Record, RecordKind, RecordName};
use mesh_proto::{CommunityId, MemberId, NodeId, SharedRecord, UnixMs};

use super::Records;
use crate::Context;

impl Records {
    /// The certificates for a node, and whose it is by them.
    fn certificates(&self, node: NodeId) -> impl Iterator<Item = (&SharedRecord, MemberId)> {
        let kind = RecordKind::NodeCertificate;
        self.book.vouchers(kind, node.0).filter_map(move |signer| {
            let known = self.book.find(&RecordName { kind, signer, subject: node.0 })?;
            Some((known, MemberId(signer)))
        })
    }

    pub(super) fn is_revoked(&self, signer: [u8; 32], subject: [u8; 32]) -> bool {
        self.book.find(&RecordName { kind: RecordKind::Revocation, signer, subject }).is_some()
    }

    /// The member that owns a node, by a certificate that was not revoked. With several, the one issued last counts.
    #[must_use]
    pub fn member_of(&self, node: NodeId) -> Option<MemberId> {
        let issued = |known: &SharedRecord| match known.record() {
            Ok(Record::NodeCertificate(certificate)) => Some(certificate.issued),
            _ => None,
        };
        self.certificates(node)
            .filter(|(_, member)| !self.is_revoked(member.0, node.0))
            .max_by_key(|(known, member)| (issued(known), *member))
            .map(|(_, member)| member)
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

    /// Whether somebody here knows whose node this is: our own member's, or one of a community of ours. Anybody can make
    /// a member's key, so a certificate alone does not count.
    #[must_use]
    pub fn is_acquainted(&self, ctx: &Context, node: NodeId) -> bool {
        self.member_of(node).is_some_and(|member| self.is_fellow(ctx, member))
    }

    /// Whether a member is our own, or in a community of ours.
    fn is_fellow(&self, ctx: &Context, member: MemberId) -> bool {
        let mut communities = self.book.vouchers(RecordKind::Membership, member.0).map(CommunityId);
        self.member_here(ctx) == Some(member)
            || communities.any(|community| self.belongs(ctx, member, community) && self.is_ours(ctx, community))
    }

    /// Whether a community was founded here, or counts our member as its own.
    fn is_ours(&self, ctx: &Context, community: CommunityId) -> bool {
        self.own_communities.contains(&community.0)
            || self.member_here(ctx).is_some_and(|own| self.belongs(ctx, own, community))
    }

    fn member_here(&self, ctx: &Context) -> Option<MemberId> {
        self.member_of(ctx.node).or(self.own_member.map(MemberId))
    }

    /// Whether a record is our own, a fellow's, or a community's of ours.
    pub(super) fn is_of_ours(&self, ctx: &Context, name: &RecordName) -> bool {
        let (node, member, community) = (NodeId(name.signer), MemberId(name.signer), CommunityId(name.signer));
        match name.kind {
            RecordKind::Node | RecordKind::Catalogue | RecordKind::Version => {
                node == ctx.node || self.is_acquainted(ctx, node)
            }
            RecordKind::NodeCertificate => self.is_fellow(ctx, member),
            RecordKind::Membership => self.is_ours(ctx, community),
            RecordKind::Revocation => self.is_fellow(ctx, member) || self.is_ours(ctx, community),
        }
    }

    /// Whether a peer may have a content.
    #[must_use]
    pub fn may_fetch(&self, ctx: &Context, node: NodeId, access: &Access) -> bool {
        if ctx.planted.is(Defect::ServeBeyondAccess) {
            return true;
        }
        let member = self.member_of(node);
        (member.is_some() && member == self.member_of(ctx.node)) || self.admits(ctx, member, access)
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

    /// Certificates and memberships that say whose node this is.
    pub(super) fn own_credentials(&self, node: NodeId) -> Vec<SharedRecord> {
        let mut credentials: Vec<SharedRecord> = self.certificates(node).map(|(known, _)| known.clone()).collect();
        if let Some(member) = self.member_of(node) {
            let kind = RecordKind::Membership;
            let communities = self.book.vouchers(kind, member.0);
            let names = communities.map(|signer| RecordName { kind, signer, subject: member.0 });
            credentials.extend(names.filter_map(|name| self.book.find(&name)).cloned());
        }
        credentials.truncate(8);
        credentials
    }
}
