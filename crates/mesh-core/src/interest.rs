//! Who asked us what we hold of a content, and is told when that changes.
//!
//! What is held is told as a whole when it is asked for, or when something ended; chunks that came are told as news, at
//! once after a pause and else ten times a second, and now and then as a whole for those who do not know such news.
//!
//! Invariant: nothing is told of a content that nobody asked about, and no news waits longer than [`NEWS_EVERY`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mesh_proto::extensions::Extensions;
use mesh_proto::limits::{CHUNK_SET_RANGES_MAX, OTHERS_PER_HAVE_MAX};
use mesh_proto::message::{Have, HaveMore, Holding, Message};
use mesh_proto::planted::Defect;
use mesh_proto::record::Access;
use mesh_proto::{ChunkRange, ChunkSet, ContentId, NodeId, Timestamp, WakeReason};

use crate::Context;

/// Contents one peer may be interested in at once; more are answered but not followed up.
pub(crate) const INTERESTS_PER_PEER_MAX: usize = 1024;
/// Chunks that came are told at most so often.
pub const NEWS_EVERY: Duration = Duration::from_millis(100);
/// All that is held is told again so often while it grows.
const WHOLE_EVERY: Duration = Duration::from_secs(5);

/// The interests of connected peers. See the module.
#[derive(Debug, Default)]
pub struct Interests {
    by_content: BTreeMap<ContentId, Told>,
    by_node: BTreeMap<NodeId, BTreeSet<ContentId>>,
    due: BTreeSet<(Timestamp, ContentId)>,
}

/// One content that somebody asked about.
#[derive(Debug, Default)]
struct Told {
    nodes: BTreeSet<NodeId>,
    /// Chunks that came since news was told last.
    added: ChunkSet,
    news_told: Option<Timestamp>,
    /// When all is to be told again.
    whole_at: Option<Timestamp>,
    due: Option<Timestamp>,
}

/// What is to be told to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// Of which content.
    pub content: ContentId,
    /// To whom.
    pub nodes: Vec<NodeId>,
    /// What came since the last time; `None` = all that is held.
    pub added: Option<ChunkSet>,
}

/// What we hold of a content, and under which rule we give it.
#[derive(Debug, Clone)]
pub struct Offer {
    /// How much.
    pub holding: Holding,
    /// To whom.
    pub access: Access,
}

impl Interests {
    /// A peer wants to know of a content from now on.
    pub fn add(&mut self, ctx: &Context, node: NodeId, content: ContentId) {
        let mine = self.by_node.entry(node).or_default();
        if mine.len() < INTERESTS_PER_PEER_MAX || ctx.planted.is(Defect::UnboundedQueue) {
            mine.insert(content);
            self.by_content.entry(content).or_default().nodes.insert(node);
        }
    }

