//! Routes against a slow, simple reference, and against themselves computed anew.

use proptest::prelude::{Strategy, any, prop};
use proptest::{prop_assert, prop_assert_eq, proptest};

use super::super::graph::{DirectedLink, Link, Node, Role, Topology};
use super::super::make::{Geometric, Segment, TopologyPlan};
use super::Routes;
use crate::link::{Latency, LinkQuality};

/// Nodes 0.. with links of these latencies in ms; the latency back is three times as long where it is odd.
fn network(nodes: u32, links: &[(u32, u32, u64)]) -> Topology {
    let quality = |ms: u64| LinkQuality::new(Latency::Constant { time_ns: ms * 1_000_000 }, 125_000_000);
    let link = |&(a, b, ms): &(u32, u32, u64)| {
        let back = (ms % 2 == 1).then(|| quality(ms * 3));
        Link { a, b, quality: quality(ms), back, channels: Vec::new() }
    };
    let node = |number| Node { name: format!("n{number}"), label: None, role: Role::Peer, position: None };
    let topology = Topology {
        nodes: (0..nodes).map(node).collect(),
        links: links.iter().filter(|(a, b, _)| a != b).map(link).collect(),
        channels: Vec::new(),
    };
    topology.check().unwrap();
    topology
}

fn costs(routes: &mut Routes, nodes: u32) -> Vec<Option<u64>> {
    (0..nodes)
        .flat_map(|from| (0..nodes).map(move |to| (from, to)))
        .map(|(from, to)| routes.cost_ns(from, to))
        .collect()
}

/// The least cost from one node to all, by trying every direction again and again (Bellman and Ford).
fn reference(topology: &Topology, routes: &Routes, from: u32) -> Vec<Option<u64>> {
    let mut costs = vec![None; topology.nodes.len()];
    costs[from as usize] = Some(0);
    for _ in 0..topology.nodes.len() {
        for directed in topology.directed_links().filter(|directed| routes.is_link_up(*directed)) {
            let (tail, head) = topology.ends(directed);
            let passes_on = routes.is_node_up(tail);
            let Some(cost) = costs[tail as usize].filter(|_| passes_on) else { continue };
            let offer = cost + topology.quality(directed).routing_cost_ns();
            if costs[head as usize].is_none_or(|best| offer < best) {
                costs[head as usize] = Some(offer);
            }
        }
    }
    let is_up = |node: u32| routes.is_node_up(node) && routes.is_node_up(from);
    (0u32..).zip(costs).map(|(node, cost)| cost.filter(|_| is_up(node))).collect()
}

fn networks() -> impl Strategy<Value = Topology> {
    let link = (0u32..9, 0u32..9, 1u64..6);
    prop::collection::vec(link, 1..24).prop_map(|links| network(9, &links))
}

