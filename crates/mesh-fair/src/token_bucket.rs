//! A token bucket in exact integers: what is taken over any time is at most burst + rate × time, with no drift.
//!
//! Invariant: the level is kept in billionths of a byte, so a refill of any length in nanoseconds loses nothing.

use mesh_proto::{ByteRate, Timestamp};

const PARTS_PER_BYTE: u128 = 1_000_000_000;

/// Allows `rate` bytes per second on average and `burst_bytes` at once.
#[derive(Debug, Clone)]
pub struct TokenBucket {
    rate: ByteRate,
    burst_bytes: u64,
    level_parts: u128,
    refilled_at: Timestamp,
}

impl TokenBucket {
    /// A full bucket.
    #[must_use]
    pub fn new(now: Timestamp, rate: ByteRate, burst_bytes: u64) -> Self {
        Self { rate, burst_bytes, level_parts: u128::from(burst_bytes) * PARTS_PER_BYTE, refilled_at: now }
    }

    /// Its rate.
    #[must_use]
    pub fn rate(&self) -> ByteRate {
        self.rate
    }

    /// The most it gives at once.
    #[must_use]
    pub fn burst_bytes(&self) -> u64 {
        self.burst_bytes
    }

    /// What could be taken at `now`.
    pub fn available(&mut self, now: Timestamp) -> u64 {
        self.refill(now);
        u64::try_from(self.level_parts / PARTS_PER_BYTE).unwrap_or(u64::MAX)
    }

    /// Takes up to `bytes_max` and says how much was there.
    pub fn take(&mut self, now: Timestamp, bytes_max: u64) -> u64 {
        let bytes = self.available(now).min(bytes_max);
        self.level_parts -= u128::from(bytes) * PARTS_PER_BYTE;
        bytes
    }

    /// Puts back what was taken and not used; the bucket never holds more than its burst.
    pub fn give_back(&mut self, bytes: u64) {
        let level = self.level_parts + u128::from(bytes) * PARTS_PER_BYTE;
        self.level_parts = level.min(u128::from(self.burst_bytes) * PARTS_PER_BYTE);
    }

    /// When `bytes` (at most the burst) will be there; `None` if never, because the rate is zero.
    pub fn available_at(&mut self, now: Timestamp, bytes: u64) -> Option<Timestamp> {
        self.refill(now);
        let wanted = u128::from(bytes.min(self.burst_bytes)) * PARTS_PER_BYTE;
        let missing = wanted.saturating_sub(self.level_parts);
        if missing == 0 {
            return Some(now);
        }
        if self.rate.0 == 0 {
            return None;
        }
        let nanos = missing.div_ceil(u128::from(self.rate.0));
        Some(Timestamp(now.0.saturating_add(u64::try_from(nanos).unwrap_or(u64::MAX))))
    }

    fn refill(&mut self, now: Timestamp) {
        let nanos = now.since(self.refilled_at).as_nanos();
        self.refilled_at = self.refilled_at.max(now);
        let level = self.level_parts.saturating_add(nanos.saturating_mul(u128::from(self.rate.0)));
        self.level_parts = level.min(u128::from(self.burst_bytes) * PARTS_PER_BYTE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn odd_rates_do_not_drift() {
        let mut bucket = TokenBucket::new(Timestamp(0), ByteRate(333_333), 1000);
        let mut taken = 0;
        for step in 0..=1_000_000u64 {
            taken += bucket.take(Timestamp(step * 10_007), u64::MAX);
        }
        assert_eq!(taken, 1000 + 333_333 * 10_007 / 1_000);
    }

    #[test]
    fn it_says_when_enough_is_there_to_the_nanosecond() {
        let mut bucket = TokenBucket::new(Timestamp(0), ByteRate(3), 10);
        assert_eq!(bucket.take(Timestamp(0), 10), 10);
        let at = bucket.available_at(Timestamp(0), 1).unwrap();
        assert_eq!(at, Timestamp(333_333_334));
        assert_eq!(bucket.available(Timestamp(at.0 - 1)), 0);
        assert_eq!(bucket.available(at), 1);
        assert_eq!(TokenBucket::new(Timestamp(0), ByteRate(0), 0).available_at(Timestamp(0), 0), Some(Timestamp(0)));
    }

    proptest! {
        #[test]
        fn never_more_than_burst_and_rate_times_time(
            rate in 0u64..10_000_000, burst in 0u64..100_000, steps in proptest::collection::vec((0u64..10_000_000, 0u64..50_000), 1..100)
        ) {
            let mut bucket = TokenBucket::new(Timestamp(0), ByteRate(rate), burst);
            let (mut now, mut taken) = (0u64, 0u128);
            for (wait, want) in steps {
                now += wait;
                taken += u128::from(bucket.take(Timestamp(now), want));
                prop_assert!(taken <= u128::from(burst) + u128::from(rate) * u128::from(now) / 1_000_000_000);
            }
        }
    }
}
