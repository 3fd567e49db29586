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
        let Some(member) = self.member_of(node) else { return false };
        let own = self.own_member.map(MemberId).or_else(|| self.member_of(ctx.node));
        let is_ours = |community: CommunityId| {
            self.own_communities.contains(&community.0) || own.is_some_and(|own| self.belongs(ctx, own, community))
        };
        let mut communities = self.book.vouchers(RecordKind::Membership, member.0).map(CommunityId);
        own == Some(member) || communities.any(|community| self.belongs(ctx, member, community) && is_ours(community))
    }

    /// Whether a record is our own, or rests on a key that is here: our member's, or one of a community founded here.
    /// Anybody may call our node his, or our member one of his community, so what others signed of us does not count.
    pub(super) fn is_of_ours(&self, ctx: &Context, name: &RecordName) -> bool {
        let (node, member) = (NodeId(name.signer), MemberId(name.signer));
        let is_founded_here = self.own_communities.contains(&name.signer);
        match name.kind {
            RecordKind::Node | RecordKind::Catalogue | RecordKind::Version => {
                node == ctx.node || self.member_of(node).is_some_and(|member| self.is_of_a_key_here(ctx, member))
            }
            RecordKind::NodeCertificate => self.is_of_a_key_here(ctx, member),
            RecordKind::Membership => is_founded_here,
            RecordKind::Revocation => is_founded_here || self.is_of_a_key_here(ctx, member),
        }
    }

    fn is_of_a_key_here(&self, ctx: &Context, member: MemberId) -> bool {
        let mut founded = self.own_communities.iter().copied().map(CommunityId);
        self.own_member == Some(member.0) || founded.any(|community| self.belongs(ctx, member, community))
    }

    /// What is known here that a revocation takes back.
    pub(super) fn taken_back(&self, revocation: &RecordName) -> Vec<RecordName> {
        let vouchers = [RecordKind::NodeCertificate, RecordKind::Membership];
        let named = vouchers.map(|kind| RecordName { kind, ..*revocation });
        named.into_iter().filter(|name| self.book.find(name).is_some()).collect()
    }

    /// Whether a peer may have a content.
    #[must_use]
    pub fn may_fetch(&self, ctx: &Context, node: NodeId, access: &Access) -> bool {
        if ctx.planted.is(Defect::ServeBeyondAccess) {
            return true;
        }
        let member = self.member_of(node);
        // By the key that is here, not by a certificate: anybody may call this node his own.
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
