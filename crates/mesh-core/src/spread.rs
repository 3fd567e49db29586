//! What a node that holds all of a content gives to a crowd: who is told what others were given, so that each asks for
//! something else and the crowd has all of it after it left here once.
//!
//! Only advice: nobody is refused anything, so shares of the uplink are as without it. It costs no message of its own
//! but at the request of the peer that gets it.
//!
//! Invariant: a peer is never told that what it asked for first itself is given to others.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use mesh_proto::{ChunkRange, ChunkSet, ContentId, NodeId, Timestamp};

use crate::interest::NEWS_EVERY;

/// So many peers that ask about a content are a crowd.
pub const CROWD_MIN: usize = 2;
/// What was given is had by others for sure after so long, or lost.
const GIVEN_FOR: Duration = Duration::from_secs(1);
/// Requests remembered of one content.
const GIVEN_MAX: usize = 1024;
/// Contents given to crowds at once; others are given without advice.
const CONTENTS_MAX: usize = 64;

/// The advice. See the module.
#[derive(Debug, Default)]
pub struct Spread {
    contents: BTreeMap<ContentId, Giving>,
}

/// One content.
#[derive(Debug, Default)]
struct Giving {
    /// Who asked for what first, oldest first.
    given: VecDeque<Given>,
    /// How many were dropped from the front of those.
    dropped: u64,
    /// Up to which of all each peer was told, and when.
    told: BTreeMap<NodeId, (u64, Timestamp)>,
}

#[derive(Debug, Clone, Copy)]
struct Given {
    node: NodeId,
    chunks: ChunkRange,
    at: Timestamp,
}

impl Spread {
    /// A peer of a crowd asked for these chunks, of which `waiting` are under way to others. Gives what it is to be told.
    pub fn on_asked(
        &mut self,
        now: Timestamp,
        content: ContentId,
        node: NodeId,
        chunks: ChunkRange,
        waiting: &ChunkSet,
    ) -> Option<ChunkSet> {
        if self.contents.len() >= CONTENTS_MAX && !self.contents.contains_key(&content) {
            self.contents.retain(|_, giving| giving.is_recent(now));
            if self.contents.len() >= CONTENTS_MAX {
                return None;
            }
        }
        self.contents.entry(content).or_default().on_asked(now, node, chunks, waiting)
    }

    /// A peer is gone.
    pub fn on_disconnected(&mut self, node: NodeId) {
        self.contents.values_mut().for_each(|giving| _ = giving.told.remove(&node));
        self.contents.retain(|_, giving| !giving.told.is_empty());
    }
}

impl Giving {
    fn is_recent(&self, now: Timestamp) -> bool {
        self.given.back().is_some_and(|given| now.since(given.at) < GIVEN_FOR)
    }

    fn on_asked(&mut self, now: Timestamp, node: NodeId, chunks: ChunkRange, waiting: &ChunkSet) -> Option<ChunkSet> {
        while self.given.front().is_some_and(|given| now.since(given.at) >= GIVEN_FOR) || self.given.len() >= GIVEN_MAX
        {
            self.given.pop_front();
            self.dropped += 1;
        }
        let others = |given: &&Given| given.node != node;
        let mut taken: ChunkSet =
            self.given.iter().filter(others).filter_map(|given| given.chunks.overlap(chunks)).collect();
        taken.union_with(waiting);
        let first = ChunkSet::from_iter([chunks]).difference(&taken);
        let (seen, told_at) = self.told.get(&node).copied().unwrap_or_default();
        if taken.is_empty() && told_at > Timestamp::ZERO && now.since(told_at) < NEWS_EVERY {
            self.note(now, node, &first);
            return None;
        }
        let new = usize::try_from(seen.saturating_sub(self.dropped)).unwrap_or(usize::MAX);
        let mut news: ChunkSet = self.given.iter().skip(new).filter(others).map(|given| given.chunks).collect();
        news.union_with(&taken);
        self.note(now, node, &first);
        self.told.insert(node, (self.dropped + self.given.len() as u64, now));
        (!news.is_empty()).then_some(news)
    }

    fn note(&mut self, at: Timestamp, node: NodeId, chunks: &ChunkSet) {
        self.given.extend(chunks.runs().iter().map(|chunks| Given { node, chunks: *chunks, at }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u8) -> NodeId {
        NodeId([number; 32])
    }

    fn one(start: u32) -> ChunkRange {
        ChunkRange { start, count: 1 }
    }

    fn asked(spread: &mut Spread, at_ms: u64, who: u8, chunk: u32) -> Vec<u32> {
        let now = Timestamp(at_ms * 1_000_000);
        let told = spread.on_asked(now, ContentId([1; 32]), node(who), one(chunk), &ChunkSet::new());
        told.map(|set| set.iter().collect()).unwrap_or_default()
    }

    #[test]
    fn each_is_told_what_others_asked_for_and_never_of_its_own() {
        let mut spread = Spread::default();
        assert!(asked(&mut spread, 1000, 1, 5).is_empty());
        assert_eq!(asked(&mut spread, 1010, 2, 6), [5]);
        assert!(asked(&mut spread, 1020, 1, 7).is_empty(), "it was told a moment ago");
        assert_eq!(asked(&mut spread, 1110, 1, 8), [6]);
        assert_eq!(asked(&mut spread, 1120, 2, 9), [7, 8]);
        assert!(asked(&mut spread, 1300, 2, 10).is_empty(), "there is nothing new");
    }

    #[test]
    fn who_asks_for_what_another_gets_is_told_at_once() {
        let mut spread = Spread::default();
        asked(&mut spread, 1000, 1, 5);
        asked(&mut spread, 1001, 2, 6);
        assert_eq!(asked(&mut spread, 1002, 2, 5), [5]);
        assert!(asked(&mut spread, 1003, 1, 5).is_empty(), "the first to ask gets it");
        assert!(asked(&mut spread, 2500, 3, 5).is_empty(), "after a while it is anybody's again");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut spread = Spread::default();
        for number in 0..5000 {
            asked(&mut spread, 1000, 1, number * 2);
        }
        assert!(spread.contents[&ContentId([1; 32])].given.len() <= GIVEN_MAX);
        assert_eq!(asked(&mut spread, 1001, 2, 1).len(), GIVEN_MAX - 1);
        for number in 0..200 {
            let content = ContentId([number; 32]);
            spread.on_asked(Timestamp(1_000_000_000), content, node(1), one(0), &ChunkSet::new());
        }
        assert_eq!(spread.contents.len(), CONTENTS_MAX);
        spread.on_disconnected(node(1));
        spread.on_disconnected(node(2));
        assert!(spread.contents.is_empty());
    }
}
