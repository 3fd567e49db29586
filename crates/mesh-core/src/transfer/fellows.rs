//! With whom a transfer trades: of all that may hold the content, those its ticket names and some of the others.
//!
//! Each node asks a few that it draws, and asks back those that ask it, so that a crowd of any size is a random net in
//! which everybody has enough sources and nobody is asked by all.
//!
//! Invariant: everything here is bounded, whatever peers name.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mesh_proto::extensions::Extensions;
use mesh_proto::message::{Find, HaveRequest, Holding, Message};
use mesh_proto::{ContentId, NodeId, Timestamp};

use super::state::Transfer;
use super::{Around, Transfers};
use crate::Context;
use crate::peers::{FoundBy, Peer};

/// Sources drawn at first …
const DRAWN_MIN: usize = 16;
/// … and one more each time so long has passed: who is still not done can use more …
const DRAWN_AGAIN: Duration = Duration::from_secs(4);
/// … up to so many.
const DRAWN_MAX: usize = 40;
/// Of those known one in so many is drawn at once: when a crowd begins all at once few are known, and would be drawn by
/// all the others that began as early.
const DRAWN_PART: usize = 4;
/// Sources beyond those that asked us first.
const CALLERS_MAX: usize = 16;
/// Nodes remembered that fetch or hold the same.
const KNOWN_MAX: usize = 256;
/// Who was drawn is to be connected within this time.
const COURT: Duration = Duration::from_secs(10);
/// A source that holds nothing counts for so long: in the beginning nobody holds anything.
const EMPTY_HANDED: Duration = Duration::from_secs(5);
/// Connected peers are asked again so often while nobody is found.
const LOOK_AGAIN: Duration = Duration::from_secs(20);
/// A peer that was asked what it holds and said nothing is asked again after so long.
const ASK_AGAIN: Duration = Duration::from_secs(60);
/// Whom to ask is looked at no more often than this, unless somebody came or was named.
pub(super) const SEEK_EVERY: Duration = Duration::from_millis(100);
/// The round trip to a source before one was measured.
const RTT_ASSUMED_US: u64 = 1000;
/// Nodes remembered that looked for the content before any of it was here.
const SEEKERS_MAX: usize = 64;

/// The others that fetch or hold a content. See the module.
#[derive(Debug, Clone, Default)]
pub struct Fellows {
    known: BTreeSet<NodeId>,
    /// Those of them that turned to us.
    callers: BTreeSet<NodeId>,
    /// Drawn, and not connected yet: since when.
    courted: BTreeMap<NodeId, Timestamp>,
    /// When some were drawn last.
    drew: Option<Timestamp>,
    sought: Option<Timestamp>,
    /// How many peers were connected then.
    connected: usize,
    /// Whether something changed since.
    again: bool,
}

impl Fellows {
    /// All that are known.
    pub fn known(&self) -> impl Iterator<Item = &NodeId> {
        self.known.iter()
    }

    fn add(&mut self, node: NodeId) -> bool {
        self.known.contains(&node) || (self.known.len() < KNOWN_MAX && self.known.insert(node))
    }

    /// When whom to ask is to be looked at again.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.sought.filter(|_| self.again).map(|sought| sought.after(SEEK_EVERY))
    }

    /// Whether to look now whom to ask. Notes that it is done.
    fn is_due(&mut self, now: Timestamp, connected: usize) -> bool {
        let is_early = self.sought.is_some_and(|sought| now.since(sought) < SEEK_EVERY);
        if is_early && connected == self.connected {
            self.again = true;
            return false;
        }
        (self.sought, self.connected, self.again) = (Some(now), connected, false);
        true
    }

    /// How many of so many that are known may be drawn now. Notes that it is done.
    fn may_draw(&mut self, now: Timestamp, known: usize) -> usize {
        self.again |= known > 0;
        match self.drew.is_some_and(|drew| now.since(drew) < SEEK_EVERY) || known == 0 {
            true => 0,
            false => {
                self.drew = Some(now);
                known.div_ceil(DRAWN_PART)
            }
        }
    }
}

/// How many sources a transfer of this age draws.
fn drawn(age: Duration) -> usize {
    let more = age.as_millis() / DRAWN_AGAIN.as_millis();
    DRAWN_MIN.saturating_add(usize::try_from(more).unwrap_or(usize::MAX)).min(DRAWN_MAX)
}

/// Takes so many of a list at random.
fn draw(nodes: &mut Vec<NodeId>, count: usize, mut random_below: impl FnMut(u64) -> u64) -> Vec<NodeId> {
    let count = count.min(nodes.len());
    (0..count)
        .map(|_| {
            let which = usize::try_from(random_below(nodes.len() as u64)).unwrap_or(0);
            nodes.swap_remove(which.min(nodes.len() - 1))
        })
        .collect()
}

