//! Who asked us what we hold of a content, and is told when that changes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mesh_proto::extensions::Extensions;
use mesh_proto::limits::{CHUNK_SET_RANGES_MAX, OTHERS_PER_HAVE_MAX};
use mesh_proto::message::{Have, Holding, Message};
use mesh_proto::record::Access;
use mesh_proto::{ContentId, NodeId, Timestamp, WakeReason};

use crate::Context;

/// Contents one peer may be interested in at once; more are answered but not followed up.
const INTERESTS_PER_PEER_MAX: usize = 1024;
/// Partial holdings are told at most so often.
const TELL_EVERY: Duration = Duration::from_millis(500);

/// The interests of connected peers. See the module.
#[derive(Debug, Default)]
pub struct Interests {
    by_content: BTreeMap<ContentId, BTreeSet<NodeId>>,
    by_node: BTreeMap<NodeId, BTreeSet<ContentId>>,
    due: BTreeMap<ContentId, Timestamp>,
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
    pub fn add(&mut self, node: NodeId, content: ContentId) {
        let mine = self.by_node.entry(node).or_default();
        if mine.len() < INTERESTS_PER_PEER_MAX {
            mine.insert(content);
            self.by_content.entry(content).or_default().insert(node);
        }
    }

    /// A peer no longer wants to know.
    pub fn remove(&mut self, node: NodeId, content: ContentId) {
        if let Some(contents) = self.by_node.get_mut(&node) {
            contents.remove(&content);
        }
        if let Some(nodes) = self.by_content.get_mut(&content) {
            nodes.remove(&node);
            if nodes.is_empty() {
                self.by_content.remove(&content);
            }
        }
    }

    /// A peer's last connection ended.
    pub fn on_disconnected(&mut self, node: NodeId) {
        for content in self.by_node.remove(&node).unwrap_or_default() {
            if let Some(nodes) = self.by_content.get_mut(&content) {
                nodes.remove(&node);
                if nodes.is_empty() {
                    self.by_content.remove(&content);
                }
            }
        }
    }

    /// More (or less) of a content is here: those interested are told soon, at once if `urgent`.
    pub fn changed(&mut self, ctx: &Context, content: ContentId, urgent: bool) {
        if self.by_content.contains_key(&content) {
            let at = if urgent { ctx.now } else { ctx.now.after(TELL_EVERY) };
            let due = self.due.entry(content).or_insert(at);
            *due = (*due).min(at);
        }
    }

    /// Answers one peer.
    pub fn answer(&self, ctx: &mut Context, node: NodeId, content: ContentId, offer: Option<Offer>, others: &[NodeId]) {
        let (holding, access) = match offer {
            Some(offer) => (shortened(offer.holding), offer.access),
            None => (Holding::None, Access::Ticket),
        };
        let interested = self.by_content.get(&content).into_iter().flatten().copied();
        let mut named: BTreeSet<NodeId> = interested.chain(others.iter().copied()).collect();
        named.remove(&node);
        named.remove(&ctx.node);
        let others = named.into_iter().take(OTHERS_PER_HAVE_MAX).collect();
        let have = Have { content, holding, access, others, extensions: Extensions::default() };
        ctx.send(node, Message::Have(have));
    }

    /// The contents of which news is due, with those to tell.
    pub fn take_due(&mut self, now: Timestamp) -> Vec<(ContentId, Vec<NodeId>)> {
        let due: Vec<ContentId> = self.due.iter().filter(|(_, at)| **at <= now).map(|(content, _)| *content).collect();
        due.into_iter()
            .map(|content| {
                self.due.remove(&content);
                (content, self.by_content.get(&content).into_iter().flatten().copied().collect())
            })
            .collect()
    }

    /// When news is due.
    #[must_use]
    pub fn deadline(&self) -> Option<(Timestamp, WakeReason)> {
        self.due.values().min().map(|at| (*at, "tell what is here"))
    }
}

fn shortened(holding: Holding) -> Holding {
    match holding {
        Holding::Partial(chunks) => Holding::Partial(chunks.truncated(CHUNK_SET_RANGES_MAX)),
        other => other,
    }
}
