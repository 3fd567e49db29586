//! Ways from node to node, and what frames and flows take over them.
//!
//! A topology's links are numbered; direction 0 of link *n* is wire 2*n*, the way back 2*n* + 1. Invariant: chance on a wire
//! is drawn from that wire's own stream.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use mesh_proto::Timestamp;
use mesh_proto::port::net::LinkClass;

use crate::flow::{Congestion, FlowId, Flows, PathQuality, ResourceId, USES_MAX, Use};
use crate::kernel::Member;
use crate::link::{LinkQueue, LinkState, time_at};
use crate::random::Stream;
use crate::topology::{DirectedLink, Routes, Topology};

/// Two nodes on one machine.
const INSIDE_NS: u64 = 30_000;
const INSIDE_BYTES_PER_S: u64 = 2_000_000_000;
/// TCP notices a lost frame after at least so long (RFC 8985's tail probe, with Linux's bounds) or two round trips.
const RETRANSMISSION_NS_MIN: u64 = 10_000_000;
/// TCP waits no longer than so long before it tries again (RFC 6298, with Linux's bound).
const RETRANSMISSION_NS_MAX: u64 = 120_000_000_000;
/// More losses of one frame in a row are not played out.
const RETRANSMISSIONS_MAX: u32 = 8;
/// Content bytes in a full packet, to tell how many packets a frame is.
const PACKET_BYTES: u64 = 1448;

/// A TCP acknowledgement with timestamps, as an Ethernet frame.
const ACKNOWLEDGEMENT_BYTES: u64 = 66;
/// On faster links an acknowledgement takes less than half a millisecond: none is played out, nor what shares a packet.
const PACKETS_MATTER_BELOW_BYTES_PER_S: u64 = 125_000;

/// How frames get from one node to another.
#[derive(Debug, Clone, PartialEq)]
pub struct Way {
    /// Wires, in order; none between two nodes on one machine.
    pub links: Rc<[u32]>,
    /// What the path looks like from its ends.
    pub class: LinkClass,
    /// The expected time of a small frame over it.
    pub delay_ns: u64,
    /// Whether somebody pays by the byte.
    pub is_metered: bool,
}

/// One direction of a link.
#[derive(Debug)]
struct Wire {
    state: LinkState,
    /// Its own capacity.
    resource: ResourceId,
    /// Radio channels whose airtime it takes.
    channels: Vec<u32>,
    queue: LinkQueue,
    luck: Stream,
    /// What faults leave of it.
    rate_ppm: u32,
    later_ns: u64,
    lost_ppm: u32,
}

impl Wire {
    fn rate_bytes_per_s(&self) -> u64 {
        let rate = u128::from(self.state.quality().rate_bytes_per_s) * u128::from(self.rate_ppm) / 1_000_000;
        u64::try_from(rate).unwrap_or(u64::MAX).max(1)
    }

    /// How long the next frame takes besides its sending. Those behind one that is overtaken wait for it: TCP gives nothing
    /// out of turn.
    fn late_ns(&mut self) -> u64 {
        let late_ns = self.state.delay_ns(&mut self.luck) + self.later_ns;
        let overtaken_ns = match self.state.quality().reordering_ppm {
            0 => None,
            _ => self.state.reordered_by_ns(&mut self.luck),
        };
        late_ns.saturating_add(overtaken_ns.unwrap_or(0))
    }

    /// Whether the next frame takes the wire twice; TCP gives it once.
    fn doubles(&mut self) -> bool {
        self.state.quality().duplication_ppm > 0 && self.state.is_duplicated(&mut self.luck)
    }

    fn delay_ns(&self) -> u64 {
        self.state.quality().latency.mean_ns() + self.later_ns
    }
}

/// One direction of a link as it is at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Whether it carries anything.
    pub is_up: bool,
    /// What it can carry, as faults left it.
    pub rate_bytes_per_s: u64,
    /// The time of a small frame over it, without queues.
    pub delay_ns: u64,
    /// Payload that it carried so far.
    pub carried_bytes: u64,
}

/// A fault that degrades links.
#[derive(Debug, Clone, Copy)]
struct Degraded {
    rate_ppm: u32,
    later_ns: u64,
    lost_ppm: u32,
}

