//! One source and one getter far apart: a packet relay with a round trip of 100 ms and a little loss, beside one and four
//! streams of iperf3 on the same way in the same run.
//!
//! Needs root, for network namespaces and TUN devices, and iperf3.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bytesize::ByteSize;
use clap::Parser;
use mesh_benches::figures::Figures;
use mesh_benches::report::{Bound, Repeating, Report};
use mesh_benches::tcp;
use mesh_tests::place::system;
use mesh_tests::{Host, Lan, Running, TestNode, files};
use serde_json::json;

const START_LIMIT: Duration = Duration::from_secs(20);
const DEVICE: &str = "far0";
const SOURCE: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 1);
const GETTER: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 2);

/// Measures one source and one getter far apart, beside iperf3.
#[derive(Parser)]
struct Options {
    /// The way's rate in Mbit/s, each way.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    rate: u64,
    /// The time there and back, in milliseconds.
    #[arg(long, default_value_t = 100)]
    rtt_ms: u64,
    /// How many of a million packets are lost, each way.
    #[arg(long, default_value_t = 1000)]
    lost_ppm: u64,
    /// The file's size.
    #[arg(long, default_value = "500MB")]
    size: ByteSize,
    #[command(flatten)]
    repeating: Repeating,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(why) = tcp::obstacle() {
        eprintln!("{why}; there is nothing to compare with");
        return ExitCode::FAILURE;
    }
    let Some(mut lan) = Lan::new() else { return ExitCode::FAILURE };
    let folder = tempfile::tempdir().expect("temporary folders can be made");
    let file = folder.path().join("file");
    files::write_random(&file, options.size.as_u64(), 1);
    let hosts = [lan.host(), lan.host()];
    // No way but the long one.
    hosts.iter().for_each(Host::unplug);
    let [source_host, getter_host] = &hosts;
    let _relays = [
        relay(source_host, SOURCE, ["a", "b"], &options, folder.path()),
        relay(getter_host, GETTER, ["b", "a"], &options, folder.path()),
    ];
    let mut source = node(source_host, &folder.path().join("source"));
    source.up();
    let ticket = source.share(&file);
    let seconds = (options.size.as_u64() * 8).div_ceil(options.rate * 1_000_000);
    let (mut one, mut four, mut mesh) = (Figures::default(), Figures::default(), Figures::default());
    for run in 0..options.repeating.runs {
        for (streams, figures) in [(1, &mut one), (4, &mut four)] {
            figures.add(tcp::goodput(source_host, getter_host, GETTER, tcp::PORT, seconds, streams));
        }
        let peer = format!("/ip4/{SOURCE}/tcp/{}", Host::PORT);
        let mut getter =
            node(getter_host, &folder.path().join(format!("getter{run}"))).with_options(&["--peer", &peer]);
        getter.up();
        getter.wait_for_peers(1, START_LIMIT);
        let copy = getter.data().with_extension("copy");
        let began = Instant::now();
        let _ = getter.fetch(&ticket, &copy);
        mesh.add(options.size.as_u64() as f64 * 8.0 / began.elapsed().as_secs_f64() / 1e6);
        files::assert_same_file(&file, &copy);
        getter.stop();
        std::fs::remove_file(&copy).expect("the copy can be removed");
        eprintln!("run {run}: iperf3 {}, with four streams {}, mesh {} Mbit/s", one.cell(), four.cell(), mesh.cell());
    }
    let better = if one.median() > four.median() { &one } else { &four };
    let rows = [
        vec!["iperf3, one stream".to_owned(), one.cell()],
        vec!["iperf3, four streams".to_owned(), four.cell()],
        vec!["mesh".to_owned(), mesh.cell()],
    ];
    let asked = format!(
        "{} at {} Mbit/s, {} ms there and back, {} of a million packets lost, median (min–max), first run discarded",
        options.size, options.rate, options.rtt_ms, options.lost_ppm
    );
    Report::new("far", asked)
        .table(&["what", "goodput, Mbit/s"], &rows)
        .data(json!({"iperf3_1": one.json(), "iperf3_4": four.json(), "mesh": mesh.json()}))
        .bound("goodput ÷ the better of iperf3", &mesh.over(better), Bound::AtLeast(0.9, 1.0))
        .end(&options.repeating.saying)
}

fn node(host: &Host, data: &Path) -> TestNode {
    host.node(data).without_journal()
}

fn relay(host: &Host, address: Ipv4Addr, [own, other]: [&str; 2], options: &Options, folder: &Path) -> Running {
    let program = std::env::current_exe().expect("a running program has a path").with_file_name("bench-relay");
    let mut command = host.place().command(program);
    command.args(["--device", DEVICE]);
    command.arg("--own").arg(folder.join(own)).arg("--other").arg(folder.join(other));
    command.args(["--delay-ms", &(options.rtt_ms / 2).to_string(), "--rate", &options.rate.to_string()]);
    // Each end loses others.
    let seed = address.to_bits().to_string();
    command.args(["--lost-ppm", &options.lost_ppm.to_string(), "--seed", &seed]);
    let mut relay = Running::start(command);
    relay.wait_for_text("the relay", START_LIMIT, |line| (line == "ready").then_some(()));
    let namespace = &host.namespace;
    system(&format!("ip -n {namespace} addr add {address}/24 dev {DEVICE}"));
    system(&format!("ip -n {namespace} link set {DEVICE} up"));
    relay
}
