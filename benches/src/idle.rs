//! Nodes that know each other and have nothing to do: processor time, wake-ups and memory of each, and of all together.
//!
//! Needs root, for network namespaces: each node is a process on a host of its own, all on one segment.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use mesh_benches::figures::Figures;
use mesh_benches::report::{Bound, Report, Saying};
use mesh_tests::{Lan, TestNode, wait};
use serde_json::json;

const MIB: f64 = 1024.0 * 1024.0;
const MEETING: Duration = Duration::from_secs(300);
/// Nodes have said what there is to say.
const SETTLED: Duration = Duration::from_secs(60);
/// A node counts as joined once it knows so many, or all if they are fewer.
const PEERS_KNOWN: u64 = 20;

/// Measures nodes that have nothing to do.
#[derive(Parser)]
struct Options {
    /// How many nodes; may be given several times.
    #[arg(long, default_values_t = [21, 200], value_parser = clap::value_parser!(u32).range(2..=250))]
    nodes: Vec<u32>,
    /// How long they are watched, in seconds.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    #[command(flatten)]
    saying: Saying,
}

/// Of each node, and of all together.
struct Row {
    processor_percent: Figures,
    wakeups_per_s: Figures,
    resident_mib: Figures,
    all_cores: Figures,
    all_gib: Figures,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let mut rows = Vec::new();
    for nodes in &options.nodes {
        let Some(row) = watch(*nodes, Duration::from_secs(options.seconds)) else { return ExitCode::FAILURE };
        rows.push((*nodes, row));
    }
    report(&options, &rows)
}

fn watch(count: u32, time: Duration) -> Option<Row> {
    let mut lan = Lan::new()?;
    let folder = tempfile::tempdir().expect("temporary folders can be made");
    let up = |number: u32| {
        let data = folder.path().join(format!("node-{number}"));
        let mut node = lan.host().node(&data).without_journal();
        node.up();
        node
    };
    let mut nodes: Vec<TestNode> = (0..count).map(up).collect();
    nodes.iter().for_each(|node| node.wait_for_peers(PEERS_KNOWN.min(u64::from(count) - 1), MEETING));
    wait::let_pass(SETTLED);
    let used = |nodes: &mut [TestNode]| -> Vec<(f64, u64)> {
        nodes.iter_mut().map(|node| (node.process().processor_seconds(), node.process().wakeups())).collect()
    };
    let (before, began) = (used(&mut nodes), Instant::now());
    wait::let_pass(time);
    let (after, seconds) = (used(&mut nodes), began.elapsed().as_secs_f64());
    let cores: Vec<f64> = before.iter().zip(&after).map(|(before, after)| (after.0 - before.0) / seconds).collect();
    let wakeups = before.iter().zip(&after).map(|(before, after)| (after.1 - before.1) as f64 / seconds);
    let all_bytes: u64 = nodes.iter_mut().map(|node| node.process().proportional_bytes()).sum();
    let row = Row {
        processor_percent: Figures::of(cores.iter().map(|cores| cores * 100.0)),
        wakeups_per_s: Figures::of(wakeups),
        resident_mib: Figures::of(nodes.iter_mut().map(|node| node.process().resident_bytes_max() as f64 / MIB)),
        all_cores: Figures::of([cores.iter().sum()]),
        all_gib: Figures::of([all_bytes as f64 / MIB / 1024.0]),
    };
    Some(row)
}

fn report(options: &Options, rows: &[(u32, Row)]) -> ExitCode {
    let data = rows.iter().map(|(nodes, row)| {
        json!({
            "nodes": nodes,
            "processor_percent": row.processor_percent.json(),
            "wakeups_per_s": row.wakeups_per_s.json(),
            "resident_mib_at_most": row.resident_mib.json(),
            "all_cores": row.all_cores.json(),
            "all_gib": row.all_gib.json(),
        })
    });
    let cells = |(nodes, row): &(u32, Row)| {
        let figures = [&row.processor_percent, &row.wakeups_per_s, &row.resident_mib, &row.all_cores, &row.all_gib];
        std::iter::once(nodes.to_string()).chain(figures.map(Figures::cell)).collect::<Vec<_>>()
    };
    let head = ["nodes", "% of a core each", "wake-ups/s each", "MiB each at most", "all, cores", "all, GiB"];
    let asked = format!("{} s idle; of each node: median (min–max) over the nodes", options.seconds);
    let mut report = Report::new("idle", asked)
        .table(&head, &rows.iter().map(cells).collect::<Vec<_>>())
        .data(data.collect::<Vec<_>>().into());
    for (nodes, row) in rows {
        report = match nodes {
            ..=50 => report
                .bound(format!("% of a core, {nodes} nodes"), &row.processor_percent, Bound::AtMost(0.5, 0.1))
                .bound(format!("wake-ups/s, {nodes} nodes"), &row.wakeups_per_s, Bound::AtMost(2.0, 0.2))
                .bound(format!("MiB resident, {nodes} nodes"), &row.resident_mib, Bound::AtMost(64.0, 32.0)),
            _ => report.bound(format!("cores for all {nodes}"), &row.all_cores, Bound::AtMost(1.0, 0.3)).bound(
                format!("GiB for all {nodes}"),
                &row.all_gib,
                Bound::AtMost(8.0, 4.0),
            ),
        };
    }
    report.end(&options.saying)
}