/// A partition.
#[derive(Debug)]
struct Parted {
    group_of: BTreeMap<Member, usize>,
    one_way: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Wires {
    /// Payload.
    pub flows: Flows,
    topology: Topology,
    wires: Vec<Wire>,
    routes: RefCell<Routes>,
    /// Where each node is.
    places: Vec<u32>,
    /// The airtime of each radio channel.
    channels: Vec<ResourceId>,
    inside: ResourceId,
    /// A resource that carries nothing.
    nowhere: ResourceId,
    congestion: Congestion,
    splits: BTreeMap<u64, Parted>,
    cuts: BTreeMap<u64, BTreeSet<u32>>,
    degraded: BTreeMap<u64, (Vec<u32>, Degraded)>,
}

impl Wires {
    /// The wires of a topology in the run of a seed.
    #[must_use]
    pub fn new(topology: Topology, seed: u64, congestion: Congestion) -> Self {
        let mut flows = Flows::new();
        let add = |flows: &mut Flows, rate| {
            flows.add_resource(rate).expect("a topology has fewer links than there may be resources")
        };
        let (inside, nowhere) = (add(&mut flows, INSIDE_BYTES_PER_S), add(&mut flows, 0));
        let channels = topology.channels.iter().map(|channel| add(&mut flows, channel.rate_bytes_per_s)).collect();
        let wires = topology.directed_links().map(|directed| {
            let (quality, index) = (topology.quality(directed).clone(), u64::from(directed.0));
            let resource = add(&mut flows, quality.rate_bytes_per_s);
            flows.set_burst(Timestamp::ZERO, resource, quality.burst_bytes);
            Wire {
                resource,
                state: LinkState::new(quality, Stream::new(seed, "link states", index)),
                channels: topology.link(directed).channels.clone(),
                queue: LinkQueue::default(),
                luck: Stream::new(seed, "link", index),
                rate_ppm: 1_000_000,
                later_ns: 0,
                lost_ppm: 0,
            }
        });
        let wires = wires.collect();
        let routes = RefCell::new(Routes::new(&topology));
        Self {
            flows,
            topology,
            wires,
            routes,
            places: Vec::new(),
            channels,
            inside,
            nowhere,
            congestion,
            splits: BTreeMap::new(),
            cuts: BTreeMap::new(),
            degraded: BTreeMap::new(),
        }
    }

    /// The topology.
    #[must_use]
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Where the next node goes that has no place of its own: places where the program runs come first in a topology.
    #[must_use]
    pub fn next_place(&self) -> u32 {
        let next = self.places.len();
        if next < self.topology.programs() { next as u32 } else { 0 }
    }

    /// Puts the next node at a place.
    pub(crate) fn settle(&mut self, member: Member, place: u32) {
        debug_assert_eq!(member.0 as usize, self.places.len(), "nodes come in order");
        self.places.push(place);
    }

    /// Where a node is.
    #[must_use]
    pub fn place_of(&self, member: Member) -> u32 {
        self.places[member.0 as usize]
    }

    /// What goes into and comes out of a node at most, by the links at its place.
    #[must_use]
    pub fn access_bytes_per_s(&self, member: Member) -> Option<(u64, u64)> {
        let place = self.place_of(member);
        let (mut up, mut down) = (0u64, 0u64);
        for directed in self.topology.directed_links() {
            let (from, to) = self.topology.ends(directed);
            let rate = self.topology.quality(directed).rate_bytes_per_s;
            up = up.saturating_add(if from == place { rate } else { 0 });
            down = down.saturating_add(if to == place { rate } else { 0 });
        }
        (up > 0 && down > 0).then_some((up, down))
    }

    /// Links at a node's place that lead away from its segment.
    #[must_use]
    pub fn uplinks_of(&self, member: Member) -> Vec<u32> {
        let place = self.place_of(member);
        let leads_away = |link: &crate::topology::Link| {
            [link.a, link.b].contains(&place) && link.quality.class != LinkClass::SameSegment
        };
        (0..).zip(&self.topology.links).filter(|(_, link)| leads_away(link)).map(|(number, _)| number).collect()
    }

    /// Who hears a node's multicast, itself included.
    #[must_use]
    pub fn segment_of(&self, member: Member) -> Vec<Member> {
        let places: BTreeSet<u32> = self.routes.borrow().segment_of(self.place_of(member)).into_iter().collect();
        let near = |place: &u32| places.contains(place);
        (0..).zip(&self.places).filter(|(_, place)| near(place)).map(|(number, _)| Member(number)).collect()
    }

