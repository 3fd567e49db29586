//! A world as it is at a moment, as a graph: what each node knows and does, which links are up and what went over them,
//! who is connected with whom.
//!
//! Invariant: looking changes nothing.

use mesh_proto::port::net::LinkClass;
use mesh_proto::{ConnectionId, Timestamp};
use serde::Serialize;

use super::connection::Connection;
use super::node::Power;
use crate::kernel::Member;
use crate::sim::Sim;
use crate::topology::export::{Edge, Graph};
use crate::topology::{DirectedLink, Node};

/// What is seen of a world. Figures with `_there` are of the direction from an edge's first end to the other, those with
/// `_back` of the way back.
pub type Seen = Graph<SeenWorld, SeenNode, SeenEdge>;

/// What is seen of all of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeenWorld {
    /// Virtual time since the beginning.
    pub time_s: f64,
}

/// What is seen of a place where links meet.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeenNode {
    /// What it is there for.
    pub role: &'static str,
    /// Where it stands, to the east.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x_m: Option<f64>,
    /// Where it stands, to the north.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub y_m: Option<f64>,
    /// The program that runs there, if one does.
    #[serde(flatten)]
    pub program: Option<SeenProgram>,
}

/// What is seen of a node of the product.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeenProgram {
    /// Its number among those that were added.
    pub number: u32,
    /// The beginning of its id.
    pub node: String,
    /// Whether it runs now.
    pub running: bool,
    /// Payload it sent to others since the beginning.
    pub payload_sent_bytes: u64,
    /// Payload that others sent to it.
    pub payload_received_bytes: u64,
    /// What it sent that is not payload.
    pub control_bytes: u64,
    /// How many contents it fetched.
    pub fetched: usize,
    /// What its brain holds, while it runs.
    #[serde(flatten)]
    pub brain: Option<SeenBrain>,
}

/// What is seen of the brain of a node that runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeenBrain {
    /// Peers it is connected with.
    pub peers_connected: usize,
    /// Nodes it has a record of.
    pub nodes_known: usize,
    /// Contents it knows of by announcements.
    pub catalogue_entries: usize,
    /// Contents it fetches.
    pub transfers: usize,
    /// Requests of peers that wait for their turn.
    pub requests: usize,
}

/// What joins two places.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SeenEdge {
    /// A link of the topology, as faults left it.
    Link(SeenLink),
    /// Nodes that are connected.
    Connection(SeenConnection),
}

/// What is seen of a link.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeenLink {
    /// What kind of path it is.
    pub class: LinkClass,
    /// Whether it carries anything.
    pub up_there: bool,
    /// The same, back.
    pub up_back: bool,
    /// What it carries at most.
    pub rate_bytes_per_s_there: u64,
    /// The same, back.
    pub rate_bytes_per_s_back: u64,
    /// The payload it carried since the beginning.
    pub payload_bytes_there: u64,
    /// The same, back.
    pub payload_bytes_back: u64,
}

/// What is seen of a connection.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeenConnection {
    /// Its number.
    pub connection: u64,
    /// What kind of path it takes.
    pub class: LinkClass,
    /// When it was made.
    pub since_s: f64,
    /// Whether no path leads from one end to the other now.
    pub cut: bool,
    /// At which rate payload moves.
    pub payload_bytes_per_s_there: u64,
    /// The same, back.
    pub payload_bytes_per_s_back: u64,
}

impl Sim {
    /// The world as it is now.
    #[must_use]
    pub fn graph(&self) -> Seen {
        let world = self.world();
        let topology = world.wires.topology();
        let mut program_at = vec![None; topology.nodes.len()];
        for number in 0..self.nodes() {
            program_at[world.wires.place_of(Member(number)) as usize].get_or_insert(Member(number));
        }
        let nodes = topology.nodes.iter().zip(program_at);
        let links = (0..topology.links.len() as u32).map(|number| self.seen_link(number));
        // Each lies somewhere else in memory: a loop this short fetches many at once.
        let open: Vec<_> = world.connections.iter().filter(|(_, connection)| connection.is_open()).collect();
        let connections = open.iter().map(|(id, connection)| self.seen_connection(*id, connection));
        // Tens of thousands, which would be copied as often as they double.
        let mut edges = Vec::with_capacity(topology.links.len() + open.len());
        edges.extend(links.chain(connections));
        Graph {
            figures: SeenWorld { time_s: seconds(self.now()) },
            nodes: nodes.map(|(node, program)| (node.name.clone(), self.seen_node(node, program))).collect(),
            edges,
        }
    }

    fn seen_node(&self, node: &Node, program: Option<Member>) -> SeenNode {
        SeenNode {
            role: node.role.name(),
            x_m: node.position.map(|position| position.x_m()),
            y_m: node.position.map(|position| position.y_m()),
            program: program.map(|member| self.seen_program(member)),
        }
    }

