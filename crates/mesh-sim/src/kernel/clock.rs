//! A machine's own monotonic clock: it begins when the machine does, and may run fast or slow.

use mesh_proto::Timestamp;

const BILLION: i128 = 1_000_000_000;

/// How the clock of one machine runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalClock {
    began: Timestamp,
    /// What it showed then.
    shown: Timestamp,
    drift_ppb: i32,
}

impl LocalClock {
    /// A clock that begins now and gains so many nanoseconds per second; from one second lost on, it stands.
    #[must_use]
    pub fn new(began: Timestamp, drift_ppb: i32) -> Self {
        Self { began, shown: Timestamp::ZERO, drift_ppb: drift_ppb.max(-999_999_999) }
    }

    /// The same clock, running otherwise from a time of the world on. What it shows does not jump.
    #[must_use]
    pub fn with_drift(self, world: Timestamp, drift_ppb: i32) -> Self {
        Self { shown: self.shows(world), ..Self::new(world, drift_ppb) }
    }

    /// What it shows at a time of the world.
    #[must_use]
    pub fn shows(self, world: Timestamp) -> Timestamp {
        let passed = world.0.saturating_sub(self.began.0);
        let passed = match self.drift_ppb {
            0 => Timestamp(passed),
            drift => saturated(i128::from(passed) * (BILLION + i128::from(drift)) / BILLION),
        };
        Timestamp(self.shown.0.saturating_add(passed.0))
    }

    /// The first time of the world at which it shows `local` or more.
    #[must_use]
    pub fn reaches(self, local: Timestamp) -> Timestamp {
        let local = Timestamp(local.0.saturating_sub(self.shown.0));
        let passed = match self.drift_ppb {
            0 => local,
            drift => {
                let rate = BILLION + i128::from(drift);
                saturated((i128::from(local.0) * BILLION + rate - 1) / rate)
            }
        };
        Timestamp(self.began.0.saturating_add(passed.0))
    }
}

fn saturated(nanos: i128) -> Timestamp {
    Timestamp(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::*;

    proptest! {
        #[test]
        fn a_time_is_reached_when_it_is_shown_and_not_before(
            began in 0..1u64 << 50, local in 0..1u64 << 55, drift_ppb in -900_000_000..900_000_000i32,
        ) {
            let clock = LocalClock::new(Timestamp(began), drift_ppb);
            let world = clock.reaches(Timestamp(local));
            prop_assert!(clock.shows(world) >= Timestamp(local));
            prop_assert!(world.0 == began || clock.shows(Timestamp(world.0 - 1)) < Timestamp(local));
        }

        #[test]
        fn a_clock_that_changes_its_pace_does_not_jump(
            began in 0..1u64 << 50, at in 0..1u64 << 50, passed in 0..1u64 << 50, before in -900_000_000..900_000_000i32,
            after in -900_000_000..900_000_000i32,
        ) {
            let old = LocalClock::new(Timestamp(began), before);
            let at = Timestamp(began + at);
            let new = old.with_drift(at, after);
            prop_assert_eq!(new.shows(at), old.shows(at));
            let local = Timestamp(new.shows(at).0 + passed);
            let world = new.reaches(local);
            prop_assert!(new.shows(world) >= local);
            prop_assert!(world == at || new.shows(Timestamp(world.0 - 1)) < local);
        }

        #[test]
        fn a_good_clock_shows_the_time_since_it_began(began in 0..1u64 << 60, passed in 0..1u64 << 60) {
            let clock = LocalClock::new(Timestamp(began), 0);
            prop_assert_eq!(clock.shows(Timestamp(began + passed)), Timestamp(passed));
            prop_assert_eq!(clock.reaches(Timestamp(passed)), Timestamp(began + passed));
        }
    }
}
