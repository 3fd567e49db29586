//! A failing scenario made smaller: fewer nodes, contents and activities, fewer and shorter faults, a shorter run.
//!
//! Invariant: each step is kept only if the scenario still fails; what is given fails.

use std::ops::ControlFlow;

use mesh_proto::Timestamp;

use super::case::{BEGIN_S, QUIET_S};
use super::{Failing, fails};
use crate::draw::Distribution;
use crate::experiment::RunError;
use crate::fault::{Case, Fault, Shrinker, Split, What, When};
use crate::scenario::{BuildError, Scenario, population};
use crate::select::Selector;

/// A search for a smaller failure takes at most so many runs.
pub const TRIES_MAX: u32 = 200;

/// A failure that was made smaller.
#[derive(Debug)]
pub struct Shrunk {
    /// The smallest scenario that still fails.
    pub scenario: Scenario,
    /// Why it fails.
    pub failing: Failing,
    /// How many runs it took.
    pub tries: u32,
    /// Whether nothing smaller fails.
    pub is_minimal: bool,
}

/// How large a case is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Size {
    /// Nodes.
    pub nodes: usize,
    /// Faults.
    pub faults: usize,
    /// Seconds of the world.
    pub run_s: f64,
}

impl Size {
    /// How large a scenario is; without nodes if its topology can't be made.
    #[must_use]
    pub fn of(scenario: &Scenario) -> Self {
        let topology = scenario.topology.make(seed_of(scenario));
        let nodes = topology.map_or(0, |topology| population(&topology).nodes.len());
        Self { nodes, faults: scenario.faults.len(), run_s: scenario.duration_s }
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} nodes, {} faults, {:.0} s", self.nodes, self.faults, self.run_s)
    }
}

fn seed_of(scenario: &Scenario) -> u64 {
    scenario.seeds.all().first().copied().unwrap_or(1)
}

/// One search.
struct Search<W> {
    smallest: Scenario,
    failing: Failing,
    /// What it failed of at first: a smaller case must fail of the same.
    of: Vec<String>,
    tries: u32,
    watch: W,
    stopped: bool,
}

impl<W: FnMut(&Scenario, u32) -> ControlFlow<()>> Search<W> {
    /// Takes a scenario if it still fails.
    fn try_it(&mut self, scenario: Scenario) -> bool {
        if self.stopped || self.tries >= TRIES_MAX || self.is_cut_off(&scenario) {
            return false;
        }
        self.tries += 1;
        self.stopped = (self.watch)(&scenario, self.tries).is_break();
        if self.stopped {
            return false;
        }
        let go_on = |_: Timestamp, _: Timestamp| ControlFlow::Continue(());
        let still = fails(&scenario, go_on).ok().flatten();
        let still = still.filter(|failing| failing.of().iter().any(|of| self.of.contains(of)));
        match still {
            Some(failing) => {
                (self.smallest, self.failing) = (scenario, failing);
                true
            }
            None => false,
        }
    }

    /// Whether a failure that shows only at the end would be nothing but an end that comes too early.
    fn is_cut_off(&self, scenario: &Scenario) -> bool {
        self.failing.first_s.is_none() && scenario.duration_s < busy_until_s(scenario) + QUIET_S
    }

    /// Ends what people do earlier, and the run with it, if the failure shows only at the end.
    fn demand_less(&mut self) {
        let parts = if self.failing.first_s.is_none() { &[0.0, 0.25, 0.5, 0.75][..] } else { &[] };
        for part in parts {
            let until_s = BEGIN_S + (demands_until_s(&self.smallest) - BEGIN_S) * part;
            let Some(mut less) = with_demands_until(&self.smallest, until_s.ceil()) else { continue };
            less.duration_s = busy_until_s(&less) + QUIET_S;
            if less.duration_s < self.smallest.duration_s && self.try_it(less) {
                return;
            }
        }
    }

