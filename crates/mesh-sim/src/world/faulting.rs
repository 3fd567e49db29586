//! Carries out faults: what a plan says happens to nodes, links, disks and messages, and what ends it.
//!
//! Faults of a kind may overlap; each holds until its own end. Invariant: a fault that ended leaves nothing behind but
//! what it destroyed.

use std::collections::{BTreeMap, BTreeSet};

use mesh_proto::message::Message;
use mesh_proto::port::net::LinkClass;
use mesh_proto::{NodeId, Timestamp};

use super::behaviour::Behaviour;
use super::connection::EndId;
use super::happening::Happening;
use super::node::Power;
use super::store::{DiskTrouble, Ending};
use super::wires::Way;
use super::{NodeStage, NodeWorld};
use crate::draw::{Distribution, nanos};
use crate::fault::{DiskAfter, FaultEvent, Phase, Targets, What};
use crate::kernel::Member;
use crate::random::Stream;

/// A node that leaves gets so long to say goodbye and write down what it knows.
const GOODBYE_NS: u64 = 1_000_000_000;

/// A fault that is under way, by its number in the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FaultId(pub u64);

/// Messages that something happens to.
#[derive(Debug)]
struct MessageFault {
    /// Of these senders; of all if `None`.
    senders: Option<BTreeSet<Member>>,
    /// Over these links; over all if `None`.
    links: Option<BTreeSet<u32>>,
    names: Vec<String>,
    what: MessageTrouble,
    luck: Stream,
}

#[derive(Debug)]
enum MessageTrouble {
    Lost { ppm: u32 },
    Late { by_ms: Distribution },
    Twice { ppm: u32 },
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Fate {
    pub(super) is_lost: bool,
    pub(super) is_doubled: bool,
    pub(super) late_ns: u64,
}

/// All faults under way.
#[derive(Debug, Default)]
pub(super) struct Faults {
    messages: BTreeMap<FaultId, MessageFault>,
    /// Misbehaviours by node, to be taken up again after a restart.
    behaviours: BTreeMap<(Member, FaultId), What>,
    troubles: BTreeMap<(Member, DiskTrouble), BTreeSet<FaultId>>,
    /// How much slower disks are.
    slow_ns: BTreeMap<(Member, FaultId), u64>,
    /// Why a node is held.
    holds: BTreeMap<Member, BTreeSet<FaultId>>,
    /// Why a node is down.
    downs: BTreeMap<Member, BTreeSet<FaultId>>,
    drifts: BTreeMap<(Member, FaultId), i32>,
    /// Identities that a fault added.
    added: BTreeMap<FaultId, Vec<Member>>,
}

impl Faults {
    /// What becomes of a message that a node sends.
    pub(super) fn fate(&mut self, sender: Member, way: Option<&Way>, message: &Message) -> Fate {
        let mut fate = Fate::default();
        for fault in self.messages.values_mut() {
            let is_sender = fault.senders.as_ref().is_none_or(|senders| senders.contains(&sender));
            let passes = fault
                .links
                .as_ref()
                .is_none_or(|links| way.is_some_and(|way| way.links.iter().any(|link| links.contains(&(link / 2)))));
            let is_named = fault.names.is_empty() || fault.names.iter().any(|name| name == message.name());
            if !(is_sender && passes && is_named) {
                continue;
            }
            match &fault.what {
                MessageTrouble::Lost { ppm } => fate.is_lost |= fault.luck.one_in_a_million(*ppm),
                MessageTrouble::Twice { ppm } => fate.is_doubled |= fault.luck.one_in_a_million(*ppm),
                MessageTrouble::Late { by_ms } => {
                    let late_ns = nanos(by_ms.draw(&mut fault.luck) / 1e3);
                    fate.late_ns = fate.late_ns.saturating_add(late_ns);
                }
            }
        }
        fate
    }

    /// Whether anything happens to messages.
    pub(super) fn touch_messages(&self) -> bool {
        !self.messages.is_empty()
    }

