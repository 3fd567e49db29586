//! What is written is read again as it was, in every format.

use proptest::prelude::{Strategy, any, prop};
use proptest::{prop_assert_eq, proptest};

use super::super::graph::{Link, Node, Position, RadioChannel, Role, Topology};
use super::super::import::{Format, read};
use super::super::make::TopologyPlan;
use super::{graphml, netjson, node_link};
use crate::link::{Latency, LinkQuality, Preset};

type Writer = fn(&Topology) -> String;

const WRITERS: [(Format, Writer); 3] = [(Format::Json, netjson), (Format::Json, node_link), (Format::GraphMl, graphml)];

fn read_again(format: Format, text: &str) -> Topology {
    let unused = LinkQuality::new(Latency::Constant { time_ns: 1 }, 1);
    read(format, text.as_bytes(), &unused).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

#[test]
fn made_topologies_survive_every_format() {
    for plan in [
        "kind = \"geometric\"\nnodes = 50\nside_m = 1000\nrange_m = 200",
        "kind = \"tree\"\nnodes = 20\ngateways = 2",
        "kind = \"two_villages\"\nnodes = 10\nlinks = [{ preset = \"satellite_leo_pass\", channel = 3 }]",
        "kind = \"line\"\nnodes = 1",
    ] {
        let topology = toml::from_str::<TopologyPlan>(plan).unwrap().make(3).unwrap();
        for (format, write) in WRITERS {
            let text = write(&topology);
            assert_eq!(read_again(format, &text), topology, "{text}");
        }
    }
}

fn topologies() -> impl Strategy<Value = Topology> {
    let node = (any::<String>(), prop::option::of("\\PC{1,9}"), 0usize..4, prop::option::of(any::<(i16, i16)>()));
    let nodes = prop::collection::vec(node, 1..8);
    let links = prop::collection::vec((any::<u32>(), any::<u32>(), 0usize..10, 0usize..11, any::<bool>()), 0..12);
    (nodes, links).prop_map(|(nodes, links)| {
        let count = nodes.len() as u32;
        let roles = [Role::Peer, Role::Gateway, Role::Router, Role::Switch];
        let mut nodes: Vec<Node> = (0..)
            .zip(nodes)
            .map(|(number, (name, label, role, position)): (u32, _)| {
                // What XML cannot hold is not a name that survives.
                let name = name.replace(|letter: char| letter.is_control() || letter > '\u{fffd}', "");
                let position = position.map(|(x, y)| Position { x_cm: x.into(), y_cm: y.into() });
                Node { name: format!("{number} {name}"), label, role: roles[role], position }
            })
            .collect();
        nodes.sort_by_key(|node| !node.role.runs_the_program());
        let quality = |preset: usize| Preset::ALL[preset].quality();
        let link = |(a, b, there, back, shares): (u32, u32, usize, usize, bool)| Link {
            a: a % count,
            b: b % count,
            quality: quality(there),
            back: (back < 10).then(|| quality(back)),
            channels: if shares { vec![1, 0] } else { Vec::new() },
        };
        let links = links.into_iter().map(link).filter(|link| link.a != link.b).collect();
        let channel = |name: &str| RadioChannel { name: name.to_owned(), rate_bytes_per_s: 5 };
        Topology { nodes, links, channels: vec![channel("<north>"), channel("south & west")] }
    })
}

proptest! {
    #[test]
    fn any_topology_survives_every_format(topology in topologies()) {
        prop_assert_eq!(topology.check(), Ok(()));
        for (format, write) in WRITERS {
            prop_assert_eq!(&read_again(format, &write(&topology)), &topology);
        }
    }
}

#[test]
fn figures_for_other_programs_stand_beside_ours() {
    let line = toml::from_str::<TopologyPlan>(
        "kind = \"line\"\nnodes = 2\nlinks = [{ latency_ms = 2.5, rate = \"8 Mbit/s\", loss_ppm = 300 }]",
    );
    let line = line.unwrap().make(1).unwrap();
    let graph: serde_json::Value = serde_json::from_str(&netjson(&line)).unwrap();
    assert_eq!(graph["type"], "NetworkGraph");
    assert_eq!(graph["nodes"][1]["id"], "peer-1");
    let link = &graph["links"][0];
    assert_eq!((&link["source"], &link["target"]), (&"peer-0".into(), &"peer-1".into()));
    assert_eq!(link["cost"], 2.5 + 65.536);
    assert_eq!(link["properties"]["latency_ms"], 2.5);
    assert_eq!(link["properties"]["rate_bytes_per_s"], 1_000_000);
    assert_eq!(link["properties"]["loss_ppm"], 300);

    let flat: serde_json::Value = serde_json::from_str(&node_link(&line)).unwrap();
    assert_eq!(flat["edges"][0]["latency_ms"], 2.5);
    assert_eq!((&flat["directed"], &flat["multigraph"]), (&false.into(), &true.into()));

    let xml = graphml(&line);
    assert!(xml.contains("<key id=\"loss_ppm\" for=\"edge\" attr.name=\"loss_ppm\" attr.type=\"int\"/>"));
    assert!(xml.contains("<data key=\"loss_ppm\">300</data>"));
}
