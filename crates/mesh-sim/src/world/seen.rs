//! A world as it is at a moment, as a graph: what each node knows and does, which links are up and what went over them,
//! who is connected with whom.
//!
//! Invariant: looking changes nothing.

use mesh_proto::{ConnectionId, Timestamp};

use super::connection::Connection;
use super::node::Power;
use crate::kernel::Member;
use crate::sim::Sim;
use crate::topology::export::{Edge, Figures, Graph};
use crate::topology::{DirectedLink, Node};

impl Sim {
    /// The world as it is now. Edges of the kind `link` are those of the topology, as faults left them; those of the kind
    /// `connection` join nodes that are connected. Figures with `_there` are of the direction from the first end to the
    /// other, those with `_back` of the way back.
    #[must_use]
    pub fn graph(&self) -> Graph {
        let world = self.world();
        let topology = world.wires.topology();
        let mut program_at = vec![None; topology.nodes.len()];
        for number in 0..self.nodes() {
            program_at[world.wires.place_of(Member(number)) as usize].get_or_insert(Member(number));
        }
        let nodes = topology.nodes.iter().zip(program_at);
        let links = (0..topology.links.len() as u32).map(|number| self.link(number));
        let connections = world.connections.iter().filter_map(|(id, connection)| self.connection(id, connection));
        Graph {
            figures: Figures::default().with("time_s", seconds(self.now())),
            nodes: nodes.map(|(node, program)| (node.name.clone(), self.node_figures(node, program))).collect(),
            edges: links.chain(connections).collect(),
        }
    }

    fn node_figures(&self, node: &Node, program: Option<Member>) -> Figures {
        let mut seen = Figures::default().with("role", node.role.name());
        if let Some(position) = node.position {
            seen = seen.with("x_m", position.x_m()).with("y_m", position.y_m());
        }
        let Some(member) = program else { return seen };
        let world = self.world();
        let is_running = world.node(member).power == Power::On;
        let tally = self.tally(member);
        let seen = seen
            .with("number", u64::from(member.0))
            .with("node", world.node(member).id.short())
            .with("running", is_running)
            .with("payload_sent_bytes", tally.payload_sent_bytes)
            .with("payload_received_bytes", tally.payload_received_bytes)
            .with("control_bytes", tally.control_bytes)
            .with("fetched", tally.completions.len());
        match self.brain(member).filter(|_| is_running).map(|brain| brain.inside()) {
            None => seen,
            Some(inside) => seen
                .with("peers_connected", inside.peers_connected)
                .with("nodes_known", inside.nodes_known)
                .with("catalogue_entries", inside.catalogue_entries)
                .with("transfers", inside.transfers)
                .with("requests", inside.serves),
        }
    }

    fn link(&self, number: u32) -> Edge {
        let wires = &self.world().wires;
        let link = &wires.topology().links[number as usize];
        let [there, back] = [2 * number, 2 * number + 1].map(|wire| wires.seen(self.now(), DirectedLink(wire)));
        Edge {
            ends: [link.a, link.b],
            cost_ms: there.delay_ns as f64 / 1e6,
            figures: Figures::default()
                .with("kind", "link")
                .with("class", link.quality.class.name())
                .with("up_there", there.is_up)
                .with("up_back", back.is_up)
                .with("rate_bytes_per_s_there", there.rate_bytes_per_s)
                .with("rate_bytes_per_s_back", back.rate_bytes_per_s)
                .with("payload_bytes_there", there.carried_bytes)
                .with("payload_bytes_back", back.carried_bytes),
        }
    }

    /// A connection as a whole, if both ends hold it for open.
    fn connection(&self, id: ConnectionId, connection: &Connection) -> Option<Edge> {
        let Connection { ends, class, since } = connection;
        let wires = &self.world().wires;
        let [there, back] = [0, 1].map(|end: usize| wires.flows.rate_bytes_per_s(ends[end].flow));
        let delay_ns = ends[0].way.as_ref().map_or(0, |way| way.delay_ns);
        ends.iter().all(|end| end.open).then(|| Edge {
            ends: [0, 1].map(|end: usize| wires.place_of(ends[end].member)),
            cost_ms: delay_ns as f64 / 1e6,
            figures: Figures::default()
                .with("kind", "connection")
                .with("connection", id.0)
                .with("class", class.name())
                .with("since_s", seconds(*since))
                .with("cut", ends.iter().any(|end| end.way.is_none()))
                .with("payload_bytes_per_s_there", there)
                .with("payload_bytes_per_s_back", back),
        })
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
    use crate::topology::export::Figure;
    use crate::world::node::NodeOptions;
    use crate::world::wires::Wires;

    fn of_kind<'a>(graph: &'a Graph, kind: &'static str) -> Vec<&'a Edge> {
        graph.edges.iter().filter(|edge| edge.figures.get("kind") == Some(&kind.into())).collect()
    }

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
        let running: Vec<bool> =
            graph.nodes[..3].iter().map(|(_, seen)| seen.get("running") == Some(&true.into())).collect();
        assert_eq!(running, [true, true, false]);
        assert_eq!(graph.nodes[1].1.get("fetched"), Some(&Figure::Count(1)));
        let links = of_kind(&graph, "link");
        assert_eq!(
            links.iter().map(|link| link.figures.get("up_there") == Some(&true.into())).collect::<Vec<_>>(),
            [true, false, true]
        );
        let moved = |link: &Edge| {
            ["payload_bytes_there", "payload_bytes_back"].map(|name| match link.figures.get(name) {
                Some(Figure::Count(bytes)) => *bytes,
                other => panic!("{name} is {other:?}"),
            })
        };
        assert!(moved(links[0]).into_iter().any(|bytes| bytes >= 1_000_000), "{:?}", links[0]);
        assert_eq!(moved(links[2]), [0, 0]);
        assert_eq!(of_kind(&graph, "connection").len(), 1);
    }
}
