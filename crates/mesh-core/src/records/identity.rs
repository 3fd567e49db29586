//! What people ask of members and communities. Each is one or more steps with the keys; the last one answers. Taking back
//! stands in `revoke`.

use std::collections::BTreeMap;

use mesh_proto::codec;
use mesh_proto::extensions::Extensions;
use mesh_proto::limits::{COMMUNITIES_PER_NODE_MAX, NAME_BYTES_MAX};
use mesh_proto::port::user::{ErrorKind, UserCommand, UserError, UserReply};
use mesh_proto::port::view::{CommunityView, InviteView, MemberView};
use mesh_proto::port::{Failure, KeyRole, KeysCommand, UserRequestId};
use mesh_proto::record::{Membership, NodeCertificate, Record, RecordKind, RecordName, Signed};
use mesh_proto::{CommunityId, MemberId, NodeId, SharedRecord, UnixMs};

use super::revoke::{BEGIN_ANEW, Revoking};
use super::{Asked, Records};
use crate::Context;

const INVITATION: &str = "mesh-invite:";

/// One step of what a person asked for.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// The member's key is being made.
    MemberKey { request: UserRequestId, name: String },
    /// A community's key is being made.
    CommunityKey { request: UserRequestId, name: String },
    /// The record that ends the request is being signed.
    Last { request: UserRequestId, made: Made },
    /// An invitation is being signed.
    Invitation { request: UserRequestId, community: CommunityId, member: MemberId },
    /// An invitation's signature is being verified.
    Join { request: UserRequestId, invitation: SharedRecord },
    /// What somebody vouched for is being taken back, one signature for each key.
    Revocation(Box<Revoking>),
}

/// What the last record of a request makes known, and its person is told.
#[derive(Debug, Clone, Copy)]
pub(super) enum Made {
    /// Nothing that has a name yet.
    Nothing,
    /// This node's member.
    Member(MemberId),
    /// A community.
    Community(CommunityId),
}

pub(super) fn failed(kind: ErrorKind, message: &str, cure: &str) -> UserError {
    UserError::new(kind, message, cure)
}

impl Records {
    /// Answers requests about members and communities. Returns whether this was one.
    pub fn on_user(&mut self, ctx: &mut Context, request: UserRequestId, command: &UserCommand) -> bool {
        let result = match command {
            UserCommand::CommunityNew { name } => self.found_community(ctx, request, name),
            UserCommand::CommunityInvite { community, member } => self.invite(ctx, request, *community, *member),
            UserCommand::CommunityJoin { invitation } => self.join(ctx, request, invitation),
            UserCommand::CommunityList => {
                ctx.reply(request, UserReply::Communities(self.communities(ctx)));
                Ok(())
            }
            UserCommand::MemberNew { name } => self.new_member(ctx, request, name),
            UserCommand::MemberAddNode { node } => self.add_node(ctx, request, *node),
            UserCommand::MemberAccept { member } => self.accept(ctx, request, *member),
            UserCommand::MemberList => {
                ctx.reply(request, UserReply::Members(self.members(ctx)));
                Ok(())
            }
            UserCommand::MemberRevoke { .. } => self.revoke(ctx, request, command),
            _ => return false,
        };
        if let Err(error) = result {
            ctx.reply(request, UserReply::Failed(error));
        }
        true
    }

    fn create(&mut self, ctx: &mut Context, community: bool, step: Step) {
        let command = ctx.command_id();
        self.asked.insert(command, Asked::Person(step));
        ctx.keys(KeysCommand::Create { command, community });
    }

    fn own_member(&self) -> Result<MemberId, UserError> {
        let cure = "make one with `mesh-node member new NAME`, or run this on the node that has the member's key";
        self.own_member.map(MemberId).ok_or_else(|| failed(ErrorKind::NotFound, "this node has no member key", cure))
    }

    fn new_member(&mut self, ctx: &mut Context, request: UserRequestId, name: &str) -> Result<(), UserError> {
        check_name(name)?;
        if self.own_member.is_some_and(|member| self.is_revoked(member, ctx.node.0)) {
            let why = "this node's member took back that the node is its own, and that is for ever";
            return Err(failed(ErrorKind::Denied, why, BEGIN_ANEW));
        }
        if self.own().is_some() {
            return Err(failed(ErrorKind::Exists, "this node has a member already", "see `mesh-node member list`"));
        }
        self.create(ctx, false, Step::MemberKey { request, name: name.to_owned() });
        Ok(())
    }

