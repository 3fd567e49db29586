//! The largest of the last few samples.
//!
//! Invariant: a sample that was limited by demand, not by the path, can raise the maximum and never ages it.

use std::collections::VecDeque;
use std::time::Duration;

/// Samples kept.
const SAMPLES_MAX: usize = 8;
/// Where a round takes long, as behind a queue, eight would be believed for far too long: a sample is forgotten when those
/// after it took so long together and are so many at least.
const FORGOTTEN_AFTER: Duration = Duration::from_millis(2_500);
const FORGOTTEN_FOR: usize = 3;

/// Remembers the last eight samples.
#[derive(Debug, Clone, Default)]
pub(crate) struct MaxFilter {
    samples: VecDeque<(Duration, u64)>,
    /// The largest of them: asked for far more often than it changes.
    max: u64,
}

impl MaxFilter {
    /// The largest sample; 0 without any.
    pub(crate) fn max(&self) -> u64 {
        self.max
    }

    /// Adds a sample of the path at work, of a round that took so long.
    pub(crate) fn push(&mut self, took: Duration, sample: u64) {
        self.samples.push_back((took, sample));
        let mut time: Duration = self.samples.iter().map(|(took, _)| *took).sum();
        while let Some((took, _)) = self.samples.front() {
            time -= *took;
            let is_old = time >= FORGOTTEN_AFTER && self.samples.len() > FORGOTTEN_FOR;
            if !is_old && self.samples.len() <= SAMPLES_MAX {
                break;
            }
            self.samples.pop_front();
        }
        self.find_max();
    }

    /// Adds a sample taken while there was less to send than the path could take.
    pub(crate) fn push_demand_limited(&mut self, took: Duration, sample: u64) {
        if sample > self.max() {
            self.push(took, sample);
        }
    }

    /// Forgets all but the last `count` samples.
    pub(crate) fn keep_last(&mut self, count: usize) {
        while self.samples.len() > count {
            self.samples.pop_front();
        }
        self.find_max();
    }

    fn find_max(&mut self) {
        self.max = self.samples.iter().map(|(_, sample)| *sample).max().unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(200);

    #[test]
    fn only_samples_at_work_age_the_maximum() {
        let mut filter = MaxFilter::default();
        filter.push(SHORT, 100);
        (0..50).for_each(|_| filter.push_demand_limited(SHORT, 10));
        assert_eq!(filter.max(), 100);
        (0..8).for_each(|_| filter.push(SHORT, 20));
        assert_eq!(filter.max(), 20);
        filter.push(SHORT, 50);
        (0..2).for_each(|_| filter.push(SHORT, 20));
        filter.keep_last(2);
        assert_eq!(filter.max(), 20);
    }

    #[test]
    fn long_rounds_are_not_believed_longer_than_some_seconds() {
        let mut filter = MaxFilter::default();
        filter.push(SHORT, 100);
        for _ in 0..2 {
            filter.push(Duration::from_secs(10), 20);
        }
        assert_eq!(filter.max(), 100, "two are too few to forget one");
        filter.push(SHORT, 20);
        assert_eq!(filter.max(), 20);
    }
}
