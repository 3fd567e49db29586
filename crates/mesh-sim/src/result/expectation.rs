//! What a scenario expects of a measure, and whether the runs kept to it.
//!
//! Invariant: a measure that a run lacks is an error, never an expectation that held.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::comparison::value_of_run;
use super::figure;
use super::measured::Kind;
use super::results::Variant;
use super::statistics::{Interval, Summary, pooled_quantile, quantile, sorted};

/// Which figure of a measure is meant. As text: `mean`, `median`, `min`, `max`, or a percentile such as `p95`, `p99.9`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Statistic {
    /// The mean over runs; of a sample, of the means within runs.
    #[default]
    Mean,
    /// The smallest value of any run.
    Min,
    /// The largest value of any run.
    Max,
    /// So many millionths of all values lie below it.
    Quantile {
        /// The share, in parts per million, between 0 and 1,000,000.
        share_ppm: u32,
    },
}

impl fmt::Display for Statistic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mean => formatter.write_str("mean"),
            Self::Min => formatter.write_str("min"),
            Self::Max => formatter.write_str("max"),
            Self::Quantile { share_ppm: 500_000 } => formatter.write_str("median"),
            Self::Quantile { share_ppm } => write!(formatter, "p{}", f64::from(*share_ppm) / 10_000.0),
        }
    }
}

impl From<Statistic> for String {
    fn from(statistic: Statistic) -> Self {
        statistic.to_string()
    }
}

impl TryFrom<String> for Statistic {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "mean" => Ok(Self::Mean),
            "min" => Ok(Self::Min),
            "max" => Ok(Self::Max),
            "median" => Ok(Self::Quantile { share_ppm: 500_000 }),
            other => percentile(other)
                .ok_or_else(|| format!("{other:?} is no statistic: mean, median, min, max, or p1 to p99.9999")),
        }
    }
}

fn percentile(text: &str) -> Option<Statistic> {
    let digits = text.strip_prefix('p')?;
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    let numeric = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !numeric(whole) || !numeric(part) || whole.len() > 2 || part.len() > 4 {
        return None;
    }
    let share_ppm = whole.parse::<u32>().ok()? * 10_000 + format!("{part:0<4}").parse::<u32>().ok()?;
    (share_ppm > 0).then_some(Statistic::Quantile { share_ppm })
}

/// How far from a value still counts as about it: in the measure's unit, or as a text such as `"10%"` of the value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a number in the measure's unit, or a text such as \"10%\"")]
pub enum Tolerance {
    /// In the measure's unit.
    Amount(f64),
    /// Of the value.
    Percent(Percent),
}

/// A percentage, written as `"10%"`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Percent(pub f64);

impl From<Percent> for String {
    fn from(percent: Percent) -> Self {
        format!("{}%", percent.0)
    }
}

impl TryFrom<String> for Percent {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let number = text.strip_suffix('%').and_then(|number| number.trim_end().parse::<f64>().ok());
        let finite = number.filter(|number| number.is_finite());
        finite.map(Self).ok_or_else(|| format!("{text:?} is no percentage such as \"10%\""))
    }
}

/// What the figure must be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// This or less.
    AtMost(f64),
    /// This or more.
    AtLeast(f64),
    /// From the first to the second.
    Between(f64, f64),
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
            Self::Between(least, most) => value >= least && value <= most,
        }
    }

    /// Whether any value of the interval holds.
    fn meets(self, interval: Interval) -> bool {
        match self {
            Self::AtMost(most) => interval.low <= most,
            Self::AtLeast(least) => interval.high >= least,
            Self::Between(least, most) => interval.low <= most && interval.high >= least,
        }
    }
}

/// One expectation of a scenario. In its TOML:
///
/// ```
/// #[derive(serde::Deserialize)]
/// struct Scenario { expect: Vec<mesh_sim::result::Expectation> }
/// let scenario: Scenario = toml::from_str(r#"
///     [[expect]]
///     measure = "completion"
///     statistic = "p95"      # mean unless said otherwise
///     at_most = 30           # in the measure's unit
///
///     [[expect]]
///     measure = "share"
///     about = 0.2
///     tolerance = "10%"      # or a number in the measure's unit
/// "#).unwrap();
/// assert_eq!(scenario.expect.len(), 2);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawExpectation", into = "RawExpectation")]
pub struct Expectation {
    raw: RawExpectation,
    bound: Bound,
}

/// As it stands in the file: exactly one of `at_most`, `at_least` and `about`, the last with `tolerance`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExpectation {
    measure: String,
    #[serde(default)]
    statistic: Statistic,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at_most: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at_least: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    about: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tolerance: Option<Tolerance>,
}

impl From<Expectation> for RawExpectation {
    fn from(expectation: Expectation) -> Self {
        expectation.raw
    }
}

impl TryFrom<RawExpectation> for Expectation {
    type Error = String;