    /// How much longer each access to a node's disk takes.
    pub(super) fn disk_slower_ns(&self, member: Member) -> u64 {
        let of = self.slow_ns.range((member, FaultId(0))..=(member, FaultId(u64::MAX)));
        of.map(|(_, slow_ns)| *slow_ns).max().unwrap_or(0)
    }
}

impl NodeWorld {
    /// A fault begins or ends.
    pub fn fault(&mut self, stage: &mut NodeStage, what: &What, event: &FaultEvent) {
        let id = FaultId(u64::from(event.number) << 32 | u64::from(event.occurrence));
        let begins = event.phase == Phase::Begin;
        match (&*event.targets, what) {
            (Targets::Groups(groups), What::Partition { one_way, .. }) => {
                let groups = groups.iter().map(|group| group.iter().copied().map(Member).collect()).collect();
                match begins {
                    true => self.wires.split(id.0, groups, *one_way),
                    false => self.wires.unsplit(id.0),
                }
                self.rewire(stage);
            }
            (Targets::Links(links), what) => self.link_fault(stage, id, links, what, begins),
            (Targets::Nodes(nodes), what) => {
                for node in nodes {
                    self.node_fault(stage, id, Member(*node), what, begins);
                }
                self.message_fault(id, Some(nodes.iter().copied().map(Member).collect()), None, what, begins);
            }
            (Targets::Groups(_), _) => {}
        }
    }

    fn link_fault(&mut self, stage: &mut NodeStage, id: FaultId, links: &[u32], what: &What, begins: bool) {
        match what {
            What::LinkDown {} if begins => self.wires.cut(stage.now(), id.0, links),
            What::LinkDegraded { rate_ppm, latency_us, loss_ppm } if begins => {
                self.wires.degrade(stage.now(), id.0, links, (*rate_ppm, latency_us * 1000, *loss_ppm));
            }
            What::LinkDown {} | What::LinkDegraded { .. } => self.wires.restore(stage.now(), id.0),
            _ => {
                return self.message_fault(id, None, Some(links.iter().copied().collect()), what, begins);
            }
        }
        self.rewire(stage);
    }

    fn message_fault(
        &mut self,
        id: FaultId,
        senders: Option<BTreeSet<Member>>,
        links: Option<BTreeSet<u32>>,
        what: &What,
        begins: bool,
    ) {
        let (names, what) = match what {
            What::MessageLoss { messages, loss_ppm } => (messages, MessageTrouble::Lost { ppm: *loss_ppm }),
            What::MessageDelay { messages, delay_ms } => (messages, MessageTrouble::Late { by_ms: *delay_ms }),
            What::MessageDuplication { messages, twice_ppm } => (messages, MessageTrouble::Twice { ppm: *twice_ppm }),
            _ => return,
        };
        if !begins {
            self.faults.messages.remove(&id);
            return;
        }
        let luck = Stream::new(self.seed, "message fault", id.0);
        self.faults.messages.insert(id, MessageFault { senders, links, names: names.clone(), what, luck });
    }

    fn node_fault(&mut self, stage: &mut NodeStage, id: FaultId, member: Member, what: &What, begins: bool) {
        match what {
            What::Crash { disk } => {
                let ending = match disk {
                    DiskAfter::Kept => Ending::MachineOff,
                    DiskAfter::UnsyncedLost => Ending::PowerCut { seed: id.0 ^ self.seed },
                    DiskAfter::Lost => Ending::DiskLost,
                };
                self.set_down(stage, id, member, begins.then_some(ending));
            }
            What::Leave {} => self.set_down(stage, id, member, begins.then_some(Ending::Closed)),
            What::Pause {} => self.set_held(stage, id, member, begins),
            What::GatewayOutage {} => {
                let links = self.wires.uplinks_of(member);
                match begins {
                    true => self.wires.cut(stage.now(), id.0, &links),
                    false => self.wires.restore(stage.now(), id.0),
                }
                self.rewire(stage);
            }
            What::ClockJump { by_s } => {
                let by_ms = by_s.saturating_mul(1000);
                self.shift_clock(stage, member, if begins { by_ms } else { -by_ms });
            }
            What::ClockDrift { drift_ppm } => self.set_drift(stage, id, member, begins.then_some(*drift_ppm)),
            What::DiskFull {} => self.trouble(id, member, DiskTrouble::Full, begins),
            What::DiskReadOnly {} => self.trouble(id, member, DiskTrouble::ReadOnly, begins),
            What::DiskRemoved {} => self.trouble(id, member, DiskTrouble::Removed, begins),
            What::DiskSyncFails {} => self.trouble(id, member, DiskTrouble::SyncFails, begins),
            What::DiskSlow { latency_us } => {
                match begins {
                    true => self.faults.slow_ns.insert((member, id), latency_us.saturating_mul(1000)),
                    false => self.faults.slow_ns.remove(&(member, id)),
                };
            }
            What::ManyIdentities { count } => self.identities(stage, id, member, begins.then_some(*count)),
            What::CorruptPayload { .. }
            | What::LieAboutHoldings {}
            | What::FreeRide {}
            | What::Flood { .. }
            | What::Equivocate {}
            | What::DropSelectively { .. } => self.misbehave(stage, id, member, what, begins),
            What::Partition { .. }
            | What::LinkDown {}
            | What::LinkDegraded { .. }
            | What::MessageLoss { .. }
            | What::MessageDelay { .. }
            | What::MessageDuplication { .. } => {}
        }
    }

