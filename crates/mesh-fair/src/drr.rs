//! Deficit round robin in three levels: member, class, flow. An owner's share does not grow with its nodes or requests.
//!
//! Each level serves its first key while that has credit, charges what was truly sent (so a key may go into debt by less
//! than one slice), then gives it a quantum and sends it to the end. With a quantum of at least a slice, a decision looks
//! at a handful of keys, however many wait.
//!
//! Invariants: a member without requests has no entry, so an idle one keeps no credit; a node that cannot take bytes is
//! *parked*, taken out of all rings, and its credit stands still; credit is at most one quantum.

use std::collections::{BTreeMap, BTreeSet};

use mesh_proto::bulk::TrafficClass;
use mesh_proto::{MemberId, NodeId};

use crate::ring::Ring;

/// Who is charged; `None` is the one share of all nodes without a certificate, `guest`.
pub type MemberKey = Option<MemberId>;

/// One request of a peer. Chosen by the caller, unique while it is known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestKey(pub u64);

/// What takes turns within a member's class: one peer's transfer of one content at one priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FlowKey {
    /// Who is charged.
    pub member: MemberKey,
    /// In which class.
    pub class: TrafficClass,
    /// Within the class, 255 first.
    pub priority: u8,
    /// Where the bytes go.
    pub node: NodeId,
    /// Tells apart the transfers of one node.
    pub flow: u64,
}

/// Parts that each class gets: interactive, public, bulk.
pub const CLASS_WEIGHTS: [i64; 3] = [8, 4, 1];

fn class_index(class: TrafficClass) -> usize {
    match class {
        TrafficClass::Interactive => 0,
        TrafficClass::Public => 1,
        TrafficClass::Bulk => 2,
    }
}

#[derive(Debug, Clone, Default)]
struct Flow {
    requests: BTreeMap<u64, RequestKey>,
    credit: i64,
    turn: Option<u64>,
}

#[derive(Debug, Clone, Default)]
struct ClassQueue {
    flow_count: usize,
    credit: i64,
    turn: Option<u64>,
    /// Rings by 255 − priority, so that the most urgent comes first. Never an empty ring.
    levels: BTreeMap<u8, Ring<FlowKey>>,
}

#[derive(Debug, Clone, Default)]
struct MemberQueue {
    credit: i64,
    turn: Option<u64>,
    flow_count: usize,
    classes: [ClassQueue; 3],
    ring: Ring<usize>,
}

/// The three levels.
#[derive(Debug, Clone)]
pub struct DeficitRoundRobin {
    quantum_bytes: i64,
    arrival_next: u64,
    members: BTreeMap<MemberKey, MemberQueue>,
    ring: Ring<MemberKey>,
    flows: BTreeMap<FlowKey, Flow>,
    requests: BTreeMap<RequestKey, (u64, FlowKey)>,
    by_node: BTreeMap<NodeId, BTreeSet<FlowKey>>,
    parked: BTreeSet<NodeId>,
}

impl DeficitRoundRobin {
    /// Nobody waits.
    #[must_use]
    pub fn new(quantum_bytes: u64) -> Self {
        let mut drr = Self {
            quantum_bytes: 1,
            arrival_next: 0,
            members: BTreeMap::new(),
            ring: Ring::default(),
            flows: BTreeMap::new(),
            requests: BTreeMap::new(),
            by_node: BTreeMap::new(),
            parked: BTreeSet::new(),
        };
        drr.set_quantum(quantum_bytes);
        drr
    }

    /// What a key of weight 1 may send per round: about the largest slice in use.
    pub fn set_quantum(&mut self, quantum_bytes: u64) {
        self.quantum_bytes = i64::try_from(quantum_bytes.clamp(1, 1 << 32)).unwrap_or(1);
    }

    /// Flows that wait.
    #[must_use]
    pub fn flow_count(&self) -> usize {
        self.flows.len()
    }

    /// Whether a flow has waiting requests.
    #[must_use]
    pub fn has_flow(&self, flow: &FlowKey) -> bool {
        self.flows.contains_key(flow)
    }

    /// Adds a request at the end of its flow.
    pub fn insert(&mut self, request: RequestKey, key: FlowKey) {
        let arrival = self.arrival_next;
        self.arrival_next += 1;
        self.requests.insert(request, (arrival, key));
        let is_known = self.flows.contains_key(&key);
        self.flows.entry(key).or_default().requests.insert(arrival, request);
        if is_known {
            return;
        }
        self.by_node.entry(key.node).or_default().insert(key);
        let member = self.members.entry(key.member).or_default();
        member.flow_count += 1;
        member.classes[class_index(key.class)].flow_count += 1;
        if !self.parked.contains(&key.node) {
            self.activate(key);
        }
    }

