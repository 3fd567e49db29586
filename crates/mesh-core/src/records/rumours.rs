//! News on its way to everybody.
//!
//! News is told in full to a few peers, chosen by lot: at once after a silence, else gathered with what else comes in for a
//! moment. They do the same, so that nearly all have it after a few steps. A little later everyone tells its name to those
//! of its peers that are not known to have it; by then few lack it, and they ask. So each connection carries each news at
//! least once, whatever the network looks like. Where the names would take more than a comparison, the two compare.
//!
//! What came because it was asked for is told by name only: most have it already.
//!
//! Invariant: no peer is told of a record that it sent, listed or was told of before.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mesh_proto::record::RecordName;
use mesh_proto::{NodeId, Timestamp};

use crate::Context;

/// News is gathered so long, and up to as long again by lot.
const GATHER_MS: u64 = 100;
/// Names are told so long after the first news, and up to as long again by lot: of two peers, one is first.
const NAME_AFTER_MS: u64 = 400;
/// A peer that lacks more than this is compared with, which costs less than so many names.
const NAMES_MAX: usize = 8;
/// News under way; what is more is found by comparing.
const RUMOURS_MAX: usize = 1024;

/// One piece of news.
#[derive(Debug, Default)]
struct Rumour {
    known_by: BTreeSet<NodeId>,
    /// To how many peers it is still told in full.
    copies: usize,
}

/// The news under way. See the module.
#[derive(Debug, Default)]
pub(super) struct Rumours {
    /// To be told in full, and when.
    fresh: BTreeMap<RecordName, Rumour>,
    tell_at: Option<Timestamp>,
    told: Option<Timestamp>,
    /// To be told by name, and when.
    older: BTreeMap<RecordName, Rumour>,
    name_at: Option<Timestamp>,
    /// Whether there was more than could be noted.
    overflowed: bool,
}

/// What a peer is told by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Naming {
    /// These names.
    Names(Vec<RecordName>),
    /// There are too many: it is compared with.
    Compare,
}

/// To how many peers news is told in full, in a network of so many nodes: with as many again by name a few steps later, it
/// reaches all.
fn copies(nodes: usize) -> usize {
    (nodes.max(1).ilog2() as usize).div_ceil(2).max(2)
}

impl Rumours {
    /// A record is news here, from a peer or our own; `nodes` is how many there are. It is told in full unless it came
    /// because we asked for it.
    pub(super) fn add(
        &mut self,
        ctx: &mut Context,
        name: RecordName,
        from: Option<NodeId>,
        asked_for: bool,
        nodes: usize,
    ) {
        self.fresh.remove(&name);
        self.older.remove(&name);
        if self.fresh.len() + self.older.len() >= RUMOURS_MAX {
            self.overflowed = true;
            return self.plan_naming(ctx);
        }
        let copies = if asked_for { 0 } else { copies(nodes) };
        let rumour = Rumour { known_by: from.into_iter().collect(), copies };
        if asked_for {
            self.older.insert(name, rumour);
            self.plan_naming(ctx);
        } else {
            self.fresh.insert(name, rumour);
            if self.tell_at.is_none() {
                let gathered = Duration::from_millis(GATHER_MS + ctx.random_below(GATHER_MS));
                self.tell_at = Some(self.told.map_or(ctx.now, |told| told.after(gathered).max(ctx.now)));
            }
        }
    }

    fn plan_naming(&mut self, ctx: &mut Context) {
        if self.name_at.is_none() {
            let wait_ms = NAME_AFTER_MS + ctx.random_below(NAME_AFTER_MS);
            self.name_at = Some(ctx.now.after(Duration::from_millis(wait_ms)));
        }
    }

    /// A peer has what we have of this name.
    pub(super) fn is_known_by(&mut self, name: &RecordName, node: NodeId) {
        if let Some(rumour) = self.fresh.get_mut(name).or(self.older.get_mut(name)) {
            rumour.known_by.insert(node);
        }
    }

    /// A peer has all that we have.
    pub(super) fn are_known_by(&mut self, node: NodeId) {
        for rumour in self.fresh.values_mut().chain(self.older.values_mut()) {
            rumour.known_by.insert(node);
        }
    }

    /// When something is to be told.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.tell_at.into_iter().chain(self.name_at).min()
    }

    /// What is to be told in full now, and to whom of `peers`, who are in an order by lot: as few of them as it takes.
    pub(super) fn take_telling(&mut self, ctx: &mut Context, peers: &[NodeId]) -> Vec<(NodeId, Vec<RecordName>)> {
        if self.tell_at.is_none_or(|at| at > ctx.now) {
            return Vec::new();
        }
        (self.tell_at, self.told) = (None, Some(ctx.now));
        let mut telling = Vec::new();
        for node in peers {
            let left = self.fresh.iter_mut().filter(|(_, rumour)| rumour.copies > 0);
            let told: Vec<RecordName> = left
                .filter_map(|(name, rumour)| {
                    rumour.known_by.insert(*node).then(|| {
                        rumour.copies -= 1;
                        *name
                    })
                })
                .collect();
            match told.is_empty() {
                true if self.fresh.values().all(|rumour| rumour.copies == 0) => break,
                true => {}
                false => telling.push((*node, told)),
            }
        }
        self.older.append(&mut self.fresh);
        self.plan_naming(ctx);
        telling
    }

    /// What is to be told by name now, and to whom.
    pub(super) fn take_naming(&mut self, now: Timestamp, peers: &[NodeId]) -> Vec<(NodeId, Naming)> {
        if self.name_at.is_none_or(|at| at > now) {
            return Vec::new();
        }
        self.name_at = None;
        let overflowed = std::mem::take(&mut self.overflowed);
        let older = std::mem::take(&mut self.older);
        let naming = |node: &NodeId| {
            let lacking = older.iter().filter(|(_, rumour)| !rumour.known_by.contains(node));
            let names: Vec<RecordName> = lacking.map(|(name, _)| *name).take(NAMES_MAX + 1).collect();
            match names.len() {
                _ if overflowed => Some((*node, Naming::Compare)),
                0 => None,
                1..=NAMES_MAX => Some((*node, Naming::Names(names))),
                _ => Some((*node, Naming::Compare)),
            }
        };
        peers.iter().filter_map(naming).collect()
    }
}

