//! Files of others: what they say is understood, and what they get wrong is refused in its place.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::{any, prop};
use proptest::{prop_assert_eq, proptest};

use super::super::graph::{Position, Role, Topology};
use super::{Format, ImportError, Place, read};
use crate::link::{Latency, LinkQuality, Loss};

const MS: u64 = 1_000_000;

fn default() -> LinkQuality {
    LinkQuality::new(Latency::Constant { time_ns: 7 * MS }, 1_000_000)
}

fn good(format: Format, text: &str) -> Topology {
    read(format, text.as_bytes(), &default()).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

const SHADOW: &str = r#"
# what Shadow reads
graph [
  directed 0
  node [ id 0 label "a &amp; b" host_bandwidth_up "1 Mbit" host_bandwidth_down "2 Mbit" ]
  node [ id 1 host_bandwidth_up "8 Mbit" host_bandwidth_down "80 Mbit" graphics [ x 1.5 fill [ r 2 ] ] ]
  node [ id 2 ]
  edge [ source 0 target 0 latency "1 ms" ]
  edge [ source 0 target 1 latency "50 ms" jitter "10 ms" packet_loss 0.01 ]
  edge [ source 1 target 2 latency "1 us" packet_loss 0.0 LinkSpeedRaw 64000.0 ]
  edge [ source 2 target 1 latency "3 us" ]
]"#;

#[test]
fn a_gml_file_of_shadow_is_understood() {
    let topology = good(Format::Gml, SHADOW);
    assert_eq!((topology.nodes.len(), topology.links.len()), (3, 3), "a link to itself is left out");
    assert_eq!(topology.nodes[0].label.as_deref(), Some("a & b"));
    let [first, second, third] = &topology.links[..] else { panic!("three links") };
    let expected = LinkQuality {
        loss: Loss::Independent { ppm: 10_000 },
        ..LinkQuality::new(Latency::Uniform { min_ns: 40 * MS, max_ns: 60 * MS }, 125_000)
    };
    assert_eq!(first.quality, expected, "as fast as its first end sends");
    assert_eq!(first.back.as_ref().map(|back| back.rate_bytes_per_s), Some(250_000));
    assert_eq!((second.quality.rate_bytes_per_s, &second.quality.loss), (8000, &Loss::None));
    assert_eq!(third.quality.latency, Latency::Constant { time_ns: 3000 }, "undirected links stay side by side");
}

#[test]
fn both_directions_of_a_directed_file_become_one_link() {
    let gml = "graph [ directed 1 node [ id 5 ] node [ id \"x\" ]\
               edge [ source 5 target \"x\" latency 4 ] edge [ source \"x\" target 5 latency 9.5 ] ]";
    let graphml = r#"<?xml version="1.0"?><!DOCTYPE graphml [<!ENTITY big "xxxx">]>
        <graphml xmlns="http://graphml.graphdrawing.org/xmlns">
        <key id="d0" for="edge" attr.name="latency" attr.type="double"><default>4</default></key>
        <g:graph xmlns:g="x" edgedefault="directed"><node id="5"/><node id="x"><desc>what</desc></node>
        <edge source="5" target="x"/><edge source="x" target="5"><data key="d0">9.<![CDATA[5]]></data></edge>
        </g:graph></graphml>"#;
    let json = r#"{"type": "NetworkGraph", "nodes": [{"id": 5}, {"id": "x", "properties": {"id": 7}}],
        "links": [{"source": 5, "target": "x", "properties": {"latency": 4, "more": [{}]}},
                  {"target": 5, "source": "x", "latency_ms": 9.5}]}"#;
    for (format, text) in [(Format::Gml, gml), (Format::GraphMl, graphml), (Format::Json, json)] {
        let topology = good(format, text);
        assert_eq!(topology.nodes[1].name, "x");
        let [link] = &topology.links[..] else { panic!("{format:?}: one link of {:?}", topology.links) };
        assert_eq!(link.quality.latency, Latency::Constant { time_ns: 4 * MS }, "{format:?}");
        let back = link.back.as_ref().unwrap();
        assert_eq!((back.latency, back.rate_bytes_per_s), (Latency::Constant { time_ns: 9_500_000 }, 1_000_000));
    }
}

