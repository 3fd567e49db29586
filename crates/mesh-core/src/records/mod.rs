//! Signed records: who is reachable where, who belongs to whom, what is listed, and who holds what of it.
//!
//! [`Records`] keeps them verified, spreads them by gossip, and answers the brain's questions. Its parts:
//!
//! | file | concern |
//! |---|---|
//! | [`book`] | the set of verified records: which version wins, limits, lookups |
//! | `keeping` | what is written down when, and who waits for it |
//! | `gossip` | what is said to peers and heard from them, and how much of it a link bears |
//! | `rumours` | which news is told to whom, and when |
//! | `evening` | comparing two nodes' records until both know the same |
//! | `own` | what this node says of itself |
//! | `room` | whose record goes from a full book |
//! | `trust` | member and community certificates, revocation, access |
//! | `identity`, `revoke` | what people ask: found, invite, join, add a node; take back |
//! | `catalogue` | what is listed, and who holds it |
//!
//! Invariant: nothing in a record is believed, kept or passed on before its signature was verified.

pub mod book;
mod catalogue;
mod evening;
mod gossip;
mod identity;
mod keeping;
mod own;
mod revoke;
mod room;
mod rumours;
mod trust;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mesh_analytics::EventKind;
use mesh_proto::planted::Defect;
use mesh_proto::port::store::Row;
use mesh_proto::port::{Failure, KeyRole, KeysCommand, KeysInput};
use mesh_proto::record::{NodeRecord, Record, RecordKind, RecordName};
use mesh_proto::record_list::Listed;
use mesh_proto::{CommandId, CommunityId, ContentId, MemberId, NodeId, SharedRecord, Timestamp, WakeReason};

use crate::Context;
use book::Book;
use keeping::Keeping;
pub(crate) use keeping::Rows;
use rumours::Rumours;

/// Settings of the record keeper.
#[derive(Debug, Clone)]
pub struct RecordsConfig {
    /// The node's name for people.
    pub node_name: String,
    /// Program and version.
    pub agent: String,
    /// How often a random peer's records are compared with ours, in milliseconds.
    pub gossip_interval_ms: u64,
}

/// What a peer said of itself when it connected.
#[derive(Debug, Clone, Default)]
pub struct PeerHello {
    /// Program and version.
    pub agent: String,
    /// Its name for people.
    pub name: String,
    /// How far its clock is ahead of ours, in milliseconds.
    pub clock_skew_ms: i64,
}

/// One connected peer.
#[derive(Debug, Default)]
struct Connected {
    hello: Option<PeerHello>,
    /// When it said that.
    greeted_at: Timestamp,
    /// First eight bytes of the listed contents it holds.
    holdings: BTreeSet<u64>,
    /// Records of it that wait for verification.
    unverified: usize,
    bad_signatures: u32,
    /// Records it listed that are lacking here.
    lacking: BTreeMap<RecordName, Listed>,
    /// Those asked for that did not come yet, and when they were.
    wanted: BTreeSet<RecordName>,
    wanted_at: Timestamp,
    /// Whether records were asked for since the last comparison, and whether any of them was news.
    evening: bool,
    had_news: bool,
    /// Until when it counts as one with whom records are being evened out.
    evening_until: Timestamp,
    /// Bytes per second that the way there bears; 0 = not known.
    rate_bytes_per_s: u64,
    /// What was told it takes the budget of its link until then.
    not_before: Timestamp,
}

/// What a command of ours to the keys was for.
#[derive(Debug)]
enum Asked {
    /// Signatures of records a peer sent.
    Verify { from: NodeId, records: Vec<SharedRecord> },
    /// Our own node record or catalogue entry.
    SignOwn,
    /// A step of what a person asked for.
    Person(identity::Step),
}

/// What became of a verified record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// It is kept from now on.
    News,
    /// It, or one that beats it, was here.
    Before,
    /// There is no room.
    No,
}

/// Holdings are gathered so long.
const BATCH: Duration = Duration::from_millis(200);
/// A peer that sent so many bad signatures is no longer listened to.
const BAD_SIGNATURES_MAX: u32 = 8;

