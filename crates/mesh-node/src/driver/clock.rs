//! The two clocks: the monotonic one the brain runs on, and civil time, which it is told at start and when it jumps.
//!
//! Invariant: no timer is spent on civil time. It is compared when the loop wakes up anyway.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mesh_proto::port::Input;
use mesh_proto::{Timestamp, UnixMs};
use tokio::time::Instant;

use crate::system;

/// How far civil time may drift from the monotonic clock before the brain is told anew.
const JUMP_MS_MAX: u64 = 1000;
/// How often at most the system is asked whether its clock is synchronised.
const TRUST_INTERVAL: Duration = Duration::from_secs(60);

/// Both clocks of one node.
pub(super) struct Clock {
    start: Instant,
    /// What the brain was told last, and when.
    told: Option<(Timestamp, u64, bool)>,
    trust_checked: Timestamp,
}

impl Clock {
    /// Begins to count now.
    pub(super) fn start() -> Self {
        Self { start: Instant::now(), told: None, trust_checked: Timestamp::ZERO }
    }

    /// The monotonic time.
    pub(super) fn now(&self) -> Timestamp {
        Timestamp::ZERO.after(self.start.elapsed())
    }

    /// When a time comes, for the timer.
    pub(super) fn instant(&self, at: Timestamp) -> Instant {
        let after = at.since(Timestamp::ZERO);
        // A time that never comes in practice is as good as a year.
        self.start.checked_add(after).unwrap_or_else(|| self.start + Duration::from_secs(365 * 86_400))
    }

    /// What the brain must be told about civil time, if anything.
    pub(super) fn news(&mut self, now: Timestamp) -> Option<Input> {
        let unix_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis());
        self.compare(now, u64::try_from(unix_ms).unwrap_or(u64::MAX), system::clock_is_synchronised)
    }

    fn compare(&mut self, now: Timestamp, unix_ms: u64, synchronised: impl FnOnce() -> bool) -> Option<Input> {
        let mut trusted = self.told.is_some_and(|(_, _, trusted)| trusted);
        let mut changed = self.told.is_none();
        if changed || now.since(self.trust_checked) >= TRUST_INTERVAL {
            self.trust_checked = now;
            let found = synchronised();
            changed |= found != trusted;
            trusted = found;
        }
        if let Some((at, told_ms, _)) = self.told {
            let passed_ms = u64::try_from(now.since(at).as_millis()).unwrap_or(u64::MAX);
            changed |= told_ms.saturating_add(passed_ms).abs_diff(unix_ms) > JUMP_MS_MAX;
        }
        if !changed {
            return None;
        }
        self.told = Some((now, unix_ms, trusted));
        Some(Input::Clock { unix: UnixMs(unix_ms), trusted })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Timestamp {
        Timestamp(ms * 1_000_000)
    }

    #[tokio::test]
    async fn civil_time_is_told_at_start_and_when_it_jumps_either_way() {
        let mut clock = Clock::start();
        assert!(clock.compare(at(0), 50_000, || false).is_some());
        assert_eq!(clock.compare(at(5_000), 55_900, || false), None, "drift below the limit");
        let told = clock.compare(at(6_000), 20_000, || false);
        assert_eq!(told, Some(Input::Clock { unix: UnixMs(20_000), trusted: false }));
        assert_eq!(clock.compare(at(7_000), 21_000, || false), None);
        assert!(clock.compare(at(8_000), 900_000, || false).is_some());
    }

    #[tokio::test]
    async fn no_jump_is_too_far() {
        let mut clock = Clock::start();
        for (second, unix_ms) in [u64::MAX, 0, u64::MAX - 1, 4_102_444_800_000, 1].into_iter().enumerate() {
            let told = clock.compare(at(1000 * second as u64), unix_ms, || false);
            assert_eq!(told, Some(Input::Clock { unix: UnixMs(unix_ms), trusted: false }));
        }
    }

    #[tokio::test]
    async fn trust_is_looked_at_once_a_minute() {
        let mut clock = Clock::start();
        clock.compare(at(0), 0, || false);
        assert_eq!(clock.compare(at(59_000), 59_000, || true), None);
        let told = clock.compare(at(60_000), 60_000, || true);
        assert_eq!(told, Some(Input::Clock { unix: UnixMs(60_000), trusted: true }));
    }
}
