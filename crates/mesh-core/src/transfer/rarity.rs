//! How many of those we know to fetch the same hold each chunk, kept up to date as they tell.
//!
//! Peers that hold all are not counted: they make no chunk rarer than another.
//!
//! Invariant: a chunk's count is how many sets that hold it were added and not removed.

use mesh_proto::ChunkSet;

/// The counts. See the module.
#[derive(Debug, Clone, Default)]
pub struct Rarity {
    counts: Vec<u16>,
}

impl Rarity {
    /// Nobody holds any of so many chunks: two bytes each.
    #[must_use]
    pub fn new(chunk_count: u32) -> Self {
        Self { counts: vec![0; chunk_count as usize] }
    }

    /// One more peer holds these.
    pub fn add(&mut self, held: &ChunkSet) {
        self.change(held, |count| count.saturating_add(1));
    }

    /// One peer fewer holds these.
    pub fn remove(&mut self, held: &ChunkSet) {
        self.change(held, |count| count.saturating_sub(1));
    }

    fn change(&mut self, held: &ChunkSet, change: impl Fn(u16) -> u16) {
        for run in held.runs() {
            let end = (run.end() as usize).min(self.counts.len());
            let start = (run.start as usize).min(end);
            self.counts[start..end].iter_mut().for_each(|count| *count = change(*count));
        }
    }

    /// How many hold a chunk.
    #[must_use]
    pub fn of(&self, chunk: u32) -> u16 {
        self.counts.get(chunk as usize).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use mesh_proto::ChunkRange;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn counts_are_those_of_the_sets(
            held in proptest::collection::vec(proptest::collection::vec((0u32..120, 1u32..30), 0..5), 0..6),
            gone in 0usize..6,
        ) {
            let sets: Vec<ChunkSet> = held
                .iter()
                .map(|ranges| ranges.iter().map(|(start, count)| ChunkRange { start: *start, count: *count }).collect())
                .collect();
            let mut rarity = Rarity::new(100);
            sets.iter().for_each(|set| rarity.add(set));
            sets.iter().take(gone).for_each(|set| rarity.remove(set));
            for chunk in 0..160 {
                let holders = sets.iter().skip(gone).filter(|set| set.contains(chunk)).count();
                let expected = if chunk < 100 { holders } else { 0 };
                prop_assert_eq!(usize::from(rarity.of(chunk)), expected);
            }
        }
    }
}
