//! One transfer: what is known and here of a content that is being fetched, and what it tells people of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bincode::{Decode, Encode};
use mesh_chunk::Layout;
use mesh_proto::bulk::TrafficClass;
use mesh_proto::codec;
use mesh_proto::port::store::{Row, StoredContent, Table};
use mesh_proto::port::user::UserError;
use mesh_proto::port::view::{GetReport, SourceReport, TransferView};
use mesh_proto::record::Access;
use mesh_proto::{ChunkRange, ChunkSet, ContentId, NodeId, PageId, Timestamp};

use super::fellows::Fellows;
use super::goodput::Goodput;
use super::lookup::Lookups;
use super::rarity::Rarity;
use super::source::Source;

/// What a person asked for, as it is kept across restarts.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Order {
    /// The ticket's text.
    pub ticket: String,
    /// Where it will lie.
    pub target: String,
    /// Its name.
    pub name: String,
    /// Seconds to seed afterwards; `None` = as long as the node runs.
    pub seed_seconds: Option<u64>,
    /// Its class.
    pub class: TrafficClass,
    /// Within its class, 255 first.
    pub priority: u8,
    /// Who may have it from us, as whoever gave the manifest's root said.
    pub access: Access,
    /// Whether a person paused it.
    pub paused: bool,
    /// What earlier runs of the node counted.
    pub totals: Totals,
}

/// What a transfer cost so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
pub struct Totals {
    /// Content bytes received.
    pub received_bytes: u64,
    /// … that were here already or came twice.
    pub duplicate_bytes: u64,
    /// … that failed verification.
    pub rejected_bytes: u64,
    /// Milliseconds spent fetching.
    pub elapsed_ms: u64,
}

impl Order {
    /// The row that keeps it.
    #[must_use]
    pub fn row(&self, content: ContentId) -> Row {
        Row { table: Table::Transfer, key: content.0.to_vec(), value: codec::encode(self) }
    }

    /// Reads a row.
    #[must_use]
    pub fn from_row(row: &Row) -> Option<(ContentId, Self)> {
        let content = ContentId(row.key.as_slice().try_into().ok()?);
        Some((content, codec::decode::<Self, 65_536>(&row.value).ok()?))
    }
}

/// How far a transfer is.
#[derive(Debug, Clone, PartialEq)]
pub enum Phase {
    /// The store holds some of it from an earlier run of the node and has not looked at it yet.
    Kept,
    /// The manifest's root is not here yet.
    Locating,
    /// The store looks at what is here.
    Preparing,
    /// Pages and chunks are fetched.
    Fetching,
    /// Every chunk is here; the store checks the whole.
    Finishing,
    /// The store can't go on now; tried again at the given time.
    Blocked {
        /// Why.
        why: String,
        /// When.
        until: Timestamp,
    },
    /// It can't go on without a person.
    Failed(UserError),
}

/// One transfer. See the module.
#[derive(Debug)]
pub struct Transfer {
    /// What is fetched.
    pub content: ContentId,
    /// Its discovery key.
    pub key: [u8; 32],
    /// Peers asked by that key, and when.
    pub looked: BTreeMap<NodeId, Timestamp>,
    /// How the wider lookup was asked for it.
    pub lookups: Lookups,
    /// What was asked for.
    pub order: Order,
    /// How far it is.
    pub phase: Phase,
    /// Who gave the root in this life of the node.
    pub root_from: Option<NodeId>,
    /// How it stands in the store, once it does.
    pub stored: Option<StoredContent>,
    /// The manifest so far.
    pub layout: Option<Layout>,
    /// Bytes of a tree's listing, until it was found good: nothing behind it may be fetched.
    pub listing_pending_bytes: Option<u64>,
    /// Chunks verified and written.
    pub have: ChunkSet,
    /// Bytes of those.
    pub have_bytes: u64,
    /// Chunks neither here nor asked for.
    pub open: ChunkSet,
    /// Bytes kept aside of chunks that are not complete.
    pub aside: BTreeMap<u32, u32>,
    /// Peers asked or giving.
    pub sources: BTreeMap<NodeId, Source>,
    /// Nodes that fetch the same or hold it, as they said or others named them.
    pub fellows: Fellows,
    /// Peers that looked for it before any of it was here.
    pub seekers: BTreeSet<NodeId>,
    /// How many of those that trade hold each chunk.
    pub rarity: Rarity,
    /// How often chunks became wanted: while it stays, who has nothing for us has nothing.
    pub opened: u64,
    /// Pages being read from or written to our own store.
    pub pages_at_store: BTreeSet<PageId>,
    /// Pages our own store does not have.
    pub pages_not_here: BTreeSet<PageId>,
    /// When this run began to work on it.
    pub begun: Timestamp,
    /// When it was last told to listeners.
    pub told: Timestamp,
    /// When its totals were last written down.
    pub saved: Timestamp,
    /// Whether that failed: it is tried again.
    pub unsaved: bool,
    /// How fast it comes from all sources together.
    pub goodput: Goodput,
    /// When something to take from the slow was last looked for.
    pub stole: Timestamp,
    /// Bytes received since `rate_began`, and the rate before.
    pub rate: Rate,
    /// Whether it could go on and waits for others to be done first.
    pub queued: bool,
    /// In which run of all transfers sources were last looked for while it had to wait.
    pub looked_for: u64,
    /// Whether listeners were told that nobody has it.
    pub told_waiting: bool,
    /// What listeners were told that the store can't do, until something was done again.
    pub told_blocked: Option<String>,
    /// Whether others fetched the same when it was last looked.
    pub in_crowd: bool,
    /// Whether this repairs a content that was complete before.
    pub repair: bool,
}

