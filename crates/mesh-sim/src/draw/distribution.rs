//! A distribution as a scenario names it: of sizes, times, counts. In TOML a number, which is always drawn, or a table:
//!
//! ```toml
//! size_bytes = 1_048_576
//! up_s = { kind = "weibull", shape = 0.545, scale = 21_462 }
//! ```
//!
//! Invariant: nothing below zero is ever drawn.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Refused, check, exponential, gamma, normal};
use crate::random::Stream;

/// The largest amount a parameter may be.
const AMOUNT_MAX: f64 = 1e18;
const SHAPE: std::ops::RangeInclusive<f64> = 0.1..=100.0;

/// How amounts are distributed. The unit is that of the field it stands in.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self", tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Distribution {
    /// Always the same.
    Constant {
        /// The amount.
        value: f64,
    },
    /// Each amount between two is equally likely.
    Uniform {
        /// The smallest.
        least: f64,
        /// The largest.
        most: f64,
    },
    /// Without memory: how long one waits for what may happen at any moment.
    Exponential {
        /// The mean.
        mean: f64,
    },
    /// Weibull: with a shape below 1, what has lasted long goes on to last.
    Weibull {
        /// The shape k, 0.1 to 100.
        shape: f64,
        /// The scale λ, in the unit of the field.
        scale: f64,
    },
    /// The logarithm is normal: sizes of files, delays.
    LogNormal {
        /// The median.
        median: f64,
        /// The standard deviation of the natural logarithm, 0 to 10.
        sigma: f64,
    },
    /// Pareto: a few are enormous. The mean is infinite for a shape of 1 or less.
    Pareto {
        /// The smallest.
        least: f64,
        /// The shape α, 0.1 to 100.
        shape: f64,
    },
}

impl Distribution {
    /// Refuses parameters out of range.
    ///
    /// # Errors
    /// [`Refused`], with the parameter's name.
    pub fn validate(&self) -> Result<(), Refused> {
        match *self {
            Self::Constant { value } => check("value", value, 0.0..=AMOUNT_MAX),
            Self::Uniform { least, most } => {
                check("least", least, 0.0..=AMOUNT_MAX)?;
                check("most", most, least..=AMOUNT_MAX)
            }
            Self::Exponential { mean } => check("mean", mean, 0.0..=AMOUNT_MAX),
            Self::Weibull { shape, scale } => {
                check("shape", shape, SHAPE)?;
                check("scale", scale, 0.0..=AMOUNT_MAX)
            }
            Self::LogNormal { median, sigma } => {
                check("median", median, 0.0..=AMOUNT_MAX)?;
                check("sigma", sigma, 0.0..=10.0)
            }
            Self::Pareto { least, shape } => {
                check("least", least, 0.0..=AMOUNT_MAX)?;
                check("shape", shape, SHAPE)
            }
        }
    }

    /// One amount.
    pub fn draw(&self, stream: &mut Stream) -> f64 {
        match *self {
            Self::Constant { value } => value,
            Self::Uniform { least, most } => least + stream.unit() * (most - least),
            Self::Exponential { mean } => exponential(stream, mean),
            Self::Weibull { shape, scale } => scale * libm::pow(exponential(stream, 1.0), 1.0 / shape),
            Self::LogNormal { median, sigma } => median * libm::exp(sigma * normal(stream)),
            Self::Pareto { least, shape } => least * libm::exp(exponential(stream, 1.0) / shape),
        }
    }

    /// The mean; infinite for a Pareto of shape 1 or less.
    #[must_use]
    pub fn mean(&self) -> f64 {
        match *self {
            Self::Constant { value } => value,
            Self::Uniform { least, most } => least + (most - least) / 2.0,
            Self::Exponential { mean } => mean,
            Self::Weibull { shape, scale } => scale * libm::tgamma(1.0 + 1.0 / shape),
            Self::LogNormal { median, sigma } => median * libm::exp(sigma * sigma / 2.0),
            Self::Pareto { least, shape } if shape > 1.0 => least * shape / (shape - 1.0),
            Self::Pareto { .. } => f64::INFINITY,
        }
    }

    /// What is left of an amount that is under way when one looks, as of a session at the start of a run: longer ones are
    /// met more often (length bias), each at an even place of it (Feller, vol. II, XI.4). Means something for a finite
    /// mean only.
    pub fn draw_rest(&self, stream: &mut Stream) -> f64 {
        let met = match *self {
            Self::Constant { value } => value,
            Self::Uniform { least, most } => (least * least + stream.unit() * (most * most - least * least)).sqrt(),
            Self::Exponential { mean } => return exponential(stream, mean),
            Self::Weibull { shape, scale } => scale * libm::pow(gamma(stream, 1.0 + 1.0 / shape), 1.0 / shape),
            Self::LogNormal { median, sigma } => median * libm::exp(sigma * sigma) * libm::exp(sigma * normal(stream)),
            Self::Pareto { least, shape } => {
                least * libm::exp(exponential(stream, 1.0) / (shape - 1.0).max(f64::MIN_POSITIVE))
            }
        };
        met * stream.unit()
    }
}

impl Serialize for Distribution {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Constant { value } => serializer.serialize_f64(*value),
            _ => Self::serialize(self, serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Distribution {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberOrTable)
    }
}

struct NumberOrTable;

impl<'de> Visitor<'de> for NumberOrTable {
    type Value = Distribution;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a number, or a table with the `kind` of a distribution")
    }

    fn visit_f64<E>(self, value: f64) -> Result<Distribution, E> {
        Ok(Distribution::Constant { value })
    }

    fn visit_i64<E>(self, value: i64) -> Result<Distribution, E> {
        Ok(Distribution::Constant { value: value as f64 })
    }

    fn visit_u64<E>(self, value: u64) -> Result<Distribution, E> {
        Ok(Distribution::Constant { value: value as f64 })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Distribution, A::Error> {
        Distribution::deserialize(MapAccessDeserializer::new(map))
    }
}
