//! What each source said it holds, and how many hold each chunk.
//!
//! Invariant: the counts are those of the partial holdings of all sources that are not banned.

use mesh_proto::message::{Have, HaveMore, Holding};
use mesh_proto::port::NetCommand;
use mesh_proto::{ChunkRange, ChunkSet, CommandId, ContentId, NodeId, Timestamp};

use super::Transfers;
use super::rarity::Rarity;
use super::source::Source;
use super::state::Transfer;
use crate::Context;

/// Runs kept of what one source holds: more news is not taken in until it tells of all it holds.
const HELD_RUNS_MAX: usize = 16_384;

impl Transfers {
    /// A peer says what it holds. Returns whether a transfer cares.
    pub fn on_have(&mut self, ctx: &mut Context, node: NodeId, have: &Have) -> bool {
        let Some(transfer) = self.transfers.get_mut(&have.content) else { return false };
        have.others.iter().for_each(|other| transfer.add_fellow(ctx.node, *other));
        let source = transfer.sources.entry(node).or_default();
        if !matches!(have.holding, Holding::None) {
            (source.denied, source.changed) = (false, false);
            source.access = Some(have.access.clone());
            // Anybody may say anything: only who gave the root, and so had it, is believed, and nobody opens what was for
            // some only.
            if transfer.root_from == Some(node) && !transfer.order.access.is_restricted() {
                transfer.order.access = have.access.clone();
            }
        }
        transfer.hold(node, Some(have.holding.clone()));
        true
    }

    /// A peer says what more it holds, and what it gives to others.
    pub fn on_have_more(&mut self, ctx: &mut Context, node: NodeId, more: &HaveMore) {
        let Some(transfer) = self.transfers.get_mut(&more.content) else { return };
        transfer.hold_more(node, &more.added);
        for fetch in transfer.on_given(ctx.now, node, &more.given) {
            ctx.net(NetCommand::CancelFetch { fetch });
        }
    }

    /// A peer's last connection ended: it may be asked again on the next.
    pub fn on_disconnected(&mut self, node: NodeId) {
        for transfer in self.transfers.values_mut() {
            transfer.looked.remove(&node);
            transfer.hold(node, None);
            if let Some(source) = transfer.sources.get_mut(&node) {
                source.on_disconnected();
            }
        }
    }

    /// Who looked for a content before any of it was here.
    pub fn take_seekers(&mut self, content: ContentId) -> Vec<NodeId> {
        let transfer = self.transfers.get_mut(&content);
        transfer.map(|transfer| std::mem::take(&mut transfer.seekers).into_iter().collect()).unwrap_or_default()
    }
}

impl Transfer {
    /// A source holds this, and nothing else.
    pub(super) fn hold(&mut self, node: NodeId, holding: Option<Holding>) {
        let Some(source) = self.sources.get_mut(&node) else { return };
        let before = std::mem::replace(&mut source.holding, holding);
        source.dry = None;
        if source.banned {
            return;
        }
        if let Some(Holding::Partial(held)) = &before {
            self.rarity.remove(held);
        }
        if let Some(Holding::Partial(held)) = &source.holding {
            self.rarity.add(held);
        }
    }

    /// A source holds this too. That is believed only of one that said for whom it is: news does not, and whoever takes
    /// the root from it is to give it on under the same rule.
    fn hold_more(&mut self, node: NodeId, added: &ChunkSet) {
        let Some(source) = self.sources.get_mut(&node) else { return };
        if let Some(Holding::Partial(held)) = &mut source.holding {
            let new = added.difference(held);
            if held.runs().len() + new.runs().len() > HELD_RUNS_MAX || new.is_empty() {
                return;
            }
            held.union_with(&new);
            source.dry = None;
            if !source.banned {
                self.rarity.add(&new);
            }
        } else if !source.is_complete() && !added.is_empty() && source.access.is_some() {
            self.hold(node, Some(Holding::Partial(added.clone())));
        }
    }

    /// A source does not hold these, whatever it said.
    pub(super) fn hold_less(&mut self, node: NodeId, chunks: ChunkRange) {
        let Some(source) = self.sources.get(&node) else { return };
        if let Some(Holding::Partial(held)) = &source.holding {
            let mut held = held.clone();
            held.remove(chunks);
            self.hold(node, Some(Holding::Partial(held)));
        }
    }

    /// Nothing is taken from a source any more: what it holds counts no longer. Returns whether that is new.
    pub(super) fn set_banned(&mut self, node: NodeId) -> bool {
        let source = self.sources.entry(node).or_default();
        let is_new = !std::mem::replace(&mut source.banned, true);
        if let (true, Some(Holding::Partial(held))) = (is_new, &source.holding) {
            self.rarity.remove(held);
        }
        is_new
    }

