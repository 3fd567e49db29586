//! A set of chunk positions as sorted, disjoint, non-touching runs: what a peer holds of a content, what is still wanted.

use bincode::{Decode, Encode};
use serde::Serialize;

/// The chunks `start .. start + count` of a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize)]
pub struct ChunkRange {
    /// The first chunk's position.
    pub start: u32,
    /// How many chunks; never zero in a [`ChunkSet`].
    pub count: u32,
}

impl ChunkRange {
    /// The position behind the last chunk.
    #[must_use]
    pub fn end(self) -> u32 {
        self.start.saturating_add(self.count)
    }

    /// Whether it has no chunk: also where no position lies behind its only one, for then it has no end.
    fn is_empty(self) -> bool {
        self.start >= self.end()
    }

    /// The chunks that are in both.
    #[must_use]
    pub fn overlap(self, other: Self) -> Option<Self> {
        let (start, end) = (self.start.max(other.start), self.end().min(other.end()));
        (start < end).then(|| Self { start, count: end - start })
    }
}

/// A set of chunk positions.
///
/// Invariant: runs are sorted, non-empty, and at least one missing position lies between two of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Serialize)]
pub struct ChunkSet {
    runs: Vec<ChunkRange>,
}

// Decoded by hand: a peer's runs may break the invariant, and are put in order instead of trusted.
impl<C> Decode<C> for ChunkSet {
    fn decode<D: bincode::de::Decoder<Context = C>>(decoder: &mut D) -> Result<Self, bincode::error::DecodeError> {
        let runs = Vec::<ChunkRange>::decode(decoder)?;
        // While they are put in order they are there twice.
        decoder.claim_container_read::<ChunkRange>(runs.len())?;
        Ok(runs.into_iter().collect())
    }
}

bincode::impl_borrow_decode!(ChunkSet);

impl ChunkSet {
    /// The empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// All of the first `count` positions.
    #[must_use]
    pub fn full(count: u32) -> Self {
        [ChunkRange { start: 0, count }].into_iter().collect()
    }

    /// The runs, in order.
    #[must_use]
    pub fn runs(&self) -> &[ChunkRange] {
        &self.runs
    }

    /// How many positions are in the set.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.runs.iter().map(|run| run.count).sum()
    }

    /// Whether no position is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Whether `chunk` is in the set.
    #[must_use]
    pub fn contains(&self, chunk: u32) -> bool {
        let next = self.runs.partition_point(|run| run.start <= chunk);
        next > 0 && chunk < self.runs[next - 1].end()
    }

    /// Whether every chunk of `range` is in the set.
    #[must_use]
    pub fn contains_range(&self, range: ChunkRange) -> bool {
        let next = self.runs.partition_point(|run| run.start <= range.start);
        range.is_empty() || (next > 0 && range.end() <= self.runs[next - 1].end())
    }

    /// Whether any chunk of `range` is in the set.
    #[must_use]
    pub fn intersects(&self, range: ChunkRange) -> bool {
        let next = self.runs.partition_point(|run| run.end() <= range.start);
        !range.is_empty() && self.runs.get(next).is_some_and(|run| run.start < range.end())
    }

    /// Adds the chunks of `range`.
    pub fn insert(&mut self, range: ChunkRange) {
        if range.is_empty() {
            return;
        }
        let first = self.runs.partition_point(|run| run.end() < range.start);
        let last = self.runs.partition_point(|run| run.start <= range.end());
        let (mut start, mut end) = (range.start, range.end());
        if first < last {
            start = start.min(self.runs[first].start);
            end = end.max(self.runs[last - 1].end());
        }
        self.runs.splice(first..last, [ChunkRange { start, count: end - start }]);
    }

    /// Takes the chunks of `range` out.
    pub fn remove(&mut self, range: ChunkRange) {
        if range.is_empty() {
            return;
        }
        let first = self.runs.partition_point(|run| run.end() <= range.start);
        let last = self.runs.partition_point(|run| run.start < range.end());
        if first >= last {
            return;
        }
        let head = self.runs[first];
        let tail = self.runs[last - 1];
        let mut kept = Vec::with_capacity(2);
        if head.start < range.start {
            kept.push(ChunkRange { start: head.start, count: range.start - head.start });
        }
        if tail.end() > range.end() {
            kept.push(ChunkRange { start: range.end(), count: tail.end() - range.end() });
        }
        self.runs.splice(first..last, kept);
    }

    /// Adds all of `other`.
    pub fn union_with(&mut self, other: &Self) {
        other.runs.iter().for_each(|run| self.insert(*run));
    }

    /// What is in this set and not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut left = self.clone();
        other.runs.iter().for_each(|run| left.remove(*run));
        left
    }

    /// What is in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let mut both = Self::new();
        let (mut mine, mut theirs) = (self.runs.iter().peekable(), other.runs.iter().peekable());
        while let (Some(a), Some(b)) = (mine.peek(), theirs.peek()) {
            let start = a.start.max(b.start);
            let end = a.end().min(b.end());
            if start < end {
                both.runs.push(ChunkRange { start, count: end - start });
            }
            if a.end() <= b.end() {
                mine.next();
            } else {
                theirs.next();
            }
        }
        both
    }

    /// The positions, in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.runs.iter().flat_map(|run| run.start..run.end())
    }

    /// The same set with at most `runs_max` runs: the smallest are left out, so it never claims too much.
    #[must_use]
    pub fn truncated(&self, runs_max: usize) -> Self {
        if self.runs.len() <= runs_max {
            return self.clone();
        }
        let mut by_size: Vec<ChunkRange> = self.runs.clone();
        by_size.sort_by_key(|run| (std::cmp::Reverse(run.count), run.start));
        by_size.truncate(runs_max);
        by_size.into_iter().collect()
    }
}

