//! A lane in which commands about one content are carried out one after another, and those about others beside them.

use std::collections::{BTreeMap, VecDeque};

use mesh_proto::ContentId;
use parking_lot::{Condvar, Mutex};

/// What waits in the lane. See the module.
#[derive(Debug)]
pub struct Keyed<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    waiting_max: usize,
}

#[derive(Debug)]
struct State<T> {
    /// What waits of each content that has something waiting or under way.
    waiting: BTreeMap<ContentId, VecDeque<T>>,
    /// Contents of which something waits and nothing is under way.
    ready: VecDeque<ContentId>,
    count: usize,
    closed: bool,
}

impl<T> Keyed<T> {
    /// A lane that takes so much at most.
    pub fn new(waiting_max: usize) -> Self {
        let state = State { waiting: BTreeMap::new(), ready: VecDeque::new(), count: 0, closed: false };
        Self { state: Mutex::new(state), changed: Condvar::new(), waiting_max }
    }

    /// Puts something in, or gives it back if the lane is full or closed.
    pub fn push(&self, content: ContentId, item: T) -> Result<(), T> {
        let mut state = self.state.lock();
        if state.closed || state.count >= self.waiting_max {
            return Err(item);
        }
        state.count += 1;
        if !state.waiting.contains_key(&content) {
            state.ready.push_back(content);
        }
        state.waiting.entry(content).or_default().push_back(item);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Waits for something to do; `None` once the lane is closed and nothing of it waits.
    /// [`done`](Self::done) must follow.
    pub fn take(&self) -> Option<(ContentId, T)> {
        let mut state = self.state.lock();
        loop {
            if let Some(content) = state.ready.pop_front() {
                let item = state.waiting.get_mut(&content).and_then(VecDeque::pop_front);
                if let Some(item) = item {
                    state.count -= 1;
                    return Some((content, item));
                }
            } else if state.closed {
                return None;
            } else {
                self.changed.wait(&mut state);
            }
        }
    }

    /// What was taken of a content is done.
    pub fn done(&self, content: ContentId) {
        let mut state = self.state.lock();
        if state.waiting.get(&content).is_some_and(|waiting| !waiting.is_empty()) {
            state.ready.push_back(content);
            drop(state);
            self.changed.notify_one();
        } else {
            state.waiting.remove(&content);
        }
    }

    /// Takes nothing more; what waits is still given out.
    pub fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn content(number: u8) -> ContentId {
        ContentId([number; 32])
    }

    #[test]
    fn one_content_has_one_thing_under_way_and_others_go_on() {
        let lane = Keyed::new(10);
        for (number, item) in [(1, 'a'), (1, 'b'), (2, 'c'), (1, 'd')] {
            lane.push(content(number), item).expect("there is room");
        }
        assert_eq!(lane.take(), Some((content(1), 'a')));
        assert_eq!(lane.take(), Some((content(2), 'c')));
        lane.done(content(1));
        assert_eq!(lane.take(), Some((content(1), 'b')));
        lane.done(content(2));
        lane.done(content(1));
        lane.close();
        assert_eq!(lane.push(content(3), 'e'), Err('e'));
        assert_eq!(lane.take(), Some((content(1), 'd')));
        lane.done(content(1));
        assert_eq!(lane.take(), None);
    }

    #[test]
    fn what_is_too_much_comes_back() {
        let lane = Keyed::new(1);
        assert_eq!(lane.push(content(1), 'a'), Ok(()));
        assert_eq!(lane.push(content(2), 'b'), Err('b'));
    }

    #[test]
    fn many_threads_keep_the_order_of_each_content() {
        let lane = Arc::new(Keyed::new(10_000));
        let seen = Arc::new(Mutex::new(BTreeMap::<ContentId, Vec<u32>>::new()));
        let workers: Vec<_> = (0..4)
            .map(|_| {
                let (lane, seen) = (lane.clone(), seen.clone());
                std::thread::spawn(move || {
                    while let Some((content, item)) = lane.take() {
                        seen.lock().entry(content).or_default().push(item);
                        lane.done(content);
                    }
                })
            })
            .collect();
        for item in 0..3000u32 {
            lane.push(content((item % 7) as u8), item).expect("there is room");
        }
        lane.close();
        workers.into_iter().for_each(|worker| worker.join().expect("it ends"));
        let seen = seen.lock();
        assert_eq!(seen.values().map(Vec::len).sum::<usize>(), 3000);
        assert!(seen.values().all(|items| items.is_sorted()));
    }
}