/// The records of a node. See the module.
#[derive(Debug)]
pub struct Records {
    config: RecordsConfig,
    book: Book,
    connected: BTreeMap<NodeId, Connected>,
    asked: BTreeMap<CommandId, Asked>,
    keeping: Keeping,
    own_node: Option<NodeId>,
    own_member: Option<[u8; 32]>,
    own_communities: BTreeSet<[u8; 32]>,
    /// The member that a person said this node belongs to, and communities joined since the start: for our own record.
    accepted: Option<MemberId>,
    just_joined: BTreeSet<CommunityId>,
    addresses: Vec<String>,
    /// When our own record is looked at, and signed if there is another to say.
    own_due: Option<Timestamp>,
    rumours: Rumours,
    /// Peers to compare with, one after another, and when the next one may be.
    to_compare: BTreeSet<NodeId>,
    compare_after: Timestamp,
    /// Records asked for: of whom, and when.
    under_way: BTreeMap<RecordName, (NodeId, Timestamp)>,
    /// When those that came from nobody are asked of others.
    ask_others_at: Option<Timestamp>,
    held: BTreeSet<ContentId>,
    held_news: BTreeMap<ContentId, bool>,
    held_due: Option<Timestamp>,
    next_gossip: Option<Timestamp>,
    new_nodes: BTreeSet<NodeId>,
    changed: bool,
}

impl Records {
    /// Knows nothing yet.
    #[must_use]
    pub fn new(config: RecordsConfig) -> Self {
        Self {
            config,
            book: Book::default(),
            connected: BTreeMap::new(),
            asked: BTreeMap::new(),
            keeping: Keeping::default(),
            own_node: None,
            own_member: None,
            own_communities: BTreeSet::new(),
            accepted: None,
            just_joined: BTreeSet::new(),
            addresses: Vec::new(),
            own_due: None,
            rumours: Rumours::default(),
            to_compare: BTreeSet::new(),
            compare_after: Timestamp::ZERO,
            under_way: BTreeMap::new(),
            ask_others_at: None,
            held: BTreeSet::new(),
            held_news: BTreeMap::new(),
            held_due: None,
            next_gossip: None,
            new_nodes: BTreeSet::new(),
            changed: false,
        }
    }

    /// Takes a record kept from an earlier run; it was verified when it was written.
    pub fn load_row(&mut self, row: &Row) {
        let Ok(record) = mesh_proto::codec::decode::<SharedRecord, 65_536>(&row.value) else { return };
        let (kind, signer) = (record.kind, record.signer);
        if record.outline().is_some() && self.book.put(record).is_ok() && kind == RecordKind::Node {
            self.new_nodes.insert(NodeId(signer));
        }
    }

    /// Which keys are ours.
    pub fn on_keys_loaded(
        &mut self,
        _ctx: &mut Context,
        node: [u8; 32],
        member: Option<[u8; 32]>,
        communities: &[[u8; 32]],
    ) {
        self.own_node = Some(NodeId(node));
        self.own_member = member;
        self.own_communities = communities.iter().copied().collect();
    }

    fn sign(&mut self, ctx: &mut Context, role: KeyRole, record: &Record, asked: Asked) {
        let command = ctx.command_id();
        self.asked.insert(command, asked);
        ctx.keys(KeysCommand::Sign { command, role, kind: record.kind(), body: record.encode_body() });
    }

    /// An answer of the keys. Returns whether it was for us.
    pub fn on_keys(&mut self, ctx: &mut Context, input: &KeysInput) -> bool {
        match input {
            KeysInput::Verified { command, valid } => match self.asked.remove(command) {
                Some(Asked::Verify { from, records }) => self.on_verified(ctx, from, records, valid),
                Some(Asked::Person(step)) => self.on_verified_for(ctx, step, *valid == [true]),
                _ => return false,
            },
            KeysInput::Signed { command, result } => match self.asked.remove(command) {
                Some(Asked::SignOwn) => {
                    if let Ok(signed) = result {
                        self.adopt(ctx, &signed.clone().into());
                        self.say_what_is_left(ctx, signed);
                    }
                }
                Some(Asked::Person(step)) => self.on_signed_for(ctx, step, result),
                _ => return false,
            },
            KeysInput::Created { command, result } => match self.asked.remove(command) {
                Some(Asked::Person(step)) => self.on_created_for(ctx, step, result),
                _ => return false,
            },
            KeysInput::Loaded { .. } => return false,
        }
        true
    }

    /// A verified record that did not come from a peer: kept if it is news, and passed on. Says whether it is here now.
    fn adopt(&mut self, ctx: &mut Context, record: &SharedRecord) -> bool {
        let kept = self.keep(ctx, record, true);
        if let (Kept::News, Some(outline)) = (kept, record.outline()) {
            self.pass_on(ctx, *outline.name(), None, false);
        }
        kept != Kept::No
    }