#[test]
fn nodes_have_roles_and_places_and_those_with_the_program_come_first() {
    let json = r#"{"nodes": [{"id": "s", "role": "switch"}, {"id": "p", "x_m": 1.25, "y_m": -3},
        {"id": "g", "role": "gateway", "label": null}, {"id": "q", "role": "boss"}], "edges": []}"#;
    let topology = good(Format::Json, json);
    let found: Vec<(&str, Role)> = topology.nodes.iter().map(|node| (node.name.as_str(), node.role)).collect();
    assert_eq!(found, [("p", Role::Peer), ("g", Role::Gateway), ("q", Role::Peer), ("s", Role::Switch)]);
    assert_eq!(topology.nodes[0].position, Some(Position { x_cm: 125, y_cm: -300 }));
}

#[test]
fn a_link_that_sends_each_frame_twice_has_half_the_rate() {
    let json = |cost: &str| {
        format!(
            "{{\"type\": \"NetworkGraph\", \"metric\": \"ETX\", \"nodes\": [{{\"id\": 1}}, {{\"id\": 2}}],
              \"links\": [{{\"source\": 1, \"target\": 2, \"cost\": {cost}}}]}}"
        )
    };
    let rate = |cost: &str| good(Format::Json, &json(cost)).links[0].quality.rate_bytes_per_s;
    let rates = ["1.0", "2", "2048", "0.5", "1e300"].map(rate);
    assert_eq!(rates, [1_000_000, 500_000, 500_000, 1_000_000, 10_000]);
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let cases = [
        (Format::Json, "{\"nodes\": [\n{\"id\": 1},\n{}]}", "line 3, column 3: missing field `id`"),
        (Format::Json, "{\"nodes\": [{\"id\": [1]}]}", "line 1, column 19: invalid type: sequence"),
        (Format::Json, "{\"nodes\": [], \"nodes\": []}", "`nodes` stands here twice"),
        (Format::Json, "{\"links\": []}", "the file: it has no `nodes`"),
        (Format::Json, "{\"type\": \"NetworkRoutes\", \"nodes\": []}", "only a NetworkGraph is read"),
        (Format::Json, "{\"nodes\": [{\"id\": 1}, {\"id\": 1}]}", "node 1 (from 0): another node has the id \"1\" too"),
        (
            Format::Json,
            "{\"nodes\": [], \"links\": [{\"source\": \"a\", \"target\": 1}]}",
            "link 0 (from 0): there is no node",
        ),
        (Format::Json, "{\"nodes\": [], \"links\": [{\"source\": 1, \"target\": 1,\n\"loss_ppm\": -1}]}", "line 2"),
        (Format::Json, "{\"nodes\": [", "line 1, column 11: EOF while parsing"),
        (Format::Gml, "graph [\n node [ label 3 ]\n]", "line 2, column 18: the node has no `id`"),
        (Format::Gml, "graph [ edge [ source 1 ] ]", "no `source` or no `target`"),
        (
            Format::Gml,
            "graph [ node [ id 1 ]\n edge [ source 1 target 9 ] ]",
            "line 2, column 6: there is no node with the id \"9\"",
        ),
        (
            Format::Gml,
            "graph [\nnode [ id 1 host_bandwidth_up \"9 apples\" ]",
            "line 2, column 31: `host_bandwidth_up` is \"9 apples\"",
        ),
        (Format::Gml, "graph [ node [ id 1 ]", "a closing bracket is missing"),
        (Format::Gml, "graph [ label \"x ]", "the text has no end"),
        (Format::Gml, "graph [ 7 ]", "here should be a key, not \"7\""),
        (Format::Gml, "graph [ label yes ]", "here should be a number, text in quotes"),
        (Format::Gml, "Creator \"me\"", "there is no `graph [`"),
        (Format::GraphMl, "<graphml>\n<graph>\n  <node/></graph></graphml>", "line 3, column 3: the node has no `id`"),
        (Format::GraphMl, "<graphml><graph><node id='1'></graph>", "line 1, column 30: "),
        (Format::GraphMl, "<graphml><graph>", "ends inside an element"),
        (Format::GraphMl, "<graphml><graph/><graph/></graphml>", "a second one, is not read"),
        (Format::GraphMl, "<graph><node id='1'><data key='k'>1</data></node></graph>", "no key \"k\" is declared"),
        (
            Format::GraphMl,
            "<graph edgedefault='directed'><edge source='1' target='2' directed='false'/></graph>",
            "directed and undirected",
        ),
        (Format::GraphMl, "<graph><hyperedge/></graph>", "hyperedges are not read"),
        (Format::GraphMl, "<a/>", "there is no `graph`"),
    ];
    let message = |format, text: &str| read(format, text.as_bytes(), &default()).unwrap_err().to_string();
    let wrong = cases.iter().map(|(format, text, reason)| (text, reason, message(*format, text)));
    let wrong: Vec<_> = wrong.filter(|(_, reason, message)| !message.contains(*reason)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let error = read(Format::Gml, b"graph [\n\xff", &default()).unwrap_err();
    assert_eq!(error.to_string(), "line 2, column 1: not UTF-8");
}

#[test]
fn hostile_sizes_and_depths_are_refused() {
    let deep_gml = format!("graph [ {}", "a [ ".repeat(100_000));
    let deep_json = format!("{{\"nodes\": {}", "[".repeat(100_000));
    let deep_xml = "<graph>".to_owned() + &"<a>".repeat(100_000);
    let many_nodes: String = (0..100_001).map(|id| format!("node[id {id}]")).collect();
    let many_keys = (0..300).map(|id| format!("<key id='{id}'/>")).collect::<String>();
    let many_doubles = format!("<graph><node {}/></graph>", "id='1' ".repeat(200_000));
    let long_default =
        format!("<graphml><key id='l' for='node'><default>{}</default></key></graphml>", "x".repeat(2000));
    let long_name = format!("graph [ node [ id \"{}\" ] ]", "x".repeat(300));
    for (format, text, reason) in [
        (Format::Gml, deep_gml, "lists nest too deep"),
        (Format::Json, deep_json, "invalid type: sequence"),
        (Format::GraphMl, deep_xml, "elements nest too deep"),
        (Format::Gml, format!("graph [{many_nodes}]"), "100001 nodes are too many"),
        (Format::GraphMl, format!("<graphml>{many_keys}</graphml>"), "more than 200 keys"),
        (Format::Gml, long_name, "at most 255 bytes"),
        (Format::GraphMl, long_default, "a default of more than 1024 bytes"),
    ] {
        let error = read(format, text.as_bytes(), &default()).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
        assert!(error.len() < 300, "{error}");
    }
    assert_eq!(good(Format::GraphMl, &many_doubles).nodes.len(), 1);
    let long_label = format!("graph [ node [ id 1 label \"{}\" ] ]", "ä".repeat(300));
    let label = good(Format::Gml, &long_label).nodes[0].label.clone();
    assert_eq!(label, Some("ä".repeat(127)), "a long label is cut at a letter");
    let entities = "<!DOCTYPE g [<!ENTITY a 'aaaaaaaaaa'>]><graph><node id='x'/>&a;&a;</graph>";
    assert_eq!(good(Format::GraphMl, entities).nodes.len(), 1);
    let long = vec![b' '; super::IMPORT_BYTES_MAX + 1];
    let error = read(Format::Json, &long, &default()).unwrap_err();
    assert_eq!(error.place, Place::File);
}

#[test]
fn a_mark_of_utf_8_is_passed_over() {
    for (format, text) in [(Format::Json, JSON), (Format::GraphMl, XML), (Format::Gml, SHADOW)] {
        assert_eq!(good(format, &format!("\u{feff}{text}")), good(format, text));
    }
}

#[test]
fn names_tell_formats() {
    let found = ["a.json", "b.c.GraphML", "d.xml", "e.gml", "f.txt", "g"].map(Format::of_name);
    let [json, xml, gml] = [Format::Json, Format::GraphMl, Format::Gml].map(Some);
    assert_eq!(found, [json, xml, xml, gml, None, None]);
}

const XML: &str = r#"<graphml><key id="d0" for="edge" attr.name="latency"/><key id="d1" for="node" attr.name="label"/>
    <graph edgedefault="directed"><node id="a"><data key="d1">A &amp; B&#33;</data></node><node id="b"/>
    <edge source="a" target="b"><data key="d0">5 ms</data></edge></graph></graphml>"#;
const JSON: &str = r#"{"type":"NetworkGraph","metric":"ETX","nodes":[{"id":"a","label":"é","properties":{"x_m":1}},{"id":"b"}],
    "links":[{"source":"a","target":"b","cost":1.5,"properties":{"latency":"5 ms","mesh_channels":[0],
    "mesh_quality":{"latency":"1 ms","rate":5}}}],"properties":{"mesh_channels":[{"name":"n","rate_bytes_per_s":1}]}}"#;

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for format in [Format::Json, Format::GraphMl, Format::Gml] {
            let read: Result<Topology, ImportError> = read(format, &bytes, &default());
            prop_assert_eq!(read.map_or(Ok(()), |topology| topology.check()), Ok(()));
        }
    }

    #[test]
    fn no_change_of_a_good_file_makes_a_reader_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0u8..4, any::<u8>()), 1..6),
    ) {
        for (format, text) in [(Format::Json, JSON), (Format::GraphMl, XML), (Format::Gml, SHADOW)] {
            good(format, text);
            let mut bytes = text.as_bytes().to_vec();
            for (place, kind, byte) in &changes {
                let at = place.index(bytes.len());
                match kind {
                    0 => bytes[at] = *byte,
                    1 => bytes.insert(at, *byte),
                    2 => bytes.truncate(at.max(1)),
                    _ => bytes.extend_from_within(at..),
                }
            }
            let read = read(format, &bytes, &default());
            prop_assert_eq!(read.map_or(Ok(()), |topology| topology.check()), Ok(()));
        }
    }
}

