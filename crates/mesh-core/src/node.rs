//! The node: composes the small machines and routes what happens to the one concerned.
//!
//! Read [`Node::handle`] first: it is the list of all that can happen.

use std::collections::{BTreeMap, BTreeSet};

use mesh_analytics::Counters;
use mesh_fair::Discipline;
use mesh_proto::port::store::{DiskUsage, StoreCommand, StoreInput};
use mesh_proto::port::view::GcView;
use mesh_proto::port::{Event, Input, KeysInput, Output, UserRequestId};
use mesh_proto::{CommandId, ContentId, Machine, NodeId, Timestamp, WakeReason};

use crate::Context;
use crate::absent::Absent;
use crate::announce::Announcements;
use crate::config::BrainConfig;
use crate::contents::Contents;
use crate::interest::Interests;
use crate::peers::{FoundBy, Peers};
use crate::records::{Records, RecordsConfig};
use crate::serve::Serving;
use crate::settings::Settings;
use crate::spread::Spread;
use crate::stop::Unsaved;
use crate::strangers::Strangers;
use crate::transfer::{Around, Transfers};

/// A command whose answer ends a person's request.
#[derive(Debug, Clone)]
pub(crate) enum Pending {
    /// A share is being hashed.
    Share { request: UserRequestId, path: String, wishes: crate::sharing::Wishes },
    /// A shared content's row is being written.
    ShareRow { request: UserRequestId, content: ContentId },
    /// A quota is being written down.
    Quota { request: UserRequestId, view: GcView },
    /// A request that is just done or not.
    Plain { request: UserRequestId },
    /// What is here is being copied elsewhere.
    Copy { request: UserRequestId, content: ContentId, path: String },
    /// A content is hashed again.
    Verify { request: UserRequestId, content: ContentId, target: Option<String> },
    /// What is here of a content somebody wants is looked at.
    Look { request: UserRequestId, content: ContentId, order: crate::transfer::Order },
    /// What was found changed or away is looked at again.
    Return { content: ContentId },
    /// A finished transfer's rows are being written.
    Complete { report: Box<mesh_proto::port::view::GetReport> },
    /// The disk's figures, for a person.
    Doctor { request: UserRequestId },
    /// The last rows of this process are being written.
    Stop,
    /// A content is being removed; without a request by collection.
    Remove { request: Option<UserRequestId>, content: Box<crate::contents::Content> },
    /// Nothing to tell.
    Quiet,
}

/// The brain of a node. See the module.
#[derive(Debug)]
pub struct Node {
    pub(crate) ctx: Context,
    pub(crate) config: BrainConfig,
    pub(crate) opened: bool,
    pub(crate) own_keys: OwnKeys,
    pub(crate) listening: BTreeSet<String>,
    pub(crate) listen_failures: BTreeMap<String, String>,
    pub(crate) repairs: Vec<String>,
    pub(crate) found_by_mdns: u64,
    pub(crate) peers: Peers,
    pub(crate) strangers: Strangers,
    pub(crate) absent: Absent,
    pub(crate) records: Records,
    pub(crate) contents: Contents,
    pub(crate) transfers: Transfers,
    pub(crate) serving: Serving,
    pub(crate) interests: Interests,
    pub(crate) spread: Spread,
    pub(crate) announcements: Announcements,
    pub(crate) settings: Settings,
    pub(crate) counters: Counters,
    pub(crate) pending: BTreeMap<CommandId, Pending>,
    /// Manifest pages being read for peers.
    pub(crate) pages_for_peers: BTreeMap<CommandId, (NodeId, ContentId, mesh_proto::PageId)>,
    /// Requests that came before the store was open.
    pub(crate) early: Vec<(UserRequestId, mesh_proto::port::UserCommand)>,
    pub(crate) usage: DiskUsage,
    pub(crate) unsaved: Unsaved,
    pub(crate) stopping: bool,
    /// When the parts that were not looked at since must be.
    due: Option<(Timestamp, WakeReason)>,
}

/// What may follow from an input, besides what falls due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Follows {
    /// Anything.
    Anything,
    /// Something may go to those who fetch here.
    Grants,
    /// Nothing.
    Nothing,
}

/// Public keys of this node.
#[derive(Debug, Clone, Default)]
pub(crate) struct OwnKeys {
    pub(crate) member: Option<[u8; 32]>,
    pub(crate) communities: Vec<[u8; 32]>,
}

