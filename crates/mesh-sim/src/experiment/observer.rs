//! Looks at a run and notes what is to be measured. It asks nothing of nodes: it looks inside.
//!
//! Invariant: it draws no luck and schedules nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mesh_proto::port::Event;
use mesh_proto::{ContentId, Timestamp};

use super::invariants::Invariants;
use super::play::Offered;
use crate::fault::{DiskAfter, FaultEvent, Targets, What};
use crate::kernel::Member;
use crate::sim::Sim;

/// How closely it looks while something is awaited.
const CLOSE: Duration = Duration::from_millis(250);
/// How many looks a run gets at least.
const LOOKS_MIN: u32 = 500;
/// Peers that a newcomer is to see at least, if there are so many.
pub(super) const PEERS_SEEN: usize = 20;

/// A get that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Got {
    pub(super) asked: Timestamp,
    pub(super) done: Option<Timestamp>,
    pub(super) bytes: u64,
    pub(super) failed: bool,
}

/// A node that started and does not see everything yet.
#[derive(Debug, Clone, Copy)]
struct Newcomer {
    member: Member,
    since: Timestamp,
    starts: u64,
    /// Nodes and entries there were when it came.
    nodes: usize,
    entries: usize,
    sees_peers: bool,
}

/// What was seen. See the module.
#[derive(Debug, Default)]
pub(super) struct Observer {
    pub(super) gets: BTreeMap<(Member, ContentId), Got>,
    pub(super) sees_peers_s: Vec<f64>,
    pub(super) sees_all_s: Vec<f64>,
    /// Starts that did not see everything before the end.
    pub(super) blind: u64,
    pub(super) honest_banned: u64,
    pub(super) liars_banned: u64,
    /// When the last fault ended, and how long it took from then until all knew the same.
    pub(super) healed: Option<Timestamp>,
    pub(super) converged_s: Option<f64>,
    /// Over time: nodes that run, gets done, payload sent.
    pub(super) over_time: Vec<(Timestamp, u32, u32, u64)>,
    /// Share of looks, after things settled, at which each content was held by a running node.
    pub(super) looks: u64,
    pub(super) available: u64,
    /// What was asked of nodes whose disks took nothing then.
    unkept: BTreeSet<(Member, ContentId)>,
    newcomers: Vec<Newcomer>,
    invariants: Invariants,
    /// Who was made to lie, and whoever else was made to misbehave.
    lying: BTreeSet<Member>,
    misbehaving: BTreeSet<Member>,
    converging: bool,
    interval: Duration,
    next_coarse: Timestamp,
    settled: Timestamp,
    offered_at: BTreeMap<ContentId, Timestamp>,
    first_ask: Option<Timestamp>,
}

impl Observer {
    /// For a run of this length, in which things have settled then.
    pub(super) fn new(duration: Duration, settled: Timestamp) -> Self {
        Self { interval: (duration / LOOKS_MIN).max(Duration::from_millis(100)), settled, ..Self::default() }
    }

    /// When it wants to look next.
    pub(super) fn next_look(&self, now: Timestamp) -> Timestamp {
        match self.newcomers.is_empty() && !self.converging {
            true => self.next_coarse.max(Timestamp(now.0 + 1)),
            false => self.next_coarse.max(Timestamp(now.0 + 1)).min(now.after(CLOSE)),
        }
    }

    /// A node started. Those that come before things settled are no newcomers.
    pub(super) fn started(&mut self, sim: &Sim, member: Member) {
        if sim.now() < self.settled {
            return;
        }
        let others = (0..sim.nodes()).map(Member).filter(|other| *other != member && sim.is_on(*other));
        let inside: Vec<_> = others.filter_map(|other| sim.brain(other)).map(mesh_core::Node::inside).collect();
        let entries = inside.iter().map(|inside| inside.catalogue_entries).max().unwrap_or(0);
        let starts = sim.world().node(member).starts;
        let (since, nodes) = (sim.now(), inside.len());
        self.newcomers.retain(|newcomer| newcomer.member != member);
        self.newcomers.push(Newcomer { member, since, starts, nodes, entries, sees_peers: false });
    }

    /// A content can be had.
    pub(super) fn offered(&mut self, _: Member, content: ContentId, now: Timestamp) {
        self.offered_at.entry(content).or_insert(now);
    }

    /// A content was asked for.
    pub(super) fn asked(&mut self, member: Member, content: ContentId, now: Timestamp, is_kept: bool) {
        self.first_ask.get_or_insert(now);
        let got = Got { asked: now, done: None, bytes: 0, failed: false };
        if !is_kept {
            // It can't be written down at this moment.
            self.unkept.insert((member, content));
        }
        self.gets.entry((member, content)).or_insert(got);
    }

    /// A fault begins or ends.
    pub(super) fn fault(&mut self, what: &What, event: &FaultEvent, begins: bool, now: Timestamp) {
        let lies = matches!(
            what,
            What::CorruptPayload { .. } | What::LieAboutHoldings {} | What::Flood { .. } | What::Equivocate {}
        );
        let misbehaves = lies || matches!(what, What::FreeRide {} | What::DropSelectively { .. });
        if let (true, Targets::Nodes(nodes)) = (begins, &*event.targets) {
            let nodes = || nodes.iter().copied().map(Member);
            if matches!(what, What::Crash { .. } | What::Leave {}) {
                nodes().for_each(|node| self.forget_unkept(node));
            }
            self.lying.extend(nodes().filter(|_| lies));
            self.misbehaving.extend(nodes().filter(|_| misbehaves));
            if matches!(what, What::Crash { disk: DiskAfter::Lost }) {
                // What its person had asked for is gone with the disk.
                nodes().for_each(|node| self.gets.retain(|(member, _), got| *member != node || got.done.is_some()));
            }
        }
        (self.healed, self.converging, self.converged_s) = (Some(now), true, None);
    }

