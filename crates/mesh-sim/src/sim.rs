//! A world of the product's nodes, to build, step, disturb and look into.
//!
//! Start at [`Sim`]. Everything a scenario file can say is said through it.
//!
//! ```
//! use std::time::Duration;
//!
//! use mesh_sim::flow::Congestion;
//! use mesh_sim::sim::Sim;
//! use mesh_sim::topology::TopologyPlan;
//! use mesh_sim::world::node::NodeOptions;
//! use mesh_sim::world::wires::Wires;
//!
//! let plan: TopologyPlan = toml::from_str("kind = \"segment\"\nnodes = 3\nlinks = [{ preset = \"lan\" }]").unwrap();
//! let mut sim = Sim::new(7, Wires::new(plan.make(7).unwrap(), 7, Congestion::Bbr));
//! let nodes: Vec<_> = (0..3).map(|_| sim.add(NodeOptions::default())).collect();
//! nodes.iter().for_each(|node| sim.start(*node));
//! sim.run_for(Duration::from_secs(10));
//! let ticket = sim.share(nodes[0], 2_000_000, false).unwrap();
//! nodes[1..].iter().for_each(|node| sim.get(*node, &ticket));
//! let all_have = |world: &mesh_sim::world::NodeWorld| nodes[1..].iter().all(|n| !world.node(*n).tally.completions.is_empty());
//! assert!(sim.run_until(Duration::from_secs(60), all_have));
//! assert!(sim.world().violations.is_empty());
//! ```

use std::sync::Arc;
use std::time::Duration;

use mesh_core::Node;
use mesh_proto::bulk::TrafficClass;
use mesh_proto::port::UserRequestId;
use mesh_proto::port::user::{UserCommand, UserReply};
use mesh_proto::{ContentId, Machine as _, Timestamp};

use crate::fault::{FaultEvent, Phase, Targets, What};
use crate::kernel::{Kernel, Member};
use crate::world::NodeWorld;
use crate::world::actor::Actor;
use crate::world::node::{NodeOptions, Power};
use crate::world::store::{Ending, StoreKind};
use crate::world::tally::Tally;
use crate::world::wires::Wires;

/// How long a person waits for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(600);

/// A run. See the module.
pub struct Sim {
    kernel: Kernel<Actor, NodeWorld>,
    shared: u64,
    faults: u32,
}

/// A fault that was begun by hand.
#[derive(Debug, Clone)]
pub struct BegunFault {
    what: What,
    event: FaultEvent,
}

/// Faults begun by hand are numbered apart from those of plans.
const BY_HAND: usize = u32::MAX as usize;

impl Sim {
    /// A world without nodes over these wires.
    #[must_use]
    pub fn new(seed: u64, wires: Wires) -> Self {
        let kernel = Kernel::new(NodeWorld::new(seed, wires), 1 << 14);
        Self { kernel, shared: 0, faults: 0 }
    }

    /// What nodes added from now on keep their contents in. All nodes of a world have the same.
    #[must_use]
    pub fn with_store(mut self, kind: StoreKind) -> Self {
        self.kernel.parts().0.store_kind = kind;
        self
    }

    /// Adds a node that does not run yet.
    pub fn add(&mut self, options: NodeOptions) -> Member {
        let (world, stage) = self.kernel.parts();
        world.add(stage, options)
    }

    /// Starts a node.
    pub fn start(&mut self, member: Member) {
        let (world, stage) = self.kernel.parts();
        world.start(stage, member);
    }

    /// Ends a node.
    pub fn end(&mut self, member: Member, ending: Ending) {
        let (world, stage) = self.kernel.parts();
        world.end(stage, member, ending);
    }

    /// Lets time pass.
    pub fn run_for(&mut self, time: Duration) {
        let until = self.now().after(time);
        self.kernel.run_until(until);
    }

    /// Runs until a condition holds, at most for `time`. Returns whether it holds.
    pub fn run_until(&mut self, time: Duration, mut condition: impl FnMut(&NodeWorld) -> bool) -> bool {
        let until = self.now().after(time);
        self.kernel.run_until_holds(until, |kernel| condition(kernel.world()))
    }