impl FromIterator<ChunkRange> for ChunkSet {
    fn from_iter<I: IntoIterator<Item = ChunkRange>>(ranges: I) -> Self {
        let mut sorted: Vec<ChunkRange> = ranges.into_iter().filter(|range| !range.is_empty()).collect();
        sorted.sort_unstable();
        let mut runs: Vec<ChunkRange> = Vec::with_capacity(sorted.len());
        for range in sorted {
            match runs.last_mut() {
                Some(last) if range.start <= last.end() => {
                    last.count = last.end().max(range.end()) - last.start;
                }
                _ => runs.push(ChunkRange { start: range.start, count: range.end() - range.start }),
            }
        }
        Self { runs }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn model(set: &ChunkSet) -> BTreeSet<u32> {
        set.iter().collect()
    }

    fn well_formed(set: &ChunkSet) -> bool {
        set.runs.iter().all(|run| run.count > 0) && set.runs.windows(2).all(|pair| pair[0].end() < pair[1].start)
    }

    /// The last position there is can't be in a set: no end lies behind it.
    #[test]
    fn a_run_of_nothing_is_never_kept() {
        let nothing = ChunkRange { start: u32::MAX, count: 1 };
        let mut set = ChunkSet::new();
        set.insert(nothing);
        assert!(set.is_empty() && [nothing].into_iter().collect::<ChunkSet>().is_empty());
        let bytes = crate::codec::encode(&vec![(u32::MAX, 1u32)]);
        assert!(crate::codec::decode::<ChunkSet, 64>(&bytes).is_ok_and(|set| set.is_empty()));
    }

    proptest! {
        #[test]
        fn ranges_unions_and_lengths_are_those_of_the_positions(
            base in prop_oneof![Just(0u32), Just(u32::MAX - 60)],
            a in proptest::collection::vec((0u32..61, 0u32..9), 0..20),
            b in proptest::collection::vec((0u32..61, 0u32..9), 0..20),
            range in (0u32..61, 0u32..30),
        ) {
            let range_of = |(start, count): (u32, u32)| ChunkRange { start: base + start, count };
            let (mut a, b): (ChunkSet, ChunkSet) =
                (a.into_iter().map(range_of).collect(), b.into_iter().map(range_of).collect());
            let range = range_of(range);
            let (left, right) = (model(&a), model(&b));
            let asked: Vec<u32> = (range.start..range.end()).collect();
            prop_assert_eq!(a.contains_range(range), asked.iter().all(|chunk| left.contains(chunk)));
            prop_assert_eq!(a.intersects(range), asked.iter().any(|chunk| left.contains(chunk)));
            prop_assert_eq!(a.len() as usize, left.len());
            prop_assert_eq!(crate::codec::decode::<ChunkSet, 4096>(&crate::codec::encode(&a)).ok(), Some(a.clone()));
            a.union_with(&b);
            prop_assert!(well_formed(&a));
            prop_assert_eq!(model(&a), left.union(&right).copied().collect::<BTreeSet<_>>());
            a.remove(range);
            prop_assert!(well_formed(&a));
            prop_assert!(asked.iter().all(|chunk| !a.contains(*chunk)));
        }

        #[test]
        fn a_shortened_set_keeps_its_largest_runs(
            runs in proptest::collection::vec((0u32..200, 1u32..9), 0..30), runs_max in 0usize..12,
        ) {
            let set: ChunkSet = runs.into_iter().map(|(start, count)| ChunkRange { start, count }).collect();
            let short = set.truncated(runs_max);
            prop_assert!(well_formed(&short));
            prop_assert_eq!(short.runs().len(), set.runs().len().min(runs_max));
            let (kept, left): (Vec<ChunkRange>, Vec<ChunkRange>) =
                set.runs().iter().partition(|run| short.runs().contains(run));
            prop_assert_eq!(kept.as_slice(), short.runs());
            let smallest = kept.iter().map(|run| run.count).min().unwrap_or(u32::MAX);
            prop_assert!(left.iter().all(|run| run.count <= smallest));
        }

        #[test]
        fn it_behaves_like_a_set(steps in proptest::collection::vec((any::<bool>(), 0u32..80, 0u32..12), 0..60)) {
            let mut set = ChunkSet::new();
            let mut expected = BTreeSet::new();
            for (add, start, count) in steps {
                let range = ChunkRange { start, count };
                if add {
                    set.insert(range);
                    expected.extend(start..start + count);
                } else {
                    set.remove(range);
                    (start..start + count).for_each(|chunk| { expected.remove(&chunk); });
                }
                prop_assert!(well_formed(&set));
                let meets = (start..start + count).any(|chunk| expected.contains(&chunk));
                prop_assert_eq!(set.intersects(range), meets);
                prop_assert_eq!(model(&set), expected.clone());
                prop_assert!((0..100).all(|chunk| set.contains(chunk) == expected.contains(&chunk)));
            }
        }

        #[test]
        fn set_algebra_holds(a in proptest::collection::vec((0u32..60, 0u32..9), 0..20),
                             b in proptest::collection::vec((0u32..60, 0u32..9), 0..20)) {
            let build = |ranges: &[(u32, u32)]| -> ChunkSet {
                ranges.iter().map(|(start, count)| ChunkRange { start: *start, count: *count }).collect()
            };
            let (a, b) = (build(&a), build(&b));
            let (left, right) = (model(&a), model(&b));
            prop_assert!(well_formed(&a.intersection(&b)));
            prop_assert_eq!(model(&a.intersection(&b)), left.intersection(&right).copied().collect::<BTreeSet<_>>());
            prop_assert_eq!(model(&a.difference(&b)), left.difference(&right).copied().collect::<BTreeSet<_>>());
            prop_assert!(model(&a.truncated(2)).is_subset(&left));
        }

        #[test]
        fn ranges_overlap_in_what_both_have(a in (0u32..60, 0u32..9), b in (0u32..60, 0u32..9)) {
            let [a, b] = [a, b].map(|(start, count)| ChunkRange { start, count });
            let both: Vec<u32> = (a.start..a.end()).filter(|chunk| (b.start..b.end()).contains(chunk)).collect();
            let overlap = a.overlap(b).into_iter().flat_map(|range| range.start..range.end());
            prop_assert_eq!(overlap.collect::<Vec<u32>>(), both);
        }

        #[test]
        fn hostile_runs_are_put_in_order(runs in proptest::collection::vec((any::<u32>(), any::<u32>()), 0..20)) {
            let bytes = crate::codec::encode(&runs);
            let set: ChunkSet = crate::codec::decode::<_, 65_536>(&bytes).expect("runs decode");
            prop_assert!(well_formed(&set));
        }
    }
}
