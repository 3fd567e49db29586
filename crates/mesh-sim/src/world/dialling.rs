//! Attempts to connect: address after address, each costing what it costs on a real network.
//!
//! Invariant: every `Dial` command is answered once, unless the node that dials ends first.

use std::collections::{BTreeMap, VecDeque};

use mesh_proto::limits::CONNECTIONS_MAX;
use mesh_proto::port::net::FetchOutcome;
use mesh_proto::port::{Failure, Input, NetInput};
use mesh_proto::{CommandId, ConnectionId, NodeId, Timestamp, address};

use super::connection::{Connection, End};
use super::happening::Happening;
use super::node::Power;
use super::serving::Fetch;
use super::wires::Way;
use super::{NodeStage, NodeWorld};
use crate::kernel::Member;

/// Half round trips until the side that was dialled believes in the connection: the TCP handshake, the choice of Noise, its
/// three messages, and the choice of Yamux.
const HALF_ROUND_TRIPS: u64 = 7;
/// Bytes on the wire for all of that, both ways.
pub const SETUP_BYTES: u64 = 686;
/// An attempt may take so long.
const CONNECT_TIMEOUT_NS: u64 = 30_000_000_000;
/// On the same segment the system knows sooner that nobody is there.
const NEIGHBOUR_TIMEOUT_NS: u64 = 3_000_000_000;

/// An attempt under way.
#[derive(Debug)]
struct Dial {
    member: Member,
    /// Which life of the node dials.
    starts: u64,
    purpose: Purpose,
    expected: Option<NodeId>,
    left: VecDeque<String>,
    target: Option<Member>,
    why: &'static str,
}

/// What it is for.
#[derive(Debug)]
enum Purpose {
    Command(CommandId),
    /// A second connection, for payload against the flow.
    Fetches(Vec<Fetch>),
}

/// All attempts under way.
#[derive(Debug, Default)]
pub(super) struct Dials {
    next: u64,
    all: BTreeMap<u64, Dial>,
    /// Second connections under way, by who dials whom.
    second: BTreeMap<(Member, Member), u64>,
}

/// Where a node listens.
#[must_use]
pub fn listens_at(member: Member) -> String {
    let [_, a, b, c] = member.0.to_be_bytes();
    format!("/ip4/10.{a}.{b}.{c}/tcp/4340")
}

/// Where a connection that a node opened comes from.
fn speaks_from(member: Member, number: u64) -> String {
    let [_, a, b, c] = member.0.to_be_bytes();
    format!("/ip4/10.{a}.{b}.{c}/tcp/{}", 32_768 + number % 28_000)
}

/// Which node an address means.
#[must_use]
pub fn at_address(text: &str) -> Option<Member> {
    let rest = address::bare(text).strip_prefix("/ip4/10.")?.strip_suffix("/tcp/4340")?;
    let mut parts = rest.split('.').map(|part| part.parse::<u8>().ok());
    let (a, b, c) = (parts.next()??, parts.next()??, parts.next()??);
    parts.next().is_none().then_some(Member(u32::from_be_bytes([0, a, b, c])))
}

impl NodeWorld {
    pub(super) fn dial(
        &mut self,
        stage: &mut NodeStage,
        member: Member,
        command: CommandId,
        expected: Option<NodeId>,
        addresses: Vec<String>,
    ) {
        self.node_mut(member).tally.dials += 1;
        self.begin_dial(stage, member, Purpose::Command(command), expected, addresses.into());
    }

    /// Opens a second connection to a peer, and fetches over it.
    pub(super) fn dial_for_fetch(&mut self, stage: &mut NodeStage, member: Member, peer: Member, fetch: Fetch) {
        let starts = self.node(member).starts;
        if let Some(dial) = self.dials.second.get(&(member, peer)).and_then(|dial| self.dials.all.get_mut(dial))
            && dial.starts == starts
            && let Purpose::Fetches(fetches) = &mut dial.purpose
        {
            fetches.push(fetch);
            return;
        }
        let expected = Some(self.node(peer).id);
        let dial = self.begin_dial(
            stage,
            member,
            Purpose::Fetches(vec![fetch]),
            expected,
            [listens_at(peer)].into_iter().collect(),
        );
        self.dials.second.insert((member, peer), dial);
    }