    fn set_down(&mut self, stage: &mut NodeStage, id: FaultId, member: Member, ending: Option<Ending>) {
        let downs = self.faults.downs.entry(member).or_default();
        match ending {
            Some(Ending::Closed) => {
                downs.insert(id);
                self.leave(stage, member);
            }
            Some(ending) => {
                downs.insert(id);
                self.end(stage, member, ending);
            }
            None => {
                downs.remove(&id);
                self.start(stage, member);
            }
        }
    }

    /// Asks a node to stop; it ends a little later.
    pub fn leave(&mut self, stage: &mut NodeStage, member: Member) {
        self.ask_to_stop(stage, member);
        let starts = self.node(member).starts;
        stage.happen(Timestamp(stage.now().0 + GOODBYE_NS), Happening::Leaves(member, starts));
    }

    /// A node that was asked to stop ends.
    pub(super) fn leaves(&mut self, stage: &mut NodeStage, member: Member, starts: u64) {
        if self.node(member).starts == starts {
            self.end(stage, member, Ending::Closed);
        }
    }

    fn set_held(&mut self, stage: &mut NodeStage, id: FaultId, member: Member, begins: bool) {
        let holds = self.faults.holds.entry(member).or_default();
        match begins {
            true => _ = holds.insert(id),
            false => _ = holds.remove(&id),
        }
        match holds.is_empty() {
            true => stage.release(member),
            false => stage.hold(member),
        }
    }

    fn set_drift(&mut self, stage: &mut NodeStage, id: FaultId, member: Member, drift_ppm: Option<i32>) {
        match drift_ppm {
            Some(drift_ppm) => _ = self.faults.drifts.insert((member, id), drift_ppm),
            None => _ = self.faults.drifts.remove(&(member, id)),
        }
        stage.set_drift(member, self.drift_ppb(member));
    }

    /// What a node's clock gains: the most that faults make of it, else its own.
    pub(super) fn drift_ppb(&self, member: Member) -> i32 {
        let of = self.faults.drifts.range((member, FaultId(0))..=(member, FaultId(u64::MAX)));
        let worst = of.map(|(_, drift)| drift.saturating_mul(1000)).max_by_key(|drift| drift.unsigned_abs());
        worst.unwrap_or(self.node(member).options.drift_ppb)
    }

    /// Whether a fault that has not ended took the node down.
    pub(super) fn is_kept_down(&self, member: Member) -> bool {
        self.faults.downs.get(&member).is_some_and(|downs| !downs.is_empty())
    }

    fn trouble(&mut self, id: FaultId, member: Member, trouble: DiskTrouble, begins: bool) {
        let holders = self.faults.troubles.entry((member, trouble)).or_default();
        match begins {
            true => _ = holders.insert(id),
            false => _ = holders.remove(&id),
        }
        let on = !holders.is_empty();
        self.set_disk_trouble(member, trouble, on);
    }

