//! Scenarios hold, and are the same run in two processes, whoever watches.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use mesh_sim::scenario::Scenario;

/// Runs a scenario in a process of its own, and gives what it printed.
fn run(name: &str, set: &[&str], folder: &Path) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-sim"));
    command.args(["run", name, "--seeds", "1..3", "--json", "--quiet", "--output"]).arg(folder);
    for assignment in set {
        command.args(["--set", assignment]);
    }
    let output = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} {set:?}: {said}");
    String::from_utf8(output.stdout).expect("JSON is text")
}

/// A scenario, made small enough for every change: it holds over three seeds, and a second process prints the same,
/// digests included. The full set is a command, `cargo xtask sim docs`.
fn holds(name: &str, set: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    let first = run(name, set, &folder.path().join("first"));
    assert!(first.contains("\"digest\""), "{name} says its digest");
    let second = run(name, set, &folder.path().join("second"));
    assert!(first == second, "{name} {set:?} is another run each time: compare with `cargo xtask sim replay {name}`");
}

macro_rules! scenarios {
    ($($test:ident: $name:literal, $set:expr;)*) => {
        $(#[test]
        fn $test() {
            holds($name, &$set);
        })*

        /// The scenarios that are run above.
        const RUN: &[&str] = &[$($name),*];
    };
}

scenarios! {
    churn_as_in_bittorrent_holds: "churn-bittorrent",
        ["topology.nodes=20", "catalogue.contents=10", "duration_s=3600"];
    churn_as_in_kad_holds: "churn-kad", ["topology.nodes=20", "catalogue.contents=10", "duration_s=3600"];
    a_flash_crowd_holds: "flash-crowd", ["topology.nodes=9", "catalogue.size_bytes=50_000_000"];
    full_disks_hold: "full-disks",
        ["topology.nodes=12", "catalogue.size_bytes=1_000_000", "faults.0.select.nodes=[2, 5, 8, 11]"];
    gateway_outages_hold: "gateway-outages",
        ["topology.nodes=14", "duration_s=2400", "activities.0.until_s=1500", "faults.0.until_s=1500"];
    an_hour_holds: "hour", ["topology.nodes=20", "duration_s=600", "expect.0.at_least=1e8"];
    leavers_hold: "leavers",
        ["topology.nodes=12", "catalogue.size_bytes=4_000_000", "faults.0.at_s=91", "faults.0.select.nodes=[3, 7]"];
    liars_and_flooders_hold: "liars-and-flooders",
        ["topology.nodes=14", "catalogue.size_bytes=2_000_000", "faults.0.select.nodes=[5]", "faults.1.select.nodes=[9]",
         "activities.0.times=2"];
    a_newcomer_holds: "newcomer",
        ["topology.nodes=41", "node.newcomers.who.nodes=[40]", "catalogue.contents=20"];
    a_newcomer_without_multicast_holds: "newcomer-without-multicast",
        ["topology.nodes=41", "node.newcomers.who.nodes=[40]", "catalogue.contents=20"];
    slow_links_hold: "slow-links", [];
    two_villages_hold: "two-villages",
        ["topology.nodes=12", "duration_s=2400", "catalogue.over_s=900", "catalogue.contents=12",
         "activities.0.until_s=1200", "faults.0.duration_s=900"];
    wrong_clocks_hold: "wrong-clocks", [];
}

#[test]
fn every_scenario_can_be_read_is_run_and_says_what_it_is_named() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    for entry in std::fs::read_dir(folder).expect("lists") {
        let path = entry.expect("lists").path();
        let text = std::fs::read_to_string(&path).expect("reads");
        let scenario = Scenario::from_toml(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(path.file_stem().and_then(|name| name.to_str()), Some(scenario.name.as_str()));
        assert!(!scenario.expect.is_empty(), "{} expects nothing", scenario.name);
        assert_eq!(Scenario::from_toml(&scenario.to_toml()).as_ref(), Ok(&scenario), "{} reads back", scenario.name);
        assert!(RUN.contains(&&*scenario.name), "{} is run by no test", scenario.name);
    }
}

