//! A small world in virtual time: one bottleneck (first in first out, or a queue for each peer), peers behind it
//! with their own delay and rate, receipts per 25 ms.
//!
//! Invariant: after every grant, outstanding bytes are within the window, and no request gets more than it asked for.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::time::Duration;

use mesh_fair::{Discipline, Request, RequestKey, UplinkScheduler};
use mesh_proto::bulk::TrafficClass;
use mesh_proto::{MemberId, NodeId, Timestamp};

const PACKET_BYTES: u64 = 8 * 1024;
const RECEIPT_TIME: Duration = Duration::from_millis(25);

/// Bytes per second of so many Mbit/s.
pub const fn mbit(rate: u64) -> u64 {
    rate * 125_000
}

/// One peer that always wants more.
#[derive(Debug, Clone)]
pub struct PeerSpec {
    /// Its member.
    pub member: u8,
    /// Its round trip.
    pub rtt: Duration,
    /// Its own path, if slower than the uplink.
    pub path_rate: Option<u64>,
    /// Requests it keeps waiting.
    pub requests: u64,
    /// Bytes of each.
    pub request_bytes: u64,
    /// Whether each slot is a transfer of its own, or all are one.
    pub own_flows: bool,
    /// Its class.
    pub class: TrafficClass,
}

impl PeerSpec {
    /// One transfer with eight spans asked for.
    pub fn one(member: u8, rtt_us: u64) -> Self {
        Self {
            member,
            rtt: Duration::from_micros(rtt_us),
            path_rate: None,
            requests: 16,
            request_bytes: 1 << 20,
            own_flows: false,
            class: TrafficClass::Public,
        }
    }
}

struct Peer {
    spec: PeerSpec,
    is_gone: bool,
    path_free_at: u64,
    /// What waits at a bottleneck that keeps a queue for each peer.
    waiting: VecDeque<(u64, RequestKey, u64)>,
    unreported: BTreeMap<RequestKey, u64>,
    flush_planned: bool,
}

struct Asked {
    peer: usize,
    slot: u64,
    granted_left: u64,
    arriving_left: u64,
    receipt_left: u64,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Serve,
    Deliver(usize, RequestKey, u64),
    Flush(usize),
    Receipt(usize, Vec<(RequestKey, u64)>),
    Wake,
    Rate(u64),
    PathRate(usize, u64),
}

/// The world.
pub struct World {
    pub scheduler: UplinkScheduler,
    pub now: Timestamp,
    rate: u64,
    free_at: u64,
    /// Of a bottleneck that keeps a queue for each peer: whose turn it is. `None` = first in, first out.
    turn: Option<usize>,
    is_serving: bool,
    peers: Vec<Peer>,
    asked: BTreeMap<RequestKey, Asked>,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    sequence: u64,
    wake_at: u64,
    /// Bytes delivered to each peer since the last [`World::reset`].
    pub delivered: Vec<u64>,
    /// The longest that a packet waited at the bottleneck or its peer's path since then.
    pub queue_max: Duration,
    /// The longest that a peer got nothing since then.
    pub gap_max: Vec<Duration>,
    delivered_at: Vec<u64>,
    since: u64,
    pub grants: u64,
}

impl World {
    pub fn new(discipline: Discipline, rate: u64, specs: &[PeerSpec]) -> Self {
        let mut world = Self {
            scheduler: UplinkScheduler::new(Timestamp::ZERO, discipline),
            now: Timestamp::ZERO,
            rate,
            free_at: 0,
            turn: None,
            is_serving: false,
            peers: Vec::new(),
            asked: BTreeMap::new(),
            events: BinaryHeap::new(),
            sequence: 0,
            wake_at: 0,
            delivered: vec![0; specs.len()],
            queue_max: Duration::ZERO,
            gap_max: vec![Duration::ZERO; specs.len()],
            delivered_at: vec![0; specs.len()],
            since: 0,
            grants: 0,
        };
        for (index, spec) in specs.iter().enumerate() {
            let spec = spec.clone();
            world.scheduler.set_rtt(Timestamp::ZERO, node(index), spec.rtt);
            let requests = spec.requests;
            world.peers.push(Peer {
                spec,
                is_gone: false,
                path_free_at: 0,
                waiting: VecDeque::new(),
                unreported: BTreeMap::new(),
                flush_planned: false,
            });
            (0..requests).for_each(|slot| world.ask(index, slot));
        }
        world
    }

