//! Arrivals: a Poisson process whose rate may follow the day.
//!
//! Invariant: arrivals never go back in time, and the mean rate over whole days is the one asked for.

use std::sync::Arc;

use mesh_proto::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Refused, SECONDS_MAX, check, exponential, nanos};
use crate::random::Stream;

/// The most parts of a day.
pub const DAY_PARTS_MAX: usize = 1_440;
/// The highest rate, per hour, also at the height of the day: a thousand per second.
pub const PER_HOUR_MAX: f64 = 3_600_000.0;

/// How a rate follows the day: each day is cut into equal parts, each with a weight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DayCurve {
    /// The weight of each part of the day, 1 to 1,440 of them; only their proportions matter. With 24 of them, hours.
    pub weights: Vec<f64>,
    /// How long a day is, in seconds: 86,400 unless said.
    #[serde(default = "day_s")]
    pub day_s: f64,
    /// What time of the day it is when the run begins, in seconds: 0 unless said.
    #[serde(default)]
    pub starts_at_s: f64,
}

fn day_s() -> f64 {
    86_400.0
}

impl DayCurve {
    /// Refuses what is no day.
    ///
    /// # Errors
    /// [`Refused`] with the field.
    pub fn validate(&self) -> Result<(), Refused> {
        check("number of weights", self.weights.len(), 1..=DAY_PARTS_MAX)?;
        for weight in &self.weights {
            check("weights", *weight, 0.0..=1e9)?;
        }
        if self.weights.iter().all(|weight| *weight == 0.0) {
            return Err(Refused::new("weights", "all zero", "at least one above zero"));
        }
        check("day_s", self.day_s, 1.0..=SECONDS_MAX)?;
        check("starts_at_s", self.starts_at_s, 0.0..=self.day_s)
    }
}

/// A curve, ready to be looked up: factors of the mean rate.
#[derive(Debug, Clone)]
struct Day {
    factors: Arc<[f64]>,
    peak: f64,
    day_ns: u64,
    starts_at_ns: u64,
}

impl Day {
    fn factor(&self, at: Timestamp) -> f64 {
        let into_ns = (u128::from(at.0) + u128::from(self.starts_at_ns)) % u128::from(self.day_ns);
        let part = into_ns * self.factors.len() as u128 / u128::from(self.day_ns);
        self.factors[part as usize]
    }
}

/// A Poisson process: arrivals that know nothing of each other.
#[derive(Debug, Clone)]
pub struct Poisson {
    /// The mean gap between arrivals, at the height of the day.
    gap_s: f64,
    day: Option<Day>,
}

impl Poisson {
    /// So many arrivals per hour in the mean, 0 to [`PER_HOUR_MAX`], perhaps by the time of the day.
    ///
    /// # Errors
    /// [`Refused`] if the rate or the curve is out of range.
    pub fn new(per_hour: f64, curve: Option<&DayCurve>) -> Result<Self, Refused> {
        check("per_hour", per_hour, 0.0..=PER_HOUR_MAX)?;
        let day = curve.map(|curve| {
            curve.validate().map_err(|refused| refused.inside("day"))?;
            let mean = curve.weights.iter().sum::<f64>() / curve.weights.len() as f64;
            let factors: Arc<[f64]> = curve.weights.iter().map(|weight| weight / mean).collect();
            let peak = factors.iter().copied().fold(0.0, f64::max);
            Ok(Day { factors, peak, day_ns: nanos(curve.day_s), starts_at_ns: nanos(curve.starts_at_s) })
        });
        let day = day.transpose()?;
        let peak = day.as_ref().map_or(1.0, |day| day.peak);
        check("per_hour at the height of the day", per_hour * peak, 0.0..=PER_HOUR_MAX)?;
        Ok(Self { gap_s: 3_600.0 / (per_hour * peak), day })
    }

    /// The same at a rate so many times as high.
    #[must_use]
    pub fn times(&self, factor: f64) -> Self {
        Self { gap_s: self.gap_s / factor, day: self.day.clone() }
    }

    /// The first arrival after a time and before another, if there is one (thinning: Lewis and Shedler 1979).
    pub fn next(&self, stream: &mut Stream, after: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let mut at = after;
        loop {
            at = Timestamp(at.0.saturating_add(nanos(exponential(stream, self.gap_s)).max(1)));
            if at >= until || !self.gap_s.is_finite() {
                return None;
            }
            let Some(day) = &self.day else { return Some(at) };
            if stream.unit() * day.peak < day.factor(at) {
                return Some(at);
            }
        }
    }
}