    fn keeps_apart(&self, from: Member, to: Member) -> bool {
        self.splits.values().any(|parted| parted.keeps_apart(from, to))
    }

    /// Whether a partition lets nothing through from one node to the other, or back.
    #[must_use]
    pub fn are_parted(&self, one: Member, other: Member) -> bool {
        self.keeps_apart(one, other) || self.keeps_apart(other, one)
    }

    /// The way from one node to another, if there is one now. As packets have a time to live, none has more than
    /// [`USES_MAX`] links and channels.
    #[must_use]
    pub fn way(&self, from: Member, to: Member) -> Option<Way> {
        if self.keeps_apart(from, to) {
            return None;
        }
        let (from, to) = (self.place_of(from), self.place_of(to));
        if from == to {
            return Some(Way { links: [].into(), class: LinkClass::Loopback, delay_ns: INSIDE_NS, is_metered: false });
        }
        let links = self.routes.borrow_mut().route(from, to)?;
        let uses: usize = links.iter().map(|directed| 1 + self.wires[directed.0 as usize].channels.len()).sum();
        if uses > USES_MAX {
            return None;
        }
        let path = self.topology.path(&links);
        let delay_ns = links.iter().map(|directed| self.wires[directed.0 as usize].delay_ns()).sum();
        let links = links.iter().map(|directed| directed.0).collect();
        Some(Way { links, class: path.class, delay_ns, is_metered: path.is_metered })
    }

    /// Bytes of frames that wait before the first link of a way.
    #[must_use]
    pub fn waiting_bytes(&self, now: Timestamp, way: &Way) -> u64 {
        let first = way.links.first().map(|number| &self.wires[*number as usize]);
        first.map_or(0, |wire| wire.queue.waiting_bytes(now, wire.rate_bytes_per_s()))
    }

    /// When a frame sent now arrives.
    pub fn carry(&mut self, now: Timestamp, way: &Way, bytes: u64) -> Timestamp {
        self.carry_ahead(now, now, way, bytes)
    }

    /// When a frame arrives that is known now and will be sent later.
    pub fn carry_ahead(&mut self, now: Timestamp, later: Timestamp, way: &Way, bytes: u64) -> Timestamp {
        let (mut at, mut repair_ns) = (later, 0u64);
        if way.links.is_empty() {
            return Timestamp(later.0 + INSIDE_NS);
        }
        for number in way.links.iter() {
            let left = self.occupy(now, at, *number, bytes);
            if self.wires[*number as usize].doubles() {
                self.occupy(now, at, *number, bytes);
            }
            let wire = &mut self.wires[*number as usize];
            at = Timestamp(left.0.saturating_add(wire.late_ns()));
            // What is sent once more takes its place in the queues then: nobody waits behind it until it comes.
            repair_ns = repair_ns.saturating_add(retransmissions(wire, at, way, bytes));
        }
        Timestamp(at.0.saturating_add(repair_ns))
    }

    /// Takes the time of so many bytes of a wire and its channels. When they have left it.
    fn occupy(&mut self, now: Timestamp, at: Timestamp, number: u32, bytes: u64) -> Timestamp {
        let wire = &mut self.wires[number as usize];
        let rate = wire.rate_bytes_per_s();
        // TCP waits where a router would drop: control is small, and never more than a buffer behind.
        let burst_ns = time_at(self.flows.saved_bytes(now, wire.resource), rate);
        let left = wire.queue.offer_ahead(now, at, bytes, rate, burst_ns);
        self.flows.burden(now, wire.resource, bytes);
        for channel in &wire.channels {
            let airtime = u64::from(self.topology.channels[*channel as usize].airtime_permille(rate));
            self.flows.burden(now, self.channels[*channel as usize], bytes * airtime / 1000);
        }
        left
    }

    /// Whether payload of a connection is under way on a link so slow that it matters what shares its packets.
    pub fn is_filling_packets(&self, now: Timestamp, way: &Way, flow: FlowId) -> bool {
        let mut links = way.links.iter().map(|number| &self.wires[*number as usize]);
        links.any(|wire| wire.rate_bytes_per_s() < PACKETS_MATTER_BELOW_BYTES_PER_S)
            && self.flows.backlog_bytes(now, flow) > 0
    }

