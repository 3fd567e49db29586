//! The two states of a bursty link as a function of time.
//!
//! Time is cut into epochs of about [`CYCLES`] good and bad stays. The state at an epoch's beginning and all stays
//! within come from counters of the stream, so any moment costs a bounded number of draws, however far away it is.
//! The price: at one border in about a thousand stays the state may change although no stay ended there. Shares of time
//! are exact all the same.
//!
//! Invariant: the state at a moment depends on nothing but stream, means and moment.

use mesh_proto::Timestamp;

use crate::Stream;

/// Mean number of good and bad stays in an epoch.
const CYCLES: u64 = 1024;
/// Counters set aside per epoch: twice the mean number of stays, which is never reached.
const COUNTERS: u64 = 4 * CYCLES;

/// One stay in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stay {
    pub is_bad: bool,
    pub from: Timestamp,
    /// The first moment that does not belong to it.
    pub until: Timestamp,
}

/// See the module. Remembers where it last looked.
#[derive(Debug, Clone)]
pub(super) struct Bursts {
    stream: Stream,
    good_mean_ns: u64,
    bad_mean_ns: u64,
    epoch_ns: u64,
    /// Number of the stay below within its epoch.
    number: u64,
    stay: Stay,
}

impl Bursts {
    /// A link whose stays have these means, each at least 1 ns.
    pub fn new(good_mean_ns: u64, bad_mean_ns: u64, stream: Stream) -> Self {
        let epoch_ns = good_mean_ns.saturating_add(bad_mean_ns).saturating_mul(CYCLES).max(1);
        let nowhere = Stay { is_bad: false, from: Timestamp::ZERO, until: Timestamp::ZERO };
        let mut bursts = Self { stream, good_mean_ns, bad_mean_ns, epoch_ns, number: 0, stay: nowhere };
        bursts.enter(0);
        bursts
    }

    /// The stay that a moment lies in.
    pub fn at(&mut self, now: Timestamp) -> Stay {
        // The end of time belongs to the last stay: nothing comes after.
        let now = now.min(Timestamp(u64::MAX - 1));
        let epoch = now.0 / self.epoch_ns;
        if epoch != self.epoch() {
            self.enter(epoch);
        }
        while now < self.stay.from {
            self.go_back();
        }
        while now >= self.stay.until {
            self.go_on();
        }
        self.stay
    }

    fn epoch(&self) -> u64 {
        self.stay.from.0 / self.epoch_ns
    }

    fn epoch_end(&self) -> u64 {
        (self.epoch() * self.epoch_ns).saturating_add(self.epoch_ns)
    }

    /// Goes to the first stay of an epoch.
    fn enter(&mut self, epoch: u64) {
        let bad_share = self.bad_mean_ns as f64 / (self.good_mean_ns as f64 + self.bad_mean_ns as f64);
        let from = Timestamp(epoch * self.epoch_ns);
        let is_bad = self.unit(epoch, COUNTERS - 1) < bad_share;
        self.number = 0;
        self.stay = Stay { is_bad, from, until: from };
        self.stay.until = Timestamp(from.0.saturating_add(self.length()).min(self.epoch_end()));
    }

    fn go_on(&mut self) {
        self.number += 1;
        self.stay.from = self.stay.until;
        self.stay.is_bad = !self.stay.is_bad;
        self.stay.until = Timestamp(self.stay.from.0.saturating_add(self.length()).min(self.epoch_end()));
    }

    fn go_back(&mut self) {
        self.number -= 1;
        self.stay.until = self.stay.from;
        self.stay.is_bad = !self.stay.is_bad;
        // A stay with another after it in its epoch is not cut, and ends in the epoch it began in.
        let epoch = self.stay.until.0 / self.epoch_ns;
        self.stay.from = Timestamp(self.stay.until.0 - self.length_in(epoch));
    }

    fn length(&self) -> u64 {
        self.length_in(self.epoch())
    }

    /// How long the present stay lasts if the epoch's end does not cut it.
    fn length_in(&self, epoch: u64) -> u64 {
        let mean = if self.stay.is_bad { self.bad_mean_ns } else { self.good_mean_ns };
        let length = -libm::log(1.0 - self.unit(epoch, self.number)) * mean as f64;
        (length as u64).max(1)
    }

    fn unit(&self, epoch: u64, number: u64) -> f64 {
        let word = self.stream.at(epoch.wrapping_mul(COUNTERS).wrapping_add(number % COUNTERS));
        (word >> 11) as f64 / (1u64 << 53) as f64
    }
}
