//! The search for the smallest plan and the shortest run that still fail: delta debugging (Zeller and Hildebrandt 2002)
//! by removal of ever smaller parts.
//!
//! The caller runs what is proposed and tells whether it failed. A pass proposes, in this order: an earlier end of the
//! run; the plan without all faults, without halves, quarters, … and single ones; and for each fault that is left a
//! shorter duration or window, and fewer nodes or links. Whatever still fails is where the search goes on. It is over
//! after a pass in which nothing did.
//!
//! Invariants: each proposal is smaller than the smallest failure so far. If the outcome of a case is always the same,
//! and the tries sufficed, the end is 1-minimal: no single one of those steps from it fails.

use super::plan::{FaultPlan, When};
use super::smaller::{cut, cuts, part, smaller, steps};

/// How many tries a search may take unless said. A pass in which nothing gets smaller takes under 2.3 tries for each fault
/// and for each listed node, and up to 16 more for each fault; each success adds one. A guilty pair among 50 faults that
/// can't shrink is found within 100.
pub const TRIES_MAX: u32 = 100_000;
/// A run is not made shorter than this, in seconds.
const RUN_S_MIN: f64 = 1.0;

/// What is run: a plan, and for how long.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// The faults, with their numbers, so that what is left keeps its luck.
    pub plan: FaultPlan,
    /// How long the run is, in seconds.
    pub run_s: f64,
}

/// Where a pass is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Run,
    Faults,
    Fault(usize),
}

/// One search.
#[derive(Debug, Clone)]
pub struct Shrinker {
    smallest: Case,
    proposed: Option<Case>,
    part: Part,
    step: usize,
    /// Whether the pass made it smaller.
    changed: bool,
    minimal: bool,
    tries: u32,
    tries_max: u32,
}

impl Shrinker {
    /// A search from a case that fails. To lose single nodes and occurrences too, begin with a
    /// [pinned](FaultPlan::pinned) plan, if that still fails.
    #[must_use]
    pub fn new(case: Case) -> Self {
        let smallest = Case { plan: case.plan.numbered(), run_s: case.run_s };
        Self {
            smallest,
            proposed: None,
            part: Part::Run,
            step: 0,
            changed: false,
            minimal: false,
            tries: 0,
            tries_max: TRIES_MAX,
        }
    }

    /// The same with so many tries.
    #[must_use]
    pub fn with_tries(self, tries_max: u32) -> Self {
        Self { tries_max, ..self }
    }

    /// What to try next; the same until its outcome is [told](Self::tell). `None` when the search is over.
    pub fn propose(&mut self) -> Option<&Case> {
        while self.proposed.is_none() && self.tries < self.tries_max && !self.minimal {
            self.proposed = self.candidate();
            match self.proposed {
                Some(_) => self.tries += 1,
                None if self.step < self.steps() => self.step += 1,
                None => self.turn(),
            }
        }
        self.proposed.as_ref()
    }

    /// Tells whether what was proposed still fails. Without a proposal it says nothing.
    pub fn tell(&mut self, still_fails: bool) {
        let Some(case) = self.proposed.take() else { return };
        match still_fails {
            true => (self.smallest, self.changed) = (case, true),
            false => self.step += 1,
        }
    }

    /// The smallest case so far that fails.
    #[must_use]
    pub fn smallest(&self) -> &Case {
        &self.smallest
    }

    /// Whether the search is over and nothing smaller fails, as far as it looks; not so if it ran out of tries.
    #[must_use]
    pub fn is_minimal(&self) -> bool {
        self.minimal
    }

    /// How many cases were proposed.
    #[must_use]
    pub fn tries(&self) -> u32 {
        self.tries
    }

    /// Goes on to the next part of the pass, or to the next pass.
    fn turn(&mut self) {
        self.step = 0;
        let faults = self.smallest.plan.faults.len();
        self.part = match self.part {
            Part::Run => Part::Faults,
            Part::Faults if faults > 0 => Part::Fault(0),
            Part::Fault(fault) if fault + 1 < faults => Part::Fault(fault + 1),
            _ => {
                self.minimal = !self.changed;
                self.changed = false;
                Part::Run
            }
        };
    }

    fn steps(&self) -> usize {
        let faults = &self.smallest.plan.faults;
        match self.part {
            Part::Run => 4,
            Part::Faults => cuts(faults.len()),
            Part::Fault(fault) => faults.get(fault).map_or(0, steps),
        }
    }

    /// The smaller case of this step, if there is one.
    fn candidate(&self) -> Option<Case> {
        let Case { plan, run_s } = &self.smallest;
        match self.part {
            Part::Run => {
                let shorter_s = part(*run_s, self.step)?;
                (shorter_s >= RUN_S_MIN).then(|| ended(plan, shorter_s))
            }
            Part::Faults => {
                let without = cut(plan.faults.len(), self.step)?;
                let mut plan = plan.clone();
                plan.faults.drain(without);
                Some(Case { plan, run_s: *run_s })
            }
            Part::Fault(fault) => {
                let smaller = smaller(plan.faults.get(fault)?, *run_s, self.step)?;
                let mut plan = plan.clone();
                plan.faults[fault] = smaller;
                Some(Case { plan, run_s: *run_s })
            }
        }
    }
}

/// A run that ends earlier, without the faults that would begin after it.
fn ended(plan: &FaultPlan, run_s: f64) -> Case {
    let begins_s = |when: When| match when {
        When::At { at_s } => at_s,
        When::Rate { from_s, .. } => from_s,
    };
    let faults = plan.faults.iter().filter(|fault| begins_s(fault.when) < run_s).cloned();
    Case { plan: FaultPlan { faults: faults.collect() }, run_s }
}
