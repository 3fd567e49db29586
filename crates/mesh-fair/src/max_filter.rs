//! The largest of the last few samples.
//!
//! Invariant: a sample that was limited by demand, not by the path, can raise the maximum and never ages it.

use std::collections::VecDeque;

/// Samples kept.
const SAMPLES_MAX: usize = 8;

/// Remembers the last eight samples.
#[derive(Debug, Clone, Default)]
pub(crate) struct MaxFilter {
    samples: VecDeque<u64>,
    /// The largest of them: asked for far more often than it changes.
    max: u64,
}

impl MaxFilter {
    /// The largest sample; 0 without any.
    pub(crate) fn max(&self) -> u64 {
        self.max
    }

    /// Adds a sample of the path at work.
    pub(crate) fn push(&mut self, sample: u64) {
        if self.samples.len() >= SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
        self.find_max();
    }

    /// Adds a sample taken while there was less to send than the path could take.
    pub(crate) fn push_demand_limited(&mut self, sample: u64) {
        if sample > self.max() {
            self.push(sample);
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
        self.max = self.samples.iter().copied().max().unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_samples_at_work_age_the_maximum() {
        let mut filter = MaxFilter::default();
        filter.push(100);
        (0..50).for_each(|_| filter.push_demand_limited(10));
        assert_eq!(filter.max(), 100);
        (0..8).for_each(|_| filter.push(20));
        assert_eq!(filter.max(), 20);
        filter.push(50);
        (0..2).for_each(|_| filter.push(20));
        filter.keep_last(2);
        assert_eq!(filter.max(), 20);
    }
}
