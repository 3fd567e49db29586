//! Fetching: from a ticket to a verified file, from everyone who has it.
//!
//! [`Transfers`] owns all transfers and routes what happens to the right one. Which of them are worked on is decided in
//! `queue`. The steps of one are in `step` (locate, prepare, finish), `fellows` (with whom it trades), `lookup` (who else
//! may hold it), `pages` (the manifest), `fetch` (chunks), `crowd` (how much, where many fetch the same), `steal` (from
//! the slow for the fast); what to ask next is decided by the pure functions of `plan`; a peer's side of it is `source`;
//! who holds what is kept by `holdings` and counted in `rarity`.
//!
//! Invariant: each chunk is asked of one peer at a time, so nothing is fetched twice on purpose.

mod crowd;
mod fellows;
mod fetch;
pub mod goodput;
mod holdings;
pub mod lookup;
mod orders;
mod pages;
pub mod plan;
mod queue;
pub mod rarity;
pub mod source;
pub mod state;
mod steal;
mod step;

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_fair::TokenBucket;
use mesh_proto::port::Event;
use mesh_proto::port::store::{StoreInput, StoredContent, Table};
use mesh_proto::port::view::GetReport;
use mesh_proto::{CommandId, ContentId, NodeId, PageId, Timestamp};

use crate::Context;
use crate::peers::Peers;
use crate::records::Records;
pub use fetch::{Ended, Fetched};
pub use state::Order;
use state::Transfer;

/// Listeners are told of progress at most so often.
const TELL_EVERY: Duration = Duration::from_millis(200);

/// What a command of ours to the store or the network was for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Purpose {
    Receive,
    ReadPage(PageId),
    PutPage(PageId, Vec<u8>),
    Finish,
    Fetch(NodeId),
    Save,
    Lookup,
}

/// A transfer that is done, for the rest of the brain to take over.
#[derive(Debug, Clone)]
pub struct Completed {
    /// What is here now.
    pub stored: StoredContent,
    /// What was asked for.
    pub order: Order,
    /// How it went.
    pub report: GetReport,
}

/// All transfers of a node. See the module.
#[derive(Debug)]
pub struct Transfers {
    transfers: BTreeMap<ContentId, Transfer>,
    purposes: BTreeMap<CommandId, (ContentId, Purpose)>,
    /// Contents whose completion is being written down.
    completed: Vec<Completed>,
    /// Content bytes received, to be counted by link class.
    pub received: Vec<(NodeId, u64)>,
    limit: Option<TokenBucket>,
    limit_wait: Option<Timestamp>,
    /// Whether the wider lookup may be asked.
    wider_lookup: bool,
    /// Look-ups under way.
    lookups: usize,
    room: Option<Room>,
    /// How often transfers were worked on.
    runs: u64,
    /// When they were last.
    ran: Timestamp,
}

/// What received contents may take on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// All of them together.
    pub quota_bytes: u64,
    /// What those take that may not be removed.
    pub pinned_bytes: u64,
}

/// What transfers look at beside themselves.
#[derive(Debug)]
pub struct Around<'a> {
    /// Who can be reached.
    pub peers: &'a mut Peers,
    /// Who lists and holds what.
    pub records: &'a Records,
}

impl Transfers {
    /// No transfers. `wider_lookup` says whether the wider lookup may be asked for sources.
    #[must_use]
    pub fn new(wider_lookup: bool) -> Self {
        Self {
            transfers: BTreeMap::new(),
            purposes: BTreeMap::new(),
            completed: Vec::new(),
            received: Vec::new(),
            limit: None,
            limit_wait: None,
            wider_lookup,
            lookups: 0,
            room: None,
            runs: 0,
            ran: Timestamp::ZERO,
        }
    }

    /// One transfer.
    #[must_use]
    pub fn find(&self, content: ContentId) -> Option<&Transfer> {
        self.transfers.get(&content)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.transfers.len()
    }

    /// All transfers.
    pub fn all(&self) -> impl Iterator<Item = &Transfer> {
        self.transfers.values()
    }

    /// Whether something is being fetched that this peer holds some of.
    #[must_use]
    pub fn is_source(&self, node: NodeId) -> bool {
        let sources = self.transfers.values().filter_map(|transfer| transfer.sources.get(&node));
        sources.into_iter().any(|source| source.holds_something() && !source.banned)
    }

    /// Transfers whose files are under their final name since the last call.
    pub fn take_completed(&mut self) -> Vec<Completed> {
        std::mem::take(&mut self.completed)
    }

    fn expect(&mut self, ctx: &mut Context, content: ContentId, purpose: Purpose) -> CommandId {
        let command = ctx.command_id();
        self.purposes.insert(command, (content, purpose));
        command
    }

    /// A store answer. Returns whether it was for a transfer.
    pub fn on_store(&mut self, ctx: &mut Context, input: &StoreInput) -> bool {
        let command = match input {
            StoreInput::Receiving { command, .. }
            | StoreInput::PagePut { command, .. }
            | StoreInput::PageRead { command, .. }
            | StoreInput::Finished { command, .. }
            | StoreInput::Done { command, .. } => *command,
            StoreInput::ListingChecked { content, result } => {
                return self.on_listing_checked(ctx, *content, result);
            }
            _ => return false,
        };
        let Some((content, purpose)) = self.purposes.remove(&command) else { return false };
        match (purpose, input) {
            (Purpose::Receive, StoreInput::Receiving { result, .. }) => self.on_receiving(ctx, content, result),
            (Purpose::PutPage(page, bytes), StoreInput::PagePut { result, .. }) => {
                self.on_page_put(ctx, content, page, &bytes, result);
            }
            (Purpose::ReadPage(page), StoreInput::PageRead { bytes, .. }) => {
                self.on_page_read(ctx, content, page, bytes.as_deref());
            }
            (Purpose::Finish, StoreInput::Finished { result, .. }) => self.on_finished(ctx, content, result),
            (Purpose::Save, StoreInput::Done { result, .. }) => {
                if let Some(transfer) = self.transfers.get_mut(&content) {
                    transfer.unsaved = result.is_err();
                }
            }
            _ => {}
        }
        true
    }

    /// The content being fetched that has a discovery key.
    #[must_use]
    pub fn by_discovery_key(&self, key: &[u8; 32]) -> Option<ContentId> {
        self.transfers.values().find(|transfer| transfer.key == *key).map(|transfer| transfer.content)
    }

    /// Limits receiving; 0 = no limit.
    pub fn set_limit(&mut self, ctx: &Context, bytes_per_s: u64) {
        self.limit = (bytes_per_s > 0).then(|| crate::serve::bucket(ctx.now, bytes_per_s));
        self.limit_wait = None;
    }

    /// Says what may be received at most; `None` = no limit.
    pub fn set_room(&mut self, room: Option<Room>) {
        self.room = room;
    }

    fn tell(&mut self, ctx: &mut Context, content: ContentId) {
        let Some(transfer) = self.transfers.get_mut(&content) else { return };
        if ctx.now.since(transfer.told) >= TELL_EVERY || transfer.told == Timestamp::ZERO {
            transfer.told = ctx.now;
            let view = transfer.view(ctx.now);
            ctx.report(Event::TransferProgress { transfer: view });
        }
    }
}

/// The row that ends with a transfer.
pub(crate) fn transfer_key(content: ContentId) -> (Table, Vec<u8>) {
    (Table::Transfer, content.0.to_vec())
}