    fn found_community(&mut self, ctx: &mut Context, request: UserRequestId, name: &str) -> Result<(), UserError> {
        check_name(name)?;
        self.own_member()?;
        self.may_join_more()?;
        if self.own_communities.iter().any(|community| self.community_name(CommunityId(*community)) == name) {
            let why = "a community of this name was founded on this node already";
            return Err(failed(ErrorKind::Exists, why, "choose another name; see `mesh-node community list`"));
        }
        self.create(ctx, true, Step::CommunityKey { request, name: name.to_owned() });
        Ok(())
    }

    fn certify(&mut self, ctx: &mut Context, last: Step, member: MemberId, node: NodeId, name: String) {
        let name_of = RecordName { kind: RecordKind::NodeCertificate, signer: member.0, subject: node.0 };
        let version = self.book.version(&name_of).map_or(1, |version| version.saturating_add(1));
        let record = Record::NodeCertificate(NodeCertificate {
            member,
            node,
            version,
            member_name: name,
            issued: ctx.unix(),
            expires: UnixMs(0),
            extensions: Extensions::default(),
        });
        self.sign(ctx, KeyRole::Member, &record, Asked::Person(last));
    }

    fn add_node(&mut self, ctx: &mut Context, request: UserRequestId, node: NodeId) -> Result<(), UserError> {
        let member = self.own_member()?;
        if self.is_revoked(member.0, node.0) {
            let cure = "begin that node anew in another data folder (--data DIR), and add the id it has then";
            return Err(failed(ErrorKind::Denied, "this node was revoked, and that is for ever", cure));
        }
        let name = self.member_name(member);
        self.certify(ctx, Step::Last { request, made: Made::Nothing }, member, node, name);
        Ok(())
    }

    fn member_name(&self, member: MemberId) -> String {
        let certificates = self.book.of_kind(RecordKind::NodeCertificate);
        let mut names =
            certificates.filter(|known| known.signer == member.0).filter_map(|known| match known.record() {
                Ok(Record::NodeCertificate(certificate)) => Some(certificate.member_name),
                _ => None,
            });
        names.next().unwrap_or_default()
    }

    fn community_name(&self, community: CommunityId) -> String {
        let memberships = self.book.of_kind(RecordKind::Membership).filter(|known| known.signer == community.0);
        let mut names = memberships.filter_map(|known| match known.record() {
            Ok(Record::Membership(membership)) => Some(membership.community_name),
            _ => None,
        });
        names.next().unwrap_or_default()
    }

    fn may_join_more(&self) -> Result<(), UserError> {
        if self.joined().len() < COMMUNITIES_PER_NODE_MAX {
            return Ok(());
        }
        let why = format!("this member is in {COMMUNITIES_PER_NODE_MAX} communities, and can be in no more");
        Err(failed(ErrorKind::NoSpace, &why, "use another member, in another data folder (--data DIR)"))
    }

    fn membership(&self, ctx: &Context, community: CommunityId, member: MemberId, name: String) -> Record {
        let name_of = RecordName { kind: RecordKind::Membership, signer: community.0, subject: member.0 };
        Record::Membership(Membership {
            community,
            community_name: name,
            member,
            version: self.book.version(&name_of).map_or(1, |version| version.saturating_add(1)),
            issued: ctx.unix(),
            expires: UnixMs(0),
            extensions: Extensions::default(),
        })
    }

    fn invite(
        &mut self,
        ctx: &mut Context,
        request: UserRequestId,
        community: Option<CommunityId>,
        member: MemberId,
    ) -> Result<(), UserError> {
        let community = match (community, self.own_communities.len()) {
            (Some(community), _) if self.own_communities.contains(&community.0) => community,
            (None, 1) => CommunityId(self.own_communities.first().copied().unwrap_or_default()),
            (None, 0) => {
                let cure = "found one with `mesh-node community new NAME`";
                return Err(failed(ErrorKind::NotFound, "no community was founded on this node", cure));
            }
            (None, _) => {
                let cure = "name one; see `mesh-node community list`";
                return Err(failed(ErrorKind::Invalid, "several communities were founded here", cure));
            }
            (Some(_), _) => {
                let cure = "invite from the node that founded it";
                return Err(failed(ErrorKind::NotFound, "that community was not founded on this node", cure));
            }
        };
        if self.is_revoked(community.0, member.0) {
            let cure = "let them make a new member, in another data folder (--data DIR), and invite that one";
            return Err(failed(ErrorKind::Denied, "this member was revoked there, and that is for ever", cure));
        }
        let record = self.membership(ctx, community, member, self.community_name(community));
        let step = Step::Invitation { request, community, member };
        self.sign(ctx, KeyRole::Community(community.0), &record, Asked::Person(step));
        Ok(())
    }

