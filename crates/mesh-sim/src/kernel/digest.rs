//! A rolling digest of a run: two runs with one digest did the same in the same order.

/// The digest so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest(u64);

impl Default for Digest {
    fn default() -> Self {
        Self(0x243f_6a88_85a3_08d3)
    }
}

impl Digest {
    /// Takes in one event. The order counts.
    pub fn add(&mut self, a: u64, b: u64) {
        let left = self.0 ^ a ^ 0x1319_8a2e_0370_7344;
        let right = b.rotate_left(32) ^ 0xa409_3822_299f_31d1;
        let product = u128::from(left) * u128::from(right);
        self.0 =
            self.0.rotate_left(23).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (product as u64) ^ ((product >> 64) as u64);
    }

    /// Its value.
    #[must_use]
    pub fn value(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(events: &[(u64, u64)]) -> u64 {
        let mut digest = Digest::default();
        events.iter().for_each(|(a, b)| digest.add(*a, *b));
        digest.value()
    }

    #[test]
    fn order_and_every_bit_count() {
        let events = [(1, 2), (3, 4), (0, 0), (5, u64::MAX)];
        let whole = of(&events);
        assert_ne!(whole, of(&[(3, 4), (1, 2), (0, 0), (5, u64::MAX)]));
        assert_ne!(whole, of(&events[..3]));
        for event in 0..events.len() {
            for bit in 0..64 {
                let mut other = events;
                other[event].0 ^= 1 << bit;
                assert_ne!(whole, of(&other), "{event} {bit}");
                let mut other = events;
                other[event].1 ^= 1 << bit;
                assert_ne!(whole, of(&other), "{event} {bit}");
            }
        }
    }
}