/// Samples of real programs lie beside the repository, where they are there at all: they are not ours to copy.
fn sample(name: &str) -> Option<Vec<u8>> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures");
    let folder = std::env::var_os("MESH_FIXTURES").map_or_else(beside, PathBuf::from);
    let bytes = fs::read(folder.join("mesh").join(name)).ok();
    if bytes.is_none() {
        println!("skipped: the sample {name} is not there; MESH_FIXTURES names its folder");
    }
    bytes
}

#[test]
fn a_netjson_file_of_netdiff_is_understood() {
    let Some(bytes) = sample("netjson-networkgraph.json") else { return };
    let topology = read(Format::Json, &bytes, &default()).unwrap();
    let labels: Vec<Option<&str>> = topology.nodes.iter().map(|node| node.label.as_deref()).collect();
    assert_eq!(labels, [Some("nodeA"), Some("nodeB"), None]);
    // The costs 28334 and 1024 are in units of 1/1024: every frame is sent 27.7 times, and once.
    let rates: Vec<u64> = topology.links.iter().map(|link| link.quality.rate_bytes_per_s).collect();
    assert_eq!(rates, [36_140, 1_000_000]);
}

#[test]
fn files_of_other_kinds_are_refused_and_not_misread() {
    for name in ["batadv-vis.jsondoc.json", "olsrd-0.6-jsoninfo.json", "bmx6-b6m.json"] {
        let Some(bytes) = sample(name) else { continue };
        let error = read(Format::Json, &bytes, &default()).unwrap_err();
        assert!(!error.to_string().is_empty(), "{name}");
    }
}
