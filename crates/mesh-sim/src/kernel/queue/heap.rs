//! A binary heap: each event costs the logarithm of how many wait.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use mesh_proto::Timestamp;

use super::EventQueue;

/// A binary heap over (time, sequence).
#[derive(Debug)]
pub struct Heap<T> {
    entries: BinaryHeap<Entry<T>>,
    sequence: u64,
}

#[derive(Debug)]
struct Entry<T> {
    at: Timestamp,
    sequence: u64,
    event: T,
}

impl<T> Entry<T> {
    fn key(&self) -> (Timestamp, u64) {
        (self.at, self.sequence)
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The first is the greatest: the heap gives the greatest out.
impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.key().cmp(&self.key())
    }
}

impl<T> Default for Heap<T> {
    fn default() -> Self {
        Self { entries: BinaryHeap::new(), sequence: 0 }
    }
}

impl<T> EventQueue<T> for Heap<T> {
    fn push(&mut self, at: Timestamp, event: T) {
        let sequence = self.sequence;
        self.sequence += 1;
        self.entries.push(Entry { at, sequence, event });
    }

    fn pop_until(&mut self, limit: Timestamp) -> Option<(Timestamp, T)> {
        if self.entries.peek()?.at > limit {
            return None;
        }
        self.entries.pop().map(|entry| (entry.at, entry.event))
    }

    fn len(&self) -> usize {
        self.entries.len()
    }
}
