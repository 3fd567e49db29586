//! The world of the product's nodes: carries out what their brains ask for, as the real drivers do.
//!
//! | file | what it carries out |
//! |---|---|
//! | `actor` | the machine: a brain, and what may be wrapped around it |
//! | `node` | a node besides its brain |
//! | `wires` | ways from node to node, what a frame takes over them, flows |
//! | `connection`, `dialling`, `ending` | connections, from the first attempt to both ends' knowing that they are over |
//! | `frames` | control messages and probes |
//! | `serving` | requests, grants, slices, receipts |
//! | `storing`, `store` | commands to the store; the real one and a model of it |
//! | `signing` | keys, and signatures that are computed once |
//! | `finding` | multicast, and the wider lookup |
//! | `persons` | what people ask, and what they are told |
//! | `living` | starts, stops, crashes |
//! | `faulting`, `behaviour` | what goes wrong, and who misbehaves |
//! | `tally`, `tap`, `prints` | what was seen: counts, events for people, words for the digest |
//! | `watch` | what must never happen, looked for at the edge of each brain |
//!
//! Invariant: it decides nothing. What it does follows from outputs, links, disks and the clock.

pub mod actor;
pub mod behaviour;
pub mod connection;
mod dialling;
mod ending;
pub mod faulting;
mod finding;
mod frames;
pub mod happening;
mod living;
pub mod node;
mod persons;
mod prints;
pub mod seen;
mod serving;
pub mod signing;
pub mod store;
mod storing;
pub mod tally;
pub mod tap;
pub mod watch;
pub mod wires;

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_proto::port::store::StoreInput;
use mesh_proto::port::{Input, KeysCommand, Output};
use mesh_proto::{ConnectionId, NodeId, Timestamp};

use crate::kernel::{Member, Stage, World};
use crate::random::Stream;
use actor::Actor;
use connection::{Carried, Connections, EndId};
use dialling::Dials;
pub use dialling::listens_at;
use faulting::Faults;
use finding::Lookup;
use happening::Happening;
use node::{Power, SimNode};
use serving::Serves;
use signing::Signatures;
use store::{Library, SharedLibrary, StoreKind};
use tap::Tapped;
use watch::{Longest, Permits};
use wires::Wires;

/// What the kernel of this world acts on.
pub type NodeStage = Stage<Actor, Happening>;

/// As in the program's own loop.
const TICK_INTERVAL_MIN: Duration = Duration::from_millis(1);

/// See the module.
pub struct NodeWorld {
    pub(crate) seed: u64,
    /// All nodes, by number.
    pub nodes: Vec<SimNode>,
    by_id: BTreeMap<NodeId, Member>,
    /// Links, and what flows over them.
    pub wires: Wires,
    /// All connections.
    pub connections: Connections,
    dials: Dials,
    serves: Serves,
    signatures: Signatures,
    library: SharedLibrary,
    /// What nodes added from now on keep their contents in. All nodes of a world have the same.
    pub store_kind: StoreKind,
    lookup: Lookup,
    faults: Faults,
    permits: Permits,
    longest: Longest,
    /// Whether multicast gets through.
    pub multicast: bool,
    /// The civil time at the world's beginning, in milliseconds since 1970.
    pub began_unix_ms: u64,
    flows_armed: Option<Timestamp>,
    /// What the run's owner put in and is now due.
    pub script_due: Vec<u64>,
    /// What must never happen, and did.
    pub violations: Vec<Violation>,
    /// Events of all nodes since somebody last took them, if somebody does.
    pub events: Option<Vec<(Timestamp, Member, mesh_proto::port::Event)>>,
    /// What passed the brains' edges since somebody last took it, if somebody does.
    pub tap: Option<Vec<Tapped>>,
    luck: Stream,
}

/// Something that must never happen.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Violation {
    /// When.
    pub at_ns: u64,
    /// At which node.
    pub node: u32,
    /// Which invariant does not hold.
    pub invariant: String,
    /// What was seen.
    pub what: String,
}

/// No more than so many are kept: after the first, the others mostly follow from it.
const VIOLATIONS_MAX: usize = 100;

impl NodeWorld {
    /// An empty world.
    #[must_use]
    pub fn new(seed: u64, wires: Wires) -> Self {
        Self {
            seed,
            nodes: Vec::new(),
            by_id: BTreeMap::new(),
            wires,
            connections: Connections::default(),
            dials: Dials::default(),
            serves: Serves::default(),
            signatures: Signatures::default(),
            library: Library::shared(),
            store_kind: StoreKind::Model,
            lookup: Lookup::default(),
            faults: Faults::default(),
            permits: Permits::default(),
            longest: Longest::default(),
            multicast: true,
            began_unix_ms: 1_700_000_000_000,
            flows_armed: None,
            script_due: Vec::new(),
            violations: Vec::new(),
            events: None,
            tap: None,
            luck: Stream::new(seed, "world", 0),
        }
    }

    /// A node.
    ///
    /// # Panics
    /// If there is none of this number.
    #[must_use]
    pub fn node(&self, member: Member) -> &SimNode {
        &self.nodes[member.0 as usize]
    }