    /// The contents that somebody is interested in.
    pub fn contents(&self) -> impl Iterator<Item = ContentId> + '_ {
        self.by_content.keys().copied()
    }

    /// How many contents the most curious peer is interested in.
    #[must_use]
    pub fn most_of_a_peer(&self) -> usize {
        self.by_node.values().map(BTreeSet::len).max().unwrap_or(0)
    }

    /// A peer no longer wants to know.
    pub fn remove(&mut self, node: NodeId, content: ContentId) {
        if let Some(contents) = self.by_node.get_mut(&node) {
            contents.remove(&content);
        }
        self.forget(node, content);
    }

    /// A peer's last connection ended.
    pub fn on_disconnected(&mut self, node: NodeId) {
        for content in self.by_node.remove(&node).unwrap_or_default() {
            self.forget(node, content);
        }
    }

    fn forget(&mut self, node: NodeId, content: ContentId) {
        let Some(told) = self.by_content.get_mut(&content) else { return };
        told.nodes.remove(&node);
        if told.nodes.is_empty() {
            let due = told.due;
            self.by_content.remove(&content);
            if let Some(at) = due {
                self.due.remove(&(at, content));
            }
        }
    }

    /// How many peers want to know of a content.
    #[must_use]
    pub fn count(&self, content: ContentId) -> usize {
        self.by_content.get(&content).map_or(0, |told| told.nodes.len())
    }

    /// What is held of a content is another: those interested are told all of it, soon, or at once if `urgent`.
    pub fn changed(&mut self, ctx: &Context, content: ContentId, urgent: bool) {
        let at = if urgent { ctx.now } else { ctx.now.after(NEWS_EVERY) };
        self.set(content, |told| told.whole_at = Some(told.whole_at.map_or(at, |known| known.min(at))));
    }

    /// More of a content is here.
    pub fn grew(&mut self, ctx: &Context, content: ContentId, chunks: ChunkRange) {
        if chunks.count > 0 {
            self.set(content, |told| {
                told.added.insert(chunks);
                told.whole_at.get_or_insert(ctx.now.after(WHOLE_EVERY));
            });
        }
    }

    /// Changes what is to be told of a content, and when.
    fn set(&mut self, content: ContentId, change: impl FnOnce(&mut Told)) {
        let Some(told) = self.by_content.get_mut(&content) else { return };
        change(told);
        let is_new = !told.added.is_empty();
        let news_at = is_new.then(|| told.news_told.map_or(Timestamp::ZERO, |at| at.after(NEWS_EVERY)));
        let due = [news_at, told.whole_at].into_iter().flatten().min();
        let before = std::mem::replace(&mut told.due, due);
        if before != due {
            if let Some(at) = before {
                self.due.remove(&(at, content));
            }
            self.due.extend(due.map(|at| (at, content)));
        }
    }

    /// Answers one peer with all that is held.
    pub fn answer(&self, ctx: &mut Context, node: NodeId, content: ContentId, offer: Option<Offer>, others: &[NodeId]) {
        let (holding, access) = match offer {
            Some(offer) => (shortened(offer.holding), offer.access),
            None => (Holding::None, Access::Ticket),
        };
        let interested = self.by_content.get(&content).into_iter().flat_map(|told| told.nodes.iter().copied());
        let mut named: BTreeSet<NodeId> = interested.chain(others.iter().copied()).collect();
        named.remove(&node);
        named.remove(&ctx.node);
        let others = some_of(ctx, named.into_iter().collect(), OTHERS_PER_HAVE_MAX);
        let have = Have { content, holding, access, others, extensions: Extensions::default() };
        ctx.send(node, Message::Have(have));
    }

    /// What is to be told now.
    pub fn take_due(&mut self, now: Timestamp) -> Vec<News> {
        let mut news = Vec::new();
        while let Some((_, content)) = self.due.first().copied().filter(|(at, _)| *at <= now) {
            self.set(content, |told| {
                let whole = told.whole_at.is_some_and(|at| at <= now);
                let added = std::mem::take(&mut told.added);
                told.news_told = Some(now);
                told.whole_at = told.whole_at.filter(|_| !whole);
                let nodes = told.nodes.iter().copied().collect();
                news.push(News { content, nodes, added: (!whole).then_some(added) });
            });
        }
        news
    }

    /// When news is due.
    #[must_use]
    pub fn deadline(&self) -> Option<(Timestamp, WakeReason)> {
        self.due.first().map(|(at, _)| (*at, "tell what is here"))
    }
}

/// Tells one peer what came.
pub fn tell_more(ctx: &mut Context, node: NodeId, content: ContentId, added: ChunkSet, given: ChunkSet) {
    let (added, given) = (added.truncated(CHUNK_SET_RANGES_MAX / 2), given.truncated(CHUNK_SET_RANGES_MAX / 2));
    let more = HaveMore { content, added, given, extensions: Extensions::default() };
    ctx.send(node, Message::HaveMore(more));
}

/// So many of `nodes`, each as likely as another: a crowd that named the same ones to everybody would all ask those.
fn some_of(ctx: &mut Context, mut nodes: Vec<NodeId>, count_max: usize) -> Vec<NodeId> {
    while nodes.len() > count_max {
        let which = usize::try_from(ctx.random_below(nodes.len() as u64)).unwrap_or(0);
        nodes.swap_remove(which);
    }
    nodes
}

fn shortened(holding: Holding) -> Holding {
    match holding {
        Holding::Partial(chunks) => Holding::Partial(chunks.truncated(CHUNK_SET_RANGES_MAX)),
        other => other,
    }
}
