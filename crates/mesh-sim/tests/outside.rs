//! What is written, read by the tools it is meant for: Vega-Lite by its schema, the trace by pyarrow or polars, snapshots by NetworkX.
//!
//! Python is `$MESH_PYTHON`, or else `/usr/bin/python3`. What it lacks is skipped with a word; but a Python that was
//! named must have altair and jsonschema, networkx, and pyarrow or polars.

use std::path::Path;
use std::process::Command;

use mesh_sim::capture::EventKind;
use mesh_sim::result::plot::{Axis, Drawn, Line, Plot, Point, Shape};
use mesh_sim::result::trace::TraceRow;
use mesh_sim::result::{Measured, Results, pictures, ring, topology, write_plot, write_trace};

/// Validates each file of a folder against the schema that altair brings; a wrong one must be refused, so that a
/// validator that accepts everything is noticed.
const VALIDATE: &str = r#"
import json, pathlib, sys
import altair, jsonschema
validator = jsonschema.Draft7Validator(altair.Root._rootschema)
files = sorted(pathlib.Path(sys.argv[1]).glob("*.vl.json"))
for file in files:
    spec = json.loads(file.read_text(encoding="utf-8"))
    validator.validate(spec)
    for part in spec.get("layer", [spec]):
        part["mark"]["type"] = "nonsense"
    assert not validator.is_valid(spec), f"{file}: a wrong mark is accepted"
print(f"{len(files)} valid by Vega-Lite {altair.SCHEMA_VERSION}")
"#;

const READ_TRACE: &str = r#"
import sys
def shown(rows): return "\n".join("|".join(str(row[name]) for name in row) for row in rows)
try:
    import pyarrow.parquet
    table = pyarrow.parquet.read_table(sys.argv[1])
    assert [str(field.type) for field in table.schema] == [
        "uint64", "string", "uint32", "uint32", "string", "string", "uint64", "uint64"], table.schema
    print(shown(table.to_pylist()))
except ImportError:
    import polars
    print(shown(polars.read_parquet(sys.argv[1]).to_dicts()))
"#;

const READ_SNAPSHOTS: &str = r#"
import json, pathlib, sys
import networkx
for file in sorted(pathlib.Path(sys.argv[1]).glob("*.graphml")):
    graph = networkx.read_graphml(file, force_multigraph=True)
    net = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    assert net["type"] == "NetworkGraph", net["type"]
    assert {node["id"]: node["properties"] for node in net["nodes"]} == dict(graph.nodes(data=True))
    assert len(net["links"]) == graph.number_of_edges()
    kinds = [figures["kind"] for _, _, figures in graph.edges(data=True)]
    running = sum(figures.get("running", False) for _, figures in graph.nodes(data=True))
    print(graph.graph["time_s"], running, kinds.count("link"), kinds.count("connection"))
"#;

/// The output of a script, or none if Python lacks a module and was not asked for by name.
fn python(modules: &str, script: &str, argument: &Path) -> Option<String> {
    let named = std::env::var("MESH_PYTHON").ok();
    let program = named.clone().unwrap_or_else(|| "/usr/bin/python3".to_owned());
    let has = Command::new(&program).args(["-c", modules]).output();
    if !has.is_ok_and(|output| output.status.success()) {
        assert!(named.is_none(), "{program} was named, and can't run `{modules}`");
        eprintln!("SKIPPED: {program} can't run `{modules}`");
        return None;
    }
    let output = Command::new(&program).args(["-c", script]).arg(argument).output().expect("it ran a moment ago");
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{error}");
    Some(out.into_owned())
}

fn results(losses: &[&str], seeds: u64) -> Results {
    let mut results = Results::new("example", "Is it drawn?").expect("a name");
    for seed in 1..=seeds {
        for loss in losses {
            let (mut run, size) = (Measured::new(seed), seed as f64 + loss.len() as f64);
            run.set_parameter("loss", loss).expect("a parameter");
            run.set_scalar("seen", size, "s").expect("a measure");
            run.set_count("lost", seed).expect("a measure");
            for number in 0..2_000_u32 {
                run.add_to_sample("completion", size * f64::from(number), "s").expect("a measure");
                run.add_to_series("known", u64::from(number) * 1_000_000, size, "bytes/s").expect("a measure");
            }
            results.add(run).expect("a run");
        }
    }
    results
}