    /// Ends the run soon after what went wrong first did.
    fn end_early(&mut self) {
        if let Some(at_s) = self.failing.first_s {
            let duration_s = (at_s + 1.0).ceil();
            if duration_s < self.smallest.duration_s {
                let faults = self.smallest.faults.iter().filter(|fault| begins_s(fault) < duration_s).cloned();
                let settled_s = self.smallest.settled_s.min(duration_s);
                let shorter = Scenario { duration_s, settled_s, faults: faults.collect(), ..self.smallest.clone() };
                self.try_it(shorter);
            }
        }
    }

    /// Takes away halves, then single ones, of what can be counted at a path.
    fn fewer(&mut self, path: &str, least: u32, make: impl Fn(&Scenario, u32) -> Option<Scenario>) {
        while let Some(count) = number_at(&self.smallest, path).filter(|count| *count > least) {
            let halved = (count / 2).max(least);
            let steps = [halved, count - count.div_ceil(4), count - 1];
            let smaller = steps.into_iter().filter(|fewer| (least..count).contains(fewer));
            let mut made: Vec<Scenario> = smaller.filter_map(|fewer| make(&self.smallest, fewer)).collect();
            made.dedup();
            if !made.into_iter().any(|scenario| self.try_it(scenario)) {
                return;
            }
        }
    }

    fn fewer_activities(&mut self) {
        for place in (0..self.smallest.activities.len()).rev() {
            let mut without = self.smallest.clone();
            without.activities.remove(place);
            self.try_it(without);
        }
    }

    fn without_faults(&mut self) {
        if !self.smallest.faults.is_empty() {
            self.try_it(Scenario { faults: Vec::new(), ..self.smallest.clone() });
        }
    }

    /// The search over the plan of faults. Says whether nothing smaller fails.
    fn smaller_plan(&mut self) -> bool {
        let case = Case { plan: self.smallest.fault_plan(), run_s: self.smallest.duration_s };
        let mut shrinker = Shrinker::new(case).with_tries(TRIES_MAX.saturating_sub(self.tries));
        while let Some(case) = shrinker.propose().cloned() {
            let settled_s = self.smallest.settled_s.min(case.run_s);
            let faults = case.plan.faults;
            let proposed = Scenario { faults, duration_s: case.run_s, settled_s, ..self.smallest.clone() };
            let fails = self.try_it(proposed);
            shrinker.tell(fails);
            if self.stopped {
                return false;
            }
        }
        shrinker.is_minimal()
    }
}

/// Makes a failing scenario smaller. `watch` is shown what is tried and may break it off; the smallest found so far is then
/// given. `None` if it does not fail.
///
/// # Errors
/// [`RunError`] if the scenario can't be run.
pub fn shrink(
    scenario: &Scenario,
    watch: impl FnMut(&Scenario, u32) -> ControlFlow<()>,
) -> Result<Option<Shrunk>, RunError> {
    let go_on = |_: Timestamp, _: Timestamp| ControlFlow::Continue(());
    let seed = seed_of(scenario);
    let Some(failing) = fails(scenario, go_on)? else { return Ok(None) };
    let of = failing.of();
    let mut search = Search { smallest: scenario.clone(), failing, of, tries: 0, watch, stopped: false };
    // With all luck pinned single nodes can be left out, too; if that changes what happens, it stays as it was.
    let topology = scenario.topology.make(seed).map_err(BuildError::Topology)?;
    let pinned = scenario.fault_plan().pinned(seed, &population(&topology)).map_err(BuildError::Faults)?;
    search.try_it(Scenario { faults: pinned.faults, ..scenario.clone() });
    search.end_early();
    search.without_faults();
    search.demand_less();
    search.fewer_activities();
    search.fewer("topology.nodes", 2, with_nodes);
    search
        .fewer("catalogue.contents", 1, |scenario, count| scenario.set("catalogue.contents", &count.to_string()).ok());
    search.end_early();
    let is_minimal = search.smaller_plan();
    search.demand_less();
    search.fewer("topology.nodes", 2, with_nodes);
    search.end_early();
    let Search { smallest, failing, tries, .. } = search;
    Ok(Some(Shrunk { scenario: smallest, failing, tries, is_minimal }))
}

