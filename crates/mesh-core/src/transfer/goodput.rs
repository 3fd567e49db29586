//! How fast bytes come, over samples long enough to mean something.
//!
//! Invariant: a pause between two bytes counts as slowness unless it was announced with [`Goodput::on_idle`].

use std::time::Duration;

use mesh_proto::{ByteRate, Timestamp};

/// Time over which a sample is taken.
const SAMPLE: Duration = Duration::from_millis(200);

/// A rate that follows what comes. See the module.
#[derive(Debug, Clone, Copy, Default)]
pub struct Goodput {
    bytes_per_s: u64,
    sample_bytes: u64,
    sample_began: Option<Timestamp>,
}

impl Goodput {
    /// Bytes per second; 0 = not known.
    #[must_use]
    pub fn bytes_per_s(&self) -> u64 {
        self.bytes_per_s
    }

    /// What comes in so much time at this rate.
    #[must_use]
    pub fn bytes_in(&self, time: Duration) -> u64 {
        ByteRate(self.bytes_per_s).bytes_in(time)
    }

    /// Notes bytes that arrived. Returns whether that ended a sample.
    pub fn on_bytes(&mut self, now: Timestamp, bytes: u64) -> bool {
        let began = *self.sample_began.get_or_insert(now);
        self.sample_bytes += bytes;
        let passed = now.since(began);
        if passed < SAMPLE {
            return false;
        }
        let sample = ByteRate::measured(self.sample_bytes, passed).map_or(0, |rate| rate.0);
        // Up at once, down slowly: a sample can only be too low (there were others to serve, or we asked too little).
        self.bytes_per_s = match sample > self.bytes_per_s {
            true => sample,
            false => (self.bytes_per_s * 7 + sample) / 8,
        };
        self.sample_bytes = 0;
        self.sample_began = Some(now);
        true
    }

    /// Nothing is in flight: a pause must not count as slowness.
    pub fn on_idle(&mut self) {
        self.sample_began = None;
        self.sample_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rises_at_once_and_falls_slowly() {
        let mut goodput = Goodput::default();
        let at = |ms: u64| Timestamp(1_000_000_000 + ms * 1_000_000);
        assert!(!goodput.on_bytes(at(0), 0));
        assert!(!goodput.on_bytes(at(100), 50_000));
        assert_eq!(goodput.bytes_per_s(), 0, "too early to tell");
        assert!(goodput.on_bytes(at(200), 50_000));
        assert_eq!(goodput.bytes_per_s(), 500_000);
        goodput.on_bytes(at(400), 20_000);
        assert_eq!(goodput.bytes_per_s(), (500_000 * 7 + 100_000) / 8);
        goodput.on_idle();
        goodput.on_bytes(at(9_000), 0);
        goodput.on_bytes(at(9_200), 200_000);
        assert_eq!(goodput.bytes_per_s(), 1_000_000, "the pause does not count");
        assert_eq!(goodput.bytes_in(Duration::from_millis(50)), 50_000);
    }
}
