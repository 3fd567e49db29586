//! Which chunks to ask for next: rarest first among those who trade, in sequence from those who have it all.
//!
//! Pure functions over sets of chunks; the transfer decides whom to ask and how much.

use mesh_proto::{ChunkRange, ChunkSet};

use super::rarity::Rarity;

/// Chunks compared for one choice; of more, so many in a row from a random one on.
const COMPARED_MAX: u32 = 4096;

/// Where to begin a span when nobody trades, so that files are read and written in order: where the source stopped, else
/// at the first candidate.
#[must_use]
pub fn next_in_sequence(candidates: &ChunkSet, near: Option<u32>) -> Option<u32> {
    let near = near.filter(|chunk| candidates.contains(*chunk));
    near.or_else(|| candidates.runs().first().map(|run| run.start))
}

/// A candidate that the fewest hold, and none that more than `holders_max` hold. Among equals `near`, which lets a source
/// read on in sequence, else a random one, so that getters who start together fetch different parts and can trade.
#[must_use]
pub fn rarest(
    candidates: &ChunkSet,
    rarity: &Rarity,
    holders_max: u16,
    near: Option<u32>,
    mut random_below: impl FnMut(u64) -> u64,
) -> Option<u32> {
    let total = candidates.len();
    let mut below = |bound: u32| u32::try_from(random_below(u64::from(bound))).unwrap_or(0);
    let first = if total > COMPARED_MAX { below(total) } else { 0 };
    let compared = from_place(candidates, first).take(COMPARED_MAX as usize);
    let (mut fewest, mut equals) = (holders_max, Vec::new());
    for chunk in compared {
        let holders = rarity.of(chunk);
        if holders < fewest {
            fewest = holders;
            equals.clear();
        }
        if holders == fewest {
            equals.push(chunk);
        }
    }
    if equals.is_empty() {
        return None;
    }
    if let Some(near) = near.filter(|chunk| candidates.contains(*chunk) && rarity.of(*chunk) <= fewest) {
        return Some(near);
    }
    let which = below(u32::try_from(equals.len()).unwrap_or(u32::MAX)) as usize;
    equals.get(which).copied()
}

/// All positions of a set in order, from that at a place in this order on, and round.
fn from_place(set: &ChunkSet, place: u32) -> impl Iterator<Item = u32> + '_ {
    let (mut before, mut left) = (0, place);
    for run in set.runs() {
        if left < run.count {
            break;
        }
        left -= run.count;
        before += 1;
    }
    let whole = |run: &ChunkRange| run.start..run.end();
    let begun = set.runs().get(before).copied();
    let tail = begun.into_iter().flat_map(move |run| run.start + left..run.end());
    let head = begun.into_iter().flat_map(move |run| run.start..run.start + left);
    let behind = set.runs().iter().skip(before + 1).flat_map(whole);
    tail.chain(behind).chain(set.runs().iter().take(before).flat_map(whole)).chain(head)
}

