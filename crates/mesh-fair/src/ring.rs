//! A round-robin ring whose members can be taken out from the middle in logarithmic time.
//!
//! Invariant: turns only grow, so whoever was put in last comes last.

use std::collections::BTreeMap;

/// Keys in the order of their turns.
#[derive(Debug, Clone)]
pub(crate) struct Ring<K> {
    turn_next: u64,
    by_turn: BTreeMap<u64, K>,
}

impl<K> Default for Ring<K> {
    fn default() -> Self {
        Self { turn_next: 0, by_turn: BTreeMap::new() }
    }
}

impl<K: Copy> Ring<K> {
    /// Puts `key` at the end and says its turn, by which it can be taken out.
    pub(crate) fn push(&mut self, key: K) -> u64 {
        let turn = self.turn_next;
        self.turn_next += 1;
        self.by_turn.insert(turn, key);
        turn
    }

    /// Takes out whoever has this turn.
    pub(crate) fn remove(&mut self, turn: u64) {
        self.by_turn.remove(&turn);
    }

    /// Whose turn it is.
    pub(crate) fn first(&self) -> Option<K> {
        self.by_turn.values().next().copied()
    }

    /// Whether nobody is in.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_turn.is_empty()
    }
}