    pub fn change_rate_at(&mut self, seconds: u64, rate: u64) {
        self.plan(seconds * 1_000_000_000, Event::Rate(rate));
    }

    /// A peer's own path changes.
    pub fn change_path_rate_at(&mut self, ms: u64, peer: usize, rate: u64) {
        self.plan(ms * 1_000_000, Event::PathRate(peer, rate));
    }

    /// Lets the bottleneck keep a queue for each peer and serve them in turn.
    pub fn serve_in_turn(&mut self) {
        self.turn = Some(0);
    }

    /// A peer's machine is off: what is sent to it is lost, and nobody says so.
    pub fn vanish(&mut self, peer: usize) {
        self.peers[peer].is_gone = true;
    }

    pub fn reset(&mut self) {
        self.delivered.fill(0);
        self.gap_max.fill(Duration::ZERO);
        self.queue_max = Duration::ZERO;
        self.since = self.now.0;
        self.delivered_at.fill(self.now.0);
        self.grants = 0;
    }

    /// Delivered bytes of the uplink's capacity since the last reset, in parts per thousand.
    pub fn utilisation(&self) -> u64 {
        let capacity = u128::from(self.rate) * u128::from(self.now.0 - self.since) / 1_000_000_000;
        (u128::from(self.delivered.iter().sum::<u64>()) * 1000 / capacity) as u64
    }

    /// A peer's part of all delivered, in parts per thousand.
    pub fn share(&self, peer: usize) -> u64 {
        self.delivered[peer] * 1000 / self.delivered.iter().sum::<u64>().max(1)
    }

