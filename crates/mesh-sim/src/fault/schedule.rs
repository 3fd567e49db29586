//! When a plan's faults begin and end in the run of a seed, and whom they meet.
//!
//! Invariant: each occurrence draws from streams named by the seed, the fault's number and the occurrence's.

use std::sync::Arc;

use mesh_proto::Timestamp;

use super::plan::{Fault, FaultError, FaultPlan, When};
use super::what::{Split, Target, What};
use crate::draw::{Distribution, Poisson, Refused, nanos};
use crate::random::Stream;
use crate::select::{Population, Selected, Selector};

/// The most occurrences of all faults of a plan.
pub const OCCURRENCES_MAX: usize = 100_000;
/// The most nodes and links that all occurrences together may meet.
pub const TARGETS_MAX: usize = 10_000_000;

/// Whom a fault meets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Targets {
    /// These nodes, ascending.
    Nodes(Vec<u32>),
    /// These links, ascending.
    Links(Vec<u32>),
    /// The groups of a partition.
    Groups(Vec<Vec<u32>>),
}

impl Targets {
    fn count(&self) -> usize {
        match self {
            Self::Nodes(numbers) | Self::Links(numbers) => numbers.len(),
            Self::Groups(groups) => groups.iter().map(Vec::len).sum(),
        }
    }
}

/// Which end of a fault. An end comes before a beginning of the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It ends.
    End,
    /// It begins.
    Begin,
}

/// A fault begins or ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultEvent {
    /// When.
    pub at: Timestamp,
    /// Which end.
    pub phase: Phase,
    /// The fault's place in the plan.
    pub fault: usize,
    /// The fault's number, which it keeps when others are taken out of the plan: what its luck goes by.
    pub number: u32,
    /// Which of its occurrences, counted from 0.
    pub occurrence: u32,
    /// Whom it meets; the same at its beginning and its end.
    pub targets: Arc<Targets>,
}

/// One time that a fault happens.
struct Occurrence {
    fault: usize,
    occurrence: u32,
    begin: Timestamp,
    end: Option<Timestamp>,
    targets: Targets,
}

impl FaultPlan {
    /// Every beginning and end in the run of a seed, in order of time; also those after its end.
    ///
    /// # Errors
    /// [`FaultError`] if a fault is out of range, meets nobody in this world, or there are too many.
    pub fn schedule(&self, seed: u64, population: &Population) -> Result<Vec<FaultEvent>, FaultError> {
        let mut events = Vec::new();
        for Occurrence { fault, occurrence, begin, end, targets } in self.occurrences(seed, population)? {
            let (number, targets) = (self.number_of(fault), Arc::new(targets));
            let event = |at, phase| FaultEvent { at, phase, fault, number, occurrence, targets: Arc::clone(&targets) };
            events.push(event(begin, Phase::Begin));
            events.extend(end.map(|end| event(end, Phase::End)));
        }
        events.sort_by_key(|event| (event.at, event.phase, event.fault, event.occurrence));
        Ok(events)
    }

    /// The same faults without luck: each occurrence is a fault of its own at a fixed time, for a fixed duration, on
    /// listed nodes or links. To be made smaller node by node. A fault that happens once keeps its number.
    ///
    /// # Errors
    /// [`FaultError`] as [`Self::schedule`].
    pub fn pinned(&self, seed: u64, population: &Population) -> Result<Self, FaultError> {
        let plan = self.clone().numbered();
        let mut number = plan.faults.iter().filter_map(|fault| fault.number).max().unwrap_or(0);
        let mut faults = Vec::new();
        for Occurrence { fault, begin, end, targets, .. } in plan.occurrences(seed, population)? {
            let mut pinned = plan.faults[fault].clone();
            if let When::Rate { .. } = pinned.when {
                number = number.saturating_add(1);
                pinned.number = Some(number);
            }
            let seconds = |nanos: u64| nanos as f64 / 1e9;
            pinned.when = When::At { at_s: seconds(begin.0) };
            pinned.duration_s = end.map(|end| Distribution::Constant { value: seconds(end.0 - begin.0) });
            match (targets, &mut pinned.what) {
                (Targets::Nodes(nodes), _) => pinned.select = Selector::Nodes { nodes },
                (Targets::Links(links), _) => pinned.select = Selector::LinkNumbers { links },
                (Targets::Groups(groups), What::Partition { how, .. }) => {
                    pinned.select = Selector::All {};
                    *how = Split::Groups(groups);
                }
                (Targets::Groups(_), _) => {}
            }
            faults.push(pinned);
        }
        let plan = Self { faults };
        plan.validate()?;
        Ok(plan)
    }