#[cfg(test)]
mod tests {
    use mesh_proto::record::RecordKind;

    use super::*;

    fn name(number: u64) -> RecordName {
        let mut subject = [0; 32];
        subject[..8].copy_from_slice(&number.to_be_bytes());
        RecordName { kind: RecordKind::Catalogue, signer: [1; 32], subject }
    }

    fn nodes(count: u8) -> Vec<NodeId> {
        (0..count).map(|number| NodeId([number; 32])).collect()
    }

    fn told(rumours: &mut Rumours, ctx: &mut Context, peers: &[NodeId]) -> Vec<(NodeId, Vec<RecordName>)> {
        ctx.now = rumours.tell_at.expect("something is to be told");
        rumours.take_telling(ctx, peers)
    }

    #[test]
    fn the_first_news_goes_at_once_and_more_is_gathered() {
        let (mut ctx, mut rumours, peers) = (Context::new([0; 32]), Rumours::default(), nodes(30));
        rumours.add(&mut ctx, name(1), None, false, 200);
        assert_eq!(rumours.deadline(), Some(ctx.now));
        let first: Vec<NodeId> = told(&mut rumours, &mut ctx, &peers).into_iter().map(|(node, _)| node).collect();
        assert_eq!(first, peers[..4], "a few in an order by lot");
        for number in 2..10 {
            rumours.add(&mut ctx, name(number), None, false, 200);
        }
        assert!(rumours.tell_at >= Some(ctx.now.after(Duration::from_millis(GATHER_MS))));
        let telling = told(&mut rumours, &mut ctx, &peers);
        assert_eq!(telling.len(), 4);
        assert!(telling.iter().all(|(_, names)| names.len() == 8), "one message each for all that was gathered");
    }

    #[test]
    fn nobody_is_told_what_it_has() {
        let (mut ctx, mut rumours, peers) = (Context::new([0; 32]), Rumours::default(), nodes(8));
        rumours.add(&mut ctx, name(1), Some(peers[0]), false, 200);
        rumours.is_known_by(&name(1), peers[1]);
        let telling = told(&mut rumours, &mut ctx, &peers);
        assert_eq!(telling.iter().map(|(node, _)| *node).collect::<Vec<_>>(), peers[2..6]);
        rumours.is_known_by(&name(1), peers[7]);
        ctx.now = rumours.deadline().expect("names follow");
        assert_eq!(rumours.take_naming(ctx.now, &peers), [(peers[6], Naming::Names(vec![name(1)]))]);
        assert!(rumours.older.is_empty() && rumours.deadline().is_none());
    }

    #[test]
    fn what_was_asked_for_is_told_by_name_and_much_of_it_by_comparing() {
        let (mut ctx, mut rumours, peers) = (Context::new([0; 32]), Rumours::default(), nodes(3));
        for number in 0..=NAMES_MAX as u64 {
            rumours.add(&mut ctx, name(number), Some(peers[0]), true, 200);
        }
        rumours.is_known_by(&name(0), peers[1]);
        ctx.now = rumours.deadline().expect("names are told");
        assert!(rumours.take_telling(&mut ctx, &peers).is_empty());
        let naming = rumours.take_naming(ctx.now, &peers);
        let names = (1..=NAMES_MAX as u64).map(name).collect();
        assert_eq!(naming, [(peers[1], Naming::Names(names)), (peers[2], Naming::Compare)]);
    }

    #[test]
    fn more_news_than_can_be_noted_is_found_by_comparing() {
        let (mut ctx, mut rumours, peers) = (Context::new([0; 32]), Rumours::default(), nodes(2));
        for number in 0..2 * RUMOURS_MAX as u64 {
            rumours.add(&mut ctx, name(number), Some(peers[0]), number % 2 == 0, 200);
        }
        assert_eq!(rumours.fresh.len() + rumours.older.len(), RUMOURS_MAX);
        ctx.now = rumours.deadline().expect("it is told");
        rumours.take_telling(&mut ctx, &peers);
        ctx.now = rumours.deadline().expect("it is told");
        let naming = rumours.take_naming(ctx.now, &peers);
        assert_eq!(naming, peers.iter().map(|node| (*node, Naming::Compare)).collect::<Vec<_>>());
        assert!(rumours.older.is_empty() && !rumours.overflowed);
    }
}
