//! A new node among twenty: how long from its start until it is connected with all of them, by multicast alone, and where
//! multicast is blocked and it was told one address.
//!
//! Needs root, for network namespaces.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use mesh_benches::figures::Figures;
use mesh_benches::report::{Bound, Repeating, Report};
use mesh_tests::{Host, Lan, TestNode};
use serde_json::json;

const MEETING: Duration = Duration::from_secs(120);

/// Measures how soon a new node sees the others.
#[derive(Parser)]
struct Options {
    /// How many others there are.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u8).range(2..=249))]
    peers: u8,
    #[command(flatten)]
    repeating: Repeating,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let (Some(multicast), Some(one_address)) = (joins(&options, false), joins(&options, true)) else {
        return ExitCode::FAILURE;
    };
    let rows = [
        vec!["multicast alone".to_owned(), multicast.cell()],
        vec!["multicast blocked, one address known".to_owned(), one_address.cell()],
    ];
    let asked = format!("connected with {} others, median (min–max), first run discarded", options.peers);
    Report::new("join", asked)
        .table(&["how", "seconds"], &rows)
        .data(json!({"multicast_s": multicast.json(), "one_address_s": one_address.json()}))
        .bound("seconds by multicast alone", &multicast, Bound::AtMost(5.0, 2.0))
        .bound("seconds with multicast blocked", &one_address, Bound::AtMost(10.0, 2.0))
        .end(&options.repeating.saying)
}

/// `None`, with the reason printed, if this process may make no network.
fn joins(options: &Options, blocked: bool) -> Option<Figures> {
    let mut lan = Lan::new()?;
    let folder = tempfile::tempdir().expect("temporary folders can be made");
    let mut host = || {
        let host = lan.host();
        if blocked {
            host.block_multicast();
        }
        host
    };
    let first = host();
    let node = |host: &Host, name: &str| {
        let node = host.node(&folder.path().join(name)).without_journal();
        match blocked && host.address != first.address {
            true => node.with_options(&["--peer", &first.multiaddr()]),
            false => node,
        }
    };
    let hosts: Vec<Host> = (1..options.peers).map(|_| host()).collect();
    let newcomer = host();
    let up = |(number, host): (usize, &Host)| {
        let mut node = node(host, &format!("node-{number}"));
        node.up();
        node
    };
    let others: Vec<TestNode> = std::iter::once(&first).chain(&hosts).enumerate().map(up).collect();
    others.iter().for_each(|node| node.wait_for_peers(u64::from(options.peers) - 1, MEETING));
    let mut seconds = Figures::default();
    for run in 0..options.repeating.runs {
        let mut node = node(&newcomer, &format!("newcomer-{run}"));
        let began = Instant::now();
        node.up();
        node.wait_for_peers(u64::from(options.peers), MEETING);
        seconds.add(began.elapsed().as_secs_f64());
        eprintln!("run {run}, multicast {}: {} s", if blocked { "blocked" } else { "allowed" }, seconds.cell());
        node.stop();
    }
    Some(seconds)
}