    /// How many chunks there are is known: those who hold some are counted.
    pub(super) fn count_holders(&mut self, chunk_count: u32) {
        self.rarity = Rarity::new(chunk_count);
        for source in self.sources.values().filter(|source| !source.banned) {
            if let Some(Holding::Partial(held)) = &source.holding {
                self.rarity.add(held);
            }
        }
    }

    /// Whether others fetch the same: nodes that hold some of it, or were named and are not known to hold all.
    pub(super) fn is_in_crowd(&self) -> bool {
        let trades = |source: &Source| matches!(source.holding(), Some(Holding::Partial(_))) && !source.banned;
        let fetches =
            |node: &NodeId| self.sources.get(node).is_none_or(|source| !source.is_complete() && !source.banned);
        self.fellows.known().any(fetches) || self.sources.values().any(trades)
    }

    /// A source gives these to others now. Returns what was asked of it in vain.
    fn on_given(&mut self, now: Timestamp, node: NodeId, chunks: &ChunkSet) -> Vec<CommandId> {
        let Some(source) = self.sources.get_mut(&node).filter(|_| !chunks.is_empty()) else { return Vec::new() };
        let late = source.on_given(now, chunks);
        for command in &late {
            if let Some(fetch) = source.fetches.get_mut(command) {
                fetch.cancelled = true;
            }
        }
        late
    }
}

#[cfg(test)]
mod tests {
    use super::super::state::{Order, Totals};
    use super::*;
    use mesh_proto::bulk::TrafficClass;
    use mesh_proto::record::Access;
    use proptest::prelude::*;

    const CHUNKS: u32 = 60;

    fn transfer() -> Transfer {
        let order = Order {
            ticket: String::new(),
            target: String::new(),
            name: String::new(),
            seed_seconds: None,
            class: TrafficClass::Public,
            priority: 0,
            access: Access::Ticket,
            paused: false,
            totals: Totals::default(),
        };
        Transfer::new(ContentId([1; 32]), order, Timestamp::ZERO)
    }

    /// What a peer says, or what becomes of it.
    #[derive(Debug, Clone)]
    enum Step {
        Holds(ChunkSet),
        HoldsAll,
        HoldsMore(ChunkSet),
        HoldsLess(ChunkRange),
        Left,
        Banned,
        Counted,
    }

    /// Runs that may go past the last chunk: a peer may say anything.
    fn runs() -> impl Strategy<Value = ChunkSet> {
        let run = (0..CHUNKS + 20, 1u32..30).prop_map(|(start, count)| ChunkRange { start, count });
        proptest::collection::vec(run, 0..4).prop_map(|runs| runs.into_iter().collect())
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => runs().prop_map(Step::Holds),
            1 => Just(Step::HoldsAll),
            4 => runs().prop_map(Step::HoldsMore),
            2 => (0..CHUNKS, 1u32..30).prop_map(|(start, count)| Step::HoldsLess(ChunkRange { start, count })),
            1 => Just(Step::Left),
            1 => Just(Step::Banned),
            1 => Just(Step::Counted),
        ]
    }

    proptest! {
        #[test]
        fn the_counts_are_those_of_what_sources_hold(
            steps in proptest::collection::vec((0u8..4, step()), 0..40),
        ) {
            let mut transfer = transfer();
            transfer.count_holders(CHUNKS);
            for (who, step) in steps {
                let node = NodeId([who; 32]);
                transfer.sources.entry(node).or_default().access = Some(Access::Public);
                match step {
                    Step::Holds(held) => transfer.hold(node, Some(Holding::Partial(held))),
                    Step::HoldsAll => transfer.hold(node, Some(Holding::Complete)),
                    Step::HoldsMore(added) => transfer.hold_more(node, &added),
                    Step::HoldsLess(chunks) => transfer.hold_less(node, chunks),
                    Step::Left => transfer.hold(node, None),
                    Step::Banned => _ = transfer.set_banned(node),
                    Step::Counted => transfer.count_holders(CHUNKS),
                }
                for chunk in 0..CHUNKS + 50 {
                    let holds = |source: &&Source| match source.holding() {
                        Some(Holding::Partial(held)) => !source.banned && held.contains(chunk),
                        _ => false,
                    };
                    let holders = transfer.sources.values().filter(holds).count();
                    let expected = if chunk < CHUNKS { holders } else { 0 };
                    prop_assert_eq!(usize::from(transfer.rarity.of(chunk)), expected, "chunk {}", chunk);
                }
            }
        }
    }
}