    fn join(&mut self, ctx: &mut Context, request: UserRequestId, text: &str) -> Result<(), UserError> {
        let unreadable =
            || failed(ErrorKind::Invalid, "this is not an invitation", "copy the whole text that `invite` printed");
        let digits = text.trim().strip_prefix(INVITATION).ok_or_else(unreadable)?;
        let bytes = from_hex(digits).ok_or_else(unreadable)?;
        let signed = codec::decode::<SharedRecord, 16_384>(&bytes).map_err(|_| unreadable())?;
        let Ok(Record::Membership(membership)) = signed.record() else { return Err(unreadable()) };
        if self.own() != Some(membership.member) {
            let cure = "ask for one that names this node's member; see `mesh-node member list`";
            return Err(failed(ErrorKind::Denied, "this invitation is for another member", cure));
        }
        if !self.joined().contains(&membership.community) {
            self.may_join_more()?;
        }
        // It was handed over by a person, but is believed only after its signature: the answer waits for that.
        let command = ctx.command_id();
        ctx.keys(KeysCommand::Verify { command, records: vec![signed.clone()] });
        self.asked.insert(command, Asked::Person(Step::Join { request, invitation: signed }));
        Ok(())
    }

    pub(super) fn on_verified_for(&mut self, ctx: &mut Context, step: Step, valid: bool) {
        let Step::Join { request, invitation } = step else { return };
        let joined = match valid {
            false => {
                let cure = "ask for a new one, from the node that founded the community";
                Err(failed(ErrorKind::Mismatch, "this invitation is forged or damaged: its signature is wrong", cure))
            }
            true => self.take_invitation(ctx, invitation),
        };
        match joined {
            Ok(()) => self.say_own(ctx, request),
            Err(error) => ctx.reply(request, UserReply::Failed(error)),
        }
    }

    fn take_invitation(&mut self, ctx: &mut Context, invitation: SharedRecord) -> Result<(), UserError> {
        let community = CommunityId(invitation.signer);
        if !self.adopt(ctx, &invitation) {
            return Err(too_many());
        }
        match self.own().is_some_and(|own| self.belongs(ctx, own, community)) {
            true => {
                self.just_joined.insert(community);
                self.changed = true;
                // Who had no room for a stranger's has some for a member's.
                for record in self.own_credentials(ctx) {
                    if let Some(outline) = record.outline() {
                        self.pass_on(ctx, *outline.name(), None, false);
                    }
                }
                Ok(())
            }
            false => {
                let cure = "ask the community's founder";
                Err(failed(ErrorKind::Denied, "the invitation has ended, or the community took it back", cure))
            }
        }
    }

    pub(super) fn on_created_for(&mut self, ctx: &mut Context, step: Step, result: &Result<[u8; 32], Failure>) {
        match (step, result) {
            (Step::MemberKey { request, name }, Ok(key)) => {
                self.own_member = Some(*key);
                self.change_own_record(ctx);
                let (node, member) = (ctx.node, MemberId(*key));
                self.certify(ctx, Step::Last { request, made: Made::Member(member) }, member, node, name);
            }
            (Step::CommunityKey { request, name }, Ok(key)) => {
                self.own_communities.insert(*key);
                self.change_own_record(ctx);
                let Some(member) = self.own_member.map(MemberId) else { return };
                let community = CommunityId(*key);
                let record = self.membership(ctx, community, member, name);
                let last = Step::Last { request, made: Made::Community(community) };
                self.sign(ctx, KeyRole::Community(*key), &record, Asked::Person(last));
            }
            (step, Err(failure)) => reply_failure(ctx, &step, failure),
            _ => {}
        }
    }