/// A transfer's rate for people: over about two seconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rate {
    bytes: u64,
    began: Timestamp,
    bytes_per_s: u64,
}

impl Rate {
    /// Notes bytes.
    pub fn add(&mut self, now: Timestamp, bytes: u64) {
        self.bytes += bytes;
        let passed_ms = u64::try_from(now.since(self.began).as_millis()).unwrap_or(u64::MAX);
        if passed_ms >= 1000 {
            let fresh = self.bytes.saturating_mul(1000) / passed_ms;
            self.bytes_per_s = if self.bytes_per_s == 0 { fresh } else { (self.bytes_per_s + fresh) / 2 };
            (self.bytes, self.began) = (0, now);
        }
    }

    /// Bytes per second; before the first second is over, what came so far.
    #[must_use]
    pub fn bytes_per_s(&self, now: Timestamp) -> u64 {
        let passed_ms = u64::try_from(now.since(self.began).as_millis()).unwrap_or(u64::MAX).max(1);
        match self.bytes_per_s {
            0 => self.bytes.saturating_mul(1000) / passed_ms,
            _ if passed_ms > 3000 => self.bytes.saturating_mul(1000) / passed_ms,
            rate => rate,
        }
    }
}

impl Transfer {
    /// A transfer that has just been asked for or found again.
    #[must_use]
    pub fn new(content: ContentId, order: Order, now: Timestamp) -> Self {
        Self {
            content,
            key: content.discovery_key(),
            looked: BTreeMap::new(),
            lookups: Lookups::default(),
            order,
            phase: Phase::Locating,
            root_from: None,
            stored: None,
            layout: None,
            listing_pending_bytes: None,
            have: ChunkSet::new(),
            have_bytes: 0,
            open: ChunkSet::new(),
            aside: BTreeMap::new(),
            sources: BTreeMap::new(),
            fellows: Fellows::default(),
            seekers: BTreeSet::new(),
            rarity: Rarity::default(),
            opened: 0,
            pages_at_store: BTreeSet::new(),
            pages_not_here: BTreeSet::new(),
            begun: now,
            told: Timestamp::ZERO,
            saved: now,
            unsaved: false,
            goodput: Goodput::default(),
            stole: Timestamp::ZERO,
            rate: Rate { began: now, ..Rate::default() },
            queued: false,
            looked_for: 0,
            told_waiting: false,
            told_blocked: None,
            in_crowd: false,
            repair: false,
        }
    }

    /// Whether it should be worked on.
    #[must_use]
    pub fn is_active(&self) -> bool {
        !self.order.paused && !matches!(self.phase, Phase::Failed(_))
    }