impl Transfers {
    /// A peer says that it holds some of what we look for: it may be asked.
    pub fn on_found(&mut self, ctx: &Context, node: NodeId, key: &[u8; 32]) {
        if let Some(transfer) = self.transfers.values_mut().find(|transfer| transfer.key == *key) {
            transfer.add_fellow(ctx.node, node);
        }
    }

    /// A peer asks what we hold of a content: if we fetch it, so does it most likely.
    pub fn on_asked(&mut self, ctx: &Context, node: NodeId, content: ContentId) {
        if let Some(transfer) = self.transfers.get_mut(&content) {
            transfer.add_caller(ctx.node, node);
        }
    }

    /// A peer looked for a content that is being fetched and of which nothing is here: it is told when something is.
    pub fn on_sought_in_vain(&mut self, node: NodeId, content: ContentId) {
        if let Some(transfer) = self.transfers.get_mut(&content).filter(|transfer| transfer.seekers.len() < SEEKERS_MAX)
        {
            transfer.seekers.insert(node);
        }
    }

    /// Asks peers that may hold the content what they hold: those its ticket names, and of those that list it, that other
    /// sources name, that answered to its discovery key or asked us for it, a few. Nobody else learns its id.
    pub(super) fn find_holders(&mut self, ctx: &mut Context, content: ContentId, around: &mut Around<'_>) {
        let Some(transfer) = self.transfers.get_mut(&content) else { return };
        if !transfer.fellows.is_due(ctx.now, around.peers.connected().len()) {
            return;
        }
        let mut wanted: BTreeSet<NodeId> = Self::ticket_nodes(&transfer.order).into_iter().collect();
        transfer.choose_fellows(ctx, around, &wanted);
        wanted.extend(transfer.fellows.courted.keys());
        let asked = transfer.sources.iter().filter(|(_, source)| source.asked && !source.banned && !source.denied);
        wanted.extend(asked.map(|(node, _)| *node));
        wanted.remove(&ctx.node);
        for node in wanted {
            transfer.ask_what_it_holds(ctx, node, around);
        }
        transfer.look_around(ctx, around);
        transfer.tell_whether_somebody_has_it(ctx, around);
    }
}

impl Transfer {
    /// Notes a node that may hold or fetch the same.
    pub(super) fn add_fellow(&mut self, own: NodeId, node: NodeId) {
        if node != own {
            self.fellows.add(node);
        }
    }

    fn add_caller(&mut self, own: NodeId, node: NodeId) {
        if node != own && self.fellows.add(node) && !self.sources.get(&node).is_some_and(|source| source.asked) {
            self.fellows.callers.insert(node);
        }
    }

    /// Draws whom to ask besides those that are `named`, as far as there are too few.
    fn choose_fellows(&mut self, ctx: &mut Context, around: &Around<'_>, named: &BTreeSet<NodeId>) {
        let age = ctx.now.since(self.begun);
        let counts = |holding: Option<&Holding>| !matches!(holding, Some(Holding::None)) || age < EMPTY_HANDED;
        let is_asked = |node: &NodeId| self.sources.get(node).is_some_and(|source| source.asked || source.banned);
        let active = self
            .sources
            .iter()
            .filter(|(_, source)| source.asked && !source.banned && !source.denied && counts(source.holding()))
            .count();
        let fellows = &mut self.fellows;
        for (node, since) in std::mem::take(&mut fellows.courted) {
            match ctx.now.since(since) < COURT {
                true if !is_asked(&node) => _ = fellows.courted.insert(node, since),
                true => {}
                false => _ = fellows.known.remove(&node),
            }
        }
        let wanted = drawn(age);
        for node in std::mem::take(&mut fellows.callers) {
            if active + fellows.courted.len() < wanted + CALLERS_MAX && !is_asked(&node) {
                fellows.courted.insert(node, ctx.now);
            }
        }
        let missing = wanted.saturating_sub(active + fellows.courted.len());
        if missing == 0 {
            return;
        }
        let mut pool: BTreeSet<NodeId> = around.records.holders(self.content).into_iter().collect();
        pool.extend(around.records.publishers(self.content));
        pool.extend(&fellows.known);
        let is_new = |node: &NodeId| {
            *node != ctx.node && !named.contains(node) && !is_asked(node) && !fellows.courted.contains_key(node)
        };
        let mut pool: Vec<NodeId> = pool.into_iter().filter(is_new).collect();
        let count = fellows.may_draw(ctx.now, pool.len()).min(missing);
        for node in draw(&mut pool, count, |bound| ctx.random_below(bound)) {
            fellows.courted.insert(node, ctx.now);
        }
    }

