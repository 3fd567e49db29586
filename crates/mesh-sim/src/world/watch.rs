//! What must never happen, looked for at the edge of a brain as it happens.
//!
//! Of each node a few facts are remembered: whom it banned, who it knows was taken back, how new its records are, what it
//! keeps. Invariant: it changes nothing and believes no brain; what it compares with is what the world saw itself.

use std::collections::{BTreeMap, BTreeSet};

use mesh_proto::limits::CONTROL_FRAME_BYTES_MAX;
use mesh_proto::message::{Frame, Holding, Message};
use mesh_proto::port::store::{Row, StoreCommand, Table};
use mesh_proto::port::user::{ErrorKind, UserCommand, UserReply};
use mesh_proto::port::{Event, NetCommand, Output, UserRequestId};
use mesh_proto::record::{Access, RecordKind};
use mesh_proto::{CommandId, CommunityId, ContentId, MemberId, NodeId, SharedRecord, Timestamp, codec};

use super::NodeWorld;
use super::store::Ending;
use crate::kernel::Member;

/// Waking more often than this in one second is a storm: pacing a fast link by a limit takes some hundreds.
const WAKES_PER_S_MAX: u32 = 800;
/// The longest row of a record.
const ROW_BYTES_MAX: usize = 65_536;

/// What is remembered of one node. See the module.
#[derive(Debug, Default)]
pub struct Watch {
    /// Whom it banned in this life, for what it still fetches.
    banned: BTreeSet<(NodeId, ContentId)>,
    /// The version of each record that it wrote down in this life, by a hash of its name.
    versions: BTreeMap<u64, u64>,
    /// Who it knows was taken back by whom, which of that is on its disk, and which it is writing there.
    revoked: BTreeSet<(CommunityId, MemberId)>,
    revoked_kept: BTreeSet<(CommunityId, MemberId)>,
    revoked_writing: BTreeMap<CommandId, Vec<(CommunityId, MemberId)>>,
    /// What it has complete, as it said itself.
    kept: BTreeSet<ContentId>,
    /// It started, and it was not looked yet whether it still knows what it keeps.
    is_fresh: bool,
    /// Rules under which its person shares something, until that is answered.
    sharing: BTreeMap<UserRequestId, Access>,
    /// When the second began in which its wake-ups are counted, and how many there were.
    wakes: (Timestamp, u32),
}

/// Who may have what, as the persons of a world decided it.
#[derive(Debug, Default)]
pub(super) struct Permits {
    /// Contents that not everybody may have, and the rules under which somebody shared them.
    restricted: BTreeMap<ContentId, Vec<Access>>,
    /// Whom a person let in, whether or not that came to anything, and of whom it was told so.
    invited: BTreeSet<(CommunityId, MemberId)>,
    admitted: BTreeSet<(CommunityId, MemberId)>,
    /// Whom a person shut out, whether or not that came to anything.
    taken_back: BTreeSet<(CommunityId, MemberId)>,
}

impl Permits {
    /// A person decides something: nodes may know of it before the person is answered.
    pub(super) fn decided(&mut self, command: &UserCommand) {
        match command {
            UserCommand::CommunityInvite { community: Some(community), member } => {
                self.invited.insert((*community, *member));
            }
            UserCommand::MemberRevoke { subject, community: Some(community), .. } => {
                let subject = subject.parse::<NodeId>();
                self.taken_back.extend(subject.map(|subject| (*community, MemberId(subject.0))));
            }
            _ => {}
        }
    }

    fn shared(&mut self, content: ContentId, access: Access) {
        let rules = self.restricted.entry(content).or_default();
        if !rules.contains(&access) {
            rules.push(access);
        }
    }
}

/// Whether a rule lets a member have something, if `belongs` says who belongs to which community.
fn admits(access: &Access, member: Option<MemberId>, belongs: impl Fn(&(CommunityId, MemberId)) -> bool) -> bool {
    match (access, member) {
        (Access::Public | Access::Ticket, _) => true,
        (Access::Community(community), Some(member)) => belongs(&(*community, member)),
        (Access::Members(members), Some(member)) => members.contains(&member),
        _ => false,
    }
}