    /// Takes a request out; a flow, class or member left without any loses its credit.
    pub fn remove(&mut self, request: RequestKey) {
        let Some((arrival, key)) = self.requests.remove(&request) else { return };
        let Some(flow) = self.flows.get_mut(&key) else { return };
        flow.requests.remove(&arrival);
        if !flow.requests.is_empty() {
            return;
        }
        self.deactivate(key);
        self.flows.remove(&key);
        if let Some(of_node) = self.by_node.get_mut(&key.node) {
            of_node.remove(&key);
            if of_node.is_empty() {
                self.by_node.remove(&key.node);
                self.parked.remove(&key.node);
            }
        }
        if let Some(member) = self.members.get_mut(&key.member) {
            member.flow_count -= 1;
            let class = &mut member.classes[class_index(key.class)];
            class.flow_count -= 1;
            if class.flow_count == 0 {
                class.credit = class.credit.min(0);
            }
            if member.flow_count == 0 {
                self.members.remove(&key.member);
            }
        }
    }

    /// Whose turn it is. Gives out quanta on the way; the same is picked until it is charged, parked or removed.
    pub fn pick(&mut self) -> Option<RequestKey> {
        let quantum = self.quantum_bytes;
        loop {
            let key = self.ring.first()?;
            let member = self.members.get_mut(&key)?;
            if member.credit > 0 {
                break;
            }
            member.credit = (member.credit + quantum).min(quantum);
            if let Some(turn) = member.turn {
                self.ring.remove(turn);
            }
            member.turn = Some(self.ring.push(key));
        }
        let member = self.members.get_mut(&self.ring.first()?)?;
        let class = pick_class(member, quantum)?;
        let ring = member.classes[class].levels.values_mut().next()?;
        loop {
            let key = ring.first()?;
            let flow = self.flows.get_mut(&key)?;
            if flow.credit > 0 {
                return flow.requests.values().next().copied();
            }
            flow.credit = (flow.credit + quantum).min(quantum);
            if let Some(turn) = flow.turn {
                ring.remove(turn);
            }
            flow.turn = Some(ring.push(key));
        }
    }

    /// The request was granted so many bytes: its flow, class and member pay.
    pub fn charge(&mut self, request: RequestKey, bytes: u64) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let Some((_, key)) = self.requests.get(&request) else { return };
        if let Some(flow) = self.flows.get_mut(key) {
            flow.credit = flow.credit.saturating_sub(bytes);
        }
        if let Some(member) = self.members.get_mut(&key.member) {
            member.credit = member.credit.saturating_sub(bytes);
            let class = &mut member.classes[class_index(key.class)];
            class.credit = class.credit.saturating_sub(bytes);
        }
    }

    /// Passes over a node's flows until [`unpark`](Self::unpark).
    pub fn park(&mut self, node: NodeId) {
        if !self.by_node.contains_key(&node) {
            return;
        }
        self.parked.insert(node);
        self.for_flows_of(&node, Self::deactivate);
    }

    /// Lets a parked node's flows take part again, at the end of their rings.
    pub fn unpark(&mut self, node: &NodeId) {
        if !self.parked.remove(node) {
            return;
        }
        self.for_flows_of(node, Self::activate);
    }

    fn for_flows_of(&mut self, node: &NodeId, mut act: impl FnMut(&mut Self, FlowKey)) {
        // Taken out meanwhile instead of copied: this is called for each receipt and each full window.
        let Some(of_node) = self.by_node.get_mut(node).map(std::mem::take) else { return };
        of_node.iter().for_each(|key| act(self, *key));
        if let Some(place) = self.by_node.get_mut(node) {
            *place = of_node;
        }
    }

    fn activate(&mut self, key: FlowKey) {
        let (Some(flow), Some(member)) = (self.flows.get_mut(&key), self.members.get_mut(&key.member)) else { return };
        if flow.turn.is_some() {
            return;
        }
        let index = class_index(key.class);
        let class = &mut member.classes[index];
        flow.turn = Some(class.levels.entry(255 - key.priority).or_default().push(key));
        if class.turn.is_none() {
            class.turn = Some(member.ring.push(index));
        }
        if member.turn.is_none() {
            member.turn = Some(self.ring.push(key.member));
        }
    }

    fn deactivate(&mut self, key: FlowKey) {
        let (Some(flow), Some(member)) = (self.flows.get_mut(&key), self.members.get_mut(&key.member)) else { return };
        let Some(turn) = flow.turn.take() else { return };
        let class = &mut member.classes[class_index(key.class)];
        let level = 255 - key.priority;
        if let Some(ring) = class.levels.get_mut(&level) {
            ring.remove(turn);
            if ring.is_empty() {
                class.levels.remove(&level);
            }
        }
        if class.levels.is_empty()
            && let Some(turn) = class.turn.take()
        {
            member.ring.remove(turn);
        }
        if member.ring.is_empty()
            && let Some(turn) = member.turn.take()
        {
            self.ring.remove(turn);
        }
    }
}