    /// Whether it failed before anything of it was kept.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self.phase, Phase::Failed(_)) && self.stored.is_none() && !self.repair
    }

    /// Takes chunks as verified and written.
    pub fn add_verified(&mut self, chunks: ChunkRange) {
        if chunks.count == 0 {
            return;
        }
        let bytes = self.layout.as_ref().and_then(|layout| layout.bytes_of(chunks)).unwrap_or(0);
        self.have_bytes += bytes;
        self.told_blocked = None;
        self.have.insert(chunks);
        for chunk in chunks.start..chunks.end() {
            self.aside.remove(&chunk);
        }
    }

    /// Chunks that may be asked for: open, and of a tree only the listing until that is checked.
    #[must_use]
    pub fn candidates(&self) -> ChunkSet {
        let Some(layout) = &self.layout else { return ChunkSet::new() };
        let known = self.open.intersection(layout.known());
        match self.listing_pending_bytes {
            None => known,
            Some(listing_bytes) => {
                let in_listing = |chunk: &u32| layout.offset_of(*chunk).is_some_and(|offset| offset < listing_bytes);
                let chunks = known.iter().take_while(in_listing);
                chunks.map(|start| ChunkRange { start, count: 1 }).collect()
            }
        }
    }

    /// Whether every chunk is here.
    #[must_use]
    pub fn is_all_here(&self) -> bool {
        self.layout.as_ref().is_some_and(|layout| self.have.len() == layout.chunk_count())
    }

    /// Milliseconds worked on it, earlier runs included.
    #[must_use]
    pub fn elapsed_ms(&self, now: Timestamp) -> u64 {
        let working = if self.order.paused { Duration::ZERO } else { now.since(self.begun) };
        let passed = u64::try_from(working.as_millis()).unwrap_or(u64::MAX);
        self.order.totals.elapsed_ms.saturating_add(passed)
    }

    /// Its state in one word, as a list of contents shows it.
    #[must_use]
    pub fn state_in_list(&self) -> &'static str {
        match self.phase {
            _ if self.order.paused => "paused",
            Phase::Failed(_) => "failed",
            _ => "fetching",
        }
    }

    /// How it stands, for people.
    #[must_use]
    pub fn view(&self, now: Timestamp) -> TransferView {
        let total_bytes = self.stored.as_ref().map_or(0, |stored| stored.total_bytes);
        let giving = self.sources.values().filter(|source| !source.fetches.is_empty()).count();
        let holders = self.sources.values().filter(|source| source.holds_something() && !source.banned).count();
        // What came before it was stopped says nothing of how it goes on.
        let goes_on = !self.order.paused && matches!(self.phase, Phase::Fetching | Phase::Preparing) && !self.queued;
        let rate = if goes_on { self.rate.bytes_per_s(now) } else { 0 };
        let left = total_bytes.saturating_sub(self.have_bytes);
        let (state, waiting_for) = match &self.phase {
            _ if self.order.paused => ("paused", String::new()),
            Phase::Kept => ("waiting", "its turn".to_owned()),
            Phase::Locating | Phase::Fetching | Phase::Blocked { .. } if self.queued => {
                ("waiting", "its turn".to_owned())
            }
            Phase::Locating if holders == 0 => ("waiting", "a peer that has it".to_owned()),
            Phase::Locating | Phase::Preparing => ("manifest", String::new()),
            Phase::Fetching if holders == 0 => ("waiting", "a peer that has it".to_owned()),
            Phase::Fetching => ("fetching", String::new()),
            Phase::Finishing => ("finishing", String::new()),
            Phase::Blocked { why, .. } => ("waiting", why.clone()),
            Phase::Failed(error) => ("failed", error.message.clone()),
        };
        TransferView {
            content_id: self.content,
            name: self.order.name.clone(),
            state: state.to_owned(),
            done_bytes: self.have_bytes,
            total_bytes,
            rate_bytes_per_s: rate,
            sources: u32::try_from(giving).unwrap_or(u32::MAX),
            holders: u32::try_from(holders).unwrap_or(u32::MAX),
            left_ms: (rate > 0 && total_bytes > 0).then(|| left.saturating_mul(1000) / rate),
            waiting_for,
        }
    }

    /// How it went, when complete.
    #[must_use]
    pub fn report(&self, now: Timestamp, stored: &StoredContent) -> GetReport {
        let sources = self.sources.iter().filter(|(_, source)| source.verified_bytes + source.wasted_bytes > 0);
        let given: u64 = self.sources.values().map(|source| source.verified_bytes).sum();
        GetReport {
            content_id: self.content,
            path: stored.path.clone(),
            name: self.order.name.clone(),
            size_bytes: stored.total_bytes,
            blake3: hex(&stored.whole_hash),
            received_bytes: self.order.totals.received_bytes,
            earlier_bytes: stored.total_bytes.saturating_sub(given),
            duplicate_bytes: self.order.totals.duplicate_bytes,
            rejected_bytes: self.order.totals.rejected_bytes,
            chunks: stored.chunk_count,
            elapsed_ms: self.elapsed_ms(now),
            sources: sources
                .map(|(node, source)| SourceReport {
                    node: *node,
                    class: source.class,
                    bytes: source.verified_bytes,
                    wasted_bytes: source.wasted_bytes,
                    banned: source.banned,
                })
                .collect(),
            seeding: self.order.seed_seconds != Some(0),
        }
    }
}

/// Lower-case hex digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