/// The span from `start` on: consecutive candidates of at most `bytes_max` that `belongs` lets in, but always the first.
///
/// `length_of` gives a chunk's length, `None` where the manifest is not known yet.
#[must_use]
pub fn extend_span(
    candidates: &ChunkSet,
    start: u32,
    bytes_max: u64,
    length_of: impl Fn(u32) -> Option<u32>,
    belongs: impl Fn(u32) -> bool,
) -> Option<(ChunkRange, u64)> {
    let mut bytes = u64::from(length_of(start).filter(|_| candidates.contains(start))?);
    let mut end = start + 1;
    while candidates.contains(end) && belongs(end) {
        let Some(length) = length_of(end) else { break };
        if bytes + u64::from(length) > bytes_max {
            break;
        }
        bytes += u64::from(length);
        end += 1;
    }
    Some((ChunkRange { start, count: end - start }, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(ranges: &[(u32, u32)]) -> ChunkSet {
        ranges.iter().map(|(start, count)| ChunkRange { start: *start, count: *count }).collect()
    }

    fn rarity(held: &[ChunkSet]) -> Rarity {
        let mut rarity = Rarity::new(200);
        held.iter().for_each(|set| rarity.add(set));
        rarity
    }

    #[test]
    fn alone_it_goes_in_sequence() {
        let wanted = set(&[(5, 10), (40, 10)]);
        assert_eq!(next_in_sequence(&wanted, None), Some(5));
        assert_eq!(next_in_sequence(&wanted, Some(42)), Some(42));
        assert_eq!(next_in_sequence(&wanted, Some(20)), Some(5));
        assert_eq!(next_in_sequence(&ChunkSet::new(), None), None);
    }

    #[test]
    fn what_fewest_hold_comes_first() {
        let wanted = set(&[(0, 100)]);
        let held = rarity(&[set(&[(0, 60)]), set(&[(50, 50)]), set(&[(0, 40), (45, 55)])]);
        let picked = |near, roll| rarest(&wanted, &held, u16::MAX, near, |_| roll);
        assert_eq!(picked(None, 0), Some(40));
        assert_eq!(picked(None, 4), Some(44));
        assert_eq!(picked(Some(43), 0), Some(43), "going on is as good as another");
        assert_eq!(picked(Some(70), 0), Some(40), "but not with what more hold");
        assert_eq!(rarest(&wanted, &held, 0, None, |_| 0), None);
    }

    #[test]
    fn of_very_many_those_from_a_random_one_on_are_compared() {
        let wanted = set(&[(0, 50_000), (60_000, 50_000)]);
        let mut held = Rarity::new(200_000);
        held.add(&set(&[(0, 70_000), (70_001, 40_000)]));
        let mut rolls = [69_000 - 10_000, 0].into_iter();
        let picked = rarest(&wanted, &held, u16::MAX, None, |_| rolls.next().unwrap_or(0));
        assert_eq!(picked, Some(70_000));
    }

    #[test]
    fn a_span_ends_at_its_bytes_or_at_a_gap() {
        let wanted = set(&[(0, 4), (5, 4)]);
        let length = |chunk: u32| (chunk < 8).then_some(100);
        let extended = |start, bytes_max| extend_span(&wanted, start, bytes_max, length, |chunk| chunk != 7);
        assert_eq!(extended(0, 250), Some((ChunkRange { start: 0, count: 2 }, 200)));
        assert_eq!(extended(0, 10), Some((ChunkRange { start: 0, count: 1 }, 100)));
        assert_eq!(extended(5, 10_000), Some((ChunkRange { start: 5, count: 2 }, 200)));
        assert_eq!(extended(7, 10_000), Some((ChunkRange { start: 7, count: 1 }, 100)));
        assert_eq!(extended(4, 10_000), None);
    }

    proptest! {
        #[test]
        fn the_pick_is_always_a_candidate_and_never_less_rare_than_another(
            wanted in proptest::collection::vec((0u32..80, 1u32..20), 1..8),
            held in proptest::collection::vec(proptest::collection::vec((0u32..80, 1u32..30), 0..5), 0..4),
            near in proptest::option::of(0u32..100),
            holders_max in 0u16..4,
            roll in any::<u64>(),
        ) {
            let wanted = set(&wanted);
            let held: Vec<ChunkSet> = held.iter().map(|ranges| set(ranges)).collect();
            let rarity = rarity(&held);
            let picked = rarest(&wanted, &rarity, holders_max, near, |bound| roll % bound.max(1));
            let holders = |chunk: u32| held.iter().filter(|set| set.contains(chunk)).count() as u16;
            let fewest = wanted.iter().map(holders).min().filter(|fewest| *fewest <= holders_max);
            prop_assert_eq!(picked.map(holders), fewest);
            prop_assert!(picked.is_none_or(|chunk| wanted.contains(chunk)));
        }

        #[test]
        fn every_place_leads_through_the_whole_set(
            ranges in proptest::collection::vec((0u32..80, 1u32..20), 1..8),
            place in any::<prop::sample::Index>(),
        ) {
            let set = set(&ranges);
            let place = place.index(set.len() as usize);
            let mut turned: Vec<u32> = set.iter().collect();
            turned.rotate_left(place);
            prop_assert_eq!(from_place(&set, place as u32).collect::<Vec<u32>>(), turned);
        }
    }
}