/// What the program says to these words.
fn program(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mesh-sim")).args(words).output().expect("it runs")
}

/// A scenario of two nodes that does next to nothing.
const TINY: &str = "name = \"tiny\"\nquestion = \"?\"\nduration_s = 2\nsettled_s = 1\nseeds = \"1..2\"\n\
    [topology]\nkind = \"segment\"\nnodes = 2\nlinks = [{ preset = \"lan\" }]\n\
    [node]\nstart = { within_s = 0 }\n";

/// The same as a file in a folder, with more at its end.
fn tiny(folder: &Path, more: &str) -> String {
    let path = folder.join("tiny.toml");
    std::fs::write(&path, format!("{TINY}{more}")).expect("writes");
    path.to_string_lossy().into_owned()
}

#[test]
fn the_example_in_the_documentation_is_a_scenario() {
    let text = include_str!("../src/scenario/mod.rs");
    let example = text.split("```").find_map(|part| part.strip_prefix("toml\n")).expect("there is one");
    let example: Vec<&str> = example.lines().map(|line| line.trim_start_matches("//!").trim_start()).collect();
    let scenario = Scenario::from_toml(&example.join("\n")).expect("it reads");
    scenario.build(1, &BTreeMap::new()).expect("it has a world");
}

#[test]
fn what_can_be_refused_is_refused_before_the_first_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let (scenario, output) = (tiny(folder.path(), ""), folder.path().join("out"));
    let output = output.to_string_lossy();
    let missing = folder.path().join("not/there.toml").to_string_lossy().into_owned();
    let nodes = "topology.nodes=2,2";
    for (words, why) in [
        (vec!["sweep", &*scenario, "--over", nodes, "-o", &*output], "twice with the same parameters"),
        (
            vec!["sweep", &*scenario, "--over", "settled_s=1", "--over", "settled_s=0", "-o", &*output],
            "settled_s is there already",
        ),
        (vec!["run", &*scenario, "--set", "topology.nodes=0", "-o", &*output], "there is no world of seed 1"),
        (vec!["run", &*scenario, "--set", "topology.nodes=abc", "-o", &*output], "can't be set to `abc`"),
        (vec!["run", &*scenario, "--set", "name=\"-x\"", "-o", &*output], "the first no -"),
        (vec!["run", &*missing, "-o", &*output], "no such file"),
    ] {
        let done = program(&words);
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.code() == Some(2) && said.contains(why), "{words:?}: {said}");
        assert!(!said.contains("FAILED") && done.stdout.is_empty(), "{words:?}: {said}");
    }
    let long = format!("question=\"{}\"", "?".repeat(2000));
    assert_eq!(program(&["run", &scenario, "--set", &long]).status.code(), Some(2));
}

#[test]
fn a_comparison_says_what_did_not_hold_and_refuses_to_change_a_result() {
    let folder = tempfile::tempdir().expect("a folder");
    let holds = tiny(folder.path(), "");
    let made = folder.path().join("made").to_string_lossy().into_owned();
    assert!(program(&["run", &holds, "-q", "-o", &made]).status.success());
    let compared = program(&["compare", &made, &holds, "-q", "--set-b", "multicast=false"]);
    assert!(compared.status.success(), "{}", String::from_utf8_lossy(&compared.stderr));
    for words in [["--seeds", "1"], ["--set", "duration_s=3"]] {
        let refused = program(&[&["compare", &made, &holds][..], &words].concat());
        assert_eq!(refused.status.code(), Some(2), "{words:?}");
        assert!(String::from_utf8_lossy(&refused.stderr).contains("is a result"), "{words:?}");
    }
    let fails = tiny(folder.path(), "[[expect]]\nmeasure = \"moved_bytes\"\nat_least = 1\n");
    let compared = program(&["compare", &made, &fails, "-q"]);
    assert_eq!(compared.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&compared.stdout).contains("B: not held: mean of moved_bytes"));
}

