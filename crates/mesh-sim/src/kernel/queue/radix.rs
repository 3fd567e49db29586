//! A radix heap: as time only goes forward, an event's place depends on the highest bit in which its time differs from
//! the time of the last one taken out. Each event moves to lower places a few times and is never compared with others.

use std::collections::VecDeque;

use mesh_proto::Timestamp;

use super::EventQueue;

/// A place for the present time, and one per bit.
const PLACES: usize = 65;

/// A place keeps the memory of so many events. In turn each of the high places holds all events at once: if each
/// kept what it then needed, that would be several times what the events need.
const KEPT: usize = 1 << 16;

/// A monotone radix heap (Ahuja, Mehlhorn, Orlin, Tarjan 1990).
///
/// Invariant: an event is always in the place that its time and `last` say. So two of one time are in one place, and
/// stay in the order they came, also as they move.
#[derive(Debug)]
pub struct Radix<T> {
    /// Events due at `last`.
    present: VecDeque<T>,
    /// Later events by the highest bit, from 1 on, in which their time differs from `last`.
    later: Vec<Vec<(Timestamp, T)>>,
    /// The places of `later` that are not empty, as bits.
    filled: u64,
    last: Timestamp,
    length: usize,
}

impl<T> Default for Radix<T> {
    fn default() -> Self {
        let later = std::iter::repeat_with(Vec::new).take(PLACES - 1).collect();
        Self { present: VecDeque::new(), later, filled: 0, last: Timestamp::ZERO, length: 0 }
    }
}

impl<T> Radix<T> {
    fn place(&mut self, at: Timestamp, event: T) {
        let difference = at.0 ^ self.last.0;
        match difference.checked_ilog2() {
            None => self.present.push_back(event),
            Some(bit) => {
                self.filled |= 1 << bit;
                self.later[bit as usize].push((at, event));
            }
        }
    }

    /// Makes the first time of the lowest place the present, if it is due by `limit`.
    fn advance(&mut self, limit: Timestamp) -> bool {
        if self.filled == 0 {
            return false;
        }
        let bit = self.filled.trailing_zeros() as usize;
        let first = self.later[bit].iter().map(|(at, _)| *at).min().unwrap_or(limit);
        if first > limit {
            return false;
        }
        self.last = first;
        self.filled &= !(1 << bit);
        let mut moving = std::mem::take(&mut self.later[bit]);
        for (at, event) in moving.drain(..) {
            self.place(at, event);
        }
        if moving.capacity() <= KEPT {
            self.later[bit] = moving;
        }
        true
    }
}

impl<T> EventQueue<T> for Radix<T> {
    fn push(&mut self, at: Timestamp, event: T) {
        debug_assert!(at >= self.last, "time only goes forward");
        self.length += 1;
        self.place(at.max(self.last), event);
    }

    fn pop_until(&mut self, limit: Timestamp) -> Option<(Timestamp, T)> {
        if self.present.is_empty() && !self.advance(limit) {
            return None;
        }
        if self.last > limit {
            return None;
        }
        let event = self.present.pop_front()?;
        self.length -= 1;
        Some((self.last, event))
    }

    fn len(&self) -> usize {
        self.length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_many_events_needed_is_given_back() {
        let mut radix = Radix::default();
        let many = 4 * KEPT as u64;
        for time in 1..=many {
            radix.push(Timestamp(time), time);
        }
        for time in 1..=many {
            assert_eq!(radix.pop_until(Timestamp(many)), Some((Timestamp(time), time)));
        }
        assert!(radix.later.iter().all(|place| place.capacity() <= KEPT));
    }
}
