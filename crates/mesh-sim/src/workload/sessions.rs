//! Lengths of sessions and absences, by name as published, or by a distribution. In TOML a name, a number of seconds or a
//! distribution's table.
//!
//! Invariant: the mean is finite and above zero, so that a stationary start exists.

use std::fmt;

use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::draw::{Distribution, Refused, SECONDS_MAX, check};

const MINUTE_S: f64 = 60.0;

/// Weibull distributions that were fitted to what was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Published {
    /// Sessions of a BitTorrent swarm around Debian (Stutzbach and Rejaie 2006): k 0.38, λ 42.4 min.
    Debian,
    /// The same around Red Hat: k 0.34, λ 21.3 min.
    RedHat,
    /// The same around FlatOut: k 0.59, λ 41.9 min.
    FlatOut,
    /// Sessions in KAD, as PeerfactSim has them, first crawl: k 0.545, λ 357.7 min.
    KadFirst,
    /// The same, later crawl: k 0.615, λ 169.5 min.
    KadLater,
    /// Absences in KAD: k 0.476, λ 413.7 min.
    KadOffline,
}

impl Published {
    /// The distribution, in seconds.
    #[must_use]
    pub fn distribution(self) -> Distribution {
        let (shape, scale_min) = match self {
            Self::Debian => (0.38, 42.4),
            Self::RedHat => (0.34, 21.3),
            Self::FlatOut => (0.59, 41.9),
            Self::KadFirst => (0.545, 357.7),
            Self::KadLater => (0.615, 169.5),
            Self::KadOffline => (0.476, 413.7),
        };
        Distribution::Weibull { shape, scale: scale_min * MINUTE_S }
    }
}

/// How long sessions, or absences, last, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Sessions {
    /// As published.
    Published(Published),
    /// By a distribution.
    Drawn(Distribution),
}

impl Sessions {
    /// The distribution, in seconds.
    #[must_use]
    pub fn distribution(&self) -> Distribution {
        match self {
            Self::Published(published) => published.distribution(),
            Self::Drawn(distribution) => *distribution,
        }
    }

    pub(super) fn validate(&self) -> Result<(), Refused> {
        let distribution = self.distribution();
        distribution.validate()?;
        check("mean", distribution.mean(), 1.0..=SECONDS_MAX)
    }
}

impl<'de> Deserialize<'de> for Sessions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NameOrDistribution)
    }
}

struct NameOrDistribution;

impl<'de> Visitor<'de> for NameOrDistribution {
    type Value = Sessions;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the name of a published distribution, a number of seconds, or a distribution's table")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Sessions, E> {
        Published::deserialize(StrDeserializer::new(name)).map(Sessions::Published)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Sessions, E> {
        Ok(Sessions::Drawn(Distribution::Constant { value }))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Sessions, E> {
        self.visit_f64(value as f64)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Sessions, E> {
        self.visit_f64(value as f64)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Sessions, A::Error> {
        <Distribution as Deserialize>::deserialize(MapAccessDeserializer::new(map)).map(Sessions::Drawn)
    }
}