    fn ask_what_it_holds(&mut self, ctx: &mut Context, node: NodeId, around: &mut Around<'_>) {
        if !around.peers.is_connected(node) {
            around.peers.learn(node, &around.records.addresses_of(node), FoundBy::AnotherSource);
            around.peers.need(ctx, node);
            return;
        }
        around.peers.need(ctx, node);
        let peer = around.peers.peer(node);
        let source = self.sources.entry(node).or_default();
        source.class = peer.and_then(Peer::class);
        source.rtt_us = peer.and_then(|peer| peer.dealings().rtt_us).unwrap_or(RTT_ASSUMED_US);
        source.cost_ms_per_mib = peer.and_then(Peer::cost_ms_per_mib).unwrap_or(0);
        let unanswered = source.holding().is_none() && ctx.now.since(source.asked_at) >= ASK_AGAIN;
        if (!source.asked || unanswered) && !source.banned {
            (source.asked, source.asked_at) = (true, ctx.now);
            let request = HaveRequest { content: self.content, extensions: Extensions::default() };
            ctx.send(node, Message::HaveRequest(request));
        }
    }

    /// Asks every connected peer by the content's discovery key, which tells nothing to those who do not hold it: each
    /// once, and again now and then while nobody was found.
    fn look_around(&mut self, ctx: &mut Context, around: &Around<'_>) {
        let found = self.sources.values().any(|source| source.holds_something() && !source.banned);
        let key = self.key;
        for node in around.peers.connected() {
            let asked = self.looked.get(&node).copied();
            let again = asked.is_some_and(|at| !found && ctx.now.since(at) >= LOOK_AGAIN);
            if asked.is_none() || again {
                self.looked.insert(node, ctx.now);
                ctx.send(node, Message::Find(Find { key, extensions: Extensions::default() }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_longer_it_takes_the_more_are_drawn() {
        let ages = [0, 4, 40, 4_000_000];
        assert_eq!(ages.map(|age| drawn(Duration::from_secs(age))), [16, 17, 26, 40]);
    }

    #[test]
    fn what_peers_name_is_bounded() {
        let mut fellows = Fellows::default();
        for number in 0..2000u32 {
            let mut node = NodeId([0; 32]);
            node.0[..4].copy_from_slice(&number.to_be_bytes());
            assert_eq!(fellows.add(node), (number as usize) < KNOWN_MAX);
        }
        assert_eq!(fellows.known.len(), KNOWN_MAX);
    }

    #[test]
    fn who_is_known_first_is_not_drawn_by_all() {
        let mut fellows = Fellows::default();
        let at = |ms: u64| Timestamp(1_000_000_000 + ms * 1_000_000);
        assert!(fellows.is_due(at(0), 0));
        assert_eq!(fellows.may_draw(at(0), 0), 0);
        assert_eq!(fellows.deadline(), None, "nobody is known");
        assert_eq!(fellows.may_draw(at(1), 5), 2);
        assert_eq!(fellows.deadline(), Some(at(100)));
        assert_eq!(fellows.may_draw(at(2), 9), 0, "more may be known soon");
        assert_eq!(fellows.may_draw(at(101), 60), 15);
    }

    #[test]
    fn many_changes_are_looked_at_together() {
        let mut fellows = Fellows::default();
        let at = |ms: u64| Timestamp(1_000_000_000 + ms * 1_000_000);
        assert!(fellows.is_due(at(0), 3));
        assert_eq!(fellows.deadline(), None);
        assert!(!fellows.is_due(at(20), 3));
        assert_eq!(fellows.deadline(), Some(at(100)));
        assert!(fellows.is_due(at(30), 4), "somebody came");
        assert!(!fellows.is_due(at(120), 4));
        assert!(fellows.is_due(at(130), 4));
    }

    proptest! {
        #[test]
        fn a_draw_takes_what_it_says_and_leaves_the_rest(
            size in 0u8..30, count in 0usize..40, rolls in proptest::collection::vec(any::<u64>(), 40)
        ) {
            let all: Vec<NodeId> = (0..size).map(|number| NodeId([number; 32])).collect();
            let (mut left, mut rolls) = (all.clone(), rolls.into_iter());
            let drawn = draw(&mut left, count, |bound| rolls.next().unwrap_or(0) % bound.max(1));
            prop_assert_eq!(drawn.len(), count.min(all.len()));
            left.extend(drawn);
            left.sort_unstable();
            prop_assert_eq!(left, all);
        }
    }
}
