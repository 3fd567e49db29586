//! Random plans: faults of chosen kinds, now and then, never too many at once, and none in the quiet at the end.
//!
//! Invariant: every fault of a plan has ended when the quiet begins, so that healing can be checked in it.

use std::collections::BTreeMap;

use mesh_proto::Timestamp;
use serde::{Deserialize, Serialize};

use super::plan::{Fault, FaultError, FaultPlan, When};
use super::severity;
use super::what::FaultKind;
use crate::draw::{Distribution, PER_HOUR_MAX, Poisson, Refused, SECONDS_MAX, check, nanos};
use crate::random::Stream;
use crate::select::Population;

/// The most times that a nemesis may strike, also in vain because too much holds already; after them it rests.
const STRIKES_MAX: u32 = 10_000;
const MILLISECOND_NS: u64 = 1_000_000;

/// Draws plans of faults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nemesis {
    /// Which kinds of faults, and how often each beside the others; all alike unless said. What a world has no place for
    /// (links, gateways) is left out.
    #[serde(default)]
    pub kinds: BTreeMap<FaultKind, u32>,
    /// Faults per hour, in the mean.
    pub per_hour: f64,
    /// How many may hold at a time: 1 to 1,000; 3 unless said. One more does not begin.
    #[serde(default = "at_once_max")]
    pub at_once_max: u32,
    /// How long a fault lasts, in seconds: exponential with a mean of a minute unless said. None outlasts the quiet's
    /// beginning.
    #[serde(default = "duration_s")]
    pub duration_s: Distribution,
    /// The quiet at the end of the run, in seconds.
    pub quiet_s: f64,
    /// How bad it gets, from above 0 to 1: at most half this share of the nodes or links is met at a time, and at most
    /// this share of messages lost, rate taken and so on; a half unless said.
    #[serde(default = "intensity")]
    pub intensity: f64,
}

fn at_once_max() -> u32 {
    3
}

fn duration_s() -> Distribution {
    Distribution::Exponential { mean: 60.0 }
}

fn intensity() -> f64 {
    0.5
}

impl Nemesis {
    /// Refuses what is out of range.
    ///
    /// # Errors
    /// [`Refused`] with the field.
    pub fn validate(&self) -> Result<(), Refused> {
        check("per_hour", self.per_hour, 0.0..=PER_HOUR_MAX)?;
        check("at_once_max", self.at_once_max, 1..=1_000)?;
        self.duration_s.validate().map_err(|refused| refused.inside("duration_s"))?;
        check("quiet_s", self.quiet_s, 0.0..=SECONDS_MAX)?;
        if !(self.intensity > 0.0 && self.intensity <= 1.0) {
            return Err(Refused::new("intensity", self.intensity, "above 0, up to 1"));
        }
        for weight in self.kinds.values() {
            check("kinds", *weight, 0..=1_000_000)?;
        }
        Ok(())
    }

    /// The plan of a seed, for a run of so many seconds. It has listed nodes and links and fixed times, ready to shrink.
    ///
    /// # Errors
    /// [`FaultError`] if something is out of range, the run has no room for the quiet, or the world none for any of the
    /// kinds.
    pub fn draw(&self, seed: u64, run_s: f64, population: &Population) -> Result<FaultPlan, FaultError> {
        self.validate()?;
        check("run_s", run_s, self.quiet_s..=SECONDS_MAX)?;
        let kinds = self.kinds_in(population)?;
        let quiet = Timestamp(nanos(run_s - self.quiet_s) / MILLISECOND_NS * MILLISECOND_NS);
        let poisson = Poisson::new(self.per_hour, None)?;
        let mut times = Stream::new(seed, "nemesis times", 0);
        let mut ends: Vec<Timestamp> = Vec::new();
        let mut faults = Vec::new();
        let (mut at, mut number) = (Timestamp::ZERO, 0);
        while number < STRIKES_MAX {
            let Some(next) = poisson.next(&mut times, at, quiet) else { break };
            at = next;
            let mut own = Stream::new(seed, "nemesis fault", u64::from(number));
            let begin = at.0 / MILLISECOND_NS * MILLISECOND_NS;
            let lasts = (nanos(self.duration_s.draw(&mut own)) / MILLISECOND_NS).max(1).saturating_mul(MILLISECOND_NS);
            let end = Timestamp(begin.saturating_add(lasts).min(quiet.0));
            ends.retain(|end| *end > at);
            if ends.len() < self.at_once_max as usize && begin < end.0 {
                ends.push(end);
                let kind = chosen(&kinds, &mut own);
                let (what, select) = severity::draw(kind, self.intensity, population, &mut own);
                let when = When::At { at_s: begin as f64 / 1e9 };
                let duration_s = Some(Distribution::Constant { value: (end.0 - begin) as f64 / 1e9 });
                faults.push(Fault { number: Some(number), when, duration_s, select, what });
            }
            number += 1;
        }
        Ok(FaultPlan { faults })
    }

    /// The kinds that this world has a place for, with their weights.
    fn kinds_in(&self, population: &Population) -> Result<Vec<(FaultKind, u32)>, FaultError> {
        let all = FaultKind::ALL.iter().map(|kind| (*kind, 1));
        let chosen: Vec<(FaultKind, u32)> = match self.kinds.is_empty() {
            true => all.collect(),
            false => self.kinds.iter().map(|(kind, weight)| (*kind, *weight)).collect(),
        };
        let fits = |(kind, weight): &(FaultKind, u32)| *weight > 0 && severity::fits(*kind, population);
        let kinds: Vec<(FaultKind, u32)> = chosen.into_iter().filter(fits).collect();
        match kinds.is_empty() {
            true => Err(Refused::new("kinds", "none", "at least one that this world has nodes or links for").into()),
            false => Ok(kinds),
        }
    }
}

/// One of the kinds, by weight.
fn chosen(kinds: &[(FaultKind, u32)], stream: &mut Stream) -> FaultKind {
    let mut left = stream.below(kinds.iter().map(|(_, weight)| u64::from(*weight)).sum());
    for (kind, weight) in kinds {
        match left.checked_sub(u64::from(*weight)) {
            Some(less) => left = less,
            None => return *kind,
        }
    }
    kinds[0].0
}
