//! The simulated world.
//!
//! Invariant: nothing in it is set to meet a real figure; links are what the real ones were told to be.

use std::time::Duration;

use mesh_proto::port::net::LinkClass;
use mesh_proto::port::user::{UserCommand, UserReply};
use mesh_proto::record::Access;
use mesh_proto::{ContentId, Ticket, Timestamp};
use mesh_sim::Member;
use mesh_sim::fault::{Targets, What};
use mesh_sim::flow::Congestion;
use mesh_sim::link::{Latency, LinkQuality, Loss};
use mesh_sim::sim::{BegunFault, Sim};
use mesh_sim::topology::{self, Node, Role, Topology};
use mesh_sim::world::node::NodeOptions;
use mesh_sim::world::wires::Wires;

use crate::lab::{Fetch, Lab, Link};

/// What a packet takes through a virtual cable and a bridge on one machine, as ping tells: half of it on each link.
const LATENCY_NS: u64 = 20_000;
/// All know each other after so long, at most.
const MEETING: Duration = Duration::from_secs(300);
/// Longer than any experiment.
const LIMIT: Duration = Duration::from_secs(3600);

/// See the module.
pub struct Simulated {
    sim: Sim,
    hosts: u32,
    cuts: Vec<(usize, BegunFault)>,
    fetches: Vec<(Member, ContentId, Timestamp)>,
}

impl Simulated {
    /// Builds a world and waits until all know each other.
    pub fn new(links: &[Link], seed: u64, congestion: Congestion) -> Self {
        let mut sim = Sim::new(seed, Wires::new(topology(links), seed, congestion));
        let members: Vec<Member> = links.iter().map(|_| sim.add(NodeOptions::default())).collect();
        members.iter().for_each(|member| sim.start(*member));
        let hosts = links.len() as u32;
        let all_met = |world: &mesh_sim::world::NodeWorld| {
            members.iter().all(|member| world.node(*member).connections.len() + 1 == members.len())
        };
        assert!(sim.run_until(MEETING, all_met), "the nodes do not find each other");
        Self { sim, hosts, cuts: Vec::new(), fetches: Vec::new() }
    }

    fn done_at(&self, fetch: Fetch) -> Option<Timestamp> {
        let (member, content, _) = self.fetches[fetch.0];
        let completions = &self.sim.tally(member).completions;
        completions.iter().find(|completion| completion.content == content).map(|completion| completion.done)
    }
}

impl Lab for Simulated {
    fn share(&mut self, host: usize, bytes: u64, number: u64) -> String {
        let (member, path) = (Member(host as u32), format!("/home/file-{number}"));
        self.sim.put_file(member, &path, bytes, number);
        let access = Some(Access::Ticket);
        let command = UserCommand::Share { path, name: None, listed: None, tags: None, access };
        match self.sim.ask(member, command) {
            Some(UserReply::Shared(view)) => view.ticket,
            other => panic!("a file can be shared, but: {other:?}"),
        }
    }

    fn begin(&mut self, host: usize, ticket: &str) -> Fetch {
        let member = Member(host as u32);
        let content = ticket.parse::<Ticket>().expect("a node's ticket is one").content;
        self.sim.get(member, ticket);
        self.fetches.push((member, content, self.sim.now()));
        Fetch(self.fetches.len() - 1)
    }

    fn finish(&mut self, fetches: &[Fetch]) -> Duration {
        let began = fetches.iter().map(|fetch| self.fetches[fetch.0].2).min().expect("something was begun");
        let wanted: Vec<(Member, ContentId)> =
            fetches.iter().map(|fetch| (self.fetches[fetch.0].0, self.fetches[fetch.0].1)).collect();
        let all_have = |world: &mesh_sim::world::NodeWorld| {
            let has = |(member, content): &(Member, ContentId)| {
                world.node(*member).tally.completions.iter().any(|completion| completion.content == *content)
            };
            wanted.iter().all(has)
        };
        assert!(self.sim.run_until(LIMIT, all_have), "not done within {LIMIT:?}");
        let last = fetches.iter().filter_map(|fetch| self.done_at(*fetch)).max().expect("all are done");
        last.since(began)
    }

    fn is_under_way(&mut self, fetch: Fetch) -> bool {
        self.done_at(fetch).is_none()
    }

    fn pass(&mut self, time: Duration) {
        self.sim.run_for(time);
    }

    fn set_plugged(&mut self, host: usize, plugged: bool) {
        if !plugged {
            let cut = self.sim.begin_fault(What::LinkDown {}, Targets::Links(vec![host as u32]));
            self.cuts.push((host, cut));
        } else if let Some(place) = self.cuts.iter().position(|(cut, _)| *cut == host) {
            let (_, cut) = self.cuts.remove(place);
            self.sim.end_fault(cut);
        }
    }

    fn make_member(&mut self, hosts: &[usize]) {
        let (first, others) = hosts.split_first().expect("a member has a node");
        let first = Member(*first as u32);
        let made = self.sim.ask(first, UserCommand::MemberNew { name: format!("member {}", first.0) });
        let Some(UserReply::Member(made)) = made else { panic!("a member can be made, but: {made:?}") };
        for other in others {
            let node = self.sim.world().node(Member(*other as u32)).id;
            let added = self.sim.ask(first, UserCommand::MemberAddNode { node });
            assert!(matches!(added, Some(UserReply::Done)), "a node can be certified, but: {added:?}");
            let accepted = self.sim.ask(Member(*other as u32), UserCommand::MemberAccept { member: made.member });
            assert!(matches!(accepted, Some(UserReply::Done)), "a node can be a member's, but: {accepted:?}");
        }
    }

    fn given_bytes(&mut self, host: usize) -> Vec<u64> {
        let Some(UserReply::Peers(peers)) = self.sim.ask(Member(host as u32), UserCommand::Peers) else {
            panic!("a node tells its peers");
        };
        let to = |member: u32| {
            let node = self.sim.world().node(Member(member)).id;
            peers.iter().find(|peer| peer.node == node).map_or(0, |peer| peer.sent_bytes)
        };
        (0..self.hosts).map(to).collect()
    }
}

/// Hosts on a switch.
fn topology(links: &[Link]) -> Topology {
    let node = |name: String, role| Node { name, label: None, role, position: None };
    let switch = links.len() as u32;
    let hosts = (0..switch).map(|host| node(format!("host-{host}"), Role::Peer));
    let wire = |(host, link): (u32, &Link)| topology::Link {
        a: host,
        b: switch,
        quality: quality(*link, 0),
        back: Some(quality(*link, link.lost_percent)),
        channels: Vec::new(),
    };
    Topology {
        nodes: hosts.chain([node("switch".to_owned(), Role::Switch)]).collect(),
        links: (0..).zip(links).map(wire).collect(),
        channels: Vec::new(),
    }
}

fn quality(link: Link, lost_percent: u32) -> LinkQuality {
    LinkQuality {
        buffer_bytes: link.waiting_bytes_max(),
        burst_bytes: link.burst_bytes(),
        loss: if lost_percent == 0 { Loss::None } else { Loss::Independent { ppm: lost_percent * 10_000 } },
        class: LinkClass::SameSegment,
        ..LinkQuality::new(Latency::Constant { time_ns: LATENCY_NS }, link.bits_per_s / 8)
    }
}
