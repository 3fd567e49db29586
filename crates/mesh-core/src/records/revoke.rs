//! Taking back what this node's keys vouched for: one record from each key that did, for ever.

use mesh_proto::extensions::Extensions;
use mesh_proto::limits::NAME_BYTES_MAX;
use mesh_proto::port::user::{ErrorKind, UserCommand, UserError, UserReply};
use mesh_proto::port::view::RevokeView;
use mesh_proto::port::{KeyRole, UserRequestId};
use mesh_proto::record::{Record, RecordKind, RecordName, Revocation, Signed};
use mesh_proto::{CommunityId, MemberId, NodeId};

use super::identity::{Step, failed, too_many};
use super::{Asked, Records};
use crate::Context;

/// What helps who took back its own node or member: no revocation is ever taken back.
pub(super) const BEGIN_ANEW: &str = "begin anew in another data folder (--data DIR), or take up an identity exported \
                                     elsewhere with `mesh-node identity import FILE --replace`";

/// Taking back under way.
#[derive(Debug, Clone)]
pub(super) struct Revoking {
    /// Who is answered.
    pub(super) request: UserRequestId,
    record: Record,
    /// The keys that have still to sign.
    left: Vec<KeyRole>,
    view: RevokeView,
}

impl Records {
    /// Takes back all that our keys vouched for and that still stands.
    pub(super) fn revoke(
        &mut self,
        ctx: &mut Context,
        request: UserRequestId,
        command: &UserCommand,
    ) -> Result<(), UserError> {
        let UserCommand::MemberRevoke { subject, reason, community, force } = command else {
            return Err(failed(ErrorKind::Internal, "not a revocation", ""));
        };
        let subject: NodeId = subject.parse().map_err(|error| {
            UserError::new(ErrorKind::Invalid, format!("{error}"), "give a node's or member's id; see `member list`")
        })?;
        if reason.len() > NAME_BYTES_MAX {
            let why = format!("a reason has at most {NAME_BYTES_MAX} bytes");
            return Err(UserError::new(ErrorKind::Invalid, why, "give a shorter one"));
        }
        let left = self.to_revoke(subject.0, *community)?;
        let own = subject == ctx.node || self.is_own_member(MemberId(subject.0));
        if own && !force {
            return Err(own_refused(subject == ctx.node));
        }
        let record = Record::Revocation(Revocation {
            subject: subject.0,
            issued: ctx.unix(),
            reason: reason.clone(),
            extensions: Extensions::default(),
        });
        let view = RevokeView { subject: subject.to_string(), certificate: false, communities: Vec::new(), own };
        self.revoke_next(ctx, Revoking { request, record, left, view });
        Ok(())
    }

    fn is_own_member(&self, member: MemberId) -> bool {
        self.own() == Some(member)
    }

    /// The keys of ours that vouched for a subject and did not take it back yet: at least one.
    fn to_revoke(&self, subject: [u8; 32], only: Option<CommunityId>) -> Result<Vec<KeyRole>, UserError> {
        if let Some(community) = only
            && !self.own_communities.contains(&community.0)
        {
            let cure = "revoke on the node that founded it; see `mesh-node community list`";
            return Err(failed(ErrorKind::NotFound, "that community was not founded on this node", cure));
        }
        let member = self.own_member.filter(|_| only.is_none());
        let member = member.map(|key| (KeyRole::Member, key, RecordKind::NodeCertificate));
        let communities = self.own_communities.iter().filter(|key| only.is_none_or(|only| only.0 == **key));
        let communities = communities.map(|key| (KeyRole::Community(*key), *key, RecordKind::Membership));
        let vouched = |kind, signer| self.book.find(&RecordName { kind, signer, subject }).is_some();
        let ours = member.into_iter().chain(communities).filter(|(_, key, kind)| vouched(*kind, *key));
        let (gone, standing): (Vec<_>, Vec<_>) = ours.partition(|(_, key, _)| self.is_revoked(*key, subject));
        if standing.is_empty() {
            let why = match gone.is_empty() {
                true => "no key on this node vouched for that",
                false => "nothing of it stands: what this node's keys vouched for was taken back already",
            };
            let cure = "only what this node's member or communities vouched for can be revoked; see `member list`";
            return Err(failed(ErrorKind::NotFound, why, cure));
        }
        Ok(standing.into_iter().map(|(role, ..)| role).collect())
    }

    /// Lets the next key sign; answers when none is left. If one fails, what was signed before stays taken back, and the
    /// same request does the rest.
    fn revoke_next(&mut self, ctx: &mut Context, mut revoking: Revoking) {
        let Some(role) = revoking.left.pop() else {
            return self.keeping.answer(ctx, revoking.request, UserReply::Revoked(revoking.view));
        };
        match role {
            KeyRole::Community(key) => revoking.view.communities.push(CommunityId(key)),
            KeyRole::Member | KeyRole::Node => revoking.view.certificate = true,
        }
        let record = revoking.record.clone();
        self.sign(ctx, role, &record, Asked::Person(Step::Revocation(Box::new(revoking))));
    }

    pub(super) fn on_revocation_signed(&mut self, ctx: &mut Context, revoking: Revoking, signed: Signed) {
        match self.adopt(ctx, &signed.into()) {
            true => self.revoke_next(ctx, revoking),
            false => ctx.reply(revoking.request, UserReply::Failed(too_many())),
        }
    }
}

fn own_refused(node: bool) -> UserError {
    let why = match node {
        true => "that is this node itself: it would have no member any more, for ever",
        false => "that is this node's own member: it would be out of the communities founded here, for ever",
    };
    failed(ErrorKind::Denied, why, "give the id of another; if it is really meant, repeat it with --force")
}