    /// So many bytes that arrived over a way are acknowledged over the way back, every second packet and the last.
    pub fn acknowledge(&mut self, now: Timestamp, way: &Way, arrived_bytes: u64) {
        let bytes = arrived_bytes.div_ceil(2 * PACKET_BYTES) * ACKNOWLEDGEMENT_BYTES;
        for number in way.links.iter() {
            if self.wires[(number ^ 1) as usize].rate_bytes_per_s() < PACKETS_MATTER_BELOW_BYTES_PER_S {
                self.occupy(now, now, number ^ 1, bytes);
            }
        }
    }

    /// When a slice arrives whose last byte left its last queue then.
    pub fn slice_arrives(&mut self, left: Timestamp, way: &Way) -> Timestamp {
        let mut at = left.0;
        for number in way.links.iter() {
            let wire = &mut self.wires[*number as usize];
            at = at.saturating_add(wire.late_ns());
        }
        Timestamp(at.max(left.0 + u64::from(way.links.is_empty()) * INSIDE_NS))
    }

    /// A flow over a way.
    pub fn open_flow(&mut self, now: Timestamp, way: &Way, rtt_ns: u64) -> FlowId {
        let (uses, quality) = self.path(now, way, rtt_ns);
        self.flows.open(now, &uses, quality).expect("connections are fewer than flows may be")
    }

    /// Moves a flow to another way, with its round trip, or to none.
    pub fn set_flow_way(&mut self, now: Timestamp, flow: FlowId, way: Option<(&Way, u64)>) {
        let (uses, quality) = match way {
            Some((way, rtt_ns)) => self.path(now, way, rtt_ns),
            None => {
                let quality = PathQuality { rtt_ns: INSIDE_NS, loss_ppm: 0, queue_ns: 0, congestion: self.congestion };
                (vec![Use { resource: self.nowhere, weight_permille: 1000 }], quality)
            }
        };
        self.flows.set_path(now, flow, &uses, quality).expect("its connection stands");
    }

    fn path(&mut self, now: Timestamp, way: &Way, rtt_ns: u64) -> (Vec<Use>, PathQuality) {
        if way.links.is_empty() {
            let quality = PathQuality { rtt_ns: INSIDE_NS, loss_ppm: 0, queue_ns: 0, congestion: self.congestion };
            return (vec![Use { resource: self.inside, weight_permille: 1000 }], quality);
        }
        let mut arrives = 1.0;
        let (mut narrowest, mut queue_ns) = (u64::MAX, 0);
        let mut uses = Vec::with_capacity(way.links.len());
        for number in way.links.iter() {
            let wire = &mut self.wires[*number as usize];
            uses.push(Use { resource: wire.resource, weight_permille: 1000 });
            for channel in &wire.channels {
                let weight_permille =
                    self.topology.channels[*channel as usize].airtime_permille(wire.rate_bytes_per_s());
                uses.push(Use { resource: self.channels[*channel as usize], weight_permille });
            }
            let lost_ppm = wire.state.loss_ppm(now).saturating_add(wire.lost_ppm).min(999_999);
            arrives *= 1.0 - f64::from(lost_ppm) / 1e6;
            let rate = wire.rate_bytes_per_s();
            if rate < narrowest {
                let buffer = u128::from(wire.state.quality().buffer_bytes) * 1_000_000_000 / u128::from(rate);
                (narrowest, queue_ns) = (rate, u64::try_from(buffer).unwrap_or(u64::MAX));
            }
        }
        let loss_ppm = ((1.0 - arrives) * 1e6) as u32;
        (uses, PathQuality { rtt_ns: rtt_ns.max(1), loss_ppm, queue_ns, congestion: self.congestion })
    }

    /// Parts groups of nodes; nodes of none are reached by all. If `one_way`, only what goes from an earlier group to a later
    /// one is lost.
    pub fn split(&mut self, id: u64, groups: Vec<BTreeSet<Member>>, one_way: bool) {
        let mut group_of = BTreeMap::new();
        for (number, group) in groups.into_iter().enumerate() {
            group_of.extend(group.into_iter().map(|member| (member, number)));
        }
        self.splits.insert(id, Parted { group_of, one_way });
    }

    /// Ends a split.
    pub fn unsplit(&mut self, id: u64) {
        self.splits.remove(&id);
    }