impl Node {
    /// A brain that has seen nothing yet. All its randomness comes from `seed`.
    #[must_use]
    pub fn new(config: BrainConfig, seed: [u8; 32]) -> Self {
        let discipline = config.discipline.parse().unwrap_or(Discipline::DeficitRoundRobin);
        let records = Records::new(RecordsConfig {
            node_name: config.node_name.clone(),
            agent: config.agent.clone(),
            gossip_interval_ms: config.gossip_interval_ms,
        });
        Self {
            ctx: Context::new(seed),
            opened: false,
            own_keys: OwnKeys::default(),
            listening: BTreeSet::new(),
            listen_failures: BTreeMap::new(),
            repairs: Vec::new(),
            found_by_mdns: 0,
            peers: Peers::new(&config.seeds),
            strangers: Strangers::default(),
            absent: Absent::default(),
            records,
            contents: Contents::default(),
            transfers: Transfers::new(config.kademlia),
            serving: Serving::new(discipline, Timestamp::ZERO),
            interests: Interests::default(),
            spread: Spread::default(),
            announcements: Announcements::default(),
            settings: Settings::from_config(&config),
            counters: Counters::default(),
            pending: BTreeMap::new(),
            pages_for_peers: BTreeMap::new(),
            early: Vec::new(),
            usage: DiskUsage::default(),
            unsaved: Unsaved::default(),
            stopping: false,
            due: None,
            config,
        }
    }

    /// The same with a defect, for a test that must find it.
    #[cfg(feature = "planted")]
    #[must_use]
    pub fn with_defect(mut self, defect: Option<mesh_proto::planted::Defect>) -> Self {
        self.ctx.planted = mesh_proto::planted::Planted::new(defect);
        self
    }

    fn on_keys(&mut self, input: &KeysInput) {
        if let KeysInput::Loaded { node, member, communities } = input {
            self.ctx.node = NodeId(*node);
            self.own_keys = OwnKeys { member: *member, communities: communities.clone() };
            return;
        }
        self.records.on_keys(&mut self.ctx, input);
    }

    pub(crate) fn ask_usage(&mut self, request: Option<UserRequestId>) {
        let command = self.ctx.command_id();
        if let Some(request) = request {
            self.pending.insert(command, Pending::Doctor { request });
        }
        self.ctx.store(StoreCommand::Usage { command });
    }

    fn on_store(&mut self, input: StoreInput) {
        if self.transfers.on_store(&mut self.ctx, &input) {
            return;
        }
        match input {
            StoreInput::Opened { rows, contents, repairs } => self.on_opened(&rows, &contents, &repairs),
            StoreInput::Progress { command, done_bytes, total_bytes } => {
                if let Some(Pending::Share { path, .. }) = self.pending.get(&command) {
                    let path = path.clone();
                    self.ctx.report(Event::ShareProgress { path, done_bytes, total_bytes });
                }
            }
            StoreInput::Shared { command, result } => self.on_shared(command, result),
            StoreInput::Done { command, result } => {
                if !self.records.on_store_done(&mut self.ctx, command, &result) {
                    self.on_done(command, &result);
                }
            }
            StoreInput::Verified { command, result } => self.on_verified(command, result),
            StoreInput::Looked { command, look } => match self.pending.remove(&command) {
                Some(Pending::Look { request, content, order }) => self.on_looked(request, content, order, look),
                Some(Pending::Return { content }) => self.on_looked_again(content, &look),
                _ => {}
            },
            StoreInput::Usage { command, usage } => {
                self.usage = usage;
                if let Some(Pending::Doctor { request }) = self.pending.remove(&command) {
                    self.reply_doctor(request);
                }
            }
            StoreInput::PageRead { command, bytes } => self.on_page_for_peer(command, bytes),
            StoreInput::Changed { content, why } => {
                self.absent.add(self.ctx.now, content);
                self.on_changed(content, why);
            }
            StoreInput::Receiving { .. }
            | StoreInput::ListingChecked { .. }
            | StoreInput::PagePut { .. }
            | StoreInput::Finished { .. } => {}
        }
    }

    pub(crate) fn on_changed(&mut self, content: ContentId, why: String) {
        let Some(known) = self.contents.find_mut(content) else { return };
        if known.changed.is_none() {
            known.changed = Some(why.clone());
            self.records.set_holding(&mut self.ctx, content, false);
            self.interests.changed(&self.ctx, content, true);
            self.ctx.report(Event::ContentChanged { content, why });
        }
    }

