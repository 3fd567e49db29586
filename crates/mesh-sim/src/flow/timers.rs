//! One timer per flow: a binary heap that knows where each flow stands in it.
//!
//! Invariant: it holds at most one entry per flow, so its size never depends on how often rates change. Of one time,
//! the flow with the lower number is first.

use mesh_proto::Timestamp;

const NOWHERE: u32 = u32::MAX;

#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: Vec<(Timestamp, u32)>,
    /// By flow.
    places: Vec<u32>,
}

impl Timers {
    pub(super) fn first(&self) -> Option<(Timestamp, u32)> {
        self.heap.first().copied()
    }

    /// Sets, moves or (with `None`) drops the timer of a flow.
    pub(super) fn set(&mut self, flow: u32, at: Option<Timestamp>) {
        if self.places.len() <= flow as usize {
            self.places.resize(flow as usize + 1, NOWHERE);
        }
        let place = self.places[flow as usize];
        match (at, place == NOWHERE) {
            (None, true) => {}
            (None, false) => self.remove(place as usize),
            (Some(at), true) => {
                self.heap.push((at, flow));
                self.rise(self.heap.len() - 1);
            }
            (Some(at), false) => {
                self.heap[place as usize].0 = at;
                let place = self.rise(place as usize);
                self.sink(place);
            }
        }
    }

    fn remove(&mut self, place: usize) {
        let (_, flow) = self.heap.swap_remove(place);
        self.places[flow as usize] = NOWHERE;
        if place < self.heap.len() {
            let place = self.rise(place);
            self.sink(place);
        }
    }

    fn rise(&mut self, mut place: usize) -> usize {
        let entry = self.heap[place];
        while place > 0 && entry < self.heap[(place - 1) / 2] {
            self.put(place, self.heap[(place - 1) / 2]);
            place = (place - 1) / 2;
        }
        self.put(place, entry);
        place
    }

    fn sink(&mut self, mut place: usize) {
        let entry = self.heap[place];
        loop {
            let left = 2 * place + 1;
            let Some(mut child) = self.heap.get(left).map(|_| left) else { break };
            if self.heap.get(left + 1).is_some_and(|right| *right < self.heap[left]) {
                child = left + 1;
            }
            if entry <= self.heap[child] {
                break;
            }
            self.put(place, self.heap[child]);
            place = child;
        }
        self.put(place, entry);
    }

    fn put(&mut self, place: usize, entry: (Timestamp, u32)) {
        self.heap[place] = entry;
        self.places[entry.1 as usize] = place as u32;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;

    proptest! {
        #[test]
        fn the_first_is_what_a_sorted_list_says(
            sets in proptest::collection::vec((0..20u32, proptest::option::of(0..50u64), any::<bool>()), 1..200),
        ) {
            let (mut timers, mut model) = (Timers::default(), BTreeMap::new());
            for (flow, at, drop_first) in sets {
                timers.set(flow, at.map(Timestamp));
                match at {
                    Some(at) => model.insert(flow, at),
                    None => model.remove(&flow),
                };
                let first = model.iter().map(|(flow, at)| (*at, *flow)).min();
                prop_assert_eq!(timers.first(), first.map(|(at, flow)| (Timestamp(at), flow)));
                if let (true, Some((_, flow))) = (drop_first, first) {
                    timers.set(flow, None);
                    model.remove(&flow);
                }
            }
        }
    }
}
