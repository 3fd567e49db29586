//! How long a frame takes over a link besides its own sending: a distribution.
//!
//! Invariant: one draw takes exactly one number of the stream, whatever the distribution, so that variants of a link
//! see the same luck.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::error::LinkError;
use super::normal::{normal_below, normal_density, normal_quantile};
use super::units::{parse_time, time_ns};
use crate::Stream;

/// No draw is longer: ten minutes.
pub const LATENCY_NS_MAX: u64 = 600_000_000_000;
/// Largest `sigma` of a log-normal latency.
pub const SIGMA_MAX: f64 = 3.0;
/// Largest `shape` of a Pareto latency.
pub const SHAPE_MAX: f64 = 100.0;

/// A distribution of latencies of one direction. Every time is at most [`LATENCY_NS_MAX`]; a longer draw is cut there.
///
/// In a file: `latency = "5 ms"` for a constant, or a table such as
/// `latency = { kind = "normal", mean = "5 ms", deviation = "1 ms", min = "2 ms" }`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Latency {
    /// Always the same.
    Constant {
        /// The latency.
        #[serde(rename = "time", with = "time_ns")]
        time_ns: u64,
    },
    /// Each latency between two equally likely.
    Uniform {
        /// The shortest.
        #[serde(rename = "min", with = "time_ns")]
        min_ns: u64,
        /// The longest.
        #[serde(rename = "max", with = "time_ns")]
        max_ns: u64,
    },
    /// A normal distribution without what lies below a minimum. The mean of the draws is a little above `mean`.
    Normal {
        /// The mean before the truncation.
        #[serde(rename = "mean", with = "time_ns")]
        mean_ns: u64,
        /// The standard deviation before the truncation.
        #[serde(rename = "deviation", with = "time_ns")]
        deviation_ns: u64,
        /// The shortest, at most the mean.
        #[serde(rename = "min", with = "time_ns")]
        min_ns: u64,
    },
    /// The logarithm is normal: a long tail, as in most measured round trips.
    LogNormal {
        /// Half of the draws lie below.
        #[serde(rename = "median", with = "time_ns")]
        median_ns: u64,
        /// The standard deviation of the natural logarithm, 0 to 3: the 99th percentile is the median × e^(2.33 sigma).
        sigma: f64,
    },
    /// A minimum, and an exponential time on top.
    Exponential {
        /// The shortest.
        #[serde(rename = "min", with = "time_ns")]
        min_ns: u64,
        /// The mean of the draws, at least the minimum.
        #[serde(rename = "mean", with = "time_ns")]
        mean_ns: u64,
    },
    /// A Pareto distribution: the heaviest tail.
    Pareto {
        /// The shortest.
        #[serde(rename = "min", with = "time_ns")]
        min_ns: u64,
        /// The tail's exponent, above 1 to 100: the smaller, the heavier. The mean is min × shape ÷ (shape − 1).
        shape: f64,
    },
}

impl Latency {
    /// Draws a latency, in nanoseconds. Takes exactly one number of the stream.
    pub fn draw(&self, stream: &mut Stream) -> u64 {
        self.quantile_ns(stream.unit())
    }

    /// The latency, in nanoseconds, that a share `p` (0 to 1) of the draws do not exceed.
    #[must_use]
    pub fn quantile_ns(&self, p: f64) -> u64 {
        match *self {
            Self::Constant { time_ns } => time_ns.min(LATENCY_NS_MAX),
            Self::Uniform { min_ns, max_ns } => whole(min_ns as f64 + p * max_ns.saturating_sub(min_ns) as f64),
            Self::Normal { mean_ns, deviation_ns, min_ns } => {
                let cut = cut_share(mean_ns, deviation_ns, min_ns);
                let distance = normal_quantile(cut + p * (1.0 - cut));
                whole((mean_ns as f64 + distance * deviation_ns as f64).max(min_ns as f64))
            }
            Self::LogNormal { median_ns, sigma } => whole(median_ns as f64 * libm::exp(sigma * normal_quantile(p))),
            Self::Exponential { min_ns, mean_ns } => {
                whole(min_ns as f64 - libm::log(1.0 - p) * mean_ns.saturating_sub(min_ns) as f64)
            }
            Self::Pareto { min_ns, shape } => whole(min_ns as f64 * libm::pow(1.0 - p, -1.0 / shape)),
        }
    }

