//! A scenario's world for a seed.

use std::collections::BTreeMap;

use mesh_proto::Timestamp;
use mesh_proto::message::Message;
use mesh_proto::port::net::LinkClass;

use super::{Scenario, ScenarioError};
use crate::draw::{Refused, nanos};
use crate::fault::{Fault, FaultError, FaultEvent};
use crate::kernel::Member;
use crate::random::Stream;
use crate::select::{LinkInfo, NodeInfo, Population, Role};
use crate::sim::Sim;
use crate::topology::{self, Topology, TopologyError};
use crate::workload::{Community, Demands, Setting, Trace, WorkloadError};
use crate::world::listens_at;
use crate::world::wires::Wires;

/// Why a scenario has no world. Each says all of it, and so gives no source: who prints both would print it twice.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The topology can't be made.
    #[error("topology: {0}")]
    Topology(TopologyError),
    /// The workload does not fit this world.
    #[error("workload: {0}")]
    Workload(WorkloadError),
    /// The faults do not fit this world.
    #[error("faults: {0}")]
    Faults(FaultError),
    /// A selector does not fit this world.
    #[error(transparent)]
    Selector(#[from] Refused),
    /// The scenario itself is wrong.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
}

/// A world that has not begun, and what is to happen in it.
pub struct Built {
    /// The world, its nodes not started.
    pub sim: Sim,
    /// What people do.
    pub demands: Demands,
    /// The communities among them.
    pub communities: Vec<Community>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// When.
    pub schedule: Vec<FaultEvent>,
    /// When each node starts.
    pub starts: Vec<(Timestamp, Member)>,
    /// The end of the run.
    pub until: Timestamp,
    /// Whether it may end when all is done.
    pub ends_when_done: bool,
}

impl Scenario {
    /// Makes the world of a seed. `traces` are the CSV traces it names.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn build(&self, seed: u64, traces: &BTreeMap<String, Trace>) -> Result<Built, BuildError> {
        self.validate()?;
        let topology = self.topology.make(seed).map_err(BuildError::Topology)?;
        let population = population(&topology);
        let until = Timestamp(nanos(self.duration_s));
        let setting = Setting { seed, population: &population, until, traces };
        let demands = self.workload().demands(setting).map_err(BuildError::Workload)?;
        let plan = self.fault_plan();
        let schedule = plan.schedule(seed, &population).map_err(BuildError::Faults)?;
        let starts = self.starts(seed, &population)?;
        let wires = Wires::new(topology, seed, self.congestion);
        let mut sim = Sim::new(seed, wires).with_store(self.store);
        let (world, stage) = sim.kernel().parts();
        world.multicast = self.multicast;
        for (number, info) in (0..).zip(&population.nodes) {
            let address = |node: u32| listens_at(Member(node));
            #[cfg_attr(not(feature = "planted"), allow(unused_mut, reason = "it changes for a defect only"))]
            let mut options = self.node.options(seed, number, &info.name, address);
            #[cfg(feature = "planted")]
            (options.planted = self.planted);
            world.add(stage, options);
        }
        world.begin(stage);
        let (faults, ends_when_done) = (plan.faults, self.ends_when_done);
        let communities = self.workload().communities();
        Ok(Built { sim, demands, communities, faults, schedule, starts, until, ends_when_done })
    }

    fn starts(&self, seed: u64, population: &Population) -> Result<Vec<(Timestamp, Member)>, Refused> {
        let within_ns = nanos(self.node.start.within_s);
        let late = match &self.node.newcomers {
            Some(newcomers) => newcomers.who.resolve_nodes(&Stream::new(seed, "newcomers", 0), population)?,
            None => Vec::new(),
        };
        let at_ns = self.node.newcomers.as_ref().map_or(0, |newcomers| nanos(newcomers.at_s));
        let start = |number: u32| {
            let early = Stream::new(seed, "start", u64::from(number)).below(within_ns.max(1));
            let at = if late.binary_search(&number).is_ok() { at_ns } else { early };
            (Timestamp(at), Member(number))
        };
        let mut starts: Vec<(Timestamp, Member)> = (0..population.nodes.len() as u32).map(start).collect();
        starts.sort_unstable();
        Ok(starts)
    }
}

/// Who and what can be selected in a topology.
#[must_use]
pub fn population(topology: &Topology) -> Population {
    let role = |role: topology::Role| match role {
        topology::Role::Gateway => Role::Gateway,
        _ => Role::Peer,
    };
    let runs = topology.nodes.iter().filter(|node| node.role.runs_the_program());
    let nodes = runs.map(|node| NodeInfo { name: node.name.clone(), role: role(node.role) }).collect();
    let class = |link: &topology::Link| match link.quality.class {
        LinkClass::Loopback => "loopback",
        LinkClass::SameSegment => "same_segment",
        LinkClass::Farther => "farther",
        LinkClass::Metered => "metered",
    };
    let links = topology.links.iter().map(|link| LinkInfo { ends: [link.a, link.b], class: class(link).to_owned() });
    let messages = Message::NAMES.iter().map(|name| (*name).to_owned()).collect();
    Population { nodes, links: links.collect(), messages }
}