    /// The world's time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.kernel.stage().now()
    }

    /// The world, to look at.
    #[must_use]
    pub fn world(&self) -> &NodeWorld {
        self.kernel.world()
    }

    /// The kernel, for everything else.
    pub fn kernel(&mut self) -> &mut Kernel<Actor, NodeWorld> {
        &mut self.kernel
    }

    /// The digest of all events so far: equal for equal runs.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.kernel.stage().digest()
    }

    /// How many events there were.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.kernel.stage().events()
    }

    /// A node's brain, while it runs.
    #[must_use]
    pub fn brain(&self, member: Member) -> Option<&Node> {
        self.kernel.stage().machine(member).map(Actor::brain)
    }

    /// When a node's brain wants to be woken, by its own clock, and why.
    #[must_use]
    pub fn wakes_for(&self, member: Member) -> Option<(Timestamp, &'static str)> {
        self.kernel.stage().machine(member).and_then(Actor::poll_timeout)
    }

    /// The public key of a node's member, if it has one.
    #[must_use]
    pub fn member_key(&self, member: Member) -> Option<[u8; 32]> {
        self.world().node(member).keys.member()
    }

    /// Notes that an invariant does not hold at a node now.
    pub fn violated(&mut self, member: Member, invariant: &str, what: String) {
        let (world, stage) = self.kernel.parts();
        world.violated(stage.now(), member, invariant, what);
    }

    /// After a start, once the node's store is open: whether it still knows all that it kept.
    pub fn check_kept(&mut self, member: Member) {
        let (world, stage) = self.kernel.parts();
        world.check_kept(stage, member);
    }

    /// What a node was seen to do.
    #[must_use]
    pub fn tally(&self, member: Member) -> &Tally {
        &self.world().node(member).tally
    }

    /// Asks a node for something and runs until it answers; `None` if it does not within ten minutes, or does not run.
    pub fn ask(&mut self, member: Member, command: UserCommand) -> Option<UserReply> {
        if !self.is_on(member) {
            return None;
        }
        let request = self.ask_later(member, command);
        self.run_until(ANSWER_WITHIN, |world| world.node(member).replies.contains_key(&request));
        self.take_reply(member, request)
    }

    /// Asks a node for something whose answer nobody waits for.
    pub fn tell(&mut self, member: Member, command: UserCommand) {
        let (world, stage) = self.kernel.parts();
        world.tell(stage, member, command);
    }

    /// Asks a node for something; its answer can be taken when it is there.
    pub fn ask_later(&mut self, member: Member, command: UserCommand) -> UserRequestId {
        let (world, stage) = self.kernel.parts();
        world.ask(stage, member, command)
    }

    /// Takes an answer, if it is there.
    pub fn take_reply(&mut self, member: Member, request: UserRequestId) -> Option<UserReply> {
        self.kernel.parts().0.node_mut(member).replies.remove(&request)
    }

    /// Whether a node runs.
    #[must_use]
    pub fn is_on(&self, member: Member) -> bool {
        self.world().node(member).power == Power::On
    }

    /// How many nodes there are.
    #[must_use]
    pub fn nodes(&self) -> u32 {
        self.world().nodes.len() as u32
    }

    /// Lets something go wrong now, until [`Sim::end_fault`].
    pub fn begin_fault(&mut self, what: What, targets: Targets) -> BegunFault {
        self.faults += 1;
        let (at, targets) = (self.now(), Arc::new(targets));
        let event =
            FaultEvent { at, phase: Phase::Begin, fault: BY_HAND, number: u32::MAX, occurrence: self.faults, targets };
        let (world, stage) = self.kernel.parts();
        world.fault(stage, &what, &event);
        BegunFault { what, event }
    }

    /// Ends what went wrong: a crashed node starts, a cut link is there again.
    pub fn end_fault(&mut self, fault: BegunFault) {
        let event = FaultEvent { at: self.now(), phase: Phase::End, ..fault.event };
        let (world, stage) = self.kernel.parts();
        world.fault(stage, &fault.what, &event);
    }

    /// Lets a node leave in good order: it says goodbye, and ends a second later.
    pub fn leave(&mut self, member: Member) {
        let (world, stage) = self.kernel.parts();
        world.leave(stage, member);
    }

    /// Puts a person's file on a node's disk, its bytes a function of `seed`.
    pub fn put_file(&mut self, member: Member, path: &str, bytes: u64, seed: u64) {
        self.kernel.parts().0.node_mut(member).store.put_file(path, bytes, seed);
    }

    /// Makes a file at a node and shares it; gives its ticket.
    ///
    /// # Errors
    /// What the node says instead.
    pub fn share(&mut self, member: Member, bytes: u64, listed: bool) -> Result<String, Box<Option<UserReply>>> {
        self.shared += 1;
        let (seed, path) = (self.shared, format!("/home/shared-{}", self.shared));
        self.put_file(member, &path, bytes, seed);
        let access = Some(mesh_proto::record::Access::Public);
        let command = UserCommand::Share { path, name: None, listed: Some(listed), tags: None, access };
        match self.ask(member, command) {
            Some(UserReply::Shared(view)) => Ok(view.ticket),
            other => Err(Box::new(other)),
        }
    }

    /// Lets a node begin to fetch.
    pub fn get(&mut self, member: Member, ticket: &str) {
        let name: String = ticket.chars().skip(5).take(16).collect();
        self.tell(member, get_command(ticket, &format!("/home/got-{name}")));
    }

    /// Whether a node holds all of a content, as the world knows.
    #[must_use]
    pub fn has(&self, member: Member, content: ContentId) -> bool {
        self.tally(member).completions.iter().any(|completion| completion.content == content)
    }
}

/// What a person asks who wants to have something.
#[must_use]
pub fn get_command(ticket: &str, target: &str) -> UserCommand {
    UserCommand::Get {
        ticket: ticket.to_owned(),
        target: target.to_owned(),
        seed_seconds: None,
        class: TrafficClass::Public,
        priority: 0,
    }
}