#[test]
fn a_trace_ends_before_things_settle_and_a_replay_says_why_it_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    let scenario = tiny(folder.path(), "[[expect]]\nmeasure = \"moved_bytes\"\nat_least = 1\n");
    let trace = program(&["trace", &scenario, "--until-s", "0.5"]);
    assert!(trace.status.success() && !trace.stdout.is_empty(), "{}", String::from_utf8_lossy(&trace.stderr));
    let trace = program(&["trace", &scenario, "--type", "nothing"]);
    assert!(trace.status.success() && trace.stdout.is_empty());
    assert!(String::from_utf8_lossy(&trace.stderr).contains("passes the filters"));
    let replay = program(&["replay", &scenario]);
    let said = String::from_utf8_lossy(&replay.stdout);
    assert!(replay.status.code() == Some(1) && said.contains("moved_bytes") && said.contains("the same"), "{said}");
}

#[test]
fn a_reader_that_has_read_enough_is_no_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-sim"));
    command.args(["trace", &tiny(folder.path(), ""), "--limit", "0"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_wrong_key_is_refused_with_its_line() {
    let text = "name = \"x\"\nquestion = \"?\"\nduration_s = 10\ncolour = \"red\"\n[topology]\nkind = \"segment\"\nnodes = 3\n";
    let error = Scenario::from_toml(text).expect_err("there is no such key").to_string();
    assert!(error.contains("line 4") && error.contains("colour"), "{error}");
}

#[test]
fn a_value_is_set_by_its_path() {
    let text = "name = \"x\"\nquestion = \"?\"\nduration_s = 10\n[topology]\nkind = \"segment\"\nnodes = 3\nlinks = [{ preset = \"lan\" }]\n";
    let scenario = Scenario::from_toml(text).expect("reads");
    let set = scenario.set("topology.nodes", "7").and_then(|scenario| scenario.set("seeds", "2..4")).expect("sets");
    assert_eq!(set.seeds.all(), [2, 3, 4]);
    assert_eq!(set.topology.make(1).expect("makes").programs(), 7);
    for (path, value) in
        [("topology.colour", "3"), ("nothing.here", "3"), ("duration_s", "-1"), ("topology.links.4", "1")]
    {
        assert!(scenario.set(path, value).is_err(), "{path} = {value}");
    }
}

#[test]
fn a_real_network_is_read_from_beside_its_scenario() {
    let folder = tempfile::tempdir().expect("a folder");
    let network = r#"{"type": "NetworkGraph", "protocol": "static", "version": null, "metric": null,
        "nodes": [{"id": "a"}, {"id": "b"}, {"id": "c"}],
        "links": [{"source": "a", "target": "b", "cost": 1.0}, {"source": "b", "target": "c", "cost": 1.0}]}"#;
    std::fs::write(folder.path().join("network.json"), network).expect("writes");
    let text = "name = \"real\"\nquestion = \"Does it run?\"\nduration_s = 60\nends_when_done = true\nsettled_s = 5\n\
        [topology]\nkind = \"file\"\npath = \"network.json\"\nlink = { preset = \"wifi\" }\n[node]\nseeds = 1\n\
        [catalogue]\ncontents = 1\nsize_bytes = 100_000\npublishers = { kind = \"one\", node = 0 }\nfrom_s = 10\n\
        [[activities]]\nkind = \"flash_crowd\"\ncontent = 0\nat_s = 20\n\
        [[expect]]\nmeasure = \"done\"\nat_least = 2\n";
    let scenario = folder.path().join("real.toml");
    std::fs::write(&scenario, text).expect("writes");
    let said = run(&scenario.to_string_lossy(), &["duration_s=50"], &folder.path().join("out"));
    assert!(said.contains("\"done\": 2"), "{said}");
    std::fs::write(folder.path().join("network.json"), "{").expect("writes");
    let output = Command::new(env!("CARGO_BIN_EXE_mesh-sim")).arg("run").arg(&scenario).output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("network.json"));
}

#[test]
fn a_hunt_of_no_time_is_refused() {
    for minutes in ["0", "-1", "nan", "1e300", "soon"] {
        let argument = format!("--minutes={minutes}");
        let output = Command::new(env!("CARGO_BIN_EXE_mesh-sim")).args(["hunt", &argument]).output().expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{minutes}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("above 0"), "{minutes}");
    }
}