/// Every plot there is: sweeps, bars, distributions, histograms, bands, topologies, with and without intervals.
fn all_plots() -> Vec<(String, Plot)> {
    let kinds =
        [("sweep", results(&["1", "20"], 4)), ("bars", results(&["few", "many"], 4)), ("lone", results(&["1"], 1))];
    let of = |(kind, results): &(&str, Results)| -> Vec<(String, Plot)> {
        pictures(results).into_iter().map(|(name, plot)| (format!("{kind}-{name}"), plot)).collect()
    };
    let mut plots: Vec<(String, Plot)> = kinds.iter().flat_map(of).collect();
    let mut places = ring(3_000);
    places.iter_mut().step_by(7).for_each(|place| place.group = "gateway".to_owned());
    let links = (0..9_000).map(|link| (link % 3_000, (link * 7 + 2) % 3_000)).collect();
    plots.push(("topology".to_owned(), topology("a large ring", places, links)));
    // Intervals that only some points have.
    let interval = |number: u32| (!number.is_multiple_of(3)).then_some((0.0, f64::from(number)));
    let point = |number: u32| Point { x: f64::from(number), y: f64::from(number) / 2.0, interval: interval(number) };
    let line = Line { name: "some".to_owned(), points: (0..20).map(point).collect() };
    let shape = Shape::Lines(Drawn::Band, vec![line]);
    let (x, y) = (Axis::new("time", "s"), Axis::new("rate", "bytes/s"));
    plots.push(("pieces".to_owned(), Plot { title: "in pieces".to_owned(), note: String::new(), x, y, shape }));
    plots
}

#[test]
fn specifications_are_valid_by_the_schema_of_vega_lite() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = std::env::var_os("MESH_PLOTS").map_or(folder.path().to_owned(), Into::into);
    let plots = all_plots();
    for (name, plot) in &plots {
        let [specification, _] = write_plot(plot, &folder, name).expect("a folder to write to");
        let text = std::fs::read_to_string(specification).expect("a file");
        let spec: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let rows = |part: &serde_json::Value| part["data"]["values"].as_array().map_or(0, Vec::len);
        let layers = spec["layer"].as_array().into_iter().flatten().map(rows).sum::<usize>();
        let rows = rows(&spec) + layers;
        assert!((1..=mesh_sim::result::plot::ROWS_MAX).contains(&rows), "{name} has {rows} rows");
    }
    let Some(said) = python("import altair, jsonschema", VALIDATE, &folder) else { return };
    assert!(said.starts_with(&format!("{} valid", plots.len())), "{said}");
    eprintln!("{said}");
}

#[test]
fn a_trace_is_read_as_it_was_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let row = TraceRow {
        time_ns: u64::MAX,
        kind: EventKind::Input,
        node: Some(u32::MAX),
        peer: Some(0),
        what: "have é",
        content: Some("c"),
        bytes: Some(u64::MAX - 1),
        print: 1 << 63,
    };
    let none =
        TraceRow { time_ns: 0, kind: EventKind::World, node: None, peer: None, content: None, bytes: None, ..row };
    let file = write_trace([none, row, none], folder.path()).expect("a folder to write to");
    let Some(said) = python("try:\n import pyarrow.parquet\nexcept ImportError:\n import polars", READ_TRACE, &file)
    else {
        return;
    };
    let empty = "0|world|None|None|have é|None|None|9223372036854775808\n";
    let full = "18446744073709551615|input|4294967295|0|have é|c|18446744073709551614|9223372036854775808\n";
    assert_eq!(said, format!("{empty}{full}{empty}"));
}

#[test]
fn snapshots_are_read_as_graphs() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = Command::new(env!("CARGO_BIN_EXE_mesh-sim"))
        .args(["snapshots", "flash-crowd", "--set", "topology.nodes=4", "--set", "catalogue.size_bytes=100_000"])
        .args(["--every-s=30", "-o"])
        .arg(folder.path())
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.starts_with("4 snapshots of seed 1 in "), "{said}");
    let Some(said) = python("import networkx", READ_SNAPSHOTS, folder.path()) else { return };
    let rows: Vec<&str> = said.lines().collect();
    assert_eq!(rows.len(), 4, "{said}");
    assert!(rows[0].ends_with(" 0 4 0"), "nobody runs at the start: {said}");
    assert!(rows[1].starts_with("30.0 4 ") && !rows[1].ends_with(" 0"), "{said}");
}
