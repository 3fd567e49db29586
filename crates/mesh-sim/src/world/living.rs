//! Starts, stops and crashes of nodes.

use mesh_proto::port::{Input, NetInput};
use mesh_proto::{Timestamp, UnixMs};

use super::actor::Actor;
use super::dialling::listens_at;
use super::happening::Happening;
use super::node::{NodeOptions, Power, SimNode};
use super::signing::KeyRing;
use super::store::{DiskTrouble, Ending, ModelStore, NodeStore, RealStore, StoreKind};
use super::tally::Tally;
use super::watch::Watch;
use super::{NodeStage, NodeWorld};
use crate::kernel::Member;
use mesh_proto::NodeId;

/// Opening a store and listening take so long.
const OPENING_NS: u64 = 20_000_000;
/// A process that could not begin is started again after so long.
const START_AGAIN_NS: u64 = 10_000_000_000;

impl NodeWorld {
    /// Adds a node that does not run yet, at the next free place of the topology.
    pub fn add(&mut self, stage: &mut NodeStage, options: NodeOptions) -> Member {
        let place = self.wires.next_place();
        self.add_at(stage, place, options)
    }

    /// Adds a node that does not run yet, at a place where others may be, too.
    pub fn add_at(&mut self, stage: &mut NodeStage, place: u32, options: NodeOptions) -> Member {
        let member = Member(self.nodes.len() as u32);
        self.wires.settle(member, place);
        let store: Box<dyn NodeStore> = match self.store_kind {
            StoreKind::Model => {
                #[cfg_attr(not(feature = "planted"), allow(unused_mut, reason = "it changes for a defect only"))]
                let mut store = ModelStore::new(self.library.clone());
                #[cfg(feature = "planted")]
                if options.planted == Some(mesh_proto::planted::Defect::SkipVerification) {
                    store.skip_verification();
                }
                Box::new(store)
            }
            #[cfg(feature = "planted")]
            StoreKind::Real => Box::new(RealStore::with_defect(options.planted)),
            #[cfg(not(feature = "planted"))]
            StoreKind::Real => Box::new(RealStore::default()),
        };
        let keys = KeyRing::new(self.seed, member.0);
        let id = NodeId(keys.node_id());
        self.by_id.insert(id, member);
        let drift_ppb = options.drift_ppb;
        let placeholder = Actor::new(&options, [0; 32]);
        self.nodes.push(SimNode {
            id,
            options,
            power: Power::ProcessDown,
            store,
            keys,
            starts: 0,
            requests: 0,
            replies: std::collections::BTreeMap::new(),
            awaited: std::collections::BTreeSet::new(),
            tally: Tally::default(),
            connections: std::collections::BTreeMap::new(),
            found_by_multicast: std::collections::BTreeSet::new(),
            probe_interval_ns: 0,
            checkpoint_due: false,
            stopped: false,
            leaving: false,
            watch: Watch::default(),
        });
        let added = stage.add(placeholder, drift_ppb);
        assert_eq!(added, member, "nodes are the only machines of this world");
        stage.stop(member);
        member
    }

    /// Starts a node that does not run, unless a fault keeps it down. Does nothing to one that runs; one that is saying
    /// goodbye ends and starts.
    pub fn start(&mut self, stage: &mut NodeStage, member: Member) {
        if self.is_kept_down(member) || (self.is_on(member) && !self.node(member).leaving) {
            return;
        }
        self.end(stage, member, Ending::Closed);
        let now = stage.now();
        let node = self.node_mut(member);
        node.starts += 1;
        let opened = match node.store.open() {
            Ok(opened) => opened,
            Err(why) => {
                node.power = Power::ProcessDown;
                return self.does_not_open(stage, member, &why);
            }
        };
        (node.power, node.stopped, node.leaving, node.checkpoint_due) = (Power::On, false, false, false);
        node.watch.started();
        node.probe_interval_ns = node.options.config.ping_interval_ms * 1_000_000;
        node.found_by_multicast.clear();
        let (loaded, options) = (node.keys.loaded(), node.options.clone());
        let brain = Actor::new(&options, self.brain_seed(member));
        stage.start(member, brain, self.drift_ppb(member));
        if self.is_held(member) {
            stage.hold(member);
        }
        self.take_up_behaviours(stage, member);
        self.audit(now, member);
        let later = Timestamp(now.0 + OPENING_NS);
        stage.deliver(now, member, Input::Keys(loaded));
        stage.deliver(now, member, self.civil_time(now, options.clock_off_ms, options.clock_trusted));
        opened.into_iter().for_each(|input| stage.deliver(later, member, Input::Store(input)));
        stage.deliver(later, member, Input::Net(NetInput::Listening { address: listens_at(member) }));
        stage.happen(later, Happening::Multicast(member, self.node(member).starts));
    }