    /// The same, to change.
    ///
    /// # Panics
    /// If there is none of this number.
    pub fn node_mut(&mut self, member: Member) -> &mut SimNode {
        &mut self.nodes[member.0 as usize]
    }

    /// Which node has this name.
    #[must_use]
    pub fn member_of(&self, node: NodeId) -> Option<Member> {
        self.by_id.get(&node).copied()
    }

    /// Signatures asked about, and those of them that had to be computed.
    #[must_use]
    pub fn signatures_asked_and_checked(&self) -> (u64, u64) {
        self.signatures.asked_and_checked()
    }

    /// Notes that an invariant does not hold.
    pub fn violated(&mut self, at: Timestamp, member: Member, invariant: &str, what: String) {
        if self.violations.len() < VIOLATIONS_MAX {
            let (at_ns, invariant) = (at.0, invariant.to_owned());
            self.violations.push(Violation { at_ns, node: member.0, invariant, what });
        }
    }

    fn is_on(&self, member: Member) -> bool {
        self.node(member).power == Power::On
    }

    /// Lets the flows' next change happen in time.
    fn arm_flows(&mut self, stage: &mut NodeStage) {
        let Some(at) = self.wires.flows.poll_timeout() else { return };
        if self.flows_armed.is_none_or(|armed| at < armed) {
            self.flows_armed = Some(at);
            stage.happen(at, Happening::FlowsDue);
        }
    }

    /// The connection messages to a node take: the newest.
    fn connection_to(&self, member: Member, peer: Member) -> Option<EndId> {
        let connections = self.node(member).connections.get(&peer)?;
        let open = |id: &ConnectionId| {
            let end = self.connections.end_of(*id, member)?;
            self.connections.end(end).filter(|end| !end.closing).map(|_| end)
        };
        connections.iter().rev().find_map(open)
    }

    fn keys(&mut self, stage: &mut NodeStage, member: Member, command: KeysCommand) {
        let Self { nodes, signatures, .. } = self;
        let answer = signatures.carry_out(&mut nodes[member.0 as usize].keys, command);
        stage.deliver(stage.now(), member, Input::Keys(answer));
    }
}

impl World<Actor> for NodeWorld {
    type Event = Happening;

    fn tick(&self) -> Input {
        Input::Tick
    }

    fn tick_interval_min(&self) -> Duration {
        TICK_INTERVAL_MIN
    }

    fn admit(&mut self, stage: &mut NodeStage, member: Member, input: &Input) -> bool {
        let now = stage.now();
        if let Some(tap) = &mut self.tap {
            tap.push(Tapped::input(now, member, input, prints::input(input)));
        }
        let node = &mut self.nodes[member.0 as usize];
        node.tally.inputs += 1;
        match input {
            Input::Net(input) => self.hears(stage, member, input),
            Input::Tick => {
                self.note_wake(now, member);
                true
            }
            Input::Store(StoreInput::Done { command, result }) => {
                node.watch.wrote(*command, result.is_ok());
                true
            }
            _ => true,
        }
    }

    fn carry_out(&mut self, stage: &mut NodeStage, member: Member, output: Output) {
        self.watch(stage.now(), member, &output);
        match output {
            Output::Net(command) => self.net(stage, member, command),
            Output::Store(command) => self.store(stage, member, command),
            Output::Keys(command) => self.keys(stage, member, command),
            Output::Reply { request, reply } => self.reply(member, request, reply),
            Output::Report(event) => self.report(stage.now(), member, event),
            Output::Stopped => self.node_mut(member).stopped = true,
        }
    }

    fn happen(&mut self, stage: &mut NodeStage, happening: Happening) {
        if let Some(tap) = &mut self.tap {
            tap.push(Tapped::world(stage.now(), happening.name(), happening.print()));
        }
        match happening {
            Happening::Dialling(dial) => self.go_on_dialling(stage, dial),
            Happening::Established(dial) => self.establish(stage, dial),
            Happening::Ended(end, why) => self.end_learns(stage, end, &why),
            Happening::Probe(end) => self.probe(stage, end),
            Happening::ProbeDue(end, sent) => self.probe_due(stage, end, sent),
            Happening::FlowsDue => self.move_flows(stage),
            Happening::Slice(serve, slice) => self.slice_arrives(stage, serve, *slice),
            Happening::Cancelled(serve) => self.cancellation_arrives(stage, serve),
            Happening::Refused(serve, reason) => self.refusal_arrives(stage, serve, reason),
            Happening::Stall(serve) => self.check_stall(stage, serve),
            Happening::Checkpoint(member) => self.checkpoint(stage, member),
            Happening::Multicast(member, starts) => self.ask_by_multicast(stage, member, starts),
            Happening::LinkTurns(link) => self.link_turns(stage, link),
            Happening::Resumes(end) => self.resumes(stage, end),
            Happening::SendsLate(end, bytes, input) => self.transmit(stage, end, bytes, Carried::Input(input)),
            Happening::Leaves(member, starts) => self.leaves(stage, member, starts),
            Happening::StartsAgain(member, starts) => self.starts_again(stage, member, starts),
            Happening::Script(number) => self.script_due.push(number),
        }
    }

    fn print(input: &Input) -> u64 {
        prints::input(input)
    }

    fn print_event(event: &Happening) -> u64 {
        event.print()
    }
}