    fn seen_program(&self, member: Member) -> SeenProgram {
        let node = self.world().node(member);
        let tally = self.tally(member);
        let running = node.power == Power::On;
        let inside = self.brain(member).filter(|_| running).map(|brain| brain.inside());
        SeenProgram {
            number: member.0,
            node: node.id.short(),
            running,
            payload_sent_bytes: tally.payload_sent_bytes,
            payload_received_bytes: tally.payload_received_bytes,
            control_bytes: tally.control_bytes,
            fetched: tally.completions.len(),
            brain: inside.map(|inside| SeenBrain {
                peers_connected: inside.peers_connected,
                nodes_known: inside.nodes_known,
                catalogue_entries: inside.catalogue_entries,
                transfers: inside.transfers,
                requests: inside.serves,
            }),
        }
    }

    fn seen_link(&self, number: u32) -> Edge<SeenEdge> {
        let wires = &self.world().wires;
        let link = &wires.topology().links[number as usize];
        let [there, back] = DirectedLink::both(number).map(|directed| wires.seen(self.now(), directed));
        let seen = SeenLink {
            class: link.quality.class,
            up_there: there.is_up,
            up_back: back.is_up,
            rate_bytes_per_s_there: there.rate_bytes_per_s,
            rate_bytes_per_s_back: back.rate_bytes_per_s,
            payload_bytes_there: there.carried_bytes,
            payload_bytes_back: back.carried_bytes,
        };
        Edge { ends: [link.a, link.b], cost_ms: there.delay_ns as f64 / 1e6, figures: SeenEdge::Link(seen) }
    }

    fn seen_connection(&self, id: ConnectionId, connection: &Connection) -> Edge<SeenEdge> {
        let Connection { ends: [first, second], class, since } = connection;
        let wires = &self.world().wires;
        let seen = SeenConnection {
            connection: id.0,
            class: *class,
            since_s: seconds(*since),
            cut: first.way.is_none() || second.way.is_none(),
            payload_bytes_per_s_there: wires.flows.rate_bytes_per_s(first.flow),
            payload_bytes_per_s_back: wires.flows.rate_bytes_per_s(second.flow),
        };
        let delay_ns = first.way.as_ref().map_or(0, |way| way.delay_ns);
        Edge {
            ends: [wires.place_of(first.member), wires.place_of(second.member)],
            cost_ms: delay_ns as f64 / 1e6,
            figures: SeenEdge::Connection(seen),
        }
    }
}

fn seconds(at: Timestamp) -> f64 {
    at.0 as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fault::{Targets, What};
    use crate::flow::Congestion;
    use crate::topology::TopologyPlan;
    use crate::world::node::NodeOptions;
    use crate::world::wires::Wires;

    #[test]
    fn what_runs_what_is_up_and_what_moved_is_seen() {
        let plan: TopologyPlan = toml::from_str("kind = \"segment\"\nnodes = 3").expect("a plan");
        let topology = plan.make(1).expect("a topology");
        let mut sim = Sim::new(1, Wires::new(topology, 1, Congestion::Bbr));
        let nodes: Vec<Member> = (0..3).map(|_| sim.add(NodeOptions::default())).collect();
        nodes[..2].iter().for_each(|node| sim.start(*node));
        sim.run_for(Duration::from_secs(20));
        let ticket = sim.share(nodes[0], 1_000_000, false).expect("it is shared");
        sim.get(nodes[1], &ticket);
        sim.run_for(Duration::from_secs(20));
        sim.begin_fault(What::LinkDown {}, Targets::Links(vec![1]));
        sim.run_for(Duration::from_millis(1));
        let (digest, graph) = (sim.digest(), sim.graph());
        assert_eq!(sim.digest(), digest);
        let program = |place: usize| graph.nodes[place].1.program.as_ref().expect("a node runs there");
        assert_eq!([0, 1, 2].map(|place| program(place).running), [true, true, false]);
        assert_eq!([0, 1, 2].map(|place| program(place).brain.is_some()), [true, true, false]);
        assert_eq!(program(1).fetched, 1);
        let links: Vec<&SeenLink> = graph.edges.iter().filter_map(|edge| link(&edge.figures)).collect();
        assert_eq!(links.iter().map(|link| link.up_there).collect::<Vec<_>>(), [true, false, true]);
        assert!(links[0].payload_bytes_there.max(links[0].payload_bytes_back) >= 1_000_000, "{:?}", links[0]);
        assert_eq!((links[2].payload_bytes_there, links[2].payload_bytes_back), (0, 0));
        assert_eq!(graph.edges.len() - links.len(), 1, "they are connected");
    }

    fn link(edge: &SeenEdge) -> Option<&SeenLink> {
        match edge {
            SeenEdge::Link(link) => Some(link),
            SeenEdge::Connection(_) => None,
        }
    }
}