    fn begin_dial(
        &mut self,
        stage: &mut NodeStage,
        member: Member,
        purpose: Purpose,
        expected: Option<NodeId>,
        left: VecDeque<String>,
    ) -> u64 {
        let number = self.dials.next;
        self.dials.next += 1;
        let starts = self.node(member).starts;
        let why = "no address to try";
        self.dials.all.insert(number, Dial { member, starts, purpose, expected, left, target: None, why });
        self.go_on_dialling(stage, number);
        number
    }

    /// Tries the next address.
    pub(super) fn go_on_dialling(&mut self, stage: &mut NodeStage, number: u64) {
        let Some(dial) = self.dials.all.get_mut(&number) else { return };
        let (member, starts) = (dial.member, dial.starts);
        if self.nodes[member.0 as usize].starts != starts || !self.is_on(member) {
            return self.forget_dial(number);
        }
        let Some(text) = self.dials.all.get_mut(&number).and_then(|dial| dial.left.pop_front()) else {
            return self.fail_dial(stage, number);
        };
        let target = at_address(&text).filter(|target| *target != member && (target.0 as usize) < self.nodes.len());
        let way = target.and_then(|target| self.wires.way(member, target));
        let back = target.and_then(|target| self.wires.way(target, member));
        let (takes_ns, why, target) = match (target, way, back) {
            (Some(target), Some(way), Some(back)) => self.attempt(stage.now(), target, &way, &back),
            _ => (CONNECT_TIMEOUT_NS, "nobody answers there", None),
        };
        let dial = self.dials.all.get_mut(&number).expect("it was just there");
        (dial.target, dial.why) = (target, why);
        let at = Timestamp(stage.now().0 + takes_ns);
        match target {
            Some(_) => stage.happen(at, Happening::Established(number)),
            None => stage.happen(at, Happening::Dialling(number)),
        }
    }

    /// How long an attempt takes, what is said if it fails, and whom it reaches.
    fn attempt(
        &mut self,
        now: Timestamp,
        target: Member,
        way: &Way,
        back: &Way,
    ) -> (u64, &'static str, Option<Member>) {
        let round_trip = way.delay_ns + back.delay_ns;
        match self.node(target).power {
            Power::On => {
                let over = self.wires.carry(now, way, SETUP_BYTES / 2).0 - now.0;
                let returned = self.wires.carry(now, back, SETUP_BYTES / 2).0 - now.0;
                let takes_ns = over + returned + round_trip * (HALF_ROUND_TRIPS - 2) / 2;
                match takes_ns <= CONNECT_TIMEOUT_NS {
                    true => (takes_ns, "the connection was refused", Some(target)),
                    false => (CONNECT_TIMEOUT_NS, "nobody answers in time", None),
                }
            }
            Power::ProcessDown => (round_trip, "the connection was refused", None),
            Power::Off if way.class == mesh_proto::port::net::LinkClass::SameSegment => {
                (NEIGHBOUR_TIMEOUT_NS, "nobody answers there", None)
            }
            Power::Off => (CONNECT_TIMEOUT_NS, "nobody answers there", None),
        }
    }

    /// The other side believes in the connection.
    pub(super) fn establish(&mut self, stage: &mut NodeStage, number: u64) {
        let Some(Dial { member, starts, expected, target: Some(target), .. }) = self.dials.all.get(&number) else {
            return;
        };
        let (member, target, starts, expected) = (*member, *target, *starts, *expected);
        if self.node(member).starts != starts || !self.is_on(member) {
            return self.forget_dial(number);
        }
        let ways = self.wires.way(member, target).zip(self.wires.way(target, member));
        let has_room = self.node(target).connections.values().map(Vec::len).sum::<usize>() < CONNECTIONS_MAX;
        let Some((way, back)) = ways.filter(|_| self.is_on(target) && has_room) else {
            return self.go_on_dialling(stage, number);
        };
        if expected.is_some_and(|expected| expected != self.node(target).id) {
            return self.go_on_dialling(stage, number);
        }
        let dial = self.dials.all.remove(&number).expect("it was just there");
        self.dials.second.retain(|_, second| *second != number);
        let there = Timestamp(stage.now().0 + back.delay_ns);
        let connection = self.connect(stage.now(), there, member, target, (way, back));
        self.tell_connected(stage, connection, there);
        match dial.purpose {
            Purpose::Command(command) => {
                let result = Ok(self.node(target).id);
                stage.deliver(there, member, Input::Net(NetInput::Dialled { command, result }));
            }
            Purpose::Fetches(fetches) => {
                fetches.into_iter().for_each(|fetch| self.fetch_over_standing(stage, member, target, fetch));
            }
        }
    }

