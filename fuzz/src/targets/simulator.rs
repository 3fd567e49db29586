//! Files that a person gives the simulator: scenarios, plans of faults, maps of networks, traces, results of others.

use mesh_sim::fault::FaultPlan;
use mesh_sim::link::Preset;
use mesh_sim::result::{Measured, Results};
use mesh_sim::scenario::Scenario;
use mesh_sim::topology::export::{graphml, netjson, node_link};
use mesh_sim::topology::import::{Format, IMPORT_BYTES_MAX, read};
use mesh_sim::topology::{Link, Node, RadioChannel, Role, Topology};
use mesh_sim::workload::Trace;

use crate::memory::within;
use crate::{Seed, Target, input};

/// A file may take so many times its bytes while it is read: values of TOML and JSON are larger than what they are written in.
const FILE_TIMES_MAX: usize = 400;
/// Besides: a list of seeds may name a hundred thousand in a few letters.
const FILE_BYTES_MAX: usize = 4 << 20;

pub const SCENARIO: Target =
    Target { name: "sim-scenario", input_bytes_max: 8 * 1024, check: check_scenario, seeds: scenarios };
pub const FAULTS: Target = Target { name: "sim-faults", input_bytes_max: 4 * 1024, check: check_faults, seeds: faults };
pub const NETJSON: Target =
    Target { name: "map-json", input_bytes_max: 8 * 1024, check: |bytes| check_map(Format::Json, bytes), seeds: json };
pub const GRAPHML: Target = Target {
    name: "map-graphml",
    input_bytes_max: 8 * 1024,
    check: |bytes| check_map(Format::GraphMl, bytes),
    seeds: xml,
};
pub const GML: Target =
    Target { name: "map-gml", input_bytes_max: 8 * 1024, check: |bytes| check_map(Format::Gml, bytes), seeds: gml };
pub const TRACE: Target = Target { name: "sim-trace", input_bytes_max: 4 * 1024, check: check_trace, seeds: traces };
pub const RESULTS: Target =
    Target { name: "sim-results", input_bytes_max: 8 * 1024, check: check_results, seeds: results };

fn bounded<T>(bytes: &[u8], work: impl FnOnce() -> T) -> T {
    within(FILE_TIMES_MAX * bytes.len() + FILE_BYTES_MAX, work)
}

fn check_scenario(bytes: &[u8]) {
    let text = input::text(bytes);
    let Ok(scenario) = bounded(bytes, || Scenario::from_toml(&text)) else { return };
    assert_eq!(Scenario::from_toml(&scenario.to_toml()).as_ref(), Ok(&scenario), "what is printed reads back");
    assert_eq!(scenario.fault_plan().validate(), Ok(()));
}

fn check_faults(bytes: &[u8]) {
    let text = input::text(bytes);
    let Ok(plan) = bounded(bytes, || FaultPlan::from_toml(&text)) else { return };
    let again = FaultPlan::from_toml(&plan.to_toml());
    assert_eq!(again.map(FaultPlan::numbered), Ok(plan.numbered()), "what is printed reads back");
}

fn check_map(format: Format, bytes: &[u8]) {
    assert!(bytes.len() <= IMPORT_BYTES_MAX);
    match bounded(bytes, || read(format, bytes, &Preset::Lan.quality())) {
        Ok(topology) => {
            assert_eq!(topology.check(), Ok(()));
            let written = node_link(&topology);
            let again = read(Format::Json, written.as_bytes(), &Preset::Lan.quality());
            assert_eq!(again.as_ref(), Ok(&topology), "what is written reads back: {written}");
        }
        Err(error) => assert!(error.to_string().len() < 1000, "an error as long as its file"),
    }
}

fn check_trace(bytes: &[u8]) {
    let text = input::text(bytes);
    match bounded(bytes, || Trace::from_csv(&text)) {
        Ok(trace) => {
            assert!(trace.rows().windows(2).all(|pair| pair[0].at <= pair[1].at));
            assert!(trace.rows().len() <= text.lines().count());
        }
        Err(error) => assert!(error.line >= 1 && error.line <= text.lines().count().max(1)),
    }
}

