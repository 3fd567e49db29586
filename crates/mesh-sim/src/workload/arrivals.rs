//! When one node asks, over time.
//!
//! Invariant: times never go back, and depend on the node's own stream only.

use mesh_proto::Timestamp;
use serde::{Deserialize, Serialize};

use crate::draw::{DayCurve, Distribution, Poisson, Refused, SECONDS_MAX, check, nanos};
use crate::random::Stream;

/// The most requests of one burst; what is drawn larger is cut.
pub const BURST_REQUESTS_MAX: u64 = 100_000;
/// The shortest interval, in seconds.
const INTERVAL_S_MIN: f64 = 0.001;

/// The arrivals of one node's requests.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Arrivals {
    /// At any moment, independent of each other.
    Poisson {
        /// How many per hour, in the mean.
        per_hour: f64,
    },
    /// One by one at even distances. Each node begins at a random place of the first.
    Interval {
        /// The distance, in seconds: 0.001 or more.
        every_s: f64,
    },
    /// Several after another, then a pause without memory.
    Burst {
        /// How many bursts per hour of pause, in the mean: a pause lasts from the end of one to the next.
        per_hour: f64,
        /// How many requests in each: rounded, 1 to 100,000.
        requests: Distribution,
        /// The time between them, in seconds.
        gap_s: f64,
    },
}

impl Arrivals {
    /// The process of nodes at the mean rate.
    ///
    /// # Errors
    /// [`Refused`] with the field, also if there is a curve and no rate that could follow it.
    pub(super) fn process(&self, day: Option<&DayCurve>) -> Result<Process, Refused> {
        match *self {
            Self::Poisson { per_hour } => Ok(Process::Poisson(Poisson::new(per_hour, day)?)),
            Self::Interval { every_s } => {
                check("every_s", every_s, INTERVAL_S_MIN..=SECONDS_MAX)?;
                match day {
                    Some(_) => Err(Refused::new("kind", "interval", "poisson or burst where a rate follows the day")),
                    None => Ok(Process::Interval { every_s }),
                }
            }
            Self::Burst { per_hour, requests, gap_s } => {
                requests.validate().map_err(|refused| refused.inside("requests"))?;
                check("gap_s", gap_s, 0.0..=SECONDS_MAX)?;
                Ok(Process::Burst { bursts: Poisson::new(per_hour, day)?, requests, gap_ns: nanos(gap_s) })
            }
        }
    }
}

/// How a node's requests arrive, ready to run.
#[derive(Debug, Clone)]
pub(super) enum Process {
    Poisson(Poisson),
    Interval { every_s: f64 },
    Burst { bursts: Poisson, requests: Distribution, gap_ns: u64 },
}

impl Process {
    /// The same at a rate so many times as high, above 0.
    pub(super) fn times(&self, factor: f64) -> Self {
        match self {
            Self::Poisson(poisson) => Self::Poisson(poisson.times(factor)),
            Self::Interval { every_s } => Self::Interval { every_s: every_s / factor },
            Self::Burst { bursts, requests, gap_ns } => {
                Self::Burst { bursts: bursts.times(factor), requests: *requests, gap_ns: *gap_ns }
            }
        }
    }
}

/// The times of one node's requests.
#[derive(Debug, Clone)]
pub(super) struct Times {
    process: Process,
    stream: Stream,
    last: Timestamp,
    until: Timestamp,
    /// Requests of the burst that are still to come.
    left: u64,
    begun: bool,
}

impl Times {
    pub(super) fn new(process: Process, stream: Stream, from: Timestamp, until: Timestamp) -> Self {
        Self { process, stream, last: from, until, left: 0, begun: false }
    }

    fn next_at(&mut self) -> Option<Timestamp> {
        let Self { process, stream, last, until, left, begun } = self;
        let later = |nanos: u64| Timestamp(last.0.saturating_add(nanos));
        match process {
            Process::Poisson(poisson) => poisson.next(stream, *last, *until),
            Process::Interval { every_s } => {
                let part = if std::mem::replace(begun, true) { 1.0 } else { stream.unit() };
                Some(later(nanos(*every_s * part).max(1)))
            }
            Process::Burst { gap_ns, .. } if *left > 0 => {
                *left -= 1;
                Some(later(*gap_ns))
            }
            Process::Burst { bursts, requests, .. } => {
                let at = bursts.next(stream, *last, *until);
                *left = (requests.draw(stream).round() as u64).clamp(1, BURST_REQUESTS_MAX) - 1;
                at
            }
        }
    }
}

impl Iterator for Times {
    type Item = Timestamp;

    fn next(&mut self) -> Option<Timestamp> {
        let at = self.next_at().filter(|at| *at < self.until);
        // Whatever is over stays over.
        self.last = at.unwrap_or(self.until);
        if at.is_none() {
            self.left = 0;
        }
        at
    }
}