    /// The mean, in nanoseconds, as long as next to no draw is cut at [`LATENCY_NS_MAX`].
    #[must_use]
    pub fn mean_ns(&self) -> u64 {
        match *self {
            Self::Constant { time_ns } => time_ns.min(LATENCY_NS_MAX),
            Self::Uniform { min_ns, max_ns } => min_ns.midpoint(max_ns),
            Self::Normal { mean_ns, deviation_ns, min_ns } => {
                let cut = cut_share(mean_ns, deviation_ns, min_ns);
                let place = (min_ns as f64 - mean_ns as f64) / (deviation_ns as f64).max(1.0);
                whole(mean_ns as f64 + deviation_ns as f64 * normal_density(place) / (1.0 - cut))
            }
            Self::LogNormal { median_ns, sigma } => whole(median_ns as f64 * libm::exp(0.5 * sigma * sigma)),
            Self::Exponential { mean_ns, .. } => mean_ns,
            Self::Pareto { min_ns, shape } => whole(min_ns as f64 * shape / (shape - 1.0)),
        }
    }

    /// Whether every parameter is in its range.
    ///
    /// # Errors
    /// What is not, and what is allowed.
    pub fn check(&self) -> Result<(), LinkError> {
        let (times, order): (&[u64], bool) = match self {
            Self::Constant { time_ns } => (&[*time_ns], true),
            Self::Uniform { min_ns, max_ns } => (&[*min_ns, *max_ns], min_ns <= max_ns),
            Self::Normal { mean_ns, deviation_ns, min_ns } => (&[*mean_ns, *deviation_ns, *min_ns], min_ns <= mean_ns),
            Self::LogNormal { median_ns, .. } => (&[*median_ns], true),
            Self::Exponential { min_ns, mean_ns } => (&[*min_ns, *mean_ns], min_ns <= mean_ns),
            Self::Pareto { min_ns, .. } => (&[*min_ns], true),
        };
        if let Some(time) = times.iter().find(|time| **time > LATENCY_NS_MAX) {
            return Err(LinkError::out_of_range("latency", format!("{time} ns"), "at most 10 min"));
        }
        if !order {
            return Err(LinkError::out_of_range(
                "latency",
                "a min above the rest".to_owned(),
                "min ≤ mean and min ≤ max",
            ));
        }
        match *self {
            Self::LogNormal { sigma, .. } if !(0.0..=SIGMA_MAX).contains(&sigma) => {
                Err(LinkError::out_of_range("latency.sigma", sigma.to_string(), "0 to 3"))
            }
            Self::Pareto { shape, .. } if !(shape > 1.0 && shape <= SHAPE_MAX) => {
                Err(LinkError::out_of_range("latency.shape", shape.to_string(), "above 1, to 100"))
            }
            _ => Ok(()),
        }
    }
}

/// The share of a normal distribution that lies below its minimum.
fn cut_share(mean_ns: u64, deviation_ns: u64, min_ns: u64) -> f64 {
    normal_below((min_ns as f64 - mean_ns as f64) / (deviation_ns as f64).max(1.0))
}

/// Nanoseconds, rounded and within the limit.
fn whole(ns: f64) -> u64 {
    libm::round(ns.clamp(0.0, LATENCY_NS_MAX as f64)) as u64
}

/// A latency in a file: a table, or text for a constant one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(transparent)]
pub(super) struct LatencyText(pub Latency);

impl<'de> Deserialize<'de> for LatencyText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LatencyVisitor).map(Self)
    }
}

struct LatencyVisitor;

impl<'de> Visitor<'de> for LatencyVisitor {
    type Value = Latency;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a time such as \"5 ms\", or a table with `kind` and its parameters")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Latency, E> {
        parse_time(text).map(|time_ns| Latency::Constant { time_ns }).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Latency, A::Error> {
        Latency::deserialize(MapAccessDeserializer::new(map))
    }
}