fn begins_s(fault: &Fault) -> f64 {
    match fault.when {
        When::At { at_s } => at_s,
        When::Rate { from_s, .. } => from_s,
    }
}

/// When the last fault and the last demand are over.
fn busy_until_s(scenario: &Scenario) -> f64 {
    let ends_s = |fault: &Fault| match (fault.when, fault.duration_s) {
        (When::At { at_s }, Some(Distribution::Constant { value })) => at_s + value,
        _ => f64::INFINITY,
    };
    scenario.faults.iter().map(ends_s).fold(demands_until_s(scenario), f64::max)
}

fn demands_until_s(scenario: &Scenario) -> f64 {
    let places = 0..scenario.activities.len();
    let until_s = places.filter_map(|place| value_at(scenario, &format!("activities.{place}.until_s"))?.as_float());
    until_s.fold(BEGIN_S, f64::max)
}

/// The same, but people do nothing more from then on.
fn with_demands_until(scenario: &Scenario, until_s: f64) -> Option<Scenario> {
    let mut less = scenario.clone();
    for place in 0..scenario.activities.len() {
        let path = format!("activities.{place}.until_s");
        let number = |path: &str| value_at(&less, path).and_then(|value| value.as_float());
        if number(&path).is_some_and(|known| known > until_s) {
            let from_s = number(&format!("activities.{place}.from_s")).unwrap_or(0.0);
            less = less.set(&path, &format!("{:?}", until_s.max(from_s))).ok()?;
        }
    }
    Some(less)
}

fn value_at(scenario: &Scenario, path: &str) -> Option<toml::Value> {
    let whole = toml::Value::try_from(scenario).ok()?;
    let found = path.split('.').try_fold(&whole, |place, part| match (place, part.parse::<usize>()) {
        (toml::Value::Array(list), Ok(number)) => list.get(number),
        _ => place.get(part),
    });
    found.cloned()
}

/// The number that stands at a path of a scenario.
fn number_at(scenario: &Scenario, path: &str) -> Option<u32> {
    value_at(scenario, path)?.as_integer().and_then(|number| u32::try_from(number).ok())
}

/// The same with so many nodes, and of the faults what can still happen.
fn with_nodes(scenario: &Scenario, nodes: u32) -> Option<Scenario> {
    let mut fewer = scenario.set("topology.nodes", &nodes.to_string()).ok()?;
    let topology = fewer.topology.make(seed_of(scenario)).ok()?;
    let population = population(&topology);
    let (nodes, links) = (population.nodes.len() as u32, population.links.len() as u32);
    fewer.faults = fewer.faults.into_iter().filter_map(|fault| among(fault, nodes, links)).collect();
    Some(fewer)
}

/// What is left of a fault in a smaller world.
fn among(mut fault: Fault, nodes: u32, links: u32) -> Option<Fault> {
    if let What::Partition { how: Split::Groups(groups), .. } = &mut fault.what {
        groups.iter_mut().for_each(|group| group.retain(|node| *node < nodes));
        groups.retain(|group| !group.is_empty());
        return (groups.len() > 1).then_some(fault);
    }
    match &mut fault.select {
        Selector::Nodes { nodes: listed } => listed.retain(|node| *node < nodes),
        Selector::LinkNumbers { links: listed } => listed.retain(|link| *link < links),
        Selector::Links { ends } => ends.retain(|ends| ends.iter().all(|end| *end < nodes)),
        _ => return Some(fault),
    }
    let is_empty = match &fault.select {
        Selector::Nodes { nodes } => nodes.is_empty(),
        Selector::LinkNumbers { links } => links.is_empty(),
        Selector::Links { ends } => ends.is_empty(),
        _ => false,
    };
    (!is_empty).then_some(fault)
}