fn check_results(bytes: &[u8]) {
    let text = input::text(bytes);
    let Ok(results) = bounded(bytes, || Results::from_json(&text)) else { return };
    let again = Results::from_json(&results.to_json());
    assert_eq!(again.ok().as_ref(), Some(&results), "what is printed reads back");
}

fn scenarios() -> Vec<Seed> {
    let least = "name = \"least\"\nquestion = \"?\"\nduration_s = 60\n[topology]\nkind = \"segment\"\nnodes = 2\n\
                 links = [{ preset = \"lan\" }]\n";
    let least = Scenario::from_toml(least).unwrap_or_else(|error| panic!("{error}"));
    let drawn = |seed: u64| {
        let case = mesh_sim::experiment::hunt::case(seed).unwrap_or_else(|error| panic!("case {seed}: {error}"));
        let mut short = case.clone();
        short.faults.truncate(3);
        Seed::new(format!("case-{seed}"), short.to_toml())
    };
    [Seed::new("least", least.to_toml())].into_iter().chain([1, 2, 3].map(drawn)).collect()
}

fn faults() -> Vec<Seed> {
    let plan = |seed: u64| {
        let case = mesh_sim::experiment::hunt::case(seed).unwrap_or_else(|error| panic!("case {seed}: {error}"));
        let mut plan = case.fault_plan();
        plan.faults.truncate(6);
        Seed::new(format!("case-{seed}"), plan.to_toml())
    };
    [4, 5, 6].map(plan).to_vec()
}

fn topology() -> Topology {
    let node =
        |name: &str, role| Node { name: name.to_owned(), label: Some(format!("{name} & co")), role, position: None };
    let link = |a, b, preset: Preset, back: Option<Preset>| Link {
        a,
        b,
        quality: preset.quality(),
        back: back.map(|preset| preset.quality()),
        channels: vec![0],
    };
    Topology {
        nodes: vec![node("a", Role::Peer), node("b", Role::Gateway), node("c", Role::Switch)],
        links: vec![link(0, 1, Preset::Lan, None), link(1, 2, Preset::Lan, Some(Preset::ALL[3]))],
        channels: vec![RadioChannel { name: "<north>".to_owned(), rate_bytes_per_s: 5 }],
    }
}

fn json() -> Vec<Seed> {
    vec![Seed::new("netjson", netjson(&topology())), Seed::new("node-link", node_link(&topology()))]
}

fn xml() -> Vec<Seed> {
    vec![Seed::new("graphml", graphml(&topology()))]
}

/// There is no writer of GML: what Shadow reads.
fn gml() -> Vec<Seed> {
    let text = "graph [\n  directed 0\n  node [ id 0 label \"a &amp; b\" host_bandwidth_up \"1 Mbit\" ]\n  node [ id 1 \
                graphics [ x 1.5 fill [ r 2 ] ] ]\n  node [ id 2 ]\n  edge [ source 0 target 1 latency \"50 ms\" jitter \
                \"10 ms\" packet_loss 0.01 ]\n  edge [ source 1 target 2 latency \"1 us\" LinkSpeedRaw 64000.0 ]\n]\n";
    vec![Seed::new("shadow", text)]
}

fn traces() -> Vec<Seed> {
    let text = "time_s,node,action,content,bytes\n0,0,share,17,1048576\n0,0,announce,17,\n12.5,3,get,17,\n\
                60,0,update,17,1050000\n90,3,leave,,\n";
    vec![Seed::new("all", text)]
}

fn results() -> Vec<Seed> {
    let mut results = Results::new("least", "what is it?").unwrap_or_else(|error| panic!("{error}"));
    for seed in 1..3 {
        let mut run = Measured::new(seed);
        let filled = run
            .set_parameter("nodes", "2")
            .and_then(|()| run.set_scalar("speed", 1.5, "MB/s"))
            .and_then(|()| run.set_count("gets", 7))
            .and_then(|()| run.add_to_sample("time", 0.25, "s"))
            .and_then(|()| run.add_to_series("held", 5_000_000_000, 3.0, "bytes"));
        filled.unwrap_or_else(|error| panic!("{error}"));
        results.add(run).unwrap_or_else(|error| panic!("{error}"));
    }
    vec![Seed::new("two-runs", results.to_json())]
}