    fn try_from(raw: RawExpectation) -> Result<Self, String> {
        let bound = match (raw.at_most, raw.at_least, raw.about, raw.tolerance) {
            (Some(most), None, None, None) => Bound::AtMost(most),
            (None, Some(least), None, None) => Bound::AtLeast(least),
            (None, None, Some(about), Some(tolerance)) => {
                let room = match tolerance {
                    Tolerance::Amount(amount) => amount,
                    Tolerance::Percent(Percent(percent)) => about.abs() * percent / 100.0,
                };
                if room.is_nan() || room < 0.0 {
                    return Err(format!("the tolerance of {} is below zero", raw.measure));
                }
                Bound::Between(about - room, about + room)
            }
            _ => {
                let measure = raw.measure;
                return Err(format!("{measure} needs one of at_most, at_least, or about with tolerance"));
            }
        };
        let ends = match bound {
            Bound::AtMost(end) | Bound::AtLeast(end) => [end, end],
            Bound::Between(least, most) => [least, most],
        };
        match ends.iter().all(|end| end.is_finite()) {
            true => Ok(Self { raw, bound }),
            false => Err(format!("the bound of {} is no finite number", raw.measure)),
        }
    }
}

/// Why an expectation can't be checked.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ExpectationError {
    /// There are no runs.
    #[error("there are no runs to check {0} by")]
    NoRuns(String),
    /// A run lacks the measure.
    #[error("the run of seed {seed} has no scalar, count or sample {measure}")]
    Missing {
        /// The measure.
        measure: String,
        /// The seed.
        seed: u64,
    },
}

/// Whether an expectation held.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The measure.
    pub measure: String,
    /// Which figure of it.
    pub statistic: Statistic,
    /// What it had to be.
    pub bound: Bound,
    /// The measure's unit.
    pub unit: String,
    /// What it is.
    pub figure: f64,
    /// Its 95 % interval; none of one run, of a smallest or of a largest value.
    pub interval: Option<Interval>,
    /// Over how many runs.
    pub runs: u64,
    /// Whether the figure keeps to the bound.
    pub held: bool,
    /// Whether every value of the interval gives the same verdict; unknown without an interval.
    pub sure: Option<bool>,
}

impl Expectation {
    /// The measure it is about.
    #[must_use]
    pub fn measure(&self) -> &str {
        &self.raw.measure
    }

    /// Checks it against the runs of a variant.
    ///
    /// # Errors
    /// If there are no runs, or one lacks the measure.
    pub fn check(&self, variant: &Variant<'_>) -> Result<Verdict, ExpectationError> {
        let measure = self.raw.measure.clone();
        let has = |run: &&super::Measured| value_of_run(run, &measure).is_some();
        if let Some(run) = variant.runs().iter().find(|run| !has(run)) {
            return Err(ExpectationError::Missing { measure, seed: run.seed() });
        }
        let Some((figure, interval)) = estimate(variant, &measure, self.raw.statistic) else {
            return Err(ExpectationError::NoRuns(measure));
        };
        let all = variant.runs().iter().flat_map(|run| run.measures());
        let unit = all.filter(|(name, ..)| *name == measure).map(|(.., unit)| unit.to_owned()).next();
        let held = self.bound.holds(figure);
        let sure = |interval: Interval| match held {
            true => self.bound.holds(interval.low) && self.bound.holds(interval.high),
            false => !self.bound.meets(interval),
        };
        Ok(Verdict {
            measure,
            statistic: self.raw.statistic,
            bound: self.bound,
            unit: unit.unwrap_or_default(),
            figure,
            interval,
            runs: variant.runs().len() as u64,
            held,
            sure: interval.map(sure),
        })
    }
}

/// A figure of a measure over the runs of a variant, and its 95 % interval where there is one.
#[must_use]
pub fn estimate(variant: &Variant<'_>, measure: &str, statistic: Statistic) -> Option<(f64, Option<Interval>)> {
    let values: Vec<f64> = variant.runs().iter().filter_map(|run| value_of_run(run, measure)).collect();
    let mut all: Vec<&[f64]> = variant.samples(measure);
    if all.is_empty() {
        all = values.iter().map(std::slice::from_ref).collect();
    }
    let pooled = || sorted(all.iter().flat_map(|values| values.iter().copied()));
    match statistic {
        Statistic::Mean => Summary::of(&values).map(|summary| (summary.mean, summary.interval)),
        Statistic::Min => quantile(&pooled(), 0.0).map(|value| (value, None)),
        Statistic::Max => quantile(&pooled(), 1.0).map(|value| (value, None)),
        Statistic::Quantile { share_ppm } => pooled_quantile(&all, f64::from(share_ppm) / 1e6),
    }
}

/// Whether a kind of measure has figures over runs; a series has none.
pub(super) fn has_figures(kind: Kind) -> bool {
    kind != Kind::Series
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |value| figure::one(value, &self.unit);
        let word = if self.held { "held" } else { "not held" };
        write!(formatter, "{word}: {} of {} is {}", self.statistic, self.measure, show(self.figure))?;
        match self.interval {
            Some(interval) => write!(formatter, " ({} to {})", show(interval.low), show(interval.high))?,
            None if self.runs == 1 => formatter.write_str(" (one seed: no interval)")?,
            None => {}
        }
        match self.bound {
            Bound::AtMost(most) => write!(formatter, ", expected at most {}", show(most)),
            Bound::AtLeast(least) => write!(formatter, ", expected at least {}", show(least)),
            Bound::Between(least, most) => write!(formatter, ", expected {} to {}", show(least), show(most)),
        }?;
        match self.sure {
            Some(false) => formatter.write_str("; the interval allows both"),
            Some(true) | None => Ok(()),
        }
    }
}
