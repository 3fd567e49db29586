//! Events in the order of their time, and of one time in the order they were put in.
//!
//! [`Heap`] is best for few, [`Radix`] for many; both give the same order, which a property test shows.

mod heap;
mod radix;
#[cfg(test)]
mod tests;

use mesh_proto::Timestamp;

pub use heap::Heap;
pub use radix::Radix;

/// From so many pending events on, [`Radix`] is the faster.
const RADIX_FROM: usize = 4096;

/// Events that wait for their time. Nothing may be put in before what was taken out last.
pub trait EventQueue<T> {
    /// Puts an event in.
    fn push(&mut self, at: Timestamp, event: T);

    /// Takes the first event out, if it is due by `limit`.
    fn pop_until(&mut self, limit: Timestamp) -> Option<(Timestamp, T)>;

    /// How many wait.
    fn len(&self) -> usize;

    /// Whether none waits.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The queue for an expected number of events.
#[derive(Debug)]
pub enum Queue<T> {
    /// Few.
    Heap(Heap<T>),
    /// Many.
    Radix(Radix<T>),
}

impl<T> Queue<T> {
    /// A queue that is fast with `pending` events waiting at a time.
    #[must_use]
    pub fn for_pending(pending: usize) -> Self {
        match pending < RADIX_FROM {
            true => Self::Heap(Heap::default()),
            false => Self::Radix(Radix::default()),
        }
    }
}

impl<T> EventQueue<T> for Queue<T> {
    fn push(&mut self, at: Timestamp, event: T) {
        match self {
            Self::Heap(heap) => heap.push(at, event),
            Self::Radix(radix) => radix.push(at, event),
        }
    }

    fn pop_until(&mut self, limit: Timestamp) -> Option<(Timestamp, T)> {
        match self {
            Self::Heap(heap) => heap.pop_until(limit),
            Self::Radix(radix) => radix.pop_until(limit),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Heap(heap) => heap.len(),
            Self::Radix(radix) => radix.len(),
        }
    }
}
