//! A list that never outgrows its bound: it keeps every first, second, fourth, … item of what it is offered.
//!
//! Invariant: what is kept is exactly the items number 0, `every`, 2·`every`, … of those offered.

use serde::{Deserialize, Serialize};

/// At most `MAX` items, evenly chosen from all that were offered. `MAX` must be even.
///
/// When it is full, every second item goes and from then on half as many are taken. Which items are kept depends on
/// nothing but their number, so runs of one seed keep the same ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thinned<T, const MAX: usize> {
    every: u64,
    offered: u64,
    kept: Vec<T>,
}

impl<T, const MAX: usize> Default for Thinned<T, MAX> {
    fn default() -> Self {
        Self { every: 1, offered: 0, kept: Vec::new() }
    }
}

impl<T, const MAX: usize> Thinned<T, MAX> {
    const MAX_IS_EVEN: () = assert!(MAX >= 2 && MAX.is_multiple_of(2));

    /// Offers an item.
    pub fn add(&mut self, item: T) {
        let () = Self::MAX_IS_EVEN;
        if self.offered.is_multiple_of(self.every) {
            if self.kept.len() == MAX {
                let mut number = 0_usize;
                self.kept.retain(|_| {
                    number += 1;
                    number % 2 == 1
                });
                self.every *= 2;
            }
            self.kept.push(item);
        }
        self.offered += 1;
    }

    /// The items kept, in the order in which they were offered.
    #[must_use]
    pub fn kept(&self) -> &[T] {
        &self.kept
    }

    /// How many were offered.
    #[must_use]
    pub fn offered(&self) -> u64 {
        self.offered
    }

    /// Which of them were kept: one of so many. 1 means all.
    #[must_use]
    pub fn every(&self) -> u64 {
        self.every
    }

    /// Whether what was read from a file can have come about by [`Thinned::add`].
    pub(super) fn is_sound(&self) -> bool {
        self.every.is_power_of_two()
            && self.kept.len() <= MAX
            && self.kept.len() as u64 == self.offered.div_ceil(self.every)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_kept_is_every_so_manieth(offered in 0_u64..2_000) {
            let mut list = Thinned::<u64, 16>::default();
            (0..offered).for_each(|number| list.add(number));
            let expected: Vec<u64> = (0..offered).step_by(list.every() as usize).collect();
            prop_assert_eq!(list.kept(), &expected[..]);
            prop_assert!(list.is_sound());
            prop_assert!(offered <= 16 || list.kept().len() >= 8);
        }
    }
}
