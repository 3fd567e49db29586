//! Faults with their time and place, and how they stand in TOML:
//!
//! ```toml
//! [[faults]]
//! at_s = 30
//! duration_s = 60
//! select = { kind = "fraction", fraction = 0.2, among = "peer" }
//! what = { kind = "crash", disk = "lost" }
//!
//! [[faults]]
//! per_hour = 4
//! until_s = 7_200
//! duration_s = { kind = "exponential", mean = 20 }
//! select = { kind = "count", count = 1 }
//! what = { kind = "pause" }
//! ```
//!
//! Invariant: a plan that is printed and read again is equal.

use serde::{Deserialize, Serialize};

use super::what::{Target, What};
use crate::draw::{Distribution, PER_HOUR_MAX, Refused, SECONDS_MAX, check};
use crate::select::{Population, Selector};

/// The most faults of a plan.
pub const FAULTS_MAX: usize = 10_000;

/// The largest number of a fault.
const NUMBER_MAX: u32 = 1_000_000_000;

/// Why a plan can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FaultError {
    /// A value is out of range, or names what is not there.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It is not a plan in TOML.
    #[error("not a fault plan: {0}")]
    Text(String),
    /// Faults by rate came too often, or meet too many.
    #[error("too many {what}: more than {most} in all; lower `per_hour`, the window or the selection")]
    TooMany {
        /// Occurrences, or nodes and links that they meet.
        what: &'static str,
        /// How many may be.
        most: usize,
    },
}

/// When a fault begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum When {
    /// Once, at so many seconds.
    At {
        /// Seconds from the start of the run.
        at_s: f64,
    },
    /// Now and then, as a Poisson process; each time the selector chooses anew.
    Rate {
        /// How often per hour, in the mean.
        per_hour: f64,
        /// From when on, in seconds.
        from_s: f64,
        /// Until when, in seconds; the end is not within.
        until_s: f64,
    },
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Fault {
    /// What its luck goes by; its place in the plan unless said. It stays when other faults are taken out.
    pub number: Option<u32>,
    /// When it begins.
    pub when: When,
    /// How long it lasts, in seconds; without it, to the end of the run.
    pub duration_s: Option<Distribution>,
    /// To whom it happens.
    pub select: Selector,
    /// What happens.
    pub what: What,
}

/// A fault as it stands in TOML.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    per_hour: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_s: Option<Distribution>,
    #[serde(default)]
    select: Selector,
    what: What,
}

impl TryFrom<Written> for Fault {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let Written { number, at_s, per_hour, from_s, until_s, duration_s, select, what } = written;
        let when = match (at_s, per_hour, from_s, until_s) {
            (Some(at_s), None, None, None) => When::At { at_s },
            (None, Some(per_hour), from_s, Some(until_s)) => {
                When::Rate { per_hour, from_s: from_s.unwrap_or(0.0), until_s }
            }
            _ => return Err("a fault has either `at_s`, or `per_hour` and `until_s`, and then perhaps `from_s`"),
        };
        Ok(Self { number, when, duration_s, select, what })
    }
}

impl From<Fault> for Written {
    fn from(fault: Fault) -> Self {
        let Fault { number, when, duration_s, select, what } = fault;
        let (at_s, per_hour, from_s, until_s) = match when {
            When::At { at_s } => (Some(at_s), None, None, None),
            When::Rate { per_hour, from_s, until_s } => (None, Some(per_hour), Some(from_s), Some(until_s)),
        };
        Self { number, at_s, per_hour, from_s, until_s, duration_s, select, what }
    }
}

impl Fault {
    /// Refuses what is wrong in any world.
    ///
    /// # Errors
    /// [`Refused`] with the field.
    pub fn validate(&self) -> Result<(), Refused> {
        check("number", self.number.unwrap_or(0), 0..=NUMBER_MAX)?;
        match self.when {
            When::At { at_s } => check("at_s", at_s, 0.0..=SECONDS_MAX)?,
            When::Rate { per_hour, from_s, until_s } => {
                check("per_hour", per_hour, 0.0..=PER_HOUR_MAX)?;
                check("from_s", from_s, 0.0..=SECONDS_MAX)?;
                check("until_s", until_s, from_s..=SECONDS_MAX)?;
            }
        }
        if let Some(duration) = &self.duration_s {
            duration.validate().map_err(|refused| refused.inside("duration_s"))?;
        }
        self.select.validate().map_err(|refused| refused.inside("select"))?;
        self.what.validate().map_err(|refused| refused.inside("what"))?;
        if self.select.is_of_links() && self.what.kind().target() == Target::Nodes {
            return Err(Refused::new("select", "of links", "a selection of nodes, for what happens to nodes"));
        }
        Ok(())
    }
}

/// The faults of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultPlan {
    /// The faults, in any order.
    #[serde(default)]
    pub faults: Vec<Fault>,
}

impl FaultPlan {
    /// Reads a plan.
    ///
    /// # Errors
    /// [`FaultError`] with the line, or with the field that is out of range.
    pub fn from_toml(text: &str) -> Result<Self, FaultError> {
        let plan: Self = toml::from_str(text).map_err(|error| FaultError::Text(error.to_string()))?;
        plan.validate()?;
        Ok(plan)
    }

    /// Prints the plan, with each fault's number, so that faults may be taken out by hand.
    ///
    /// # Panics
    /// Never: every plan can be written.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(&self.clone().numbered()).expect("a plan is made of numbers, words, lists and tables")
    }

    /// The plan with the number of each fault said.
    #[must_use]
    pub fn numbered(mut self) -> Self {
        for (place, fault) in (0..).zip(&mut self.faults) {
            fault.number.get_or_insert(place);
        }
        self
    }

    /// Refuses what is wrong in any world.
    ///
    /// # Errors
    /// [`Refused`] with the fault and the field.
    pub fn validate(&self) -> Result<(), Refused> {
        check("number of faults", self.faults.len(), 0..=FAULTS_MAX)?;
        let mut numbers = Vec::with_capacity(self.faults.len());
        for (place, fault) in (0..).zip(&self.faults) {
            fault.validate().map_err(|refused| refused.inside(&format!("faults[{place}]")))?;
            numbers.push(fault.number.unwrap_or(place));
        }
        numbers.sort_unstable();
        match numbers.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(Refused::new("number", format!("{} of two faults", pair[0]), "one of its own for each")),
            None => Ok(()),
        }
    }

    /// Refuses what is wrong in this world.
    pub(super) fn validate_in(&self, population: &Population) -> Result<(), Refused> {
        self.validate()?;
        for (place, fault) in self.faults.iter().enumerate() {
            let inside = |refused: Refused| refused.inside(&format!("faults[{place}].what"));
            fault.what.validate_in(population).map_err(inside)?;
        }
        Ok(())
    }
}
