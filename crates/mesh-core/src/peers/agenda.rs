//! A sorted set whose first member is at hand.
//!
//! What is due is asked for at every input, and changes rarely; a tree's first member lies deep in memory, where with many
//! nodes in one process nothing is cached.
//!
//! Invariant: `first` is the first of the set.

use std::collections::BTreeSet;

/// The set. See the module.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Agenda<T> {
    all: BTreeSet<T>,
    first: Option<T>,
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Self { all: BTreeSet::new(), first: None }
    }
}

impl<T: Ord + Copy> Agenda<T> {
    pub(super) fn first(&self) -> Option<T> {
        self.first
    }

    pub(super) fn insert(&mut self, member: T) {
        self.all.insert(member);
        self.first = Some(self.first.map_or(member, |first| first.min(member)));
    }

    pub(super) fn remove(&mut self, member: T) {
        self.all.remove(&member);
        if self.first == Some(member) {
            self.first = self.all.first().copied();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_first_is_that_of_the_set(steps in proptest::collection::vec((any::<bool>(), 0u8..16), 0..100)) {
            let mut agenda = Agenda::default();
            for (adds, member) in steps {
                match adds {
                    true => agenda.insert(member),
                    false => agenda.remove(member),
                }
                prop_assert_eq!(agenda.first(), agenda.all.first().copied());
            }
        }
    }
}