    /// A node ends: what was asked of it and could not be written down then may be lost.
    fn forget_unkept(&mut self, node: Member) {
        let Self { unkept, gets, .. } = self;
        gets.retain(|key, got| key.0 != node || got.done.is_some() || !unkept.contains(key));
        unkept.retain(|(member, _)| *member != node);
    }

    /// What nodes told.
    pub(super) fn events(&mut self, sim: &Sim, events: &[(Timestamp, Member, Event)]) {
        for (at, member, event) in events {
            match event {
                Event::TransferComplete { report } => {
                    let got = self.gets.entry((*member, report.content_id));
                    let got = got.or_insert(Got { asked: *at, done: None, bytes: 0, failed: false });
                    (got.done, got.bytes) = (Some(got.done.unwrap_or(*at)), report.size_bytes);
                }
                Event::TransferFailed { content, .. } => {
                    if let Some(got) = self.gets.get_mut(&(*member, *content)) {
                        got.failed = true;
                    }
                }
                Event::PeerBanned { node, .. } => {
                    match sim.world().member_of(*node).is_some_and(|peer| self.lying.contains(&peer)) {
                        true => self.liars_banned += 1,
                        false => self.honest_banned += 1,
                    }
                }
                _ => {}
            }
        }
    }

    /// Looks at the world.
    pub(super) fn look(&mut self, sim: &mut Sim, offered: &BTreeMap<u32, Offered>, heals_later: bool) {
        let now = sim.now();
        self.look_at_newcomers(sim);
        if self.converging && !heals_later && all_know_the_same(sim) {
            let healed = self.healed.unwrap_or_default();
            (self.converging, self.converged_s) = (false, Some(now.since(healed).as_secs_f64()));
        }
        if now >= self.next_coarse {
            self.next_coarse = now.after(self.interval);
            self.note(sim);
            self.invariants.look(sim);
            if now >= self.settled {
                self.look_for_holders(sim, offered);
            }
        }
    }

    fn look_at_newcomers(&mut self, sim: &Sim) {
        let now = sim.now();
        let Self { newcomers, sees_peers_s, sees_all_s, blind, .. } = self;
        newcomers.retain_mut(|newcomer| {
            let node = sim.world().node(newcomer.member);
            let Some(brain) = sim.brain(newcomer.member).filter(|_| node.starts == newcomer.starts) else {
                *blind += 1;
                return false;
            };
            let inside = brain.inside();
            let passed_s = now.since(newcomer.since).as_secs_f64();
            if !newcomer.sees_peers && inside.nodes_known > newcomer.nodes.min(PEERS_SEEN) {
                newcomer.sees_peers = true;
                sees_peers_s.push(passed_s);
            }
            let sees_all = inside.nodes_known > newcomer.nodes && inside.catalogue_entries >= newcomer.entries;
            if sees_all {
                sees_all_s.push(passed_s);
            }
            !sees_all
        });
    }

    fn note(&mut self, sim: &Sim) {
        let running = (0..sim.nodes()).filter(|number| sim.is_on(Member(*number))).count() as u32;
        let done = self.gets.values().filter(|got| got.done.is_some()).count() as u32;
        let sent = (0..sim.nodes()).map(|number| sim.tally(Member(number)).payload_sent_bytes).sum();
        self.over_time.push((sim.now(), running, done, sent));
    }

    fn look_for_holders(&mut self, sim: &Sim, offered: &BTreeMap<u32, Offered>) {
        for content in offered.values().filter_map(|offered| offered.content) {
            self.looks += 1;
            let held = |number: u32| sim.brain(Member(number)).is_some_and(|brain| brain.holds(content));
            self.available += u64::from((0..sim.nodes()).any(held));
        }
    }

    /// Whether nothing is awaited: all that was asked for is there or failed, of nodes that run.
    pub(super) fn is_idle(&self, sim: &Sim) -> bool {
        let waits = |((member, content), got): (&(Member, ContentId), &Got)| {
            got.done.is_none() && !got.failed && sim.is_on(*member) && sim.world().may_have(*member, *content)
        };
        self.newcomers.is_empty() && !self.converging && !self.gets.iter().any(waits)
    }

    /// The run is over.
    pub(super) fn end(&mut self, sim: &mut Sim, offered: &BTreeMap<u32, Offered>) {
        self.blind += self.newcomers.len() as u64;
        self.invariants.look(sim);
        self.note(sim);
        self.look_for_holders(sim, offered);
    }

    /// When the first content was asked for.
    pub(super) fn first_ask(&self) -> Option<Timestamp> {
        self.first_ask
    }

    /// Whether a node was made to misbehave.
    pub(super) fn misbehaves(&self, member: Member) -> bool {
        self.misbehaving.contains(&member)
    }
}

/// Whether all nodes that run know the same records.
fn all_know_the_same(sim: &Sim) -> bool {
    let running = (0..sim.nodes()).filter_map(|number| sim.brain(Member(number)));
    let mut sums = running.map(|brain| brain.inside().records_sum);
    let Some(first) = sums.next() else { return true };
    sums.all(|sum| sum == first)
}