    /// Whether something is wrong with a node's disk.
    #[must_use]
    pub fn has_disk_trouble(&self, member: Member) -> bool {
        let of =
            |((node, _), holders): (&(Member, DiskTrouble), &BTreeSet<FaultId>)| *node == member && !holders.is_empty();
        self.faults.troubles.iter().any(of)
    }

    /// Whether a node stands still: nothing reaches its brain. What its system has under way for it goes on.
    #[must_use]
    pub fn is_held(&self, member: Member) -> bool {
        self.faults.holds.get(&member).is_some_and(|holds| !holds.is_empty())
    }

    /// Whether a node does nothing at this moment but what its brain says.
    pub(super) fn is_honest(&self, member: Member) -> bool {
        self.faults.behaviours.range((member, FaultId(0))..=(member, FaultId(u64::MAX))).next().is_none()
    }

    fn misbehave(&mut self, stage: &mut NodeStage, id: FaultId, member: Member, what: &What, begins: bool) {
        match begins {
            true => {
                self.faults.behaviours.insert((member, id), what.clone());
                self.take_up_behaviour(stage, id, member, what.clone());
            }
            false => {
                self.faults.behaviours.remove(&(member, id));
                if let Some(actor) = stage.machine_mut(member) {
                    actor.remove_behaviour(id.0);
                }
            }
        }
    }

    fn take_up_behaviour(&mut self, stage: &mut NodeStage, id: FaultId, member: Member, what: What) {
        let luck = Stream::new(self.seed ^ id.0, "misbehaviour", u64::from(member.0));
        let peers: Vec<NodeId> = self.node(member).connections.keys().map(|peer| self.node(*peer).id).collect();
        let wakes = matches!(what, What::Flood { .. });
        if let Some(actor) = stage.machine_mut(member) {
            actor.add_behaviour(Behaviour::new(id.0, what, luck, peers));
        }
        if wakes {
            stage.deliver(stage.now(), member, mesh_proto::port::Input::Tick);
        }
    }

    /// A node that starts again misbehaves as before.
    pub(super) fn take_up_behaviours(&mut self, stage: &mut NodeStage, member: Member) {
        let of = self.faults.behaviours.range((member, FaultId(0))..=(member, FaultId(u64::MAX)));
        let all: Vec<(FaultId, What)> = of.map(|((_, id), what)| (*id, what.clone())).collect();
        all.into_iter().for_each(|(id, what)| self.take_up_behaviour(stage, id, member, what));
    }

    fn identities(&mut self, stage: &mut NodeStage, id: FaultId, member: Member, count: Option<u32>) {
        match count {
            Some(count) => {
                for _ in 1..count {
                    let options = self.node(member).options.clone();
                    let added = self.add_at(stage, self.wires.place_of(member), options);
                    self.start(stage, added);
                    self.faults.added.entry(id).or_default().push(added);
                }
            }
            None => {
                for added in self.faults.added.remove(&id).unwrap_or_default() {
                    self.end(stage, added, Ending::MachineOff);
                }
            }
        }
    }

    /// Lets links turn by their schedules from now on.
    pub fn begin(&mut self, stage: &mut NodeStage) {
        for link in 0..self.wires.links() {
            self.wires.renew_links(stage.now(), &[link]);
            self.expect_turn(stage, link);
        }
    }

    fn expect_turn(&mut self, stage: &mut NodeStage, link: u32) {
        if let Some(at) = self.wires.next_turn(stage.now(), link) {
            stage.happen(at, Happening::LinkTurns(link));
        }
    }

    /// A link's schedule turns, or its loss changes.
    pub(super) fn link_turns(&mut self, stage: &mut NodeStage, link: u32) {
        self.wires.renew_links(stage.now(), &[link]);
        self.expect_turn(stage, link);
        self.rewire(stage);
    }