    /// A verified record: kept and written down if it is news. `ours` finds room in a book that strangers filled.
    fn keep(&mut self, ctx: &mut Context, record: &SharedRecord, ours: bool) -> Kept {
        let Some(outline) = record.outline() else { return Kept::No };
        let name = outline.name();
        if self.book.is_full(name.kind) && self.book.may_add(name) {
            self.make_room(ctx, record, ours);
        }
        let said_before = self.book.node(NodeId(record.signer)).filter(|_| record.kind == RecordKind::Node);
        let put = match ctx.planted.is(Defect::AcceptOldVersion) {
            true => self.book.replace(record.clone()).map(|()| true),
            false => self.book.put(record.clone()),
        };
        match put {
            Ok(true) => {}
            Ok(false) => return Kept::Before,
            Err(book::Full) => {
                ctx.count(EventKind::LimitRecords);
                return Kept::No;
            }
        }
        match record.kind {
            RecordKind::Node => {
                let says = |said: Option<NodeRecord>| said.map(|said| (said.member(), said.communities().collect()));
                let belonging: Option<(_, Vec<_>)> = says(self.book.node(NodeId(record.signer)));
                self.changed |= says(said_before) != belonging;
                if record.signer != ctx.node.0 {
                    self.new_nodes.insert(NodeId(record.signer));
                }
            }
            RecordKind::NodeCertificate | RecordKind::Membership | RecordKind::Revocation => self.changed = true,
            _ => {}
        }
        self.keeping.note(ctx, *outline.name());
        Kept::News
    }

    /// Rows that wait to be written; whoever takes them writes them.
    pub(crate) fn take_rows(&mut self) -> Rows {
        self.keeping.take_rows(&self.book)
    }

    /// The last write ended: who waited for it is answered.
    pub(crate) fn on_last_write(&mut self, ctx: &mut Context, result: &Result<(), Failure>) {
        self.keeping.on_last_write(ctx, result);
    }

    /// An answer of the store. Returns whether it was for us.
    pub fn on_store_done(&mut self, ctx: &mut Context, command: CommandId, result: &Result<(), Failure>) -> bool {
        self.keeping.on_done(ctx, command, result)
    }

    /// Does what is due.
    pub fn on_tick(&mut self, ctx: &mut Context) {
        let now = ctx.now;
        let due = |at: &Option<Timestamp>| at.is_some_and(|at| at <= now);
        if due(&self.own_due) {
            self.own_due = None;
            self.sign_own_record(ctx);
        }
        self.keeping.run(ctx, &self.book);
        if due(&self.held_due) {
            self.held_due = None;
            self.tell_holdings(ctx);
        }
        if due(&self.next_gossip) {
            self.gossip(ctx);
        }
        if due(&self.ask_others_at) {
            self.want_from_all(ctx);
        }
        if due(&self.rumours.deadline()) {
            self.spread(ctx);
        }
        if due(&self.next_comparison()) {
            self.compare_next(ctx);
        }
    }

    /// When something is due.
    #[must_use]
    pub fn deadline(&self) -> Option<(Timestamp, WakeReason)> {
        [
            self.own_due.map(|at| (at, "sign our record")),
            self.keeping.deadline(),
            self.held_due.map(|at| (at, "tell holdings")),
            self.next_gossip.map(|at| (at, "compare records now and then")),
            self.ask_others_at.map(|at| (at, "ask others for records")),
            self.rumours.deadline().map(|at| (at, "pass on news")),
            self.next_comparison().map(|at| (at, "compare records")),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// What a connected peer said of itself.
    #[must_use]
    pub fn hello_of(&self, node: NodeId) -> Option<&PeerHello> {
        self.connected.get(&node)?.hello.as_ref()
    }

    /// When it last did.
    #[must_use]
    pub fn greeted_at(&self, node: NodeId) -> Option<Timestamp> {
        self.connected.get(&node).filter(|peer| peer.hello.is_some()).map(|peer| peer.greeted_at)
    }

    /// Where a node says it is reachable.
    #[must_use]
    pub fn addresses_of(&self, node: NodeId) -> Vec<String> {
        self.book.node(node).map(|record| record.addresses).unwrap_or_default()
    }

    /// A word for each bucket of what is known: equal for nodes that know the same.
    #[must_use]
    pub fn summary(&self) -> Vec<u64> {
        self.book.summary()
    }

    /// How many nodes are known by record.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.book.node_count()
    }

    /// Nodes known by record.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.book.nodes()
    }

    /// Nodes whose record is new since the last call.
    pub fn take_new_nodes(&mut self) -> Vec<NodeId> {
        std::mem::take(&mut self.new_nodes).into_iter().collect()
    }

    /// Whether certificates changed since the last call.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Whether a peer sent too many bad signatures.
    #[must_use]
    pub fn is_liar(&self, node: NodeId) -> bool {
        self.connected.get(&node).is_some_and(|peer| peer.bad_signatures >= BAD_SIGNATURES_MAX)
    }
}