    fn connect(
        &mut self,
        now: Timestamp,
        there: Timestamp,
        member: Member,
        target: Member,
        (way, back): (Way, Way),
    ) -> ConnectionId {
        let round_trip = way.delay_ns + back.delay_ns;
        let class = way.class;
        let flows = [self.wires.open_flow(now, &way, round_trip), self.wires.open_flow(now, &back, round_trip)];
        let end = |member, flow, way, since| End {
            member,
            open: true,
            closing: false,
            flow,
            way: Some(way),
            last_arrival: since,
            last_slice: since,
            heard: since,
            payload_heard: since,
            probes_lost: 0,
            cut_since: None,
            held: Vec::new(),
            serves_open: 0,
            fetches: false,
        };
        let [over, return_flow] = flows;
        let ends = [end(member, over, way, there), end(target, return_flow, back, there)];
        let connection = self.connections.add(Connection { ends, class, since: now });
        for (one, other) in [(member, target), (target, member)] {
            self.node_mut(one).connections.entry(other).or_default().push(connection);
        }
        self.node_mut(member).tally.upkeep_bytes += SETUP_BYTES / 2;
        self.node_mut(target).tally.upkeep_bytes += SETUP_BYTES / 2;
        connection
    }

    fn tell_connected(&mut self, stage: &mut NodeStage, connection: ConnectionId, there: Timestamp) {
        let standing = self.connections.find(connection).expect("it was just made");
        let [dialler, dialled] = &standing.ends;
        let (member, target, class) = (dialler.member, dialled.member, standing.class);
        let told = |node: NodeId, address: String, dialled: bool| {
            Input::Net(NetInput::Connected { connection, node, address, dialled, class })
        };
        let (member_id, target_id) = (self.node(member).id, self.node(target).id);
        stage.deliver(stage.now(), target, told(member_id, speaks_from(member, connection.0), false));
        stage.deliver(there, member, told(target_id, listens_at(target), true));
        for (end, at) in [(0, there), (1, stage.now())] {
            stage.happen(at, Happening::Probe(super::connection::EndId { connection, end }));
        }
    }

    fn fail_dial(&mut self, stage: &mut NodeStage, number: u64) {
        let Some(dial) = self.dials.all.remove(&number) else { return };
        self.dials.second.retain(|_, second| *second != number);
        match dial.purpose {
            Purpose::Command(command) => {
                let result = Err(Failure::passing(dial.why));
                stage.deliver(stage.now(), dial.member, Input::Net(NetInput::Dialled { command, result }));
            }
            Purpose::Fetches(fetches) => {
                let peer = dial.expected.and_then(|node| self.member_of(node));
                for fetch in fetches {
                    match peer {
                        Some(peer) => self.fetch_over_standing(stage, dial.member, peer, fetch),
                        None => self.never_began(stage, dial.member, fetch.command, FetchOutcome::Disconnected),
                    }
                }
            }
        }
    }

    fn forget_dial(&mut self, number: u64) {
        self.dials.all.remove(&number);
        self.dials.second.retain(|_, second| *second != number);
    }

    /// Takes a fetch that waits for a second connection, if there is such a one.
    pub(super) fn take_waiting_fetch(&mut self, member: Member, command: CommandId) -> bool {
        let of = self.dials.second.range((member, Member(0))..=(member, Member(u32::MAX)));
        let numbers: Vec<u64> = of.map(|(_, number)| *number).collect();
        let own = self.node(member).starts;
        for number in numbers {
            if let Some(Dial { purpose: Purpose::Fetches(fetches), starts, .. }) = self.dials.all.get_mut(&number)
                && *starts == own
                && let Some(position) = fetches.iter().position(|fetch| fetch.command == command)
            {
                fetches.remove(position);
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_name_nodes() {
        for number in [0, 1, 255, 256, 70_000, (1 << 24) - 1] {
            assert_eq!(at_address(&listens_at(Member(number))), Some(Member(number)));
        }
        for text in
            ["", "/ip4/10.0.0.1/tcp/1", "/ip4/11.0.0.1/tcp/4340", "/ip4/10.0.0/tcp/4340", "/ip4/10.0.0.0.1/tcp/4340"]
        {
            assert_eq!(at_address(text), None, "{text}");
        }
    }
}