/// How long the longest frame of each kind of message was. Of each kind only those are read that are longer than all
/// before: it is length and number that break limits.
#[derive(Debug, Default)]
pub(super) struct Longest(BTreeMap<&'static str, usize>);

impl Longest {
    /// A frame is sent. Says why a peer could not read it, if so.
    pub(super) fn unreadable(&mut self, message: &Message, frame: &[u8]) -> Option<String> {
        let longest = self.0.entry(message.name()).or_default();
        if frame.len() <= *longest {
            return None;
        }
        *longest = frame.len();
        let name = message.name();
        if frame.len() > CONTROL_FRAME_BYTES_MAX {
            return Some(format!("a {name} of {} bytes is too long to send", frame.len()));
        }
        match Message::decode_frame(frame) {
            Ok(Frame::Known(read)) if read == *message => None,
            Ok(_) => Some(format!("a {name} is read as something else")),
            Err(error) => Some(format!("a {name} is refused: {error}")),
        }
    }
}

impl Watch {
    /// The node's process ended.
    pub(super) fn ended(&mut self, ending: Ending) {
        self.banned.clear();
        self.versions.clear();
        self.sharing.clear();
        self.revoked_writing.clear();
        if ending == Ending::DiskLost {
            self.revoked_kept.clear();
            self.kept.clear();
        }
        self.revoked.clone_from(&self.revoked_kept);
    }

    /// A new process begins.
    pub(super) fn started(&mut self) {
        self.is_fresh = true;
    }

    /// A person shares something.
    pub(super) fn shares(&mut self, request: UserRequestId, access: Option<Access>) {
        self.sharing.insert(request, access.unwrap_or(Access::Ticket));
    }

    /// A write ended.
    pub(super) fn wrote(&mut self, command: CommandId, is_on_disk: bool) {
        let revoked = self.revoked_writing.remove(&command);
        self.revoked_kept.extend(revoked.into_iter().flatten().filter(|_| is_on_disk));
    }

    /// What it keeps, once after each start.
    pub(super) fn take_kept(&mut self) -> Vec<ContentId> {
        match std::mem::take(&mut self.is_fresh) {
            true => self.kept.iter().copied().collect(),
            false => Vec::new(),
        }
    }

    /// Whether it started and it was not looked yet what it still knows.
    pub(super) fn is_fresh(&self) -> bool {
        self.is_fresh
    }

    /// It writes a row. Gives what is wrong with it.
    fn writes(&mut self, command: CommandId, row: &Row) -> Option<String> {
        if row.table != Table::Record {
            return None;
        }
        let record = codec::decode::<SharedRecord, ROW_BYTES_MAX>(&row.value).ok()?;
        let outline = record.outline()?;
        let name = outline.name();
        if record.kind == RecordKind::Revocation {
            let revoked = (CommunityId(name.signer), MemberId(name.subject));
            self.revoked.insert(revoked);
            self.revoked_writing.entry(command).or_default().push(revoked);
        }
        let hash = blake3::hash(&row.key);
        let (head, _) = hash.as_bytes().split_first_chunk::<8>().expect("a hash has 32 bytes");
        let known = self.versions.insert(u64::from_le_bytes(*head), outline.version);
        let older = known.filter(|known| *known > outline.version)?;
        Some(format!("version {} of a {:?} record took the place of version {older}", outline.version, record.kind))
    }
}

impl NodeWorld {
    /// Looks at what a brain asks for, before it is carried out.
    pub(super) fn watch(&mut self, now: Timestamp, member: Member, output: &Output) {
        match output {
            Output::Net(NetCommand::Fetch { node, request, .. })
                if self.node(member).watch.banned.contains(&(*node, request.content)) =>
            {
                let what = format!("node {} is asked for chunks again", node.short());
                self.violated(now, member, "a banned peer is not asked again", what);
            }
            Output::Net(NetCommand::Send { message: Message::Have(have), .. }) => {
                let says_too_much = match &have.holding {
                    Holding::Partial(chunks) => !self.node(member).store.holds(have.content, chunks),
                    Holding::None | Holding::Complete => false,
                };
                if says_too_much && self.is_honest(member) {
                    let what = format!("it has less of {} than it tells", have.content.short());
                    self.violated(now, member, "what a node says it holds, it holds", what);
                }
            }
            Output::Store(StoreCommand::Write { command, put, .. }) => {
                let watch = &mut self.node_mut(member).watch;
                let wrong: Vec<String> = put.iter().filter_map(|row| watch.writes(*command, row)).collect();
                for what in wrong {
                    self.violated(now, member, "record versions never go back", what);
                }
            }
            Output::Store(StoreCommand::Remove { content, .. } | StoreCommand::Repair { content, .. }) => {
                self.node_mut(member).watch.kept.remove(content);
            }
            Output::Report(event) => self.watch_event(member, event),
            Output::Reply { request, reply } => self.watch_reply(now, member, *request, reply),
            _ => {}
        }
    }

    fn watch_event(&mut self, member: Member, event: &Event) {
        let watch = &mut self.node_mut(member).watch;
        match event {
            Event::PeerBanned { node, content, .. } => _ = watch.banned.insert((*node, *content)),
            Event::TransferComplete { report } => {
                watch.banned.retain(|(_, content)| *content != report.content_id);
                watch.kept.insert(report.content_id);
            }
            Event::TransferFailed { content, .. } => watch.banned.retain(|(_, banned)| banned != content),
            _ => {}
        }
    }

    fn watch_reply(&mut self, now: Timestamp, member: Member, request: UserRequestId, reply: &UserReply) {
        match reply {
            UserReply::Shared(view) => {
                let watch = &mut self.node_mut(member).watch;
                watch.kept.insert(view.content_id);
                if let Some(access) = watch.sharing.remove(&request) {
                    self.permits.shared(view.content_id, access);
                }
            }
            UserReply::Community(view) => {
                let founder = self.node(member).keys.member();
                self.permits.admitted.extend(founder.map(|founder| (view.community, MemberId(founder))));
            }
            UserReply::Invitation(view) => _ = self.permits.admitted.insert((view.community, view.member)),
            UserReply::Failed(error) if error.kind == ErrorKind::Internal => {
                self.violated(now, member, "nothing fails by our own fault", error.message.clone());
            }
            _ => {}
        }
    }

    /// A slice is about to leave a node for another.
    pub(super) fn watch_slice(&mut self, now: Timestamp, from: Member, to: Member, content: ContentId) {
        let Some(rules) = self.permits.restricted.get(&content) else { return };
        let member_of = |node: Member| self.node(node).keys.member().map(MemberId);
        let (giver, getter) = (member_of(from), member_of(to));
        let revoked = &self.node(from).watch.revoked;
        let may = rules.iter().any(|access| {
            admits(access, getter, |pair| {
                let permits = &self.permits;
                (permits.invited.contains(pair) || permits.admitted.contains(pair)) && !revoked.contains(pair)
            })
        });
        if !may && (giver != getter || giver.is_none()) {
            let what = format!("it gives {} to node {}", content.short(), to.0);
            self.violated(now, from, "nobody is given what their access does not allow", what);
        }
    }

    /// Whether persons let a node have a content at this moment.
    #[must_use]
    pub fn may_have(&self, member: Member, content: ContentId) -> bool {
        let Permits { restricted, admitted, taken_back, .. } = &self.permits;
        let Some(rules) = restricted.get(&content) else { return true };
        let getter = self.node(member).keys.member().map(MemberId);
        let stands = |pair: &_| admitted.contains(pair) && !taken_back.contains(pair);
        rules.iter().any(|access| admits(access, getter, stands))
    }

    /// A node woke by its own timeout.
    pub(super) fn note_wake(&mut self, now: Timestamp, member: Member) {
        let node = self.node_mut(member);
        node.tally.wakes += 1;
        let (since, count) = &mut node.watch.wakes;
        if now.0 - since.0 >= 1_000_000_000 {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        if *count == WAKES_PER_S_MAX {
            let what = format!("it woke {WAKES_PER_S_MAX} times within a second");
            self.violated(now, member, "no wake-up storm", what);
        }
    }
}

#[cfg(test)]
mod tests {
    use mesh_proto::extensions::Extensions;
    use mesh_proto::limits::OTHERS_PER_HAVE_MAX;
    use mesh_proto::message::Have;

    use super::*;

    fn have(others: usize) -> Message {
        let others = (0..others).map(|number| NodeId([number as u8; 32])).collect();
        let (holding, access) = (Holding::None, Access::Public);
        Message::Have(Have { content: ContentId([1; 32]), holding, access, others, extensions: Extensions::default() })
    }

    #[test]
    fn a_message_that_a_peer_would_refuse_is_seen_when_it_is_sent() {
        let mut longest = Longest::default();
        let mut sent = |message: &Message| longest.unreadable(message, &message.encode_frame());
        assert_eq!(sent(&have(OTHERS_PER_HAVE_MAX)), None);
        assert_eq!(sent(&have(1)), None);
        let said = sent(&have(OTHERS_PER_HAVE_MAX + 1)).expect("it names too many");
        assert!(said.starts_with("a Have is refused"), "{said}");
    }
}