    /// What follows from everything that was handled: dials, requests, grants, news.
    fn run(&mut self) {
        for node in self.records.take_new_nodes() {
            let addresses = self.records.addresses_of(node);
            self.peers.learn(node, &addresses, FoundBy::Gossip);
            self.peers.be_polite(&self.ctx, node);
        }
        self.records.on_tick(&mut self.ctx);
        self.peers.run(&mut self.ctx);
        let mut around = Around { peers: &mut self.peers, records: &self.records };
        self.transfers.run(&mut self.ctx, &mut around);
        self.take_completed();
        self.end_seeding();
        self.look_again();
        if self.records.take_changed() {
            self.recheck_access();
            self.strangers.recheck();
        }
        self.refuse_strangers();
        self.tell_interested();
        if self.config.kademlia {
            let heard = self.peers.connected().len() > 0;
            self.announcements.run(&mut self.ctx, &self.contents, heard);
        }
        self.give();
        self.save_counters();
        self.due = [
            self.peers.deadline(),
            self.records.deadline(),
            self.transfers.deadline(&self.ctx),
            self.strangers.deadline(),
            self.absent.deadline(),
            self.interests.deadline(),
            self.announcements.deadline(),
        ]
        .into_iter()
        .flatten()
        .min();
    }

    /// What follows from what was heard of those who fetch here. It is most of what a node hears that gives much, so it
    /// touches nothing else.
    fn give(&mut self) {
        self.serving.run(&mut self.ctx);
        self.count();
    }

    /// When something besides the serving falls due.
    fn rest_deadline(&self) -> Option<(Timestamp, WakeReason)> {
        self.due.into_iter().chain(self.counters_deadline()).min()
    }

    /// Closes connections of strangers beyond their limit.
    fn refuse_strangers(&mut self) {
        let Self { ctx, peers, records, transfers, strangers, .. } = self;
        strangers.run(ctx, |ctx, node| {
            !peers.is_needed(ctx.now, node) && !transfers.is_source(node) && !records.is_acquainted(ctx, node)
        });
    }

    /// Contents whose time of seeding is over are no longer offered.
    fn end_seeding(&mut self) {
        for content in self.contents.take_ended(self.ctx.unix()) {
            self.records.set_holding(&mut self.ctx, content, false);
            self.interests.changed(&self.ctx, content, true);
        }
    }

    /// Moves what the parts counted into the counters, by link class.
    pub(crate) fn count(&mut self) {
        for (node, bytes) in self.transfers.received.drain(..) {
            let class = self.peers.on_received(node, bytes);
            crate::count::received(&mut self.counters, class, bytes);
            self.unsaved.dirty = true;
        }
        for (node, bytes) in self.serving.receipted.drain(..) {
            let class = self.peers.on_sent(node, bytes);
            crate::count::sent(&mut self.counters, class, bytes);
            self.unsaved.dirty = true;
        }
        self.unsaved.dirty |= crate::count::events(&mut self.counters, &mut self.ctx);
    }
}

impl Machine for Node {
    type Input = Input;
    type Output = Output;

    fn handle(&mut self, now: Timestamp, input: Input) {
        debug_assert!(self.ctx.is_drained(), "outputs must be drained before the next input");
        self.ctx.now = now;
        let mut follows = Follows::Anything;
        match input {
            Input::Net(input) => follows = self.on_net(input),
            Input::Store(input) => self.on_store(input),
            Input::Keys(input) => self.on_keys(&input),
            Input::User { request, .. } if self.stopping => self.refuse_as_stopping(request),
            Input::User { request, command } if !self.opened => self.early.push((request, command)),
            Input::User { request, command } => self.on_user(request, command),
            Input::Clock { unix, trusted } => self.ctx.set_clock(unix, trusted),
            Input::Tick => {}
            Input::Stop => self.on_stop(),
        }
        if !self.opened || self.stopping {
            return;
        }
        let is_due = self.rest_deadline().is_some_and(|(at, _)| at <= now);
        match follows {
            Follows::Nothing if !is_due => {}
            Follows::Grants if !is_due => self.give(),
            _ => self.run(),
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.ctx.pop()
    }

    fn poll_timeout(&self) -> Option<(Timestamp, WakeReason)> {
        if !self.opened || self.stopping {
            return None;
        }
        self.rest_deadline().into_iter().chain(self.serving.deadline()).min()
    }
}
