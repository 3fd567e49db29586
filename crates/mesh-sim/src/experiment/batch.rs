//! Many runs side by side: one seed per thread, results in order.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use mesh_proto::Timestamp;
use rayon::prelude::{IntoParallelRefIterator as _, ParallelIterator as _};

use super::run::{Run, RunError, run};
use crate::result::{MeasureError, Measured, RUNS_MAX, Results, ResultsError};
use crate::scenario::{Scenario, ScenarioError};
use crate::workload::Trace;
use crate::world::Violation;

/// What is told while a batch runs. Called from several threads.
pub trait Progress: Sync {
    /// A run came so far.
    fn goes_on(&self, variant: &str, seed: u64, now: Timestamp, until: Timestamp) {
        let _ = (variant, seed, now, until);
    }

    /// A run is over.
    fn is_over(&self, variant: &str, seed: u64, run: &Result<Run, RunError>) {
        let _ = (variant, seed, run);
    }
}

impl Progress for () {}

/// Results of a batch, and what did not hold in it.
#[derive(Debug)]
pub struct Batch {
    /// The figures of all runs that ended.
    pub results: Results,
    /// Violations, by variant and seed.
    pub violations: Vec<(String, u64, Vec<Violation>)>,
    /// Runs that have no result, and why.
    pub failed: Vec<(String, u64, RunError)>,
    /// Runs that were not begun, or broken off, because somebody stopped the batch.
    pub stopped: usize,
}

/// A scenario with some values set.
#[derive(Debug, Clone, PartialEq)]
pub struct Variation {
    /// What was set: path and value.
    pub set: Vec<(String, String)>,
    /// The scenario with that.
    pub scenario: Scenario,
}

impl Variation {
    /// The scenario as it is.
    #[must_use]
    pub fn none(scenario: Scenario) -> Self {
        Self { set: Vec::new(), scenario }
    }

    /// What was set, such as `topology.nodes=50`; empty if nothing was.
    #[must_use]
    pub fn label(&self) -> String {
        self.set.iter().map(|(path, value)| format!("{path}={value}")).collect::<Vec<_>>().join(" ")
    }

    /// Says in a run what was set.
    fn say_in(&self, run: &mut Measured) -> Result<(), MeasureError> {
        self.set.iter().try_for_each(|(path, value)| run.set_parameter(path, value))
    }
}

/// What came of one run; `None` if it was never begun.
type Outcome = Option<Result<Run, RunError>>;

/// All combinations of values.
///
/// # Errors
/// [`ScenarioError`] if a value can't be set.
pub fn grid(scenario: &Scenario, axes: &[(String, Vec<String>)]) -> Result<Vec<Variation>, ScenarioError> {
    let mut all = vec![Variation::none(scenario.clone())];
    for (path, values) in axes {
        let mut next = Vec::new();
        for Variation { set, scenario } in &all {
            for value in values {
                let mut set = set.clone();
                set.push((path.clone(), value.clone()));
                next.push(Variation { set, scenario: scenario.set(path, value)? });
            }
        }
        all = next;
    }
    Ok(all)
}

/// Runs every variation with every seed of its scenario, as many at a time as there are cores. `stop` ends it early: what
/// is done is kept.
///
/// # Errors
/// [`ResultsError`] before the first run if names, values or their number can't stand in one table; after the last if
/// runs of different variations measured what can't.
pub fn run_all(
    variations: &[Variation],
    traces: &BTreeMap<String, Trace>,
    progress: &impl Progress,
    stop: &AtomicBool,
) -> Result<Batch, ResultsError> {
    let seeds = |variation: &Variation| variation.scenario.seeds.all().to_vec();
    let tasks: Vec<(&Variation, u64)> = variations
        .iter()
        .flat_map(|variation| seeds(variation).into_iter().map(move |seed| (variation, seed)))
        .collect();
    let results = no_results_yet(variations, tasks.len())?;
    let ended: Vec<Outcome> =
        tasks.par_iter().map(|(variation, seed)| one(variation, *seed, traces, progress, stop)).collect();
    let mut batch = Batch { results, violations: Vec::new(), failed: Vec::new(), stopped: 0 };
    for ((variation, seed), outcome) in tasks.into_iter().zip(ended) {
        match outcome {
            None | Some(Err(RunError::BrokenOff)) => batch.stopped += 1,
            Some(Err(error)) => batch.failed.push((variation.label(), seed, error)),
            Some(Ok(run)) => batch.add(variation, seed, run)?,
        }
    }
    Ok(batch)
}

/// The results of a batch before its runs. Each variation is put in once by way of trial: what would be refused after
/// hours is refused now.
fn no_results_yet(variations: &[Variation], runs: usize) -> Result<Results, ResultsError> {
    if runs > RUNS_MAX {
        return Err(ResultsError::TooMany);
    }
    let first = variations.first().map(|variation| &variation.scenario);
    let (name, question) = first.map_or(("", ""), |scenario| (&*scenario.name, &*scenario.question));
    let results = Results::new(name, question)?;
    let mut trial = results.clone();
    for variation in variations {
        // Variations of equal values have equal scenarios, and so the same first seed.
        let mut run = Measured::new(variation.scenario.seeds.all().first().copied().unwrap_or(1));
        variation.say_in(&mut run)?;
        trial.add(run)?;
    }
    Ok(results)
}

impl Batch {
    fn add(&mut self, variation: &Variation, seed: u64, mut run: Run) -> Result<(), ResultsError> {
        variation.say_in(&mut run.measured)?;
        self.results.add(run.measured)?;
        if !run.violations.is_empty() {
            self.violations.push((variation.label(), seed, run.violations));
        }
        Ok(())
    }
}

fn one(
    variation: &Variation,
    seed: u64,
    traces: &BTreeMap<String, Trace>,
    progress: &impl Progress,
    stop: &AtomicBool,
) -> Outcome {
    if stop.load(Ordering::Relaxed) {
        return None;
    }
    let label = variation.label();
    let run = run(&variation.scenario, seed, traces, false, |now, until| {
        progress.goes_on(&label, seed, now, until);
        match stop.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    });
    progress.is_over(&label, seed, &run);
    Some(run)
}