proptest! {
    #[test]
    fn ways_cost_what_the_slow_reference_says(
        topology in networks(), changes in prop::collection::vec((any::<u32>(), any::<bool>(), any::<bool>()), 0..30),
    ) {
        let mut routes = Routes::new(&topology);
        for (number, up, of_node) in changes {
            change(&mut routes, &topology, number, up, of_node);
            let from = number % 9;
            let expected = reference(&topology, &routes, from);
            let found: Vec<Option<u64>> = (0..9).map(|to| routes.cost_ns(from, to)).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn what_was_asked_and_up_before_changes_no_way(
        topology in networks(), changes in prop::collection::vec((any::<u32>(), any::<bool>(), any::<bool>()), 0..30),
    ) {
        let (mut warm, mut cold) = (Routes::new(&topology), Routes::new(&topology));
        for (number, up, of_node) in changes {
            costs(&mut warm, 9);
            change(&mut warm, &topology, number, up, of_node);
            change(&mut cold, &topology, number, up, of_node);
        }
        for (from, to) in (0..9).flat_map(|from| (0..9).map(move |to| (from, to))) {
            let way = warm.route(from, to);
            prop_assert_eq!(&way, &cold.route(from, to));
            let Some(way) = way else { continue };
            let mut at = from;
            for directed in &way {
                prop_assert!(warm.is_link_up(*directed));
                prop_assert_eq!(topology.ends(*directed).0, at);
                at = topology.ends(*directed).1;
            }
            prop_assert_eq!(at, to);
        }
    }
}

fn change(routes: &mut Routes, topology: &Topology, number: u32, up: bool, of_node: bool) {
    if of_node || topology.links.is_empty() {
        routes.set_node_up(number % 9, up);
    } else {
        routes.set_link_up(DirectedLink(number % (topology.links.len() as u32 * 2)), up);
    }
}

#[test]
fn equally_cheap_ways_go_over_the_lowest_numbers() {
    // Two ways round a square, and two links side by side.
    let topology = network(4, &[(0, 1, 2), (0, 2, 2), (2, 3, 2), (1, 3, 2), (0, 1, 2)]);
    let mut routes = Routes::new(&topology);
    assert_eq!(routes.route(0, 3), Some(vec![DirectedLink(2), DirectedLink(4)]));
    assert_eq!(routes.route(0, 1), Some(vec![DirectedLink(0)]));
    routes.set_link_up(DirectedLink(0), false);
    assert_eq!(routes.route(0, 1), Some(vec![DirectedLink(8)]));
    assert_eq!(routes.route(1, 0), Some(vec![DirectedLink(1)]), "the other direction is still up");
    assert_eq!(routes.route(2, 2), Some(Vec::new()));
}

#[test]
fn a_dearer_link_is_left_and_a_cheaper_one_taken() {
    let topology = network(3, &[(0, 1, 2), (1, 2, 2), (0, 2, 10)]);
    let mut routes = Routes::new(&topology);
    let round = Some(vec![DirectedLink(0), DirectedLink(2)]);
    assert_eq!(routes.route(0, 2), round);
    routes.set_cost_ns(DirectedLink(0), 1_000_000_000);
    assert_eq!(routes.route(0, 2), Some(vec![DirectedLink(4)]));
    routes.set_cost_ns(DirectedLink(0), 0);
    assert_eq!(routes.route(0, 2), round);
    // 64 KiB at 125 MB/s are 524,288 ns.
    assert_eq!(routes.cost_ns(0, 2), Some(1 + 2_524_288));
}

#[test]
fn memory_for_trees_is_bounded_and_the_oldest_goes_first() {
    let topology = network(3, &[(0, 1, 2), (1, 2, 2)]);
    let mut routes = Routes::new(&topology);
    routes.kept_max = 2;
    let all = costs(&mut routes, 3);
    assert_eq!(routes.kept, [1, 2]);
    assert!(routes.trees[0].is_none() && routes.trees[1].is_some());
    assert_eq!(costs(&mut routes, 3), all);
}

#[test]
fn a_leaf_that_leaves_costs_no_tree() {
    let topology = TopologyPlan::Segment(Segment { nodes: 10, links: Vec::new() }).make(1).unwrap();
    let mut routes = Routes::new(&topology);
    costs(&mut routes, 10);
    routes.set_node_up(4, false);
    assert_eq!(routes.kept.len(), 10);
    assert_eq!((routes.route(4, 1), routes.route(1, 4)), (None, None));
    assert_eq!(routes.segment_of(4), Vec::<u32>::new());
    routes.set_node_up(10, false);
    assert_eq!(routes.route(0, 1), None, "without the switch nobody is reached");
}

#[test]
fn multicast_goes_through_switches_and_one_link_without_them() {
    let segment = TopologyPlan::Segment(Segment { nodes: 5, links: Vec::new() }).make(1).unwrap();
    let mut routes = Routes::new(&segment);
    assert_eq!(routes.segment_of(2), [0, 1, 3, 4]);
    routes.set_node_up(3, false);
    routes.set_link_up(DirectedLink(2), false);
    assert_eq!(routes.segment_of(2), [0, 1, 4]);
    assert_eq!(routes.segment_of(1), Vec::<u32>::new(), "its way out is down");

    let radio = Geometric {
        nodes: 60,
        side_m: 1000,
        range_m: 220,
        ..toml::from_str("nodes = 1\nside_m = 1\nrange_m = 1").unwrap()
    };
    let radio = radio.make(5).unwrap();
    let routes = Routes::new(&radio);
    for node in 0..60 {
        let mut neighbours: Vec<u32> = radio.links.iter().filter(|l| l.a == node).map(|l| l.b).collect();
        neighbours.extend(radio.links.iter().filter(|l| l.b == node).map(|l| l.a));
        neighbours.sort_unstable();
        assert_eq!(routes.segment_of(node), neighbours);
    }
}
