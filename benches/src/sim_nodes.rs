//! The simulator with the product's nodes: what an idle node takes in memory, how long an hour of a neighbourhood takes,
//! and how fast the network is shown as data. Beside them, the time that the same hour takes in the real world: one hour.
//!
//! Each run is a process of its own, so that what it takes at most can be told.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use mesh_benches::figures::Figures;
use mesh_benches::report::{Bound, Repeating, Report};
use mesh_benches::setting;
use mesh_sim::experiment;
use mesh_sim::flow::Congestion;
use mesh_sim::scenario::Scenario;
use mesh_sim::sim::Sim;
use mesh_sim::topology::TopologyPlan;
use mesh_sim::world::node::NodeOptions;
use mesh_sim::world::wires::Wires;
use serde_json::{Value, json};

/// Nodes have found each other and said what there is to say.
const IDLE_AFTER: Duration = Duration::from_secs(120);
const MIB: f64 = 1024.0 * 1024.0;
/// The scenario whose hour is played.
const HOUR: &str = include_str!("../../crates/mesh-sim/scenarios/hour.toml");

/// Measures the simulator with the product's nodes.
#[derive(Parser)]
struct Options {
    /// How many nodes; may be given several times.
    #[arg(long, default_values_t = [200, 1_000])]
    nodes: Vec<u32>,
    #[command(flatten)]
    repeating: Repeating,
    /// One part of a run, in this process; prints its figures.
    #[arg(long, hide = true)]
    part: Option<Part>,
    /// That part's seed.
    #[arg(long, hide = true, default_value_t = 1)]
    seed: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Part {
    /// An hour, and what is resident at most in it.
    Hour,
    /// Idle nodes, and the topology as data.
    Idle,
}

#[derive(Default)]
struct Row {
    idle_kib: Figures,
    seconds: Figures,
    moved_gb: Figures,
    peak_mib: Figures,
    view_ms: Figures,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(part) = options.part {
        let nodes = options.nodes[0];
        let figures = match part {
            Part::Hour => hour(nodes, options.seed),
            Part::Idle => idle(nodes, options.seed),
        };
        println!("{figures}");
        return ExitCode::SUCCESS;
    }
    let mut rows: Vec<(u32, Row)> = options.nodes.iter().map(|nodes| (*nodes, Row::default())).collect();
    for run in 0..options.repeating.runs {
        for (nodes, row) in &mut rows {
            let part = |name: &str| in_a_process(name, *nodes, run + 1);
            let (Some(hour), Some(idle)) = (part("hour"), part("idle")) else { return ExitCode::FAILURE };
            let figure = |figures: &Value, name: &str| figures[name].as_f64().expect("a run prints its figures");
            row.seconds.add(figure(&hour, "seconds"));
            row.moved_gb.add(figure(&hour, "moved_gb"));
            row.peak_mib.add(figure(&hour, "peak_mib"));
            row.idle_kib.add(figure(&idle, "idle_kib"));
            row.view_ms.add(figure(&idle, "view_ms"));
            eprintln!("run {run}: {nodes} nodes: {hour} {idle}");
        }
    }
    report(&options, &rows)
}

fn in_a_process(part: &str, nodes: u32, seed: u32) -> Option<Value> {
    let mut command = Command::new(std::env::current_exe().expect("a program has a path"));
    command.args(["--part", part, "--nodes", &nodes.to_string(), "--seed", &seed.to_string()]);
    let output = command.output().expect("a program can call itself");
    if !output.status.success() {
        eprintln!("a run of {nodes} nodes failed: {}", String::from_utf8_lossy(&output.stderr));
        return None;
    }
    Some(serde_json::from_slice(&output.stdout).expect("a run prints JSON"))
}

fn hour(nodes: u32, seed: u64) -> Value {
    let scenario = Scenario::from_toml(HOUR).and_then(|scenario| scenario.set("topology.nodes", &nodes.to_string()));
    let scenario = scenario.expect("the scenario takes any number of nodes");
    let began = Instant::now();
    let go_on = |_, _| ControlFlow::Continue(());
    let run = experiment::run(&scenario, seed, &BTreeMap::new(), false, go_on).expect("the hour can be played");
    let seconds = began.elapsed().as_secs_f64();
    assert!(run.violations.is_empty(), "{:?}", run.violations);
    let peak = setting::resident_bytes_max();
    let moved = run.measured.value("moved_bytes").unwrap_or(0.0);
    json!({"seconds": seconds, "peak_mib": peak as f64 / MIB, "moved_gb": moved / 1e9})
}

/// What so many idle nodes add to what is resident, and how long the network they are takes to become NetJSON.
fn idle(nodes: u32, seed: u64) -> Value {
    let topology = plan(&format!("kind = \"segment\"\nnodes = {nodes}")).make(seed).expect("a segment can be made");
    let before = setting::resident_bytes();
    let mut sim = Sim::new(seed, Wires::new(topology, seed, Congestion::Bbr));
    for _ in 0..nodes {
        let member = sim.add(NodeOptions::default());
        sim.start(member);
        sim.run_for(Duration::from_millis(20_000 / u64::from(nodes)));
    }
    sim.run_for(IDLE_AFTER);
    let bytes = setting::resident_bytes().saturating_sub(before) as f64;
    let began = Instant::now();
    let text = sim.graph().netjson();
    let took = began.elapsed();
    assert!(text.len() > nodes as usize, "it names all nodes");
    json!({"idle_kib": bytes / f64::from(nodes) / 1024.0, "view_ms": took.as_secs_f64() * 1e3})
}

fn plan(text: &str) -> TopologyPlan {
    toml::from_str(text).expect("a topology's plan")
}

fn report(options: &Options, rows: &[(u32, Row)]) -> ExitCode {
    let data = rows.iter().map(|(nodes, row)| {
        json!({
            "nodes": nodes,
            "idle_kib_per_node": row.idle_kib.json(),
            "hour_seconds": row.seconds.json(),
            "hour_moved_gb": row.moved_gb.json(),
            "hour_peak_mib": row.peak_mib.json(),
            "topology_view_ms": row.view_ms.json(),
        })
    });
    let head = [
        "nodes",
        "idle, KiB a node",
        "an hour, s (real: 3,600)",
        "moved, GB",
        "at most resident, MiB",
        "as NetJSON, ms",
    ];
    let cells = |(nodes, row): &(u32, Row)| {
        let figures = [&row.idle_kib, &row.seconds, &row.moved_gb, &row.peak_mib, &row.view_ms];
        std::iter::once(nodes.to_string()).chain(figures.map(Figures::cell)).collect::<Vec<_>>()
    };
    let asked = format!("an hour with churn, {} runs, first run discarded, median (min–max)", options.repeating.runs);
    let mut report = Report::new("sim-nodes", asked)
        .table(&head, &rows.iter().map(cells).collect::<Vec<_>>())
        .data(data.collect::<Vec<_>>().into());
    for (nodes, row) in rows {
        let (idle, seconds, peak) = match nodes {
            200 => (Bound::AtMost(512.0, 128.0), Bound::AtMost(60.0, 10.0), Bound::AtMost(1024.0, 256.0)),
            1_000 => (Bound::AtMost(1024.0, 384.0), Bound::AtMost(480.0, 120.0), Bound::AtMost(6144.0, 1536.0)),
            _ => continue,
        };
        report = report
            .bound(format!("KiB an idle node at {nodes}"), &row.idle_kib, idle)
            .bound(format!("seconds for an hour of {nodes}"), &row.seconds, seconds)
            .bound(format!("MiB at most for {nodes}"), &row.peak_mib, peak);
        if *nodes == 1_000 {
            report = report.bound("ms for the view of 1,000", &row.view_ms, Bound::AtMost(20.0, 3.0));
        }
    }
    report.end(&options.repeating.saying)
}