    /// Runs until so many milliseconds since the beginning.
    pub fn run_until_ms(&mut self, ms: u64) {
        self.pump();
        while let Some(Reverse((at, ..))) = self.events.peek() {
            if *at > ms * 1_000_000 {
                break;
            }
            let Reverse((at, _, event)) = self.events.pop().expect("one was seen");
            self.now = Timestamp(at);
            self.handle(event);
            self.pump();
        }
        self.now = Timestamp(ms * 1_000_000);
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Wake => {}
            Event::Serve => self.serve(),
            Event::Rate(rate) => self.rate = rate,
            Event::PathRate(peer, rate) => self.peers[peer].spec.path_rate = Some(rate),
            Event::Deliver(peer, ..) if self.peers[peer].is_gone => {}
            Event::Deliver(peer, request, bytes) => self.deliver(peer, request, bytes),
            Event::Flush(peer) => {
                self.peers[peer].flush_planned = false;
                self.flush(peer);
            }
            Event::Receipt(peer, receipts) => {
                for (request, bytes) in receipts {
                    assert_eq!(self.scheduler.on_receipt(self.now, node(peer), request, bytes), bytes);
                    let asked = self.asked.get_mut(&request).expect("the world asked for it");
                    asked.receipt_left -= bytes;
                    if asked.receipt_left == 0 {
                        let slot = asked.slot;
                        self.asked.remove(&request);
                        self.ask(peer, slot);
                    }
                }
            }
        }
    }

    fn deliver(&mut self, peer: usize, request: RequestKey, bytes: u64) {
        self.delivered[peer] += bytes;
        let gap = Duration::from_nanos(self.now.0 - self.delivered_at[peer]);
        self.gap_max[peer] = self.gap_max[peer].max(gap);
        self.delivered_at[peer] = self.now.0;
        *self.peers[peer].unreported.entry(request).or_default() += bytes;
        let asked = self.asked.get_mut(&request).expect("the world asked for it");
        asked.arriving_left -= bytes;
        if asked.arriving_left == 0 {
            self.flush(peer);
        } else if !self.peers[peer].flush_planned {
            self.peers[peer].flush_planned = true;
            self.plan(self.now.after(RECEIPT_TIME).0, Event::Flush(peer));
        }
    }

    fn flush(&mut self, peer: usize) {
        let receipts: Vec<_> = std::mem::take(&mut self.peers[peer].unreported).into_iter().collect();
        if !receipts.is_empty() {
            let at = self.now.after(self.peers[peer].spec.rtt / 2).0;
            self.plan(at, Event::Receipt(peer, receipts));
        }
    }

    fn ask(&mut self, peer: usize, slot: u64) {
        self.sequence += 1;
        let key = RequestKey(self.sequence);
        let spec = &self.peers[peer].spec;
        let bytes = spec.request_bytes;
        let request = Request {
            key,
            member: Some(MemberId([spec.member; 32])),
            node: node(peer),
            flow: if spec.own_flows { slot } else { 0 },
            class: spec.class,
            priority: 0,
            bytes,
        };
        let asked = Asked { peer, slot, granted_left: bytes, arriving_left: bytes, receipt_left: bytes };
        self.asked.insert(key, asked);
        self.scheduler.enqueue(self.now, request).expect("the world asked for it");
    }

    fn pump(&mut self) {
        while let Some(grant) = self.scheduler.poll_grant(self.now) {
            self.grants += 1;
            let window = self.scheduler.window_bytes();
            assert!(self.scheduler.uplink_bytes() <= window, "{} > {window}", self.scheduler.uplink_bytes());
            let peer_window = self.scheduler.peer_window(&grant.node).expect("the world asked for it");
            assert!(peer_window.outstanding_bytes() <= peer_window.window_bytes());
            let asked = self.asked.get_mut(&grant.request).expect("the world asked for it");
            assert!(grant.bytes <= asked.granted_left, "more granted than asked for");
            asked.granted_left -= grant.bytes;
            let peer = asked.peer;
            let mut left = grant.bytes;
            while left > 0 {
                let bytes = left.min(PACKET_BYTES);
                left -= bytes;
                self.send(peer, grant.request, bytes);
            }
        }
        if let Some(at) = self.scheduler.poll_timeout() {
            let at = at.0.max(self.now.0 + 1);
            if self.wake_at <= self.now.0 || at < self.wake_at {
                self.wake_at = at;
                self.plan(at, Event::Wake);
            }
        }
    }

    fn send(&mut self, peer: usize, request: RequestKey, bytes: u64) {
        if self.turn.is_some() {
            self.peers[peer].waiting.push_back((self.now.0, request, bytes));
            if !std::mem::replace(&mut self.is_serving, true) {
                self.plan(self.now.0, Event::Serve);
            }
            return;
        }
        let start = self.free_at.max(self.now.0);
        self.queue_max = self.queue_max.max(Duration::from_nanos(start - self.now.0));
        self.free_at = start + bytes * 1_000_000_000 / self.rate;
        self.pass(peer, request, bytes);
    }

    fn serve(&mut self) {
        let (turn, peers) = (self.turn.unwrap_or(0), self.peers.len());
        let in_turn = (0..peers).map(|ahead| (turn + ahead) % peers);
        let next = in_turn.into_iter().find_map(|peer| Some((peer, self.peers[peer].waiting.pop_front()?)));
        self.is_serving = next.is_some();
        let Some((peer, (since, request, bytes))) = next else { return };
        self.queue_max = self.queue_max.max(Duration::from_nanos(self.now.0 - since));
        self.turn = Some(peer + 1);
        self.free_at = self.now.0 + bytes * 1_000_000_000 / self.rate;
        self.plan(self.free_at, Event::Serve);
        self.pass(peer, request, bytes);
    }

    /// The bottleneck has let a packet through when it is free again.
    fn pass(&mut self, peer: usize, request: RequestKey, bytes: u64) {
        let state = &mut self.peers[peer];
        let mut out = self.free_at;
        if let Some(rate) = state.spec.path_rate {
            let start = state.path_free_at.max(out);
            self.queue_max = self.queue_max.max(Duration::from_nanos(start - out));
            state.path_free_at = start + bytes * 1_000_000_000 / rate;
            out = state.path_free_at;
        }
        let at = out + (state.spec.rtt / 2).as_nanos() as u64;
        self.plan(at, Event::Deliver(peer, request, bytes));
    }

    fn plan(&mut self, at: u64, event: Event) {
        self.sequence += 1;
        self.events.push(Reverse((at, self.sequence, event)));
    }
}

/// The node of a peer's index.
pub fn node(index: usize) -> NodeId {
    NodeId([index as u8 + 1; 32])
}
