//! Shuffles, samples without replacement, and who of many holders holds what.
//!
//! Invariant: each order, and each set of the size, is equally likely.

use std::collections::BTreeSet;

use crate::random::Stream;

/// Puts things into a random order (Fisher and Yates).
pub fn shuffle<T>(stream: &mut Stream, things: &mut [T]) {
    for last in (1..things.len()).rev() {
        things.swap(last, stream.below(last as u64 + 1) as usize);
    }
}

/// So many different numbers below a bound, ascending; all of them if there are not that many (Floyd's method, in
/// Bentley 1987).
pub fn sample(stream: &mut Stream, bound: u32, count: u32) -> Vec<u32> {
    let mut chosen = BTreeSet::new();
    for highest in bound.saturating_sub(count)..bound {
        let number = stream.below(u64::from(highest) + 1) as u32;
        if !chosen.insert(number) {
            chosen.insert(highest);
        }
    }
    chosen.into_iter().collect()
}

/// Spreads things over holders by weight, so that a further holder takes from the others but moves nothing between them.
///
/// Each holder in turn takes a thing from its predecessors with the chance of its weight among theirs. This is the
/// jump consistent hash (Lamping and Veach 2014), for weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Holders {
    /// The weights up to and with each holder.
    sums: Vec<f64>,
}

impl Holders {
    /// Holders by their weights, each a finite number of at least 0, the first above 0.
    #[must_use]
    pub fn new(weights: impl IntoIterator<Item = f64>) -> Self {
        let mut sum = 0.0;
        let sums = weights.into_iter().map(|weight| {
            sum += weight;
            sum
        });
        Self { sums: sums.collect() }
    }

    /// The holder of a thing that has this stream, counted from 0; 0 if there are none.
    pub fn holder(&self, stream: &mut Stream) -> u32 {
        let mut holder = 0;
        while let Some(sum) = self.sums.get(holder) {
            // No holder up to the k-th takes it with a chance of (sum here) ÷ (sum of k).
            let reach = sum / (1.0 - stream.unit());
            let next = self.sums.partition_point(|sum| *sum <= reach);
            if next >= self.sums.len() {
                break;
            }
            holder = next;
        }
        holder as u32
    }
}
