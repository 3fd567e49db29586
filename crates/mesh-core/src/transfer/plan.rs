//! Which chunks to ask for next: rarest first among neighbours who trade, in sequence from those who have it all.
//!
//! Pure functions over sets of chunks; the transfer decides whom to ask and how much.

use mesh_proto::{ChunkRange, ChunkSet};

/// Where to begin the next span, out of `candidates`: what is wanted and the source holds.
///
/// `others` are the partial holdings of other peers. With none, and with `alone`, the first candidate wins, so that
/// files are written in order. Otherwise a least-held run wins, and among equals a random one, so that getters who
/// start together fetch different parts and can trade. `near` is taken whenever it is open: a source that goes on where
/// it stopped reads its disk in sequence.
#[must_use]
pub fn pick_start(
    candidates: &ChunkSet,
    near: Option<u32>,
    others: &[&ChunkSet],
    alone: bool,
    random_below: impl FnOnce(u64) -> u64,
) -> Option<u32> {
    if let Some(near) = near.filter(|chunk| candidates.contains(*chunk)) {
        return Some(near);
    }
    if alone && others.is_empty() {
        return candidates.runs().first().map(|run| run.start);
    }
    let rarest = rarest_runs(candidates, others);
    let chunks: u64 = rarest.iter().map(|run| u64::from(run.count)).sum();
    let mut left = random_below(chunks);
    for run in &rarest {
        if left < u64::from(run.count) {
            // A random run, but from its start where it is short: fewer, longer runs are cheaper for everyone.
            let inside = u32::try_from(left).unwrap_or(0);
            return Some(if run.count <= 16 { run.start } else { run.start + inside });
        }
        left -= u64::from(run.count);
    }
    None
}

/// The parts of `candidates` that the fewest of `others` hold.
fn rarest_runs(candidates: &ChunkSet, others: &[&ChunkSet]) -> Vec<ChunkRange> {
    let mut edges: Vec<(u32, i32)> = Vec::new();
    for held in others {
        for run in held.runs() {
            edges.push((run.start, 1));
            edges.push((run.end(), -1));
        }
    }
    edges.sort_unstable();
    let mut rarest: Vec<ChunkRange> = Vec::new();
    let mut fewest = i32::MAX;
    let (mut depth, mut next_edge) = (0, 0);
    for run in candidates.runs() {
        let mut at = run.start;
        while at < run.end() {
            while next_edge < edges.len() && edges[next_edge].0 <= at {
                depth += edges[next_edge].1;
                next_edge += 1;
            }
            let end = edges.get(next_edge).map_or(run.end(), |edge| edge.0.min(run.end()));
            if depth < fewest {
                fewest = depth;
                rarest.clear();
            }
            if depth == fewest {
                rarest.push(ChunkRange { start: at, count: end - at });
            }
            at = end;
        }
    }
    rarest
}

/// The span from `start` on: consecutive candidates of at most `bytes_max`, but always the first chunk.
///
/// `length_of` gives a chunk's length, `None` where the manifest is not known yet.
#[must_use]
pub fn extend_span(
    candidates: &ChunkSet,
    start: u32,
    bytes_max: u64,
    length_of: impl Fn(u32) -> Option<u32>,
) -> Option<(ChunkRange, u64)> {
    let mut bytes = u64::from(length_of(start).filter(|_| candidates.contains(start))?);
    let mut end = start + 1;
    while candidates.contains(end) {
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

    #[test]
    fn alone_it_goes_in_sequence() {
        let wanted = set(&[(5, 10), (40, 10)]);
        assert_eq!(pick_start(&wanted, None, &[], true, |_| 99), Some(5));
        assert_eq!(pick_start(&wanted, Some(42), &[], true, |_| 99), Some(42));
        assert_eq!(pick_start(&ChunkSet::new(), None, &[], true, |_| 0), None);
    }

    #[test]
    fn what_fewest_hold_comes_first() {
        let wanted = set(&[(0, 100)]);
        let (a, b) = (set(&[(0, 60)]), set(&[(50, 50)]));
        let first = pick_start(&wanted, None, &[&a, &b], true, |_| 0);
        assert_eq!(first, Some(0));
        let c = set(&[(0, 50), (60, 40)]);
        // Held by two everywhere but in 50..60 (a and b): all equal to two; now drop a.
        assert_eq!(
            rarest_runs(&wanted, &[&b, &c]),
            vec![ChunkRange { start: 0, count: 50 }, ChunkRange { start: 50, count: 10 },]
        );
    }

    #[test]
    fn a_span_ends_at_its_bytes_or_at_a_gap() {
        let wanted = set(&[(0, 4), (5, 4)]);
        let length = |chunk: u32| (chunk < 8).then_some(100);
        assert_eq!(extend_span(&wanted, 0, 250, length), Some((ChunkRange { start: 0, count: 2 }, 200)));
        assert_eq!(extend_span(&wanted, 0, 10, length), Some((ChunkRange { start: 0, count: 1 }, 100)));
        assert_eq!(extend_span(&wanted, 5, 10_000, length), Some((ChunkRange { start: 5, count: 3 }, 300)));
        assert_eq!(extend_span(&wanted, 4, 10_000, length), None);
    }

    proptest! {
        #[test]
        fn the_pick_is_always_a_candidate_and_never_less_rare_than_another(
            wanted in proptest::collection::vec((0u32..80, 1u32..20), 1..8),
            held in proptest::collection::vec(proptest::collection::vec((0u32..80, 1u32..30), 0..5), 0..4),
            roll in any::<u64>(),
        ) {
            let wanted = set(&wanted);
            let held: Vec<ChunkSet> = held.iter().map(|ranges| set(ranges)).collect();
            let others: Vec<&ChunkSet> = held.iter().collect();
            let picked = pick_start(&wanted, None, &others, false, |bound| if bound == 0 { 0 } else { roll % bound });
            let picked = picked.expect("there are candidates");
            prop_assert!(wanted.contains(picked));
            let holders = |chunk: u32| others.iter().filter(|set| set.contains(chunk)).count();
            let fewest = wanted.iter().map(holders).min();
            prop_assert_eq!(Some(holders(picked)), fewest);
        }
    }
}