    /// A store can't be opened: with a disk that fails the process ends, and its system starts it again.
    fn does_not_open(&mut self, stage: &mut NodeStage, member: Member, why: &str) {
        match self.has_disk_trouble(member) {
            true => {
                let starts = self.node(member).starts;
                stage.happen(Timestamp(stage.now().0 + START_AGAIN_NS), Happening::StartsAgain(member, starts));
            }
            false => {
                let what = format!("it does not open: {why}");
                self.violated(stage.now(), member, "kept content survives restarts", what);
            }
        }
    }

    /// A process that could not begin is started again.
    pub(super) fn starts_again(&mut self, stage: &mut NodeStage, member: Member, starts: u64) {
        if self.node(member).starts == starts && self.node(member).power == Power::ProcessDown {
            self.start(stage, member);
        }
    }

    fn brain_seed(&self, member: Member) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"a simulated brain").update(&self.seed.to_le_bytes());
        hasher.update(&member.0.to_le_bytes()).update(&self.node(member).starts.to_le_bytes());
        *hasher.finalize().as_bytes()
    }

    fn civil_time(&self, now: Timestamp, off_ms: i64, trusted: bool) -> Input {
        let right = self.began_unix_ms + now.0 / 1_000_000;
        Input::Clock { unix: UnixMs(right.saturating_add_signed(off_ms)), trusted }
    }

    /// Moves a node's civil clock.
    pub fn shift_clock(&mut self, stage: &mut NodeStage, member: Member, by_ms: i64) {
        let options = &mut self.node_mut(member).options;
        options.clock_off_ms = options.clock_off_ms.saturating_add(by_ms);
        let (off_ms, trusted) = (options.clock_off_ms, options.clock_trusted);
        if self.is_on(member) {
            let input = self.civil_time(stage.now(), off_ms, trusted);
            stage.deliver(stage.now(), member, input);
        }
    }

    /// Ends a node: its process (others are told by its system), or its whole machine (nobody is told).
    pub fn end(&mut self, stage: &mut NodeStage, member: Member, ending: Ending) {
        if !self.is_on(member) {
            return;
        }
        let machine_dies = !matches!(ending, Ending::Closed | Ending::Killed);
        self.drop_ends(stage, member, !machine_dies);
        let node = self.node_mut(member);
        node.power = if machine_dies { Power::Off } else { Power::ProcessDown };
        node.store.end(ending);
        node.watch.ended(ending);
        node.awaited.clear();
        self.lookup.forget(member);
        stage.stop(member);
    }

    /// Asks a node to stop in order: its brain writes down what it knows. It is to be ended soon after.
    pub fn ask_to_stop(&mut self, stage: &mut NodeStage, member: Member) {
        if self.is_on(member) {
            self.node_mut(member).leaving = true;
            stage.deliver(stage.now(), member, Input::Stop);
        }
    }

    /// Something is wrong with a node's disk from now on, or no longer.
    pub fn set_disk_trouble(&mut self, member: Member, trouble: DiskTrouble, on: bool) {
        self.node_mut(member).store.set_trouble(trouble, on);
    }
}