/// The class whose turn it is within a member.
fn pick_class(member: &mut MemberQueue, quantum: i64) -> Option<usize> {
    loop {
        let index = member.ring.first()?;
        let class = &mut member.classes[index];
        if class.credit > 0 {
            return Some(index);
        }
        // The heaviest class gets one quantum: a longer turn would fill one peer's window and pass to the others early.
        let share = (quantum * CLASS_WEIGHTS[index] / CLASS_WEIGHTS[0]).max(1);
        class.credit = (class.credit + share).min(share);
        if let Some(turn) = class.turn {
            member.ring.remove(turn);
        }
        class.turn = Some(member.ring.push(index));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(member: u8, class: TrafficClass, priority: u8, node: u8) -> FlowKey {
        FlowKey { member: Some(MemberId([member; 32])), class, priority, node: NodeId([node; 32]), flow: 0 }
    }

    /// Bytes each request gets when 1000-byte slices are served `rounds` times and nobody runs out.
    fn serve(drr: &mut DeficitRoundRobin, rounds: u64) -> BTreeMap<u64, u64> {
        let mut served = BTreeMap::new();
        for _ in 0..rounds {
            let request = drr.pick().expect("somebody waits");
            drr.charge(request, 1000);
            *served.entry(request.0).or_default() += 1000;
        }
        served
    }

    #[test]
    fn members_share_equally_whatever_they_bring() {
        let mut drr = DeficitRoundRobin::new(1000);
        for request in 0..200 {
            drr.insert(RequestKey(request), flow(1, TrafficClass::Public, 0, (request % 4) as u8));
        }
        drr.insert(RequestKey(999), flow(2, TrafficClass::Public, 0, 9));
        assert_eq!(serve(&mut drr, 1000)[&999], 500_000);
    }

    #[test]
    fn classes_get_their_weights_and_none_starves() {
        let mut drr = DeficitRoundRobin::new(1000);
        drr.insert(RequestKey(0), flow(1, TrafficClass::Interactive, 0, 1));
        drr.insert(RequestKey(1), flow(1, TrafficClass::Public, 0, 1));
        drr.insert(RequestKey(2), flow(1, TrafficClass::Bulk, 0, 1));
        let served = serve(&mut drr, 1300);
        assert_eq!((served[&0], served[&1], served[&2]), (800_000, 400_000, 100_000));
    }

    #[test]
    fn urgent_goes_first_within_a_class() {
        let mut drr = DeficitRoundRobin::new(1000);
        drr.insert(RequestKey(0), flow(1, TrafficClass::Public, 3, 1));
        drr.insert(RequestKey(1), flow(1, TrafficClass::Public, 9, 1));
        assert_eq!(serve(&mut drr, 10)[&1], 10_000);
        drr.remove(RequestKey(1));
        assert_eq!(serve(&mut drr, 10)[&0], 10_000);
    }

    #[test]
    fn a_parked_node_saves_no_credit() {
        let mut drr = DeficitRoundRobin::new(1000);
        drr.insert(RequestKey(0), flow(1, TrafficClass::Public, 0, 1));
        drr.insert(RequestKey(1), flow(2, TrafficClass::Public, 0, 2));
        drr.park(NodeId([1; 32]));
        assert_eq!(serve(&mut drr, 100).get(&0), None);
        drr.unpark(&NodeId([1; 32]));
        let served = serve(&mut drr, 100);
        assert!(served[&0].abs_diff(served[&1]) <= 2000, "{served:?}");
    }

    #[test]
    fn nothing_is_left_of_what_went() {
        let mut drr = DeficitRoundRobin::new(1000);
        for request in 0..50 {
            drr.insert(RequestKey(request), flow((request % 3) as u8, TrafficClass::Bulk, (request % 5) as u8, 1));
        }
        drr.park(NodeId([1; 32]));
        assert_eq!(drr.pick(), None);
        for request in 0..50 {
            drr.remove(RequestKey(request));
        }
        assert!(drr.flows.is_empty() && drr.members.is_empty() && drr.by_node.is_empty() && drr.parked.is_empty());
        assert!(drr.ring.is_empty());
    }
}
