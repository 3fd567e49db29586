//! The hunt: random worlds, random demands and random faults, each run looked at for what must never be.
//!
//! A case is a scenario like any other, drawn from a seed, with its faults listed, so that what fails can be saved, run
//! again and made smaller. `case` draws them, `shrink` makes them smaller.

mod case;
mod shrink;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use mesh_proto::Timestamp;

use super::run::{Run, RunError, run, told};
use crate::result::{Expectation, Measured, Results, Variant};
use crate::scenario::Scenario;
pub use case::case;
pub use shrink::{Shrunk, Size, TRIES_MAX, shrink};

/// So many of those who wait in vain, and so many nodes, are told one by one.
const TOLD_MAX: usize = 12;

/// Why a run fails.
#[derive(Debug, Clone, PartialEq)]
pub struct Failing {
    /// What does not hold, for people, one line each.
    pub why: Vec<String>,
    /// The invariants that do not hold, in the words of their violations.
    pub invariants: BTreeSet<String>,
    /// When the first of them did not, in seconds; `None` if it shows only at the end.
    pub first_s: Option<f64>,
}

impl Failing {
    /// What it fails of, without the circumstances.
    fn of(&self) -> Vec<String> {
        match self.invariants.is_empty() {
            true => vec!["the end".to_owned()],
            false => self.invariants.iter().cloned().collect(),
        }
    }
}

/// Runs a case and says why it fails, if it does.
///
/// # Errors
/// [`RunError`].
pub fn fails(
    scenario: &Scenario,
    watch: impl FnMut(Timestamp, Timestamp) -> ControlFlow<()>,
) -> Result<Option<Failing>, RunError> {
    let seed = scenario.seeds.all().first().copied().unwrap_or(1);
    let run = run(scenario, seed, &BTreeMap::new(), false, watch)?;
    Ok(judge(scenario, &run))
}

/// Says why a run of a case fails, if it does.
#[must_use]
pub fn judge(scenario: &Scenario, run: &Run) -> Option<Failing> {
    let Run { measured, violations, unfinished, standing, .. } = run;
    let invariants = violations.iter().map(|violation| violation.invariant.clone()).collect();
    let first_s = violations.first().map(|violation| violation.at_ns as f64 / 1e9);
    let mut why = told(violations);
    why.extend(promises(scenario, measured));
    why.extend(unfinished.iter().take(TOLD_MAX).cloned());
    why.extend(expectations(scenario, measured));
    if violations.is_empty() && !why.is_empty() {
        why.extend(standing.iter().take(TOLD_MAX).cloned());
    }
    (!why.is_empty()).then_some(Failing { why, invariants, first_s })
}

/// What any run must give once it is quiet.
fn promises(scenario: &Scenario, measured: &Measured) -> Vec<String> {
    let mut broken = Vec::new();
    let mut check = |name: &str, says: &str| {
        if let Some(count) = measured.count(name).filter(|count| *count > 0) {
            broken.push(format!("{count} {says}"));
        }
    };
    check("honest_banned", "bans of nodes that did nothing wrong");
    check("unfinished", "contents did not arrive although somebody held them");
    check("failed", "contents were given up");
    if !scenario.faults.is_empty() && measured.value("converged_s").is_none() {
        broken.push("nodes did not come to know the same records".to_owned());
    }
    broken
}

fn expectations(scenario: &Scenario, measured: &Measured) -> Vec<String> {
    let Ok(mut results) = Results::new(&scenario.name, &scenario.question) else { return Vec::new() };
    if results.add(measured.clone()).is_err() {
        return Vec::new();
    }
    let check = |variant: &Variant<'_>| {
        let unmet = |expectation: &Expectation| match expectation.check(variant) {
            Ok(verdict) if verdict.held => None,
            Ok(verdict) => Some(verdict.to_string()),
            Err(error) => Some(error.to_string()),
        };
        scenario.expect.iter().filter_map(unmet).collect::<Vec<_>>()
    };
    results.variants().iter().flat_map(check).collect()
}
