//! Shapes against theory: what is known of each family must hold, whatever the seed.

use std::collections::BTreeSet;

use proptest::prelude::{Strategy, any, prop};
use proptest::{prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::super::components::Components;
use super::super::error::TopologyError;
use super::super::graph::{DirectedLink, Role, Topology};
use super::super::routes::Routes;
use super::TopologyPlan;
use crate::link::{LinkChoice, Loss, Preset};

fn plan(text: &str) -> TopologyPlan {
    toml::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn make(text: &str, seed: u64) -> Topology {
    plan(text).make(seed).unwrap_or_else(|error| panic!("{text}, seed {seed}: {error}"))
}

fn pairs(topology: &Topology) -> Vec<(u32, u32)> {
    topology.links.iter().map(|link| (link.a, link.b)).collect()
}

/// Plans of every kind, small and within their ranges.
fn plans() -> impl Strategy<Value = String> {
    let nodes = |min: u32| min..120u32;
    prop_oneof![
        nodes(1).prop_map(|n| format!("kind = \"segment\"\nnodes = {n}")),
        nodes(1).prop_map(|n| format!("kind = \"line\"\nnodes = {n}")),
        nodes(3).prop_map(|n| format!("kind = \"ring\"\nnodes = {n}")),
        nodes(2).prop_map(|n| format!("kind = \"star\"\nnodes = {n}")),
        (1u32..12, 1u32..12).prop_map(|(c, r)| format!("kind = \"grid\"\ncolumns = {c}\nrows = {r}")),
        (nodes(1), 1u32..6, any::<u32>()).prop_map(|(n, c, g)| {
            format!("kind = \"tree\"\nnodes = {n}\nchildren = {c}\ngateways = {}", 1 + g % n)
        }),
        (nodes(1), 1u32..400, prop_oneof!["neighbours", "all", "none"]).prop_map(|(n, range, air)| {
            format!("kind = \"geometric\"\nnodes = {n}\nside_m = 1000\nrange_m = {range}\nair = \"{air}\"")
        }),
        (nodes(3), any::<u32>(), 0u32..=1_000_000).prop_map(|(n, k, moved)| {
            let k = 2 * (1 + k % ((n - 1) / 2));
            format!("kind = \"small_world\"\nnodes = {n}\nneighbours = {k}\nrewired_ppm = {moved}")
        }),
        (nodes(2), any::<u32>()).prop_map(|(n, m)| {
            format!("kind = \"scale_free\"\nnodes = {n}\nlinks_each = {}", 1 + m % (n - 1).min(100))
        }),
        (nodes(2), any::<u32>()).prop_map(|(n, first)| {
            format!("kind = \"two_villages\"\nnodes = {n}\nfirst = {}", 1 + first % (n - 1))
        }),
    ]
}

proptest! {
    #[test]
    fn every_topology_is_connected_and_the_same_for_the_same_seed(text in plans(), seed in any::<u64>()) {
        let topology = make(&text, seed);
        prop_assert!(topology.is_connected(), "{text}");
        prop_assert_eq!(topology.check(), Ok(()));
        prop_assert_eq!(&topology, &make(&text, seed));
        let programs = topology.programs();
        let in_front = topology.nodes[..programs].iter().all(|node| node.role.runs_the_program());
        prop_assert!(in_front, "those that run the program come first");
        let distinct: BTreeSet<(u32, u32)> = topology.links.iter().map(|l| (l.a.min(l.b), l.a.max(l.b))).collect();
        prop_assert_eq!(distinct.len(), topology.links.len(), "no two links join the same nodes");
    }

    #[test]
    fn other_links_do_not_change_the_shape(text in plans(), seed in any::<u64>(), weights in prop::collection::vec(1u32..9, 1..4)) {
        let plain = make(&text, seed);
        let links: Vec<String> = weights.iter().map(|w| format!("{{ preset = \"wifi\", weight = {w} }}")).collect();
        let mixed = make(&format!("{text}\nlinks = [{}]", links.join(", ")), seed);
        prop_assert_eq!(pairs(&plain), pairs(&mixed));
    }
}

#[test]
fn topologies_are_what_they_always_were() {
    // A word for the shape and the links' rates. If this changes, every saved run changes.
    let word = |text: &str| {
        let topology = make(text, 7);
        topology.links.iter().fold(0u64, |word, link| {
            let numbers = [u64::from(link.a), u64::from(link.b), link.quality.rate_bytes_per_s];
            numbers.iter().fold(word, |word, number| (word ^ number).wrapping_mul(0x0100_0000_01b3))
        })
    };
    let found = [
        word("kind = \"geometric\"\nnodes = 100\nside_m = 1000\nrange_m = 150"),
        word("kind = \"small_world\"\nnodes = 100\nlinks = [{ preset = \"wifi\" }, { preset = \"lan\", weight = 2 }]"),
        word("kind = \"scale_free\"\nnodes = 100"),
    ];
    assert_eq!(found, FROZEN);
}

const FROZEN: [u64; 3] = [7_838_552_379_869_409_282, 14_956_710_206_913_694_202, 17_356_316_662_368_085_927];

#[test]
fn simple_shapes_are_what_their_names_say() {
    let line = make("kind = \"line\"\nnodes = 5", 1);
    assert_eq!(pairs(&line), [(0, 1), (1, 2), (2, 3), (3, 4)]);
    let ring = make("kind = \"ring\"\nnodes = 5", 1);
    assert_eq!(ring.degrees(), [2; 5]);
    let star = make("kind = \"star\"\nnodes = 5", 1);
    assert_eq!(star.degrees(), [4, 1, 1, 1, 1]);
    let segment = make("kind = \"segment\"\nnodes = 5", 1);
    assert_eq!((segment.degrees(), segment.nodes[5].role), (vec![1, 1, 1, 1, 1, 5], Role::Switch));
    let grid = make("kind = \"grid\"\ncolumns = 3\nrows = 4", 1);
    assert_eq!((grid.nodes.len(), grid.links.len()), (12, 2 * 4 + 3 * 3));
    assert_eq!(grid.degrees(), [2, 3, 2, 3, 4, 3, 3, 4, 3, 2, 3, 2]);
    assert_eq!(make("kind = \"line\"\nnodes = 1", 1).links.len(), 0);
}

#[test]
fn a_tree_fills_level_by_level_below_its_gateways() {
    let tree = make("kind = \"tree\"\nnodes = 26\ngateways = 2\nchildren = 3", 1);
    assert_eq!((tree.nodes.len(), tree.links.len()), (27, 26));
    let gateways: Vec<&str> =
        tree.nodes.iter().filter(|node| node.role == Role::Gateway).map(|node| node.name.as_str()).collect();
    assert_eq!(gateways, ["gateway-0", "gateway-1"]);
    assert_eq!(tree.nodes[26].role, Role::Router);
    // 2 gateways, 6 children, 18 grandchildren: every inner node has three below and one above.
    let degrees = tree.degrees();
    assert!(degrees[..8].iter().all(|degree| *degree == 4) && degrees[8..26].iter().all(|degree| *degree == 1));
    assert!(tree.links.iter().all(|link| link.b < link.a || link.b == 26), "links go up");
    assert_eq!(tree.links[25].quality, Preset::Dsl.quality());
}

#[test]
fn villages_are_apart_without_their_bridge() {
    let villages = make("kind = \"two_villages\"\nnodes = 20\nfirst = 5\nbridge = { preset = \"lora_2kbit\" }", 1);
    let bridge = villages.links.len() as u32 - 1;
    assert_eq!(villages.links[bridge as usize].quality, Preset::Lora2kbit.quality());
    let mut routes = Routes::new(&villages);
    assert!(routes.route(0, 19).is_some());
    assert_eq!(routes.segment_of(0), [1, 2, 3, 4], "multicast stays in the village");
    DirectedLink::both(bridge).into_iter().for_each(|directed| routes.set_link_up(directed, false));
    for (from, to) in (0..20).flat_map(|from| (0..20).map(move |to| (from, to))) {
        assert_eq!(routes.route(from, to).is_some(), (from < 5) == (to < 5), "{from} to {to}");
    }
}

/// The mean share of a node's pairs of neighbours that are linked themselves.
fn clustering(topology: &Topology) -> f64 {
    let mut around = vec![BTreeSet::new(); topology.nodes.len()];
    for link in &topology.links {
        around[link.a as usize].insert(link.b);
        around[link.b as usize].insert(link.a);
    }
    let of_node = |near: &BTreeSet<u32>| {
        let linked = near.iter().map(|a| near.range(a + 1..).filter(|b| around[*a as usize].contains(b)).count());
        2.0 * linked.sum::<usize>() as f64 / (near.len() * (near.len() - 1)).max(1) as f64
    };
    around.iter().map(of_node).sum::<f64>() / around.len() as f64
}

#[test]
fn small_worlds_are_clustered_as_watts_and_strogatz_say() {
    for k in [2u32, 4, 6, 10] {
        let lattice = make(&format!("kind = \"small_world\"\nnodes = 200\nneighbours = {k}\nrewired_ppm = 0"), 1);
        let expected = 3.0 * f64::from(k - 2) / (4.0 * f64::from(k - 1));
        assert!((clustering(&lattice) - expected).abs() < 1e-12, "K = {k}: {}", clustering(&lattice));
        assert_eq!(lattice.degrees(), vec![k; 200]);
    }
    // With moved links a triangle survives if none of its three moved: (1 − p)³ (Barrat and Weigt 2000).
    for seed in 0..5 {
        let moved = make("kind = \"small_world\"\nnodes = 2000\nneighbours = 10\nrewired_ppm = 100000", seed);
        let expected = 3.0 * 8.0 / (4.0 * 9.0) * 0.9f64.powi(3);
        let found = clustering(&moved);
        assert!((found / expected - 1.0).abs() < 0.04, "seed {seed}: {found}, not {expected}");
        assert_eq!(moved.links.len(), 10_000);
    }
}

#[test]
fn a_wireless_neighbourhood_has_as_many_neighbours_as_geometry_says() {
    let (nodes, q) = (2000.0, 0.06f64);
    let expected = (nodes - 1.0) * (std::f64::consts::PI * q.powi(2) - 8.0 / 3.0 * q.powi(3) + q.powi(4) / 2.0);
    let text = "kind = \"geometric\"\nnodes = 2000\nside_m = 5000\nrange_m = 300";
    let degrees: Vec<f64> = (0..5)
        .map(|seed| {
            let topology = make(text, seed);
            let in_range = topology.links.iter().filter(|link| {
                let [a, b] = [link.a, link.b].map(|end| topology.nodes[end as usize].position.unwrap());
                a.square_to(b) <= 30_000 * 30_000
            });
            2.0 * in_range.count() as f64 / nodes
        })
        .collect();
    let mean = degrees.iter().sum::<f64>() / 5.0;
    assert!((mean / expected - 1.0).abs() < 0.015, "{degrees:?}, not {expected}");
}

#[test]
fn farther_radios_are_slower_and_lose_more() {
    let text = "kind = \"geometric\"\nnodes = 150\nside_m = 2000\nrange_m = 200";
    let topology = make(text, 3);
    let mut by_distance: Vec<(u64, u64, u32)> = topology
        .links
        .iter()
        .map(|link| {
            let [a, b] = [link.a, link.b].map(|end| topology.nodes[end as usize].position.unwrap());
            (a.square_to(b), link.quality.rate_bytes_per_s, link.quality.loss.mean_ppm())
        })
        .collect();
    by_distance.sort_unstable();
    assert!(by_distance.windows(2).all(|two| two[0].1 >= two[1].1 && two[0].2 <= two[1].2));
    let best = Preset::MeshRadio.quality().rate_bytes_per_s;
    let (first, last) = (by_distance[0], by_distance[by_distance.len() - 1]);
    assert_eq!((first.1, last.1), (best, (best as f64 / libm::log2(65.0)) as u64), "a sixth is left at the end");
    assert!(last.0 > 20_000 * 20_000, "this seed needed a longer link");
    assert_eq!(last.2, 51_000);
}

#[test]
fn the_missing_links_added_are_the_shortest() {
    for seed in 0..20 {
        let topology = make("kind = \"geometric\"\nnodes = 40\nside_m = 1000\nrange_m = 100", seed);
        let square = |a: u32, b: u32| {
            let [a, b] = [a, b].map(|end| topology.nodes[end as usize].position.unwrap());
            a.square_to(b)
        };
        // Kruskal's tree over all pairs holds the same sum of longer links.
        let mut all: Vec<(u64, u32, u32)> =
            (0..40).flat_map(|b| (0..b).map(move |a| (a, b))).map(|(a, b)| (square(a, b), a, b)).collect();
        all.sort_unstable();
        let mut components = Components::new(40);
        let mut expected: Vec<u64> = all.iter().filter(|(_, a, b)| components.join(*a, *b)).map(|(s, ..)| *s).collect();
        expected.retain(|square| *square > 10_000 * 10_000);
        let mut found: Vec<u64> = topology.links.iter().map(|link| square(link.a, link.b)).collect();
        found.retain(|square| *square > 10_000 * 10_000);
        found.sort_unstable();
        assert_eq!(found, expected, "seed {seed}");
    }
}

#[test]
fn neighbours_share_air() {
    let text = "kind = \"geometric\"\nnodes = 200\nside_m = 1000\nrange_m = 250";
    let topology = make(text, 3);
    let cell = |end: u32| {
        let place = topology.nodes[end as usize].position.unwrap();
        format!("air-{}-{}", place.x_cm / 25_000, place.y_cm / 25_000)
    };
    for link in &topology.links {
        let names: BTreeSet<&str> =
            link.channels.iter().map(|channel| topology.channels[*channel as usize].name.as_str()).collect();
        assert_eq!(names, BTreeSet::from([cell(link.a).as_str(), cell(link.b).as_str()]));
        for channel in &link.channels {
            let airtime = topology.channels[*channel as usize].airtime_permille(link.quality.rate_bytes_per_s);
            assert!((1000..=6030).contains(&airtime), "{airtime}");
        }
    }
    assert_eq!(topology.channels.len(), 16);
    assert_eq!(make(&format!("{text}\nair = \"all\""), 3).channels.len(), 1);
    let none = make(&format!("{text}\nair = \"none\""), 3);
    assert!(none.channels.is_empty() && none.links.iter().all(|link| link.channels.is_empty()));
}

#[test]
fn places_are_drawn_again_until_all_are_connected_or_refused() {
    let redrawn = make("kind = \"geometric\"\nnodes = 60\nside_m = 1000\nrange_m = 230\nconnect = \"redraw\"", 2);
    assert!(redrawn.is_connected());
    let never = plan("kind = \"geometric\"\nnodes = 60\nside_m = 1000\nrange_m = 20\nconnect = \"redraw\"").make(2);
    assert_eq!(never, Err(TopologyError::NeverConnected { tries: 100 }));
}

#[test]
fn scale_free_degrees_follow_the_power_law() {
    let (nodes, m) = (10_000u32, 3u32);
    for seed in 0..3 {
        let topology = make(&format!("kind = \"scale_free\"\nnodes = {nodes}\nlinks_each = {m}"), seed);
        assert_eq!(topology.links.len() as u32, m * (m + 1) / 2 + (nodes - m - 1) * m);
        let degrees = topology.degrees();
        // Exactly 2m(m + 1) ÷ k(k + 1)(k + 2) have degree k in the limit (Bollobás and others 2001).
        for k in m..m + 6 {
            let found = degrees.iter().filter(|degree| **degree == k).count() as f64 / f64::from(nodes);
            let expected = f64::from(2 * m * (m + 1)) / f64::from(k * (k + 1) * (k + 2));
            assert!((found - expected).abs() < 0.012, "seed {seed}: {found} have {k}, not {expected}");
        }
        // The largest grows as m √n.
        let largest = f64::from(*degrees.iter().max().unwrap()) / (f64::from(m) * f64::from(nodes).sqrt());
        assert!((0.4..2.5).contains(&largest), "seed {seed}: {largest} of m √n");
        assert_eq!(degrees.iter().min(), Some(&m));
    }
}

#[test]
fn links_of_several_kinds_are_mixed_by_weight() {
    let text = "kind = \"ring\"\nnodes = 10000\n\
                links = [{ preset = \"wifi\", weight = 3 }, { rate = \"10 Mbit/s\", latency_ms = 5, weight = 1, channel = 7 }]";
    let ring = make(text, 1);
    let wifi = ring.links.iter().filter(|link| link.quality == Preset::Wifi.quality()).count();
    assert!((7300..7700).contains(&wifi), "{wifi}");
    assert_eq!(ring.channels.len(), 1);
    assert_eq!((ring.channels[0].name.as_str(), ring.channels[0].rate_bytes_per_s), ("channel-7", 1_250_000));
    assert!(ring.links.iter().all(|link| link.channels.is_empty() == (link.quality == Preset::Wifi.quality())));
}

#[test]
fn parameters_outside_their_range_are_refused_with_a_reason() {
    let cases = [
        ("kind = \"ring\"\nnodes = 2", "`nodes` is 2"),
        ("kind = \"segment\"\nnodes = 100000", "100001 nodes are too many; at most 100000"),
        ("kind = \"grid\"\ncolumns = 70000\nrows = 70000", "4900000000 nodes are too many"),
        ("kind = \"grid\"\ncolumns = 0\nrows = 7", "`nodes` is 0"),
        ("kind = \"tree\"\nnodes = 5\ngateways = 6", "`gateways` is 6; allowed is 1 to `nodes`"),
        ("kind = \"tree\"\nnodes = 5\nchildren = 0", "`children` is 0"),
        ("kind = \"small_world\"\nnodes = 10\nneighbours = 3", "`neighbours` is 3; allowed is even"),
        ("kind = \"small_world\"\nnodes = 10\nneighbours = 10", "`neighbours` is 10"),
        ("kind = \"small_world\"\nnodes = 100000\nneighbours = 10", "500000 links are too many"),
        ("kind = \"scale_free\"\nnodes = 3\nlinks_each = 3", "`links_each` is 3"),
        ("kind = \"two_villages\"\nnodes = 9\nfirst = 9", "`first` is 9"),
        ("kind = \"geometric\"\nnodes = 9\nside_m = 0\nrange_m = 5", "`side_m` is 0"),
        ("kind = \"geometric\"\nnodes = 10000\nside_m = 10\nrange_m = 50", "links are too many; at most 200000"),
    ];
    for (text, reason) in cases {
        let error = plan(text).make(1).unwrap_err().to_string();
        assert!(error.contains(reason), "{text}\ngave: {error}");
    }
    for (text, reason) in [
        ("kind = \"moebius\"\nnodes = 3", "unknown variant `moebius`"),
        ("kind = \"line\"\nnodes = 3\nwidth = 2", "unknown field `width`"),
        ("kind = \"line\"\nnodes = 3\nlinks = [{ preset = \"lan\", rate = 0 }]", "`rate` is 0"),
    ] {
        let error = toml::from_str::<TopologyPlan>(text).unwrap_err().to_string();
        assert!(error.contains(reason), "{text}\ngave: {error}");
    }
}

#[test]
fn a_plan_survives_a_file() {
    let text =
        "kind = \"geometric\"\nnodes = 20\nside_m = 100\nrange_m = 30\nair = \"all\"\nlinks = [{ preset = \"wifi\" }]";
    let TopologyPlan::Geometric(geometric) = plan(text) else { panic!("it says geometric") };
    assert_eq!(geometric.links, [LinkChoice::preset(Preset::Wifi)]);
    assert!(matches!(geometric.links[0].quality.loss, Loss::GilbertElliott { .. }));
    let plan = TopologyPlan::Geometric(geometric);
    assert_eq!(toml::from_str::<TopologyPlan>(&toml::to_string(&plan).unwrap()).unwrap(), plan);
}