    pub(super) fn on_signed_for(&mut self, ctx: &mut Context, step: Step, result: &Result<Signed, Failure>) {
        match (step, result) {
            (Step::Last { request, made }, Ok(signed)) => {
                let reply = match self.adopt(ctx, &signed.clone().into()) {
                    true => self.made(ctx, made),
                    false => UserReply::Failed(too_many()),
                };
                self.keeping.answer(ctx, request, reply);
            }
            (Step::Invitation { request, community, member }, Ok(signed)) => {
                // The invitation holds good wherever it is taken, whether or not there is room for it here.
                self.adopt(ctx, &signed.clone().into());
                let invitation = format!("{INVITATION}{}", to_hex(&codec::encode(signed)));
                let view = InviteView { invitation, community, member };
                self.keeping.answer(ctx, request, UserReply::Invitation(view));
            }
            (Step::Revocation(revoking), Ok(signed)) => self.on_revocation_signed(ctx, *revoking, signed.clone()),
            (step, Err(failure)) => reply_failure(ctx, &step, failure),
            _ => {}
        }
    }

    fn made(&self, ctx: &Context, made: Made) -> UserReply {
        let reply = match made {
            Made::Nothing => None,
            Made::Member(member) => {
                self.members(ctx).into_iter().find(|view| view.member == member).map(UserReply::Member)
            }
            Made::Community(community) => {
                self.communities(ctx).into_iter().find(|view| view.community == community).map(UserReply::Community)
            }
        };
        reply.unwrap_or(UserReply::Done)
    }

    fn communities(&self, ctx: &Context) -> Vec<CommunityView> {
        let member = self.own();
        let joined = self.joined();
        let mut all = joined.clone();
        all.extend(self.book.of_kind(RecordKind::Membership).map(|known| CommunityId(known.signer)));
        all.into_iter()
            .map(|community| CommunityView {
                community,
                name: self.community_name(community),
                founded_here: self.own_communities.contains(&community.0),
                belongs: member.is_some_and(|member| self.belongs(ctx, member, community)),
                joined: joined.contains(&community),
            })
            .collect()
    }

    fn members(&self, ctx: &Context) -> Vec<MemberView> {
        let own = self.own();
        let mut nodes: BTreeMap<MemberId, [Vec<NodeId>; 2]> = BTreeMap::new();
        for known in self.book.of_kind(RecordKind::NodeCertificate) {
            if let Ok(Record::NodeCertificate(certificate)) = known.record()
                && self.is_certified(certificate.member, certificate.node)
            {
                let has_accepted = self.member_of(certificate.node) == Some(certificate.member);
                let [accepted, not_accepted] = nodes.entry(certificate.member).or_default();
                if has_accepted { accepted } else { not_accepted }.push(certificate.node);
            }
        }
        if let Some(own) = own {
            nodes.entry(own).or_default();
        }
        let communities = self.communities(ctx);
        nodes
            .into_iter()
            .map(|(member, [nodes, not_accepted])| MemberView {
                member,
                name: self.member_name(member),
                nodes,
                not_accepted,
                communities: communities
                    .iter()
                    .map(|view| view.community)
                    .filter(|community| self.belongs(ctx, member, *community))
                    .collect(),
                own: own == Some(member),
            })
            .collect()
    }
}

fn reply_failure(ctx: &mut Context, step: &Step, failure: &Failure) {
    let request = match step {
        Step::MemberKey { request, .. }
        | Step::CommunityKey { request, .. }
        | Step::Last { request, .. }
        | Step::Invitation { request, .. }
        | Step::Join { request, .. } => *request,
        Step::Revocation(revoking) => revoking.request,
    };
    let error = UserError::new(ErrorKind::Unavailable, failure.why.clone(), "");
    ctx.reply(request, UserReply::Failed(error));
}

fn check_name(name: &str) -> Result<(), UserError> {
    match !name.trim().is_empty() && name.len() <= NAME_BYTES_MAX {
        true => Ok(()),
        false => {
            let why = format!("a name has 1 to {NAME_BYTES_MAX} bytes, and is not blank");
            Err(UserError::new(ErrorKind::Invalid, why, "give a name that people know it by"))
        }
    }
}

pub(super) fn too_many() -> UserError {
    failed(ErrorKind::NoSpace, "this node knows as many certificates as it may keep", "")
}

fn to_hex(bytes: &[u8]) -> String {
    crate::transfer::state::hex(bytes)
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    // A sign is no digit, though numbers may begin with one.
    if !digits.len().is_multiple_of(2) || digits.len() > 32_768 || digits.contains(&b'+') {
        return None;
    }
    digits.chunks_exact(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::from_hex;

    #[test]
    fn only_digits_are_digits() {
        assert_eq!(from_hex("0aFf"), Some(vec![0x0a, 0xff]));
        assert_eq!([from_hex("+a"), from_hex("a"), from_hex("zz"), from_hex("é")], [None, None, None, None]);
    }
}