    fn number_of(&self, fault: usize) -> u32 {
        self.faults[fault].number.unwrap_or(fault as u32)
    }

    fn occurrences(&self, seed: u64, population: &Population) -> Result<Vec<Occurrence>, FaultError> {
        self.validate_in(population)?;
        let mut occurrences = Vec::new();
        let mut targets = 0;
        for (fault, entry) in self.faults.iter().enumerate() {
            let number = u64::from(self.number_of(fault)) << 32;
            let most = OCCURRENCES_MAX - occurrences.len();
            let begins = begins(entry, &mut Stream::new(seed, "fault times", number), most)?;
            for (occurrence, begin) in (0..).zip(begins) {
                let own = |purpose| Stream::new(seed, purpose, number | u64::from(occurrence));
                let lasts = entry.duration_s.map(|duration| nanos(duration.draw(&mut own("fault duration"))).max(1));
                let met = met(entry, &own("fault selection"), &own("fault split"), population)
                    .map_err(|refused| refused.inside(&format!("faults[{fault}].select")))?;
                targets += met.count();
                if targets > TARGETS_MAX {
                    return Err(FaultError::TooMany { what: "nodes and links met", most: TARGETS_MAX });
                }
                let end = lasts.map(|lasts| Timestamp(begin.0.saturating_add(lasts)));
                occurrences.push(Occurrence { fault, occurrence, begin, end, targets: met });
            }
        }
        Ok(occurrences)
    }
}

/// When a fault begins, each time; at most so many times.
fn begins(fault: &Fault, stream: &mut Stream, most: usize) -> Result<Vec<Timestamp>, FaultError> {
    let mut begins = Vec::new();
    match fault.when {
        When::At { at_s } => begins.push(Timestamp(nanos(at_s))),
        When::Rate { per_hour, from_s, until_s } => {
            let poisson = Poisson::new(per_hour, None)?;
            let (mut at, until) = (Timestamp(nanos(from_s)), Timestamp(nanos(until_s)));
            while begins.len() <= most {
                let Some(next) = poisson.next(stream, at, until) else { break };
                begins.push(next);
                at = next;
            }
        }
    }
    match begins.len() > most {
        true => Err(FaultError::TooMany { what: "occurrences of faults", most: OCCURRENCES_MAX }),
        false => Ok(begins),
    }
}

/// Whom an occurrence meets.
fn met(fault: &Fault, luck: &Stream, coins: &Stream, population: &Population) -> Result<Targets, Refused> {
    if let What::Partition { how, .. } = &fault.what {
        if let Split::Groups(groups) = how {
            return Ok(Targets::Groups(groups.clone()));
        }
        let nodes = fault.select.resolve_nodes(luck, population)?;
        return Ok(Targets::Groups(split(how, nodes, coins, population)));
    }
    let selected = fault.select.resolve(luck, population)?;
    if fault.what.kind().target() == Target::Links {
        let links = selected.links(population);
        return match links.is_empty() {
            true => Err(Refused::new("selection", "of nodes without a link", "one that meets a link of this world")),
            false => Ok(Targets::Links(links)),
        };
    }
    match selected {
        Selected::Nodes(nodes) => Ok(Targets::Nodes(nodes)),
        Selected::Links(links) => Ok(Targets::Links(links)),
    }
}

/// The groups of a partition, none of them empty.
fn split(how: &Split, mut nodes: Vec<u32>, coins: &Stream, population: &Population) -> Vec<Vec<u32>> {
    let mut groups = match how {
        Split::Groups(groups) => groups.clone(),
        Split::Halves => {
            nodes.sort_by_cached_key(|node| (coins.at(u64::from(*node)), *node));
            let second = nodes.split_off(nodes.len().div_ceil(2));
            vec![nodes, second]
        }
        Split::Coins => {
            let (first, second) = nodes.into_iter().partition(|node| coins.at(u64::from(*node)) & 1 == 0);
            vec![first, second]
        }
        Split::Isolate => {
            let rest = population.of_role(None).filter(|node| nodes.binary_search(node).is_err()).collect();
            nodes.into_iter().map(|node| vec![node]).chain([rest]).collect()
        }
    };
    groups.iter_mut().for_each(|group| group.sort_unstable());
    groups.retain(|group| !group.is_empty());
    groups
}