    /// Cuts links.
    pub fn cut(&mut self, now: Timestamp, id: u64, links: &[u32]) {
        self.cuts.entry(id).or_default().extend(links);
        self.renew_links(now, links);
    }

    /// Makes links worse.
    pub fn degrade(&mut self, now: Timestamp, id: u64, links: &[u32], (rate_ppm, later_ns, lost_ppm): (u32, u64, u32)) {
        self.degraded.insert(id, (links.to_vec(), Degraded { rate_ppm, later_ns, lost_ppm }));
        self.renew_links(now, links);
    }

    /// Ends a cut or what made links worse.
    pub fn restore(&mut self, now: Timestamp, id: u64) {
        let mut links: Vec<u32> = self.cuts.remove(&id).unwrap_or_default().into_iter().collect();
        links.extend(self.degraded.remove(&id).map(|(links, _)| links).unwrap_or_default());
        self.renew_links(now, &links);
    }

    /// When a link's schedule turns next, or its loss changes.
    pub fn next_turn(&mut self, now: Timestamp, link: u32) -> Option<Timestamp> {
        let wires = [link * 2, link * 2 + 1];
        wires.into_iter().filter_map(|wire| self.wires[wire as usize].state.next_change(now)).min()
    }

    /// One direction of a link as it is now.
    #[must_use]
    pub fn seen(&self, now: Timestamp, directed: DirectedLink) -> Seen {
        let wire = &self.wires[directed.0 as usize];
        Seen {
            is_up: self.routes.borrow().is_link_up(directed),
            rate_bytes_per_s: wire.rate_bytes_per_s(),
            delay_ns: wire.delay_ns(),
            carried_bytes: self.flows.carried_bytes(now, wire.resource),
        }
    }

    /// How many links there are.
    #[must_use]
    pub fn links(&self) -> u32 {
        self.topology.links.len() as u32
    }

    /// Takes up what schedules and faults say of links now.
    pub fn renew_links(&mut self, now: Timestamp, links: &[u32]) {
        for link in links {
            let is_cut = self.cuts.values().any(|cut| cut.contains(link));
            let worse = self.degraded.values().filter(|(links, _)| links.contains(link)).map(|(_, degraded)| *degraded);
            let none = Degraded { rate_ppm: 1_000_000, later_ns: 0, lost_ppm: 0 };
            let worst = worse.fold(none, |one, other| Degraded {
                rate_ppm: one.rate_ppm.min(other.rate_ppm),
                later_ns: one.later_ns.max(other.later_ns),
                lost_ppm: one.lost_ppm.max(other.lost_ppm),
            });
            for number in [link * 2, link * 2 + 1] {
                let wire = &mut self.wires[number as usize];
                let rate_before = wire.rate_bytes_per_s();
                (wire.rate_ppm, wire.later_ns, wire.lost_ppm) = (worst.rate_ppm, worst.later_ns, worst.lost_ppm);
                wire.queue.set_rate(now, rate_before, wire.rate_bytes_per_s());
                let is_up = !is_cut && wire.state.up(now);
                self.routes.get_mut().set_link_up(DirectedLink(number), is_up);
                let rate = if is_up { wire.rate_bytes_per_s() } else { 0 };
                self.flows.set_capacity(now, wire.resource, rate);
            }
        }
    }
}

impl Parted {
    fn keeps_apart(&self, from: Member, to: Member) -> bool {
        match (self.group_of.get(&from), self.group_of.get(&to)) {
            (Some(from), Some(to)) if self.one_way => from < to,
            (Some(from), Some(to)) => from != to,
            _ => false,
        }
    }
}

/// The time that TCP loses over losses of a frame on one wire.
fn retransmissions(wire: &mut Wire, now: Timestamp, way: &Way, bytes: u64) -> u64 {
    let wait_ns = (4 * way.delay_ns).max(RETRANSMISSION_NS_MIN);
    let mut late_ns = 0u64;
    for _ in 0..bytes.div_ceil(PACKET_BYTES).max(1) {
        let mut tries = 0;
        // Both are drawn each time: a fault that adds loss shifts no other luck.
        while tries < RETRANSMISSIONS_MAX
            && (wire.state.is_lost(now, &mut wire.luck) | wire.luck.one_in_a_million(wire.lost_ppm))
        {
            late_ns = late_ns.max((wait_ns << tries).min(RETRANSMISSION_NS_MAX));
            tries += 1;
        }
    }
    late_ns
}