    /// Ways changed: every connection takes the one there is now, or waits for one.
    pub(super) fn rewire(&mut self, stage: &mut NodeStage) {
        let now = stage.now();
        let ends: Vec<EndId> = self
            .connections
            .iter()
            .flat_map(|(connection, _)| [0, 1].map(|end| EndId { connection, end }))
            .filter(|end| self.connections.end(*end).is_some())
            .collect();
        for end in ends {
            let own = self.connections.end(end).expect("it was just listed");
            let (member, flow, cut_since, other) = (own.member, own.flow, own.cut_since, self.other_member(end));
            match (self.wires.way(member, other), cut_since) {
                (Some(way), None) => {
                    let rtt_ns = self.round_trip_ns(member, other, &way);
                    self.wires.set_flow_way(now, flow, Some((&way, rtt_ns)));
                    self.connections.end_mut(end).expect("it was just listed").way = Some(way);
                }
                (Some(way), Some(since)) => {
                    let at = next_retransmission(since, now, way.class);
                    stage.happen(at, Happening::Resumes(end));
                }
                (None, cut_since) => {
                    self.wires.set_flow_way(now, flow, None);
                    let own = self.connections.end_mut(end).expect("it was just listed");
                    own.way = None;
                    own.cut_since = Some(cut_since.unwrap_or(now));
                }
            }
        }
        self.arm_flows(stage);
    }

    /// Over a way and back.
    fn round_trip_ns(&self, member: Member, other: Member, way: &Way) -> u64 {
        way.delay_ns + self.wires.way(other, member).map_or(way.delay_ns, |back| back.delay_ns)
    }

    /// TCP tries again, and gets through.
    pub(super) fn resumes(&mut self, stage: &mut NodeStage, end: EndId) {
        let now = stage.now();
        let Some(own) = self.connections.end(end).filter(|own| own.cut_since.is_some()) else { return };
        let (member, flow, other) = (own.member, own.flow, self.other_member(end));
        let Some(way) = self.wires.way(member, other) else { return };
        let rtt_ns = self.round_trip_ns(member, other, &way);
        self.wires.set_flow_way(now, flow, Some((&way, rtt_ns)));
        let own = self.connections.end_mut(end).expect("it was just there");
        (own.way, own.cut_since) = (Some(way), None);
        let held = std::mem::take(&mut own.held);
        held.into_iter().for_each(|(bytes, carried)| self.transmit(stage, end, bytes, carried));
        self.arm_flows(stage);
    }

    /// Whether a node's process answers at all.
    pub(super) fn answers_probes(&self, stage: &NodeStage, member: Member) -> bool {
        self.node(member).power == Power::On && !stage.is_held(member)
    }
}

/// When TCP, cut off since then, tries again for the first time at or after `now`: 0.2 s later, and each time twice as long,
/// at most two minutes (RFC 6298, with Linux's bounds). Within a segment it waits no longer than a second: so often a
/// neighbour that does not answer is asked for anew, and TCP takes a neighbour that can't be reached for a reason to try
/// again rather than to wait longer (RFC 6069).
fn next_retransmission(since: Timestamp, now: Timestamp, class: LinkClass) -> Timestamp {
    const FIRST_NS: u64 = 200_000_000;
    let longest_ns = if class == LinkClass::SameSegment { 1_000_000_000 } else { 120_000_000_000 };
    let (mut at, mut wait_ns) = (since.0.saturating_add(FIRST_NS), FIRST_NS);
    while at < now.0 && wait_ns < longest_ns {
        wait_ns = (wait_ns * 2).min(longest_ns);
        at += wait_ns;
    }
    Timestamp(at + now.0.saturating_sub(at).div_ceil(longest_ns) * longest_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tcp_tries_again_after_ever_longer_times() {
        let at =
            |now_ms: u64, class| next_retransmission(Timestamp(0), Timestamp(now_ms * 1_000_000), class).0 / 1_000_000;
        let far = |now_ms| at(now_ms, LinkClass::Farther);
        assert_eq!([0, 200, 201, 600, 601, 1_401].map(far), [200, 200, 600, 600, 1_400, 3_000]);
        let late = far(86_400_000);
        assert!((86_400_000..86_520_000).contains(&late), "{late}");
        let near = |now_ms| at(now_ms, LinkClass::SameSegment);
        assert_eq!([0, 601, 1_401, 20_000].map(near), [200, 1_400, 2_400, 20_400]);
    }
}
